//! Plain HTTP to an administrative door (Unix socket or TCP), one request per connection; not for the traffic under test.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where an admin or control API listens.
#[derive(Clone, Debug)]
pub enum Door {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Door {
    /// `GET path`.
    pub async fn get(&self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        self.send(request("GET", path, Bytes::new())).await
    }

    /// `POST path` with a JSON body (empty: none).
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> io::Result<(StatusCode, Bytes)> {
        self.send(request("POST", path, body.into())).await
    }

    /// Any request; the caller sets what it needs.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)> {
        match self {
            Self::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
            Self::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
        }
    }
}

fn request(method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap()
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    let answer = answer.await.map_err(|error: hyper::Error| io::Error::other(error));
    driver.abort();
    answer
}
