//! An `ext_authz` server that allows everything without looking. It must not do any work: it is the floor to compare with.

use std::io;
use std::path::Path;

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Serves on the Unix socket `path` until the process ends.
///
/// # Errors
/// The socket can't be created, or the server fails.
pub async fn serve(path: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    let incoming = UnixListenerStream::new(listener);
    let service = AuthorizationServer::new(Noop);
    Server::builder().add_service(service).serve_with_incoming(incoming).await.map_err(io::Error::other)
}

struct Noop;

#[tonic::async_trait]
impl Authorization for Noop {
    async fn check(&self, _request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse {
            status: Some(RpcStatus::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            ..CheckResponse::default()
        }))
    }
}
