//! Tables: lines, requests, and the operation found; and what is refused.

use super::*;

mod random;

fn operations(texts: &[&str]) -> Operations {
    Operations::parse(texts.iter().copied()).unwrap()
}

/// The operation found, and its values.
fn found<'p>(
    operations: &Operations,
    method: &str,
    path: &'p str,
    content_type: Option<&str>,
) -> Option<(usize, Vec<&'p str>)> {
    let found = operations.find(method, NormalPath::parse(path).unwrap(), content_type)?;
    Some((found.operation(), found.values().to_vec()))
}

#[test]
fn the_most_specific_template_is_meant_whatever_the_order() {
    let lines = [
        "GET /orders/{order}",
        "GET /orders/open",
        "GET /orders/",
        "GET /orders",
        "GET /orders/{order}/items/{item}",
        "GET /orders/{order}/{rest...}",
        "GET /{all...}",
        "GET /",
        "GET /orders/open/items/{item}/x",
    ];
    let cases: [(&str, usize, &[&str]); 12] = [
        ("/orders/7", 0, &["7"]),
        ("/orders/open", 1, &[]),
        ("/orders/", 2, &[]),
        ("/orders", 3, &[]),
        ("/orders/7/items/a", 4, &["7", "a"]),
        ("/orders/7/items/a/b", 5, &["7", "items/a/b"]),
        ("/orders/7/", 5, &["7", ""]),
        ("/other", 6, &["other"]),
        ("/other/x/", 6, &["other/x/"]),
        ("/", 7, &[]),
        ("/orders/open/items/1/x", 8, &["1"]),
        // Back from the literal, where it leads nowhere.
        ("/orders/open/items/1", 4, &["open", "1"]),
    ];
    let map = operations(&lines);
    let mut turned = lines;
    turned.reverse();
    let turned = operations(&turned);
    for (path, number, values) in cases {
        assert_eq!(found(&map, "GET", path, None), Some((number, values.to_vec())), "{path}");
        assert_eq!(found(&turned, "GET", path, None).unwrap().0, lines.len() - 1 - number, "{path}");
        assert_eq!(found(&map, "HEAD", path, None), None, "HEAD is not GET");
    }
}

#[test]
fn a_parameter_is_never_empty_and_a_rest_has_a_segment() {
    let map = operations(&["GET /a/{x}", "GET /b/{x...}"]);
    assert_eq!(found(&map, "GET", "/a/", None), None);
    assert_eq!(found(&map, "GET", "/a", None), None);
    assert_eq!(found(&map, "GET", "/a/7/", None), None);
    assert_eq!(found(&map, "GET", "/b", None), None);
    assert_eq!(found(&map, "GET", "/b/", None), Some((1, vec![""])));
}

#[test]
fn paths_come_before_methods_and_a_named_method_before_any() {
    let map = operations(&["* /a/b", "GET /a/{x}", "POST /a/b", "* /a/{x}"]);
    assert_eq!(found(&map, "GET", "/a/b", None).unwrap().0, 0);
    assert_eq!(found(&map, "POST", "/a/b", None).unwrap().0, 2);
    assert_eq!(found(&map, "GET", "/a/c", None).unwrap().0, 1);
    assert_eq!(found(&map, "PURGE", "/a/c", None).unwrap().0, 3);
    // A more specific path that has no such method is none.
    let map = operations(&["GET /a/b", "* /a/{x}"]);
    assert_eq!(found(&map, "POST", "/a/b", None), Some((1, vec!["b"])));
}

#[test]
fn calls_of_grpc_are_told_by_content_type() {
    let map = operations(&["grpc shop.Orders/Get", "grpc shop.Orders/*", "POST /shop.Orders/Get", "* /{all...}"]);
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/gRPC+json"] {
        assert_eq!(found(&map, "POST", "/shop.Orders/Get", Some(kind)).unwrap().0, 0, "{kind}");
        assert_eq!(found(&map, "POST", "/shop.Orders/List", Some(kind)).unwrap().0, 1, "{kind}");
        assert_eq!(found(&map, "GET", "/shop.Orders/Get", Some(kind)).unwrap().0, 3, "{kind}");
        for path in ["/shop.Orders/Get/x", "/shop.Orders/", "/shop.Orders", "/shop.orders/Get", "/x/shop.Orders/Get"] {
            assert_eq!(found(&map, "POST", path, Some(kind)).unwrap().0, 3, "{kind} {path}");
        }
    }
    for kind in [None, Some("application/grpc-web"), Some("application/grpcx"), Some("text/plain"), Some("")] {
        assert_eq!(found(&map, "POST", "/shop.Orders/Get", kind).unwrap().0, 2, "{kind:?}");
    }
}

#[test]
fn a_request_is_read_with_its_content_type() {
    struct Grpc;
    impl crate::facts::Headers for Grpc {
        fn one(&self, name: &str) -> HeaderValue<'_> {
            if name == "content-type" { HeaderValue::One("application/grpc") } else { HeaderValue::Absent }
        }
        fn has_repeated(&self) -> bool {
            false
        }
    }
    let map = operations(&["grpc a.B/C", "POST /a.B/C"]);
    let http = |headers| Http::new("POST", "/a.B/C?x=1", "h", "https", "HTTP/2", headers).unwrap();
    assert_eq!(map.of(&http(&Grpc)).unwrap().operation(), 0);
    assert_eq!(map.of(&http(&crate::facts::NoHeaders)).unwrap().operation(), 1);
}

#[test]
fn what_has_no_path_is_no_operation() {
    let map = operations(&["* /{all...}"]);
    for (method, target) in [("OPTIONS", "*"), ("CONNECT", "")] {
        let http = Http::new(method, target, "h", "https", "HTTP/2", &crate::facts::NoHeaders).unwrap();
        assert_eq!(map.of(&http), None, "{method}");
    }
}

#[test]
fn escapes_match_in_either_case_and_values_can_be_decoded() {
    let map = operations(&["GET /caf%C3%A9/{x}"]);
    for path in ["/caf%C3%A9/a%3Ab", "/caf%c3%a9/a%3ab", "/caf%C3%a9/a:b"] {
        let found = map.find("GET", NormalPath::parse(path).unwrap(), None).unwrap();
        assert_eq!(found.decoded(0).unwrap(), "a:b", "{path}");
        assert_eq!(found.decoded(1), None);
    }
    assert_eq!(found(&map, "GET", "/cafe/x", None), None);
}

#[test]
fn a_resource_is_named_by_values_of_the_path() {
    let map = operations(&["GET /{x}/{y} = orders: {y}/{x}", "GET /a = all of them", "GET /b"]);
    let id = |path| {
        let found = map.find("GET", NormalPath::parse(path).unwrap(), None).unwrap();
        (map.resource_id(&found).map(Cow::into_owned), map.name(Some(&found)).to_owned())
    };
    let some = |id: &str, name: &str| (Some(id.to_owned()), name.to_owned());
    assert_eq!(id("/1/2%3a3"), some("orders: 2:3/1", "GET /{x}/{y} = orders: {y}/{x}"));
    assert_eq!(id("/a"), some("all of them", "GET /a = all of them"));
    assert_eq!(id("/b"), (None, "GET /b".to_owned()));
    assert_eq!(map.name(None), "unmapped");
}

#[test]
fn a_bad_resource_is_refused_with_the_remedy() {
    let cases = [
        ("GET /{a} = ", "needs an id"),
        ("GET /{a} = a\\b", "needs an id"),
        ("GET /{a} = a\"b", "needs an id"),
        ("GET /{a} = {a", "has a brace without another"),
        ("GET /{a} = a}", "has a brace without another"),
        ("GET /{a} = {a}}", "has a brace without another"),
        ("GET /{a}/{b} = {a}{b}", "without a / between"),
        ("GET /{a}/{b} = {a}-{b}", "without a / between"),
        ("GET /{a}/{b} = {c}", "has a parameter \"c\", which the path does not have; it has a, b"),
        ("GET /order = {order}", "but the path has none (write {order} there, too)"),
        ("GET /orders = {order}", "has a parameter \"order\", but the path has none"),
        ("grpc a.B/C = {order}", "but the path of a gRPC call has none"),
    ];
    for (text, expected) in cases {
        let error = Line::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn operations_that_match_the_same_requests_are_told_apart_by_nothing() {
    let lines = [
        "GET /a/{x}",
        "GET /a/{y}",
        "* /a/{x}",
        "GET /a/{x...}",
        "* /a/{z}",
        "grpc a.B/C",
        "POST /a.B/C",
        "grpc a.B/*",
        "grpc a.B/C",
        "grpc a.B/*",
    ];
    let list = lines.iter().map(|text| Line::parse(text).unwrap()).collect();
    let conflict = |operation, other| Fault::Conflict { operation, other };
    assert_eq!(
        Operations::new(list).unwrap_err(),
        [conflict(1, 0), conflict(4, 2), conflict(8, 5), conflict(9, 7)],
        "parameters' names make no difference; methods and kinds do"
    );
}

#[test]
fn an_operation_whose_requests_are_all_taken_is_dead() {
    let dead = |lines: &[&str]| {
        let list = lines.iter().map(|text| Line::parse(text).unwrap()).collect();
        Operations::new(list).err().unwrap_or_default()
    };
    let is_dead = |operation| vec![Fault::Dead { operation }];
    assert_eq!(dead(&["GET /a/{x...}", "GET /a/", "GET /a/{x}", "GET /a/{x}/{y...}"]), is_dead(0));
    assert_eq!(dead(&["GET /a/{x...}", "* /a/", "* /a/{x}", "* /a/{x}/{y...}"]), is_dead(0));
    assert_eq!(dead(&["GET /{x...}", "* /", "* /{x}", "* /{x}/", "* /{x}/{y}", "* /{x}/{y}/{z...}"]), is_dead(0));
    let alive: [&[&str]; 5] = [
        &["GET /a/{x...}", "GET /a/{x}", "GET /a/{x}/{y...}"],
        &["GET /a/{x...}", "GET /a/", "GET /a/{x}/{y...}"],
        &["GET /a/{x...}", "GET /a/", "GET /a/{x}", "GET /a/{x}/{y}"],
        &["* /a/{x...}", "GET /a/", "GET /a/{x}", "GET /a/{x}/{y...}"],
        &["GET /a/{x...}", "GET /a/", "POST /a/{x}", "GET /a/{x}/{y...}"],
    ];
    for lines in alive {
        assert_eq!(dead(lines), [], "{lines:?}");
    }
}

#[test]
fn a_bad_text_is_refused_with_the_remedy() {
    let cases = [
        ("", "with one space between"),
        ("GET", "with one space between"),
        ("GET  /a", "with one space between"),
        ("GET /a b", "with one space between"),
        (" /a", "with one space between"),
        ("get /a", "written in capitals"),
        ("G{T /a", "written in capitals"),
        ("GET a", "does not begin with a slash"),
        ("GET /a?b=c", "leave the query out"),
        ("GET /a//b", "not in normal form"),
        ("GET /a/../b", "not in normal form"),
        ("GET /a%2fb", "not in normal form"),
        ("GET /caf%c3%a9", "not in normal form"),
        ("GET /caf\u{e9}", "not in normal form"),
        ("GET /%61", "not in normal form"),
        ("GET /*", "is a star"),
        ("GET /a/**", "is a star"),
        ("GET /a{x}", "not around the whole"),
        ("GET /{x}.json", "not around the whole"),
        ("GET /{x", "not around the whole"),
        ("GET /{}", "has no name"),
        ("GET /{...}", "has no name"),
        ("GET /{1a}", "has no name"),
        ("GET /{a-b}", "has no name"),
        ("GET /{a}{b}", "has no name"),
        ("GET /{a}/{a}", "stands twice"),
        ("GET /{a...}/b", "must be the last segment"),
        ("grpc Orders", "package.Service/Method"),
        ("grpc /a.B/C", "package.Service/Method"),
        ("grpc a..B/C", "package.Service/Method"),
        ("grpc a.B/C/D", "package.Service/Method"),
        ("grpc a.B/C*", "package.Service/Method"),
    ];
    for (text, remedy) in cases {
        let error = Operation::parse(text).unwrap_err().to_string();
        assert!(error.contains(remedy), "{text:?}: {error}");
    }
    let many = (0..=MAX_PARAMETERS).map(|number| format!("/{{p{number}}}"));
    assert_eq!(Template::parse(&many.collect::<Vec<_>>().concat()), Err(InvalidTemplate::Parameters));
    assert_eq!(Template::parse(&"/a".repeat(MAX_SEGMENTS + 1)), Err(InvalidTemplate::Segments));
    assert_eq!(Template::parse(&format!("/{}", "a".repeat(MAX_TEMPLATE))), Err(InvalidTemplate::Long));
    assert!(Template::parse(&"/a".repeat(MAX_SEGMENTS)).is_ok());
}
