//! How one signal is stored: its message, chained by hash to all before it. It reads and writes no file.

use authz_core::{
    signal::{Seq, Signal},
    time::Timestamp,
};
use authz_wire::control;
use prost::Message;
use sha2::{Digest, Sha256};

use super::error::{Fault, LogError};
use crate::signals::convert;

/// SHA-256 over everything up to an entry, so that no entry can change, move or vanish unnoticed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Chain([u8; Chain::LENGTH]);

/// A stored entry: chain value, then message.
#[derive(Debug)]
pub(super) struct Record<'b> {
    pub(super) chain: Chain,
    message: &'b [u8],
}

impl Chain {
    /// In bytes.
    pub(super) const LENGTH: usize = 32;
    /// Before the first entry.
    pub(super) const START: Self = Self([0; Self::LENGTH]);

    pub(super) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    fn next(self, message: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(message).finalize().into())
    }
}

impl<'b> Record<'b> {
    /// The chain value and the bytes to store for `signal` at `seq`, following `previous`.
    pub(super) fn seal(previous: Chain, seq: Seq, signal: &Signal) -> (Chain, Vec<u8>) {
        let message = convert::to_wire(seq, signal).encode_to_vec();
        let chain = previous.next(&message);
        (chain, [&chain.0, &*message].concat())
    }

    /// Takes stored bytes apart.
    pub(super) fn split(stored: &'b [u8]) -> Result<Self, Fault> {
        let (chain, message) =
            stored.split_first_chunk().ok_or_else(|| LogError::damaged("a record is shorter than its hash"))?;
        Ok(Self { chain: Chain(*chain), message })
    }

    /// The signal, proven to follow `previous`.
    pub(super) fn open(&self, previous: Chain, seq: Seq) -> Result<Signal, Fault> {
        if previous.next(self.message) != self.chain {
            return Err(LogError::damaged(format!("signal {seq} is not what was written")));
        }
        self.read(seq)
    }

    /// The signal, as it stands.
    pub(super) fn read(&self, seq: Seq) -> Result<Signal, Fault> {
        let message = control::Signal::decode(self.message)
            .map_err(|error| LogError::damaged(format!("signal {seq} can't be decoded: {error}")))?;
        match convert::from_wire(message) {
            Ok((own, signal)) if own == seq => Ok(signal),
            Ok((own, _)) => Err(LogError::damaged(format!("signal {own} stands at {seq}"))),
            Err(error) => Err(LogError::damaged(format!("signal {seq} is invalid: {error}"))),
        }
    }
}

/// What is remembered of a signal that compaction removed, so that sending it again stays without effect.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Trace {
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    content: [u8; 32],
}

impl Trace {
    /// Bytes of a stored one.
    pub(super) const LENGTH: usize = 8 + 8 + 32;

    pub(super) fn of(seq: Seq, signal: &Signal) -> Self {
        let message = convert::to_wire(Seq(0), &Signal { at: Timestamp::from_millis(0), ..signal.clone() });
        Self { seq, at: signal.at, content: Sha256::digest(message.encode_to_vec()).into() }
    }

    /// Whether `signal` is the one that was removed, sent again.
    pub(super) fn is_of(&self, signal: &Signal) -> bool {
        Self::of(self.seq, signal).content == self.content
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&self.seq.0.to_be_bytes()[..], &self.at.as_millis().to_be_bytes(), &self.content].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let damaged = || LogError::damaged("the memory of a removed signal is not what was written");
        let (seq, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (at, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let content = rest.try_into().map_err(|_| damaged())?;
        Ok(Self { seq: Seq(u64::from_be_bytes(*seq)), at: Timestamp::from_millis(u64::from_be_bytes(*at)), content })
    }
}
