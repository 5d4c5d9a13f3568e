//! Trust domains of others, their bundles fetched from real endpoints: let in, taken out again, and nobody let in by a wrong one.

use countersign_tests::bundle_endpoint::{BundleEndpoint, Serves};
use countersign_tests::client::{Connection, Protocol};
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, MeshBuilder, Mode};
use countersign_tests::pki::{Authority, Svid, jwks};
use http::StatusCode;
use serde_json::Value;

const POLICIES: &str = r"permit (principal, action, resource);";
const PARTNER: &str = "/ns/partner/sa/batch";

/// Another trust domain, and the endpoint that serves its bundle.
struct Partner {
    authority: Authority,
    endpoint: BundleEndpoint,
    files: tempfile::TempDir,
}

impl Partner {
    /// The endpoint is in the trust domain it serves, and can prove both its ID and its host.
    async fn start(trust_domain: &str) -> Self {
        let authority = Authority::new(trust_domain);
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("bundle.json"), authority.bundle_json(1)).unwrap();
        std::fs::write(files.path().join("ca.pem"), authority.bundle_pem()).unwrap();
        let endpoint = BundleEndpoint::start(&endpoint_of(&authority), Serves::Nothing).await;
        let partner = Self { authority, endpoint, files };
        partner.serve(&[&partner.authority], 5);
        partner
    }

    fn serve(&self, authorities: &[&Authority], sequence: u64) {
        self.endpoint.serve(Serves::Body(jwks(authorities, sequence).to_string()));
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn entry(&self, profile: &str) -> String {
        format!(
            "- {{trust_domain: {}, url: \"{}\", refresh: 1s, {profile}}}\n",
            self.authority.trust_domain(),
            self.endpoint.url()
        )
    }

    fn over_web(&self) -> String {
        self.entry(&format!("profile: https_web, ca_file: {}", self.file("ca.pem")))
    }

    fn over_spiffe(&self) -> String {
        let id = self.authority.id("/endpoint");
        self.entry(&format!("profile: https_spiffe, endpoint_id: \"{id}\", bootstrap: {}", self.file("bundle.json")))
    }

    fn svid(&self) -> Svid {
        self.authority.issue(PARTNER)
    }
}

fn endpoint_of(authority: &Authority) -> Svid {
    authority.leaf("/endpoint").dns("localhost").issue()
}

/// Envoy lets any certificate through: what is refused here was refused by Countersign.
fn federated(mode: Mode, entries: &[String]) -> MeshBuilder {
    let identity = format!("federation:\n{}", entries.concat());
    Mesh::build(mode).policies(POLICIES).identity(&identity).without_client_validation()
}

async fn status(connection: &mut Connection, path: &str) -> StatusCode {
    connection.get(path).await.unwrap().status
}

async fn until(connection: &mut Connection, expected: StatusCode) {
    eventually(&format!("{expected}"), async || (status(connection, "/").await == expected).then_some(())).await;
}

async fn seen(mesh: &Mesh) -> Value {
    let output = mesh.countersign(&["status", "--output", "json"]).await;
    let view: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(i32::from(view["fine"] != true)), "{view}");
    view
}

fn bundle(view: &Value, trust_domain: &str) -> Value {
    let bundles = view["bundles"].as_array().unwrap();
    bundles.iter().find(|it| it["trust_domain"] == trust_domain).unwrap_or_else(|| panic!("{view}")).clone()
}

async fn until_bundle(mesh: &Mesh, trust_domain: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let what = format!("wanted state of {trust_domain}'s bundle");
    eventually(&what, async || Some(bundle(&seen(mesh).await, trust_domain)).filter(|it| wanted(it))).await
}

async fn until_fine(mesh: &Mesh) {
    eventually("a sidecar that is fine", async || (seen(mesh).await["fine"] == true).then_some(())).await;
}

#[tokio::test]
async fn workloads_of_others_are_let_in_over_either_profile_and_no_certificate_is_shown() {
    for mode in Mode::ALL {
        let (web, spiffe) = (Partner::start("web.test").await, Partner::start("spiffe.test").await);
        let mesh = federated(mode, &[web.over_web(), spiffe.over_spiffe()]).start().await;
        for partner in [&web, &spiffe] {
            let name = partner.authority.trust_domain();
            let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
            until(&mut connection, StatusCode::OK).await;
            assert_eq!(partner.endpoint.client_certificates(), 0);
            let label = format!("trust_domain=\"{name}\"");
            assert_eq!(mesh.sidecar.metric("countersign_bundle_sequence", &[&label]).await, 5.0);
            assert_eq!(mesh.sidecar.metric("countersign_bundle_authorities", &[&label]).await, 1.0);
            // Nobody else's certificate is worth more for it.
            let crossed = Authority::new("unknown.test").leaf(PARTNER).id(&partner.authority.id(PARTNER)).issue();
            assert_eq!(mesh.client(&crossed).get(Protocol::Http1, "/").await.unwrap().status, StatusCode::UNAUTHORIZED);
        }
        let borrowed = web.authority.leaf(PARTNER).id(&spiffe.authority.id(PARTNER)).issue();
        assert_eq!(mesh.client(&borrowed).get(Protocol::Http1, "/").await.unwrap().status, StatusCode::UNAUTHORIZED);
        until_fine(&mesh).await;
    }
}

#[tokio::test]
async fn a_trust_domain_whose_keys_are_all_gone_is_out_at_once_also_from_memory() {
    for mode in Mode::ALL {
        let partner = Partner::start("partner.test").await;
        let mesh = federated(mode, &[partner.over_spiffe()]).start().await;
        let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
        until(&mut connection, StatusCode::OK).await;
        let asked = mesh.decisions().await;
        for _ in 0..3 {
            assert_eq!(status(&mut connection, "/").await, StatusCode::OK);
        }
        if mode == Mode::Filter {
            assert_eq!(mesh.decisions().await, asked, "the filter answers from memory");
        }
        let mut ours = mesh.client(&mesh.authority.issue(CALLER)).connect(Protocol::Http2).await.unwrap();
        until(&mut ours, StatusCode::OK).await;

        partner.serve(&[], 6);
        until(&mut connection, StatusCode::UNAUTHORIZED).await;
        for _ in 0..3 {
            assert_eq!(
                status(&mut connection, "/").await,
                StatusCode::UNAUTHORIZED,
                "{mode:?}: on the open connection"
            );
        }
        let again = mesh.client(&partner.svid()).get(Protocol::Http1, "/").await.unwrap().status;
        assert_eq!(again, StatusCode::UNAUTHORIZED);
        assert_eq!(status(&mut ours, "/").await, StatusCode::OK, "nobody else is touched");
        assert_eq!(
            mesh.sidecar.metric("countersign_bundle_authorities", &["trust_domain=\"partner.test\""]).await,
            0.0
        );
        let shown = until_bundle(&mesh, "partner.test", |it| it["revoked"] == true).await;
        assert_eq!((&shown["missing"], &shown["sequence"]), (&false.into(), &6.into()));
    }
}

#[tokio::test]
async fn keys_are_rotated_by_the_endpoint_and_what_leaves_is_believed_no_more() {
    let partner = Partner::start("partner.test").await;
    let next = Authority::new("partner.test");
    let mesh = federated(Mode::Filter, &[partner.over_spiffe()]).start().await;
    let mut old = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
    let mut new = mesh.client(&next.issue(PARTNER)).connect(Protocol::Http2).await.unwrap();
    until(&mut old, StatusCode::OK).await;
    assert_eq!(status(&mut new, "/").await, StatusCode::UNAUTHORIZED);

    partner.serve(&[&partner.authority, &next], 6);
    until(&mut new, StatusCode::OK).await;
    assert_eq!(status(&mut old, "/").await, StatusCode::OK);
    // From here on the endpoint itself is certified by the new key only, which the bootstrap bundle does not know.
    partner.endpoint.present(&endpoint_of(&next));
    partner.serve(&[&next], 7);
    until(&mut old, StatusCode::UNAUTHORIZED).await;
    assert_eq!(status(&mut new, "/").await, StatusCode::OK);
    until_fine(&mesh).await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_keeps_its_bundle_and_nobody_from_starting() {
    let partner = Partner::start("partner.test").await;
    partner.endpoint.serve(Serves::Nothing);
    let mesh = federated(Mode::ExtAuthz, &[partner.over_web()]).start().await;
    let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
    assert_eq!(status(&mut connection, "/").await, StatusCode::UNAUTHORIZED);
    mesh.audited("why", |line| line["reason"] == "trust_domain_unknown").await;
    let ours = mesh.client(&mesh.authority.issue(CALLER)).get(Protocol::Http1, "/").await.unwrap().status;
    assert_eq!(ours, StatusCode::OK);
    assert!(mesh.sidecar.is_ready().await);
    let missing = until_bundle(&mesh, "partner.test", |it| !it["trouble"].is_null()).await;
    assert_eq!(missing["missing"], true);

    partner.serve(&[&partner.authority], 5);
    until(&mut connection, StatusCode::OK).await;
    until_fine(&mesh).await;

    partner.endpoint.serve(Serves::Nothing);
    let kept = until_bundle(&mesh, "partner.test", |it| !it["trouble"].is_null()).await;
    assert_eq!((&kept["missing"], &kept["authorities"]), (&false.into(), &1.into()));
    let failed = ["origin=\"federation\"", "result=\"failed\""];
    assert!(mesh.sidecar.metric("countersign_bundle_fetches_total", &failed).await >= 1.0);
    assert_eq!(status(&mut connection, "/").await, StatusCode::OK);

    partner.serve(&[&partner.authority], 6);
    until_bundle(&mesh, "partner.test", |it| it["sequence"] == 6).await;
    until_fine(&mesh).await;
}

#[tokio::test]
async fn what_a_wrong_endpoint_serves_changes_nothing_and_is_told() {
    let (partner, stranger) = (Partner::start("partner.test").await, Authority::new("partner.test"));
    let mesh = federated(Mode::ExtAuthz, &[partner.over_spiffe()]).start().await;
    let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
    until(&mut connection, StatusCode::OK).await;
    let elsewhere = BundleEndpoint::start(
        &partner.authority.issue("/somebody-else"),
        Serves::Body(jwks(&[&stranger], 9).to_string()),
    )
    .await;
    let plain = partner.endpoint.url().replace("https", "http");
    let wrong = [
        (Serves::Redirect(plain), "is not https"),
        (Serves::Redirect(elsewhere.url()), "the server is spiffe://"),
        (Serves::Redirect(partner.endpoint.url()), "more than 3 times"),
        (Serves::Gigabyte, "more than 4194304 bytes"),
        (Serves::Body("<html>".to_owned()), "no SPIFFE bundle"),
        (Serves::Body(r#"{"keys": [], "keys": []}"#.to_owned()), "twice"),
        (Serves::Body(jwks(&[&stranger], 4).to_string()), "an old bundle put back"),
        (Serves::Status(404), "404"),
        (Serves::Body(stranger.bundle_pem()), "no SPIFFE bundle"),
        (Serves::Status(204), "204"),
    ];
    for (serves, because) in wrong {
        partner.endpoint.serve(serves);
        told_and_kept(&mesh, because).await;
        assert_eq!(status(&mut connection, "/").await, StatusCode::OK, "{because}");
    }
    partner.serve(&[&stranger], 9);
    let impostors = [
        (partner.authority.issue("/somebody-else"), "the server is spiffe://"),
        (endpoint_of(&stranger), "the server's certificate proves nothing: chain_invalid"),
        (partner.authority.leaf("/endpoint").dns("localhost").ca().issue(), "leaf_is_ca"),
        (Authority::new("other.test").leaf("/x").id("spiffe://other.test/endpoint").issue(), "trust_domain_unknown"),
    ];
    for (identity, because) in impostors {
        partner.endpoint.present(&identity);
        told_and_kept(&mesh, because).await;
        assert_eq!(status(&mut connection, "/").await, StatusCode::OK, "{because}");
    }
    assert_eq!(elsewhere.requests(), 0, "nobody asks whom nobody believes");
    let refused = ["origin=\"federation\"", "result=\"refused\""];
    assert!(mesh.sidecar.metric("countersign_bundle_fetches_total", &refused).await >= 12.0);
    let foreign = mesh.client(&stranger.issue(PARTNER)).get(Protocol::Http1, "/").await.unwrap().status;
    assert_eq!(foreign, StatusCode::UNAUTHORIZED);
}

async fn told_and_kept(mesh: &Mesh, because: &str) {
    let what = format!("trouble with the endpoint: {because}");
    let kept = eventually(&what, async || {
        let shown = bundle(&seen(mesh).await, "partner.test");
        shown["trouble"].as_str().is_some_and(|text| text.contains(because)).then_some(shown)
    })
    .await;
    assert_eq!((&kept["authorities"], &kept["sequence"]), (&1.into(), &5.into()));
}

#[tokio::test]
async fn an_endpoint_over_the_web_is_held_to_its_host_and_its_authority() {
    let (partner, stranger) = (Partner::start("partner.test").await, Authority::new("web.test"));
    let mesh = federated(Mode::ExtAuthz, &[partner.over_web()]).start().await;
    let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
    until(&mut connection, StatusCode::OK).await;
    let impostors = [
        (partner.authority.leaf("/endpoint").dns("elsewhere.test").issue(), "certificate"),
        (endpoint_of(&stranger), "UnknownIssuer"),
    ];
    for (identity, because) in impostors {
        partner.endpoint.present(&identity);
        told_and_kept(&mesh, because).await;
    }
    // Another server may take over, as long as it proves its own host.
    partner.endpoint.present(&endpoint_of(&partner.authority));
    let body = jwks(&[&partner.authority], 8).to_string();
    let moved = BundleEndpoint::start(&endpoint_of(&partner.authority), Serves::Body(body)).await;
    partner.endpoint.serve(Serves::Redirect(moved.url()));
    until_bundle(&mesh, "partner.test", |it| it["sequence"] == 8).await;
    until_fine(&mesh).await;
}

#[tokio::test]
async fn an_endpoint_may_belong_to_a_trust_domain_whose_bundle_we_have() {
    let partner = Partner::start("partner.test").await;
    let entry = partner.entry("profile: https_spiffe, endpoint_id: \"spiffe://demo.test/federation\"");
    let mesh = federated(Mode::ExtAuthz, &[entry]).start().await;
    let mut connection = mesh.client(&partner.svid()).connect(Protocol::Http2).await.unwrap();
    // Its own trust domain's authority is worth nothing for an ID of ours.
    let forged = partner.authority.leaf("/federation").id("spiffe://demo.test/federation").issue();
    partner.endpoint.present(&forged);
    until_bundle(&mesh, "partner.test", |it| it["trouble"].as_str().is_some_and(|it| it.contains("chain_invalid")))
        .await;
    assert_eq!(status(&mut connection, "/").await, StatusCode::UNAUTHORIZED);
    partner.endpoint.present(&mesh.authority.issue("/federation"));
    until(&mut connection, StatusCode::OK).await;
}

#[tokio::test]
async fn an_intermediate_of_the_configuration_completes_what_a_workload_presents() {
    let authority = Authority::new("partner.test").with_intermediate();
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name);
    std::fs::write(file("bundle.pem"), authority.bundle_pem()).unwrap();
    std::fs::write(file("intermediates.pem"), Authority::new("partner.test").with_intermediate().intermediate_pem())
        .unwrap();
    let entry = format!(
        "  - {{trust_domain: partner.test, file: {}, intermediates: {}}}",
        file("bundle.pem").display(),
        file("intermediates.pem").display()
    );
    let mesh =
        Mesh::build(Mode::ExtAuthz).policies(POLICIES).identity(&entry).without_client_validation().start().await;
    let incomplete = authority.leaf(PARTNER).without_intermediate().issue();
    let mut connection = mesh.client(&incomplete).connect(Protocol::Http2).await.unwrap();
    assert_eq!(status(&mut connection, "/").await, StatusCode::UNAUTHORIZED, "another domain of the same name");
    std::fs::write(file("intermediates.pem"), authority.intermediate_pem()).unwrap();
    until(&mut connection, StatusCode::OK).await;
}
