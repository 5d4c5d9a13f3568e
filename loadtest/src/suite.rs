//! wip
pub mod chain;
pub mod peer;
pub mod policies;
