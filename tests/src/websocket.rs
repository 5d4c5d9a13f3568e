//! WebSocket (RFC 6455) as far as tests need it: the handshake, and short unfragmented text frames; it negotiates nothing.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The key and what a server answers to it: RFC 6455 §1.3. One pair is enough to see that both ends took part.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// See [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Who sends: a client masks what it sends, a server does not (§5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum From {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Sends one text of less than 126 bytes.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin), from: From, text: &str) -> io::Result<()> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short text");
    let frame = match from {
        From::Client => {
            let masked = text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            [TEXT, MASKED | length].into_iter().chain(MASK).chain(masked).collect::<Vec<u8>>()
        }
        From::Server => [TEXT, length].into_iter().chain(text.bytes()).collect(),
    };
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Waits for one text of the other side; a stream that ends without a frame is an error, a close frame gives nothing.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin), from: From) -> io::Result<Option<String>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let [kind, length] = head;
    let mut mask = [0; 4];
    assert_eq!(length & MASKED != 0, from == From::Client, "clients mask, servers do not");
    if from == From::Client {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; usize::from(length & !MASKED)];
    stream.read_exact(&mut payload).await?;
    let text = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    match kind {
        TEXT => Ok(Some(String::from_utf8(text).expect("text is UTF-8"))),
        CLOSE => Ok(None),
        other => panic!("frames of kind {other:#x} are not sent here"),
    }
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455 §5.7.
    #[tokio::test]
    async fn frames_are_those_of_the_rfc() {
        let masked: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let plain: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        for (from, frame) in [(From::Client, masked), (From::Server, plain)] {
            let mut sent = Vec::new();
            send(&mut sent, from, "Hello").await.unwrap();
            assert_eq!(sent, frame, "{from:?}");
            assert_eq!(receive(&mut &*frame, from).await.unwrap().as_deref(), Some("Hello"), "{from:?}");
        }
        assert!(receive(&mut &plain[..4], From::Server).await.is_err(), "cut");
    }
}
