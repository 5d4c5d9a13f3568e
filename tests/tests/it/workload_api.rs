//! Trust and our own SVID from an agent that is real on the wire: what it gives, takes back, breaks and denies, and how it dies.

use std::collections::HashMap;
use std::process::Command;

use countersign_tests::agent::{Agent, Answer, JwtBundlesResponse, X509BundlesResponse, X509svidResponse, entry};
use countersign_tests::client::{Connection, Protocol};
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, MeshBuilder, Mode, POLICIES};
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::sidecar::binary;
use http::StatusCode;
use spiffe::WorkloadApiClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SIDECAR: &str = "/ns/shop/sa/orders";
const PARTNERS_MAY: &str =
    r#"permit (principal == Workload::"spiffe://partner.test/web", action, resource == Service::"orders");"#;

/// An agent, the trust domain it is in, and one that it federates with.
struct World {
    agent: Agent,
    authority: Authority,
    partner: Authority,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("demo.test").with_intermediate();
        Self { agent: Agent::start(), authority, partner: Authority::new("partner.test") }
    }

    /// Everything that an agent has to give.
    fn generous() -> Self {
        let world = Self::new();
        world.agent.give_bundles(&[&world.authority, &world.partner]);
        world.agent.give_svids(&[(&world.authority.issue(SIDECAR), &world.authority, "")]);
        let jwks = HashMap::from([("spiffe://demo.test".to_owned(), b"{\"keys\": []}".to_vec())]);
        world.agent.answer_jwt_bundles(Answer::Message(JwtBundlesResponse { bundles: jwks }));
        world
    }

    /// A hop that trusts whom the agent says; the agent and the partner's authority are the test's.
    fn hop(self, mode: Mode, how: &str) -> (MeshBuilder, Agent, Authority) {
        let socket = format!("socket: \"{}\"{how}", self.agent.address());
        let hop = Mesh::build(mode).authority(self.authority).agent(&socket).without_client_validation();
        (hop.policies(&format!("{POLICIES}\n{PARTNERS_MAY}")), self.agent, self.partner)
    }
}

async fn connect(mesh: &Mesh, svid: &Svid) -> Connection {
    mesh.client(svid).connect(Protocol::Http2).await.unwrap()
}

async fn status(connection: &mut Connection) -> StatusCode {
    connection.get("/a").await.unwrap().status
}

/// Allowed, and then allowed from memory.
async fn warm(connection: &mut Connection) {
    for _ in 0..3 {
        assert_eq!(status(connection).await, StatusCode::OK);
    }
}

async fn until_answered(connection: &mut Connection, expected: StatusCode) {
    let what = format!("answer {expected}");
    eventually(&what, async || (status(connection).await == expected).then_some(())).await;
}

/// Waits for a metric to have a value.
async fn until(mesh: &Mesh, name: &str, labels: &[&str], expected: f64) {
    let what = format!("{name} {labels:?} = {expected}");
    eventually(&what, async || (mesh.sidecar.metric(name, labels).await == expected).then_some(())).await;
}

async fn updates(mesh: &Mesh, stream: &str, result: &str) -> f64 {
    let labels = [format!("stream=\"{stream}\""), format!("result=\"{result}\"")];
    mesh.sidecar.metric("countersign_workload_api_updates_total", &[&labels[0], &labels[1]]).await
}

/// Requests as fast as they go, every one of which must be allowed.
struct Load {
    stop: watch::Sender<bool>,
    answered: watch::Receiver<u32>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(mesh: &Mesh, svid: &Svid) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, answered) = watch::channel(0);
        let client = mesh.client(svid);
        let task = tokio::spawn(async move {
            let mut connection = client.connect(Protocol::Http2).await.unwrap();
            while !*stopped.borrow() {
                assert_eq!(status(&mut connection).await, StatusCode::OK, "after {}", *count.borrow());
                count.send_modify(|count| *count += 1);
            }
        });
        Self { stop, answered, task }
    }

    /// Waits for some more requests to be answered.
    async fn goes_on(&mut self) {
        let goal = *self.answered.borrow() + 20;
        self.answered.wait_for(|answered| *answered >= goal).await.expect("no request failed");
    }

    async fn stop(mut self) {
        self.goes_on().await;
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn an_independent_client_hears_from_the_agent_of_these_tests_what_it_is_told_to_say() {
    let World { agent, authority, partner } = World::new();
    let client = WorkloadApiClient::connect_to(agent.address()).await.unwrap();
    assert!(client.fetch_x509_bundles().await.is_err(), "nobody is registered yet");
    let svid = authority.issue(SIDECAR);
    agent.give_svids(&[(&svid, &authority, "inner")]);
    agent.give_bundles(&[&authority, &partner]);
    let context = client.fetch_x509_context().await.unwrap();
    let heard = context.default_svid().unwrap();
    assert_eq!((heard.spiffe_id().to_string().as_str(), heard.hint()), (svid.id(), Some("inner")));
    let chain: Vec<&[u8]> = heard.cert_chain().iter().map(spiffe::Certificate::as_bytes).collect();
    assert_eq!(chain, svid.chain_der());
    let bundles = client.fetch_x509_bundles().await.unwrap();
    let partners = bundles.get(&"partner.test".try_into().unwrap()).unwrap();
    assert_eq!(partners.authorities()[0].as_bytes(), partner.root_der());
    assert_eq!(agent.improper_calls(), 0);
}

#[tokio::test]
async fn the_first_delivery_makes_the_sidecar_ready_and_callers_allowed() {
    for mode in Mode::ALL {
        let world = World::new();
        let own = world.authority.issue(SIDECAR);
        let (hop, agent, partner) = world.hop(mode, "");
        let mut mesh = hop.not_ready().start().await;
        // Denied at first, as nobody has registered us yet: asked again until somebody has.
        eventually("a second call", async || (agent.calls().iter().all(|calls| *calls >= 2)).then_some(())).await;
        let (code, body) = mesh.sidecar.admin().get("/readyz?verbose").await.unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(code == StatusCode::SERVICE_UNAVAILABLE && body.contains("[-] trust: "), "{code} {body}");
        assert!(mesh.sidecar.logs().contains("see that a registration entry matches it"));
        assert!(updates(&mesh, "x509_bundles", "denied").await >= 1.0);
        agent.give_bundles(&[&mesh.authority, &partner]);
        mesh.sidecar.until_ready().await;
        mesh.until_leased().await;
        warm(&mut connect(&mesh, &mesh.authority.issue(CALLER)).await).await;
        warm(&mut connect(&mesh, &partner.issue("/web")).await).await;
        let stranger = Authority::new("else.test").issue("/web");
        assert_eq!(status(&mut connect(&mesh, &stranger).await).await, StatusCode::UNAUTHORIZED, "{mode:?}");
        // That we have no SVID is nothing to callers.
        assert_eq!(mesh.sidecar.metric("countersign_own_svid_expiration_timestamp_seconds", &[]).await, 0.0);
        agent.give_svids(&[(&own, &mesh.authority, "")]);
        until(&mesh, "countersign_svid_reloads_total", &["accepted"], 1.0).await;
        assert!(mesh.sidecar.metric("countersign_own_svid_expiration_timestamp_seconds", &[]).await > 1.7e9);
        mesh.audited("our SVID", |line| {
            line["kind"] == "svid"
                && line["result"] == "accepted"
                && line["detail"].as_str().unwrap().contains(own.id())
        })
        .await;
        assert_eq!(agent.improper_calls(), 0, "the mandatory metadata is on every call");
    }
}

#[tokio::test]
async fn bundles_and_svid_rotate_under_load_without_a_failed_request() {
    for mode in Mode::ALL {
        let (hop, agent, _) = World::generous().hop(mode, "");
        let mesh = hop.start().await;
        let next = Authority::new("demo.test");
        let (web, of_next) = (mesh.authority.issue(CALLER), next.issue(CALLER));
        let mut probe = connect(&mesh, &of_next).await;
        assert_eq!(status(&mut probe).await, StatusCode::UNAUTHORIZED);
        let mut load = Load::start(&mesh, &web);
        for round in 0..5 {
            agent.give_bundles(&[&mesh.authority, &next]);
            agent.give_svids(&[(&mesh.authority.issue(SIDECAR), &mesh.authority, "")]);
            until_answered(&mut probe, StatusCode::OK).await;
            until(&mesh, "countersign_svid_reloads_total", &["accepted"], f64::from(2 + round)).await;
            load.goes_on().await;
            agent.give_bundles(&[&mesh.authority]);
            until_answered(&mut probe, StatusCode::UNAUTHORIZED).await;
            load.goes_on().await;
        }
        load.stop().await;
        // The old authority goes last: whoever it vouched for is denied, though remembered.
        let mut old = connect(&mesh, &web).await;
        warm(&mut old).await;
        agent.give_bundles(&[&next]);
        until_answered(&mut old, StatusCode::UNAUTHORIZED).await;
        until_answered(&mut probe, StatusCode::OK).await;
        assert_eq!(updates(&mesh, "x509_bundles", "refused").await, 0.0);
        assert_eq!(mesh.sidecar.metric("countersign_workload_api_updates_total", &["lost"]).await, 0.0);
    }
}

#[tokio::test]
async fn a_trust_domain_that_is_gone_takes_its_callers_with_it_also_from_memory_and_nobody_else() {
    for mode in Mode::ALL {
        let (hop, agent, partner) = World::generous().hop(mode, "");
        let mesh = hop.start().await;
        let ours = mesh.authority.issue(CALLER);
        let mut theirs = connect(&mesh, &partner.issue("/web")).await;
        warm(&mut theirs).await;
        if mode == Mode::Filter {
            eventually("a hit in the filter", async || (mesh.filter_stat("hits").await > 0).then_some(())).await;
        }
        let load = Load::start(&mesh, &ours);
        agent.give_bundles(&[&mesh.authority]);
        until_answered(&mut theirs, StatusCode::UNAUTHORIZED).await;
        for _ in 0..20 {
            assert_eq!(status(&mut theirs).await, StatusCode::UNAUTHORIZED, "{mode:?}: once denied it stays so");
        }
        mesh.audited("the denial", |line| line["reason"] == "trust_domain_unknown").await;
        load.stop().await;
        // Empty is not gone: the domain is known, and nobody in it is believed.
        agent.give_bundles(&[&mesh.authority, &partner]);
        until_answered(&mut theirs, StatusCode::OK).await;
        let empty = [("spiffe://demo.test", mesh.authority.root_der()), ("spiffe://partner.test", &[])];
        agent.give_raw_bundles(empty.map(|(key, der)| (key.to_owned(), der.to_vec())).into());
        until_answered(&mut theirs, StatusCode::UNAUTHORIZED).await;
        mesh.audited("the denial", |line| line["reason"] == "chain_invalid").await;
    }
}

#[tokio::test]
async fn an_agent_that_dies_or_cuts_its_streams_costs_no_request_and_is_found_again() {
    for mode in Mode::ALL {
        let (hop, mut agent, partner) = World::generous().hop(mode, "");
        let mesh = hop.start().await;
        until(&mesh, "countersign_workload_api_up", &[], 3.0).await;
        let mut load = Load::start(&mesh, &mesh.authority.issue(CALLER));
        for round in 0..2 {
            agent.stop();
            until(&mesh, "countersign_workload_api_up", &[], 0.0).await;
            load.goes_on().await;
            // A connection that is new, so that nothing is left of earlier ones.
            assert_eq!(status(&mut connect(&mesh, &partner.issue("/web")).await).await, StatusCode::OK);
            agent.run();
            until(&mesh, "countersign_workload_api_up", &[], 3.0).await;
            assert!(updates(&mesh, "x509_bundles", "lost").await > f64::from(round));
        }
        let before = agent.calls();
        agent.cut();
        eventually("new streams", async || (0..3).all(|at| agent.calls()[at] > before[at]).then_some(())).await;
        until(&mesh, "countersign_workload_api_up", &[], 3.0).await;
        // What changed meanwhile is heard of.
        agent.give_bundles(&[&mesh.authority]);
        until_answered(&mut connect(&mesh, &partner.issue("/web")).await, StatusCode::UNAUTHORIZED).await;
        load.stop().await;
        assert_eq!(
            mesh.sidecar.metric("countersign_svid_reloads_total", &["accepted"]).await,
            1.0,
            "the SVID was kept"
        );
        assert!(mesh.sidecar.is_ready().await);
    }
}

#[tokio::test]
async fn what_the_agent_denies_in_mid_life_is_used_no_longer_until_it_gives_it_again() {
    for mode in Mode::ALL {
        let (hop, agent, _) = World::generous().hop(mode, "");
        let mesh = hop.start().await;
        until(&mesh, "countersign_svid_reloads_total", &["accepted"], 1.0).await;
        let mut ours = connect(&mesh, &mesh.authority.issue(CALLER)).await;
        warm(&mut ours).await;
        agent.answer_svids(Answer::deny());
        until(&mesh, "countersign_own_svid_expiration_timestamp_seconds", &[], 0.0).await;
        mesh.audited("our SVID", |line| line["kind"] == "svid" && line["result"] == "withdrawn").await;
        warm(&mut ours).await;
        agent.answer_bundles(Answer::deny());
        until_answered(&mut ours, StatusCode::UNAUTHORIZED).await;
        mesh.audited("bundles", |line| line["kind"] == "bundle" && line["result"] == "withdrawn").await;
        until(&mesh, "countersign_workload_api_held", &["x509_bundles"], 0.0).await;
        agent.give_svids(&[(&mesh.authority.issue(SIDECAR), &mesh.authority, "")]);
        agent.give_bundles(&[&mesh.authority]);
        until_answered(&mut ours, StatusCode::OK).await;
        until(&mesh, "countersign_svid_reloads_total", &["accepted"], 2.0).await;
    }
}

#[tokio::test]
async fn the_chosen_svid_is_used_and_none_once_it_is_gone() {
    let world = World::generous();
    let (ours, other) = (world.authority.issue(SIDECAR), world.authority.issue("/other"));
    world.agent.give_svids(&[(&other, &world.authority, ""), (&ours, &world.authority, "")]);
    let (hop, agent, _) = world.hop(Mode::ExtAuthz, &format!(", spiffe_id: \"{}\"", ours.id()));
    let mesh = hop.start().await;
    until(&mesh, "countersign_workload_api_held", &["svids"], 2.0).await;
    mesh.audited("our SVID", |line| {
        line["kind"] == "svid" && line["detail"].as_str().unwrap().starts_with(&format!("{}, certificate", ours.id()))
    })
    .await;
    agent.give_svids(&[(&other, &mesh.authority, "")]);
    until(&mesh, "countersign_own_svid_expiration_timestamp_seconds", &[], 0.0).await;
    assert_eq!(
        mesh.sidecar.metric("countersign_svid_reloads_total", &["accepted"]).await,
        1.0,
        "not another one instead"
    );
}

#[tokio::test]
async fn garbage_is_refused_aloud_and_what_was_good_stays() {
    let (hop, agent, partner) = World::generous().hop(Mode::ExtAuthz, "");
    let mesh = hop.start().await;
    until(&mesh, "countersign_svid_reloads_total", &["accepted"], 1.0).await;
    let (mut ours, mut theirs) =
        (connect(&mesh, &mesh.authority.issue(CALLER)).await, connect(&mesh, &partner.issue("/web")).await);
    // The partner's bundle is broken, ours rotates all the same.
    let next = Authority::new("demo.test");
    let rotated = [mesh.authority.root_der(), next.root_der()].concat();
    let broken = [("spiffe://demo.test", rotated), ("spiffe://partner.test", b"garbage".to_vec())];
    agent.give_raw_bundles(broken.map(|(key, der)| (key.to_owned(), der)).into());
    until_answered(&mut connect(&mesh, &next.issue(CALLER)).await, StatusCode::OK).await;
    assert_eq!((status(&mut ours).await, status(&mut theirs).await), (StatusCode::OK, StatusCode::OK));
    mesh.audited("the refusal", |line| {
        line["kind"] == "bundle" && line["detail"].as_str().unwrap().contains("bundle of partner.test: certificate 1")
    })
    .await;
    // Mandatory fields at their default.
    agent.answer_bundles(Answer::Message(X509BundlesResponse::default()));
    eventually("two refusals", async || (updates(&mesh, "x509_bundles", "refused").await == 2.0).then_some(())).await;
    agent.answer_svids(Answer::Message(X509svidResponse::default()));
    eventually("a refusal", async || (updates(&mesh, "x509_svids", "refused").await == 1.0).then_some(())).await;
    let mut keyless = entry(&mesh.authority.issue(SIDECAR), &mesh.authority, "");
    keyless.x509_svid_key = b"no key".to_vec();
    agent.answer_svids(Answer::Message(X509svidResponse { svids: vec![keyless], ..Default::default() }));
    eventually("two refusals", async || (updates(&mesh, "x509_svids", "refused").await == 2.0).then_some(())).await;
    assert_eq!((status(&mut ours).await, status(&mut theirs).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(mesh.sidecar.metric("countersign_svid_reloads_total", &["accepted"]).await, 1.0);
    assert!(mesh.sidecar.metric("countersign_own_svid_expiration_timestamp_seconds", &[]).await > 0.0);
    // More than one message may have is not even read.
    let many = HashMap::from([("spiffe://demo.test".to_owned(), vec![0; 5 << 20])]);
    agent.give_raw_bundles(many);
    eventually("a lost stream", async || (updates(&mesh, "x509_bundles", "lost").await >= 1.0).then_some(())).await;
    agent.give_bundles(&[&mesh.authority]);
    until_answered(&mut theirs, StatusCode::UNAUTHORIZED).await;
    assert_eq!(status(&mut ours).await, StatusCode::OK);
    assert!(!mesh.sidecar.logs().contains("no key"), "nothing of a key is logged");
}

#[tokio::test]
async fn the_environment_names_the_agent_only_if_the_configuration_wants_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.yaml");
    std::fs::write(dir.path().join("p.cedar"), POLICIES).unwrap();
    let validate = |identity: &str, socket: Option<&str>| {
        let text = format!("service: {{name: orders}}\nidentity: {identity}\npolicy: {{files: [p.cedar]}}\n");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(binary());
        command.args(["policy", "validate", "--config"]).arg(&config).env_remove("SPIFFE_ENDPOINT_SOCKET");
        command.envs(socket.map(|socket| ("SPIFFE_ENDPOINT_SOCKET", socket)));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let wanted = "{workload_api: {enabled: true}}";
    assert!(validate(wanted, Some("unix:///run/agent.sock")).0);
    for (identity, socket, says) in [
        (wanted, None, "identity.workload_api.socket is missing"),
        (wanted, Some(""), "identity.workload_api.socket is missing"),
        (wanted, Some("agent.sock"), "is taken from SPIFFE_ENDPOINT_SOCKET"),
        ("{}", Some("unix:///run/agent.sock"), "identity.trust_bundles is missing"),
    ] {
        let (is_valid, said) = validate(identity, socket);
        assert!(!is_valid && said.contains(says), "{identity} {socket:?}: {said}");
    }
}
