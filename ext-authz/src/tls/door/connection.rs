//! One client's connection: every request is asked whether its peer may still ask, and the connection ends in time for a newer certificate.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::server::TlsStream;
use tower::Service;
use tracing::{debug, info};

use super::{Door, Speaks};
use crate::{
    clock,
    tls::{
        guard::{self, Direction, Guarded},
        peer::Peer,
    },
};

impl Door {
    /// Serves the connection until it ends, its peer may not go on, or `stopped` holds true.
    pub(super) async fn attend(
        self: Arc<Self>,
        stream: TlsStream<TcpStream>,
        peer: Arc<Peer>,
        router: Router,
        mut stopped: watch::Receiver<bool>,
    ) {
        let (door, asking) = (Arc::clone(&self), Arc::clone(&peer));
        let service = service_fn(move |request| Arc::clone(&door).answer(request, Arc::clone(&asking), router.clone()));
        let builder = builder(self.speaks);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => {
                // Clients leave as they like.
                debug!(listener = self.name.as_str(), peer = %peer.id(), ok = ended.is_ok(), "peer left");
                return;
            }
            refused = Arc::clone(&peer).gone() => {
                info!(listener = self.name.as_str(), peer = %peer.id(), why = %refused, "peer may not go on");
            }
            () = Arc::clone(&peer).outlived() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        let patience = async {
            Arc::clone(&peer).gone().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            _ = connection => {}
            () = patience => {}
        }
    }

    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: Arc<Peer>,
        mut router: Router,
    ) -> Result<Response, Infallible> {
        if let Err(refused) = peer.check(clock::now()) {
            let labels = [self.name.as_str(), refused.outcome().as_str()];
            self.metrics.tls_refused_requests.with_label_values(&labels).inc();
            return Ok(guard::refuse(&refused, self.speaks));
        }
        request.extensions_mut().insert(Arc::clone(&peer));
        let guarded = request.map(|body| Guarded::new(body, Arc::clone(&peer), Direction::Request));
        let answer = router.call(guarded.map(Body::new)).await?;
        let direction = Direction::Answer(self.speaks);
        Ok(answer.map(|body| Body::new(Guarded::new(body, peer, direction))))
    }
}

fn builder(speaks: Speaks) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Each stream is one check of somebody we know; Envoy has its own bound.
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(None);
    builder.http2().keep_alive_interval(Some(KEEP_ALIVE)).keep_alive_timeout(LAST_WORDS);
    builder.http1().timer(TokioTimer::new());
    match speaks {
        Speaks::Grpc => builder.http2_only(),
        Speaks::Http => builder.http1_only(),
    }
}

/// How often a silent client is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long a connection whose peer may not go on has for the ends of its streams.
const LAST_WORDS: Duration = Duration::from_secs(5);
