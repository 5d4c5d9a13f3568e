//! One sidecar's log in a fleet, without the sidecar around it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use authz_core::{
    revocation::Mark,
    signal::{Action, Seq, Signal},
    time::Timestamp,
};
use countersign::{
    config::{NatsConfig, NatsLogin},
    metrics::Metrics,
    signals::{Accepted, Entry, FleetState, JoinError, Log, SignalPlane, SubmitError, fleet},
};
use countersign_tests::eventually::{eventually, within};

/// Where the files of a member are; they outlive it.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("signals.redb")
    }

    /// A log of its own with signals of these IDs.
    pub fn with(ids: impl IntoIterator<Item = String>) -> Self {
        let home = Self::new();
        let signals = ids.into_iter().map(|id| signal(&id)).collect();
        let log = Log::open(&home.path()).unwrap();
        log.append_all(signals).unwrap().into_iter().for_each(|result| drop(result.unwrap()));
        home
    }
}

/// A plane that follows, and what it has put in force.
pub struct Member {
    pub plane: Arc<SignalPlane>,
    pub metrics: Arc<Metrics>,
    applied: Arc<Mutex<Vec<Seq>>>,
    _home: Option<Home>,
}

impl Member {
    pub async fn new(config: NatsConfig) -> Self {
        let home = Home::new();
        Self { _home: None, ..Self::at(&home, config).await }.keeping(home)
    }

    pub async fn at(home: &Home, config: NatsConfig) -> Self {
        Self::try_at(home, config).await.unwrap()
    }

    pub async fn try_at(home: &Home, config: NatsConfig) -> Result<Self, JoinError> {
        // One that was just dropped may still hold the file.
        let log = eventually("the log", async || Log::open(&home.path()).ok()).await;
        fleet::join(&log, &config).await?;
        let (applied, metrics) = (Arc::default(), Arc::new(Metrics::new().unwrap()));
        let sink: Arc<Mutex<Vec<Seq>>> = Arc::clone(&applied);
        let apply = move |new: &mut [Entry]| sink.lock().unwrap().extend(new.iter().map(|entry| entry.seq));
        let plane = Arc::new(SignalPlane::follow(log, apply, config, Arc::clone(&metrics))?);
        Ok(Self { plane, metrics, applied, _home: None })
    }

    fn keeping(self, home: Home) -> Self {
        Self { _home: Some(home), ..self }
    }

    /// The positions that were put in force, in that order.
    pub fn applied(&self) -> Vec<Seq> {
        self.applied.lock().unwrap().clone()
    }

    /// What its replica holds.
    pub fn entries(&self) -> Vec<(Seq, Signal)> {
        self.entries_after(Seq(0))
    }

    pub fn entries_after(&self, seq: Seq) -> Vec<(Seq, Signal)> {
        self.plane.log().read_after(seq, usize::MAX).unwrap()
    }

    pub fn state(&self) -> FleetState {
        self.plane.fleet().unwrap().borrow().clone()
    }

    pub async fn reaches(&self, seq: Seq) {
        eventually("the last signal", async || (self.plane.head() >= seq).then_some(())).await;
    }

    pub async fn caught_up(&self) {
        eventually("the end of the stream", async || self.state().caught_up.then_some(())).await;
    }

    /// Waits until the stream is refused; says why.
    pub async fn refuses(&self) -> String {
        eventually("refusal of the stream", async || self.state().refused.map(|it| it.to_string())).await
    }

    /// Sends until it is taken, always under the same ID.
    pub async fn insist(&self, signal: Signal) -> Accepted {
        within(ELECTIONS, "server that takes the signal", async || match self.plane.submit(signal.clone()).await {
            Ok(accepted) => Some(accepted),
            Err(SubmitError::Unavailable { .. }) => None,
            Err(error) => panic!("{error}"),
        })
        .await
    }
}

/// Servers of which one was killed elect leaders anew, and one that came back must catch up first; each try may wait for its
/// whole timeout meanwhile.
const ELECTIONS: Duration = Duration::from_secs(90);

/// Settings for servers with these names.
pub fn config(urls: &[String]) -> NatsConfig {
    NatsConfig {
        servers: urls.iter().map(|url| url.parse().unwrap()).collect(),
        stream: "countersign".to_owned(),
        subject: "countersign.signals".to_owned(),
        replicas: 1,
        login: NatsLogin::None,
        ca_file: None,
        certificate: None,
        allow_plaintext: false,
        check_every: Duration::from_millis(100),
        timeout: Duration::from_secs(10),
        import: false,
    }
}

/// A revocation of what has the same name as the signal.
pub fn signal(id: &str) -> Signal {
    Signal {
        id: id.into(),
        scope: format!("device:{id}").parse().unwrap(),
        action: Action::Revoke(Mark::FOREVER),
        who: "uid:0".into(),
        why: "test".into(),
        source: "".into(),
        at: Timestamp::from_millis(1_800_000_000_000),
        event_at: None,
    }
}
