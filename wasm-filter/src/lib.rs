//! Countersign in the proxy: answers repeated requests from memory, asks the sidecar for the rest, and takes back what
//! it allowed when the sidecar says so. All rules are in `machine`; only `host` and what
//! calls it (`root`, `http`, `tcp`, `silent`) know a host.

mod config;
mod host;
mod http;
mod machine;
mod root;
mod silent;
mod tcp;

pub use config::{Config, InvalidConfig, Layer};
pub use machine::{
    Answer, Arrival, Change, Effect, Identity, Level, Machine, Metric, Next, Note, Peer, Question, Source, Standing,
    Stats, Subject, Wanted,
};

/// What the proxy calls first.
#[allow(missing_docs, reason = "the function is written by the SDK's macro")]
mod start {
    use crate::root::Root;

    proxy_wasm::main! {{
        // Also installs a hook that logs a panic as critical: it is the only trace a crash of the VM leaves.
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
    }}
}
