//! Who is on the other end of a hop: X.509-SVIDs verified against the trust bundle of their own trust domain; it decides nothing about them.

mod bundle;
mod bundle_files;
mod der;
pub mod federation;
mod identified;
mod leaf;
mod memo;
mod name;
mod own;
mod pem;
mod presented;
mod refusal;
mod server;
pub mod svid;
mod svid_files;
#[cfg(test)]
mod test_pki;
mod trust_store;
mod validity;
mod verifier;
pub mod workload_api;

pub use bundle::{Bundle, Bundles, InvalidBundle, TrustDigest};
pub use bundle_files::{BundleFiles, BundleSource, InvalidBundleFile, InvalidBundleFiles, Reload};
pub use federation::{EndpointUrl, FederationSource};
pub use identified::Identified;
pub use own::{InvalidOwnSvid, OwnIdentity, OwnSvid};
pub use presented::PresentedCertificate;
pub use refusal::Refusal;
pub use server::{ExactServer, ServerMismatch};
pub use svid_files::{InvalidSvidFiles, SvidFiles, SvidSource};
pub use trust_store::{Held, Missing, Origin, TrustStore};
pub use verifier::{Forwarding, MemoCounts, Verifier};
