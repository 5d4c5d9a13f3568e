//! The other sidecars of a fleet, as far as the proof of enforcement needs them. How they are reached is up to whoever knows the fleet.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::Seq;
use tokio::{sync::watch, task::AbortHandle};

use crate::{signals::fleet::Members, wire::control::SidecarEnforcement};

/// Those who can be asked.
#[tonic::async_trait]
pub trait Siblings: Send + Sync {
    /// How far `seq` is in force in each of them, within a bounded time; those that do not answer are named too.
    async fn enforcement(&self, seq: Seq) -> Vec<SidecarEnforcement>;
}

#[tonic::async_trait]
impl Siblings for Members {
    async fn enforcement(&self, seq: Seq) -> Vec<SidecarEnforcement> {
        self.ask(seq).await
    }
}

/// What is known of the others, as it changes. Asking ends with its drop.
pub struct Others {
    known: watch::Receiver<Option<Vec<SidecarEnforcement>>>,
    asking: Option<AbortHandle>,
}

impl Others {
    /// Asks `siblings` until `seq`, which came in at `received`, is in force in all of them.
    pub fn ask(siblings: Option<Arc<dyn Siblings>>, seq: Seq, received: Option<Instant>) -> Self {
        let Some(siblings) = siblings else {
            // Alone: nothing is open.
            return Self { known: watch::channel(Some(Vec::new())).1, asking: None };
        };
        let (said, known) = watch::channel(None);
        let asking = tokio::spawn(async move {
            let mut took = HashMap::new();
            let mut pause = FIRST_PAUSE;
            loop {
                let mut all = siblings.enforcement(seq).await;
                for one in &mut all {
                    note_time(one, seq, received, &mut took);
                }
                let is_over = all.iter().all(|one| one.complete);
                if said.send(Some(all)).is_err() || is_over {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
        Self { known, asking: Some(asking.abort_handle()) }
    }

    /// What was last heard of all of them; `None` until then.
    pub fn known(&mut self) -> Option<Vec<SidecarEnforcement>> {
        self.known.borrow_and_update().clone()
    }

    /// Ends when [`Others::known`] is news; never once there will be none.
    pub async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

/// By the one clock there is for it: ours.
fn note_time(one: &mut SidecarEnforcement, seq: Seq, received: Option<Instant>, took: &mut HashMap<String, u64>) {
    let Some(received) = received.filter(|_| one.reachable && one.enforced_seq >= seq.0) else { return };
    let now = || u64::try_from(received.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    one.took_us = *took.entry(one.instance.clone()).or_insert_with(now);
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// One that has everything from the third question on, and one that never answers.
    struct Fleet(AtomicU64);

    #[tonic::async_trait]
    impl Siblings for Fleet {
        async fn enforcement(&self, seq: Seq) -> Vec<SidecarEnforcement> {
            let is_done = self.0.fetch_add(1, Ordering::SeqCst) >= 2;
            let enforced_seq = if is_done { seq.0 } else { 0 };
            let quick = SidecarEnforcement {
                instance: "quick".into(),
                reachable: true,
                enforced_seq,
                complete: is_done,
                ..Default::default()
            };
            let gone = SidecarEnforcement { instance: "gone".into(), complete: is_done, ..Default::default() };
            vec![quick, gone]
        }
    }

    #[tokio::test]
    async fn they_are_asked_until_it_is_in_force_in_all() {
        let siblings = Arc::new(Fleet(AtomicU64::new(0)));
        let mut others = Others::ask(Some(Arc::clone(&siblings) as Arc<dyn Siblings>), Seq(5), Some(Instant::now()));
        let all = loop {
            others.changed().await;
            let all = others.known().unwrap();
            if all.iter().all(|one| one.complete) {
                break all;
            }
        };
        assert!(all[0].took_us > 0 && all[1].took_us == 0, "{all:?}");
        assert_eq!(siblings.0.load(Ordering::SeqCst), 3);
        assert_eq!(Others::ask(None, Seq(5), None).known(), Some(Vec::new()), "who is alone waits for nobody");
    }
}
