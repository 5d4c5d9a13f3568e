//! The class of a value: which of many tests it passes, in few bytes. It knows no fact.

use std::{collections::BTreeSet, net::IpAddr};

use super::{IpRange, Pattern, Test, affixes::Affixes, pattern::Kind};

/// Of text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TextClass {
    equals: Box<[Box<str>]>,
    prefixes: Affixes,
    suffixes: Affixes,
    patterns: Box<[Pattern]>,
}

/// Of numbers: between which thresholds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct NumberClass(Box<[i64]>);

/// Of addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct IpClass(Box<[IpRange]>);

/// Of sets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct MemberClass(Box<[Box<str>]>);

impl TextClass {
    pub(super) fn of(tests: &BTreeSet<Test>) -> Option<Self> {
        let (mut equals, mut prefixes, mut suffixes, mut patterns) = (BTreeSet::new(), vec![], vec![], vec![]);
        for test in tests {
            match test {
                Test::Equals(text) => drop(equals.insert(&**text)),
                Test::Like(pattern) => match pattern.kind() {
                    Kind::Exactly(text) => drop(equals.insert(text)),
                    Kind::Prefix(text) => prefixes.push(text),
                    Kind::Suffix(text) => suffixes.push(text),
                    Kind::Other => patterns.push(pattern.clone()),
                },
                Test::AtMost(_) | Test::Contains(_) | Test::InRange(_) => return None,
            }
        }
        Some(Self {
            equals: equals.into_iter().map(Into::into).collect(),
            prefixes: Affixes::prefixes(prefixes.into_iter()),
            suffixes: Affixes::suffixes(suffixes.into_iter()),
            patterns: patterns.into(),
        })
    }

    pub(crate) fn put(&self, text: &str, key: &mut Vec<u8>) {
        if !self.equals.is_empty() {
            let place = self.equals.binary_search_by(|known| (**known).cmp(text)).map_or(0, |at| at.saturating_add(1));
            put_place(place, key);
        }
        for affixes in [&self.prefixes, &self.suffixes] {
            if !affixes.is_empty() {
                key.extend_from_slice(&affixes.longest(text).to_le_bytes());
            }
        }
        put_bits(self.patterns.iter().map(|pattern| pattern.matches(text)), key);
    }
}

impl NumberClass {
    pub(super) fn of(tests: &BTreeSet<Test>) -> Option<Self> {
        constants(tests, |test| if let Test::AtMost(number) = test { Some(*number) } else { None }).map(Self)
    }

    pub(crate) fn put(&self, number: i64, key: &mut Vec<u8>) {
        // In the order of the tests, which is that of their numbers.
        put_place(self.0.partition_point(|threshold| *threshold < number), key);
    }
}

impl IpClass {
    pub(super) fn of(tests: &BTreeSet<Test>) -> Option<Self> {
        constants(tests, |test| if let Test::InRange(range) = test { Some(*range) } else { None }).map(Self)
    }

    pub(crate) fn put(&self, address: IpAddr, key: &mut Vec<u8>) {
        put_bits(self.0.iter().map(|range| range.contains(address)), key);
    }
}

impl MemberClass {
    pub(super) fn of(tests: &BTreeSet<Test>) -> Option<Self> {
        constants(tests, |test| if let Test::Contains(id) = test { Some(id.clone()) } else { None }).map(Self)
    }

    pub(crate) fn put(&self, has: impl Fn(&str) -> bool, key: &mut Vec<u8>) {
        put_bits(self.0.iter().map(|id| has(id)), key);
    }
}

/// What each is compared with; nothing if one is of another kind.
fn constants<T>(tests: &BTreeSet<Test>, constant: impl Fn(&Test) -> Option<T>) -> Option<Box<[T]>> {
    tests.iter().map(constant).collect()
}

fn put_place(place: usize, key: &mut Vec<u8>) {
    key.extend_from_slice(&u32::try_from(place).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bits(bits: impl Iterator<Item = bool>, key: &mut Vec<u8>) {
    let (mut byte, mut held) = (0_u8, 0_u8);
    for bit in bits {
        byte = byte << 1 | u8::from(bit);
        held += 1;
        if held == 8 {
            key.push(byte);
            (byte, held) = (0, 0);
        }
    }
    if held > 0 {
        key.push(byte);
    }
}
