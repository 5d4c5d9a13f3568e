//! `countersign envoy lint` on what Envoy really takes: a corpus of holes, the files we ship, dumps of running Envoys.

mod cases;

use std::{collections::BTreeSet, process::Output, sync::Mutex};

use countersign::envoy_lint::{Document, Finding, lint, rules};
use countersign_tests::{
    envoy::{Envoy, EnvoyBuilder, validate},
    mesh::wasm,
    pki::Authority,
    root,
    sidecar::countersign,
};
use serde_json::Value;

use cases::{Case, cases};

/// A shipped configuration with every placeholder filled.
fn shipped(name: &str) -> EnvoyBuilder {
    let authority = Authority::new("demo.test");
    let envoy = Envoy::shipped(name).identity(&authority.issue("/ns/shop/sa/orders")).trusting(&[&authority]);
    let socket = std::env::temp_dir().join("countersign-none.sock");
    envoy.sidecar(&socket).wasm(&wasm()).local_service(([127, 0, 0, 1], 9).into())
}

fn found(text: &str) -> Vec<Finding> {
    lint(&Document::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

fn names(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn every_hole_of_the_corpus_is_found_by_its_rule_by_no_other_and_nowhere_else() {
    let wrong: Vec<String> = cases()
        .into_iter()
        .filter_map(|case| {
            let written = case.applied_to(shipped(&case.file)).write();
            let findings = found(&std::fs::read_to_string(&written.path).unwrap());
            let as_expected = names(&findings) == case.breaks.as_slice();
            (!as_expected).then(|| format!("{case:?}\n{findings:#?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_hole_in_the_corpus() {
    let broken: BTreeSet<String> = cases().into_iter().filter_map(|case| case.breaks).collect();
    let known: BTreeSet<String> = rules().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(broken, known);
    assert_eq!(rules().count(), known.len(), "a name names one rule");
}

#[test]
fn envoy_takes_every_configuration_of_the_corpus_but_those_it_is_said_to_refuse() {
    let cases = Mutex::new(cases());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = {
                    let mut cases = cases.lock().unwrap();
                    cases.pop()
                } {
                    wrong.lock().unwrap().extend(against(&case));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn against(case: &Case) -> Option<String> {
    let written = case.applied_to(shipped(&case.file)).write();
    match (validate(&written.path), &case.refused) {
        (Ok(()), None) => None,
        (Err(said), Some(expected)) if said.contains(expected.as_str()) => None,
        (said, _) => Some(format!("{case:?}: {said:?}")),
    }
}

#[test]
fn the_files_we_ship_have_no_hole_filled_or_not() {
    for name in ["ext-authz", "filter", "tcp", "tcp-filter"] {
        let file = root().join("envoy").join(format!("{name}.yaml"));
        assert_eq!(found(&std::fs::read_to_string(file).unwrap()), [], "{name}");
        let written = shipped(name).write();
        assert_eq!(found(&std::fs::read_to_string(&written.path).unwrap()), [], "{name}, filled");
    }
}

#[tokio::test]
async fn what_a_running_envoy_says_of_itself_is_linted_like_its_file() {
    for name in ["ext-authz", "filter", "tcp", "tcp-filter"] {
        let envoy = shipped(name).start().await;
        let dump = envoy.config_dump().await;
        assert!(dump.contains("ListenersConfigDump") && dump.contains("BootstrapConfigDump"), "{dump}");
        assert_eq!(found(&dump), [], "{name}");
    }
    let broken = "failure_mode_allow: true";
    let envoy = shipped("ext-authz").edit("failure_mode_allow: false", broken).start().await;
    let findings = found(&envoy.config_dump().await);
    assert_eq!(names(&findings), ["fails-open"], "{findings:#?}");
    assert!(findings[0].place.starts_with("configs[") && findings[0].within.contains("listener mesh"), "{findings:#?}");
}

#[test]
fn the_command_names_file_line_rule_and_remedy_and_its_exit_code_says_it_all() {
    let run = |arguments: &[&str]| -> (String, String, Option<i32>) {
        let Output { status, stdout, stderr } = countersign(&[&["envoy", "lint"], arguments].concat());
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
    };
    let good = shipped("filter").write();
    let bad = shipped("ext-authz").edit("failure_mode_allow: false", "failure_mode_allow: true").write();
    let doubtful = shipped("ext-authz").edit("include_tls_session: true", "include_tls_session: false").write();
    let [good, bad, doubtful] = [&good, &bad, &doubtful].map(|written| written.path.to_str().unwrap());
    assert_eq!(run(&[good, "--strict"]), ("1 file: 0 errors, 0 warnings\n".to_owned(), String::new(), Some(0)));
    let (text, _, code) = run(&[good, bad]);
    assert_eq!(code, Some(1), "{text}");
    let expected = ["envoy.yaml:", ": error: failure_mode_allow is true [fails-open]", "fix failure_mode_allow: false"];
    assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    assert!(text.ends_with("2 files: 1 error, 0 warnings\n") && !text.contains('\x1b'), "{text}");
    assert_eq!((run(&[doubtful]).2, run(&[doubtful, "--strict"]).2), (Some(0), Some(1)));
    let (json, _, _) = run(&[bad, "--output", "json"]);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["rule"], &lines[0]["severity"]), (&"fails-open".into(), &"error".into()), "{json}");
    assert_eq!((&lines[1]["files"], &lines[1]["errors"], lines.len()), (&1.into(), &1.into(), 2), "{json}");
    let manifest = root().join("Cargo.toml");
    let (text, error, code) = run(&[bad, manifest.to_str().unwrap()]);
    assert_eq!((text.as_str(), code), ("", Some(2)), "{error}");
    assert!(error.contains("Cargo.toml"), "{error}");
}
