//! What protects the part of the log that was compacted: position, history and digest of what was kept. Bytes only.

use authz_core::signal::Seq;
use sha2::{Digest, Sha256};

use super::{
    Head,
    error::{Fault, LogError},
    record::Chain,
};

/// Up to where the log was compacted. Of the entries up to here only those that mattered are kept, with their positions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Base {
    /// The last entry before or at the end of the compacted part, kept or not: the next one follows its history.
    pub(super) head: Head,
    /// What is kept.
    pub(super) kept: Kept,
}

/// A set of entries. Two sums are equal only if the sets are: they add up hashes, so that one entry can leave without
/// reading the others.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    /// How many.
    pub(super) count: u64,
    sum: [u64; LANES],
}

impl Base {
    /// Of a log that was never compacted.
    pub(super) const NONE: Self = Self { head: Head::EMPTY, kept: Kept::NOTHING };
    /// Bytes of a stored one.
    pub(super) const LENGTH: usize = 8 + Chain::LENGTH + 8 + 8 * LANES;

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let sum = self.kept.sum.iter().flat_map(|lane| lane.to_be_bytes());
        let seq = self.head.seq.0.to_be_bytes().into_iter();
        seq.chain(*self.head.chain.as_bytes()).chain(self.kept.count.to_be_bytes()).chain(sum).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let damaged = || LogError::damaged("the record of the last compaction is not what was written");
        let (seq, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (chain, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (count, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (lanes, []) = rest.as_chunks() else { return Err(damaged()) };
        let lanes: [[u8; 8]; LANES] = lanes.try_into().map_err(|_| damaged())?;
        Ok(Self {
            head: Head { seq: Seq(u64::from_be_bytes(*seq)), chain: Chain::from_bytes(*chain) },
            kept: Kept { count: u64::from_be_bytes(*count), sum: lanes.map(u64::from_be_bytes) },
        })
    }
}

impl Kept {
    /// No entry.
    pub(super) const NOTHING: Self = Self { count: 0, sum: [0; LANES] };

    /// The entry stored at `seq` alone.
    pub(super) fn one(seq: Seq, stored: &[u8]) -> Self {
        let hash: [u8; 8 * LANES] =
            Sha256::new().chain_update(seq.0.to_be_bytes()).chain_update(stored).finalize().into();
        let (lanes, _) = hash.as_chunks();
        let mut sum = [0; LANES];
        for (lane, bytes) in sum.iter_mut().zip(lanes) {
            *lane = u64::from_be_bytes(*bytes);
        }
        Self { count: 1, sum }
    }

    /// With all of `more`, none of which is in here.
    pub(super) fn plus(self, more: Self) -> Self {
        self.lanes(self.count.wrapping_add(more.count), &more, u64::wrapping_add)
    }

    /// Without `less`, all of which is in here.
    pub(super) fn minus(self, less: Self) -> Self {
        self.lanes(self.count.wrapping_sub(less.count), &less, u64::wrapping_sub)
    }

    fn lanes(mut self, count: u64, other: &Self, operation: fn(u64, u64) -> u64) -> Self {
        for (lane, other) in self.sum.iter_mut().zip(other.sum) {
            *lane = operation(*lane, other);
        }
        Self { count, ..self }
    }
}

const LANES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_same_whatever_the_order_of_coming_and_going() {
        let [a, b, c] = [1, 2, 3].map(|seq| Kept::one(Seq(seq), b"stored"));
        assert_eq!(a.plus(b).plus(c).minus(b), c.plus(a));
        assert_eq!(a.minus(a), Kept::NOTHING);
        assert_ne!(a, b);
        assert_ne!(Kept::one(Seq(1), b"stored"), Kept::one(Seq(1), b"altered"));
    }

    #[test]
    fn a_base_survives_its_bytes_and_nothing_else_is_one() {
        let base = Base {
            head: Head { seq: Seq(7), chain: Chain::START },
            kept: Kept::one(Seq(3), b"a").plus(Kept::one(Seq(5), b"b")),
        };
        let bytes = base.to_bytes();
        assert_eq!((bytes.len(), Base::from_bytes(&bytes).unwrap()), (Base::LENGTH, base));
        assert!((0..bytes.len()).all(|length| Base::from_bytes(&bytes[..length]).is_err()));
        assert!(Base::from_bytes(&[&bytes, &[0][..]].concat()).is_err());
    }
}
