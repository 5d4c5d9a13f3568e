//! Countersign's own protocols as plain messages, the same in sidecar, filter and tools; it holds no transport and no rules.

/// The control API: signals and their enforcement.
pub mod control {
    #![allow(missing_docs, clippy::large_enum_variant, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/countersign.control.v1.rs"));
}

/// The link between a filter and its sidecar.
pub mod link {
    #![allow(missing_docs, clippy::large_enum_variant, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/countersign.link.v1.rs"));
}
