//! How long a decision can hold where policies look at the time: until the first moment at which one of their tests could come out otherwise.
//! Pure: it is told what time it is and asks no clock.
//!
//! Facts of time are in no key. A test on one ([`TimeTest`]) bounds the decision; any other use keeps it from being reused at all.

use std::collections::{BTreeSet, HashMap};

use authz_core::{gate::Admitted, identity::Credential, time::Timestamp};
use cedar_policy::{PolicyId, PolicySet};

use self::{
    quantity::{Party, TimeFact},
    time_test::TimeTest,
};

mod comparison;
mod constant;
mod find;
mod place;
mod quantity;
#[cfg(test)]
mod tests;
mod time_test;
mod time_zone;

pub(super) use self::find::{Mention, OtherUse, TimeUses, time_uses};
pub use self::time_zone::{TimeZone, UnknownTimeZone};
pub(super) use self::time_zone::{datetime, minute, weekday};

/// What the policies of a set do with facts of time.
pub(super) struct Lifetimes {
    zone: TimeZone,
    uses: HashMap<PolicyId, TimeUses>,
    mentions: BTreeSet<Mention>,
}

/// What bounds a decision by some of them.
pub(super) struct Lifetime<'a> {
    zone: &'a TimeZone,
    uses: Vec<&'a TimeUses>,
}

impl Lifetimes {
    /// Of policies, where `context.clock` hangs in `zone`.
    pub fn new(zone: TimeZone, uses: impl IntoIterator<Item = (PolicyId, TimeUses)>) -> Self {
        let uses: HashMap<_, _> = uses.into_iter().filter(|(_, uses)| *uses != TimeUses::default()).collect();
        let mentions = uses.values().flat_map(|uses| &uses.mentions).copied().collect();
        Self { zone, uses, mentions }
    }

    /// Which policies bound the lifetime of decisions, and by which tests.
    pub fn bounds(&self) -> impl Iterator<Item = (&PolicyId, &TimeTest)> {
        self.uses.iter().flat_map(|(policy, uses)| uses.tests.iter().map(move |test| (policy, test)))
    }

    /// Where `context.clock` hangs.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What some policy mentions.
    pub fn mentions(&self) -> &BTreeSet<Mention> {
        &self.mentions
    }

    /// What bounds a decision by `candidates`.
    pub fn of<'p>(&self, candidates: impl Iterator<Item = &'p PolicySet>) -> Lifetime<'_> {
        let mut uses = Vec::new();
        if !self.uses.is_empty() {
            uses.extend(candidates.flat_map(PolicySet::policies).filter_map(|policy| self.uses.get(policy.id())));
        }
        Lifetime { zone: &self.zone, uses }
    }

    /// What bounds a decision by any of them.
    pub fn of_all(&self) -> Lifetime<'_> {
        Lifetime { zone: &self.zone, uses: self.uses.values().collect() }
    }
}

impl Lifetime<'_> {
    /// Whether one of the policies mentions this.
    pub fn mentions(&self, mention: Mention) -> bool {
        self.uses.iter().any(|uses| uses.mentions.contains(&mention))
    }

    /// The first moment at which one of the policies may say something else about this request. Where that can't be told,
    /// it has always been: then no clock finds the decision to hold.
    pub fn holds_until(&self, admitted: &Admitted<'_>, now: Timestamp) -> Timestamp {
        if self.uses.iter().any(|uses| uses.other_use.is_some()) {
            return Timestamp::default();
        }
        let mut tests = self.uses.iter().flat_map(|uses| &uses.tests).peekable();
        if tests.peek().is_none() {
            return Timestamp::NEVER;
        }
        let moment = Moment::of(admitted, now, self.zone);
        tests.filter_map(|test| test.next_flip(&moment)).min().unwrap_or(Timestamp::NEVER)
    }
}

/// What facts of time are made of, for one request.
pub(super) struct Moment<'a> {
    /// When it is.
    pub now: Timestamp,
    /// Where `context.clock` hangs.
    pub zone: &'a TimeZone,
    /// The credential of the caller, if it is verified, and of everybody behind it, the nearest first.
    pub credentials: Vec<Validity>,
}

/// From when until when a credential is valid, in milliseconds since the epoch.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Validity {
    /// Its first moment.
    pub not_before: i64,
    /// Its last moment.
    pub not_after: i64,
}

impl<'a> Moment<'a> {
    /// Of a request that was admitted at `now`.
    pub fn of(admitted: &Admitted<'_>, now: Timestamp, zone: &'a TimeZone) -> Self {
        let behind = admitted.facts().chain.hops().iter().map(AsRef::as_ref);
        let credentials = admitted.caller().into_iter().flat_map(|caller| [caller].into_iter().chain(behind.clone()));
        Self { now, zone, credentials: credentials.map(|caller| Validity::of(caller.credential())).collect() }
    }

    /// What a fact is counted from; nothing for a credential that is not there.
    fn grounds(&self, fact: TimeFact) -> Vec<i64> {
        let credentials = |party| match party {
            Party::Caller => self.credentials.get(..1).unwrap_or_default(),
            // An entity has one credential, whoever of the chain it came with: any of them may be meant.
            Party::Origin => &self.credentials,
        };
        match fact {
            TimeFact::Now => vec![0],
            TimeFact::Minute | TimeFact::Weekday => vec![self.zone.offset_millis(self.now)],
            TimeFact::Age(party) => credentials(party).iter().map(|validity| validity.not_before).collect(),
            TimeFact::ExpiresIn(party) => credentials(party).iter().map(|validity| validity.not_after).collect(),
        }
    }
}

impl Validity {
    /// Of a credential.
    pub fn of(credential: &Credential) -> Self {
        Self { not_before: millis(credential.not_before()), not_after: millis(credential.not_after()) }
    }
}

/// As Cedar counts; the end of time is the last moment it knows.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
