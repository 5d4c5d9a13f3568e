//! Comparison suite.
fn main() {}
