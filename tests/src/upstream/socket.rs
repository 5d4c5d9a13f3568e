//! The service's WebSocket: says a tick every 50 ms, and everything back that it hears.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::split;
use tokio::sync::mpsc;
use tokio::time::interval;

use super::{Counts, OpenStream, TICK};
use crate::websocket::{ACCEPT, From, KEY, receive, send};

/// Agrees, and talks on in a task of its own; refuses another key than the one it knows the answer to.
pub(super) fn upgrade(mut request: Request<Incoming>, counts: Arc<Counts>) -> Response<Full<Bytes>> {
    if request.headers().get(SEC_WEBSOCKET_KEY).is_none_or(|key| key != KEY) {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Full::default()).unwrap();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(talk(upgrade, counts));
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header(UPGRADE, "websocket").header(CONNECTION, "upgrade");
    response.header(SEC_WEBSOCKET_ACCEPT, ACCEPT).body(Full::default()).unwrap()
}

async fn talk(upgrade: OnUpgrade, counts: Arc<Counts>) {
    let _open = OpenStream::new(counts);
    if let Ok(upgraded) = upgrade.await {
        // It ends when the other side does, however that may be.
        let _ = both_ways(upgraded).await;
    }
}

async fn both_ways(upgraded: Upgraded) -> std::io::Result<()> {
    let (mut reader, mut writer) = split(TokioIo::new(upgraded));
    let (tell, mut news) = mpsc::unbounded_channel();
    let listens = async {
        while let Some(text) = receive(&mut reader, From::Client).await? {
            let _ = tell.send(text);
        }
        Ok(())
    };
    let speaks = async {
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                _ = ticks.tick() => send(&mut writer, From::Server, "tick").await?,
                Some(text) = news.recv() => send(&mut writer, From::Server, &text).await?,
            }
        }
    };
    tokio::select! {
        ended = listens => ended,
        ended = speaks => ended,
    }
}
