//! `--wait` in a fleet: in force in every sidecar, or who is missing and until when it may go on.

use std::process::Output;

use countersign_tests::door::Door;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::POLICIES;
use countersign_tests::nats::Nats;
use countersign_tests::pki::Authority;
use countersign_tests::sidecar::{Sidecar, countersign};
use serde_json::Value;
use tempfile::TempDir;

struct Member {
    sidecar: Sidecar,
    dir: TempDir,
}

impl Member {
    async fn start(nats: &Nats, service: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("proof-").tempdir().unwrap();
        std::fs::write(dir.path().join("bundle.pem"), Authority::new("demo.test").bundle_pem()).unwrap();
        std::fs::write(dir.path().join("policy.cedar"), POLICIES).unwrap();
        let config = format!(
            r#"
service: {{ name: {service} }}
identity: {{ trust_bundles: [ {{ trust_domain: demo.test, file: bundle.pem }} ] }}
policy: {{ files: [policy.cedar] }}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
  admin: {{ unix: admin.sock }}
signals:
  log: signals.redb
  nats: {{ enabled: true, servers: ["{}"], replicas: 1 }}
degraded: {{ max_view_age: 2s }}
audit: {{ file: audit.jsonl }}
"#,
            nats.url()
        );
        let sidecar = Sidecar::start(dir.path(), &config, Door::Unix(dir.path().join("admin.sock"))).await;
        Self { sidecar, dir }
    }

    async fn revoke(&self, more: &[&str]) -> Output {
        let socket = self.dir.path().join("control.sock").display().to_string();
        let arguments = ["revoke", "spiffe://demo.test/x", "--wait", "--socket", &socket];
        let arguments: Vec<String> = arguments.iter().chain(more).map(ToString::to_string).collect();
        let run = move || countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    async fn proof(&self, more: &[&str]) -> (Value, i32) {
        let output = self.revoke(&[&["--output", "json"], more].concat()).await;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (answer["enforcement"].clone(), output.status.code().unwrap())
    }

    /// Waits until this many others are known and have it in force.
    async fn until_all(&self, others: usize) -> Value {
        eventually("proof of all sidecars", async || {
            let (proof, code) = self.proof(&[]).await;
            let sidecars = proof["sidecars"].as_array().unwrap();
            (code == 0 && sidecars.len() == others).then_some(proof.clone())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sidecar_has_it_in_force_or_is_named_with_the_end_of_its_bound() {
    let nats = Nats::start().await;
    let one = Member::start(&nats, "one").await;
    let two = Member::start(&nats, "two").await;
    let mut three = Member::start(&nats, "three").await;
    let proof = one.until_all(2).await;
    for sidecar in proof["sidecars"].as_array().unwrap() {
        assert_eq!((&sidecar["complete"], &sidecar["reachable"]), (&true.into(), &true.into()), "{proof}");
        assert!(sidecar["enforced_seq"].as_u64() >= proof["seq"].as_u64() && sidecar["took_us"].is_u64(), "{proof}");
    }
    let services: Vec<&str> =
        proof["sidecars"].as_array().unwrap().iter().map(|it| it["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["three", "two"]);
    let text = String::from_utf8(one.revoke(&[]).await.stdout).unwrap();
    assert!(text.contains("in force everywhere: 3 of 3 sidecars"), "{text}");
    two.until_all(2).await;

    three.sidecar.kill();
    let (proof, code) = one.proof(&["--timeout", "1500ms"]).await;
    assert_eq!(code, 3, "{proof}");
    let gone = &proof["sidecars"][0];
    assert_eq!((&gone["service"], &gone["reachable"]), (&"three".into(), &false.into()), "{proof}");
    assert!(gone["bound_until"].is_string(), "{proof}");
    let output = one.revoke(&["--timeout", "50ms"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && text.contains("sidecar three "), "{text}");
    assert!(text.contains("unreachable, may answer by what it knew before until 20"), "{text}");

    // It denies from then on, so nothing is open any more.
    let (proof, code) = one.proof(&["--timeout", "60s"]).await;
    assert_eq!((code, proof["sidecars"].as_array().unwrap().len()), (0, 1), "{proof}");

    three.sidecar.restart().await;
    one.until_all(2).await;
    three.until_all(2).await;
    // Killed and back before its bound is over: the new run answers for the old one.
    three.sidecar.restart().await;
    one.until_all(2).await;
}
