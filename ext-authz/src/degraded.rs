//! Whether the sidecar can know and take every revocation, and what it may do while it can't; it mends nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::reason::Reason;
use tokio::sync::watch;

use crate::{
    config::DegradedConfig,
    signals::{Freshness, SignalPlane},
};

/// What is wrong.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Condition {
    /// What others revoked may not be known here: the log was not heard of for longer than its bound.
    LogLost,
    /// Nobody can revoke anything here: the log's file takes no signals.
    StoreUnwritable,
}

/// What happens to requests meanwhile. What is known to be revoked is denied in each.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Conduct {
    /// All are denied.
    Deny,
    /// Those are answered whose decision is remembered, here or by a filter, until it ends; others are denied.
    Cached,
    /// Policies decide each anew, and can look at the age of the view.
    Policy,
}

/// The state of one moment.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// What is wrong, and what is done about it; nothing, if all is well.
    pub trouble: Trouble,
    /// How old the view of the log is; `None` if it was never whole in this process.
    pub view_age: Option<Duration>,
}

/// Where the state is asked for. Clones are the same.
#[derive(Clone)]
pub struct Degraded {
    config: DegradedConfig,
    plane: Option<Arc<SignalPlane>>,
    told: Arc<watch::Sender<Trouble>>,
}

/// What is wrong and what is done about it.
pub type Trouble = Option<(Condition, Conduct)>;

impl Condition {
    /// Every condition.
    pub const ALL: &[Self] = &[Self::LogLost, Self::StoreUnwritable];

    /// The name in metrics, readiness and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogLost => "log_lost",
            Self::StoreUnwritable => "store_unwritable",
        }
    }
}

impl Conduct {
    /// Every conduct.
    pub const ALL: &[Self] = &[Self::Deny, Self::Cached, Self::Policy];

    /// The name in the configuration, readiness and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Cached => "cached",
            Self::Policy => "policy",
        }
    }
}

impl Standing {
    /// All is well.
    pub const FINE: Self = Self { trouble: None, view_age: Some(Duration::ZERO) };

    /// What is wrong.
    pub fn condition(&self) -> Option<Condition> {
        self.trouble.map(|(condition, _)| condition)
    }

    /// What is done about it.
    pub fn conduct(&self) -> Option<Conduct> {
        self.trouble.map(|(_, conduct)| conduct)
    }

    /// Why a request is denied that may not be decided now.
    pub fn reason(&self) -> Reason {
        Reason::ViewStale
    }

    /// What policies see as `context.view_age`, in milliseconds: 0 while all is well, so that decisions made then can be
    /// reused while it stays so; the largest number if the view was never whole.
    pub fn view_age_millis(&self) -> i64 {
        match self.trouble {
            None => 0,
            Some(_) => self.view_age.map_or(i64::MAX, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX).max(1)),
        }
    }

    /// How long a filter that asks now may answer from memory, if all were well for `longest`.
    ///
    /// INVARIANT: a lease never outlives the bound of the view that it was granted on, unless memory may be answered
    /// from beyond that.
    fn lease(&self, config: &DegradedConfig, longest: Duration) -> Duration {
        let bound = config.max_view_age.saturating_sub(self.view_age.unwrap_or(Duration::MAX));
        match self.conduct() {
            Some(Conduct::Deny | Conduct::Policy) => Duration::ZERO,
            Some(Conduct::Cached) => longest,
            None if config.log_lost == Conduct::Cached => longest,
            None => longest.min(bound),
        }
    }
}

impl Degraded {
    /// Watches over `plane`.
    pub fn new(config: DegradedConfig, plane: Arc<SignalPlane>) -> Self {
        Self { config, plane: Some(plane), told: Arc::default() }
    }

    /// Of a sidecar without a log: always fine.
    pub fn never(config: DegradedConfig) -> Self {
        Self { config, plane: None, told: Arc::default() }
    }

    /// The state now. While all is well with a log of our own, no clock is asked: this is on the path of requests.
    pub fn current(&self) -> Standing {
        match &self.plane {
            Some(plane) if !plane.freshness().is_whole() || !plane.is_healthy() => self.assess(Instant::now()),
            _ => Standing::FINE,
        }
    }

    /// The state at `now`.
    pub fn assess(&self, now: Instant) -> Standing {
        self.plane
            .as_ref()
            .map_or(Standing::FINE, |plane| assess(&self.config, plane.freshness(), plane.is_healthy(), now))
    }

    /// Tells those who [subscribed](Self::subscribe) if something else is wrong at `now` than when this was last called;
    /// returns what was wrong and what is. Time alone makes a view too old: nobody else notices.
    pub fn notice(&self, now: Instant) -> Option<(Trouble, Trouble)> {
        let trouble = self.assess(now).trouble;
        let before = *self.told.borrow();
        (trouble != before).then(|| (self.told.send_replace(trouble), trouble))
    }

    /// Wakes when something else is wrong.
    pub fn subscribe(&self) -> watch::Receiver<Trouble> {
        self.told.subscribe()
    }

    /// How long a filter that asks at `now` may answer from memory; `longest` while all is well.
    pub fn lease(&self, longest: Duration, now: Instant) -> Duration {
        self.assess(now).lease(&self.config, longest)
    }

    /// What an operator decided.
    pub fn config(&self) -> &DegradedConfig {
        &self.config
    }
}

fn assess(config: &DegradedConfig, freshness: &Freshness, writable: bool, now: Instant) -> Standing {
    let view_age = freshness.age(now);
    let is_lost = !freshness.is_own() && view_age.is_none_or(|age| age > config.max_view_age);
    let trouble = match (is_lost, writable) {
        (true, _) => Some((Condition::LogLost, config.log_lost)),
        (false, false) => Some((Condition::StoreUnwritable, config.store_unwritable)),
        (false, true) => None,
    };
    Standing { trouble, view_age }
}

#[cfg(test)]
mod tests;
