//! Steps about a sidecar that dies: how long its filter may go on without it, and what it still knows when it is back.

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::demo::chain::Chain;
use crate::demo::hop::LEASE_SECONDS;
use crate::demo::patience::until;
use crate::demo::seen::Seen;
use crate::demo::show::Show;
use crate::demo::visit::Visit;

pub async fn play(chain: &mut Chain, show: &mut Show) {
    chain.orders.sidecar.kill();
    let killed = Instant::now();
    show.step("kill -9 sidecar orders", "allowed from memory", from_memory(chain)).await;
    let expected = format!("denied within {LEASE_SECONDS} s");
    show.step("… until its lease is over", &expected, lease_over(chain, killed)).await;
    show.step("restart sidecar orders", "recovers by itself", recovered(chain)).await;
    show.step("report.pem, revoked before the kill", "still denied", still_revoked(chain)).await;
}

async fn from_memory(chain: &mut Chain) -> Seen {
    let visit = visit(chain).await;
    visit.allowed(2, "; both filters answered").check(visit.is_from_memory(), "both filters should have answered")
}

async fn lease_over(chain: &mut Chain, killed: Instant) -> Seen {
    let denied = until(async || Some(visit(chain).await).filter(|it| it.status() != Some(StatusCode::OK))).await;
    let Some(visit) = denied else {
        return Seen::new(killed.elapsed(), "still allowed").check(false, "it should be denied without a lease");
    };
    let took = visit.at.saturating_duration_since(killed);
    let bound = Duration::from_secs(LEASE_SECONDS) + SCHEDULING;
    let seen = visit
        .denied("orders", "sidecar_unreachable", "")
        .check(took <= bound, format!("the lease is {LEASE_SECONDS} s"));
    Seen { took, ..seen }
}

async fn recovered(chain: &mut Chain) -> Seen {
    let start = Instant::now();
    chain.orders.sidecar.restart().await;
    let allowed = until(async || Some(visit(chain).await).filter(|it| it.status() == Some(StatusCode::OK))).await;
    let Some(visit) = allowed else {
        return Seen::new(start.elapsed(), "still denied").check(false, "it should be allowed again");
    };
    let seen = visit.allowed(2, "; no Envoy was touched");
    Seen { took: visit.at.saturating_duration_since(start), ..seen }
}

async fn still_revoked(chain: &mut Chain) -> Seen {
    let visit = Visit::pay(&mut chain.report, &[&chain.orders], "/orders/1").await;
    visit.denied("orders", "revoked", "; the log has survived")
}

async fn visit(chain: &mut Chain) -> Visit {
    Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await
}

/// A lease ends by the filter's clock; a busy machine may notice a little later.
const SCHEDULING: Duration = Duration::from_millis(500);
