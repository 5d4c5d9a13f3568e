//! A table of which few places are ever used, each filled once and then read without a lock; it knows no policy.

use std::sync::OnceLock;

/// Places by number.
pub(super) struct Lazy<T> {
    chunks: Box<[OnceLock<Chunk<T>>]>,
}

type Chunk<T> = Box<[OnceLock<T>]>;

/// Places that get memory together.
const CHUNK: usize = 32;

impl<T> Lazy<T> {
    /// With room for places 0 to `length` - 1.
    pub fn new(length: usize) -> Self {
        Self { chunks: (0..length.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect() }
    }

    /// What is at a place, put there by `fill` if nothing was; `None` if there is no such place.
    pub fn get(&self, at: usize, fill: impl FnOnce() -> T) -> Option<&T> {
        let chunk = self.chunks.get(at / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        chunk.get(at % CHUNK).map(|place| place.get_or_init(fill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_filled_once_and_only_if_it_is_there() {
        let table = Lazy::new(33);
        assert_eq!((table.get(32, || 1), table.get(32, || 2)), (Some(&1), Some(&1)));
        assert_eq!((table.get(0, || 3), table.get(64, || 4)), (Some(&3), None));
        assert_eq!(Lazy::new(0).get(0, || 1), None);
    }
}
