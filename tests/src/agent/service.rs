//! The server side of the Workload API: mandatory metadata, then the answer of the moment and each one after it.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::Answer;
use super::wire::spiffe_workload_api_server::SpiffeWorkloadApi;
use super::wire::{
    JwtBundlesRequest, JwtBundlesResponse, X509BundlesRequest, X509BundlesResponse, X509svidRequest, X509svidResponse,
};

/// What is answered, and what was asked.
pub(super) struct Shared {
    pub(super) svids: watch::Sender<Answer<X509svidResponse>>,
    pub(super) bundles: watch::Sender<Answer<X509BundlesResponse>>,
    pub(super) jwt_bundles: watch::Sender<Answer<JwtBundlesResponse>>,
    /// Grows when all streams are cut.
    pub(super) epoch: watch::Sender<u64>,
    pub(super) calls: Mutex<[u64; 3]>,
    pub(super) improper: Mutex<u64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            svids: watch::Sender::new(Answer::deny()),
            bundles: watch::Sender::new(Answer::deny()),
            jwt_bundles: watch::Sender::new(Answer::deny()),
            epoch: watch::Sender::new(0),
            calls: Mutex::default(),
            improper: Mutex::default(),
        }
    }
}

pub(super) struct Service(pub(super) Arc<Shared>);

type Answers<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

impl Service {
    fn answer<R, M: Clone + Send + Sync + 'static>(
        &self,
        request: &Request<R>,
        method: usize,
        answers: &watch::Sender<Answer<M>>,
    ) -> Result<Response<Answers<M>>, Status> {
        // SPIFFE Workload Endpoint §3; its name and its value are case-sensitive.
        if request.metadata().get("workload.spiffe.io").is_none_or(|value| value != "true") {
            *self.0.improper.lock().unwrap() += 1;
            return Err(Status::invalid_argument("security header missing from request"));
        }
        self.0.calls.lock().unwrap()[method] += 1;
        let mut epoch = self.0.epoch.subscribe();
        epoch.mark_unchanged();
        let cut = async move { drop(epoch.changed().await) };
        let answers = WatchStream::new(answers.subscribe())
            .scan((), |(), answer| ready(Option::from(answer)))
            .take_until(Box::pin(cut));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Answers<X509svidResponse>;
    type FetchX509BundlesStream = Answers<X509BundlesResponse>;
    type FetchJWTBundlesStream = Answers<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        self.answer(&request, 0, &self.0.svids)
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.answer(&request, 1, &self.0.bundles)
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        self.answer(&request, 2, &self.0.jwt_bundles)
    }
}
