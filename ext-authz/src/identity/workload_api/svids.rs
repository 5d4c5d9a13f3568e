//! What `FetchX509SVID` says about who we are: one of the SVIDs is chosen, checked and put in force. No other key is even parsed.

use std::{fmt, sync::Arc};

use authz_core::{
    identity::{SpiffeId, TrustDomain},
    time::Timestamp,
};
use rustls_pki_types::PrivateKeyDer;

use super::{
    Failure, InvalidMessage,
    message::{MAX_HINT_BYTES, MAX_SVIDS, within},
};
use crate::{
    identity::{Bundle, OwnIdentity, OwnSvid, der},
    wire::workload::{X509svid, X509svidResponse},
};

/// Which SVID to use where there are several (Workload API §5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first, which is the default identity.
    #[default]
    First,
    /// The first with this hint.
    Hint(String),
    /// That with this ID.
    Id(SpiffeId),
}

impl Choice {
    fn of<'m>(&self, svids: &'m [X509svid]) -> Option<&'m X509svid> {
        svids.iter().find(|svid| match self {
            Self::First => true,
            Self::Hint(hint) => svid.hint == *hint,
            Self::Id(id) => svid.spiffe_id == id.as_str(),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the first"),
            Self::Hint(hint) => write!(f, "that with hint {hint:?}"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// Keeps our own SVID as the agent says.
pub struct AgentSvids {
    choice: Choice,
    own: OwnIdentity,
}

/// What a message changed.
#[derive(Debug)]
pub struct SvidsTaken {
    /// How many SVIDs it holds.
    pub offered: usize,
    /// What became of ours.
    pub change: SvidChange,
}

/// What became of our own SVID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SvidChange {
    /// It was taken back, and this is why.
    Gone {
        /// Who we were.
        id: SpiffeId,
        /// Why.
        why: String,
    },
    /// Another one is in force.
    New {
        /// Who we are.
        id: SpiffeId,
        /// Until when.
        not_after: Timestamp,
    },
    /// Nothing.
    Same,
}

impl AgentSvids {
    /// Puts in force what `choice` says, in `own`.
    pub fn new(choice: Choice, own: OwnIdentity) -> Self {
        Self { choice, own }
    }

    /// Takes a message: all SVIDs there are. If ours is not among them any more, we have none.
    ///
    /// # Errors
    /// A message to be discarded, which changes nothing.
    pub fn take(&self, message: &X509svidResponse) -> Result<SvidsTaken, InvalidMessage> {
        let offered = message.svids.len();
        within("SVIDs", "X509SVIDResponse.svids", offered, MAX_SVIDS)?;
        message.svids.iter().try_for_each(check_fields)?;
        let change = match self.choice.of(&message.svids) {
            Some(chosen) => self.put(read(chosen)?),
            None => self.drop(&format!("none of the agent's {offered} SVIDs is {}", self.choice)),
        };
        Ok(SvidsTaken { offered, change })
    }

    /// Takes the end of the stream: only a denial takes our SVID away (Workload API §5.2.1), an agent that is gone does not.
    pub fn end(&self, failure: &Failure) -> SvidChange {
        match failure {
            Failure::Denied { .. } => self.drop(&failure.to_string()),
            Failure::Lost { .. } | Failure::Rejected { .. } => SvidChange::Same,
        }
    }

    fn put(&self, svid: OwnSvid) -> SvidChange {
        if self.own.current().is_some_and(|current| current.certified_key().cert == svid.certified_key().cert) {
            return SvidChange::Same;
        }
        let change = SvidChange::New { id: svid.id().clone(), not_after: svid.not_after() };
        self.own.set(Some(Arc::new(svid)));
        change
    }

    fn drop(&self, why: &str) -> SvidChange {
        let Some(current) = self.own.current() else { return SvidChange::Same };
        self.own.set(None);
        SvidChange::Gone { id: current.id().clone(), why: why.to_owned() }
    }
}

/// Workload API §4.5 and §5.2.1: all but the hint is mandatory.
fn check_fields(svid: &X509svid) -> Result<(), InvalidMessage> {
    let fields = [
        ("X509SVID.spiffe_id", svid.spiffe_id.is_empty()),
        ("X509SVID.x509_svid", svid.x509_svid.is_empty()),
        ("X509SVID.x509_svid_key", svid.x509_svid_key.is_empty()),
        ("X509SVID.bundle", svid.bundle.is_empty()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, is_empty)| *is_empty) {
        return Err(InvalidMessage::Missing { field });
    }
    if svid.hint.len() > MAX_HINT_BYTES {
        return Err(InvalidMessage::Hint { id: name_of(svid), bytes: svid.hint.len() });
    }
    Ok(())
}

fn read(svid: &X509svid) -> Result<OwnSvid, InvalidMessage> {
    let chain = der::certificates(&svid.x509_svid, MAX_CHAIN)
        .map_err(|why| InvalidMessage::Chain { id: name_of(svid), why })?;
    let key = PrivateKeyDer::Pkcs8(svid.x509_svid_key.as_ref().into());
    let own = OwnSvid::new(chain, &key)?;
    if own.id().as_str() != svid.spiffe_id {
        return Err(InvalidMessage::OtherId { said: name_of(svid), is: own.id().clone() });
    }
    // Whom to trust is for FetchX509Bundles to say; a bundle that is none still shows that the message is not to be believed.
    let trust_domain = TrustDomain::of(own.id());
    Bundle::from_der(&svid.bundle).map_err(|why| InvalidMessage::Bundle { trust_domain, why })?;
    Ok(own)
}

/// For the log.
fn name_of(svid: &X509svid) -> String {
    svid.spiffe_id.chars().take(2048).collect()
}

/// A leaf and as many intermediates as we also take from others.
const MAX_CHAIN: usize = 9;

#[cfg(test)]
mod tests;
