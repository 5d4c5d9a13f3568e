//! Opens the streams of the Workload API: connection, mandatory metadata, limits. It reads no message.
//!
//! The messages are generated from the public proto because the client of the `spiffe` crate drops CRLs and keeps no
//! bundle as it was sent; how to reach an agent is that crate's business.

use spiffe::transport::connect;
use tonic::{
    Request, Status, Streaming,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use super::{AgentAddress, Failure, MAX_MESSAGE_BYTES};
use crate::wire::workload::{
    JwtBundlesRequest, JwtBundlesResponse, X509BundlesRequest, X509BundlesResponse, X509svidRequest, X509svidResponse,
    spiffe_workload_api_client::SpiffeWorkloadApiClient,
};

/// One of the streams that are followed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `FetchJWTBundles`: keys for tokens.
    JwtBundles,
    /// `FetchX509Bundles`: whom to trust.
    X509Bundles,
    /// `FetchX509SVID`: who we are.
    X509Svids,
}

impl Feed {
    /// Every stream.
    pub const ALL: &[Self] = &[Self::JwtBundles, Self::X509Bundles, Self::X509Svids];

    /// The name in metrics, audit and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JwtBundles => "jwt_bundles",
            Self::X509Bundles => "x509_bundles",
            Self::X509Svids => "x509_svids",
        }
    }
}

/// Opens `FetchX509SVID`.
///
/// # Errors
/// Why it can't be opened.
pub async fn open_svids(agent: AgentAddress) -> Result<Streaming<X509svidResponse>, Failure> {
    opened(client(&agent).await?.fetch_x509svid(X509svidRequest {}).await)
}

/// Opens `FetchX509Bundles`.
///
/// # Errors
/// Why it can't be opened.
pub async fn open_bundles(agent: AgentAddress) -> Result<Streaming<X509BundlesResponse>, Failure> {
    opened(client(&agent).await?.fetch_x509_bundles(X509BundlesRequest {}).await)
}

/// Opens `FetchJWTBundles`.
///
/// # Errors
/// Why it can't be opened.
pub async fn open_jwt_bundles(agent: AgentAddress) -> Result<Streaming<JwtBundlesResponse>, Failure> {
    opened(client(&agent).await?.fetch_jwt_bundles(JwtBundlesRequest {}).await)
}

type Client = SpiffeWorkloadApiClient<InterceptedService<Channel, Mandatory>>;

/// A connection of its own for each stream: none of them ends with another.
async fn client(agent: &AgentAddress) -> Result<Client, Failure> {
    let channel = connect(agent.endpoint()).await.map_err(|error| Failure::no_connection(&error))?;
    Ok(Client::new(InterceptedService::new(channel, Mandatory)).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

fn opened<M>(answer: Result<tonic::Response<Streaming<M>>, Status>) -> Result<Streaming<M>, Failure> {
    answer.map(tonic::Response::into_inner).map_err(|status| Failure::of(&status))
}

/// Without this, agents refuse the call: it proves that nobody was tricked into making it (Workload Endpoint §3).
#[derive(Copy, Clone, Debug)]
struct Mandatory;

impl Interceptor for Mandatory {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
        Ok(request)
    }
}
