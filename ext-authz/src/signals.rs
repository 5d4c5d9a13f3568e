//! The sidecar's signals: a durable log, and the one path by which a new signal enters it and takes effect.

pub mod convert;
pub mod dead;
pub mod fleet;
mod freshness;
mod history;
pub mod live;
mod log;
mod plane;
mod tail;
mod upkeep;

pub use fleet::{FleetState, JoinError, Refused};
pub use freshness::Freshness;
pub use history::{Fingerprint, History};
pub use log::{Appended, Compacted, Log, LogError};
pub use plane::{Accepted, SignalPlane, SubmitError};
pub use tail::{Entry, Tail, TailEnd};
pub use upkeep::Upkeep;
