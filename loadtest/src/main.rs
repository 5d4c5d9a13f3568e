//! Measures what an authorization chain in a real Envoy costs. It must not load any other machine than its own.

mod endpoint;
mod generator;
mod machine;
mod report;
mod statistics;

fn main() {}
