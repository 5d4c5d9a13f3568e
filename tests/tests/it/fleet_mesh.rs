//! Three sidecars and three real Envoys on one real nats-server: what is acknowledged at one is in force at all, and
//! what happens while the log can't be reached.

mod back;
mod everywhere;
mod lost;
mod race;
