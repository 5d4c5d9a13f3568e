//! `countersign check` against a running sidecar: it decides as for Envoy, and what is printed is what it decided.

use std::process::Output;

use countersign_tests::pki::Svid;
use serde_json::Value;

use super::stand::{ASKS, SERVER, Stand, run};

/// The answer to `check` with the caller `svid` at an address.
async fn check(stand: &Stand, address: &str, svid: Option<&Svid>, more: &[&str]) -> Output {
    let certificate = svid.map(|svid| svid.write_cert(stand.dir.path(), "caller"));
    let certificate = certificate.iter().flat_map(|path| ["--certificate", path.to_str().unwrap()]);
    run(&["check", "--address", address].into_iter().chain(certificate).chain(more.iter().copied()).collect::<Vec<_>>())
        .await
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_running_sidecar_tells_verdict_policies_and_decision_and_policies_here_say_why() {
    let stand = Stand::start().await;
    let socket = format!("unix:{}", stand.dir.path().join("ext-authz.sock").display());
    let config = stand.dir.path().join("policy.cedar");
    let here = ["--policies", config.to_str().unwrap(), "--service", "orders"];
    let web = stand.authority.issue("/ns/shop/sa/web");
    let allowed = check(&stand, &socket, Some(&web), &[&here[..], &["--output", "json"]].concat()).await;
    let answer: Value = serde_json::from_slice(&allowed.stdout).unwrap_or_else(|_| panic!("{allowed:?}"));
    assert_eq!(allowed.status.code(), Some(0));
    assert_eq!((&answer["verdict"], &answer["policies"][0]), (&"allow".into(), &"callers-read".into()));
    assert_eq!(answer["caller"], "spiffe://demo.test/ns/shop/sa/web", "by the chain, with its intermediate");
    assert_eq!(answer["explanation"]["policies"][0]["policy"], "callers-read");
    stand.audited("the decision", |line| line["decision_id"] == answer["decision_id"]).await;

    let tenant = stand.authority.issue("/tenant");
    let denied = check(&stand, &socket, Some(&tenant), &[&here[..], &["--header", "x-tenant: b"]].concat()).await;
    assert_eq!(denied.status.code(), Some(1));
    let said = text(&denied);
    assert!(
        said.starts_with("deny: no_permit, says the sidecar\n") && said.contains("the policies here say the same"),
        "{said}"
    );
    assert!(
        said.contains(
            "policy tenant-a would permit it, but for\n  - when context.http.headers[\"x-tenant\"] == \"a\": false"
        ),
        "{said}"
    );

    stand.revoke("spiffe://demo.test/ns/shop/sa/web").await;
    let revoked = text(&check(&stand, &socket, Some(&web), &here).await);
    assert!(
        revoked.starts_with("deny: revoked, says the sidecar") && revoked.contains("the policies here say otherwise"),
        "{revoked}"
    );
    let nobody = text(&check(&stand, &socket, None, &[]).await);
    assert!(nobody.contains("caller: proves nothing (certificate_missing)"), "{nobody}");
}

#[tokio::test]
async fn a_sidecar_elsewhere_is_asked_with_mtls_and_the_wrong_door_is_named() {
    let stand = Stand::start().await;
    let (asks, web) =
        (stand.authority.issue(ASKS).write(stand.dir.path(), "asks"), stand.authority.issue("/ns/shop/sa/web"));
    let address = format!("https://{}", stand.sidecar.mtls_address("ext_authz").await);
    let (trust, server) = (stand.dir.path().join("bundle.pem"), stand.authority.id(SERVER));
    let [cert, key, trust] = [&asks.cert, &asks.key, &trust].map(|path| path.to_str().unwrap());
    let how = ["--svid", cert, "--key", key, "--trust", trust, "--server-id", &server];
    let allowed = check(&stand, &address, Some(&web), &how).await;
    assert!(allowed.status.success() && text(&allowed).starts_with("allow: permit, says the sidecar"), "{allowed:?}");
    let control = format!("unix:{}", stand.dir.path().join("control.sock").display());
    let wrong = check(&stand, &control, Some(&web), &[]).await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("listen.ext_authz in the configuration"), "{wrong:?}");
}
