//! Maps as text: what they say, and everything that can be wrong in them with its place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use authz_core::facts::NormalPath;
use cedar_policy::{EntityId, EntityUid};
use proptest::prelude::*;

use super::*;

const STRICT: Circumstances = Circumstances { refuse_path_parameters: true };
const LENIENT: Circumstances = Circumstances { refuse_path_parameters: false };

fn read(text: &str, circumstances: Circumstances) -> (Result<OperationMap, Vec<String>>, Vec<String>) {
    let source = Source { name: "map.yaml".into(), text: text.into() };
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let map = OperationMap::parse(&source, circumstances, &mut problems, &mut warnings);
    let said = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    (map.filter(|_| problems.is_empty()).ok_or(said(problems)), said(warnings))
}

#[track_caller]
fn refused(text: &str) -> Vec<String> {
    let problems = read(text, STRICT).0.unwrap_err();
    assert!(!problems.is_empty(), "nothing was read, and nothing said about it");
    problems
}

const SHOP: &str = r#"
operations:
  - http: GET /orders/{order}
    action: viewOrder
    resource: Order::"{order}"
    groups: [read]
  - grpc: shop.Orders/Get
    action: viewOrder
  - http: "* /files/{path...}"
    action: file
    resource: Shop::File::"files/{path}"
  - http: GET /orders/{order}/items/{item}
    action: viewItem
    resource: Item::"{order}/{item}"
"#;

#[test]
fn a_map_says_what_requests_are() {
    let (map, warnings) = read(SHOP, STRICT);
    let map = map.unwrap();
    assert_eq!((&*map.unmapped, warnings), ("unmapped", vec![]));
    let ask = |path| {
        let found = map.operations.find("GET", NormalPath::parse(path).unwrap(), None)?;
        let line = &map.lines[found.operation()];
        let resource = line.resource.as_ref().unwrap();
        let id = EntityId::new(resource.id.fill(&found));
        let resource = EntityUid::from_type_name_and_id(resource.kind.clone(), id);
        Some((line.at.line, line.action.to_string(), resource.to_string()))
    };
    let said = |line, action: &str, resource: &str| Some((line, action.to_owned(), resource.to_owned()));
    assert_eq!(ask("/orders/7"), said(3, "viewOrder", r#"Order::"7""#));
    assert_eq!(ask("/orders/a%3Ab%22"), said(3, "viewOrder", r#"Order::"a:b\"""#));
    assert_eq!(ask("/files/a/b"), said(9, "file", r#"Shop::File::"files/a/b""#));
    assert_eq!(ask("/orders/7/items/8"), said(12, "viewItem", r#"Item::"7/8""#));
    assert_eq!(ask("/x"), None);
    let view = &map.actions["viewOrder"];
    assert_eq!((view.at.line, view.groups.as_slice()), (3, ["read".into()].as_slice()));
    assert_eq!(view.resources.keys().cloned().collect::<Vec<_>>(), [None, Some("Order".parse().unwrap())]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = r#"
unmaped: x
operations:
  - http: GET /orders/{order
    action: viewOrder
  - http: GET /orders/{order}
    resource: Order::"{id}"
    action: viewOrder
  - http: GET /a
    grpc: a.B/C
    action: a
    colour: red
  - action: a
  - http: GET /b
  - grpc: a.B/C
    action: a
    resource: Order::"{order}"
    groups: read
  - just text
  - http: GET /c
    http: GET /d
    action: 7
"#;
    let expected = [
        "map.yaml:2:1: unmaped is unknown; in an operation map can be unmapped, operations",
        "map.yaml:4:11: segment \"{order\" has a brace that is not around the whole of it; write {name}, or {name...} at the end, and %7B or %7D for a brace itself",
        "map.yaml:7:15: resource has a parameter \"id\", which the path does not have; it has order",
        "map.yaml:12:5: colour is unknown; in a line can be http, grpc, action, resource, groups",
        "map.yaml:10:11: http and grpc stand in one line; write two lines with one action",
        "map.yaml:13:5: http is missing (or grpc); write which requests, as http: GET /orders/{order}",
        "map.yaml:14:5: action is missing; write what these requests do, as action: viewOrder",
        "map.yaml:18:13: groups must be a list, as [read]",
        "map.yaml:17:15: resource has a parameter \"order\", but the path of a gRPC call has none; leave the braces out, or the resource",
        "map.yaml:19:5: \"just text\" stands for a line; write http, grpc, action, resource, groups",
        "map.yaml:21:5: http is set twice; keep one of them",
        "map.yaml:22:13: an action is 7; write text, in quotes if need be",
    ];
    assert_eq!(refused(text), expected);
}

#[test]
fn what_is_no_map_is_refused() {
    let cases = [
        ("", "stands for an operation map"),
        ("[]", "stands for an operation map"),
        ("operations:", "operations is missing"),
        ("operations: []", "a list of one line at least"),
        ("operations: x", "a list of one line at least"),
        ("operations:\n  - http: * /a\n    action: a", "text that begins with * or { needs quotes"),
        ("operations: [{", "is no YAML"),
        ("unmapped: [a]\noperations: [{http: GET /a, action: a}]", "an action is a list"),
        ("operations: [{http: GET /a, action: \"tcp:connect\"}]", "is that of connections"),
        ("operations: [{http: GET /a, action: unmapped}]", "which no line matches"),
        ("unmapped: a\noperations: [{http: GET /a, action: a}]", "which no line matches"),
    ];
    for (text, expected) in cases {
        let problems = refused(text);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{text:?}: {problems:?}");
    }
    let long = format!("#{}", " ".repeat(MAX_BYTES));
    assert!(refused(&long)[0].contains("are more than the 8388608"));
}

#[test]
fn lines_that_contradict_each_other_are_told_with_both_places() {
    let text = r#"
operations:
  - { http: "GET /a/{x}", action: a }
  - { http: "GET /a/{y}", action: b }
  - { http: "GET /a/{x}", action: a }
  - { grpc: a.B/C, action: a, groups: [read] }
  - { grpc: a.B/C, action: a, groups: [write, read] }
"#;
    assert_eq!(
        refused(text),
        [
            "map.yaml:4:5: GET /a/{y} matches exactly the requests of GET /a/{x} in line 3; keep one of them",
            "map.yaml:5:5: GET /a/{x} stands already in line 3; keep one of them",
            "map.yaml:7:5: grpc a.B/C stands already in line 6; keep one of them",
            "map.yaml:7:5: action \"a\" is in other groups in line 6; write the same, or write groups in one line only",
        ]
    );
}

#[test]
fn a_line_that_is_never_found_is_an_error() {
    let text = r#"
operations:
  - { http: "GET /{all...}", action: a }
  - { http: "GET /", action: b }
  - { http: "GET /{x}", action: b }
  - { http: "GET /{x}/{y...}", action: b }
"#;
    assert_eq!(
        refused(text),
        ["map.yaml:3:5: GET /{all...} is never found: more specific lines take all its requests; remove it"]
    );
    let text = "operations: [{http: GET /a;v=1, action: a}]";
    assert!(refused(text)[0].contains("policy.path_parameters refuses"), "{:?}", refused(text));
    assert!(read(text, LENIENT).0.is_ok());
}

#[test]
fn a_template_that_matches_everything_is_warned_about() {
    let (map, warnings) = read("operations:\n  - { http: \"* /{all...}\", action: a }", STRICT);
    assert_eq!(warnings, ["map.yaml:2:5: takes every request with a path, so none is left for action \"unmapped\""]);
    assert!(map.is_ok());
    assert_eq!(read("operations:\n  - { http: \"GET /{all...}\", action: a }", STRICT).1, [""; 0]);
}

#[test]
fn a_bad_resource_is_refused_with_the_remedy() {
    let cases = [
        ("Order", "write a type and an id"),
        ("Order::x", "write a type and an id"),
        ("Order::\"\"", "needs an id"),
        ("Order::\"a\\\\b\"", "needs an id"),
        ("Or der::\"x\"", "no name of an entity type"),
        ("::\"x\"", "no name of an entity type"),
        ("Order::\"{a}{b}\"", "without a / between"),
        ("Order::\"{c}\"", "it has a, b"),
    ];
    let operation = Operation::parse("GET /{a}/{b}").unwrap();
    for (text, expected) in cases {
        let error = ResourceTemplate::parse(text, &operation).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_map_of_ten_thousand_operations_loads_at_once() {
    let mut text = "operations:\n".to_owned();
    for number in 0..10_000 {
        text += &[
            &format!("  - http: GET /resource{number}/{{id}}\n"),
            &format!("    action: view{number}\n    resource: Thing::\"{{id}}\"\n    groups: [read]\n"),
        ]
        .map(String::as_str)
        .concat();
    }
    let begun = Instant::now();
    assert_eq!(read(&text, STRICT).0.unwrap().lines.len(), 10_000);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}, unoptimised", begun.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_silent(text in "(unmapped|operations|- http|- grpc|action|resource|groups|[-:{}\\[\\]\"'*&/. \n]|GET /\\{a\\}|a){0,24}|.*") {
        if let Err(problems) = read(&text, STRICT).0 {
            prop_assert!(!problems.is_empty());
        }
    }
}
