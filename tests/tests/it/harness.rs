//! The harness shows that it is real, and pins what a real Envoy does that the product relies on.

mod answers;
mod chain;
mod checks;
mod failures;
mod faults;
mod hop;
mod nats;
mod streams;
mod wasm;
