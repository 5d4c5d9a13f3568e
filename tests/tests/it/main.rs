//! The one integration binary; every module boots real parts through the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod caching;
mod docs;
mod enforcement;
mod harness;
mod malformed;
mod operations;
mod refusals;
mod reload;
mod restart;
mod revocation;
mod stress;
mod tidy;
