//! The gRPC doors: the one place that knows Envoy's types; what is decided behind them is not theirs.

pub mod asking;
mod basis;
mod bookings;
pub mod control;
pub mod desk;
pub mod ext_authz;
pub mod link;
mod outbox;
pub mod response;
mod vitals;
pub mod watch;

/// The service of Envoy's protocol, for those who serve it and need its name, not its messages.
pub use envoy_types::pb::envoy::service::auth::v3::authorization_server::AuthorizationServer;
