//! Bundles of other trust domains from their endpoints (SPIFFE Federation): whom to ask, whom to believe, when to ask again. It puts nothing in force.

use std::{path::PathBuf, time::Duration};

use authz_core::identity::{SpiffeId, TrustDomain};

mod answer;
mod endpoint;
mod fetch;
mod schedule;
mod tls;
mod url;

pub use answer::{Accepted, RefusedAnswer, judge};
pub use endpoint::{Endpoint, Step};
pub use fetch::FetchError;
pub use schedule::{LONGEST_REFRESH, SHORTEST_REFRESH};
pub use url::{EndpointUrl, InvalidEndpointUrl};

/// One configured bundle endpoint (SPIFFE Federation §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationSource {
    /// Whose bundle it serves: configuration says so, neither the URL nor the bundle does.
    pub trust_domain: TrustDomain,
    /// Where.
    pub url: EndpointUrl,
    /// How its server proves who it is.
    pub profile: Profile,
    /// How often to ask, whatever the bundle hints at.
    pub refresh: Option<Duration>,
}

/// How an endpoint's server proves who it is (SPIFFE Federation §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `https_spiffe`: by an X.509-SVID with exactly this ID; its host name says nothing.
    Spiffe {
        /// Who the server must be.
        endpoint_id: SpiffeId,
        /// A bundle of the ID's trust domain, for as long as there is none that was fetched.
        bootstrap: Option<PathBuf>,
    },
    /// `https_web`: by a certificate for its host name.
    Web {
        /// PEM with the authorities to believe in place of the system's.
        ca_file: Option<PathBuf>,
    },
}

impl Profile {
    /// The name in configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Spiffe { .. } => "https_spiffe",
            Self::Web { .. } => "https_web",
        }
    }
}
