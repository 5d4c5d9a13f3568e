//! The Countersign sidecar as a library: edges around the pure core; each module is one room, wired together in `sidecar`.

pub mod clock;
pub mod files;
pub mod identity;
pub mod signals;
pub mod wire;
