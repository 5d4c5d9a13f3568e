//! Stands in for a SPIRE agent: the real Workload API over a Unix socket, saying what a test tells it; it attests nobody.

mod service;
mod wire;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Code, Status};

use crate::pki::{Authority, Svid};
use service::{Service, Shared};
use wire::spiffe_workload_api_server::SpiffeWorkloadApiServer;

pub use wire::{JwtBundlesResponse, X509BundlesResponse, X509svid, X509svidResponse};

/// What is answered on a stream, at once and to whoever has it open already.
#[derive(Clone, Debug)]
pub enum Answer<M> {
    /// The stream ends without a word.
    Close,
    /// The stream ends with this.
    Fail(Code, String),
    /// All there is.
    Message(M),
}

impl<M> Answer<M> {
    /// As SPIRE says it.
    pub fn deny() -> Self {
        Self::Fail(Code::PermissionDenied, "no identity issued".to_owned())
    }
}

/// A running agent; it dies when dropped. At first it denies everything: nobody is registered.
pub struct Agent {
    dir: TempDir,
    shared: Arc<Shared>,
    /// All its connections live in here, so that it can die at once, as a process does.
    runtime: Option<Runtime>,
}

impl Agent {
    /// Listens on a socket of its own.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("agent-").tempdir().unwrap();
        let mut agent = Self { dir, shared: Arc::default(), runtime: None };
        agent.run();
        agent
    }

    /// Where it listens, as `SPIFFE_ENDPOINT_SOCKET` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Answers `FetchX509SVID`.
    pub fn answer_svids(&self, answer: Answer<X509svidResponse>) {
        self.shared.svids.send_replace(answer);
    }

    /// Answers `FetchX509Bundles`.
    pub fn answer_bundles(&self, answer: Answer<X509BundlesResponse>) {
        self.shared.bundles.send_replace(answer);
    }

    /// Answers `FetchJWTBundles`.
    pub fn answer_jwt_bundles(&self, answer: Answer<JwtBundlesResponse>) {
        self.shared.jwt_bundles.send_replace(answer);
    }

    /// Gives these SVIDs, each with the authority of its trust domain and a hint.
    pub fn give_svids(&self, svids: &[(&Svid, &Authority, &str)]) {
        let svids = svids.iter().map(|(svid, authority, hint)| entry(svid, authority, hint)).collect();
        self.answer_svids(Answer::Message(X509svidResponse { svids, ..Default::default() }));
    }

    /// Gives the bundles of these authorities; those of one trust domain make one bundle.
    pub fn give_bundles(&self, authorities: &[&Authority]) {
        let mut bundles: HashMap<String, Vec<u8>> = HashMap::new();
        for authority in authorities {
            bundles.entry(authority.id("")).or_default().extend(authority.root_der());
        }
        self.give_raw_bundles(bundles);
    }

    /// Gives bundles by whatever name and with whatever content.
    pub fn give_raw_bundles(&self, bundles: HashMap<String, Vec<u8>>) {
        self.answer_bundles(Answer::Message(X509BundlesResponse { bundles, ..Default::default() }));
    }

    /// How often each method was called: SVIDs, bundles, JWT bundles.
    pub fn calls(&self) -> [u64; 3] {
        self.shared.calls.lock().unwrap().to_owned()
    }

    /// Calls without the mandatory metadata, which were refused.
    pub fn improper_calls(&self) -> u64 {
        *self.shared.improper.lock().unwrap()
    }

    /// Ends every open stream; new ones are answered as before.
    pub fn cut(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Dies: every connection ends, nobody listens.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// Lives again after [`Agent::stop`], and answers as before.
    pub fn run(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(self.socket()).unwrap();
        let service = SpiffeWorkloadApiServer::new(Service(Arc::clone(&self.shared)));
        let serving = Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
        runtime.spawn(async { serving.await.expect("the agent serves") });
        self.runtime = Some(runtime);
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One SVID as an agent sends it.
pub fn entry(svid: &Svid, authority: &Authority, hint: &str) -> X509svid {
    X509svid {
        spiffe_id: svid.id().to_owned(),
        x509_svid: svid.chain_der().concat(),
        x509_svid_key: svid.key_der().to_vec(),
        bundle: authority.root_der().to_vec(),
        hint: hint.to_owned(),
    }
}

impl<M> From<Answer<M>> for Option<Result<M, Status>> {
    fn from(answer: Answer<M>) -> Self {
        match answer {
            Answer::Close => None,
            Answer::Fail(code, words) => Some(Err(Status::new(code, words))),
            Answer::Message(message) => Some(Ok(message)),
        }
    }
}
