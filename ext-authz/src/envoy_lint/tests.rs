//! Documents as wholes: what is found in each kind, and that anything at all can be linted.

mod anything;

use super::*;

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let findings = lint(&Document::parse(text).unwrap());
    let found: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.place.as_str())).collect();
    assert_eq!(found, expected, "{findings:#?}");
}

fn shipped(name: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy").join(format!("{name}.yaml"));
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn the_names_of_rules_are_unique_and_written_with_dashes() {
    let mut names: Vec<_> = rules().map(|rule| rule.name).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')), "{names:?}");
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    for rule in rules() {
        assert!(!rule.why.ends_with('.') && !rule.remedy.ends_with('.'), "{}", rule.name);
        assert!(!rule.why.contains('|') && !rule.remedy.contains('|'), "{} would break its table", rule.name);
    }
}

#[test]
fn what_we_ship_is_clean_as_it_stands() {
    check(&shipped("ext-authz"), &[]);
    check(&shipped("filter"), &[]);
}

#[test]
fn a_finding_names_line_place_and_the_names_on_the_way() {
    let text = shipped("ext-authz").replace("failure_mode_allow: false", "failure_mode_allow: true");
    let findings = lint(&Document::parse(&text).unwrap());
    let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
    let line = text.lines().position(|line| line.contains("failure_mode_allow: true")).unwrap() as u64 + 1;
    assert_eq!((finding.line, finding.severity), (Some(line), Severity::Error));
    let filter = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0]";
    assert_eq!(finding.place, format!("{filter}.typed_config.failure_mode_allow"));
    assert!(finding.within.starts_with("listener mesh, ") && finding.within.ends_with("http.ext_authz"), "{finding:?}");
}

#[test]
fn lines_are_counted_as_yaml_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["", "static_resources:", "  listeners:", "dynamic_resources:", "  ads_config: { api_type: GRPC }"];
        let findings = lint(&Document::parse(&text.join(end)).unwrap());
        let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [Some(5)], "{end:?}: {findings:#?}");
    }
}

#[test]
fn holes_behind_xds_are_told_as_such_and_an_empty_bootstrap_too() {
    check(
        "dynamic_resources: { ads_config: { api_type: GRPC } }",
        &[("not-in-this-document", "dynamic_resources.ads_config")],
    );
    check("static_resources: {}", &[("asked-nowhere", "")]);
}

#[test]
fn a_dump_of_a_mesh_is_understood_and_only_its_holes_are_told() {
    check(
        include_str!("testdata/mesh.yaml"),
        &[
            ("chain-unguarded", "configs[1].dynamic_listeners[2].active_state.listener.filter_chains[1].filters[0]"),
            (
                "certificate-not-sent",
                "configs[2].ecds_filters[0].ecds_filter.typed_config.value.includePeerCertificate",
            ),
        ],
    );
}

#[test]
fn a_dump_of_one_resource_and_a_file_of_resources_are_understood() {
    let listener = r#"{ name: a, address: { socket_address: { address: 10.0.0.1 } }, filter_chains: [{ filters: [{ typed_config: {
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager } }] }] }"#;
    let place = "filter_chains[0].filters[0].typed_config";
    let dump = format!("configs: [{{ active_state: {{ listener: {listener} }} }}]");
    check(&dump, &[("no-countersign", &format!("configs[0].active_state.listener.{place}"))]);
    let typed = listener.replacen('{', r#"{ "@type": type.googleapis.com/envoy.config.listener.v3.Listener, "#, 1);
    check(&format!("resources: [{typed}]"), &[("no-countersign", &format!("resources[0].{place}"))]);
    let loopback = typed.replace("10.0.0.1", "127.0.0.1");
    check(&format!("resources: [{loopback}]"), &[("asked-nowhere", "")]);
    let also_open = loopback.replacen(
        "name: a",
        "additional_addresses: [{ address: { socket_address: { address: 10.0.0.1 } } }]",
        1,
    );
    check(&format!("resources: [{also_open}]"), &[("no-countersign", &format!("resources[0].{place}"))]);
}
