//! Why a certificate proves nothing: the closed reason for everybody, and words for whoever debugs it. It holds no key and no personal data.

use std::{borrow::Cow, fmt};

use authz_core::{identity::Credential, reason::Reason};

/// A certificate that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    detail: Cow<'static, str>,
    claim: Option<Box<Credential>>,
    names: Box<[String]>,
}

impl Refusal {
    /// Refuses for `reason`; `detail` says what exactly was found.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), claim: None, names: Box::default() }
    }

    /// The same for a certificate that can be read but proves nothing: what it claims.
    pub(super) fn claiming(self, credential: Option<Credential>) -> Self {
        Self { claim: credential.map(Box::new), ..self }
    }

    /// The same with all the names the certificate gives itself.
    pub(super) fn naming(self, names: Vec<String>) -> Self {
        Self { names: names.into(), ..self }
    }

    /// Refuses what is no certificate, with the words of whoever could not read it.
    #[expect(clippy::needless_pass_by_value, reason = "map_err gives its error away")]
    pub(super) fn malformed(error: impl ToString) -> Self {
        Self::new(Reason::CertificateMalformed, error.to_string())
    }

    /// The reason, always of class identity.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What the certificate claims; never an identity.
    pub fn claim(&self) -> Option<&Credential> {
        self.claim.as_deref()
    }

    /// URI and DNS names in the certificate; never an identity.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What exactly was found; for logs, not for clients.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Refusal {}
