//! Doors: which may be open in plaintext, and what one with mTLS needs.

use super::*;

#[test]
fn plaintext_is_for_loopback_and_for_those_who_say_so() {
    let tcp = |fields: &str| LEAST.to_owned() + "listen: {ext_authz_tcp: {" + fields + "}}";
    for address in ["127.0.0.1:9191", "\"[::1]:9191\""] {
        let config = parse(&tcp(&format!("address: {address}, allow_plaintext: true"))).unwrap();
        assert!(matches!(config.listen.ext_authz_tcp, Some(TcpListener::Plaintext(at)) if at.ip().is_loopback()));
    }
    let unsaid = "line 5: listen.ext_authz_tcp.address does not say who may ask; list their SPIFFE IDs in \
                  listen.ext_authz_tcp.allow (mTLS), or, on loopback, set listen.ext_authz_tcp.allow_plaintext: true if \
                  everybody on this host may";
    check(&tcp("address: 127.0.0.1:9191"), &[unsaid]);
    for address in ["0.0.0.0:9191", "10.1.2.3:9191", "\"[::]:9191\"", "\"[::ffff:10.0.0.1]:1\""] {
        let errors = errors_of(&tcp(&format!("address: {address}, allow_plaintext: true")));
        assert!(errors.len() == 1 && errors[0].contains("others can reach"), "{errors:?}");
        let errors = errors_of(&(LEAST.to_owned() + "listen: {admin: {address: " + address + "}}"));
        assert!(errors.len() == 1 && errors[0].contains("others can reach"), "{errors:?}");
    }
    check(
        &tcp("address: 127.0.0.1:9191, allow_plaintext: true, allow: [\"spiffe://td/*\"]"),
        &["line 5: listen.ext_authz_tcp.allow_plaintext is true beside listen.ext_authz_tcp.allow; keep one of them"],
    );
}

const WITH_SVID: &str = "
service: {name: orders}
identity: {trust_bundles: [{trust_domain: td, file: td.pem}], svid: {certificate: svid.pem, key: svid.key}}
policy: {files: [a.cedar]}
";

#[test]
fn a_list_of_who_may_makes_a_listener_mtls() {
    let listen = "listen: {tls_min_version: \"1.2\", ext_authz_tcp: {address: \"0.0.0.0:1\", allow: [\"spiffe://td/envoy\"]}, \
                  control_tcp: {address: \"127.0.0.1:2\", allow: [\"spiffe://td/ops/*\", \"spiffe://sec/*\"]}, \
                  admin: {allow: [\"spiffe://td/prometheus\"]}}";
    let config = parse(&(WITH_SVID.to_owned() + listen)).unwrap();
    let texts =
        |listener: &crate::config::MtlsListener| listener.allow.iter().map(ToString::to_string).collect::<Vec<_>>();
    let Some(TcpListener::Mtls(ask)) = &config.listen.ext_authz_tcp else { panic!("plaintext") };
    assert_eq!((ask.address.port(), texts(ask)), (1, vec!["spiffe://td/envoy".to_owned()]));
    assert_eq!(texts(&config.listen.control_tcp.unwrap()), ["spiffe://td/ops/*", "spiffe://sec/*"]);
    let AdminListener::Tcp(TcpListener::Mtls(read)) = &config.listen.admin else { panic!("plaintext") };
    assert_eq!(
        (read.address.to_string(), texts(read)),
        ("127.0.0.1:9902".to_owned(), vec!["spiffe://td/prometheus".to_owned()])
    );
    assert_eq!(config.listen.tls_min_version, TlsVersion::V12);
    assert_eq!(config.identity.svid.unwrap().key, Path::new("/etc/countersign/svid.key"));
}

#[test]
fn mtls_needs_an_svid_of_our_own_and_names_both_ways_to_get_one() {
    let listen = "
listen:
  ext_authz_tcp: {address: \"0.0.0.0:1\", allow: [\"spiffe://td/*\"]}
  control_tcp: {address: \"127.0.0.1:2\", allow: [\"spiffe://td/*\"]}
  admin: {allow: [\"spiffe://td/*\"]}
";
    assert!(parse(&(WITH_SVID.to_owned() + listen)).is_ok());
    let needs = "needs an SVID of this sidecar for mTLS, and nothing gives it one; set identity.svid.certificate and \
                 identity.svid.key, or identity.workload_api.socket (SPIFFE_ENDPOINT_SOCKET)";
    check(
        &(LEAST.to_owned() + listen),
        &[
            &format!("line 7: listen.ext_authz_tcp.address {needs}"),
            &format!("line 8: listen.control_tcp.address {needs}"),
            &format!("listen.admin.address {needs}"),
        ],
    );
}

#[test]
fn what_makes_half_of_an_mtls_listener_is_refused() {
    let listen = |text: &str| WITH_SVID.to_owned() + "listen: {" + text + "}";
    let cases = [
        ("control_tcp: {address: \"127.0.0.1:2\"}", "listen.control_tcp.address does not say who may revoke"),
        (
            "control_tcp: {allow: [\"spiffe://td/*\"]}",
            "listen.control_tcp.allow is set without listen.control_tcp.address",
        ),
        (
            "ext_authz_tcp: {allow: [\"spiffe://td/*\"]}",
            "listen.ext_authz_tcp.allow is set without listen.ext_authz_tcp.address",
        ),
        ("control_tcp: {address: \"127.0.0.1:2\", allow: []}", "listen.control_tcp.allow is empty"),
        (
            "admin: {allow: [\"spiffe://td\"]}",
            "listen.admin.allow[0] is not valid: pattern spiffe://td names a trust domain",
        ),
        ("admin: {unix: a, allow: [\"spiffe://td/*\"]}", "listen.admin.allow is set beside listen.admin.unix"),
        ("tls_min_version: \"1.1\"", "listen.tls_min_version is \"1.1\"; write \"1.3\" or \"1.2\""),
        ("tls_min_version: 1.3", "listen.tls_min_version is 1.3, which is no text; put it in quotes"),
    ];
    for (text, expected) in cases {
        let errors = errors_of(&listen(text));
        assert!(errors.len() == 1 && errors[0].contains(expected), "{text}: {errors:?}");
    }
    let half = WITH_SVID.replace(", key: svid.key", "");
    check(&half, &["line 3: identity.svid.certificate is set without identity.svid.key; set both or none"]);
}
