//! Who is on the other end of a hop: X.509-SVIDs verified against the trust bundle of their own trust domain; it decides nothing about them.

mod bundle;
mod bundle_files;
pub mod federation;
mod leaf;
mod memo;
mod name;
mod own;
mod pem;
mod presented;
mod refusal;
pub mod svid;
#[cfg(test)]
mod test_pki;
mod trust_store;
mod validity;
mod verifier;

pub use bundle::{Bundle, Bundles, InvalidBundle, TrustDigest};
pub use bundle_files::{BundleFiles, BundleSource, InvalidBundleFile, InvalidBundleFiles, Reload};
pub use federation::{EndpointUrl, FederationSource};
pub use own::{InvalidOwnSvid, OwnIdentity, OwnSvid};
pub use presented::PresentedCertificate;
pub use refusal::Refusal;
pub use trust_store::{Held, Missing, Origin, TrustStore};
pub use verifier::{MemoCounts, Verifier};
