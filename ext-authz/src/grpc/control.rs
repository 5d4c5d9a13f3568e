//! The control API: takes signals, shows the log, and reports enforcement. Who may connect is up to its doors, who may do what up to its guard.

mod batch;
mod dry_run;
mod progress;
mod status;
mod tail;
mod who;

pub use progress::own_enforcement;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::{Seq, Signal};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use dry_run::DryRun;

use crate::{
    cache::DecisionCache,
    clock,
    control::{Guard, Pass, Siblings, Tally},
    filters::Filters,
    policy::control::{Asked, Principal},
    signals::{Accepted, SignalPlane, convert, live},
    status::Overview,
    wire::control::{
        AwaitRequest, DryRunRequest, DryRunResponse, Enforcement, ListRequest, ListResponse, Signal as WireSignal,
        StatusRequest, StatusResponse, SubmitRequest, SubmitResponse, SubmitResult, TailRequest,
        control_server::Control,
    },
};

/// Answers operators and other systems.
#[derive(Clone)]
pub struct ControlService {
    plane: Arc<SignalPlane>,
    filters: Filters,
    guard: Arc<Guard>,
    overview: Option<Arc<Overview>>,
    cache: Option<DecisionCache>,
    siblings: Option<Arc<dyn Siblings>>,
}

impl ControlService {
    /// Speaks for `plane` and `filters` to whom `guard` lets.
    pub fn new(plane: Arc<SignalPlane>, filters: Filters, guard: Arc<Guard>) -> Self {
        Self { plane, filters, guard, overview: None, cache: None, siblings: None }
    }

    /// Answers `Status` from `overview`; without one it is not served.
    pub fn with_overview(self, overview: Arc<Overview>) -> Self {
        Self { overview: Some(overview), ..self }
    }

    /// Counts in `cache` too what a dry run would hit.
    pub fn with_cache(self, cache: DecisionCache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Asks the other sidecars of a fleet too how far a position is in force.
    pub fn with_siblings(self, siblings: Arc<dyn Siblings>) -> Self {
        Self { siblings: Some(siblings), ..self }
    }

    fn admit<T>(&self, request: &Request<T>, asked: &Asked<'_>) -> Result<Pass<'_>, Status> {
        self.guard.admit(&who::principal(request)?, asked).map_err(status::of_not_permitted)
    }

    fn read(&self, who: &Principal, request: SubmitRequest) -> Result<Signal, Status> {
        let who = who.to_string();
        convert::from_request(request, &who, clock::now()).map_err(|error| {
            self.guard.misunderstood(&who, error.to_string());
            status::of_invalid(error)
        })
    }

    /// Refuses a position that the log has not reached: waiting for it could take for ever.
    fn check_reached(&self, field: &str, seq: u64) -> Result<Seq, Status> {
        let head = self.plane.head();
        if seq > head.0 {
            return Err(Status::out_of_range(format!("{field} {seq} lies beyond the end of the log, which is {head}")));
        }
        Ok(Seq(seq))
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    type AwaitStream = ReceiverStream<Result<Enforcement, Status>>;
    type SubmitBatchStream = ReceiverStream<Result<SubmitResult, Status>>;
    type TailStream = ReceiverStream<Result<WireSignal, Status>>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let who = who::principal(&request)?;
        let signal = self.read(&who, request.into_inner())?;
        let pass = self.guard.admit(&who, &Asked::Signal { signal: &signal, position: 1 });
        let pass = pass.map_err(status::of_not_permitted)?;
        match self.plane.submit(signal).await {
            Ok(accepted) => {
                pass.done_at(accepted.seq);
                note(&accepted);
                Ok(Response::new(to_wire(&accepted)))
            }
            Err(error) => {
                pass.failed(&error.to_string());
                Err(status::of_refused(error))
            }
        }
    }

    async fn submit_batch(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<Self::SubmitBatchStream>, Status> {
        let tally = Tally::new(Arc::clone(&self.guard), who::principal(&request)?);
        let (out, stream) = mpsc::channel(STREAM_BUFFER);
        tokio::spawn(batch::run(Arc::clone(&self.plane), tally, request.into_inner(), out));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn dry_run(&self, request: Request<DryRunRequest>) -> Result<Response<DryRunResponse>, Status> {
        let who = who::principal(&request)?;
        let dry_run = DryRun::parse(request.get_ref()).map_err(|error| {
            self.guard.misunderstood(&who.to_string(), error.clone());
            Status::invalid_argument(error)
        })?;
        for scope in &dry_run.scopes {
            self.guard.admit(&who, &Asked::DryRun(scope)).map_err(status::of_not_permitted)?.done();
        }
        dry_run.run(&self.filters, self.cache.clone()).await.map(Response::new)
    }

    async fn r#await(&self, request: Request<AwaitRequest>) -> Result<Response<Self::AwaitStream>, Status> {
        self.admit(&request, &Asked::Await)?.done();
        let AwaitRequest { seq, timeout_ms } = request.into_inner();
        let seq = self.check_reached("seq", seq)?;
        let deadline = (timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(timeout_ms).min(LONGEST_WAIT));
        let (out, stream) = mpsc::channel(STREAM_BUFFER);
        let (plane, filters) = (Arc::clone(&self.plane), self.filters.clone());
        let siblings = self.siblings.clone();
        tokio::spawn(async move { progress::report(&plane, &filters, seq, deadline, siblings, out).await });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.admit(&request, &Asked::List)?.done();
        let ListRequest { after_seq, limit, live_only } = request.into_inner();
        let limit = if limit == 0 { DEFAULT_LIMIT } else { limit.min(MAX_LIMIT) } as usize;
        let (log, now) = (Arc::clone(self.plane.log()), clock::now());
        let after = Seq(after_seq);
        let view = self.overview.as_ref().and_then(|overview| overview.state.load().view().cloned());
        let read = move || {
            if live_only { live::after(&log, view, after, limit, now) } else { log.read_after(after, limit) }
        };
        let entries = tokio::task::spawn_blocking(read).await.map_err(|error| Status::internal(error.to_string()))?;
        let signals = within_message(&entries.map_err(|error| status::of_log(&error))?);
        Ok(Response::new(ListResponse { signals, head_seq: self.plane.head().0 }))
    }

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        self.admit(&request, &Asked::Tail)?.done();
        let after = self.check_reached("after_seq", request.into_inner().after_seq)?;
        let (out, stream) = mpsc::channel(STREAM_BUFFER);
        let plane = Arc::clone(&self.plane);
        tokio::spawn(async move { tail::follow(&plane, after, out).await });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.admit(&request, &Asked::Status)?.done();
        let overview = self.overview.as_ref().ok_or_else(|| Status::unavailable("this sidecar has no overview"))?;
        Ok(Response::new(overview.look(clock::now(), Instant::now())))
    }
}

fn to_wire(accepted: &Accepted) -> SubmitResponse {
    SubmitResponse {
        signal: Some(convert::to_wire(accepted.seq, &accepted.signal)),
        known: accepted.known,
        outcome: convert::outcome(accepted.outcome).into(),
    }
}

fn note(Accepted { seq, signal, known, outcome }: &Accepted) {
    tracing::info!(
        seq = seq.0, id = &*signal.id, action = signal.action.as_str(), scope = %signal.scope, who = &*signal.who,
        why = &*signal.why, known, outcome = outcome.as_str(), "signal accepted"
    );
}

/// As many entries as a message may carry; at least one, so that a reader who asks for what follows gets on.
fn within_message(entries: &[(Seq, Signal)]) -> Vec<WireSignal> {
    let mut room = MAX_ANSWER;
    let mut signals = Vec::with_capacity(entries.len());
    for (seq, signal) in entries {
        let signal = convert::to_wire(*seq, signal);
        let size = signal.encoded_len() + 8;
        if size > room && !signals.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        signals.push(signal);
    }
    signals
}

const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 10_000;
/// Bytes of signals in one answer; a client takes 4 MiB unless told otherwise.
const MAX_ANSWER: usize = 3 << 20;
/// Messages that wait for a slow reader before the writer waits too.
const STREAM_BUFFER: usize = 64;
/// A longer timeout is as good as this one, and can't overflow a clock.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
