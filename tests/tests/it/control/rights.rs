//! Who may signal what, by the example policies in the repository, real certificates and a real port.

use std::fs;
use std::process::Output;

use countersign_tests::eventually::eventually;
use countersign_tests::sidecar::countersign;

use crate::listeners::stand::{SERVER, Stand};

const SERVER_ID: &str = "spiffe://demo.test/sidecar";
const LISTEN: &str = r#"
  control_tcp: { address: 127.0.0.1:0, allow: ["spiffe://demo.test/*", "spiffe://partner.test/*"] }
control: { policy: [control.cedar] }
"#;

/// The example with the trust domain of these tests.
fn example() -> String {
    let path = countersign_tests::root().join("ext-authz/policy/control-example.cedar");
    fs::read_to_string(path).unwrap().replace("a.test", "demo.test")
}

async fn stand(policies: &str) -> Stand {
    let policies = policies.to_owned();
    let mut stand = Stand::spawn(LISTEN, |authority, dir| {
        authority.issue(SERVER).write(dir, "svid");
        fs::write(dir.join("control.cedar"), policies).unwrap();
    });
    stand.sidecar.until_ready().await;
    stand
}

#[track_caller]
fn refused(output: &Output, words: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(words), "{errors}");
}

#[tokio::test]
async fn an_identity_team_may_revoke_its_own_trust_domain_and_nothing_else() {
    let stand = stand(&example()).await;
    let team = stand.authority.issue("/identity-team/alice");
    // Spares whoever has a newer certificate: the team and the sidecar are of that trust domain too.
    let revoke =
        |scope| ["revoke", scope, "--why", "key leaked", "--who", "alice", "--issued-before", "2020-01-01T00:00:00Z"];
    for own in ["spiffe://demo.test/ns/shop/sa/web", "spiffe://demo.test/ns/*", "spiffe://demo.test"] {
        let output = stand.remote(&revoke(own), &team, SERVER_ID).await;
        assert!(output.status.success(), "{own}: {output:?}");
        let output = stand.remote(&["restore", own, "--why", "found"], &team, SERVER_ID).await;
        assert!(output.status.success(), "{own}: {output:?}");
    }
    for other in ["spiffe://partner.test", "spiffe://partner.test/ns/x", "token:1", "device:laptop"] {
        let output = stand.remote(&revoke(other), &team, SERVER_ID).await;
        refused(&output, "spiffe://demo.test/identity-team/alice may not revoke ");
    }
    refused(&stand.remote(&["revoke", "spiffe://demo.test/ns/x"], &team, SERVER_ID).await, "may not revoke spiffe-id:");
    refused(&stand.remote(&["signals", "list"], &team, SERVER_ID).await, "may not list");
    let stranger = stand.authority.issue("/ns/shop/sa/web");
    refused(&stand.remote(&revoke("spiffe://demo.test/ns/x"), &stranger, SERVER_ID).await, "may not revoke spiffe-id:");
    let partner = stand.partner.issue("/identity-team/alice");
    refused(&stand.remote(&revoke("spiffe://demo.test/ns/x"), &partner, SERVER_ID).await, "may not revoke spiffe-id:");

    let allowed = stand
        .audited("an allowed use", |line| line["kind"] == "control" && line["scope"] == "trust-domain:demo.test")
        .await;
    assert_eq!((&allowed["action"], &allowed["result"]), (&"revoke".into(), &"allowed".into()), "{allowed}");
    assert_eq!(allowed["policies"], serde_json::json!(["identity-team-signals-its-own"]));
    assert_eq!(allowed["who"], "spiffe://demo.test/identity-team/alice (alice)");
    let denied = stand.audited("a denied use", |line| line["scope"] == "trust-domain:partner.test").await;
    assert_eq!((&denied["kind"], &denied["result"]), (&"control".into(), &"denied".into()), "{denied}");
    assert_eq!((&denied["why"], &denied["policies"]), (&"key leaked".into(), &serde_json::json!([])));
    stand.audited("a denied reading", |line| line["action"] == "list" && line["result"] == "denied").await;
    let labels = |result: &'static str| ["action=\"revoke\"", result];
    let count = async |result| stand.sidecar.metric("countersign_control_requests_total", &labels(result)).await;
    assert_eq!((count("result=\"allowed\"").await, count("result=\"denied\"").await), (3.0, 7.0));
    let list = countersign(&["signals", "list", "--socket", stand.dir.path().join("control.sock").to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&list.stdout).lines().count(), 6, "what was denied is not in the log: {list:?}");
}

#[tokio::test]
async fn a_broken_set_changes_nothing_and_is_told_and_a_good_one_counts_at_once() {
    let stand = stand(&example()).await;
    let socket = stand.dir.path().join("control.sock");
    let local = |arguments: &[&str]| countersign(&[arguments, &["--socket", socket.to_str().unwrap()]].concat());
    let put = |text: &str| {
        fs::write(stand.dir.path().join("next"), text).unwrap();
        fs::rename(stand.dir.path().join("next"), stand.dir.path().join("control.cedar")).unwrap();
    };
    put("permit(principal, action, resource)\nwhen { context.whom == 1 };");
    let refusal =
        stand.audited("a refused set", |line| line["kind"] == "control_policy" && line["result"] == "refused");
    assert!(refusal.await["detail"].as_str().unwrap().contains("control.cedar:2:"));
    assert!(local(&["revoke", "spiffe://demo.test/x"]).status.success(), "the old set stays");
    let status = local(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.code() == Some(1) && text.contains("the old ones stay in force"), "{text}");
    put("permit(principal is LocalUser, action in [Action::\"list\", Action::\"status\"], resource);");
    eventually("new set in force", async || {
        let output = local(&["revoke", "spiffe://demo.test/x"]);
        (output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("may not revoke"))
            .then_some(())
    })
    .await;
    assert!(local(&["status"]).status.success());
    assert!(local(&["signals", "list"]).status.success());
}

#[tokio::test]
async fn a_sidecar_does_not_start_with_control_policies_that_can_not_be_used() {
    for (text, words) in [
        (Some("permit(principal, action == Action::\"revok\", resource);"), "control.cedar:1:"),
        (Some(""), "there is no policy here"),
        (None, "control.cedar: No such file"),
    ] {
        let mut stand = Stand::spawn(LISTEN, |authority, dir| {
            authority.issue(SERVER).write(dir, "svid");
            if let Some(text) = text {
                fs::write(dir.join("control.cedar"), text).unwrap();
            }
        });
        let status = stand.sidecar.process().wait().await;
        assert!(!status.success(), "{words}");
        let logs = stand.sidecar.logs();
        assert!(logs.contains("control.policy can't be used") && logs.contains(words), "{logs}");
    }
}
