//! What `FetchX509Bundles` says about whom to trust: every message replaces all that the agent said before.

use std::{collections::BTreeMap, sync::Arc};

use authz_core::{identity::TrustDomain, time::Timestamp};
use bytes::Bytes;

use super::{
    Failure, InvalidMessage,
    message::{MAX_TRUST_DOMAINS, trust_domain, within},
    revocation_lists::RevocationLists,
};
use crate::{
    identity::{Bundle, Held, Origin, TrustStore},
    wire::workload::X509BundlesResponse,
};

/// Keeps the bundles that the agent gives, and the CRLs beside them.
pub struct AgentBundles {
    trust: TrustStore,
    held: BTreeMap<TrustDomain, Held>,
    lists: RevocationLists,
}

/// What came of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BundlesTaken {
    /// Trust domains that have a bundle now.
    pub trust_domains: usize,
    /// CRLs held now.
    pub lists: usize,
    /// Parts that were not accepted; what they would have replaced stays.
    pub refused: Vec<InvalidMessage>,
}

impl AgentBundles {
    /// Puts into `trust` what the agent says.
    pub fn new(trust: TrustStore, lists: RevocationLists) -> Self {
        Self { trust, held: BTreeMap::new(), lists }
    }

    /// Takes a message. A trust domain that it does not name any more is dropped; one whose bundle is empty has no
    /// authority any more; one whose bundle can't be read keeps the old one, and does not hold up the others: that a
    /// compromised authority is taken from one domain must not wait for another domain to mend its own.
    ///
    /// # Errors
    /// A message to be discarded as a whole, which changes nothing.
    pub fn take(&mut self, message: X509BundlesResponse, now: Timestamp) -> Result<BundlesTaken, InvalidMessage> {
        within("bundles", "X509BundlesResponse.bundles", message.bundles.len(), MAX_TRUST_DOMAINS)?;
        let named = message.bundles.into_iter().map(|(key, der)| Ok((trust_domain(&key)?, der)));
        let named: BTreeMap<TrustDomain, Bytes> = named.collect::<Result<_, InvalidMessage>>()?;
        let mut refused = Vec::new();
        let mut held = BTreeMap::new();
        for (trust_domain, der) in named {
            match Bundle::from_der(&der) {
                Ok(bundle) => {
                    let bundle = Arc::new(bundle);
                    held.insert(trust_domain, Held { bundle, fetched_at: now, next_refresh: None, trouble: None });
                }
                Err(why) => {
                    let old = self.held.get(&trust_domain).cloned();
                    let why = InvalidMessage::Bundle { trust_domain: trust_domain.clone(), why };
                    held.extend(old.map(|old| (trust_domain, Held { trouble: Some(why.to_string()), ..old })));
                    refused.push(why);
                }
            }
        }
        self.hold(held);
        refused.extend(self.lists.take(message.crl).err());
        Ok(BundlesTaken { trust_domains: self.held.len(), lists: self.lists.len(), refused })
    }

    /// Takes the end of the stream; says how many trust domains were dropped. A denial says that we are entitled to no
    /// bundle, and is a redaction of all (Workload API §5.2.2); an agent that is gone takes nothing away.
    pub fn end(&mut self, failure: &Failure, retry_at: Timestamp) -> usize {
        if matches!(failure, Failure::Denied { .. }) {
            let dropped = self.held.len();
            self.hold(BTreeMap::new());
            self.lists.clear();
            return dropped;
        }
        for trust_domain in self.held.keys() {
            self.trust.note_trouble(trust_domain, Origin::WorkloadApi, &failure.to_string(), Some(retry_at));
        }
        0
    }

    fn hold(&mut self, held: BTreeMap<TrustDomain, Held>) {
        self.trust.replace(Origin::WorkloadApi, held.clone());
        self.held = held;
    }
}

#[cfg(test)]
mod tests;
