//! The CRLs that the agent gives beside the bundles: held for whoever enforces them, which nothing here does.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

use super::InvalidMessage;

/// The CRLs in force, DER; cheap to clone, all clones see the same.
#[derive(Clone, Debug)]
pub struct RevocationLists(Arc<watch::Sender<Arc<[Bytes]>>>);

impl Default for RevocationLists {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Arc::default())))
    }
}

impl RevocationLists {
    /// Takes other lists in place of all that were held; none clears them.
    ///
    /// # Errors
    /// One of them is no CRL; then the old ones are kept.
    pub(super) fn take(&self, lists: Vec<Bytes>) -> Result<(), InvalidMessage> {
        for (position, list) in (1..).zip(&lists) {
            let why = match CertificateRevocationList::from_der(list) {
                Ok(([], _)) => continue,
                Ok(_) => "bytes follow it".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(InvalidMessage::RevocationList { position, why });
        }
        self.0.send_replace(lists.into());
        Ok(())
    }

    pub(super) fn clear(&self) {
        self.0.send_replace(Arc::default());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A receiver of all of them, which wakes whenever they are replaced.
    pub fn subscribe(&self) -> watch::Receiver<Arc<[Bytes]>> {
        self.0.subscribe()
    }
}
