//! The SPIFFE Workload API: an agent tells who we are and whom to trust, in streams whose every message is all there is. It keeps no metric.

mod address;
mod bundles;
mod failure;
mod follow;
mod message;
mod open;
mod revocation_lists;
mod schedule;
mod svids;
mod tokens;

pub use address::{AgentAddress, InvalidAddress};
pub use bundles::{AgentBundles, BundlesTaken};
pub use failure::Failure;
pub(crate) use follow::{News, follow};
pub use message::InvalidMessage;
pub use open::{Feed, open_bundles, open_jwt_bundles, open_svids};
pub use revocation_lists::RevocationLists;
pub use svids::{AgentSvids, Choice, SvidChange, SvidsTaken};
pub use tokens::JwtBundles;

/// Most bytes of one message: what gRPC clients take unless told otherwise, and with it the bound on all that an agent can make us hold.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
