//! Who somebody is, as text and as proof: SPIFFE IDs, credentials and the XFCC header. Parses and compares; verifies no signature and decides nothing.

mod credential;
mod digest;
mod excerpt;
mod id_pattern;
mod issuer_serial;
mod path_prefix;
mod percent;
mod spiffe_id;
mod trust_domain;
mod xfcc;

pub use credential::{Credential, InvalidCredential};
pub use digest::{Digest, InvalidDigest};
pub(crate) use excerpt::excerpt;
pub use id_pattern::{IdPattern, InvalidIdPattern};
pub use issuer_serial::{InvalidIssuerSerial, IssuerSerial};
pub use path_prefix::PathPrefix;
pub use percent::{InvalidPercentText, decode_percent};
pub use spiffe_id::{InvalidSpiffeId, SpiffeId};
pub use trust_domain::TrustDomain;
pub use xfcc::{Element, InvalidXfcc, Key, Limits, Pair, Xfcc};
