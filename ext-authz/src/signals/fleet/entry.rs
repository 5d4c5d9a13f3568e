//! A signal as a message of the stream. The stream gives it its position, so the message has none; what can't be read whole is refused.

use std::fmt::Write;

use authz_core::signal::{Seq, Signal};
use authz_wire::control;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::signals::convert;

/// The message of `signal`.
pub(super) fn to_bytes(signal: &Signal) -> Vec<u8> {
    convert::to_wire(Seq(0), signal).encode_to_vec()
}

/// The signal of a message at `seq`; nothing if it is none, or says something that this version does not know.
pub(super) fn from_bytes(seq: Seq, bytes: &[u8]) -> Option<Signal> {
    let message = control::Signal::decode(bytes).ok()?;
    // A field that is not read could be the one that matters.
    if message.seq != 0 || message.encode_to_vec() != bytes {
        return None;
    }
    convert::from_wire(control::Signal { seq: seq.0, ..message }).ok().map(|(_, signal)| signal)
}

/// The subject of the signal named `id`: each has its own, so that a stream can refuse a second one of that name.
///
/// An ID may hold anything, so it is hashed; that two share a subject would take 2^64 tries, and only refuse one of them.
pub(super) fn subject(prefix: &str, id: &str) -> String {
    let hash = Sha256::digest(id.as_bytes());
    let mut subject = format!("{prefix}.");
    for byte in hash.iter().take(16) {
        // Writing to a string can't fail.
        let _ = write!(subject, "{byte:02x}");
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::fleet::tests::signal;

    #[test]
    fn a_signal_is_read_as_it_was_written_and_nothing_else_is_read() {
        let bytes = to_bytes(&signal("a"));
        assert_eq!(from_bytes(Seq(7), &bytes), Some(signal("a")));
        let newer = [&bytes[..], &[0xfa, 0x3f, 0x01, 0x20]].concat();
        for bytes in [&b""[..], b"\xff\xff", &bytes[..bytes.len() - 1], &newer] {
            assert_eq!(from_bytes(Seq(7), bytes), None, "{bytes:?}");
        }
        let placed = convert::to_wire(Seq(3), &signal("a")).encode_to_vec();
        assert_eq!(from_bytes(Seq(7), &placed), None, "positions are the stream's to give");
    }

    #[test]
    fn each_id_has_a_subject_of_its_own_that_any_server_takes() {
        let subjects = ["a", "b", "", "a b.*>\n", &"x".repeat(128)].map(|id| subject("cs.signals", id));
        for (at, one) in subjects.iter().enumerate() {
            let token = one.strip_prefix("cs.signals.").unwrap();
            assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
            assert!(!subjects[..at].contains(one));
        }
    }
}
