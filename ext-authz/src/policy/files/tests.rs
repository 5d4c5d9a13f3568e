//! Which files a path stands for.

use std::fs;

use tempfile::TempDir;

use super::*;

fn names(files: &PolicyFiles) -> Vec<String> {
    let sources = read(files).unwrap();
    let name = |source: &Source| source.name.rsplit('/').next().unwrap().to_owned();
    sources.policies.iter().map(name).collect()
}

fn files(policies: Vec<PathBuf>) -> PolicyFiles {
    PolicyFiles {
        policies,
        schema: None,
        entities: None,
        operations: None,
        service: "cart".into(),
        limit_millis: 1,
        deny_limit_millis: 1,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    }
}

#[test]
fn a_path_is_a_file_a_directory_or_a_pattern() {
    let home = TempDir::new().unwrap();
    for name in ["b.cedar", "a.cedar", "a.json", ".hidden.cedar", "c.cedar~"] {
        fs::write(home.path().join(name), "").unwrap();
    }
    fs::create_dir(home.path().join("d.cedar")).unwrap();
    let at = |name: &str| home.path().join(name);
    let cases: [(Vec<PathBuf>, &[&str]); 5] = [
        (vec![at("a.json")], &["a.json"]),
        (vec![home.path().into()], &["a.cedar", "b.cedar"]),
        (vec![at("a*")], &["a.cedar", "a.json"]),
        (vec![at("*.cedar~"), at("b.cedar")], &["c.cedar~", "b.cedar"]),
        (vec![at("x*")], &[]),
    ];
    for (paths, expected) in cases {
        assert_eq!(names(&files(paths.clone())), expected, "{paths:?}");
    }
    assert_eq!(files(vec![at("a*"), at("b.cedar")]).watched(), [home.path().to_path_buf(), at("b.cedar")]);
}

#[test]
fn a_star_is_any_text_and_everything_else_is_itself() {
    let cases = [
        ("*", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "acb", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "aXcYb", false),
        ("*.cedar", "x.cedar", true),
        ("*.cedar", "x.cedar.bak", false),
        ("ab*b", "ab", false),
        ("a*ab", "ab", false),
        ("a?c*", "abc", false),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn every_file_that_can_not_be_read_is_told() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("binary"), b"\xff").unwrap();
    let set = PolicyFiles {
        schema: Some(home.path().join("no.cedarschema")),
        entities: Some(home.path().to_path_buf()),
        operations: None,
        ..files(vec![home.path().join("no.cedar"), home.path().join("binary"), home.path().join("none/*.cedar")])
    };
    let Err(PolicyError::Unreadable(unreadable)) = load(&set) else { panic!("loaded") };
    let told: Vec<_> = unreadable.iter().map(|one| one.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(told[..4], ["no.cedar", "*.cedar", "binary", "no.cedarschema"]);
    assert_eq!(told.len(), 5);
}
