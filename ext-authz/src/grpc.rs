//! The gRPC doors: the one place that knows Envoy's types; what is decided behind them is not theirs.

pub mod control;
pub mod desk;
pub mod ext_authz;
pub mod link;
pub mod response;
pub mod watch;
