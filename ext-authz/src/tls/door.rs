//! A TCP listener with TLS: accepts, shakes hands within bounds, and serves each client for as long as it may be there.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rustls::crypto::{CryptoProvider, ring};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
};
use tracing::warn;

use super::{
    gatekeeper::Gatekeeper,
    outcome::{Listener, Outcome},
};
use crate::{config::TlsVersion, identity::OwnIdentity, metrics::Metrics};

mod connection;
mod greeting;
mod throttle;

use self::throttle::Throttle;

/// One listener.
pub struct Door {
    name: Listener,
    speaks: Speaks,
    least: TlsVersion,
    gatekeeper: Arc<Gatekeeper>,
    own: OwnIdentity,
    metrics: Arc<Metrics>,
    provider: Arc<CryptoProvider>,
    throttle: Throttle,
}

/// What is spoken behind the TLS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// gRPC, by HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
}

impl Speaks {
    const fn protocol(self) -> &'static [u8] {
        match self {
            Self::Grpc => b"h2",
            Self::Http => b"http/1.1",
        }
    }
}

impl Door {
    /// The door `name` with the SVID of `own`, kept by `gatekeeper`.
    pub fn new(
        (name, speaks): (Listener, Speaks),
        least: TlsVersion,
        gatekeeper: Gatekeeper,
        own: OwnIdentity,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (gatekeeper, provider) = (Arc::new(gatekeeper), Arc::new(ring::default_provider()));
        Self { name, speaks, least, gatekeeper, own, metrics, provider, throttle: Throttle::default() }
    }

    /// Serves `router` on `listener` until `stopped` holds true and all have left.
    pub async fn serve(self, listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
        let (door, mut guests, mut crowd) = (Arc::new(self), JoinSet::new(), Crowd::default());
        let until = stopped.clone();
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break,
                Some(_) = guests.join_next() => {}
                accepted = door.next(&listener) => {
                    let crowded_out = crowd.enter();
                    guests.spawn(Arc::clone(&door).receive(accepted, crowded_out, router.clone(), until.clone()));
                }
            }
        }
        drop(listener);
        while guests.join_next().await.is_some() {}
    }

    async fn receive(
        self: Arc<Self>,
        (stream, address): (TcpStream, SocketAddr),
        crowded_out: oneshot::Receiver<()>,
        router: Router,
        stopped: watch::Receiver<bool>,
    ) {
        // Small answers must not wait for more of them.
        let _ = stream.set_nodelay(true);
        let mut until = stopped.clone();
        let greeted = tokio::select! {
            greeted = self.greet(stream, address, crowded_out) => greeted,
            _ = until.wait_for(|stop| *stop) => None,
        };
        if let Some((stream, peer)) = greeted {
            self.attend(stream, peer, router, stopped).await;
        }
    }

    /// The next connection. Where accepting fails it is for want of file descriptors, most often: somebody must leave before somebody can come.
    async fn next(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if self.throttle.passes(Outcome::Error) => {
                    warn!(listener = self.name.as_str(), %error, "connections can't be accepted; raise the limit of open files");
                }
                Err(_) => {}
            }
            tokio::time::sleep(REST).await;
        }
    }
}

/// The handshakes under way, oldest first: where there are too many the oldest gives way, so that nobody who only
/// opens connections keeps others out.
#[derive(Default)]
struct Crowd(VecDeque<oneshot::Sender<()>>);

impl Crowd {
    /// Something that is told when it must give way; it leaves by being dropped.
    fn enter(&mut self) -> oneshot::Receiver<()> {
        if self.0.len() >= MOST_HANDSHAKES {
            self.0.retain(|handshake| !handshake.is_closed());
        }
        if self.0.len() >= MOST_HANDSHAKES
            && let Some(oldest) = self.0.pop_front()
        {
            // It may have ended by itself just now.
            let _ = oldest.send(());
        }
        let (handshake, crowded_out) = oneshot::channel();
        self.0.push_back(handshake);
        crowded_out
    }
}

/// Most handshakes under way at one listener; each needs some 40 KiB.
const MOST_HANDSHAKES: usize = 512;

/// How long to wait where accepting failed.
const REST: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_handshakes_the_oldest_gives_way_and_finished_ones_do_not_count() {
        let mut crowd = Crowd::default();
        let mut waiting: Vec<_> = (0..MOST_HANDSHAKES).map(|_| crowd.enter()).collect();
        drop(waiting.pop());
        waiting.push(crowd.enter());
        assert!(waiting.iter_mut().all(|it| it.try_recv() == Err(oneshot::error::TryRecvError::Empty)), "one had left");
        waiting.push(crowd.enter());
        assert_eq!(waiting[0].try_recv(), Ok(()), "the oldest goes");
        assert!(waiting[1..].iter_mut().all(|it| it.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
    }
}
