//! The suite on real Envoys, in rounds too short to mean anything. It must not need what only `make bench` builds.

use countersign_tests::authorizer::{Authorizer, status};

use super::scenario::{Approach, Kind};
use super::*;
use crate::endpoint::Endpoint;
use crate::generator::line::Target;

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_are_measured_on_a_real_envoy_and_proven_by_its_counters() {
    let peer = Authorizer::start(status(0));
    let report = measure(&peer, &["no_filter", "rbac_1", "rbac_100", "peer_other"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    for scenario in ["no_filter", "rbac_1", "rbac_100", "peer_other"] {
        let summary = &json["scenarios"][scenario];
        assert_eq!(summary["rounds"], 2, "{scenario}: {summary}");
        assert!(summary["requests_per_second"]["min"].as_f64().unwrap() > 0.0, "{scenario}: {summary}");
        assert!(summary["envoy_cpu_us"]["min"].as_f64().unwrap() > 0.0, "{scenario}: {summary}");
        let (p50, p99) = (summary["p50_us"].as_f64().unwrap(), summary["p99_us"].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{scenario}: {summary}");
    }
    assert_eq!(json["machine"]["envoy"], "1.40.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_requests_are_counted_by_envoy_as_connections_and_a_chain_of_three_hops_is_taken() {
    let peer = Authorizer::start(status(0));
    let names = ["first_request_no_filter", "no_filter_three_hops"];
    let report = measure(&peer, &names).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    for name in names {
        assert_eq!(json["scenarios"][name]["rounds"], 2, "{name}");
        assert!(json["scenarios"][name]["p50_us"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_nobody_looks_at_is_no_proof() {
    let mut stage = Stage::new(modules()).unwrap();
    let booted = stage.boot(&Kind::NoFilter, Approach::ThreeHops).await.unwrap();
    let endpoint = Endpoint::try_from(booted.envoy.address()).unwrap();
    let target = Target { endpoint, tls: Some(stage.tls().unwrap()) };
    let error = proof::refuses_wrong_chains(&target, stage.hops()).await.unwrap_err().to_string();
    assert_eq!(error, "a request without a chain was answered with 200, not 403: chains are not verified here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_refuses_fails_the_suite() {
    let peer = Authorizer::start(status(7));
    let error = measure(&peer, &["peer_other"]).await.unwrap_err().to_string();
    assert!(error.starts_with("peer_other: not every answer was 200: ") && error.ends_with(" x 403"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_was_not_built_is_named() {
    let peer = Authorizer::start(status(0));
    let error = measure(&peer, &["empty_wasm"]).await.unwrap_err().to_string();
    assert_eq!(error, "there is no wasm module at /nowhere/empty.wasm; `make bench` builds it");
}

async fn measure(peer: &Authorizer, only: &[&str]) -> Result<Report, SuiteFailed> {
    let plan = Plan {
        rounds: 2,
        phase: Duration::from_millis(50),
        connections: 2,
        rate: NonZeroU32::new(200).unwrap(),
        peers: vec![format!("other=unix:{}", peer.socket().display()).parse().unwrap()],
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        revocations: revocation::Plan { logs: Vec::new(), filters: Vec::new(), revocations: 0, live: Vec::new() },
    };
    run(&plan, modules(), |_| ()).await
}

fn modules() -> Modules {
    Modules { empty: "/nowhere/empty.wasm".into(), product: "/nowhere/countersign.wasm".into() }
}
