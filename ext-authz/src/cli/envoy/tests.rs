//! `envoy lint` as an operator sees it.

use clap::Parser as _;

use super::*;
use crate::cli::Cli;

const BROKEN: &str = r#"
admin: { address: { socket_address: { address: 0.0.0.0, port_value: 1 } } }
static_resources:
  listeners:
  - name: stats
    address: { socket_address: { address: 0.0.0.0, port_value: 2 } }
    filter_chains:
    - filters:
      - typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
"#;

fn run(arguments: &[&str]) -> (String, u8) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    fs::write(&file, BROKEN).unwrap();
    let arguments = [&["countersign", "envoy"], arguments, &[file.to_str().unwrap()]].concat();
    let mut out = Vec::new();
    match Cli::try_parse_from(arguments).map(|cli| cli.run(&mut out)) {
        Ok(Ok(exit)) => (String::from_utf8(out).unwrap(), exit.code()),
        Ok(Err(error)) => (error.to_string(), error.exit().code()),
        Err(error) => (error.to_string(), u8::try_from(error.exit_code()).unwrap()),
    }
}

#[test]
fn what_is_so_on_purpose_is_left_out_and_counted() {
    let (text, code) = run(&["lint"]);
    assert!(code == 1 && text.ends_with("1 file: 2 errors, 0 warnings\n"), "{code} {text}");
    let (text, code) = run(&["lint", "--except", "no-countersign:listener stats"]);
    assert!(code == 1 && text.ends_with("1 file: 1 error, 0 warnings, 1 left out\n"), "{code} {text}");
    assert!(text.contains("[admin-open]") && !text.contains("[no-countersign]"), "{text}");
    let (text, code) = run(&["lint", "--except", "no-countersign:listener other", "--except", "admin-open"]);
    assert!(code == 1 && text.contains("[no-countersign]") && !text.contains("[admin-open]"), "{code} {text}");
    let (text, code) = run(&["lint", "--except", "no-countersign", "--except", "admin-open"]);
    assert_eq!((text.as_str(), code), ("1 file: 0 errors, 0 warnings, 2 left out\n", 0));
    let (text, code) = run(&["lint", "--except", "no-such-rule"]);
    assert!(code == 2 && text.contains("countersign envoy rules"), "{code} {text}");
}

#[test]
fn each_line_of_json_is_a_finding_and_the_last_one_the_summary() {
    let (text, _) = run(&["lint", "--output", "json"]);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [admin, listener, summary] = lines.as_slice() else { panic!("{text}") };
    assert_eq!((&admin["rule"], &admin["line"]), (&"admin-open".into(), &2.into()));
    assert_eq!(listener["rule"], "no-countersign");
    assert!(listener["within"].as_str().unwrap().starts_with("listener stats"), "{text}");
    assert!(
        ["file", "severity", "place", "what", "why", "remedy"].iter().all(|key| listener[key].is_string()),
        "{text}"
    );
    let expected = serde_json::json!({ "files": 1, "errors": 2, "warnings": 0, "excepted": 0 });
    assert_eq!(summary, &expected);
}

#[test]
fn every_rule_is_listed() {
    let mut out = Vec::new();
    Cli::try_parse_from(["countersign", "envoy", "rules"]).unwrap().run(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(envoy_lint::rules().all(|rule| text.contains(&format!("{} ({})", rule.name, rule.severity))), "{text}");
}
