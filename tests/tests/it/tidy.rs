//! What compilers do not hold: who may import what, how long a file is, that papers name files that exist. It reads text and runs nothing.

mod architecture;
mod manifests;
mod rules;
mod sources;
