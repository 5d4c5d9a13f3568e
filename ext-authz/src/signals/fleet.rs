//! The log of a fleet: one stream orders the signals of all sidecars, and each keeps a replica of it on its own disk.

pub mod follower;
