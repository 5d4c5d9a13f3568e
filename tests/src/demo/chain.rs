//! The two hops in a row and everybody who calls: app → Envoy web → mTLS → Envoy orders → service; it plays nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use http::Method;

use super::caller::Caller;
use super::hop::{Hop, HopSidecar};
use super::policies;
use super::seen::human;
use super::show::Show;
use crate::client::Client;
use crate::pki::Authority;
use crate::sidecar::binary;
use crate::upstream::Upstream;

/// Everything that runs. Dropping it kills all of it.
pub struct Chain {
    /// The first hop.
    pub web: Hop,
    /// The second hop; its caller is `web`.
    pub orders: Hop,
    /// The service behind `orders`.
    pub service: Upstream,
    /// Calls `web`.
    pub app: Caller,
    /// Calls `orders` directly.
    pub report: Caller,
    /// Calls `web` without a certificate.
    pub nobody: Caller,
    /// Where all files are.
    pub dir: PathBuf,
}

/// Who calls `web`.
pub const APP: &str = "spiffe://demo.test/ns/shop/sa/app";
/// The first Envoy.
pub const WEB: &str = "spiffe://demo.test/ns/shop/sa/web";

impl Chain {
    /// Boots it all and sends one request through, saying what is being done.
    pub async fn boot(dir: &Path, show: &Show) -> Self {
        let start = Instant::now();
        show.title("Countersign: two hops, each with a real Envoy, its filter and a sidecar");
        show.line("  app → Envoy web → mTLS → Envoy orders → service; trust domain demo.test with an intermediate");
        show.line(&format!("  all files in {}", dir.display()));
        show.progress("  booting: certificates");
        let authority = Authority::new("demo.test").with_intermediate();
        fs::write(dir.join("ca.pem"), authority.bundle_pem()).unwrap();
        let [app, report] = ["app", "report"].map(|name| authority.issue(&format!("/ns/shop/sa/{name}")));
        app.write(dir, "app");
        report.write(dir, "report");
        symlink(binary(), dir.join("countersign")).unwrap();
        show.progress(", service");
        let service = Upstream::start().await;
        show.progress(", sidecars");
        let (web, orders) = tokio::join!(
            HopSidecar::start(dir, "web", policies::WEB),
            HopSidecar::start(dir, "orders", policies::ORDERS)
        );
        show.progress(", Envoy orders");
        let orders = orders.with_envoy(&authority, |envoy| envoy.local_service(service.address())).await;
        show.progress(", Envoy web");
        let web = web.with_envoy(&authority, |envoy| envoy.next_hop(orders.address(), orders_id())).await;
        let to_web = Client::new(web.address(), &authority);
        let mut chain = Self {
            app: Caller::new(to_web.clone().identity(&app)),
            report: Caller::new(Client::new(orders.address(), &authority).identity(&report)),
            nobody: Caller::new(to_web),
            web,
            orders,
            service,
            dir: dir.to_path_buf(),
        };
        chain.connect().await;
        show.progress(&format!(": up in {}\n", human(start.elapsed())));
        chain
    }

    /// One request, so that the first that is timed needs no handshake. Its method is no other request's.
    async fn connect(&mut self) {
        let answered = self.app.send(Method::OPTIONS, "/").await;
        assert!(matches!(&answered, Ok((reply, _)) if reply.status.is_success()), "the chain is up, but: {answered:?}");
    }
}

fn orders_id() -> &'static str {
    "spiffe://demo.test/ns/shop/sa/orders"
}
