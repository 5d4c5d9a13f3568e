//! Files of cases against policies, and everything that is said about what came.

use std::{fs, path::Path};

use super::*;
use crate::policy::{Source as Text, Sources, inspect::Inspector};

mod cases;
mod covering;
mod explaining;

fn inspector(policies: &str) -> Inspector {
    Inspector::of(&Sources {
        policies: vec![Text { name: "a.cedar".into(), text: policies.into() }],
        schema: None,
        schema_extensions: vec![],
        entities: None,
        service: "cart".into(),
        limit_millis: 60_000,
        deny_limit_millis: 5_000,
        refuse_path_parameters: false,
        time_zone: crate::policy::TimeZone::utc(),
    })
    .unwrap()
}

/// The cases of a file in which only they stand.
fn cases(text: &str) -> CaseFile {
    CaseFile::parse(&format!("cases:\n{text}"), Path::new("c.yaml")).unwrap()
}

/// What came of cases, and what they covered.
fn ran(policies: &str, text: &str) -> (Vec<Run>, Coverage) {
    let inspector = inspector(policies);
    let mut coverage = Coverage::of(&inspector);
    (run(&inspector, &cases(text), &mut coverage).unwrap(), coverage)
}

#[test]
fn the_example_policies_pass_their_cases_and_every_condition_is_shown() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy");
    let file = CaseFile::load(&directory.join("example.cases.yaml")).unwrap();
    let Some(PolicySource::Files { policies, schema, entities, service, .. }) = &file.policies else { panic!() };
    let text =
        |path: &std::path::PathBuf| Text { name: path.display().to_string(), text: fs::read_to_string(path).unwrap() };
    let inspector = Inspector::of(&Sources {
        policies: policies.iter().map(text).collect(),
        schema: schema.as_ref().map(text),
        schema_extensions: vec![],
        entities: entities.as_ref().map(text),
        service: service.clone().unwrap(),
        limit_millis: 60_000,
        deny_limit_millis: 5_000,
        refuse_path_parameters: false,
        time_zone: crate::policy::TimeZone::utc(),
    })
    .unwrap();
    let mut coverage = Coverage::of(&inspector);
    let runs = run(&inspector, &file, &mut coverage).unwrap();
    let failed: Vec<String> = runs.iter().filter(|run| !run.passed).map(failure).collect();
    assert_eq!(failed, [""; 0]);
    let report = Report::new(runs, &[coverage]);
    assert_eq!(report.gaps, []);
    assert!(report.summary.coverage >= 100.0 && report.summary.cases > 10, "{:?}", report.summary);
}
