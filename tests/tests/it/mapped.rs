//! Requests as operations: what the map says a request is decides, whether Envoy asks each time or the filter remembers.

use countersign::policy::BUILT_IN_SCHEMA;
use countersign_tests::{
    client::{Protocol, request, with_header},
    mesh::{CALLER, Mesh, Mode},
};
use http::Method;

const MAP: &str = r#"
operations:
  - http: GET /orders/{order}
    action: viewOrder
    resource: Order::"{order}"
    groups: [read]
  - http: POST /orders/{order}
    action: changeOrder
    resource: Order::"{order}"
    groups: [write]
  - grpc: shop.Orders/Get
    action: callOrders
"#;

const ORDERS: &str = "\nentity Order in [Service];\n";

const POLICIES: &str = r#"
@id("reads") permit(principal, action in Action::"read", resource in Service::"orders");
@id("one") permit(principal, action == Action::"changeOrder", resource == Order::"a:7");
@id("secret") forbid(principal, action, resource == Order::"secret");
@id("call") permit(principal, action == Action::"callOrders", resource);
@id("rest") permit(principal, action == Action::"unmapped", resource) when { context.http.path like "/public/*" };
"#;

#[tokio::test]
async fn a_request_gets_what_policies_say_of_its_operation_in_both_modes() {
    for mode in Mode::ALL {
        let schema = format!("{BUILT_IN_SCHEMA}{ORDERS}");
        let mesh = Mesh::build(mode).policies(POLICIES).operations(MAP, &schema).start().await;
        let client = mesh.client(&mesh.authority.issue(CALLER));
        let mut connection = client.connect(Protocol::Http2).await.unwrap();
        let cases = [
            (Method::GET, "/orders/1", "", 200),
            (Method::GET, "/orders/2", "", 200),
            (Method::GET, "/orders/secret", "", 403),
            (Method::POST, "/orders/1", "", 403),
            (Method::POST, "/orders/a:7", "", 200),
            (Method::POST, "/orders/a%3A7", "", 200),
            (Method::POST, "/orders/a%3a7", "", 200),
            (Method::POST, "/shop.Orders/Get", "application/grpc", 200),
            (Method::POST, "/shop.Orders/Get", "text/plain", 403),
            (Method::GET, "/public/x", "", 200),
            (Method::GET, "/elsewhere", "", 403),
            (Method::PUT, "/orders/1", "", 403),
        ];
        let mut decisions = Vec::new();
        for (method, path, content_type, expected) in cases.iter().chain(&cases) {
            if (method, *path) == (&cases[0].0, cases[0].1) {
                decisions.push(mesh.decisions().await);
            }
            let mut wanted = request(path);
            *wanted.method_mut() = method.clone();
            if !content_type.is_empty() {
                wanted = with_header(wanted, "content-type", content_type.as_bytes());
            }
            let reply = connection.send(wanted).await.unwrap();
            assert_eq!(reply.status.as_u16(), *expected, "{mode:?} {method} {path} {content_type}");
        }
        if mode == Mode::Filter {
            decisions.push(mesh.decisions().await);
            let asked: Vec<f64> = decisions.windows(2).map(|pair| pair[1] - pair[0]).collect();
            // No policy tells /orders/2 from /orders/1, and the three ways to write a:7 are one order.
            assert_eq!(asked, [9.0, 0.0], "asked in the first round, and in the second");
        }
        let action = |path: &'static str, action: &'static str| {
            mesh.audited(action, move |line| line["path"] == path && line["action"] == action)
        };
        action("/orders/secret", "viewOrder").await;
        action("/elsewhere", "unmapped").await;
    }
}
