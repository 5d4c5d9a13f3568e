//! What the sidecar pushes, applied, and what is due at a tick. It answers no request.

use authz_core::{
    reason::Reason,
    revocation::RevocationSet,
    scope::Scope,
    signal::{Action, Seq},
    time::Timestamp,
};
use authz_wire::link;
use hashbrown::HashSet;
use prost::Message;

use super::{
    Machine, Stats,
    effect::{Effect, Level},
    recent::Recent,
    update::{self, Invalidation, NewPlan, Reached, Update},
    watch::Due,
    wire,
};

/// Revocations kept; beyond this everything is forgotten and the sidecar, which knows them all, asked anew.
pub(super) const MAX_REVOCATIONS: usize = 20_000;
/// How often revocations that are over are dropped: each time costs a look at all of them.
const EXPIRY_MS: u64 = 60_000;

impl Machine {
    /// Applies one message from the Watch stream.
    pub fn update(&mut self, bytes: &[u8], now: Timestamp) -> Vec<Effect> {
        self.see(now);
        let Some(update) = update::parse(bytes) else {
            // It may have been a revocation: nothing from memory until a new stream has brought it.
            self.lease.drop_all();
            self.watch.closed(now);
            let line = "the sidecar sent a message that is no Update: lease dropped, reconnecting".into();
            return vec![Effect::Close, Effect::Log(Level::Warn, line)];
        };
        let mut effects = Vec::new();
        if self.watch.hear(now) {
            effects.push(Effect::Log(Level::Info, "watching the sidecar".into()));
        }
        self.apply(update, now, &mut effects);
        effects
    }

    /// What is due now.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        self.see(now);
        let mut effects = Vec::new();
        match self.watch.due(now, self.lease.interval_ms()) {
            Due::Connect => self.connect(now, &mut effects),
            Due::GiveUp => {
                self.watch.closed(now);
                let line = "the sidecar has said nothing for too long: reconnecting".into();
                effects.extend([Effect::Close, Effect::Log(Level::Warn, line)]);
            }
            Due::Nothing => {}
            Due::Send { beat, flush } => self.send_due(beat, flush, now, &mut effects),
        }
        if self.next_expiry <= now {
            self.revocations.expire(now);
            self.next_expiry = now.saturating_add_millis(EXPIRY_MS);
        }
        effects.extend(self.tell(self.stats_at(now)));
        effects
    }

    /// The Watch stream has ended or could not be opened.
    pub fn disconnected(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.watch.is_up() && self.watch.closed(now) {
            return vec![Effect::Log(Level::Warn, "the stream from the sidecar ended: reconnecting".into())];
        }
        Vec::new()
    }

    /// The VM goes: its sizes no longer count.
    pub fn retire(&mut self) -> Vec<Effect> {
        let gone = self.told.without_sizes();
        self.tell(gone).collect()
    }

    fn apply(&mut self, update: Update, now: Timestamp, effects: &mut Vec<Effect>) {
        let Update { plan, resync, invalidations, reached, lease, received_report } = update;
        if let Some(plan) = plan {
            self.replace_plan(plan, effects);
        }
        if resync {
            self.resync();
        }
        let changed = resync || !invalidations.is_empty() || reached.is_some();
        if !invalidations.is_empty() {
            self.invalidate(invalidations, now, effects);
        }
        if let Some(reached) = reached {
            // What a resync brought is the state at this position, whatever came before.
            if self.before_resync.take().is_some() {
                self.recent.raise(reached.seq);
            }
            self.reached = reached;
        }
        if let Some((beat, ttl_ms)) = lease {
            self.lease.grant(beat, ttl_ms);
            self.watch.beat_within(now, self.lease.interval_ms());
        }
        self.ledger.received(received_report);
        if changed {
            effects.push(self.send(link::Report::default()));
        }
    }

    fn replace_plan(&mut self, plan: NewPlan, effects: &mut Vec<Effect>) {
        let plan = match plan {
            NewPlan::Known(plan) => Some(plan),
            NewPlan::Unknown(why) => {
                let line = format!("{why}: every request is asked about; update the filter");
                effects.push(Effect::Log(Level::Warn, line));
                None
            }
        };
        if plan != self.plan {
            // Its name stands for the trust bundles too: who was verified under others is no longer known.
            self.callers.clear();
            self.chains.clear();
            self.forget_decisions();
            self.plan = plan;
        }
    }

    fn resync(&mut self) {
        self.revocations = RevocationSet::default();
        // INVARIANT: what was in force here once is not undone by an answer older than it, which may still be on its way.
        let before = self.before_resync.take().unwrap_or_else(|| std::mem::take(&mut self.recent));
        self.forget_all(Seq::default());
        self.before_resync = Some(before);
        self.reached = Reached::default();
    }

    /// INVARIANT: what rests on a scope is gone from memory, and answers decided earlier are known to be too old,
    /// before this returns.
    fn invalidate(&mut self, invalidations: Vec<Invalidation>, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut touched: HashSet<Scope> = HashSet::new();
        let mut cuts = RevocationSet::default();
        let mut misunderstood = false;
        for Invalidation { seq, scope, action } in invalidations {
            self.recent.add(seq, scope.clone());
            let Some(scope) = scope else {
                misunderstood = true;
                continue;
            };
            match action {
                // The link tells them apart no further: what a scope stands under goes, and what still stands follows.
                Action::Posture(..) | Action::Restore | Action::Risk(..) => self.revocations.restore(&scope),
                Action::Revoke(mark) => {
                    self.revocations.revoke(&scope, mark);
                    cuts.revoke(&scope, mark);
                }
            }
            touched.insert(scope);
        }
        if misunderstood {
            self.callers.clear();
            self.chains.clear();
            self.forget_decisions();
            let line = "an invalidation names a scope unknown to this filter: everything forgotten; update the filter";
            effects.push(Effect::Log(Level::Warn, line.into()));
        }
        let ended = self.callers.forget(|caller| caller.scopes().iter().any(|scope| touched.contains(scope)));
        let uncounted = self.decisions.end(&ended);
        self.ledger.add(uncounted);
        self.cut_streams(&cuts, now, effects);
        self.bound_revocations(now, effects);
    }

    fn cut_streams(&mut self, cuts: &RevocationSet, now: Timestamp, effects: &mut Vec<Effect>) {
        let cut = self.streams.cut(cuts, now);
        self.stats.resets = self.stats.resets.saturating_add(u64::try_from(cut.len()).unwrap_or(u64::MAX));
        effects.extend(cut.into_iter().map(|stream| Effect::Reset(stream, self.own_note(Reason::Revoked))));
    }

    fn bound_revocations(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.revocations.len() <= MAX_REVOCATIONS {
            return;
        }
        self.revocations.expire(now);
        if self.revocations.len() <= MAX_REVOCATIONS {
            return;
        }
        self.revocations = RevocationSet::default();
        self.forget_all(self.recent.latest());
        let line = format!(
            "more than {MAX_REVOCATIONS} live revocations: everything forgotten, each caller is asked about anew"
        );
        effects.push(Effect::Log(Level::Warn, line));
    }

    fn forget_all(&mut self, floor: Seq) {
        self.callers.clear();
        self.chains.clear();
        self.forget_decisions();
        self.recent = Recent::above(floor);
    }

    fn forget_decisions(&mut self) {
        let uncounted = self.decisions.retain(|_| false);
        self.ledger.add(uncounted);
    }

    fn connect(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let beat = self.lease.ask(now);
        self.watch.opened(now, self.lease.interval_ms());
        let hello = link::Hello {
            instance: self.identity.instance.into(),
            node: self.identity.node.clone(),
            last_seq: self.reached.seq.0,
            last_fingerprint: self.reached.fingerprint.to_vec(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        effects.push(Effect::Open);
        effects.push(self.send(link::Report { hello: Some(hello), beat, ..link::Report::default() }));
        let again: Vec<_> = self.ledger.unreceived().map(wire::report).collect();
        effects.extend(again.into_iter().map(|report| self.send(report)));
    }

    fn send_due(&mut self, beat: bool, flush: bool, now: Timestamp, effects: &mut Vec<Effect>) {
        if flush {
            let counted = self.decisions.collect(self.ledger.room());
            self.ledger.add(counted);
            while let Some(report) = self.ledger.cut().map(wire::report) {
                let report = link::Report { gauges: Some(self.stats_at(now).gauges()), ..report };
                effects.push(self.send(report));
            }
            self.watch.flushed(now);
        }
        if beat {
            let beat = self.lease.ask(now);
            self.watch.beaten(now, self.lease.interval_ms());
            let gauges = Some(self.stats_at(now).gauges());
            effects.push(self.send(link::Report { beat, gauges, ..link::Report::default() }));
        }
    }

    fn send(&self, report: link::Report) -> Effect {
        Effect::Send(link::Report { enforced_seq: self.reached.seq.0, ..report }.encode_to_vec())
    }

    fn stats_at(&self, now: Timestamp) -> Stats {
        let size = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Stats {
            cached_decisions: size(self.decisions.len()),
            open_streams: size(self.streams.len()),
            lease_remaining_ms: self.lease.remaining_ms(now),
            ..self.stats
        }
    }

    fn tell(&mut self, stats: Stats) -> impl Iterator<Item = Effect> + use<> {
        let changes = stats.changes_since(&self.told);
        self.told = stats;
        changes.into_iter().map(|(metric, change)| Effect::Metric(metric, change))
    }
}
