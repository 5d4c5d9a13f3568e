//! README's tables say what the code says: they are derived here and looked up there, row by row.

use countersign::config::{KnobDefault, knobs};
use countersign::metrics::TABLE;
use countersign_tests::root;

#[track_caller]
fn check(rows: &[String]) {
    check_in("README.md", rows);
}

#[track_caller]
fn check_in(file: &str, rows: &[String]) {
    let text = std::fs::read_to_string(root().join(file)).expect(file);
    let missing: Vec<&String> = rows.iter().filter(|row| !text.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "{file} lacks these rows:\n{}", rows.join("\n"));
}

#[test]
fn the_config_table_of_the_readme_is_that_of_the_code() {
    let rows: Vec<String> = knobs()
        .map(|knob| {
            let default = match knob.default {
                KnobDefault::None => "none".to_owned(),
                KnobDefault::Required => "required".to_owned(),
                KnobDefault::Value(text) => format!("`{text}`"),
            };
            format!("| `{}` | {default} | {} |", knob.path, knob.meaning)
        })
        .collect();
    check(&rows);
}

#[test]
fn the_metric_table_of_the_readme_is_that_of_the_code() {
    let rows: Vec<String> =
        TABLE.iter().map(|row| format!("| `{}` | {} | {} | {} |", row.name, row.kind, row.labels, row.help)).collect();
    check(&rows);
}

#[test]
fn the_table_of_lint_rules_is_that_of_the_code() {
    let rows: Vec<String> = countersign::envoy_lint::rules()
        .map(|rule| format!("| `{}` | {} | {} | {} |", rule.name, rule.severity, rule.why, rule.remedy))
        .collect();
    check_in("envoy/README.md", &rows);
    let text = std::fs::read_to_string(root().join("envoy/README.md")).unwrap();
    let told = text.lines().filter(|line| line.contains("` | error | ") || line.contains("` | warning | ")).count();
    assert_eq!(told, rows.len(), "envoy/README.md has rows for rules that are gone");
}

#[test]
fn the_reason_table_of_the_readme_is_that_of_the_code() {
    use authz_core::reason::Reason;
    let rows: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| format!("| `{reason}` | {} | {} |", reason.class().as_str(), reason.http_status()))
        .collect();
    check(&rows);
}
