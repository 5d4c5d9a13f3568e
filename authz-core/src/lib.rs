//! Countersign's pure core: what a request is, who may make it, and when an answer may be reused; no IO, no clock, no lock, no async.
//!
//! Direction inside: `facts, identity, hops, decision → scope, signal, revocation, standing → operations, plan, key → gate`.

mod clearance;
pub mod decision;
pub mod facts;
pub mod gate;
pub mod hops;
pub mod identity;
pub mod key;
pub mod operations;
pub mod plan;
pub mod reading;
pub mod reason;
pub mod revocation;
pub mod scope;
mod scope_map;
pub mod signal;
pub mod standing;
pub mod time;
