//! How the facts of one caller's requests with one operation become a key: each whole, or as the class that the tests of policies
//! put it in. It evaluates no policy and knows no request.

mod affixes;
mod class;
mod ip_range;
mod pattern;
mod test;
mod uses;

use crate::plan::Read;

pub(crate) use self::class::{IpClass, MemberClass, NumberClass, TextClass};
pub use self::{
    ip_range::IpRange,
    pattern::Pattern,
    test::Test,
    uses::{Use, Uses},
};

/// What enters a key of the facts that policies read, fact by fact.
///
/// INVARIANT: two requests whose facts give the same bytes pass and fail the same tests of every policy it was made for.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Reading {
    uses: Uses,
    // INVARIANT: follows from the uses, in their order.
    items: Box<[How]>,
}

/// How one fact enters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum How {
    /// As an address, by the ranges it is in.
    Ip(IpClass),
    /// As a set of workloads, by those that are looked for in it.
    Members(MemberClass),
    /// As a number, by the thresholds it passes.
    Number(NumberClass),
    /// As text, by what it equals and what patterns it matches.
    Text(TextClass),
    /// As it is.
    Whole,
}

impl Reading {
    /// The reading of everything that uses facts in these ways.
    pub fn of(uses: Uses) -> Self {
        Self { items: uses.iter().map(|(read, used)| How::of(read, used)).collect(), uses }
    }

    /// What it was made for.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Whether this fact enters.
    pub fn has(&self, read: &Read) -> bool {
        self.uses.has(read)
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&Read, &How)> {
        self.uses.iter().map(|(read, _)| read).zip(&self.items)
    }
}

impl How {
    /// A test of another kind than the fact makes it enter whole: that is never wrong.
    fn of(read: &Read, used: &Use) -> Self {
        let Use::Tests(tests) = used else { return Self::Whole };
        let class = match read {
            Read::DestinationIp | Read::SourceIp => IpClass::of(tests).map(Self::Ip),
            Read::CredentialLifetime | Read::DestinationPort | Read::HopCount => {
                NumberClass::of(tests).map(Self::Number)
            }
            Read::Hops => MemberClass::of(tests).map(Self::Members),
            Read::Header(_)
            | Read::Host
            | Read::Origin
            | Read::Path
            | Read::Protocol
            | Read::Query
            | Read::Resource
            | Read::Scheme
            | Read::Sni => TextClass::of(tests).map(Self::Text),
            Read::CredentialNotAfter | Read::CredentialNotBefore | Read::HopCredentials | Read::HopsComplete => None,
        };
        class.unwrap_or(Self::Whole)
    }
}

#[cfg(test)]
mod tests;
