//! A sidecar and its log, without any Envoy. It must not measure.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use countersign_tests::nats::Nats;
use countersign_tests::pki::Authority;
use countersign_tests::sidecar::Sidecar;
use serde::Serialize;
use tempfile::TempDir;

use crate::process::{processor_time, resident_bytes};
use crate::suite::policies::TRUST_DOMAIN;
use crate::suite::sidecar::{self, Set};
use crate::suite::stage::is_debug;

/// Who orders the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// The sidecar itself.
    Embedded,
    /// A stream on one nats-server on this machine.
    Nats,
}

/// A running sidecar.
pub struct Stage {
    log: Log,
    live: u32,
    process: u32,
    ready_after: Duration,
    link: PathBuf,
    control: PathBuf,
    _sidecar: Sidecar,
    _nats: Option<Nats>,
    _directory: TempDir,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum StageFailed {
    /// The sidecar is not what is shipped.
    #[error("the sidecar {0} is a debug build; run `make bench`, or set COUNTERSIGN_BIN to a release build")]
    DebugBuild(String),
    /// A temporary file.
    #[error("cannot prepare the sidecar's files: {0}")]
    Files(#[from] io::Error),
}

impl Log {
    /// The name in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Nats => "nats",
        }
    }
}

impl Stage {
    /// Starts a sidecar with a log of this kind in which so many revocations are in force.
    pub async fn boot(log: Log, live: u32) -> Result<Self, StageFailed> {
        let binary = countersign_tests::sidecar::binary();
        if is_debug(&binary) && !cfg!(test) {
            return Err(StageFailed::DebugBuild(binary.display().to_string()));
        }
        // Short, because the path of a Unix socket may have 107 bytes only.
        let directory = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let authority = Authority::new(TRUST_DOMAIN);
        let nats = match log {
            Log::Embedded => None,
            Log::Nats => Some(Nats::start().await),
        };
        let signals = nats.as_ref().map_or_else(String::new, |nats| {
            format!(", nats: {{ enabled: true, servers: [\"{}\"], replicas: 1 }}", nats.url())
        });
        sidecar::prepare(directory.path(), Set::of(1).among(live), &authority, &signals)?;
        let began = Instant::now();
        let mut sidecar = sidecar::run(directory.path()).await;
        Ok(Self {
            log,
            live,
            ready_after: began.elapsed(),
            process: sidecar.process().id(),
            link: sidecar::socket(directory.path()),
            control: sidecar::control(directory.path()),
            _sidecar: sidecar,
            _nats: nats,
            _directory: directory,
        })
    }

    /// Who orders its signals.
    pub fn log(&self) -> Log {
        self.log
    }

    /// How many revocations were in force at its start.
    pub fn live(&self) -> u32 {
        self.live
    }

    /// How long it took to be ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The memory it has now.
    #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
    pub fn resident_mib(&self) -> f64 {
        resident_bytes(self.process) as f64 / f64::from(1 << 20)
    }

    /// Where filters connect.
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Where signals are sent to.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// The processor time it has used.
    pub fn cpu(&self) -> Duration {
        processor_time(self.process)
    }
}
