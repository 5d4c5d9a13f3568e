//! Steps about what was allowed and is taken back, by signal or by policy: requests, memories, an open stream.

use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Chunk, Connection, OpenStream, Protocol};
use crate::demo::chain::{APP, Chain, WEB};
use crate::demo::command::Ran;
use crate::demo::patience::{PATIENCE, until};
use crate::demo::policies;
use crate::demo::seen::Seen;
use crate::demo::show::Show;
use crate::demo::visit::{Note, Visit};

pub async fn play(chain: &mut Chain, show: &mut Show) {
    leaked_key(chain, show).await;
    let step = show.step("restore …/app, GET /orders/1", "allowed again", restored(chain));
    step.await;
    show.step("revoke …/web at orders only", "the hop itself denied", hop_revoked(chain)).await;
    show.step("policy edit at orders, and back", "denied, then allowed", policy_edit(chain)).await;
    let step = show.step("revoke --cert report.pem at orders", "certificate denied", certificate_revoked(chain));
    step.await;
}

/// A stream is open, its caller is revoked: the stream ends, the next request is denied.
async fn leaked_key(chain: &mut Chain, show: &mut Show) {
    let mut opened = None;
    let step = async {
        let (seen, stream) = open_stream(chain).await;
        opened = stream;
        seen
    };
    show.step("app: GET /stream, kept open", "flows", step).await;
    let reader = opened.map(|stream| tokio::spawn(stream.read_to_its_end()));
    let start = Instant::now();
    let ran = chain.web.countersign(&["revoke", APP, "--why", "demo: key leaked", "--wait"]).await;
    show.step("countersign revoke …/app --wait", "in force everywhere", async { in_force(&ran) }).await;
    ran.said.lines().for_each(|line| show.aside(&format!("              │ {line}")));
    show.step("the open stream", "cut", cut(chain, reader, start)).await;
    let step = async {
        let visit = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await;
        visit.denied("web", "revoked", ", although remembered as allowed")
    };
    show.step("app: GET /orders/1", "denied", step).await;
}

/// A response that is still coming, and the connection it comes by.
struct Stream {
    _connection: Connection,
    response: OpenStream,
    chunks: usize,
}

/// How a stream ended.
struct End {
    at: Instant,
    was_cut: bool,
    chunks: usize,
}

impl Stream {
    async fn read_to_its_end(mut self) -> End {
        loop {
            let was_cut = match self.response.next().await {
                Chunk::Data(_) => {
                    self.chunks += 1;
                    continue;
                }
                Chunk::Cut(_) => true,
                Chunk::End => false,
            };
            return End { at: Instant::now(), was_cut, chunks: self.chunks };
        }
    }
}

async fn open_stream(chain: &Chain) -> (Seen, Option<Stream>) {
    let start = Instant::now();
    let opening = async {
        let mut connection = chain.app.client().connect(Protocol::Http2).await?;
        let response = connection.stream("/stream").await?;
        Ok::<_, crate::client::ClientError>((connection, response))
    };
    let (connection, mut response) = match timeout(PATIENCE, opening).await {
        Ok(Ok(opened)) => opened,
        failed => return (Seen::new(start.elapsed(), "no answer").check(false, failure(failed)), None),
    };
    let took = start.elapsed();
    let mut chunks = 0;
    while chunks < CHUNKS && matches!(response.next().await, Chunk::Data(_)) {
        chunks += 1;
    }
    let (status, open) = (response.status(), chain.service.open_streams());
    let seen = Seen::new(took, format!("{}; {chunks} chunks have come through both hops", status.as_u16()))
        .check(status == StatusCode::OK && chunks == CHUNKS, "it should be open")
        .check(open == 1, format!("the service is sending {open} streams"));
    (seen, Some(Stream { _connection: connection, response, chunks }))
}

fn failure<T>(failed: Result<Result<T, crate::client::ClientError>, tokio::time::error::Elapsed>) -> String {
    match failed {
        Ok(Ok(_)) => String::new(),
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    }
}

fn in_force(ran: &Ran) -> Seen {
    Seen::new(ran.took, "the command itself says:").check(ran.succeeded, "the command did not succeed")
}

async fn cut(chain: &Chain, reader: Option<JoinHandle<End>>, start: Instant) -> Seen {
    let end = match reader {
        Some(reader) => timeout(PATIENCE, reader).await.ok().and_then(Result::ok),
        None => None,
    };
    let Some(End { at, was_cut, chunks }) = end else {
        return Seen::new(Duration::ZERO, "it still flows, or never did").check(false, "it should have been cut");
    };
    let freed = until(async || (chain.service.open_streams() == 0).then_some(())).await;
    let noted = Note::of(&chain.web, 0, "/stream").await.map_or_else(String::new, |note| note.reason);
    let text = format!("cut after {chunks} chunks; time from the command's start");
    Seen::new(at.saturating_duration_since(start), text)
        .check(was_cut, "it ended in good order; it should have been cut")
        .check(freed.is_some(), "the service still sends")
        .check(noted == "revoked", format!("web's access log gives the reason {noted:?}"))
}

async fn restored(chain: &mut Chain) -> Seen {
    let start = Instant::now();
    let ran = chain.web.countersign(&["restore", APP, "--why", "demo: key replaced", "--wait"]).await;
    let visit = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await;
    let took = visit.at.saturating_duration_since(start);
    let seen = visit.allowed(2, "").check(ran.succeeded, ran.said);
    Seen { took, ..seen }
}

async fn hop_revoked(chain: &mut Chain) -> Seen {
    let revoked = chain.orders.countersign(&["revoke", WEB, "--why", "demo: web is compromised", "--wait"]).await;
    let visit = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await;
    let restored = chain.orders.countersign(&["restore", WEB, "--why", "demo", "--wait"]).await;
    let after = Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await;
    let allowed_by_web = visit.notes.first().is_some_and(|note| note.hop == "web" && note.verdict == "allow");
    visit
        .denied("orders", "revoked", &format!("; web had allowed it; restored: {}", after.words()))
        .check(allowed_by_web, "web itself should have allowed it")
        .check(revoked.succeeded, revoked.said)
        .check(restored.succeeded, restored.said)
        .check(after.status() == Some(StatusCode::OK), "restored, it should be allowed again")
}

async fn policy_edit(chain: &mut Chain) -> Seen {
    let start = Instant::now();
    chain.orders.set_policies(&[policies::ORDERS, policies::STOCKTAKING].concat());
    let Some(visit) = until(async || Some(visit(chain).await).filter(|it| it.denial().is_some())).await else {
        return Seen::new(start.elapsed(), "nothing changed").check(false, "orders should deny");
    };
    let id = visit.denial().map(|note| note.decision_id.clone()).unwrap_or_default();
    let policies = chain.orders.audited(&id).await.unwrap_or_default()["policies"].to_string();
    chain.orders.set_policies(policies::ORDERS);
    let back = until(async || Some(visit_status(chain).await).filter(|it| *it == Some(StatusCode::OK))).await;
    let after = back.flatten().map_or("still denied".to_owned(), |status| status.as_u16().to_string());
    let seen = visit
        .denied("orders", "forbid", &format!(" (closed-for-stocktaking); edited back: {after}"))
        .check(policies == r#"["closed-for-stocktaking"]"#, format!("the audit trail names the policies {policies}"))
        .check(back.is_some(), "edited back, it should be allowed again");
    Seen { took: visit.at.saturating_duration_since(start), ..seen }
}

async fn visit(chain: &mut Chain) -> Visit {
    Visit::pay(&mut chain.app, &[&chain.web, &chain.orders], "/orders/1").await
}

async fn visit_status(chain: &mut Chain) -> Option<StatusCode> {
    visit(chain).await.status()
}

async fn certificate_revoked(chain: &mut Chain) -> Seen {
    let before = Visit::pay(&mut chain.report, &[&chain.orders], "/orders/1").await;
    let file = chain.dir.join("report.pem").display().to_string();
    let ran = chain.orders.countersign(&["revoke", "--cert", &file, "--why", "demo: laptop lost", "--wait"]).await;
    let visit = Visit::pay(&mut chain.report, &[&chain.orders], "/orders/1").await;
    visit
        .denied("orders", "revoked", &format!("; before: {}", before.words()))
        .check(before.status() == Some(StatusCode::OK), "before, it should have been allowed")
        .check(ran.succeeded, ran.said)
}

const CHUNKS: usize = 5;
