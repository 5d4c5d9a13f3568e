//! The Countersign sidecar as a library: edges around the pure core; each module is one room, wired together in `sidecar`.

pub mod admin;
pub mod audit;
pub mod cache;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod degraded;
pub mod envoy_lint;
pub mod files;
pub mod filters;
pub mod grpc;
pub mod identity;
pub mod logging;
pub mod metrics;
mod moment;
pub mod policy;
pub mod readiness;
pub mod sidecar;
pub mod signals;
pub mod socket;
pub mod state;
pub mod status;
pub mod tls;
pub mod wire;
pub mod workbench;
