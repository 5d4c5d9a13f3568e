//! The whole machine against a sidecar made of messages: what it answers, what it forgets, what it tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod counts;
mod fixture;
mod hops;
mod leases;
mod memory;
mod races;
mod random;
mod readings;
mod resync;
mod revocations;
mod rig;

pub use fixture::{allow, caller, deny, direct, scope};
