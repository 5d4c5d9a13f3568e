//! Bodies that end when the peer may not go on: a revoked client gets nothing more and is not heard, however long its stream was to live.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

use super::{door::Speaks, gatekeeper::Refused, peer::Peer};
use crate::clock;

/// One direction of an exchange.
pub(super) struct Guarded<B> {
    inner: B,
    peer: Arc<Peer>,
    direction: Direction,
    gone: Option<Pin<Box<dyn Future<Output = Refused> + Send>>>,
    over: bool,
}

/// Which, and with it how the end is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// What we say: gRPC has trailers for the end of it.
    Answer(Speaks),
    /// What we are told: whoever reads it hears an error.
    Request,
}

impl<B> Guarded<B> {
    pub(super) fn new(inner: B, peer: Arc<Peer>, direction: Direction) -> Self {
        Self { inner, peer, direction, gone: None, over: false }
    }

    fn end(&mut self, refused: &Refused) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.over = true;
        let status = status(refused);
        if self.direction == Direction::Answer(Speaks::Grpc) {
            let mut trailers = HeaderMap::new();
            if status.add_header(&mut trailers).is_ok() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
        Poll::Ready(Some(Err(axum::Error::new(status))))
    }
}

impl<B> HttpBody for Guarded<B>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        // Asked each time: a stream that always has something to say is never found waiting.
        if let Err(refused) = this.peer.check(clock::now()) {
            return this.end(&refused);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let peer = &this.peer;
        let gone = this.gone.get_or_insert_with(|| Box::pin(Arc::clone(peer).gone()));
        let refused = ready!(gone.as_mut().poll(cx));
        this.end(&refused)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The whole answer to a request of somebody who may not ask (any more).
pub(super) fn refuse(refused: &Refused, speaks: Speaks) -> Response {
    let status = status(refused);
    match speaks {
        Speaks::Grpc => status.into_http::<Body>(),
        Speaks::Http => (StatusCode::FORBIDDEN, format!("{}\n", status.message())).into_response(),
    }
}

/// What the client is told: enough to know what to do, not which rule it was.
fn status(refused: &Refused) -> Status {
    match refused {
        Refused::NotAllowed | Refused::Revoked => Status::permission_denied("this workload may not use this listener"),
        Refused::NotReady => Status::unavailable("not ready, ask again"),
        Refused::Untrusted(_) => {
            Status::unauthenticated("the certificate of this connection is not valid any more, connect again")
        }
    }
}
