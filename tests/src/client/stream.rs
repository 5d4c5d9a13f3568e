//! A response whose body is still coming, and how it ends: by itself, or cut.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::eventually::PATIENCE;

/// An open response. Dropping it resets the stream.
pub struct OpenStream {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
}

/// What came next.
#[derive(Debug)]
pub enum Chunk {
    /// The connection or stream was ended before the body was complete; why, as the HTTP library sees it.
    Cut(hyper::Error),
    /// Bytes.
    Data(Bytes),
    /// The body is complete.
    End,
}

impl OpenStream {
    pub(super) fn new(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body }
    }

    /// The status it began with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers it began with.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Waits for the next chunk, or for the end.
    ///
    /// # Panics
    /// If nothing comes within the patience of a test: a stream that hangs is neither open nor cut.
    pub async fn next(&mut self) -> Chunk {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("a chunk, or the end, of the open stream");
            match frame {
                None => return Chunk::End,
                Some(Err(error)) => return Chunk::Cut(error),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Chunk::Data(data);
                    }
                }
            }
        }
    }

    /// Reads `count` chunks of data: proof that the stream is alive.
    ///
    /// # Panics
    /// If it ends first.
    pub async fn flows(&mut self, count: usize) {
        for _ in 0..count {
            let chunk = self.next().await;
            assert!(matches!(chunk, Chunk::Data(_)), "the stream ended: {chunk:?}");
        }
    }

    /// Reads until the stream is cut, and says how long that took.
    ///
    /// # Panics
    /// If it ends in good order, or still flows after the patience of a test.
    pub async fn until_cut(&mut self) -> Duration {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.next().await {
                Chunk::Cut(_) => return start.elapsed(),
                Chunk::Data(_) => {}
                Chunk::End => panic!("the stream ended in good order; it should have been cut"),
            }
        }
        panic!("the stream still flows after {PATIENCE:?}; it should have been cut")
    }
}
