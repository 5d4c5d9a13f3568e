//! One hop, caller to service, with an authorizer that answers what the test says.

use countersign_tests::authorizer::{Authorizer, status};
use countersign_tests::client::Client;
use countersign_tests::envoy::{Envoy, EnvoyBuilder};
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::upstream::Upstream;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;

pub struct Hop {
    pub authority: Authority,
    pub caller: Svid,
    pub authorizer: Authorizer,
    pub upstream: Upstream,
    pub envoy: Envoy,
}

impl Hop {
    pub async fn start() -> Self {
        Self::start_with(|envoy| envoy).await
    }

    pub async fn start_with(change: impl FnOnce(EnvoyBuilder) -> EnvoyBuilder) -> Self {
        let authority = Authority::new("demo.test").with_intermediate();
        let authorizer = Authorizer::start(status(0));
        let upstream = Upstream::start().await;
        let envoy = Envoy::shipped("ext-authz")
            .identity(&authority.issue("/envoy"))
            .trusting(&[&authority])
            .sidecar(&authorizer.socket())
            .local_service(upstream.address());
        let envoy = change(envoy).start().await;
        Self { caller: authority.issue("/caller"), authority, authorizer, upstream, envoy }
    }

    pub fn client(&self) -> Client {
        self.client_as(&self.caller)
    }

    pub fn client_as(&self, identity: &Svid) -> Client {
        Client::new(self.envoy.address(), &self.authority).identity(identity)
    }

    pub fn last_check(&self) -> CheckRequest {
        self.authorizer.checks().pop().expect("Envoy asked the authorizer")
    }
}
