//! Everything scenarios share: identities, the no-op server, sidecars. It must not measure.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use countersign_tests::envoy::{Envoy, EnvoyBuilder};
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::process::Process;
use countersign_tests::sidecar::Sidecar;
use tempfile::TempDir;

use super::chain::{self, Filters};
use super::policies::{self, CLIENT, TRUST_DOMAIN};
use super::proof::{Counter, Witness};
use super::scenario::Kind;
use super::sidecar::{self, Set};
use super::{Modules, SuiteFailed};
use crate::generator::tls::{ClientPem, Tls};

/// The parts that scenarios share; dropping it ends them.
pub struct Stage {
    directory: TempDir,
    modules: Modules,
    authority: Authority,
    server: Svid,
    noop: Option<Process>,
    sidecars: BTreeMap<Set, Rc<Sidecar>>,
}

impl Stage {
    /// An empty stage.
    pub fn new(modules: Modules) -> Result<Self, SuiteFailed> {
        // Short, because the path of a Unix socket may have 107 bytes only.
        let directory = tempfile::Builder::new().prefix("bench-").tempdir().map_err(SuiteFailed::Files)?;
        let authority = Authority::new(TRUST_DOMAIN);
        let server = authority.leaf("/server").dns(SERVER_NAME).issue();
        Ok(Self { directory, modules, authority, server, noop: None, sidecars: BTreeMap::new() })
    }

    /// The generator's side of mTLS.
    pub fn tls(&self) -> Result<Tls, SuiteFailed> {
        let client = self.authority.issue(CLIENT);
        let (roots, chain, key) = (self.authority.bundle_pem(), client.chain_pem(), client.key_pem());
        let pem = ClientPem { roots: roots.as_bytes(), chain: chain.as_bytes(), key: key.as_bytes() };
        Ok(Tls::new(pem, SERVER_NAME)?)
    }

    /// Boots the Envoy of a scenario, and what it asks; returns it with the counters that prove what it does.
    pub async fn boot(&mut self, kind: &Kind) -> Result<(Envoy, Vec<Witness>), SuiteFailed> {
        Ok(match kind {
            Kind::NoFilter => (self.envoy(EXT_AUTHZ, Filters::Other(Vec::new()), None).await, Vec::new()),
            Kind::Rbac(count) => {
                let filters = Filters::Other(vec![policies::rbac(*count)]);
                (self.envoy(EXT_AUTHZ, filters, None).await, vec![Witness::Envoy(RBAC_ALLOWED)])
            }
            Kind::EmptyWasm => {
                let filters = Filters::Module(existing(&self.modules.empty)?);
                (self.envoy(FILTER, filters, None).await, Vec::new())
            }
            Kind::NoopExtAuthz => {
                let socket = self.noop()?;
                let envoy = self.envoy(EXT_AUTHZ, Filters::Product, Some(&socket)).await;
                (envoy, vec![Witness::Envoy(CHECK_OK)])
            }
            Kind::Peer(address) => {
                let filters = Filters::ProductAsking(address.clone());
                (self.envoy(EXT_AUTHZ, filters, None).await, vec![Witness::Envoy(CHECK_OK)])
            }
            Kind::CheckHit => self.checked(Set::of(1), sidecar::CHECKED_FROM_CACHE).await?,
            Kind::CheckMiss => self.checked(Set::never_cached(), sidecar::CHECKED_BY_POLICY).await?,
            Kind::FilterHit(count) => self.filtered(Set::of(*count)).await?,
        })
    }

    /// An Envoy that asks our sidecar for each request.
    async fn checked(&mut self, set: Set, witness: Counter) -> Result<(Envoy, Vec<Witness>), SuiteFailed> {
        let (sidecar, socket) = self.sidecar(set).await?;
        let envoy = self.envoy(EXT_AUTHZ, Filters::Product, Some(&socket)).await;
        Ok((envoy, vec![Witness::Envoy(CHECK_OK), witness.of(sidecar)]))
    }

    /// An Envoy with our filter.
    async fn filtered(&mut self, set: Set) -> Result<(Envoy, Vec<Witness>), SuiteFailed> {
        existing(&self.modules.product)?;
        let (sidecar, socket) = self.sidecar(set).await?;
        let envoy = self.envoy(FILTER, Filters::Product, Some(&socket)).await;
        sidecar::leased(&sidecar).await;
        Ok((envoy, vec![Witness::Envoy(sidecar::FILTER_HITS_IN_ENVOY), sidecar::FILTER_HITS.of(sidecar)]))
    }

    async fn envoy(&self, shipped: &str, filters: Filters, authorizer: Option<&Path>) -> Envoy {
        let nobody = self.directory.path().join("nobody.sock");
        let mut builder = Envoy::shipped(shipped)
            .identity(&self.server)
            .trusting(&[&self.authority])
            .sidecar(authorizer.unwrap_or(&nobody))
            .local_service(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        if shipped == FILTER {
            builder = builder.wasm(&self.modules.product);
        }
        change(builder, filters).start().await
    }

    /// The socket of the no-op server, which is started when first asked for.
    fn noop(&mut self) -> Result<PathBuf, SuiteFailed> {
        let socket = self.directory.path().join("noop.sock");
        if self.noop.is_none() {
            // A process of its own, as every other authorizer: it must not share the generator's core by design.
            let mut command = Command::new(env::current_exe().map_err(SuiteFailed::Files)?);
            command.arg("noop-ext-authz").arg("--socket").arg(&socket);
            self.noop = Some(Process::spawn("noop", &mut command, &self.directory.path().join("noop.log")));
        }
        Ok(socket)
    }

    /// A sidecar with these policies, started when first asked for, and its socket for Envoy.
    async fn sidecar(&mut self, set: Set) -> Result<(Rc<Sidecar>, PathBuf), SuiteFailed> {
        let directory = self.directory.path().join(set.name());
        let socket = sidecar::socket(&directory);
        if let Some(sidecar) = self.sidecars.get(&set) {
            return Ok((Rc::clone(sidecar), socket));
        }
        fs::create_dir(&directory).map_err(SuiteFailed::Files)?;
        let sidecar = Rc::new(sidecar::start(&directory, set, &self.authority).await.map_err(SuiteFailed::Files)?);
        self.sidecars.insert(set, Rc::clone(&sidecar));
        Ok((sidecar, socket))
    }
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
const CHECK_OK: &str = "http.mesh.ext_authz.countersign.ok";
