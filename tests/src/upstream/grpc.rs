//! A real gRPC service with a stream of answers that never ends: the health service, whose health changes every 50 ms.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use super::TICK;

/// The service; it listens for as long as it lives.
pub struct GrpcUpstream {
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl GrpcUpstream {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reporter, service) = tonic_health::server::health_reporter();
        let server = tokio::spawn(async move {
            Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        });
        let changes = tokio::spawn(async move {
            let mut ticks = interval(TICK);
            loop {
                for status in [ServingStatus::Serving, ServingStatus::NotServing] {
                    ticks.tick().await;
                    reporter.set_service_status("changing", status).await;
                }
            }
        });
        Self { address, tasks: [server, changes] }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for GrpcUpstream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
