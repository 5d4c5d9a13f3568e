//! The set of live revocations: asked on every request, copied cheaply on every signal; events resolve by their own time.

use std::{slice, sync::Arc};

use crate::{
    clearance::Edition,
    facts::Caller,
    scope::{Scope, Scopes},
    scope_map::{Ends, ScopeMap},
    signal::{Action, Moment, Outcome, Seq, Signal},
    time::Timestamp,
};

/// How far one revocation reaches.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    /// Only credentials whose `notBefore` lies before this moment are revoked; [`Timestamp::NEVER`] for all.
    ///
    /// Issuers often set `notBefore` some seconds back (SPIRE: 10), so a credential issued just after this moment may still be revoked.
    pub issued_before: Timestamp,
    /// The first moment at which the revocation is no longer in force; [`Timestamp::NEVER`] for none.
    pub expires_at: Timestamp,
}

impl Mark {
    /// Revokes every credential of its scope, for ever.
    pub const FOREVER: Self = Self { issued_before: Timestamp::NEVER, expires_at: Timestamp::NEVER };

    /// Whether it revokes, at `now`, a credential issued at `issued`.
    pub fn covers(&self, issued: Timestamp, now: Timestamp) -> bool {
        self.reaches(issued) && self.in_force(now)
    }

    /// Whether it is about a credential issued at `issued`, at whatever time.
    fn reaches(&self, issued: Timestamp) -> bool {
        self.issued_before == Timestamp::NEVER || issued < self.issued_before
    }

    fn in_force(&self, now: Timestamp) -> bool {
        self.expires_at == Timestamp::NEVER || now < self.expires_at
    }

    /// Whether `self` revokes all that `other` revokes.
    fn includes(&self, other: &Self) -> bool {
        self.issued_before >= other.issued_before && self.expires_at >= other.expires_at
    }
}

/// Live revocations by scope. A clone shares everything; a change copies a few hundred entries at most, however many there are.
#[derive(Clone, Debug, Default)]
pub struct RevocationSet {
    edition: Edition,
    revoked: ScopeMap<Marks>,
    // Kept as long as a revocation from before the restore may still arrive.
    restored: ScopeMap<Moment>,
}

/// A mark, and when it was made.
#[derive(Copy, Clone, Debug)]
struct Placed {
    mark: Mark,
    made: Moment,
}

/// The marks of one scope, at least one: nearly always one, which is kept in place.
#[derive(Clone, Debug)]
enum Marks {
    Many(Arc<[Placed]>),
    One(Placed),
}

impl RevocationSet {
    /// The first scope of `caller` that is revoked at `now`.
    ///
    /// Looks every scope up once for each edition of the set; a caller that nothing in it concerns is then known to be clear.
    pub fn revokes<'c>(&self, caller: &'c Caller, now: Timestamp) -> Option<&'c Scope> {
        if self.is_empty() || caller.clearance().is_for(self.edition) {
            return None;
        }
        let issued = caller.credential().not_before();
        let found = self.revoked(caller.scopes(), issued, now);
        // A mark that is over says nothing: the clock may be set back.
        let concerns = |scope| self.placed(scope).iter().any(|it| it.mark.reaches(issued));
        if found.is_none() && !caller.scopes().iter().any(concerns) {
            caller.clearance().give(self.edition);
        }
        found
    }

    /// The first of `scopes` that revokes, at `now`, a credential issued at `issued`.
    pub fn revoked<'s>(&self, scopes: &'s Scopes, issued: Timestamp, now: Timestamp) -> Option<&'s Scope> {
        if self.is_empty() {
            return None;
        }
        scopes.iter().find(|scope| self.placed(scope).iter().any(|it| it.mark.covers(issued, now)))
    }

    /// Applies the signal at `seq`. Applying the same signal twice changes nothing the second time.
    ///
    /// Events resolve by the time they state: a restore lifts what happened before it, also what arrives after it, and
    /// nothing that happened later. A signal that states no time comes after all before it in the log.
    pub fn apply(&mut self, seq: Seq, signal: &Signal) -> Outcome {
        let moment = signal.moment(seq);
        match signal.action {
            Action::Restore => self.restore_at(&signal.scope, moment),
            Action::Revoke(mark) => self.revoke_at(&signal.scope, Placed { mark, made: moment }),
            Action::Posture(..) | Action::Risk(..) => Outcome::Unchanged,
        }
    }

    /// Adds a revocation after all that came before; marks that it includes are dropped, and it adds nothing to one that includes it.
    pub fn revoke(&mut self, scope: &Scope, mark: Mark) {
        self.revoke_at(scope, Placed { mark, made: Moment::default() });
    }

    /// Lifts every revocation of exactly this scope that came before.
    pub fn restore(&mut self, scope: &Scope) {
        self.keep(scope, |_| false);
    }

    /// Forgets what is no longer in force at `now`; returns how many scopes left. Looks at nothing else.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        self.expire_some(now, usize::MAX)
    }

    /// The same for at most `most` scopes: nobody need wait for a million that end at once. See [`RevocationSet::next_end`].
    pub fn expire_some(&mut self, now: Timestamp, most: usize) -> usize {
        let over = |marks: &Marks| marks.as_slice().iter().any(|it| !it.mark.in_force(now));
        let ending = self.revoked.ending_by(now).filter(|(_, marks)| over(marks)).take(most);
        let stale: Vec<Scope> = ending.map(|(scope, _)| scope.clone()).collect();
        let before = self.len();
        for scope in &stale {
            self.keep(scope, |it| it.mark.in_force(now));
        }
        before.saturating_sub(self.len())
    }

    /// The first moment at which there is something to expire; [`Timestamp::NEVER`] for none.
    pub fn next_end(&self) -> Timestamp {
        self.revoked.next_end()
    }

    /// Forgets restores from before `moment`: for when no revocation that happened earlier can arrive any more
    /// ([`crate::signal::MAX_LATENESS_MS`]).
    pub fn forget_restores(&mut self, moment: Timestamp) {
        self.forget_some_restores(moment, usize::MAX);
    }

    /// The same for at most `most` restores. See [`RevocationSet::oldest_restore`].
    pub fn forget_some_restores(&mut self, moment: Timestamp, most: usize) {
        let old = self.restored.ending_by(moment).filter(|(_, made)| made.at < moment).take(most);
        let old: Vec<Scope> = old.map(|(scope, _)| scope.clone()).collect();
        for scope in &old {
            self.restored.put(scope, None);
        }
    }

    /// The moment of the oldest restore that is remembered; [`Timestamp::NEVER`] for none.
    pub fn oldest_restore(&self) -> Timestamp {
        self.restored.next_end()
    }

    /// The positions of the revocations, in no order.
    pub fn mark_positions(&self) -> impl Iterator<Item = Seq> {
        self.revoked.iter().flat_map(|(_, marks)| marks.as_slice().iter().map(|it| it.made.seq))
    }

    /// The positions of everything that still matters, restores among them: the rest can leave the log.
    pub fn positions(&self) -> impl Iterator<Item = Seq> {
        self.mark_positions().chain(self.restored.iter().map(|(_, made)| made.seq))
    }

    /// How many scopes are revoked.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every revocation, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, Mark)> {
        self.revoked.iter().flat_map(|(scope, marks)| marks.as_slice().iter().map(move |it| (scope, it.mark)))
    }

    /// The revocations of one scope.
    pub fn marks(&self, scope: &Scope) -> impl Iterator<Item = Mark> {
        self.placed(scope).iter().map(|it| it.mark)
    }

    fn revoke_at(&mut self, scope: &Scope, new: Placed) -> Outcome {
        if self.restored.get(scope).is_some_and(|restored| !new.made.is_news_after(*restored)) {
            return Outcome::Superseded;
        }
        let placed = self.placed(scope);
        if placed.iter().any(|old| old.outlasts(&new)) {
            return Outcome::Unchanged;
        }
        let kept = placed.iter().filter(|old| !new.outlasts(old)).copied();
        self.put(scope, Marks::of(kept.chain([new]).collect()));
        Outcome::Changed
    }

    fn restore_at(&mut self, scope: &Scope, made: Moment) -> Outcome {
        let later = |it: &Placed| made.stated && it.made.at > made.at;
        let stands = self.placed(scope).iter().any(later);
        let changed = self.keep(scope, later);
        if self.restored.get(scope).is_none_or(|known| known.at < made.at) {
            self.restored.put(scope, Some(made));
        }
        match (changed, stands) {
            (true, _) => Outcome::Changed,
            (false, true) => Outcome::Superseded,
            (false, false) => Outcome::Unchanged,
        }
    }

    fn placed(&self, scope: &Scope) -> &[Placed] {
        self.revoked.get(scope).map_or(&[], Marks::as_slice)
    }

    /// Keeps the marks of `scope` that `stays` says; whether one left.
    fn keep(&mut self, scope: &Scope, stays: impl Fn(&Placed) -> bool) -> bool {
        let placed = self.placed(scope);
        let kept: Vec<Placed> = placed.iter().filter(|it| stays(it)).copied().collect();
        if kept.len() == placed.len() {
            return false;
        }
        self.put(scope, Marks::of(kept));
        true
    }

    /// Replaces the marks of `scope`; the only place that changes what is revoked.
    fn put(&mut self, scope: &Scope, marks: Option<Marks>) {
        self.edition = Edition::fresh();
        self.revoked.put(scope, marks);
    }
}

impl Placed {
    /// Whether all that `other` revokes is revoked by this, and whatever lifts this lifts the other too.
    fn outlasts(&self, other: &Self) -> bool {
        self.mark.includes(&other.mark) && self.made.at >= other.made.at
    }
}

impl Marks {
    /// Nothing, if there are none.
    fn of(placed: Vec<Placed>) -> Option<Self> {
        match placed.as_slice() {
            [] => None,
            [one] => Some(Self::One(*one)),
            _ => Some(Self::Many(placed.into())),
        }
    }

    fn as_slice(&self) -> &[Placed] {
        match self {
            Self::Many(placed) => placed,
            Self::One(placed) => slice::from_ref(placed),
        }
    }
}

impl Ends for Marks {
    fn ends(&self) -> Timestamp {
        self.as_slice().iter().map(|it| it.mark.expires_at).min().unwrap_or(Timestamp::NEVER)
    }
}

/// Older restores are forgotten first.
impl Ends for Moment {
    fn ends(&self) -> Timestamp {
        self.at
    }
}

#[cfg(test)]
mod tests;
