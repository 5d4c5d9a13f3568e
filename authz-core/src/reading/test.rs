//! One question that policies ask about a fact, with its text form for the wire and for people; it answers none.

use std::fmt;

use super::{IpRange, Pattern};

/// A test of a fact against a constant. Comparisons of every kind come down to these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Test {
    /// A number is not above this one.
    AtMost(i64),
    /// A set of workloads has the one with this SPIFFE ID in it.
    Contains(Box<str>),
    /// A text, or the SPIFFE ID of a workload, is this one.
    Equals(Box<str>),
    /// An address is in this range.
    InRange(IpRange),
    /// A text matches this pattern.
    Like(Pattern),
}

impl Test {
    /// Reads the text form back.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, constant) = text.split_once(':')?;
        match kind {
            "at-most" => constant.parse().ok().map(Self::AtMost),
            "contains" => Some(Self::Contains(constant.into())),
            "equals" => Some(Self::Equals(constant.into())),
            "in-range" => IpRange::parse(constant).map(Self::InRange),
            "like" => Pattern::parse(constant).map(Self::Like),
            _ => None,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(number) => write!(f, "at-most:{number}"),
            Self::Contains(id) => write!(f, "contains:{id}"),
            Self::Equals(text) => write!(f, "equals:{text}"),
            Self::InRange(range) => write!(f, "in-range:{range}"),
            Self::Like(pattern) => write!(f, "like:{pattern}"),
        }
    }
}
