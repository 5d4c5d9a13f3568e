//! The configuration: one YAML file, read once into valid values, with everything that is wrong said at once. It opens nothing but that file.

use std::{
    fs,
    path::{Path, PathBuf},
};

mod audit;
mod cache;
mod control;
mod degraded;
mod drain;
mod environment;
mod error;
mod federation;
mod forwarding;
mod identity;
mod knob;
mod link;
mod listen;
mod log;
mod nats;
mod policy;
mod reader;
pub(crate) mod scalar;
mod service;
pub(crate) mod shape;
mod signals;
pub(crate) mod tree;
mod workload_api;

pub use audit::AuditConfig;
pub use cache::CacheConfig;
pub use control::ControlConfig;
pub use degraded::DegradedConfig;
pub use drain::DrainConfig;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors};
pub use identity::IdentityConfig;
pub use knob::{Knob, KnobDefault};
pub use link::LinkConfig;
pub use listen::{AdminListener, ListenConfig, MtlsListener, TcpListener, TlsVersion, UnixSocket};
pub use log::{LogConfig, LogFormat};
pub use nats::{NatsConfig, NatsLogin};
pub use policy::PolicyConfig;
pub use service::ServiceConfig;
pub use signals::SignalsConfig;
pub use workload_api::WorkloadApiConfig;

use crate::policy::{PolicyFiles, control::ControlFiles};
use reader::Reader;

/// Everything an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who we are.
    pub service: ServiceConfig,
    /// Whose certificates are believed.
    pub identity: IdentityConfig,
    /// What is allowed.
    pub policy: PolicyConfig,
    /// How much is remembered.
    pub cache: CacheConfig,
    /// Where we are asked.
    pub listen: ListenConfig,
    /// Who may signal what.
    pub control: ControlConfig,
    /// Where revocations are kept.
    pub signals: SignalsConfig,
    /// What happens while revocations can't be known or taken.
    pub degraded: DegradedConfig,
    /// What filters may do.
    pub link: LinkConfig,
    /// Where decisions are accounted for.
    pub audit: AuditConfig,
    /// What we say about ourselves.
    pub log: LogConfig,
    /// How we leave.
    pub drain: DrainConfig,
}

impl Config {
    /// Reads `file`, in the environment of this process.
    ///
    /// # Errors
    /// That it can't be read, or everything that is wrong with it.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse_in(&text, file, &Environment::of_process()),
            Err(error) => Err(ConfigErrors::unreadable(file, &error)),
        }
    }

    /// Reads `text`; relative paths in it are relative to the directory of `file`, which itself is not opened.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        Self::parse_in(text, file, &Environment::default())
    }

    /// As [`Config::parse`], in an environment that may say what `text` leaves to it.
    ///
    /// # Errors
    /// Everything that is wrong with either.
    pub fn parse_in(text: &str, file: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let refuse = |errors| Err(ConfigErrors::new(file, errors));
        let root = match tree::parse(text) {
            Ok(root) => root,
            Err(error) => return refuse(vec![error]),
        };
        let reader = Reader::new(&root, base_of(file), environment);
        shape::check(&root, &reader);
        let config = Self::read(&reader);
        match (config, reader.into_errors()) {
            (Some(config), errors) if errors.is_empty() => Ok(config),
            (_, errors) => refuse(errors),
        }
    }

    fn read(reader: &Reader<'_>) -> Option<Self> {
        // All of them first, so that the errors of all are found.
        let (service, identity, policy) =
            (ServiceConfig::read(reader), IdentityConfig::read(reader), PolicyConfig::read(reader));
        let (cache, listen, signals) =
            (CacheConfig::read(reader), ListenConfig::read(reader), SignalsConfig::read(reader));
        let degraded = DegradedConfig::read(reader);
        let (link, audit, log, drain) =
            (LinkConfig::read(reader), AuditConfig::read(reader), LogConfig::read(reader), DrainConfig::read(reader));
        let control = ControlConfig::read(reader);
        if let (Some(identity), Some(listen)) = (&identity, &listen) {
            check_own_svid(reader, identity, listen);
        }
        Some(Self {
            service: service?,
            identity: identity?,
            policy: policy?,
            cache: cache?,
            listen: listen?,
            control: control?,
            signals: signals?,
            degraded: degraded?,
            link: link?,
            audit: audit?,
            log: log?,
            drain: drain?,
        })
    }

    /// What the policy part loads.
    pub fn policy_files(&self) -> PolicyFiles {
        self.policy.files_for(&self.service)
    }

    /// What the control policy part loads.
    pub fn control_files(&self) -> ControlFiles {
        self.control.files_for(&self.service)
    }
}

/// Every knob there is, in the order of the example file, for the table in the README and for its test.
pub fn knobs() -> impl Iterator<Item = &'static Knob> {
    [
        service::KNOBS,
        identity::KNOBS,
        federation::KNOBS,
        forwarding::KNOBS,
        workload_api::KNOBS,
        policy::KNOBS,
        cache::KNOBS,
        listen::KNOBS,
        control::KNOBS,
        signals::KNOBS,
        nats::KNOBS,
        degraded::KNOBS,
        link::KNOBS,
        audit::KNOBS,
        log::KNOBS,
        drain::KNOBS,
    ]
    .into_iter()
    .flatten()
}

/// A listener with TLS answers nobody as long as nobody gives us an SVID.
fn check_own_svid(reader: &Reader<'_>, identity: &IdentityConfig, listen: &ListenConfig) {
    if identity.has_own_svid_source() {
        return;
    }
    for knob in listen.needing_own_svid() {
        let what = "needs an SVID of this sidecar for mTLS, and nothing gives it one; set identity.svid.certificate and \
                    identity.svid.key, or identity.workload_api.socket (SPIFFE_ENDPOINT_SOCKET)";
        reader.complain(reader.set(knob).map(|node| node.line), knob, what.to_owned());
    }
}

fn base_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(test)]
mod tests;
