//! Sources of trust: an agent, and endpoints of others.

use super::*;

fn agent(fields: &str, socket: Option<&str>) -> Result<String, Vec<String>> {
    let environment = Environment { spiffe_endpoint_socket: socket.map(str::to_owned) };
    let parsed = Config::parse_in(&AGENT.replace("FIELDS", fields), Path::new("c.yaml"), &environment);
    let config = parsed.map_err(|errors| errors.errors().iter().map(ToString::to_string).collect::<Vec<_>>())?;
    assert!(config.identity.trust_bundles.is_empty());
    let found = config.identity.workload_api.unwrap();
    Ok(format!("{}, {}", found.agent, found.choice))
}

#[test]
fn an_agent_is_asked_where_the_file_says_or_else_the_environment_and_only_if_enabled() {
    let cases = [
        ("enabled: true, socket: \"unix:///a.sock\"", None, "unix:///a.sock, the first"),
        ("enabled: true, socket: \"tcp://127.0.0.1:1\"", Some("unix:///e.sock"), "tcp://127.0.0.1:1, the first"),
        ("enabled: true", Some("unix:///e.sock"), "unix:///e.sock, the first"),
        ("enabled: true, hint: inner", Some("unix:///e.sock"), "unix:///e.sock, that with hint \"inner\""),
        ("enabled: true, spiffe_id: \"spiffe://td/a\"", Some("unix:///e.sock"), "unix:///e.sock, spiffe://td/a"),
    ];
    for (fields, socket, expected) in cases {
        assert_eq!(agent(fields, socket).as_deref(), Ok(expected), "{fields}");
    }
    let off = agent("enabled: false", Some("unix:///e.sock")).unwrap_err();
    assert!(matches!(&off[..], [error] if error.contains("set identity.workload_api.enabled: true")), "{off:?}");
    let with_files = Environment { spiffe_endpoint_socket: Some("no address".to_owned()) };
    let config = Config::parse_in(LEAST, Path::new("c.yaml"), &with_files).unwrap();
    assert_eq!(config.identity.workload_api, None, "an environment alone changes nothing");
}

#[test]
fn what_is_wrong_with_an_agent_is_said() {
    let cases = [
        ("enabled: true", None, "here or as SPIFFE_ENDPOINT_SOCKET in the environment"),
        (
            "enabled: true",
            Some("/run/agent.sock"),
            "is taken from SPIFFE_ENDPOINT_SOCKET: \"/run/agent.sock\" is no address",
        ),
        ("enabled: true, socket: \"tcp://agent:1\"", None, "write unix:///path/of/socket or tcp://IP:port"),
        ("enabled: true, hint: a, spiffe_id: \"spiffe://td/a\"", Some("unix:///e"), "keep one of them"),
        ("enabled: true, spiffe_id: \"spiffe://td\"", Some("unix:///e"), "names a trust domain"),
        ("enabled: perhaps", None, "write true or false"),
    ];
    for (fields, socket, because) in cases {
        let errors = agent(fields, socket).unwrap_err();
        assert!(matches!(&errors[..], [error] if error.contains(because)), "{fields}: {errors:?}");
    }
}

fn federated(items: &str) -> String {
    LEAST.replace("]}\npolicy", &format!("], federation: [{items}]}}\npolicy"))
}

#[test]
fn an_endpoint_has_a_profile_and_what_belongs_to_it() {
    let text = federated(
        r#"{trust_domain: b, url: "https://b.test/", profile: https_web, ca_file: ca.pem, refresh: 1m},
           {trust_domain: c, url: "https://c.test/", profile: https_spiffe, endpoint_id: "spiffe://c/e", bootstrap: c.json},
           {trust_domain: d, url: "https://d.test/", profile: https_spiffe, endpoint_id: "spiffe://td/e"}"#,
    );
    let endpoints = parse(&text).unwrap().identity.federation;
    let below = |name: &str| Some(PathBuf::from("/etc/countersign").join(name));
    assert_eq!(endpoints.len(), 3);
    assert_eq!(endpoints[0].profile, Profile::Web { ca_file: below("ca.pem") });
    assert_eq!(endpoints[0].refresh, Some(Duration::from_mins(1)));
    let endpoint_id = SpiffeId::parse("spiffe://c/e").unwrap();
    assert_eq!(endpoints[1].profile, Profile::Spiffe { endpoint_id, bootstrap: below("c.json") });
    assert!(parse(LEAST).unwrap().identity.federation.is_empty());
}

#[test]
fn an_endpoint_that_could_not_be_verified_is_refused() {
    let cases = [
        (r#"{trust_domain: b, url: "http://b.test/", profile: https_web}"#, "is not https"),
        (r#"{trust_domain: b, url: "https://me:x@b.test/", profile: https_web}"#, "userinfo"),
        (r#"{trust_domain: b, url: "https://b.test/", profile: https}"#, "write https_web or https_spiffe"),
        (r#"{trust_domain: b, url: "https://b.test/", profile: https_spiffe}"#, "endpoint_id is missing"),
        (
            r#"{trust_domain: b, url: "https://b.test/", profile: https_spiffe, endpoint_id: "spiffe://b/e"}"#,
            "bootstrap is missing",
        ),
        (
            r#"{trust_domain: b, url: "https://b.test/", profile: https_spiffe, endpoint_id: "spiffe://b", bootstrap: x}"#,
            "with its path",
        ),
        (
            r#"{trust_domain: b, url: "https://b.test/", profile: https_web, bootstrap: x}"#,
            "nothing that https_web looks at",
        ),
        (
            r#"{trust_domain: b, url: "https://b.test/", profile: https_spiffe, endpoint_id: "spiffe://c/e", ca_file: x}"#,
            "nothing that https_spiffe",
        ),
        (r#"{trust_domain: b, url: "https://b.test/", profile: https_web, refresh: 10ms}"#, "from 1s to"),
        (r#"{trust_domain: td, url: "https://b.test/", profile: https_web}"#, "has a file in identity.trust_bundles"),
        (
            r#"{trust_domain: b, url: "https://b.test/", profile: https_web}, {trust_domain: b, url: "https://b.test/", profile: https_web}"#,
            "is b again",
        ),
        ("{trust_domain: b}", "url is missing"),
        ("", "is empty"),
    ];
    for (items, because) in cases {
        let errors = errors_of(&federated(items)).join("\n");
        assert!(errors.contains(because), "{items}: {errors}");
    }
}
