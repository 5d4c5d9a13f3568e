//! Who a request comes from, as far as certificates prove it: the caller and those behind it. It asks no revocation.

use std::sync::Arc;

use authz_core::{facts::Caller, hops::Chain};

/// A verified caller with the verified part of its chain; cheap to clone.
#[derive(Clone, Debug)]
pub struct Identified {
    caller: Arc<Caller>,
    // Nothing where nobody is behind the caller: the common case.
    chain: Option<Arc<Chain>>,
}

impl Identified {
    /// A caller with nobody behind it.
    pub(super) fn direct(caller: Arc<Caller>) -> Self {
        Self { caller, chain: None }
    }

    /// A caller and who is behind it.
    pub(super) fn behind(caller: Arc<Caller>, chain: Chain) -> Self {
        let is_direct = chain.hops().is_empty() && chain.is_complete();
        Self { caller, chain: (!is_direct).then(|| Arc::new(chain)) }
    }

    /// The caller.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Who is behind it.
    pub fn chain(&self) -> &Chain {
        self.chain.as_deref().unwrap_or(Chain::direct())
    }
}
