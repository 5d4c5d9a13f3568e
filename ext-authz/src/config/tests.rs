//! A whole configuration: what is read, what is refused and in which words, and that the example says what the code does.

mod identity;
mod listen;
mod nats;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use authz_core::identity::{SpiffeId, TrustDomain};
use proptest::prelude::*;

use super::{
    AdminListener, Config, Environment, KnobDefault, TcpListener, TlsVersion, UnixSocket, knobs,
    tree::{self, Node, Value},
};
use crate::{audit::Target, identity::federation::Profile};

const EXAMPLE: &str = include_str!("../../config.example.yaml");

const LEAST: &str = "
service: {name: orders}
identity: {trust_bundles: [{trust_domain: td, file: td.pem}]}
policy: {files: [a.cedar]}
";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/countersign/config.yaml")).map_err(|errors| errors.to_string())
}

/// The errors of `text`, without the line about the file.
fn errors_of(text: &str) -> Vec<String> {
    let errors = Config::parse(text, Path::new("c.yaml")).unwrap_err();
    errors.errors().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(errors_of(text), expected, "{text}");
}

#[test]
fn what_is_required_is_enough() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.service.name, "orders");
    assert_eq!(config.policy.decision_ttl, Duration::from_mins(5));
    assert_eq!(config.listen.ext_authz.mode, 0o660);
    assert_eq!(config.listen.ext_authz_tcp, None);
    assert_eq!(config.listen.admin, AdminListener::Tcp(TcpListener::Plaintext("127.0.0.1:9902".parse().unwrap())));
    assert_eq!(config.audit.target, Target::Stdout);
    assert!(!config.identity.forwarding.trust_xfcc);
}

#[test]
fn relative_paths_are_below_the_directory_of_the_file() {
    let text = LEAST.to_owned()
        + "signals: {log: log/s.redb}\naudit: {file: a.jsonl}\nlisten: {admin: {unix: ad.sock}, control: {unix: /run/c}}";
    let config = parse(&text).unwrap();
    let below = |name: &str| PathBuf::from("/etc/countersign").join(name);
    assert_eq!(config.identity.trust_bundles[0].file, below("td.pem"));
    assert_eq!(config.policy.files, [below("a.cedar")]);
    assert_eq!(config.signals.log, below("log/s.redb"));
    assert_eq!(config.audit.target, Target::File(below("a.jsonl")));
    assert_eq!(config.listen.control.path, Path::new("/run/c"));
    assert_eq!(config.listen.admin, AdminListener::Unix(UnixSocket { path: below("ad.sock"), mode: 0o660 }));
    assert_eq!(Config::parse(LEAST, Path::new("c.yaml")).unwrap().policy.files, [Path::new("a.cedar")]);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let missing = [
        "service.name is missing: Name of the service behind this sidecar, as policies call it.",
        "identity.trust_bundles is missing: without a trust domain whose workloads may call nobody is believed; \
         write its trust_domain and file, or set identity.workload_api.enabled: true",
        "policy.files is missing: Cedar policies: a file, a directory, or a directory with a pattern such as \
         policies/*.cedar; read again when they change.",
    ];
    for text in ["", "# nothing\n", "service:\nidentity:\npolicy:\n", "{}"] {
        check(text, &missing);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line() {
    let text = "\
service: {name: 7}
identity:
  trust_bundles:
    - {trust_domain: TD, file: a}
    - {trust_domain: td}
    - td
  trust_xfcc: maybe
policy:
  files: [a.cedar, [], 3]
  decision_tll: 5m
  deny_ttl: 30
cache: {max_decisions: -1}
listen:
  ext_authz: /run/x.sock
  control: {mode: 660}
  admin: {address: localhost}
link: {lease: 1h}
audit: {queue: 0, file: [\"-\"]}
log: {format: xml, level: loud}
metrics: {}
drain: {grace: 10s, grace: 11s}
";
    check(
        text,
        &[
            "line 1: service.name is 7, which is no text; put it in quotes",
            &format!(
                "line 4: identity.trust_bundles[0].trust_domain is not valid: {}",
                TrustDomain::parse("TD").unwrap_err()
            ),
            "line 5: identity.trust_bundles[1].file is missing",
            "line 6: identity.trust_bundles[2] is \"td\"; write trust_domain, file, intermediates",
            "line 7: identity.trust_xfcc is \"maybe\"; write true or false",
            "line 9: policy.files[1] is a list; write text",
            "line 9: policy.files[2] is 3, which is no text; put it in quotes",
            "line 10: policy.decision_tll is unknown; did you mean decision_ttl?",
            "line 11: policy.deny_ttl is 30; write a whole number with ms, s, m or h, such as 250ms or 5m",
            "line 12: cache.max_decisions is -1; write a number from 0 to 100000000",
            "line 14: listen.ext_authz is \"/run/x.sock\"; write unix, mode",
            "line 15: listen.control.mode is 660; write permission bits in octal with four digits, such as 0660",
            "line 16: listen.admin.address is \"localhost\"; write an IP address and a port, such as 127.0.0.1:9902",
            "line 17: link.lease is 1h; write a duration from 500ms to 300s",
            "line 18: audit.file is a list; write \"-\" in quotes for standard output",
            "line 18: audit.queue is 0; write a number from 1 to 16777216",
            "line 19: log.format is \"xml\"; write json or text",
            "line 19: log.level is \"loud\"; write error, warn, info, debug or trace, or such as info,countersign::identity=debug",
            "line 20: metrics is unknown; here can be service, identity, policy, cache, listen, control, signals, degraded, link, audit, log, drain",
            "line 21: drain.grace is set twice; keep one of them",
        ],
    );
}

#[test]
fn a_time_zone_has_a_name_of_the_database_and_is_utc_by_default() {
    let zone =
        |text: &str| parse(&LEAST.replace("policy: {", &format!("policy: {{{text}"))).map(|it| it.policy.time_zone);
    assert_eq!(zone("").unwrap().name(), "UTC");
    assert_eq!(zone("time_zone: europe/berlin, ").unwrap().name(), "Europe/Berlin");
    let error = zone("time_zone: CEST, ").unwrap_err();
    assert!(
        error.contains("policy.time_zone is \"CEST\", which is no time zone; write an IANA name such as"),
        "{error}"
    );
}

#[test]
fn one_error_names_the_file_in_one_line_and_many_are_a_list() {
    let one = parse(&(LEAST.to_owned() + "linq: {}")).unwrap_err();
    assert_eq!(one, "configuration /etc/countersign/config.yaml: line 5: linq is unknown; did you mean link?");
    let two = parse(&(LEAST.to_owned() + "linq: {}\ndrein: {}")).unwrap_err();
    assert!(two.starts_with("configuration /etc/countersign/config.yaml has 2 errors\n  line 5: "), "{two}");
    let absent = Config::load(Path::new("/nowhere/c.yaml")).unwrap_err().to_string();
    assert!(absent.starts_with("configuration /nowhere/c.yaml: can't be read: "), "{absent}");
}

#[test]
fn what_is_no_yaml_says_where() {
    for (text, line) in [("service: {", 1), ("a: b\n c: d", 2), ("a: *nowhere", 1), ("a: 1\n---\nb: 2", 2)] {
        let errors = Config::parse(text, Path::new("c.yaml")).unwrap_err();
        let [error] = errors.errors() else { panic!("{text}: {errors}") };
        assert!(error.line.is_some_and(|found| found >= line), "{text}: {error}");
        assert!(error.what.starts_with("is no YAML we can read"), "{error}");
    }
    check("- service", &["line 1: is a list; write sections such as service:"]);
}

#[test]
fn a_trust_domain_has_one_bundle_and_admin_one_door() {
    let bundles = "identity: {trust_bundles: [{trust_domain: td, file: a}, {trust_domain: td, file: b}]}";
    let text = LEAST.replace("identity: {trust_bundles: [{trust_domain: td, file: td.pem}]}", bundles);
    check(&text, &["line 3: identity.trust_bundles[1].trust_domain is td again; put its authorities into one bundle"]);
    let text = LEAST.to_owned() + "listen: {admin: {address: \"127.0.0.1:1\", unix: a}}";
    check(&text, &["line 5: listen.admin.address is set beside listen.admin.unix; keep one of them"]);
    check(&LEAST.replace("[a.cedar]", "[]"), &["line 4: policy.files is empty; it needs one item at least"]);
}

const AGENT: &str = "
service: {name: orders}
identity: {workload_api: {FIELDS}}
policy: {files: [a.cedar]}
";

/// The agent and the choice of a configuration with these fields, where the environment says `socket`.
#[test]
fn a_key_that_only_looks_like_a_path_is_unknown() {
    for key in ["link.lease", "policy.files[]", "listen.ext_authz", "\"\""] {
        let errors = errors_of(&(LEAST.to_owned() + key + ": {}"));
        assert!(errors.len() == 1 && errors[0].contains("is unknown"), "{key}: {errors:?}");
    }
    let nested = errors_of(&(LEAST.to_owned() + "listen: {\"admin.unix\": a.sock}"));
    assert_eq!(
        nested,
        [
            "line 5: listen.admin.unix is unknown; here can be tls_min_version, ext_authz, ext_authz_tcp, control, control_tcp, admin"
        ]
    );
}

#[test]
fn log_levels_are_levels_or_directives() {
    for level in ["warn", "info,countersign::identity=debug", "countersign=trace", "off"] {
        assert_eq!(parse(&(LEAST.to_owned() + "log: {level: \"" + level + "\"}")).unwrap().log.level, level);
    }
    for level in ["loud", "info,", "countersign", "a=b", "INFO=1"] {
        assert!(parse(&(LEAST.to_owned() + "log: {level: \"" + level + "\"}")).is_err(), "{level}");
    }
}

#[test]
fn the_example_is_a_configuration_and_all_it_states_is_the_default() {
    let stated = parse(EXAMPLE).unwrap();
    let defaults = parse(
        "
service: {name: orders}
identity: {trust_bundles: [{trust_domain: example.org, file: bundles/example.org.pem}]}
policy: {files: [\"policies/*.cedar\"]}
",
    );
    assert_eq!(Ok(stated), defaults);
    let tree = tree::parse(EXAMPLE).unwrap();
    for knob in knobs() {
        if let KnobDefault::Value(text) = knob.default {
            let written = at(&tree, knob.path).unwrap_or_else(|| panic!("{} is not in the example", knob.path));
            assert_eq!(written.value, tree::parse(text).unwrap().value, "{}", knob.path);
        }
    }
}

#[test]
fn the_example_shows_every_knob_with_its_meaning() {
    let mut all = String::new();
    let mut before = "";
    for line in EXAMPLE.lines() {
        let code = line.trim_start();
        // `#name:` (`#- name:` as the first of a list's item) is a knob without a default, `# text` a comment.
        let is_knob = code.starts_with("#- ")
            || code.starts_with('#') && code.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase);
        all += &(if is_knob { line.replacen('#', "", 1) } else { line.to_owned() } + "\n");
        assert!(!is_knob || before.trim_start().starts_with("# "), "{line} has no comment before it");
        before = line;
    }
    let tree = tree::parse(&all).unwrap();
    for knob in knobs() {
        assert!(at(&tree, knob.path).is_some(), "{} is not in the example", knob.path);
        let is_shown =
            knob.path.contains("[]") || knob.default == KnobDefault::Required || EXAMPLE.contains(knob.meaning);
        assert!(is_shown, "the example does not say: {}", knob.meaning);
    }
    let known: BTreeSet<&str> = knobs().map(|knob| knob.path).collect();
    assert_eq!(known.len(), knobs().count(), "a knob is declared twice");
}

#[test]
fn every_knob_is_really_read() {
    for knob in knobs().filter(|knob| !knob.path.contains("[]")) {
        let mut text = "{bad: value}".to_owned();
        for key in knob.path.split('.').rev() {
            text = format!("{{{key}: {text}}}");
        }
        let errors = errors_of(&text);
        assert!(
            errors.iter().any(|error| error.contains(&format!("{} is a section", knob.path))),
            "{}: {errors:?}",
            knob.path
        );
    }
}

fn at<'a>(tree: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(tree, |node, key| match key.strip_suffix("[]") {
        None => node.get(key),
        Some(list) => match &node.get(list)?.value {
            Value::List(items) => items.first(),
            _ => None,
        },
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_mutated_example_makes_it_panic(from in 0..EXAMPLE.len(), length in 0_usize..40, insert in "[-:{}\\[\\]#&*!|>'\"% \n\ta0]{0,6}") {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, insert.into_bytes());
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
