//! What a TCP connection meets before it is decided, and how it stands then. The decision is that of any request.

use super::Machine;

/// How a connection stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It may pass bytes.
    Allowed,
    /// It was refused or cut; nothing passes, also while Envoy has not closed it yet.
    Refused,
    /// It is to be decided.
    Undecided,
    /// The sidecar was asked.
    Waiting,
}

impl Machine {
    /// A connection was accepted; nothing is known of it before its handshake.
    pub fn accept(&mut self, stream: u32) {
        self.newcomers.arrive(stream);
    }

    /// A connection is decided now; it is not looked at again.
    pub fn begin(&mut self, stream: u32) {
        self.newcomers.take(stream);
    }

    /// How this connection stands now; one that was never accepted is refused.
    pub fn standing(&self, stream: u32) -> Standing {
        if self.streams.is_open(stream) {
            Standing::Allowed
        } else if self.pending.contains_key(&stream) {
            Standing::Waiting
        } else if self.newcomers.contains(stream) {
            Standing::Undecided
        } else {
            Standing::Refused
        }
    }

    /// Some connections that are still undecided, at most `limit`; next time others come first.
    pub fn undecided(&mut self, limit: usize) -> Vec<u32> {
        self.newcomers.next(limit)
    }
}
