//! What `FetchJWTBundles` says: the JWK set of each trust domain as it was sent, held for whoever verifies tokens. It reads no key.

use std::{collections::BTreeMap, sync::Arc};

use authz_core::identity::TrustDomain;
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    Failure, InvalidMessage,
    message::{MAX_TRUST_DOMAINS, trust_domain, within},
};
use crate::wire::workload::JwtBundlesResponse;

/// A JWK set (RFC 7517) for each trust domain, as sent; cheap to clone, all clones see the same.
#[derive(Clone, Debug)]
pub struct JwtBundles(Arc<watch::Sender<Arc<BTreeMap<TrustDomain, Bytes>>>>);

impl Default for JwtBundles {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Arc::default())))
    }
}

impl JwtBundles {
    /// Takes a message: all bundles there are.
    ///
    /// # Errors
    /// A message to be discarded, which changes nothing.
    pub fn take(&self, message: JwtBundlesResponse) -> Result<(), InvalidMessage> {
        within("bundles", "JWTBundlesResponse.bundles", message.bundles.len(), MAX_TRUST_DOMAINS)?;
        let bundles = message.bundles.into_iter().map(|(key, jwks)| Ok((trust_domain(&key)?, jwks)));
        self.0.send_replace(Arc::new(bundles.collect::<Result<_, InvalidMessage>>()?));
        Ok(())
    }

    /// Takes the end of the stream: a denial takes all of them back (Workload API §6.2.2).
    pub fn end(&self, failure: &Failure) {
        if matches!(failure, Failure::Denied { .. }) {
            self.0.send_replace(Arc::default());
        }
    }

    /// Of how many trust domains there is one.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// That of one trust domain.
    pub fn get(&self, trust_domain: &TrustDomain) -> Option<Bytes> {
        self.0.borrow().get(trust_domain).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(keys: &[&str]) -> JwtBundlesResponse {
        let bundles = keys.iter().map(|key| ((*key).to_owned(), Bytes::from_static(b"{\"keys\": []}")));
        JwtBundlesResponse { bundles: bundles.collect() }
    }

    #[test]
    fn what_is_missing_is_dropped_and_a_denial_drops_all() {
        let bundles = JwtBundles::default();
        bundles.take(message(&["spiffe://a", "spiffe://b"])).unwrap();
        bundles.take(message(&["spiffe://b"])).unwrap();
        let td = |name| TrustDomain::parse(name).unwrap();
        assert!(bundles.get(&td("a")).is_none() && bundles.get(&td("b")).is_some());
        bundles.end(&Failure::closed());
        assert_eq!(bundles.len(), 1, "an agent that is gone takes nothing");
        bundles.end(&Failure::Denied { what: String::new() });
        assert!(bundles.is_empty());
    }

    #[test]
    fn a_message_that_breaks_the_rules_is_discarded() {
        let bundles = JwtBundles::default();
        bundles.take(message(&["spiffe://a"])).unwrap();
        assert!(bundles.take(message(&[])).is_err());
        assert!(bundles.take(message(&["spiffe://b", "b"])).is_err());
        let many: Vec<String> = (0..=MAX_TRUST_DOMAINS).map(|number| format!("spiffe://td{number}")).collect();
        assert!(bundles.take(message(&many.iter().map(String::as_str).collect::<Vec<_>>())).is_err());
        assert_eq!(bundles.len(), 1);
    }
}
