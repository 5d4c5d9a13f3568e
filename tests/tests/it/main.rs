//! The one integration binary; every module boots real parts through the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "helpers of tests fail by panicking, as tests do; counters are whole numbers"
)]

mod caching;
mod control;
mod damage;
mod docs;
mod enforcement;
mod envoy_lint;
mod federation;
mod fleet;
mod fleet_mesh;
mod harness;
mod hops;
mod listeners;
mod malformed;
mod mapped;
mod model;
mod operations;
mod paths;
mod reconfiguration;
mod refusals;
mod reload;
mod restart;
mod resync;
mod revocation;
mod slow_filters;
mod status;
mod store;
mod storm;
mod streams;
mod stress;
mod tcp;
mod tcp_filter;
mod tidy;
mod unverified;
mod workload_api;
