//! One question to an endpoint over HTTPS, within limits of time, size and redirects. It reads no bundle.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{CertificateError, ClientConfig};
use thiserror::Error;

use super::url::{EndpointUrl, InvalidEndpointUrl};
use crate::identity::bundle::MAX_BUNDLE_BYTES;

/// Why an endpoint gave no body that could be judged.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Whoever answers there did not prove to be the endpoint.
    #[error("endpoint is not believed: {0}")]
    Certificate(String),
    /// Nobody answers, or the answer breaks off.
    #[error("endpoint can't be reached: {0}")]
    Io(String),
    /// A redirect leads where no endpoint may be.
    #[error("endpoint redirects to where we must not follow: {0}")]
    Redirect(#[from] InvalidEndpointUrl),
    /// It takes too long.
    #[error("endpoint did not answer within {} s", LONGEST_FETCH.as_secs())]
    Slow,
    /// It answers something else than the bundle.
    #[error("endpoint answers {0}, not 200; ask its operator")]
    Status(StatusCode),
    /// The answer is too long.
    #[error("endpoint's answer has more than {MAX_BUNDLE_BYTES} bytes")]
    TooLong,
    /// Redirects don't end.
    #[error("endpoint redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    /// There is nothing to verify it by.
    #[error("endpoint can't be verified: {0}")]
    Trust(String),
}

impl FetchError {
    /// Whether somebody answered and was turned down, as opposed to nobody answering.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Io(_) | Self::Slow | Self::Status(_) | Self::Trust(_))
    }
}

/// Asks `url`, follows redirects, and returns the body of a 200. Every server on the way must satisfy `tls`.
pub(super) async fn fetch(url: &EndpointUrl, tls: ClientConfig) -> Result<Bytes, FetchError> {
    tokio::time::timeout(LONGEST_FETCH, follow(url.clone(), tls)).await.unwrap_or(Err(FetchError::Slow))
}

async fn follow(mut url: EndpointUrl, tls: ClientConfig) -> Result<Bytes, FetchError> {
    let client = client(tls);
    for _ in 0..=MAX_REDIRECTS {
        let response = client.request(get(&url)?).await.map_err(|error| of_client(&error))?;
        match response.status() {
            StatusCode::OK => return body(response).await,
            status if REDIRECTS.contains(&status) => url = url.redirect(location(&response))?,
            status => return Err(FetchError::Status(status)),
        }
    }
    Err(FetchError::TooManyRedirects)
}

fn client(tls: ClientConfig) -> Client<HttpsConnector<HttpConnector>, Empty<Bytes>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

fn get(url: &EndpointUrl) -> Result<Request<Empty<Bytes>>, FetchError> {
    let request = Request::get(url.uri()).header(header::ACCEPT, "application/json");
    request.body(Empty::new()).map_err(|error| FetchError::Io(error.to_string()))
}

/// No location leads nowhere, which is refused as a URL.
fn location<B>(response: &Response<B>) -> &str {
    response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn body(response: Response<hyper::body::Incoming>) -> Result<Bytes, FetchError> {
    match Limited::new(response.into_body(), MAX_BUNDLE_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong),
        Err(error) => Err(FetchError::Io(innermost(&*error))),
    }
}

/// A certificate that was refused hides below the errors of connector and client.
fn of_client(error: &ClientError) -> FetchError {
    let refused = causes(error).find_map(|cause| match tls_error(cause) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => Some(other.0.to_string()),
        Some(error @ rustls::Error::InvalidCertificate(_)) => Some(error.to_string()),
        _ => None,
    });
    refused.map_or_else(|| FetchError::Io(innermost(error)), FetchError::Certificate)
}

/// IO errors name what is below what they wrap as their source, but not that itself; there may be one in another.
fn tls_error<'e>(cause: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    let wrapped = || cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.downcast_ref().or_else(|| wrapped().and_then(|inner| tls_error(inner)))
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn StdError + 'static) = *error;
        error.source()
    })
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// From the first connection to the last byte, redirects included.
const LONGEST_FETCH: Duration = Duration::from_secs(20);

/// More are a loop, or somebody who leads us on.
const MAX_REDIRECTS: usize = 3;

const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];
