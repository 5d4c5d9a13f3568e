//! The file of the log cut anywhere, with any bit flipped, or on a full disk: a clear word, and nobody revoked comes back.

use std::fs;

use countersign_tests::client::Protocol;
use countersign_tests::control::{Control, revocation};
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode};
use http::StatusCode;
use serde_json::Value;

const REVOKED: [&str; 3] = ["/ns/shop/sa/a", "/ns/shop/sa/b", "/ns/shop/sa/c"];

async fn status(mesh: &Mesh, path: &str) -> StatusCode {
    mesh.client(&mesh.authority.issue(path)).get(Protocol::Http1, "/").await.unwrap().status
}

async fn revoke(mesh: &Mesh, path: &str) {
    mesh.must(&["revoke", &mesh.authority.id(path), "--why", "test"]).await;
}

/// The files of the store and what is in them.
struct Copy(Vec<(std::path::PathBuf, Vec<u8>)>);

impl Copy {
    fn of(mesh: &Mesh) -> Self {
        let log = mesh.signal_log();
        let files = fs::read_dir(log.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let of_store = files.filter(|file| file.to_str().unwrap().starts_with(log.to_str().unwrap()));
        Self(of_store.map(|file| (file.clone(), fs::read(file).unwrap())).collect())
    }

    fn put_back(&self) {
        for (file, bytes) in &self.0 {
            fs::write(file, bytes).unwrap();
        }
    }

    /// The log's bytes; the other file says how far it had come.
    fn log(&self) -> &[u8] {
        &self.0.iter().find(|(file, _)| file.extension().is_some_and(|extension| extension == "redb")).unwrap().1
    }
}

/// One way to hurt a file.
type Damage = (String, Box<dyn Fn(&mut Vec<u8>)>);

fn damages(random: &mut fastrand::Rng, length: usize) -> Vec<Damage> {
    let mut damages: Vec<Damage> = Vec::new();
    for left in [0, 1, length / 2, length - 4096, length - 1] {
        damages.push((format!("cut to {left} of {length} bytes"), Box::new(move |bytes| bytes.truncate(left))));
    }
    for _ in 0..FLIPS {
        let (byte, bit) = (random.usize(..length), random.u8(..8));
        damages.push((format!("bit {bit} of byte {byte} flipped"), Box::new(move |bytes| bytes[byte] ^= 1 << bit)));
    }
    damages
}

#[tokio::test]
async fn a_damaged_log_is_refused_by_name_or_holds_all_that_was_revoked() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut mesh = Mesh::start(Mode::ExtAuthz).await;
    for path in REVOKED {
        revoke(&mesh, path).await;
    }
    mesh.sidecar.kill();
    let whole = Copy::of(&mesh);
    let mut refused = 0;
    for (what, damage) in damages(&mut fastrand::Rng::with_seed(seed), whole.log().len()) {
        whole.put_back();
        let mut bytes = whole.log().to_vec();
        damage(&mut bytes);
        fs::write(mesh.signal_log(), bytes).unwrap();
        let before = mesh.sidecar.logs().len();
        mesh.sidecar.run_again();
        let ended = eventually("an end, or readiness", async || {
            let ended = mesh.sidecar.process().exited();
            if ended.is_some() || mesh.sidecar.is_ready().await { Some(ended) } else { None }
        })
        .await;
        if let Some(ended) = ended {
            let said = mesh.sidecar.logs()[before..].to_owned();
            assert!(ended.code().is_some_and(|code| code != 0), "{what}: {ended}");
            assert!(said.contains("signals.redb") && !said.contains("panicked"), "{what}: {said}");
            refused += 1;
        } else {
            for path in REVOKED {
                assert_eq!(status(&mesh, path).await, StatusCode::FORBIDDEN, "{what}: {path}");
            }
        }
    }
    assert!(refused >= 3, "only {refused} were found out");
    whole.put_back();
    mesh.sidecar.restart().await;
    assert_eq!(status(&mesh, REVOKED[2]).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing_and_with_room_signals_are_taken_again() {
    let mut mesh = Mesh::start(Mode::ExtAuthz).await;
    revoke(&mesh, REVOKED[0]).await;
    mesh.sidecar.limit_files(Some(fs::metadata(mesh.signal_log()).unwrap().len()));
    let mut control = Control::at(&mesh.control_socket());
    let mut acknowledged = 1;
    let refused = loop {
        let mut request = revocation(&format!("fill-{acknowledged}"), "trust-domain:elsewhere.test");
        request.why = "x".repeat(1000);
        match control.submit(request).await {
            Ok(_) => acknowledged += 1,
            Err(status) => break status,
        }
        assert!(acknowledged < 50_000, "the disk never got full");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("signals.redb"), "{refused:?}");
    println!("after {acknowledged}: {}", refused.message());
    eventually("a sidecar that is not ready", async || (!mesh.sidecar.is_ready().await).then_some(())).await;
    assert_eq!(status(&mesh, REVOKED[0]).await, StatusCode::FORBIDDEN, "still");
    let failed = mesh.countersign(&["revoke", &mesh.authority.id(REVOKED[1]), "--why", "test"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("signals.redb"), "{failed:?}");

    mesh.sidecar.limit_files(None);
    eventually("a sidecar that takes signals again", async || mesh.sidecar.is_ready().await.then_some(())).await;
    revoke(&mesh, REVOKED[1]).await;
    for _ in 0..2 {
        let log = control.log().await;
        assert_eq!(log.len(), acknowledged + 1, "what was acknowledged, and nothing that was refused");
        for path in &REVOKED[..2] {
            assert_eq!(status(&mesh, path).await, StatusCode::FORBIDDEN, "{path}");
        }
        assert_eq!(status(&mesh, CALLER).await, StatusCode::OK);
        mesh.sidecar.restart().await;
    }
}

/// Readers may read, but nothing precious on an old view.
const POLICIES: &str = r#"
permit (principal in WorkloadPath::"spiffe://demo.test/ns/shop", action in Action::"read", resource == Service::"orders");
forbid (principal, action, resource) when { context.http.path like "/precious*" && context.view_age > 0 };
"#;

#[tokio::test]
async fn while_the_store_takes_nothing_requests_meet_what_is_configured_and_all_the_world_is_told() {
    // What the remembered, the new and the precious get in each.
    for (conduct, expected) in [("deny", [false; 3]), ("cached", [true, false, true]), ("policy", [true, true, false])]
    {
        let section = format!("degraded: {{ store_unwritable: {conduct} }}");
        let mesh = Mesh::build(Mode::ExtAuthz).policies(POLICIES).each_path().sections(&section).start().await;
        let web = mesh.authority.issue(CALLER);
        let get = async |mesh: &Mesh, path: &str| {
            mesh.client(&web).get(Protocol::Http1, path).await.unwrap().status == StatusCode::OK
        };
        for path in ["/known", "/precious"] {
            assert!(get(&mesh, path).await, "{path}");
        }
        revoke(&mesh, REVOKED[0]).await;
        mesh.sidecar.limit_files(Some(fs::metadata(mesh.signal_log()).unwrap().len()));
        let mut control = Control::at(&mesh.control_socket());
        eventually("a store that takes nothing", async || {
            let mut request = revocation(&fastrand::u64(..).to_string(), "trust-domain:elsewhere.test");
            request.why = "x".repeat(1000);
            control.submit(request).await.is_err().then_some(())
        })
        .await;

        let got = [get(&mesh, "/known").await, get(&mesh, "/new").await, get(&mesh, "/precious").await];
        assert_eq!(got, expected, "{conduct}: known, new, precious");
        assert_eq!(status(&mesh, REVOKED[0]).await, StatusCode::FORBIDDEN, "{conduct}: what is revoked stays so");
        assert_eq!(mesh.sidecar.metric("countersign_degraded", &["condition=\"store_unwritable\""]).await, 1.0);
        assert!(mesh.sidecar.metric("countersign_view_age_seconds", &[]).await > 0.0);
        let (_, parts) = mesh.sidecar.admin().get("/readyz?verbose").await.unwrap();
        let parts = String::from_utf8_lossy(&parts).into_owned();
        assert!(parts.contains(&format!("view: store_unwritable; requests: {conduct}")), "{parts}");
        let told = |line: &Value| line["degraded"] == "store_unwritable" && line["conduct"] == conduct;
        mesh.audited("a decision made meanwhile", |line| line["path"] == "/known" && told(line)).await;

        mesh.sidecar.limit_files(None);
        eventually("recovery", async || {
            (mesh.sidecar.is_ready().await && get(&mesh, "/precious").await && get(&mesh, "/new").await).then_some(())
        })
        .await;
        assert_eq!(mesh.sidecar.metric("countersign_degraded", &[]).await, 0.0);
        mesh.audited("its end", |line| line["kind"] == "degraded" && line["result"] == "left").await;
    }
}

const FLIPS: usize = 20;
