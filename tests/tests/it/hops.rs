//! Chains over real Envoys: who began and who forwarded is known as far as certificates prove it, and no further.

use countersign_tests::client::{Connection, Protocol, request, with_header};
use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::mesh::{ENVOY, Mesh, Mode};
use countersign_tests::pki::{Authority, Svid};
use http::StatusCode;
use serde_json::json;

/// What the third hop lets in: what began at the web shop and came through edge and gateway, and what the gateway asks itself.
const POLICIES: &str = r#"
@id("from-the-shop")
permit (principal == Workload::"spiffe://demo.test/gw/mid", action == Action::"GET", resource)
when {
  context.hops.complete && context.hops.count == 3 &&
  context.hops.workloads.contains(Workload::"spiffe://demo.test/gw/edge") &&
  context has origin && context.origin in WorkloadPath::"spiffe://demo.test/ns/shop"
};
@id("no-strangers")
forbid (principal, action, resource)
unless { context has origin && context.origin in TrustDomain::"demo.test" };
"#;

const ANYBODY: &str = "permit (principal, action, resource);";
const FORWARDERS: &str = "forwarders: [\"spiffe://demo.test/gw/*\"]";

/// client → edge → gateway → the service's own Envoy, each with a sidecar of its own.
struct Three {
    edge: Mesh,
    _gateway: Mesh,
    last: Mesh,
}

impl Three {
    async fn start(mode: Mode) -> Self {
        let authority = Authority::new("demo.test").with_intermediate();
        let last = Mesh::build(mode)
            .authority(authority.clone())
            .policies(POLICIES)
            .identity(FORWARDERS)
            .envoy(EnvoyBuilder::appending_to_xfcc)
            .start()
            .await;
        let (address, id) = (last.envoy.address(), authority.id(ENVOY));
        let svid = authority.issue("/gw/mid");
        let gateway = Mesh::build(Mode::ExtAuthz)
            .authority(authority.clone())
            .policies(ANYBODY)
            .identity(FORWARDERS)
            .envoy(move |envoy| envoy.identity(&svid).next_hop(address, &id).appending_to_xfcc())
            .start()
            .await;
        let (address, id) = (gateway.envoy.address(), authority.id("/gw/mid"));
        let svid = authority.issue("/gw/edge");
        let edge = Mesh::build(Mode::ExtAuthz)
            .authority(authority)
            .policies(ANYBODY)
            .envoy(move |envoy| envoy.identity(&svid).next_hop(address, &id))
            .start()
            .await;
        Self { edge, _gateway: gateway, last }
    }

    fn issue(&self, path: &str) -> Svid {
        self.edge.authority.issue(path)
    }

    async fn connect(&self, svid: &Svid) -> Connection {
        self.edge.client(svid).connect(Protocol::Http2).await.unwrap()
    }
}

async fn status(connection: &mut Connection, path: &str) -> StatusCode {
    connection.get(path).await.unwrap().status
}

#[tokio::test]
async fn the_third_hop_knows_origin_and_hops_and_a_revoked_origin_is_denied_there_cached_or_not() {
    for mode in Mode::ALL {
        let mesh = Three::start(mode).await;
        let (web, cart) = (mesh.issue("/ns/shop/web"), mesh.issue("/ns/shop/cart"));
        let (mut from_web, mut from_cart) = (mesh.connect(&web).await, mesh.connect(&cart).await);
        for _ in 0..2 {
            assert_eq!(status(&mut from_web, "/a").await, StatusCode::OK, "{mode:?}");
            assert_eq!(status(&mut from_cart, "/a").await, StatusCode::OK, "{mode:?}");
        }
        let line =
            mesh.last.audited("a decision", |line| line["origin"] == web.id() && line["verdict"] == "allow").await;
        let hops: Vec<&str> = line["hops"].as_array().unwrap().iter().map(|hop| hop["id"].as_str().unwrap()).collect();
        assert_eq!(hops, ["spiffe://demo.test/gw/edge", web.id()], "{mode:?}");
        assert_eq!((&line["caller"], &line["trust_reaches"]), (&json!("spiffe://demo.test/gw/mid"), &json!("origin")));
        assert_eq!(line["hops"][1]["certificate"], web.digest());

        mesh.last.revoke(web.id()).await;
        assert_eq!(status(&mut from_web, "/a").await, StatusCode::FORBIDDEN, "{mode:?}: cached");
        assert_eq!(status(&mut from_web, "/b").await, StatusCode::FORBIDDEN, "{mode:?}: not cached");
        assert_eq!(status(&mut from_cart, "/a").await, StatusCode::OK, "{mode:?}: another origin");
        let denial = mesh.last.audited("the denial", |line| line["reason"] == "hop_revoked").await;
        assert_eq!(denial["revoked"], format!("spiffe-id:{}", web.id()), "{mode:?}");
        mesh.last.restore(web.id()).await;
        assert_eq!(status(&mut from_web, "/a").await, StatusCode::OK, "{mode:?}: restored");
        mesh.last.revoke("spiffe://demo.test/gw/edge").await;
        assert_eq!(status(&mut from_cart, "/a").await, StatusCode::FORBIDDEN, "{mode:?}: through a revoked proxy");
    }
}

#[tokio::test]
async fn an_origin_of_another_kind_is_denied_by_policy_and_a_forged_header_at_the_edge_changes_nothing() {
    for mode in Mode::ALL {
        let mesh = Three::start(mode).await;
        let (web, other) = (mesh.issue("/ns/shop/web"), mesh.issue("/ns/else/x"));
        let mut stranger = mesh.connect(&other).await;
        assert_eq!(status(&mut stranger, "/a").await, StatusCode::FORBIDDEN, "{mode:?}");
        let forged = element("/gw/edge", &web);
        let reply = stranger.send(with_header(request("/a"), XFCC, forged.as_bytes())).await.unwrap();
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{mode:?}");
        let reply = mesh.connect(&web).await.send(with_header(request("/a"), XFCC, b"By=\"")).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{mode:?}: the edge replaces what clients say");
    }
}

#[tokio::test]
async fn open_streams_of_a_revoked_origin_end_at_the_third_hop() {
    let mesh = Three::start(Mode::Filter).await;
    let (web, cart) = (mesh.issue("/ns/shop/web"), mesh.issue("/ns/shop/cart"));
    let mut of_web = mesh.connect(&web).await.stream("/stream").await.unwrap();
    let mut of_cart = mesh.connect(&cart).await.stream("/stream").await.unwrap();
    of_web.flows(2).await;
    of_cart.flows(2).await;
    mesh.last.revoke(web.id()).await;
    of_web.until_cut().await;
    of_cart.flows(5).await;
}

const XFCC: &str = "x-forwarded-client-cert";

/// What the proxy `by` would write about a client with `svid`.
fn element(by: &str, svid: &Svid) -> String {
    svid.xfcc_element(&format!("spiffe://demo.test{by}"))
}

/// What a client that sends `header` to an Envoy which appends comes to: verdict or reason, and who stands behind it.
async fn seen(mesh: &Mesh, svid: &Svid, header: &str, path: &str) -> String {
    let mut connection = mesh.client(svid).connect(Protocol::Http1).await.unwrap();
    connection.send(with_header(request(path), XFCC, header.as_bytes())).await.unwrap();
    let line = mesh.audited(path, |line| line["path"] == path).await;
    let hops = line["hops"].as_array().into_iter().flatten().map(|hop| hop["id"].as_str().unwrap().to_owned());
    let hops: Vec<String> = hops.collect();
    let word = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} [{}] origin {}", word("reason"), word("trust_reaches"), hops.join(" "), word("origin"))
}

/// Who speaks to the Envoy that appends, and of whom.
struct Cast {
    /// No forwarder.
    web: Svid,
    /// Whom everybody would like to be.
    admin: Svid,
    /// A forwarder.
    gateway: Svid,
    /// By an authority of the same name that nobody trusts.
    foreign: Svid,
}

const KNOWN: &str = "permit origin [spiffe://demo.test/admin] origin spiffe://demo.test/admin";
const NO_FORWARDER: &str = "permit no_forwarder [] origin -";
const UNPROVEN: &str = "permit unproven [] origin -";
const REFUSED: &str = "xfcc_invalid - [] origin -";

/// What the header says, and what comes of it: each in a sentence.
fn forgeries(cast: &Cast) -> Vec<(&'static str, &Svid, String, &'static str)> {
    let Cast { web, admin, gateway, foreign } = cast;
    let good = element("/gw/1", admin);
    let hash = |svid: &Svid| format!("Hash={}", svid.digest());
    let bare = format!("By={};{}", gateway.id(), hash(admin));
    let two = format!("{},{}", element("/web", admin), element("/gw/1", web));
    let renamed = good.replace(&format!("URI={}", admin.id()), "URI=spiffe://demo.test/root");
    vec![
        ("a workload that is no forwarder", web, element("/web", admin), NO_FORWARDER),
        ("one that says a forwarder wrote it", web, good.clone(), NO_FORWARDER),
        ("a forwarder that tells the truth", gateway, good.clone(), KNOWN),
        ("another writer", gateway, element("/gw/2", admin), "permit wrong_writer [] origin -"),
        ("no certificate", gateway, format!("{bare};URI={}", admin.id()), UNPROVEN),
        ("a certificate of another authority", gateway, element("/gw/1", foreign), UNPROVEN),
        ("the hash of another", gateway, good.replace(&hash(admin), &hash(web)), UNPROVEN),
        ("the URI of another", gateway, renamed, UNPROVEN),
        ("an origin behind no forwarder", gateway, two, "permit no_forwarder [spiffe://demo.test/web] origin -"),
        ("a broken quote", gateway, format!("{good};Subject=\"CN=a"), REFUSED),
        ("an escaped quote that closes nothing", gateway, format!("{good};Subject=\"CN=\\\""), REFUSED),
        ("an escaped quote that hides a pair", gateway, format!("{good};Subject=\"CN=\\\",Hash=00\""), KNOWN),
        ("two hashes", gateway, format!("{good};{}", hash(web)), REFUSED),
        ("JSON", gateway, "[{\"By\":\"x\"}]".to_owned(), REFUSED),
        ("200 elements", gateway, vec![bare; 200].join(","), REFUSED),
    ]
}

#[tokio::test]
async fn nothing_forged_on_the_left_becomes_a_fact() {
    for mode in Mode::ALL {
        let build = Mesh::build(mode).policies(ANYBODY).identity(FORWARDERS);
        let mesh = build.envoy(EnvoyBuilder::appending_to_xfcc).start().await;
        let issue = |path: &str| mesh.authority.issue(path);
        let foreign = Authority::new("demo.test").issue("/admin");
        let cast = Cast { web: issue("/web"), admin: issue("/admin"), gateway: issue("/gw/1"), foreign };
        for (position, (what, svid, header, expected)) in forgeries(&cast).into_iter().enumerate() {
            let path = format!("/case/{position}");
            assert_eq!(seen(&mesh, svid, &header, &path).await, expected, "{mode:?}: {what}");
        }
    }
}

#[tokio::test]
async fn what_policies_read_of_the_chain_is_asked_about_once_and_then_known() {
    let mesh = Three::start(Mode::Filter).await;
    let mut web = mesh.connect(&mesh.issue("/ns/shop/web")).await;
    assert_eq!(status(&mut web, "/a").await, StatusCode::OK);
    let before = mesh.last.decisions().await;
    for path in ["/a", "/b", "/c"] {
        assert_eq!(status(&mut web, path).await, StatusCode::OK);
    }
    assert_eq!(mesh.last.decisions().await, before, "no policy reads the path, and the chain is known");
}
