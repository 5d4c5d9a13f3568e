//! Random maps and requests: the tree finds what the rule says, looked up by trying every line.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{super::*, operations};

/// Whether a template matches, by its definition, and how specific it is there: one number a segment, less is more.
fn matches(template: &Template, path: &str) -> Option<Vec<u8>> {
    let given: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut kinds = Vec::new();
    for (at, segment) in template.segments().iter().enumerate() {
        let text = *given.get(at)?;
        kinds.push(match segment {
            Segment::Literal(literal) if **literal == *text => 0,
            Segment::Parameter(_) if !text.is_empty() => 1,
            Segment::Rest(_) => {
                kinds.push(2);
                return Some(kinds);
            }
            Segment::Literal(_) | Segment::Parameter(_) => return None,
        });
    }
    (kinds.len() == given.len()).then_some(kinds)
}

/// The rule itself: of all that match the most specific.
fn naive(operations: &[Line], method: &str, path: &str, content_type: Option<&str>) -> Option<usize> {
    let rank = |line: &Line| match line.operation() {
        Operation::Grpc { service, method: name } => {
            let called = path.strip_prefix(&format!("/{service}/"))?;
            let rank = match name {
                GrpcMethod::Named(name) if **name == *called => 0,
                GrpcMethod::Any if !called.is_empty() && !called.contains('/') => 1,
                GrpcMethod::Named(_) | GrpcMethod::Any => return None,
            };
            (method == "POST" && content_type.is_some()).then_some((0, vec![rank], 0))
        }
        Operation::Http { method: wanted, template } => {
            let rank = match wanted {
                HttpMethod::Named(name) if **name == *method => 0,
                HttpMethod::Any => 1,
                HttpMethod::Named(_) => return None,
            };
            Some((1, matches(template, path)?, rank))
        }
    };
    let ranked = operations.iter().enumerate().filter_map(|(number, operation)| Some((rank(operation)?, number)));
    ranked.min().map(|(_, number)| number)
}

fn operation() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[ab]", 1 => Just("a.B".to_owned()), 3 => Just("{}".to_owned())];
    let end = prop_oneof![3 => Just(""), 1 => Just("/"), 2 => Just("/{rest...}")];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("*")];
    let http = (method, prop::collection::vec(segment, 0..4), end).prop_map(|(method, segments, end)| {
        let segments = segments.iter().enumerate();
        let path = segments.map(|(at, segment)| format!("/{}", segment.replace("{}", &format!("{{p{at}}}"))));
        let path = path.collect::<Vec<_>>().concat();
        format!("{method} {}", if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + end })
    });
    prop_oneof![5 => http, 1 => "grpc a\\.B/([ab]|\\*)"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_tree_finds_what_the_rule_says(
        texts in prop::collection::vec(operation(), 1..24),
        requests in prop::collection::vec(("GET|POST|PUT", "/|(/(a|b|c|a\\.B)){1,5}/?", any::<bool>()), 1..24),
    ) {
        let list: Vec<Line> = texts.iter().map(|text| Line::parse(text).unwrap()).collect();
        match Operations::new(list.clone()) {
            Ok(map) => for (method, path, grpc) in requests {
                let content_type = grpc.then_some("application/grpc");
                let found = map.find(&method, NormalPath::parse(&path).unwrap(), content_type);
                prop_assert_eq!(found.map(|it| it.operation()), naive(&list, &method, &path, content_type), "{} {}", method, path);
                if let Some(found) = found {
                    prop_assert_eq!(found.values().len(), list[found.operation()].operation().parameters().count());
                }
            },
            Err(faults) => for fault in faults {
                let (Fault::Conflict { operation, .. } | Fault::Dead { operation }) = fault;
                // What is refused is never the one, whoever asks; of two that conflict the first is.
                for (method, path, grpc) in &requests {
                    prop_assert_ne!(naive(&list, method, path, grpc.then_some("application/grpc")), Some(operation));
                }
            },
        }
    }

    #[test]
    fn who_is_alive_is_found(texts in prop::collection::btree_set("GET /|GET /a/?|(GET|\\*) (/\\{p\\}|/\\{p\\}/\\{q\\}|/a|/a/\\{q\\})?(/|/\\{r\\.\\.\\.\\})", 1..12)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let list: Vec<Line> = texts.iter().map(|text| Line::parse(text).unwrap()).collect();
        // Every shape of a path that these can tell apart, under a method that is named and one that is not.
        let parts = ["", "/", "/a", "/a/", "/z", "/z/", "/a/z", "/a/z/", "/z/z", "/z/z/", "/z/z/z", "/a/z/z", "/a/z/z/"];
        let mut seen = BTreeSet::new();
        for (method, path) in ["GET", "PUT"].iter().flat_map(|method| parts.map(|path| (method, path))) {
            seen.extend(naive(&list, method, path, None));
        }
        let unseen: Vec<usize> = (0..list.len()).filter(|number| !seen.contains(number)).collect();
        let refused = Operations::new(list).err().unwrap_or_default();
        let refused: Vec<usize> = refused.iter().map(|fault| match fault {
            Fault::Conflict { operation, .. } | Fault::Dead { operation } => *operation,
        }).collect();
        let conflicts = texts.len() - texts.iter().collect::<BTreeSet<_>>().len();
        prop_assert_eq!(conflicts, 0);
        prop_assert_eq!(refused, unseen, "{:?}", texts);
    }

    #[test]
    fn an_operation_is_written_as_it_is_read(text in operation()) {
        prop_assert_eq!(Operation::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(grpc |GET |\\* )?[/{}.a-z*%;\u{e9} ]{0,20}|.*") {
        if let Ok(line) = Line::parse(&text) {
            prop_assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn no_id_makes_it_panic(text in "[a{}/=\"\\\\ ]{0,12}|.*") {
        let text = format!("GET /{{a}}/{{b}} = {text}");
        if let Ok(line) = Line::parse(&text) {
            prop_assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn different_values_give_different_ids(
        one in ("[a-c:]{1,3}", "[a-c:]{1,3}", "[a-c:]{1,3}(/[a-c:]{1,3}){0,2}"),
        other in ("[a-c:]{1,3}", "[a-c:]{1,3}", "[a-c:]{1,3}(/[a-c:]{1,3}){0,2}"),
        id in "[a-c:]?\\{x\\}[a-c:]?/[a-c:]?\\{y\\}/\\{z\\}|\\{z\\}/\\{x\\}/\\{y\\}|\\{x\\}/\\{z\\}/\\{y\\}",
    ) {
        let map = operations(&[&format!("GET /{{x}}/{{y}}/{{z...}} = {id}")]);
        let fill = |(x, y, z): &(String, String, String)| {
            let path = format!("/{x}/{y}/{z}");
            map.resource_id(&map.find("GET", NormalPath::parse(&path).unwrap(), None).unwrap()).unwrap().into_owned()
        };
        prop_assert_eq!(fill(&one) == fill(&other), one == other, "{:?} {:?}", one, other);
    }

    #[test]
    fn no_path_makes_it_panic(path in "(/[^/]{0,6}){0,40}|.*", text in operation()) {
        if let Some(path) = NormalPath::parse(&path) {
            let found = operations(&[&text, "* /a/b/c/d/e"]).find("GET", path, Some("application/grpc"));
            prop_assert!(found.is_none_or(|found| found.decoded(0).is_none_or(|value| !value.contains('\0'))));
        }
    }
}
