//! One path, one meaning: what policies saw is what the service got, or the request was refused; with Envoy's normalisation and without.

use countersign_tests::client::{Protocol, request, with_header};
use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::mesh::{CALLER, Mesh, Mode};
use http::StatusCode;

/// Everything but `/admin` and what is below it.
const POLICIES: &str = r#"
permit (principal, action, resource);
@id("no-admin")
forbid (principal, action, resource)
when { context.http.path == "/admin" || context.http.path like "/admin/*" || context.http.path == "/caf%C3%A9" };
"#;

/// Ways to say `/admin` that some readers resolve and others do not, and plain nonsense.
pub const TRICKS: &[&str] = &[
    "//admin",
    "/./admin",
    "/a/../admin",
    "/a/..//admin",
    "/%61dmin",
    "/admin%2f",
    "/%2e%2e/admin",
    "/a/%2e%2e/admin",
    "/a/..;/admin",
    "/..;/admin",
    "/;/admin",
    "/a\\..\\admin",
    "/a%5c..%5cadmin",
    "/a/..%2fadmin",
    "/a%252f..%252fadmin",
    "/admin%00",
    "/admin%0a",
    "/%c0%afadmin",
    "/adm%ff",
    "/a%zz",
    "/admin/.",
    "/admin/..",
    "/admin#x",
    "/a?x#/admin",
    "/caf%c3%a9",
    "/caf%C3%a9",
];

async fn answer(mesh: &Mesh, path: &str) -> (u16, String) {
    let mut connection = mesh.client(&mesh.authority.issue(CALLER)).raw(Protocol::Http1).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
    connection.write(head.as_bytes()).await.unwrap();
    let reply = String::from_utf8_lossy(&connection.read_to_close().await).into_owned();
    let status = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, reply)
}

/// The path in the service's echo.
fn received(reply: &str) -> String {
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
    let echo: serde_json::Value = serde_json::from_str(json).unwrap();
    echo["path"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_trick_reaches_what_is_forbidden_and_what_passes_is_what_policies_saw() {
    for mode in Mode::ALL {
        for normalised in [true, false] {
            let build = Mesh::build(mode).policies(POLICIES);
            let build = if normalised { build } else { build.envoy(EnvoyBuilder::without_path_normalisation) };
            let mesh = build.start().await;
            for trick in TRICKS.iter().chain(TRICKS) {
                let (status, reply) = answer(&mesh, trick).await;
                if status == 200 {
                    let path = received(&reply);
                    let seen = mesh
                        .audited("the decision", |line| {
                            line["verdict"] == "allow" && line["path"] == path.split('?').next().unwrap()
                        })
                        .await;
                    assert!(
                        !path.starts_with("/admin") && !path.contains("//"),
                        "{mode:?} {normalised} {trick}: {path} {seen}"
                    );
                } else {
                    assert!(matches!(status, 400 | 403), "{mode:?}, normalised {normalised}, {trick}: {reply}");
                }
            }
            let (status, _) = answer(&mesh, "/orders?next=/admin").await;
            assert_eq!(status, 200, "the query is no path");
        }
    }
}

#[tokio::test]
async fn a_header_that_may_be_there_once_is_refused_twice_whoever_reads_it() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).policies("permit (principal, action, resource);").start().await;
        let mut connection = mesh.client(&mesh.authority.issue(CALLER)).connect(Protocol::Http1).await.unwrap();
        // The first answer makes the filter know caller and decision.
        for name in ["x-any", "authorization", "content-type", "origin", "x-any"] {
            let twice = with_header(with_header(request("/"), name, b"Basic one"), name, b"Basic two");
            let reply = connection.send(twice).await.unwrap();
            // Envoy itself joins the values of some headers into one; that is seen too.
            let expected = if name == "x-any" { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(reply.status, expected, "{mode:?} {name}");
        }
        mesh.audited("a refusal", |line| line["reason"] == "header_ambiguous").await;
    }
}

#[tokio::test]
async fn the_reason_of_an_ambiguous_path_is_its_own() {
    let mesh =
        Mesh::build(Mode::ExtAuthz).policies(POLICIES).envoy(EnvoyBuilder::without_path_normalisation).start().await;
    assert_eq!(answer(&mesh, "/a/../admin").await.0, 403);
    mesh.audited("the reason", |line| line["reason"] == "path_ambiguous" && line["path"] == "/a/../admin").await;
}

#[tokio::test]
async fn parameters_of_segments_are_refused_where_configured_also_by_a_filter_that_remembers_the_caller() {
    for mode in Mode::ALL {
        let lax = Mesh::build(mode).policies("permit (principal, action, resource);").start().await;
        assert_eq!(answer(&lax, "/a;v=1").await.0, 200, "{mode:?}");
        let strict = Mesh::build(mode)
            .policies("permit (principal, action, resource);")
            .refusing_path_parameters()
            .start()
            .await;
        let client = strict.client(&strict.authority.issue(CALLER));
        let mut kept = client.connect(Protocol::Http2).await.unwrap();
        for _ in 0..2 {
            assert_eq!(kept.get("/a").await.unwrap().status, StatusCode::OK, "{mode:?}");
            assert_eq!(kept.get("/a;v=1").await.unwrap().status, StatusCode::FORBIDDEN, "{mode:?}");
        }
        strict.audited("the reason", |line| line["reason"] == "path_ambiguous").await;
    }
}
