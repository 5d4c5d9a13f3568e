//! A real `ext_authz` server that answers what a test tells it and remembers what Envoy asked; it decides nothing itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::google::rpc;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// The running server; it stops when dropped.
pub struct Authorizer {
    dir: TempDir,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Authorizer {
    /// Listens on a Unix socket of its own and answers every check with `answer`.
    pub fn start(answer: CheckResponse) -> Self {
        let dir = tempfile::Builder::new().prefix("authz-").tempdir().unwrap();
        let listener = UnixListener::bind(socket_in(dir.path())).unwrap();
        let shared = Arc::new(Shared { answer: Mutex::new(answer), checks: Mutex::default() });
        let service = AuthorizationServer::new(Service(Arc::clone(&shared)));
        let serving = Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
        let server = tokio::spawn(async { serving.await.expect("the authorizer serves") });
        Self { dir, shared, server }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// Answers `answer` from now on.
    pub fn answer(&self, answer: CheckResponse) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// All checks so far, oldest first.
    pub fn checks(&self) -> Vec<CheckRequest> {
        self.shared.checks.lock().unwrap().clone()
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer with nothing but a status: code 0 allows (`google.rpc.Code`).
pub fn status(code: i32) -> CheckResponse {
    CheckResponse { status: Some(rpc::Status { code, ..Default::default() }), ..Default::default() }
}

struct Shared {
    answer: Mutex<CheckResponse>,
    checks: Mutex<Vec<CheckRequest>>,
}

struct Service(Arc<Shared>);

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        self.0.checks.lock().unwrap().push(request.into_inner());
        Ok(Response::new(self.0.answer.lock().unwrap().clone()))
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("authz.sock")
}
