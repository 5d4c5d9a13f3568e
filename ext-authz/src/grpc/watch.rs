//! Serves one filter's stream: moves bytes between it and its session, and books what the session says. It decides nothing.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::{scope::Scope, signal::Seq};
use tokio::time::{sleep_until, timeout};
use tonic::{Status, Streaming};
use tracing::{info, warn};

use super::{
    basis::basis,
    bookings::Bookings,
    outbox::{Gone, Outbox},
    vitals::Vitals,
};
use crate::{
    audit::{Audit, Change, Record},
    clock,
    degraded::Degraded,
    filters::{
        FilterHandle, Filters, Probe,
        session::{self, Contradiction, MAX_INVALIDATIONS, Session, Start, Terms},
    },
    metrics::Metrics,
    signals::{Entry, History, SignalPlane, Tail, TailEnd},
    state::State,
    status::LogNews,
    wire::link::{self, Held, Hello, Report, Update},
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
    /// Whether that is so now.
    pub degraded: Degraded,
    /// What filters say against the log.
    pub log_news: LogNews,
}

/// The watch of one filter VM.
pub struct Watch {
    shared: Arc<Watching>,
    updates: Outbox,
    session: Session,
    vitals: Vitals,
    /// Questions that the filter has not answered.
    asked: Vec<Arc<Probe>>,
    name: String,
}

/// Why a watch ended.
enum End {
    /// The filter closed the stream, or its Envoy is gone.
    Gone,
    /// It does not speak the protocol.
    Refused(Status),
    /// It has taken nothing for too long.
    Stuck,
}

/// Longest instance or node name kept.
const NAME_LIMIT: usize = 128;

impl Watch {
    /// A watch that answers into `updates`.
    pub fn new(shared: Arc<Watching>, updates: Outbox) -> Self {
        let (vitals, session) = (Vitals::new(Arc::clone(&shared.metrics)), Session::new(Terms::of(shared.lease)));
        Self { shared, updates, session, vitals, asked: Vec::new(), name: String::new() }
    }

    /// Serves the filter until its stream ends.
    pub async fn run(mut self, mut reports: Streaming<Report>) {
        let outcome = self.serve(&mut reports).await;
        let cut = |reason| self.shared.metrics.filters_cut.with_label_values(&[reason]).inc();
        match outcome {
            Ok(()) | Err(End::Gone) => {}
            Err(End::Refused(status)) => {
                cut("refused");
                warn!(filter = self.name, %status, "watch refused");
                self.updates.refuse(status);
            }
            Err(End::Stuck) => {
                cut("stuck");
                warn!(
                    filter = self.name,
                    "the filter takes nothing, its watch was cut: see whether its Envoy is overloaded"
                );
                self.updates
                    .cut(Status::resource_exhausted("nothing was taken for the length of a lease, watch again"));
            }
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
        let mut rules = self.shared.state.subscribe_to_rules();
        let mut probes = self.shared.filters.probes();
        self.wait_until_live().await?;
        self.send_plan_if_new().await?;
        let mut tail = self.begin(hello).await?;
        self.take(handle, first, &mut tail).await?;
        let mut overdue = Overdue::default();
        loop {
            tokio::select! {
                report = next(reports) => { let report = report?; self.take(handle, &report, &mut tail).await?; }
                entries = tail.next() => match entries {
                    Ok(entries) => self.pass_on(&entries).await?,
                    Err(TailEnd::Closed) => return Ok(()),
                    // Too slow for what is kept in memory: start over from the present.
                    Err(TailEnd::NotAtHand(_)) => tail = self.resync().await?,
                },
                changed = rules.changed() => {
                    if changed.is_err() { return Ok(()); }
                    self.send_plan_if_new().await?;
                }
                // One that was missed, because too many were asked, stays unanswered.
                Ok(probe) = probes.recv() => self.ask(probe).await?,
                () = overdue.wait(self.session.owes_since(), self.shared.lease) => {
                    self.shared.metrics.filters_overdue.inc();
                    let told = self.session.delivered().0;
                    warn!(filter = self.name, told, "the filter acknowledges nothing: see whether its Envoy is overloaded");
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

    /// What came after the last position the filter has, or a fresh start.
    async fn begin(&mut self, hello: &Hello) -> Result<Tail, End> {
        let after = match Session::start(hello, &*self.shared.plane) {
            Start::After(after) => after,
            Start::Anew => return self.resync().await,
            Start::Contradicted(contradiction) => {
                self.report_contradiction(contradiction, hello.last_seq);
                return self.resync().await;
            }
        };
        let Ok(tail) = self.shared.plane.subscribe_from(after) else { return self.resync().await };
        let update = self.session.resume(after, &*self.shared.plane);
        self.send(update).await?;
        Ok(tail)
    }

    async fn resync(&mut self) -> Result<Tail, End> {
        self.shared.metrics.resyncs.inc();
        loop {
            let published = self.shared.plane.head();
            let Ok(tail) = self.shared.plane.subscribe_from(published) else { continue };
            let update = self.session.resync();
            self.send(update).await?;
            // A million revocations are not listed to a filter that holds a few: it says what it holds.
            let update = self.session.resynced(published, &*self.shared.plane, Instant::now());
            self.send(Update { ask_held: true, ..update }).await?;
            return Ok(tail);
        }
    }

    /// Says what is revoked of what the filter's open streams rest on.
    async fn answer_held(&self, held: &Held) -> Result<(), End> {
        let parse =
            |text: &String| text.parse().map_err(|error| End::Refused(Status::invalid_argument(format!("{error}"))));
        let scopes: Vec<Scope> = held.scopes.iter().map(parse).collect::<Result<_, End>>()?;
        // What was published is in force, so this view holds at least all up to where the resync ended.
        let view = self.shared.state.load().view().cloned().unwrap_or_default();
        let mut marks = scopes.iter().flat_map(|scope| view.revocations.marks(scope).map(move |mark| (scope, mark)));
        while let Some(update) = Session::revoked(view.seq, &mut marks) {
            self.send(update).await?;
        }
        if held.more { Ok(()) } else { self.send(Update { held_answered: true, ..Update::default() }).await }
    }

    async fn pass_on(&mut self, entries: &[Entry]) -> Result<(), End> {
        for entries in entries.chunks(MAX_INVALIDATIONS) {
            let update = {
                let snapshot = self.shared.state.load();
                let Some(view) = snapshot.view() else { return Err(End::Gone) };
                self.session.pass_on(entries, &view.revocations, &*self.shared.plane, Instant::now())
            };
            self.send(update).await?;
        }
        Ok(())
    }

    async fn send_plan_if_new(&mut self) -> Result<(), End> {
        let update = {
            let snapshot = self.shared.state.load();
            let known = snapshot.policy().zip(snapshot.trust());
            known.and_then(|(policy, trust)| {
                self.session.plan(basis(policy.digest(), trust), || session::wire_plan(policy.plan()))
            })
        };
        match update {
            Some(update) => self.send(update).await,
            None => Ok(()),
        }
    }

    /// Books what a report says and answers it.
    async fn take(&mut self, handle: &FilterHandle, report: &Report, tail: &mut Tail) -> Result<(), End> {
        let now = Instant::now();
        self.session.set_terms(Terms::of(self.shared.degraded.lease(self.shared.lease, now)));
        let heard = self.session.hear(report, now);
        if let Some(session::Acknowledged { seq, is_news }) = heard.acknowledged {
            handle.acked(seq, now);
            self.measure(seq, is_news);
        }
        if let Some(until) = heard.lease_until {
            handle.lease_granted(until);
            self.shared.metrics.leases.inc();
        }
        let published = self.shared.plane.head();
        if heard.lease_until.is_some() {
            self.bring_to(published, tail).await?;
        }
        if let Some(gauges) = report.gauges {
            self.vitals.take(gauges);
        }
        let received = handle.received(report.number);
        if received.is_new {
            let bookings = Bookings { metrics: &self.shared.metrics, audit: &self.shared.audit, filter: &self.name };
            bookings.book(report, clock::now());
        }
        if let Some(update) = self.session.answer(report, received, published) {
            self.send(update).await?;
        }
        if let Some(probed) = report.probed
            && let Some(at) = self.asked.iter().position(|probe| probe.id == probed.id)
        {
            self.asked.swap_remove(at).answer(handle.hit(probed.cached_decisions, probed.open_streams));
        }
        match &report.held {
            Some(held) => self.answer_held(held).await,
            None => Ok(()),
        }
    }

    /// Passes on what there is up to `published`, before a lease goes out.
    async fn bring_to(&mut self, published: Seq, tail: &mut Tail) -> Result<(), End> {
        while self.session.delivered() < published {
            match tail.ready() {
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => self.pass_on(&entries).await?,
                Err(_) => *tail = self.resync().await?,
            }
        }
        Ok(())
    }

    /// Passes a question on.
    async fn ask(&mut self, probe: Arc<Probe>) -> Result<(), End> {
        let wire = link::Probe {
            id: probe.id,
            scopes: probe.scopes.iter().map(ToString::to_string).collect(),
            issued_before_ms: probe.issued_before.as_millis(),
        };
        self.asked.retain(|probe| !probe.is_over());
        self.asked.push(probe);
        self.send(Update { probe: Some(wire), ..Update::default() }).await
    }

    fn measure(&self, seq: Seq, is_news: bool) {
        if let Some(received) = self.shared.plane.received(seq).filter(|_| is_news) {
            self.shared.metrics.enforcement.observe(received.elapsed().as_secs_f64());
        }
    }

    fn report_contradiction(&self, contradiction: Contradiction, seen: u64) {
        let (head, name) = (History::head(&*self.shared.plane), &self.name);
        let detail = match contradiction {
            Contradiction::Ahead => format!("filter {name} has seen {seen}, the log ends at {head}"),
            Contradiction::Differs => format!("filter {name} has seen another entry at {seen} or before it"),
        };
        warn!(filter = self.name, seen, head = head.0, "the log was set back or exchanged: {detail}");
        self.shared.metrics.log_contradictions.with_label_values(&[contradiction.as_str()]).inc();
        let at = clock::now();
        self.shared.log_news.contradicted(at, detail.clone());
        self.shared.audit.record(Record::Change(Change { at, what: "log", result: "contradicted", detail }));
    }

    /// Sends a message. A filter that takes none for as long as a lease may not answer alone any more: it is let go.
    async fn send(&self, update: Update) -> Result<(), End> {
        match timeout(self.shared.lease, self.updates.push(update)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Gone)) => Err(End::Gone),
            Err(_) => Err(End::Stuck),
        }
    }
}

/// Tells once for each time that something is owed for too long.
#[derive(Default)]
struct Overdue {
    told: Option<Instant>,
}

impl Overdue {
    /// Ends once what is owed since `since` is owed for `patience`; never if that was told.
    async fn wait(&mut self, since: Option<Instant>, patience: Duration) {
        let Some(since) = since.filter(|since| self.told != Some(*since)) else { return std::future::pending().await };
        sleep_until((since + patience).into()).await;
        self.told = Some(since);
    }
}

async fn next(reports: &mut Streaming<Report>) -> Result<Report, End> {
    match reports.message().await {
        Ok(Some(report)) => Ok(report),
        Ok(None) | Err(_) => Err(End::Gone),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(NAME_LIMIT / 2).fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn cut(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(NAME_LIMIT).collect()
}
