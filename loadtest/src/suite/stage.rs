//! Everything scenarios share: identities, the no-op server, sidecars. It must not measure.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use countersign_tests::envoy::{Envoy, EnvoyBuilder};
use countersign_tests::eventually::eventually;
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::process::Process;
use countersign_tests::sidecar::Sidecar;
use tempfile::TempDir;

use super::chain::{self, Filters};
use super::hops::Hops;
use super::policies::{self, CLIENT, TRUST_DOMAIN};
use super::proof::{Counter, Witness};
use super::scenario::{Approach, Kind};
use super::sidecar::{self, Set};
use super::{Modules, SuiteFailed};
use crate::generator::tls::{ClientPem, Tls};

/// The parts that scenarios share; dropping it ends them.
pub struct Stage {
    directory: TempDir,
    modules: Modules,
    authority: Authority,
    server: Svid,
    hops: Hops,
    noop: Option<Process>,
    sidecars: BTreeMap<Set, Shared>,
}

/// The running parts of one scenario.
pub struct Booted {
    /// The Envoy.
    pub envoy: Envoy,
    /// Counters that prove what the scenario does.
    pub witnesses: Vec<Witness>,
    /// The process id of whom Envoy or its filter asks, if it is ours.
    pub authorizer: Option<u32>,
}

impl Stage {
    /// An empty stage.
    pub fn new(modules: Modules) -> Result<Self, SuiteFailed> {
        // Short, because the path of a Unix socket may have 107 bytes only.
        let directory = tempfile::Builder::new().prefix("bench-").tempdir().map_err(SuiteFailed::Files)?;
        let authority = Authority::new(TRUST_DOMAIN);
        let server = authority.leaf("/server").dns(SERVER_NAME).issue();
        let hops = Hops::new(&authority);
        Ok(Self { directory, modules, authority, server, hops, noop: None, sidecars: BTreeMap::new() })
    }

    /// The generator's side of mTLS.
    pub fn tls(&self) -> Result<Tls, SuiteFailed> {
        let client = self.authority.issue(CLIENT);
        let (roots, chain, key) = (self.authority.bundle_pem(), client.chain_pem(), client.key_pem());
        let pem = ClientPem { roots: roots.as_bytes(), chain: chain.as_bytes(), key: key.as_bytes() };
        Ok(Tls::new(pem, SERVER_NAME)?)
    }

    /// What stands for the hops before the generator.
    pub fn hops(&self) -> &Hops {
        &self.hops
    }

    /// Boots the Envoy of a scenario, and what it asks.
    pub async fn boot(&mut self, kind: &Kind, approach: Approach) -> Result<Booted, SuiteFailed> {
        let booted = match kind {
            Kind::CheckHit(live) => {
                self.checked(Set::of(1).among(*live), approach, sidecar::CHECKED_FROM_CACHE).await?
            }
            Kind::CheckMiss => self.checked(Set::never_cached(), approach, sidecar::CHECKED_BY_POLICY).await?,
            Kind::EmptyWasm => {
                let filters = Filters::Module(existing(&self.modules.empty)?);
                Booted::alone(self.envoy(FILTER, filters, approach, None).await, &[])
            }
            Kind::FilterHit(count) => self.filtered(Set::of(*count), approach).await?,
            Kind::NoFilter => {
                Booted::alone(self.envoy(EXT_AUTHZ, Filters::Other(Vec::new()), approach, None).await, &[])
            }
            Kind::NoopExtAuthz => {
                let (process, socket) = self.noop().await?;
                let envoy = self.envoy(EXT_AUTHZ, Filters::Product, approach, Some(&socket)).await;
                Booted { authorizer: Some(process), ..Booted::alone(envoy, &[CHECK_OK]) }
            }
            Kind::Peer(address) => {
                let filters = Filters::ProductAsking(address.clone());
                Booted::alone(self.envoy(EXT_AUTHZ, filters, approach, None).await, &[CHECK_OK])
            }
            Kind::Rbac(count) => {
                let filters = Filters::Other(vec![policies::rbac(*count)]);
                Booted::alone(self.envoy(EXT_AUTHZ, filters, approach, None).await, &[RBAC_ALLOWED])
            }
        };
        Ok(if approach == Approach::FirstOnConnection { booted.and(CONNECTIONS) } else { booted })
    }

    /// An Envoy that asks our sidecar for each request.
    async fn checked(&mut self, set: Set, approach: Approach, counter: Counter) -> Result<Booted, SuiteFailed> {
        let (sidecar, socket) = self.sidecar(set.asked(approach)).await?;
        let envoy = self.envoy(EXT_AUTHZ, Filters::Product, approach, Some(&socket)).await;
        Ok(Booted::alone(envoy, &[CHECK_OK]).asking(sidecar, counter))
    }

    /// An Envoy with our filter.
    async fn filtered(&mut self, set: Set, approach: Approach) -> Result<Booted, SuiteFailed> {
        existing(&self.modules.product)?;
        let (sidecar, socket) = self.sidecar(set.asked(approach)).await?;
        let envoy = self.envoy(FILTER, Filters::Product, approach, Some(&socket)).await;
        sidecar::leased(&sidecar.harness).await;
        Ok(Booted::alone(envoy, &[sidecar::FILTER_HITS_IN_ENVOY]).asking(sidecar, sidecar::FILTER_HITS))
    }

    async fn envoy(&self, shipped: &str, filters: Filters, approach: Approach, authorizer: Option<&Path>) -> Envoy {
        let nobody = self.directory.path().join("nobody.sock");
        let mut builder = Envoy::shipped(shipped)
            .identity(&self.server)
            .trusting(&[&self.authority])
            .sidecar(authorizer.unwrap_or(&nobody))
            .local_service(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        if shipped == FILTER {
            builder = builder.wasm(&self.modules.product);
        }
        if approach == Approach::ThreeHops {
            builder = builder.appending_to_xfcc();
        }
        change(builder, filters).start().await
    }

    /// The no-op server, which is started when first asked for: its process id and its socket.
    async fn noop(&mut self) -> Result<(u32, PathBuf), SuiteFailed> {
        let socket = self.directory.path().join("noop.sock");
        if let Some(noop) = &self.noop {
            return Ok((noop.id(), socket));
        }
        // A process of its own, as every other authorizer: it must not share the generator's core by design.
        let mut command = Command::new(env::current_exe().map_err(SuiteFailed::Files)?);
        command.arg("noop-ext-authz").arg("--socket").arg(&socket);
        let mut noop = Process::spawn("noop", &mut command, &self.directory.path().join("noop.log"));
        eventually("no-op server", async || {
            noop.must_run();
            UnixStream::connect(&socket).ok()
        })
        .await;
        let process = noop.id();
        self.noop = Some(noop);
        Ok((process, socket))
    }

    /// A sidecar with these policies, started when first asked for, and its socket for Envoy.
    async fn sidecar(&mut self, set: Set) -> Result<(Shared, PathBuf), SuiteFailed> {
        let directory = self.directory.path().join(set.name());
        let socket = sidecar::socket(&directory);
        if let Some(sidecar) = self.sidecars.get(&set) {
            return Ok((sidecar.clone(), socket));
        }
        released(&countersign_tests::sidecar::binary())?;
        fs::create_dir(&directory).map_err(SuiteFailed::Files)?;
        let mut sidecar = sidecar::start(&directory, set, &self.authority).await.map_err(SuiteFailed::Files)?;
        let shared = Shared { process: sidecar.process().id(), harness: Rc::new(sidecar) };
        self.sidecars.insert(set, shared.clone());
        Ok((shared, socket))
    }
}

impl Booted {
    fn alone(envoy: Envoy, counters: &[&'static str]) -> Self {
        Self { envoy, witnesses: counters.iter().map(|name| Witness::Envoy(name)).collect(), authorizer: None }
    }

    fn and(mut self, counter: &'static str) -> Self {
        self.witnesses.push(Witness::Envoy(counter));
        self
    }

    fn asking(mut self, sidecar: Shared, counter: Counter) -> Self {
        self.authorizer = Some(sidecar.process);
        self.witnesses.push(counter.of(sidecar.harness));
        self
    }
}

/// A sidecar that several scenarios may ask.
#[derive(Clone)]
struct Shared {
    process: u32,
    harness: Rc<Sidecar>,
}

/// Whether cargo put it where debug builds are.
pub fn is_debug(binary: &Path) -> bool {
    binary.parent().is_some_and(|directory| directory.ends_with("debug"))
}

/// The harness takes the newest build, which is right for tests; a debug build is several times slower.
fn released(binary: &Path) -> Result<(), SuiteFailed> {
    if is_debug(binary) { Err(SuiteFailed::DebugBuild(binary.display().to_string())) } else { Ok(()) }
}

fn existing(module: &Path) -> Result<PathBuf, SuiteFailed> {
    let missing = || SuiteFailed::NoModule(module.display().to_string());
    module.is_file().then(|| module.to_path_buf()).ok_or_else(missing)
}

#[expect(clippy::panic, reason = "the harness has no other way to refuse, and tells of a missing binary the same way")]
fn change(builder: EnvoyBuilder, filters: Filters) -> EnvoyBuilder {
    builder.change(move |config| {
        if let Err(error) = chain::measure(config, &filters) {
            panic!("{error}");
        }
    })
}

/// The shipped configurations, by the names of their files.
const EXT_AUTHZ: &str = "ext-authz";
const FILTER: &str = "filter";
const SERVER_NAME: &str = "localhost";
const RBAC_ALLOWED: &str = "http.mesh.rbac.allowed";
const CONNECTIONS: &str = "http.mesh.downstream_cx_total";
const CHECK_OK: &str = "http.mesh.ext_authz.countersign.ok";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_build_of_the_sidecar_is_not_measured() {
        assert!(released(Path::new("target/release/countersign")).is_ok());
        assert!(released(Path::new("/usr/bin/countersign")).is_ok());
        let error = released(Path::new("target/debug/countersign")).unwrap_err().to_string();
        assert!(error.contains("target/debug/countersign is a debug build"), "{error}");
    }
}
