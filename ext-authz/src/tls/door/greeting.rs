//! The handshake from accept to a known peer: bounded in time, counted, and told in the log. It serves nothing.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, warn};

use super::Door;
use crate::tls::{handshake::Handshake, outcome::Outcome, peer::Peer};

impl Door {
    /// Shakes hands, or says in metric and log why not.
    pub(super) async fn greet(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        crowded_out: oneshot::Receiver<()>,
    ) -> Option<(TlsStream<TcpStream>, Arc<Peer>)> {
        let own = self.own.clone();
        let handshake = Arc::new(Handshake::new(Arc::clone(&self.gatekeeper), own, Arc::clone(&self.provider)));
        let shaken = tokio::select! {
            shaken = timeout(LONGEST_HANDSHAKE, self.shake(stream, &handshake)) => shaken.unwrap_or(Err(Outcome::Timeout)),
            _ = crowded_out => Err(Outcome::Crowded),
        };
        let outcome = shaken.as_ref().map_or_else(|outcome| *outcome, |_| Outcome::Ok);
        self.metrics.tls_handshakes.with_label_values(&[self.name.as_str(), outcome.as_str()]).inc();
        self.tell(outcome, address, &handshake);
        shaken.ok()
    }

    async fn shake(
        &self,
        stream: TcpStream,
        handshake: &Arc<Handshake>,
    ) -> Result<(TlsStream<TcpStream>, Arc<Peer>), Outcome> {
        let config = handshake.config(self.least, self.speaks.protocol()).map_err(|_| Outcome::Error)?;
        match TlsAcceptor::from(Arc::new(config)).accept(stream).into_fallible().await {
            Ok(stream) => handshake.peer().map(|peer| (stream, peer)).ok_or(Outcome::NoCertificate),
            Err((error, stream)) => {
                part(stream).await;
                Err(handshake.failed(&error))
            }
        }
    }

    fn tell(&self, outcome: Outcome, address: SocketAddr, handshake: &Handshake) {
        let (listener, outcome_text) = (self.name.as_str(), outcome.as_str());
        let peer = handshake.claimed().map(ToString::to_string).unwrap_or_default();
        let why = handshake.refused().map(ToString::to_string).unwrap_or_default();
        if outcome == Outcome::Ok {
            debug!(listener, %address, peer, "peer connected");
        } else if outcome != Outcome::Error && self.throttle.passes(outcome) {
            let (remedy, list) = (outcome.remedy(), self.name.allow_knob());
            warn!(listener, %address, result = outcome_text, peer, why, remedy, list, "peer refused");
        } else {
            // Broken connections among them: whoever only looks whether the port is open breaks one.
            debug!(listener, %address, result = outcome_text, peer, why, "peer refused");
        }
    }
}

/// Closes so that the alert arrives: what the client still sends is read, else the kernel answers it with a reset that
/// overtakes the alert.
async fn part(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let mut left = MOST_DRAINED;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // The client is refused already; how it leaves does not matter.
    let _ = timeout(LONGEST_FAREWELL, drain).await;
}

/// From accept to the end of the handshake; a healthy one takes milliseconds.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a refused client may take to hear why.
const LONGEST_FAREWELL: Duration = Duration::from_millis(500);

/// What a refused client may still say.
const MOST_DRAINED: usize = 64 * 1024;
