//! Which package may depend on which, from the manifests.

use std::{collections::BTreeSet, fs};

use countersign_tests::root;

/// All that these may depend on: what builds for wasm or is pure stays small on purpose.
const ALLOWED: &[(&str, &[&str])] = &[
    // `form_urlencoded`: what a query parameter says is a standard with a library, not a rule of ours.
    ("authz-core", &["form_urlencoded", "hashbrown", "thiserror"]),
    ("authz-wire", &["prost"]),
    ("wasm-filter", &["authz-core", "authz-wire", "hashbrown", "prost", "proxy-wasm", "serde", "serde_json"]),
];

/// What these may not depend on, not even for their tests.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "authz-core",
        &["authz-wire", "countersign", "countersign-tests", "loadtest", "prost", "tokio", "tonic", "wasm-filter"],
    ),
    ("authz-wire", &["authz-core", "countersign", "countersign-tests", "loadtest", "tokio", "tonic", "wasm-filter"]),
    ("ext-authz", &["countersign-tests", "loadtest", "wasm-filter"]),
    ("tests", &["loadtest"]),
    ("wasm-filter", &["countersign", "countersign-tests", "envoy-types", "loadtest", "tokio", "tonic"]),
];

/// The dependencies of the package in `folder`, of the kinds that end with one of `kinds`.
fn dependencies(folder: &str, kinds: &[&str]) -> BTreeSet<String> {
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut found, mut counts) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let kind = section.rsplit('.').next().unwrap_or_default();
            counts = kinds.contains(&kind);
            // `[dependencies.name]`
            let table = section.rsplit_once('.').filter(|(before, _)| kinds.iter().any(|kind| before.ends_with(kind)));
            found.extend(table.map(|(_, name)| name.to_owned()));
        } else if counts && !line.starts_with('#') && line.contains('=') {
            found.insert(line.split(['.', '=', ' ']).next().unwrap_or_default().to_owned());
            let renamed = line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            found.extend(renamed.map(ToOwned::to_owned));
        }
    }
    found
}

#[test]
fn the_pure_and_the_wasm_packages_depend_on_nothing_but_what_is_listed() {
    for (folder, allowed) in ALLOWED {
        let found = dependencies(folder, &["dependencies"]);
        let listed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        assert_eq!(found, listed, "{folder}: change the list in this test only with a reason");
    }
}

#[test]
fn dependencies_point_from_the_edges_to_the_core() {
    for (folder, forbidden) in FORBIDDEN {
        let found = dependencies(folder, &["dependencies", "dev-dependencies", "build-dependencies"]);
        let bad: Vec<_> = forbidden.iter().filter(|name| found.contains(**name)).collect();
        assert!(bad.is_empty() && !found.is_empty(), "{folder} depends on {bad:?}");
    }
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 4, "{members:?}");
    for member in members {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
}

#[test]
fn a_clippy_toml_of_a_package_repeats_the_settings_of_the_workspace() {
    let settings = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for folder in ["authz-core", "ext-authz", "wasm-filter"] {
        let own = fs::read_to_string(root().join(folder).join("clippy.toml")).unwrap();
        let missing: Vec<&str> = settings.lines().filter(|line| !own.lines().any(|other| other == *line)).collect();
        assert!(missing.is_empty(), "{folder}/clippy.toml replaces the workspace's and lacks {missing:?}");
    }
}
