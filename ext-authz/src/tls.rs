//! TLS of our own listeners and requests: rustls with ring, SVIDs on both sides, no session ever resumed. It decides on no request of the mesh.

mod client;
mod door;
mod gatekeeper;
mod guard;
mod handshake;
mod outcome;
mod peer;

pub use client::client_config;
pub use door::{Door, Speaks};
pub use gatekeeper::{Gatekeeper, Refused};
pub use outcome::{Listener, Outcome};
pub use peer::Peer;
