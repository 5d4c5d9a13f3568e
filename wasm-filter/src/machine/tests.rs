//! The whole machine against a sidecar made of messages: what it answers, what it forgets, what it tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

pub use fixture::{allow, caller, deny, scope};
