//! `policy test` on real files.

use std::{fs, path::PathBuf};

use clap::Parser as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Cli, CliError, Exit};

const POLICIES: &str =
    "@id(\"reads\")\npermit(principal, action in Action::\"read\", resource) when { context.http.path like \"/a*\" };";
const CASES: &str =
    "policies: p.cedar\ncases:\n- { name: reads, caller: spiffe://td/a, request: GET /a, expect: allow }\n";

/// A directory with `p.cedar` and `c.yaml`.
fn files(policies: &str, cases: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.cedar"), policies).unwrap();
    fs::write(directory.path().join("c.yaml"), cases).unwrap();
    directory
}

fn run(directory: &TempDir, arguments: &[&str]) -> Result<(String, Exit), CliError> {
    let file =
        |name: &&str| -> PathBuf { if name.contains('.') { directory.path().join(name) } else { PathBuf::from(name) } };
    let arguments = ["countersign", "policy", "test"].iter().chain(arguments).map(file);
    let mut out = Vec::new();
    let exit = Cli::try_parse_from(arguments).unwrap().run(&mut out)?;
    Ok((String::from_utf8(out).unwrap(), exit))
}

#[test]
fn cases_that_pass_are_counted_and_gaps_are_named() {
    let (text, exit) = run(&files(POLICIES, CASES), &["c.yaml"]).unwrap();
    assert_eq!(exit, Exit::Done);
    let (gap, summary) = text.trim_end().split_once('\n').unwrap();
    assert!(
        gap.ends_with("p.cedar:1:1: policy reads: no case where this is false: context.http.path like \"/a*\""),
        "{gap}"
    );
    assert_eq!(
        summary,
        "1 cases, 0 failed; coverage 66.6 %: 1 of 1 policies matched, 0 of 1 conditions seen both true and false"
    );
}

#[test]
fn a_case_that_fails_or_too_little_coverage_is_exit_code_1() {
    let directory = files(POLICIES, &CASES.replace("expect: allow", "expect: deny"));
    let (text, exit) = run(&directory, &["c.yaml", "--junit", "r.xml"]).unwrap();
    assert_eq!(exit, Exit::Refused);
    assert!(
        text.starts_with("FAIL ") && text.contains("c.yaml:3: reads\n  expected deny, but it is allow (permit)\n"),
        "{text}"
    );
    assert!(fs::read_to_string(directory.path().join("r.xml")).unwrap().contains("<failure message=\"expected deny"));
    let directory = files(POLICIES, CASES);
    let (text, exit) = run(&directory, &["--min-coverage", "67", "c.yaml"]).unwrap();
    assert!(exit == Exit::Refused && text.contains("below the 67 %"), "{text}");
    assert_eq!(run(&directory, &["--min-coverage", "66%", "c.yaml"]).unwrap().1, Exit::Done);
}

#[test]
fn json_has_cases_summary_and_gaps_in_one_object() {
    let (text, _) = run(&files(POLICIES, CASES), &["--output", "json", "c.yaml"]).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["cases"][0]["passed"], &report["summary"]["failed"]), (&true.into(), &0.into()));
    assert_eq!((&report["gaps"][0]["policy"], &report["gaps"][0]["never"]), (&"reads".into(), &"false".into()));
    assert_eq!(report["cases"][0]["explanation"]["policies"][0]["conditions"][1]["holds"], true);
}

#[test]
fn files_about_the_same_policies_cover_them_together() {
    let directory = files(POLICIES, CASES);
    let more = "policies: p.cedar\ncases:\n- { name: no, caller: spiffe://td/a, request: GET /b, expect: deny }\n";
    fs::write(directory.path().join("d.yaml"), more).unwrap();
    let (text, _) = run(&directory, &["c.yaml", "d.yaml"]).unwrap();
    assert!(text.starts_with("2 cases, 0 failed; coverage 100 %: 1 of 1 policies"), "{text}");
}

#[test]
fn policies_of_the_command_line_count_before_those_of_the_file() {
    let directory = files(POLICIES, CASES);
    fs::write(directory.path().join("q.cedar"), "forbid(principal, action, resource);").unwrap();
    assert_eq!(run(&directory, &["--policies", "q.cedar", "c.yaml"]).unwrap().1, Exit::Refused);
}

#[test]
fn what_can_not_be_used_is_exit_code_2_with_everything_that_is_wrong() {
    let said = |policies: &str, cases: &str| {
        let error = run(&files(policies, cases), &["c.yaml"]).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        error.to_string()
    };
    assert!(said(POLICIES, "cases: 1\nx: 2").contains("c.yaml:2:1: x is unknown"));
    assert!(said("permit(", CASES).contains("p.cedar:1:"));
    assert!(
        said(POLICIES, &CASES.replace("policies: p.cedar\n", "")).contains("write policies: [FILE, …] or config: FILE")
    );
    assert!(said(POLICIES, &CASES.replace("allow", "allow, policies: raeds")).contains("did you mean reads?"));
    assert!(
        run(&files(POLICIES, CASES), &["missing.yaml"]).unwrap_err().to_string().contains("missing.yaml: No such file")
    );
}
