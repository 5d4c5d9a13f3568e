//! Several hops of one trust domain whose signals one nats-server orders, each with a way to it that can be cut; it asserts nothing.

use futures_util::future::join_all;
use http::StatusCode;

use crate::client::{ClientError, Protocol};
use crate::control::Control;
use crate::mesh::{Mesh, MeshBuilder, Mode};
use crate::nats::{Nats, Wire};
use crate::pki::{Authority, Svid};

/// A running fleet.
pub struct Fleet {
    /// The trust domain `demo.test`, with an intermediate.
    pub authority: Authority,
    /// Who orders the signals.
    pub nats: Nats,
    /// The sidecars, each with an Envoy and a service.
    pub hops: Vec<Hop>,
}

/// One of them.
pub struct Hop {
    /// Sidecar, Envoy and service.
    pub mesh: Mesh,
    /// The sidecar's way to the nats-server.
    pub wire: Wire,
}

impl Fleet {
    /// Three hops with the filter, each after `adjust`, which gets its number.
    pub async fn start(adjust: impl Fn(usize, MeshBuilder) -> MeshBuilder) -> Self {
        let (authority, nats) = (Authority::new("demo.test").with_intermediate(), Nats::start().await);
        let hops = (0..HOPS).map(async |number| {
            let wire = Wire::to(nats.address()).await;
            let mesh = Mesh::build(Mode::Filter).authority(authority.clone()).signals(&stanza(&nats, &wire));
            Hop { mesh: adjust(number, mesh).start().await, wire }
        });
        let hops = join_all(hops).await;
        Self { authority, nats, hops }
    }
}

impl Fleet {
    /// Waits until `seq` is in force in every sidecar and every filter.
    pub async fn enforced(&self, seq: u64) {
        for hop in &self.hops {
            hop.control().enforced(seq).await;
        }
    }
}

impl Hop {
    /// The control API of its sidecar.
    pub fn control(&self) -> Control {
        Control::at(&self.mesh.control_socket())
    }

    /// Whether its sidecar counts the log as lost.
    pub async fn lost_log(&self) -> bool {
        self.mesh.sidecar.metric("countersign_degraded", &["condition=\"log_lost\""]).await > 0.0
    }

    /// What its Envoy says to a new connection. A request that is reset under way counts as denied: that is how a
    /// revocation ends it.
    pub async fn status(&self, svid: &Svid, path: &str) -> StatusCode {
        match self.mesh.client(svid).get(Protocol::Http1, path).await {
            Ok(reply) => reply.status,
            Err(ClientError::Http(_)) => StatusCode::FORBIDDEN,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The check is frequent, so that tests of a lost log are short.
fn stanza(nats: &Nats, wire: &Wire) -> String {
    let server = nats.url_by(wire.address());
    format!("nats:\n  enabled: true\n  servers: [\"{server}\"]\n  replicas: 1\n  check_every: 200ms\n  timeout: 2s")
}

const HOPS: usize = 3;
