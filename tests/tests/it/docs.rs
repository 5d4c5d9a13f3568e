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
fn the_table_of_facts_has_every_attribute_of_the_built_in_schema_with_its_type_and_nothing_else() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("What policies can see")).unwrap();
    let rows: Vec<(&str, &str)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| row.split_once("` | ").and_then(|(path, rest)| Some((path, rest.split_once(" | ")?.0))).unwrap())
        .collect();
    // One row stands for all attributes of a record that extensions add to.
    let is_row = |path: &str, row: &str| {
        row == path
            || row
                .strip_suffix("NAME")
                .is_some_and(|record| path.strip_prefix(record).is_some_and(|name| !name.contains('.')))
    };
    let facts = countersign::policy::built_in_facts().unwrap();
    let missing: Vec<String> = facts
        .iter()
        .filter(|fact| !rows.iter().any(|(row, kind)| is_row(&fact.path, row) && *kind == fact.kind))
        .map(|fact| format!("| `{}` | {} | …", fact.path, fact.kind))
        .collect();
    assert!(missing.is_empty(), "README.md lacks:\n{}", missing.join("\n"));
    let open = "context.http.query_parameters.NAME";
    let gone: Vec<_> =
        rows.iter().filter(|(row, _)| *row != open && !facts.iter().any(|fact| is_row(&fact.path, row))).collect();
    assert!(gone.is_empty(), "the schema lacks {gone:?}");
    for name in facts.iter().filter_map(|fact| fact.path.strip_prefix("context.http.headers.")) {
        assert!(section.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn schema_and_readme_say_which_version_it_is() {
    let version = format!("Schema version {}", countersign::policy::SCHEMA_VERSION);
    assert!(countersign::policy::BUILT_IN_SCHEMA.contains(&format!("// {version}.")), "{version}");
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let row = format!("| {} | ", countersign::policy::SCHEMA_VERSION);
    assert!(text.contains(&row), "README.md does not say what version {version} changed");
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
