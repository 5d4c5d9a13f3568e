//! `signals.nats`: what makes a fleet, and what is refused because it would leak or mean two things.

use std::path::Path;

use super::{LEAST, check, parse};
use crate::config::NatsLogin;

fn nats(section: &str) -> String {
    format!("{LEAST}signals: {{nats: {section}}}")
}

#[test]
fn a_log_is_of_this_sidecar_alone_unless_a_fleet_is_asked_for() {
    assert_eq!(parse(LEAST).unwrap().signals.nats, None);
    assert_eq!(parse(&nats("{servers: [a:4222]}")).unwrap().signals.nats, None);
    let fleet = parse(&nats("{enabled: true, servers: [\"nats://a:4222\", \"tls://b\"], credentials: n.creds}"));
    let fleet = fleet.unwrap().signals.nats.unwrap();
    let hosts: Vec<_> = fleet.servers.iter().map(|it| (it.host(), it.port(), it.tls_required())).collect();
    assert_eq!(hosts, [("a", 4222, false), ("b", 4222, true)]);
    assert_eq!((fleet.replicas, fleet.allow_plaintext, fleet.import), (3, false, false));
    assert_eq!(fleet.login, NatsLogin::Credentials(Path::new("/etc/countersign/n.creds").into()));
    let password = parse(&nats("{enabled: true, servers: [a], user: u, password_file: p, certificate: c, key: k}"));
    let password = password.unwrap().signals.nats.unwrap();
    assert_eq!(password.login, NatsLogin::Password("u".to_owned(), "/etc/countersign/p".into()));
    assert_eq!(password.certificate, Some(("/etc/countersign/c".into(), "/etc/countersign/k".into())));
}

#[test]
fn what_a_fleet_lacks_or_says_twice_is_named() {
    let cases = [
        ("{enabled: true}", "signals.nats.servers is missing: name a server of the cluster at least"),
        ("{enabled: true, servers: [\"http://a\"]}", "signals.nats.servers[0] is http://a: invalid scheme"),
        ("{enabled: true, servers: [\"ws://a\"]}", "signals.nats.servers[0] is ws://a; write nats://host:port"),
        ("{servers: [\"nats://u:p@a\"]}", "signals.nats.servers[0] holds a user or a password; set signals.nats.user"),
        ("{stream: a.b}", "signals.nats.stream is \"a.b\"; use letters, digits"),
        ("{subject: \"a.*\"}", "signals.nats.subject is \"a.*\"; use letters, digits"),
        ("{replicas: 6}", "signals.nats.replicas is 6; write a number from 1 to 5"),
        ("{user: u}", "signals.nats.user is set without signals.nats.password_file; set both or none"),
        ("{password_file: u}", "signals.nats.password_file is set without signals.nats.user; set both or none"),
        ("{nkey: n, token_file: t}", "signals.nats.token_file is set beside signals.nats.nkey; keep one way to log in"),
        ("{key: k}", "signals.nats.key is set without signals.nats.certificate; set both or none"),
        ("{check_every: 1ms}", "signals.nats.check_every is 1ms; write a duration from 100ms to 60s"),
    ];
    for (section, expected) in cases {
        let errors = super::errors_of(&nats(section));
        assert!(errors.len() == 1 && errors[0].contains(expected), "{section}: {errors:?}");
        assert!(!errors[0].contains("u:p@"), "no secret is repeated");
    }
    check(&nats("{server: [a]}"), &[&errors_for_unknown()]);
}

fn errors_for_unknown() -> String {
    let known = "enabled, servers, stream, subject, replicas, credentials, nkey, user, password_file, token_file, ca_file, \
                 certificate, key, allow_plaintext, check_every, timeout, import";
    format!("line 5: signals.nats.server is unknown; here can be {known}")
}
