//! One filter's watch: plan, invalidations and leases down, acknowledgements and counts up; it decides nothing.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::{
    decision::Verdict,
    plan::{Plan, Rules},
    reason::Reason,
    revocation::{Mark, RevocationSet},
    scope::Scope,
    signal::{Action, Outcome, Seq},
    time::Timestamp,
};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use tracing::{info, warn};

use crate::{
    audit::{Audit, HitsRecord, LocalRecord, Record},
    clock,
    filters::{FilterHandle, Filters},
    grpc::{basis::basis, vitals::Vitals},
    metrics::Metrics,
    signals::{Entry, SignalPlane, Tail, TailEnd},
    state::State,
    wire::link::{self, Hello, Invalidation, Lease, Report, Update},
};

/// What all watches share.
pub struct Watching {
    /// Plan and revocations.
    pub state: Arc<State>,
    /// The order of signals.
    pub plane: Arc<SignalPlane>,
    /// Who is connected, and what is in force there.
    pub filters: Filters,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Records what filters answered from memory.
    pub audit: Audit,
    /// How long a filter may answer from memory without hearing from us.
    pub lease: Duration,
}

/// The watch of one filter VM.
pub struct Watch {
    shared: Arc<Watching>,
    updates: mpsc::Sender<Result<Update, Status>>,
    basis: Option<[u8; 32]>,
    // INVARIANT: the last position stated on this stream; the filter can't have more in force.
    delivered: Seq,
    // From when it was told to start over until it has: what it says of positions is about what it then forgets.
    starting_over: bool,
    enforced: Seq,
    vitals: Vitals,
    name: String,
}

/// Why a watch ended.
enum End {
    /// The filter closed the stream, or its Envoy is gone.
    Gone,
    /// It does not speak the protocol.
    Refused(Status),
}

/// Revocations in one message of a resync.
const CHUNK: usize = 1000;
/// Longest instance or node name kept.
const NAME_LIMIT: usize = 128;

impl Watch {
    /// A watch that answers into `updates`.
    pub fn new(shared: Arc<Watching>, updates: mpsc::Sender<Result<Update, Status>>) -> Self {
        Self {
            vitals: Vitals::new(Arc::clone(&shared.metrics)),
            shared,
            updates,
            basis: None,
            delivered: Seq(0),
            starting_over: false,
            enforced: Seq(0),
            name: String::new(),
        }
    }

    /// Serves the filter until its stream ends.
    pub async fn run(mut self, mut reports: Streaming<Report>) {
        if let Err(End::Refused(status)) = self.serve(&mut reports).await {
            warn!(filter = self.name, %status, "watch refused");
            // The filter may be gone; then nobody needs to know.
            let _ = self.updates.send(Err(status)).await;
        }
    }

    async fn serve(&mut self, reports: &mut Streaming<Report>) -> Result<(), End> {
        let first = next(reports).await?;
        let Some(hello) = &first.hello else {
            return Err(End::Refused(Status::invalid_argument("the first report carries no hello")));
        };
        self.name = format!("{}/{}", cut(&hello.node), hex(&hello.instance));
        let handle = self.shared.filters.connect(&hex(&hello.instance), &cut(&hello.node), Instant::now());
        info!(filter = self.name, last_seq = hello.last_seq, version = cut(&hello.version), "filter connected");
        self.shared.metrics.filters.inc();
        let outcome = self.converse(reports, &handle, &first, hello).await;
        self.shared.metrics.filters.dec();
        info!(filter = self.name, "filter disconnected");
        outcome
    }

    async fn converse(
        &mut self,
        reports: &mut Streaming<Report>,
        handle: &FilterHandle,
        first: &Report,
        hello: &Hello,
    ) -> Result<(), End> {
        let mut state = self.shared.state.subscribe();
        self.wait_until_live().await?;
        let mut tail = self.catch_up(Seq(hello.last_seq)).await?;
        self.take(handle, first).await?;
        loop {
            tokio::select! {
                report = next(reports) => { let report = report?; self.take(handle, &report).await?; }
                entries = tail.next() => match entries {
                    Ok(entries) => self.pass_on(&entries).await?,
                    Err(TailEnd::Closed) => return Ok(()),
                    // Too slow for what is kept in memory: start over from the present.
                    Err(TailEnd::NotAtHand(_)) => tail = self.resync().await?,
                },
                changed = state.changed() => {
                    if changed.is_err() { return Ok(()); }
                    self.send_plan_if_new().await?;
                }
            }
        }
    }

    /// Nothing is promised before log, policies and trust are in; a filter that gives up waiting must not be kept as connected.
    async fn wait_until_live(&self) -> Result<(), End> {
        let mut changes = self.shared.state.subscribe();
        while self.shared.state.load().live().is_none() {
            tokio::select! {
                woken = changes.changed() => woken.map_err(|_| End::Gone)?,
                () = self.updates.closed() => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// Plan first, then what came after `last_seq`, or everything that is revoked now.
    async fn catch_up(&mut self, last_seq: Seq) -> Result<Tail, End> {
        self.send_plan_if_new().await?;
        match self.shared.plane.subscribe_from(last_seq) {
            Ok(tail) if last_seq > Seq(0) => {
                self.delivered = last_seq;
                self.send(Update { seq: last_seq.0, ..Update::default() }).await?;
                Ok(tail)
            }
            _ => self.resync().await,
        }
    }

    async fn resync(&mut self) -> Result<Tail, End> {
        self.shared.metrics.resyncs.inc();
        self.starting_over = true;
        loop {
            // What is published is in force, so the snapshot taken next holds at least all of it.
            let published = self.shared.plane.head();
            let view = self.shared.state.load().view().cloned().unwrap_or_default();
            let live: Vec<Invalidation> =
                view.revocations.iter().map(|(scope, mark)| revocation(view.seq, scope, mark)).collect();
            self.send(Update { resync: true, ..Update::default() }).await?;
            for chunk in live.chunks(CHUNK) {
                self.send(Update { invalidations: chunk.to_vec(), ..Update::default() }).await?;
            }
            if let Ok(tail) = self.shared.plane.subscribe_from(published) {
                self.delivered = published;
                self.send(Update { seq: published.0, ..Update::default() }).await?;
                return Ok(tail);
            }
        }
    }

    async fn pass_on(&mut self, entries: &[Entry]) -> Result<(), End> {
        let invalidations = {
            let snapshot = self.shared.state.load();
            let revocations = snapshot.view().map(|view| &view.revocations);
            entries.iter().flat_map(|entry| invalidations(entry, revocations)).collect()
        };
        self.delivered = entries.last().map_or(self.delivered, |entry| entry.seq);
        self.send(Update { invalidations, seq: self.delivered.0, ..Update::default() }).await
    }

    async fn send_plan_if_new(&mut self) -> Result<(), End> {
        let plan = {
            let snapshot = self.shared.state.load();
            let known = snapshot.policy().zip(snapshot.trust());
            known.map(|(policy, trust)| (basis(policy.digest(), trust), wire_plan(policy.plan())))
        };
        let Some((basis, plan)) = plan.filter(|(basis, _)| self.basis != Some(*basis)) else { return Ok(()) };
        self.basis = Some(basis);
        let plan = link::Plan { digest: basis.to_vec(), ..plan };
        self.send(Update { plan: Some(plan), ..Update::default() }).await
    }

    /// Books what a report says and answers its beat.
    async fn take(&mut self, handle: &FilterHandle, report: &Report) -> Result<(), End> {
        let now = clock::now();
        self.acknowledge(handle, Seq(report.enforced_seq));
        if let Some(gauges) = report.gauges {
            self.vitals.take(gauges);
        }
        let received = handle.received(report.number);
        if received.is_new {
            self.book(report, now);
        }
        let beat = (report.beat != 0).then(|| self.grant(handle, report.beat));
        if beat.is_some() || report.number != 0 {
            self.send(Update { lease: beat, received_report: received.highest, ..Update::default() }).await?;
        }
        Ok(())
    }

    /// Positions of another log, or of what the filter is about to forget, are no acknowledgement.
    fn acknowledge(&mut self, handle: &FilterHandle, seq: Seq) {
        self.starting_over &= seq > Seq(0);
        if self.starting_over || seq > self.delivered {
            return;
        }
        handle.acked(seq, Instant::now());
        // Positions from before this stream were enforced long ago: their time says nothing.
        if seq > self.enforced
            && self.enforced > Seq(0)
            && let Some(received) = self.shared.plane.received(seq)
        {
            self.shared.metrics.enforcement.observe(received.elapsed().as_secs_f64());
        }
        self.enforced = self.enforced.max(seq);
    }

    fn grant(&self, handle: &FilterHandle, beat: u64) -> Lease {
        // The filter counts from when it sent the beat, which was before now: it ends no later than this.
        handle.lease_granted(Instant::now() + self.shared.lease);
        self.shared.metrics.leases.inc();
        Lease { beat, ttl_ms: u64::try_from(self.shared.lease.as_millis()).unwrap_or(u64::MAX) }
    }

    fn book(&self, report: &Report, now: Timestamp) {
        for hits in &report.hits {
            let verdict = match hits.verdict() {
                link::Verdict::Allow => Verdict::Allow,
                link::Verdict::Challenge => Verdict::Challenge,
                link::Verdict::Deny | link::Verdict::Unspecified => Verdict::Deny,
            };
            self.shared.metrics.filter_hits.with_label_values(&[verdict.as_str()]).inc_by(hits.count);
            self.shared.audit.record(Record::Hits(HitsRecord {
                at: Timestamp::from_millis(hits.last_ms),
                decision_id: hex(&hits.decision_id),
                count: hits.count,
                verdict,
                reason: known_reason(&hits.reason).to_owned(),
                caller: hits.caller.chars().take(2048).collect(),
                filter: self.name.clone(),
                report: report.number,
            }));
        }
        for local in &report.local {
            let reason = known_reason(&local.reason);
            self.shared.metrics.filter_local.with_label_values(&[reason]).inc_by(local.count);
            let (reason, filter) = (reason.to_owned(), self.name.clone());
            let (count, report) = (local.count, report.number);
            self.shared.audit.record(Record::Local(LocalRecord { at: now, reason, count, filter, report }));
        }
    }

    async fn send(&self, update: Update) -> Result<(), End> {
        self.updates.send(Ok(update)).await.map_err(|_| End::Gone)
    }
}

async fn next(reports: &mut Streaming<Report>) -> Result<Report, End> {
    match reports.message().await {
        Ok(Some(report)) => Ok(report),
        Ok(None) | Err(_) => Err(End::Gone),
    }
}

fn wire_plan(plan: &Plan) -> link::Plan {
    let reads = plan.reads().iter().map(ToString::to_string);
    // Among the reads, so that a filter which does not know the rule keeps nothing rather than the wrong thing.
    let rule = plan.rules().refuse_path_parameters.then(|| Rules::NO_PATH_PARAMETERS.to_owned());
    link::Plan { digest: Vec::new(), reads: reads.chain(rule).collect() }
}

/// What one entry means to a filter: nothing, if it changed nothing here.
///
/// A filter forgets the marks of a scope when anything else is said of it, so those that stand follow at once.
fn invalidations(entry: &Entry, revocations: Option<&RevocationSet>) -> Vec<Invalidation> {
    let Entry { seq, signal, outcome, .. } = entry;
    let scope = &signal.scope;
    match signal.action {
        _ if *outcome != Outcome::Changed => Vec::new(),
        Action::Revoke(mark) => vec![revocation(*seq, scope, mark)],
        Action::Posture(..) | Action::Restore | Action::Risk(..) => {
            let touched = Invalidation { seq: seq.0, scope: scope.to_string(), ..Invalidation::default() };
            let standing = revocations.into_iter().flat_map(|it| it.marks(scope));
            let standing = standing.map(|mark| revocation(*seq, scope, mark));
            [touched].into_iter().chain(standing).collect()
        }
    }
}

fn revocation(seq: Seq, scope: &Scope, mark: Mark) -> Invalidation {
    Invalidation {
        seq: seq.0,
        scope: scope.to_string(),
        revoke: true,
        issued_before_ms: mark.issued_before.as_millis(),
        expires_at_ms: mark.expires_at.as_millis(),
    }
}

/// A label must come from the closed set, whatever a filter sends.
fn known_reason(text: &str) -> &'static str {
    Reason::parse(text).unwrap_or(Reason::LinkInvalid).as_str()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(NAME_LIMIT / 2).fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn cut(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(NAME_LIMIT).collect()
}
