//! `check` by policies here.

use std::{fs, path::PathBuf};

use clap::Parser as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Cli, CliError, Exit};

const POLICIES: &str = "\
@id(\"orders\") permit(principal in TrustDomain::\"td\", action in Action::\"read\", resource)
when { context.http.path like \"/orders/*\" && context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] == \"a\" }
unless { principal has risk && principal.risk > 50 };
@id(\"edge\") permit(principal == Workload::\"spiffe://td/edge\", action, resource)
when { context has origin && context.origin == Workload::\"spiffe://td/web\" && context.source has ip && context.source.ip.isLoopback() };
@id(\"db\") permit(principal == Workload::\"spiffe://td/db\", action == Action::\"tcp:connect\", resource)
when { context has destination.port && context.destination.port == 5432 && context has tls.sni && context.tls.sni == \"db\" };";

fn run(arguments: &[&str]) -> Result<(String, Exit), CliError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.cedar"), POLICIES).unwrap();
    run_in(&directory, &[&["--policies", "p.cedar"], arguments].concat())
}

fn run_in(directory: &TempDir, arguments: &[&str]) -> Result<(String, Exit), CliError> {
    let file = |name: &&str| -> PathBuf {
        if ["p.cedar", "c.yaml"].contains(name) { directory.path().join(name) } else { PathBuf::from(name) }
    };
    let arguments = ["countersign", "check"].iter().chain(arguments).map(file);
    let mut out = Vec::new();
    let exit = Cli::try_parse_from(arguments).unwrap().run(&mut out)?;
    Ok((String::from_utf8(out).unwrap(), exit))
}

/// The verdict and the policies, from JSON.
fn decided(arguments: &[&str]) -> (String, Vec<String>) {
    let (text, exit) = run(&[arguments, &["--output", "json"]].concat()).unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(exit == Exit::Done, answer["verdict"] == "allow");
    let policies =
        answer["policies"].as_array().unwrap().iter().map(|note| note["policy"].as_str().unwrap().to_owned());
    (answer["reason"].as_str().unwrap().to_owned(), policies.collect())
}

#[test]
fn every_flag_becomes_the_fact_it_names() {
    let good = ["--caller", "spiffe://td/web", "--path", "/orders/1", "--header", "x-tenant: a"];
    assert_eq!(decided(&good), ("permit".to_owned(), vec!["orders".to_owned()]));
    for (more, reason) in [
        (&["--method", "PUT"][..], "no_permit"),
        (&["--risk", "51"], "no_permit"),
        (&["--risk", "50"], "permit"),
        (&["--header", "x-tenant: b"], "header_ambiguous"),
        (&["--unverified", "certificate_missing"], "certificate_missing"),
        (&["--issued", "2h ago", "--lifetime", "1h"], "certificate_expired"),
        (&["--at", "2026-01-05T12:00:00Z", "--issued", "2026-01-05T12:00:01Z"], "certificate_not_yet_valid"),
    ] {
        assert_eq!(decided(&[&good[..], more].concat()).0, reason, "{more:?}");
    }
    let edge = ["--caller", "spiffe://td/edge", "--hop", "spiffe://td/web", "--source", "127.0.0.1"];
    assert_eq!(decided(&edge).1, ["edge"]);
    assert_eq!(decided(&[&edge[..], &["--hops-incomplete"]].concat()).0, "no_permit");
    let db = ["--caller", "spiffe://td/db", "--connection", "--destination", "10.0.0.1:5432", "--sni", "db"];
    assert_eq!(decided(&db).1, ["db"]);
}

#[test]
fn a_denial_says_in_words_which_condition_of_which_policy_is_in_the_way() {
    let arguments = ["--caller", "spiffe://td/web", "--path", "/orders/1", "--at", "2026-01-05T12:00:00Z"];
    let (text, exit) = run(&arguments).unwrap();
    assert_eq!(exit, Exit::Refused);
    assert!(text.starts_with("deny: no_permit\n  no policy permits it"), "{text}");
    let wanted = "p.cedar:1:1: policy orders would permit it, but for\n  - when context.http.headers has \"x-tenant\": false\n      \
                  context.http.headers[\"x-tenant\"] (the header x-tenant) is not there\nrests on";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("\n  header:x-tenant = not there (only equals:a)\n"), "{text}");
    assert!(
        text.trim_end()
            .ends_with("holds until 2026-01-05T12:00:30.000Z: a denial is reused for policy.deny_ttl at most"),
        "{text}"
    );
}

#[test]
fn a_request_can_stand_in_a_file_as_a_case() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.cedar"), POLICIES).unwrap();
    let case = "caller: spiffe://td/web\nrequest: { path: /orders/1, headers: { x-tenant: a } }\n";
    fs::write(directory.path().join("c.yaml"), case).unwrap();
    let arguments = ["--policies", "p.cedar", "--case", "c.yaml"];
    assert_eq!(run_in(&directory, &arguments).unwrap().1, Exit::Done);
    fs::write(directory.path().join("c.yaml"), format!("{case}hop: x\n")).unwrap();
    let error = run_in(&directory, &arguments).unwrap_err();
    assert!(error.to_string().contains("c.yaml:3:1: hop is unknown in a case; did you mean hops?"), "{error}");
}

#[test]
fn what_is_missing_is_asked_for_by_the_flag_that_says_it() {
    let error = run(&["--path", "/"]).unwrap_err();
    assert!(
        error.exit() == Exit::Usage
            && error.to_string().contains("--caller")
            && error.to_string().contains("--unverified"),
        "{error}"
    );
    let nobody = run_in(&tempfile::tempdir().unwrap(), &["--caller", "spiffe://td/a"]).unwrap_err();
    assert!(
        nobody.to_string().contains("--config, --policies") && nobody.to_string().contains("--address"),
        "{nobody}"
    );
    for (address, wanted) in [
        ("ftp://x", "write unix:PATH, HOST:PORT or https://HOST:PORT"),
        ("https://127.0.0.1:1", "--svid, --key, --trust and --server-id"),
        ("unix:/nowhere/at/all.sock", "no sidecar answers on unix:/nowhere/at/all.sock"),
        ("127.0.0.1:1", "no sidecar answers on 127.0.0.1:1"),
    ] {
        let error = run_in(&tempfile::tempdir().unwrap(), &["--address", address]).unwrap_err();
        assert!(error.to_string().contains(wanted), "{address}: {error}");
    }
}
