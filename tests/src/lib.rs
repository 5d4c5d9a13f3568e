//! The harness: real parts (PKI, Envoy, clients, services, sidecar processes) that tests, demo and benchmarks boot;
//! it must not know how the product decides anything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a harness that cannot go on stops the test and says why"
)]

pub mod agent;
pub mod authorizer;
pub mod bundle_endpoint;
pub mod client;
pub mod control;
pub mod demo;
pub mod door;
pub mod envoy;
pub mod eventually;
pub mod fleet;
pub mod mesh;
pub mod model;
pub mod nats;
pub mod pki;
pub mod process;
pub mod sidecar;
pub mod tcp_service;
pub mod upstream;
pub mod websocket;

use std::path::PathBuf;

/// The root of the repository: where `envoy/` and `target/` are.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_path_buf()
}
