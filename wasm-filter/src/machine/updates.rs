//! What the sidecar pushes, applied, and what is due at a tick. It answers no request.

use authz_core::{reason::Reason, scope::Scope, signal::Action, time::Timestamp};
use authz_wire::link;
use hashbrown::HashSet;
use prost::Message;

use super::{
    Machine, Stats,
    effect::{Effect, Level},
    streams::Cuts,
    update::{self, Invalidation, NewPlan, Probe, Update},
    watch::Due,
    wire,
};

impl Machine {
    /// Applies one message from the Watch stream.
    pub fn update(&mut self, bytes: &[u8], now: Timestamp) -> Vec<Effect> {
        self.see(now);
        let Some(update) = update::parse(bytes) else {
            // It may have been a revocation: nothing from memory until a new stream has brought it.
            self.lease.drop_all();
            self.lose_link(now);
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
                self.lose_link(now);
                let line = "the sidecar has said nothing for too long: reconnecting".into();
                effects.extend([Effect::Close, Effect::Log(Level::Warn, line)]);
            }
            Due::Nothing => {}
            Due::Send { beat, flush } => self.send_due(beat, flush, now, &mut effects),
        }
        effects.extend(self.tell(self.stats_at(now)));
        effects
    }

    /// The Watch stream has ended or could not be opened.
    pub fn disconnected(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.watch.is_up() && self.lose_link(now) {
            return vec![Effect::Log(Level::Warn, "the stream from the sidecar ended: reconnecting".into())];
        }
        Vec::new()
    }

    /// Nothing comes from the sidecar any more; returns whether anything had come on that stream.
    fn lose_link(&mut self, now: Timestamp) -> bool {
        let was_good = self.watch.closed(now);
        if was_good {
            self.ledger.lose_link(now);
        }
        if self.forgets_lost_link {
            self.lease.drop_all();
        }
        was_good
    }

    /// The VM goes: its sizes no longer count.
    pub fn retire(&mut self) -> Vec<Effect> {
        let gone = self.told.without_sizes();
        self.tell(gone).collect()
    }

    fn apply(&mut self, update: Update, now: Timestamp, effects: &mut Vec<Effect>) {
        let Update { plan, resync, invalidations, reached, ask_held, held_answered, lease, probe, received_report } =
            update;
        if let Some(plan) = plan {
            self.replace_plan(plan, effects);
        }
        if resync {
            self.begin_resync();
        }
        let changed = resync || !invalidations.is_empty() || reached.is_some() || held_answered;
        if !invalidations.is_empty() {
            self.invalidate(invalidations, now, effects);
        }
        if let Some(reached) = reached {
            self.reach(reached, ask_held, effects);
        }
        if held_answered {
            self.confirm();
        }
        if let Some((beat, ttl_ms)) = lease {
            self.lease.grant(beat, ttl_ms);
            self.watch.beat_within(now, self.lease.interval_ms());
        }
        self.ledger.received(received_report);
        if let Some(probe) = probe {
            effects.push(self.answer_probe(&probe, now));
        }
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
            self.forget_all();
            self.plan = plan;
        }
    }

    fn invalidate(&mut self, invalidations: Vec<Invalidation>, now: Timestamp, effects: &mut Vec<Effect>) {
        let (mut touched, mut restated): (HashSet<Scope>, HashSet<Scope>) = Default::default();
        let mut cuts = Cuts::default();
        let mut misunderstood = false;
        for Invalidation { seq, scope, action, standing } in invalidations {
            self.recent.add(seq, scope.clone());
            let Some(scope) = scope else {
                misunderstood = true;
                continue;
            };
            if let Action::Revoke(mark) = action {
                cuts.add(&scope, mark);
            }
            if standing { &mut restated } else { &mut touched }.insert(scope);
        }
        if misunderstood {
            self.forget_all();
            let line = "an invalidation names a scope unknown to this filter: everything forgotten; update the filter";
            effects.push(Effect::Log(Level::Warn, line.into()));
        }
        self.forget(&touched);
        self.forget_restated(&restated);
        let cut = self.streams.cut(&cuts, now);
        self.stats.resets = self.stats.resets.saturating_add(u64::try_from(cut.len()).unwrap_or(u64::MAX));
        effects.extend(cut.into_iter().map(|stream| Effect::Reset(stream, self.own_note(Reason::Revoked))));
    }

    /// Counts what an invalidation would take; nothing changes.
    fn answer_probe(&self, probe: &Probe, now: Timestamp) -> Effect {
        let Probe { id, scopes, mark } = probe;
        let mut cuts = Cuts::default();
        for scope in scopes {
            cuts.add(scope, *mark);
        }
        let size = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let probed = link::Probed {
            id: *id,
            cached_decisions: size(self.decisions.count(&self.callers.generations_on(scopes), scopes)),
            open_streams: size(self.streams.count(&cuts, now)),
        };
        self.send(link::Report { probed: Some(probed), ..link::Report::default() })
    }

    /// INVARIANT: what rests on a scope is gone from memory before an invalidation of it is acknowledged. So memory needs no
    /// list of what is revoked: whoever is revoked is unknown here, and the sidecar, which has the list, is asked.
    fn forget(&mut self, touched: &HashSet<Scope>) {
        let ended = self.callers.forget(touched);
        let uncounted = self.decisions.end(&ended);
        self.ledger.add(uncounted);
        let uncounted = self.decisions.forget(touched);
        self.ledger.add(uncounted);
        self.chains.forget(touched);
    }

    /// INVARIANT: what risk or posture of a scope decided is gone from memory before a change of them is acknowledged.
    fn forget_restated(&mut self, scopes: &HashSet<Scope>) {
        if !scopes.is_empty() {
            let uncounted = self.decisions.forget_restated(&self.callers.generations_on(scopes), scopes);
            self.ledger.add(uncounted);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.callers.clear();
        self.chains.clear();
        let uncounted = self.decisions.clear();
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
            if self.watch.is_heard() {
                self.ledger.find_link();
            }
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

    pub(super) fn send(&self, report: link::Report) -> Effect {
        Effect::Send(link::Report { enforced_seq: self.reached.seq.0, ..report }.encode_to_vec())
    }

    pub(super) fn stats_at(&self, now: Timestamp) -> Stats {
        let size = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Stats {
            cached_decisions: size(self.decisions.len()),
            open_streams: size(self.streams.len()),
            lease_remaining_ms: self.lease.remaining_ms(now),
            link_lost: u64::from(!self.watch.is_heard()),
            ..self.stats
        }
    }

    fn tell(&mut self, stats: Stats) -> impl Iterator<Item = Effect> + use<> {
        let changes = stats.changes_since(&self.told);
        self.told = stats;
        changes.into_iter().map(|(metric, change)| Effect::Metric(metric, change))
    }
}
