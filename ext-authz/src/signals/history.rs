//! What a log says of its own past, so that two logs can be told apart; it reads nothing.

use authz_core::signal::Seq;

/// Stands for everything a log holds up to a position: equal in two logs only if all of it is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint([u8; 32]);

/// The past of a log.
pub trait History {
    /// The last position.
    fn head(&self) -> Seq;

    /// The fingerprint at `seq`; `None` if the log has not come so far, or no longer knows.
    fn fingerprint(&self, seq: Seq) -> Option<Fingerprint>;
}

impl Fingerprint {
    /// Of a log without entries.
    pub const EMPTY: Self = Self([0; 32]);

    /// From 32 bytes of a good hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
