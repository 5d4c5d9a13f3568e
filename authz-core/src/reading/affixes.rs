//! Many prefixes, or suffixes, tested at once: which of them a text has follows from the longest that it has.

use std::cmp::Ordering;

/// A sorted list of texts that others may begin with, or end with.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Affixes {
    entries: Box<[Entry]>,
    from_the_end: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Entry {
    /// In the order of reading: reversed for a suffix.
    bytes: Box<[u8]>,
    /// The place of the longest other one that this begins with, plus one.
    parent: u32,
}

impl Affixes {
    /// What texts may begin with.
    pub(super) fn prefixes<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self::new(texts.map(|text| text.as_bytes().into()).collect(), false)
    }

    /// What texts may end with.
    pub(super) fn suffixes<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self::new(texts.map(|text| text.bytes().rev().collect()).collect(), true)
    }

    fn new(mut texts: Vec<Box<[u8]>>, from_the_end: bool) -> Self {
        texts.sort_unstable();
        texts.dedup();
        let mut entries: Vec<Entry> = Vec::with_capacity(texts.len());
        for bytes in texts {
            let parent = climb(&entries, place(entries.len()), |entry| bytes.starts_with(&entry.bytes));
            entries.push(Entry { bytes, parent });
        }
        Self { entries: entries.into(), from_the_end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of the longest that `text` has, plus one; 0 if it has none.
    pub(super) fn longest(&self, text: &str) -> u32 {
        // Whatever `text` begins with is not behind it in the order, and everything between the two begins with it as well.
        let before = self.entries.partition_point(|entry| self.compare(entry, text) != Ordering::Greater);
        climb(&self.entries, place(before), |entry| self.has(text, entry))
    }

    fn compare(&self, entry: &Entry, text: &str) -> Ordering {
        if self.from_the_end {
            entry.bytes.iter().copied().cmp(text.bytes().rev())
        } else {
            (*entry.bytes).cmp(text.as_bytes())
        }
    }

    fn has(&self, text: &str, entry: &Entry) -> bool {
        if self.from_the_end {
            entry.bytes.len() <= text.len() && text.bytes().rev().zip(&entry.bytes).all(|(a, b)| a == *b)
        } else {
            text.as_bytes().starts_with(&entry.bytes)
        }
    }
}

/// The first that fits, from a place (plus one) up its parents.
fn climb(entries: &[Entry], from: u32, fits: impl Fn(&Entry) -> bool) -> u32 {
    let mut at = from;
    while let Some(entry) = usize::try_from(at).ok().and_then(|at| entries.get(at.checked_sub(1)?)) {
        if fits(entry) {
            return at;
        }
        at = entry.parent;
    }
    0
}

fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
