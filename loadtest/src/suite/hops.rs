//! The request that has crossed two proxies before ours: what they say of it, and what must not be believed.
//! It must not prove anything itself: real certificates go in, and whoever is measured has to verify them.

use countersign_tests::pki::{Authority, Svid};

use super::policies::{CLIENT, EDGE, ORIGIN, TRUST_DOMAIN};

/// origin → edge → the generator → the Envoy that is measured, which adds the element about the generator.
pub struct Hops {
    client: String,
    edge: Svid,
    origin: Svid,
    forged: Svid,
}

/// A request that must be denied, and why.
pub struct Wrong {
    /// What is wrong with it.
    pub what: &'static str,
    /// Its chain; none for a request without one.
    pub chain: Option<String>,
}

impl Hops {
    /// Workloads of `authority`, and one that only looks like one of them.
    pub fn new(authority: &Authority) -> Self {
        Self {
            client: authority.id(CLIENT),
            edge: authority.issue(EDGE),
            origin: authority.issue(ORIGIN),
            forged: Authority::new(TRUST_DOMAIN).issue(ORIGIN),
        }
    }

    /// The elements of the two earlier hops, oldest first, as Envoys write them that append.
    pub fn chain(&self) -> String {
        self.from(&self.origin)
    }

    /// One of each kind that a sidecar must not take for a complete chain from the origin.
    pub fn wrong(&self) -> [Wrong; 5] {
        let too_near = self.origin.xfcc_element(&self.client);
        let by_another = format!("{},{}", self.origin.xfcc_element(self.origin.id()), self.written_by_client());
        [
            Wrong { what: "a request without a chain", chain: None },
            Wrong { what: "a chain that lacks its origin", chain: Some(self.written_by_client()) },
            Wrong { what: "an origin that is one hop too near", chain: Some(too_near) },
            Wrong { what: "an origin certified by another authority", chain: Some(self.from(&self.forged)) },
            Wrong { what: "an element that somebody else wrote", chain: Some(by_another) },
        ]
    }

    fn from(&self, origin: &Svid) -> String {
        format!("{},{}", origin.xfcc_element(self.edge.id()), self.written_by_client())
    }

    fn written_by_client(&self) -> String {
        self.edge.xfcc_element(&self.client)
    }
}

/// The header of Envoy that a chain travels in.
pub const XFCC: &str = "x-forwarded-client-cert";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_has_two_elements_with_certificates_and_the_wrong_ones_differ_from_it() {
        let hops = Hops::new(&Authority::new(TRUST_DOMAIN));
        let chain = hops.chain();
        let (oldest, newest) = chain.split_once(',').unwrap();
        assert!(oldest.starts_with("By=spiffe://bench.test/edge;Hash="), "{oldest}");
        assert!(oldest.ends_with(";URI=spiffe://bench.test/origin"), "{oldest}");
        assert!(newest.starts_with("By=spiffe://bench.test/client;Hash="), "{newest}");
        assert!(newest.ends_with(";URI=spiffe://bench.test/edge"), "{newest}");
        for element in [oldest, newest] {
            assert_eq!(element.matches("-----BEGIN%20CERTIFICATE-----").count(), 2, "Cert and Chain: {element}");
        }
        assert!(hops.wrong().iter().all(|wrong| wrong.chain.as_ref() != Some(&chain)));
    }
}
