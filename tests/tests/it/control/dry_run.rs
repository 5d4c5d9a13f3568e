//! A dry run says what a revocation then hits: on real Envoys, with cached decisions and open streams.

use countersign_tests::client::Protocol;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use http::StatusCode;
use serde_json::Value;

async fn dry_run(mesh: &Mesh, scopes: &[&str]) -> Value {
    let text = mesh.must(&[&["revoke"], scopes, &["--dry-run", "--output", "json"]].concat()).await;
    serde_json::from_str(&text).unwrap()
}

/// Decisions and streams that filters have, as they say it about once a second.
async fn until_filters_have(mesh: &Mesh, decisions: u64, streams: u64) {
    let expected = [decisions, streams].map(|count| f64::from(u32::try_from(count).unwrap()));
    let names = ["countersign_filter_cached_decisions", "countersign_filter_open_streams"];
    eventually(&format!("{decisions} decisions and {streams} streams"), async || {
        let now = [mesh.sidecar.metric(names[0], &[]).await, mesh.sidecar.metric(names[1], &[]).await];
        (now == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_counts_what_the_revocation_then_takes_and_takes_nothing_itself() {
    let mesh = Mesh::build(Mode::Filter).workers(2).start().await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut streams = Vec::new();
    for (svid, paths) in [(&web, &["/a", "/b", "/c"][..]), (&cart, &["/a"])] {
        let mut connection = mesh.client(svid).connect(Protocol::Http2).await.unwrap();
        for path in paths {
            assert_eq!(connection.get(path).await.unwrap().status, StatusCode::OK);
            let mut stream = connection.stream("/stream").await.unwrap();
            stream.flows(1).await;
            streams.push(stream);
        }
    }
    let all = dry_run(&mesh, &["spiffe://demo.test"]).await;
    let hit = dry_run(&mesh, &[web.id()]).await;
    let count = |answer: &Value, name: &str| answer[name].as_u64().unwrap();
    // One for each worker, and the main thread's, which serves nobody.
    assert_eq!((all["filters"].as_array().unwrap().len(), &all["silent"]), (3, &serde_json::json!([])), "{all}");
    assert_eq!((count(&all, "open_streams"), count(&hit, "open_streams")), (4, 3), "{all} {hit}");
    let (decisions, gone) = (count(&all, "cached_decisions"), count(&hit, "cached_decisions"));
    assert!(0 < gone && gone < decisions, "{all} {hit}");
    assert!(
        0 < count(&hit, "sidecar_decisions") && count(&hit, "sidecar_decisions") < count(&all, "sidecar_decisions")
    );
    let nobody = dry_run(&mesh, &["spiffe://demo.test/nobody", "token:1"]).await;
    let counts = ["cached_decisions", "open_streams", "sidecar_decisions"].map(|name| count(&nobody, name));
    assert_eq!(counts, [0, 0, 0], "{nobody}");
    let prefix = format!("{}/*", web.id().rsplit_once("/sa/").unwrap().0);
    assert_eq!(count(&dry_run(&mesh, &[&prefix]).await, "open_streams"), 4);

    for stream in &mut streams {
        stream.flows(2).await;
    }
    until_filters_have(&mesh, decisions, 4).await;
    assert!(mesh.must(&["signals", "list"]).await.starts_with("no signals"), "nothing was sent");

    mesh.revoke(web.id()).await;
    let other = streams.pop().unwrap();
    for mut stream in streams {
        stream.until_cut().await;
    }
    until_filters_have(&mesh, decisions - gone, 1).await;
    drop(other);
}

#[tokio::test]
async fn without_filters_the_cache_of_the_sidecar_is_all_there_is() {
    let mesh = Mesh::build(Mode::ExtAuthz).each_path().start().await;
    let web = mesh.authority.issue(CALLER);
    for path in ["/a", "/b"] {
        assert_eq!(mesh.client(&web).get(Protocol::Http1, path).await.unwrap().status, StatusCode::OK);
    }
    let hit = dry_run(&mesh, &[web.id()]).await;
    assert_eq!((&hit["filters"], hit["sidecar_decisions"].as_u64()), (&serde_json::json!([]), Some(2)), "{hit}");
    let text = mesh.must(&["revoke", "spiffe://demo.test", "--dry-run"]).await;
    assert!(text.contains("and 2 decisions in the sidecar's cache"), "{text}");
}
