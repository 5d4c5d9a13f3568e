//! One simulated filter: does for the product's machine what Envoy's host does. It must not answer for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use authz_core::time::Timestamp;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{self, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use wasm_filter::{Config, Effect, Identity, Machine};

use super::FilterLost;
use super::codec::Raw;

/// A filter that does not run yet.
pub struct Simulated {
    link: PathBuf,
    machine: Machine,
}

/// The stream that the machine asked for.
struct Watch {
    reports: mpsc::Sender<Vec<u8>>,
    updates: Streaming<Vec<u8>>,
}

impl Simulated {
    /// The filter `number` of the sidecar at `link`.
    pub fn new(link: &Path, number: usize) -> Self {
        let mut instance = [0xbe; 16];
        instance.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        let identity = Identity { instance, node: format!("simulated-{number}") };
        Self { link: link.to_path_buf(), machine: Machine::new(&Config::default(), identity) }
    }

    /// Runs until the sidecar is lost.
    pub async fn run(mut self) -> FilterLost {
        match self.watch().await {
            Ok(()) => FilterLost::new("the stream ended"),
            Err(lost) => lost,
        }
    }

    async fn watch(&mut self) -> Result<(), FilterLost> {
        let channel = connect(&self.link).await?;
        let mut ticks = time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = None;
        loop {
            let effects = tokio::select! {
                message = next(&mut watch) => match message? {
                    Some(message) => self.machine.update(&message, now()),
                    None => return Ok(()),
                },
                _ = ticks.tick() => self.machine.tick(now()),
            };
            for effect in effects {
                match effect {
                    Effect::Close => return Err(FilterLost::new("it gave the stream up")),
                    Effect::Open => watch = Some(Watch::open(channel.clone()).await?),
                    Effect::Send(message) => send(watch.as_ref(), message).await?,
                    Effect::Log(..) | Effect::Metric(..) | Effect::Reset(..) => {}
                }
            }
        }
    }
}

impl Watch {
    async fn open(channel: Channel) -> Result<Self, FilterLost> {
        let (reports, outgoing) = mpsc::channel(REPORTS);
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(FilterLost::new)?;
        let path = PathAndQuery::from_static("/countersign.link.v1.Link/Watch");
        let answer = grpc.streaming(Request::new(ReceiverStream::new(outgoing)), path, Raw).await;
        Ok(Self { reports, updates: answer.map_err(FilterLost::new)?.into_inner() })
    }
}

async fn connect(link: &Path) -> Result<Channel, FilterLost> {
    let link = link.to_path_buf();
    let connector = tower::service_fn(move |_| {
        let link = link.clone();
        async move { UnixStream::connect(link).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://sidecar.bench");
    endpoint.connect_with_connector(connector).await.map_err(FilterLost::new)
}

async fn next(watch: &mut Option<Watch>) -> Result<Option<Vec<u8>>, FilterLost> {
    match watch {
        Some(watch) => watch.updates.message().await.map_err(FilterLost::new),
        None => std::future::pending().await,
    }
}

async fn send(watch: Option<&Watch>, message: Vec<u8>) -> Result<(), FilterLost> {
    let watch = watch.ok_or_else(|| FilterLost::new("it reports before there is a stream"))?;
    watch.reports.send(message).await.map_err(FilterLost::new)
}

/// The machine takes the time from its host, which this stands for.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// As in the filter's root context.
const TICK: Duration = Duration::from_millis(100);
/// Reports on their way.
const REPORTS: usize = 64;
