//! A dry run says what a revocation then hits: on real Envoys with cached decisions and open streams.

use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use serde_json::Value;

use crate::streams::open;

async fn dry_run(mesh: &Mesh, arguments: &[&str]) -> Value {
    let text = mesh.must(&[&["revoke"], arguments, &["--dry-run", "--output", "json"]].concat()).await;
    serde_json::from_str(&text).unwrap()
}

async fn gauge(mesh: &Mesh, name: &str) -> u64 {
    // Filters say how much they have once a second.
    mesh.sidecar.metric(name, &[]).await as u64
}
