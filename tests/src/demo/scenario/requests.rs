//! Steps about single requests: allowed, remembered, denied by policy, refused without a certificate.

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::client::Reply;
use crate::demo::chain::{Chain, WEB};
use crate::demo::seen::{Seen, human};
use crate::demo::show::Show;
use crate::demo::visit::Visit;
use crate::upstream::echoed_header;

pub async fn play(chain: &mut Chain, show: &mut Show) {
    let first = show.step("app: GET /orders/1", "allowed", allowed(chain)).await;
    show.step("the same, 200 times more", "answered from memory", remembered(chain, first)).await;
    show.step("app: GET /admin/users", "denied by policy", denied_by_policy(chain)).await;
    show.step("GET /orders/1, no certificate", "refused", without_certificate(chain)).await;
}

async fn allowed(chain: &mut Chain) -> Seen {
    let before = decisions(chain).await;
    let visit = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await;
    let after = decisions(chain).await;
    let told = visit.reply.as_ref().map(caller_told).unwrap_or_default();
    let seen = visit.allowed(2, "; both sidecars decided; the service is told: caller …/web");
    seen.check(after == before.map(|count| count + 1), format!("decisions went from {before:?} to {after:?}"))
        .check(told == [WEB], format!("the service was told that the caller is {told:?}"))
}

async fn remembered(chain: &mut Chain, first: Duration) -> Seen {
    let (before, served) = (decisions(chain).await, chain.service.requests());
    let mut times = Vec::new();
    let mut others = 0;
    for _ in 0..REPEATS {
        match chain.app.get("/orders/1").await {
            Ok((reply, took)) if reply.status == StatusCode::OK => times.push(took),
            _ => others += 1,
        }
    }
    let (after, served) = (decisions(chain).await, chain.service.requests() - served);
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let text = format!("200; median; the first took {}; no sidecar was asked", human(first));
    Seen::new(median, text)
        .check(others == 0, format!("{others} of {REPEATS} were not answered with 200"))
        .check(after == before, format!("decisions of the sidecars went from {before:?} to {after:?}"))
        .check(served == REPEATS, format!("the service saw {served} requests of {REPEATS}"))
        .check(median < first, "memory should be faster than a decision")
}

async fn denied_by_policy(chain: &mut Chain) -> Seen {
    let visit = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/admin/users").await;
    let id = visit.denial().map(|note| note.decision_id.clone()).unwrap_or_default();
    let line = chain.web.audited(&id).await.unwrap_or_default();
    let policies = line["policies"].to_string();
    let told = visit.reply.as_ref().map(|reply| String::from_utf8_lossy(&reply.body).into_owned()).unwrap_or_default();
    visit
        .denied("web", "forbid", " (nobody-administers); the client is told an ID only")
        .check(visit.status() == Some(StatusCode::FORBIDDEN), "the status should be 403")
        .check(policies == r#"["nobody-administers"]"#, format!("the audit trail names the policies {policies}"))
        .check(told.contains(&id) && !told.contains("forbid"), format!("the client reads {told}"))
}

async fn without_certificate(chain: &mut Chain) -> Seen {
    let refused_before = refused_handshakes(chain).await;
    let (decided, start) = (decisions(chain).await, Instant::now());
    let answer = chain.nobody.get("/orders/1").await;
    let took = start.elapsed();
    let (answered, decided_after) = (answer.is_ok(), decisions(chain).await);
    let refused = refused_handshakes(chain).await - refused_before;
    Seen::new(took, "no HTTP: Envoy refuses the TLS handshake")
        .check(!answered, format!("it was answered: {answer:?}"))
        .check(refused == 1, format!("Envoy counts {refused} handshakes without a certificate"))
        .check(decided_after == decided, "a sidecar was asked")
}

async fn refused_handshakes(chain: &Chain) -> u64 {
    chain.web.envoy.stats_matching("ssl.fail_verify_no_cert$").await.iter().map(|(_, count)| count).sum()
}

async fn decisions(chain: &Chain) -> [u64; 2] {
    [chain.web.decisions().await, chain.orders.decisions().await]
}

fn caller_told(reply: &Reply) -> Vec<String> {
    serde_json::from_slice(&reply.body).map(|echo| echoed_header(&echo, "x-countersign-caller")).unwrap_or_default()
}

const REPEATS: u64 = 200;
