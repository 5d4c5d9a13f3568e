//! The workload on the other end of one TLS connection of ours: proven when it came, asked again whenever it wants something. It ends no connection.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use authz_core::{facts::Caller, identity::SpiffeId, time::Timestamp};
use rustls_pki_types::CertificateDer;

use super::gatekeeper::{Gatekeeper, Refused};
use crate::clock;

/// A verified client. It may have been revoked since, or have expired: ask [`Peer::check`].
pub struct Peer {
    gatekeeper: Arc<Gatekeeper>,
    chain: Vec<CertificateDer<'static>>,
    proven: ArcSwap<Proven>,
}

struct Proven {
    caller: Arc<Caller>,
    generation: u64,
}

impl Peer {
    /// Identifies whoever presented `chain`, leaf first; whether it may come in is for [`Peer::check`].
    ///
    /// # Errors
    /// [`Refused::Untrusted`].
    pub fn identify(
        gatekeeper: Arc<Gatekeeper>,
        chain: Vec<CertificateDer<'static>>,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let proven = ArcSwap::from_pointee(prove(&gatekeeper, &chain, now)?);
        Ok(Self { gatekeeper, chain, proven })
    }

    /// Its SPIFFE ID.
    pub fn id(&self) -> SpiffeId {
        self.proven.load().caller.credential().id().clone()
    }

    /// Whether it may go on at `now`: its chain holds under the bundles of now, its list names it, and nobody revoked it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Timestamp) -> Result<(), Refused> {
        let proven = self.proven.load();
        if proven.generation == self.gatekeeper.generation() {
            return self.gatekeeper.admit(&proven.caller, now);
        }
        let again = prove(&self.gatekeeper, &self.chain, now)?;
        let caller = Arc::clone(&again.caller);
        self.proven.store(Arc::new(again));
        self.gatekeeper.admit(&caller, now)
    }

    /// Ends once it may not go on any more, and says why.
    pub async fn gone(self: Arc<Self>) -> Refused {
        // Subscribed before the question is asked, so that no change falls between.
        let mut changes = self.gatekeeper.changes();
        loop {
            changes.mark_unchanged();
            let now = clock::now();
            if let Err(refused) = self.check(now) {
                return refused;
            }
            let wait = left(self.not_after(), now).saturating_add(Duration::from_millis(1)).min(LONGEST_WAIT);
            tokio::select! {
                // The state outlives every connection; if it does not, time still passes.
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Ends when it should come back on a new connection: its certificate ends soon, and it may have a newer one by then.
    pub async fn outlived(self: Arc<Self>) {
        let left = left(self.not_after(), clock::now());
        tokio::time::sleep(left.saturating_sub((left / 10).min(FAREWELL))).await;
    }

    fn not_after(&self) -> Timestamp {
        self.proven.load().caller.credential().not_after()
    }
}

/// The generation is read first: if bundles change meanwhile, the worst is that the chain is verified once more.
fn prove(gatekeeper: &Gatekeeper, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Proven, Refused> {
    let generation = gatekeeper.generation();
    gatekeeper.identify(chain, now).map(|caller| Proven { caller, generation })
}

fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(until.as_millis().saturating_sub(now.as_millis()))
}

/// How long before its certificate ends a client is asked to come back, at most.
const FAREWELL: Duration = Duration::from_mins(1);

/// Timers can be late where a machine slept; looking at the clock now and then does no harm.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
