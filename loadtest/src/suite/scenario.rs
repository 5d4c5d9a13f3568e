//! What is compared. It must not know how a scenario is booted.

use std::num::NonZeroU32;

use super::peer::{Address, Peer};

/// One way to authorize, or not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its key in the report.
    pub name: String,
    /// What it runs.
    pub kind: Kind,
    /// How requests come to it.
    pub approach: Approach,
}

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approach {
    /// As the first and only one on its connection.
    FirstOnConnection,
    /// From its caller, on a connection that is kept.
    Straight,
    /// The same, but the caller forwards for two others, and says so with their certificates.
    ThreeHops,
}

impl Approach {
    /// Arrivals per second where a plain request would come `rate` times: a tenth if each shakes hands first, which costs
    /// both sides far more than the request.
    pub fn rate(self, rate: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::FirstOnConnection => NonZeroU32::new(rate.get() / 10).unwrap_or(NonZeroU32::MIN),
            Self::Straight | Self::ThreeHops => rate,
        }
    }
}

/// What stands in the way of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our sidecar asked by `ext_authz`, every answer from its cache, with so many revocations in force.
    CheckHit(u32),
    /// Our sidecar asked by `ext_authz`, every answer evaluated anew.
    CheckMiss,
    /// A wasm filter that does nothing.
    EmptyWasm,
    /// Our filter with so many policies behind it, every answer from its own memory.
    FilterHit(usize),
    /// Nothing.
    NoFilter,
    /// An `ext_authz` server that allows everything.
    NoopExtAuthz,
    /// Somebody else's `ext_authz` server.
    Peer(Address),
    /// Envoy's own RBAC filter with so many policies.
    Rbac(usize),
}

impl Scenario {
    /// Every scenario, and one for each peer.
    pub fn all(peers: &[Peer]) -> Vec<Self> {
        let fixed = FIXED.into_iter().map(|(name, kind, approach)| Self { name: name.to_owned(), kind, approach });
        let with = |peer: &Peer| Self {
            name: format!("peer_{}", peer.name),
            kind: Kind::Peer(peer.address.clone()),
            approach: Approach::Straight,
        };
        fixed.chain(peers.iter().map(with)).collect()
    }

    /// The scenarios named in `only`, or all if it is empty, and every peer; in the order of [`Scenario::all`].
    ///
    /// # Errors
    /// A name that no scenario has.
    pub fn select(peers: &[Peer], only: &[String]) -> Result<Vec<Self>, UnknownScenario> {
        let all = Self::all(peers);
        let names = || all.iter().map(|scenario| scenario.name.as_str()).chain([REVOCATION]);
        if let Some(name) = only.iter().find(|name| names().all(|known| known != **name)) {
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(UnknownScenario { name: name.clone(), known });
        }
        let wanted = |scenario: &Self| {
            only.is_empty() || only.contains(&scenario.name) || matches!(scenario.kind, Kind::Peer(_))
        };
        Ok(all.into_iter().filter(wanted).collect())
    }
}

/// A scenario was asked for that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{name}`; there are: {known}")]
pub struct UnknownScenario {
    name: String,
    known: String,
}

/// The name of what is measured after all scenarios and without an Envoy.
pub const REVOCATION: &str = "revocation";

const FIXED: [(&str, Kind, Approach); 20] = [
    ("no_filter", Kind::NoFilter, Approach::Straight),
    ("rbac_1", Kind::Rbac(1), Approach::Straight),
    ("rbac_100", Kind::Rbac(100), Approach::Straight),
    ("rbac_1000", Kind::Rbac(1_000), Approach::Straight),
    ("empty_wasm", Kind::EmptyWasm, Approach::Straight),
    ("filter_hit", Kind::FilterHit(1), Approach::Straight),
    ("filter_hit_100", Kind::FilterHit(100), Approach::Straight),
    ("filter_hit_1000", Kind::FilterHit(1_000), Approach::Straight),
    ("noop_ext_authz", Kind::NoopExtAuthz, Approach::Straight),
    ("check_hit", Kind::CheckHit(0), Approach::Straight),
    ("check_hit_100k_revoked", Kind::CheckHit(100_000), Approach::Straight),
    ("check_hit_1m_revoked", Kind::CheckHit(1_000_000), Approach::Straight),
    ("check_miss", Kind::CheckMiss, Approach::Straight),
    ("no_filter_three_hops", Kind::NoFilter, Approach::ThreeHops),
    ("filter_hit_three_hops", Kind::FilterHit(1), Approach::ThreeHops),
    ("check_hit_three_hops", Kind::CheckHit(0), Approach::ThreeHops),
    ("check_miss_three_hops", Kind::CheckMiss, Approach::ThreeHops),
    ("first_request_no_filter", Kind::NoFilter, Approach::FirstOnConnection),
    ("first_request_filter", Kind::FilterHit(1), Approach::FirstOnConnection),
    ("first_request_check", Kind::CheckHit(0), Approach::FirstOnConnection),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Result<Vec<String>, UnknownScenario> {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        let peers = ["opa=127.0.0.1:1".parse().unwrap()];
        Ok(Scenario::select(&peers, &only)?.into_iter().map(|scenario| scenario.name).collect())
    }

    #[test]
    fn connections_are_opened_at_a_tenth_of_the_rate_but_never_at_none() {
        for (rate, expected) in [(1_000, 100), (19, 1), (1, 1)] {
            let rate = NonZeroU32::new(rate).unwrap();
            assert_eq!(Approach::FirstOnConnection.rate(rate).get(), expected);
            assert_eq!([Approach::Straight, Approach::ThreeHops].map(|approach| approach.rate(rate)), [rate; 2]);
        }
    }

    #[test]
    fn every_peer_is_a_scenario() {
        let all = names(&[]).unwrap();
        assert_eq!(all.len(), 21);
        assert_eq!(all.last().unwrap(), "peer_opa");
    }

    #[test]
    fn some_can_be_picked_but_none_invented() {
        assert_eq!(names(&["no_filter"]).unwrap(), ["no_filter", "peer_opa"]);
        assert_eq!(names(&["revocation"]).unwrap(), ["peer_opa"], "it is no scenario");
        let error = names(&["rbac"]).unwrap_err().to_string();
        assert!(error.starts_with("there is no scenario `rbac`; there are: no_filter, rbac_1, "), "{error}");
    }
}
