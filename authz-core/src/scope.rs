//! Things that can be revoked, and the list of them that one caller rests on; it keeps no revocations.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use crate::identity::{Credential, Digest, IssuerSerial, PathPrefix, SpiffeId, TrustDomain};

mod name;

pub use name::{InvalidName, MAX_NAME};

/// What kind of thing a scope names.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScopeKind {
    /// One agent, as its tokens name it.
    Agent,
    /// One certificate, by the SHA-256 of its DER.
    Certificate,
    /// One device, as its manager names it.
    Device,
    /// One certificate, by issuer and serial number.
    IssuerSerial,
    /// Every workload at or below a path.
    PathPrefix,
    /// One session of a subject (`sid`).
    Session,
    /// One workload.
    SpiffeId,
    /// One human or machine on whose behalf others call: issuer and `sub`.
    Subject,
    /// One token (`jti`).
    Token,
    /// Every workload of a trust domain.
    TrustDomain,
}

impl ScopeKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Agent,
        Self::Certificate,
        Self::Device,
        Self::IssuerSerial,
        Self::PathPrefix,
        Self::Session,
        Self::SpiffeId,
        Self::Subject,
        Self::Token,
        Self::TrustDomain,
    ];

    /// The name in the text form of a scope, in metrics and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Certificate => "certificate",
            Self::Device => "device",
            Self::IssuerSerial => "issuer-serial",
            Self::PathPrefix => "path-prefix",
            Self::Session => "session",
            Self::SpiffeId => "spiffe-id",
            Self::Subject => "subject",
            Self::Token => "token",
            Self::TrustDomain => "trust-domain",
        }
    }
}

/// One revocable thing. Its text form is `kind:value`, for example `spiffe-id:spiffe://demo.test/ns/shop/sa/web`.
#[derive(Clone, Debug)]
pub struct Scope {
    hash: u64,
    kind: ScopeKind,
    value: Arc<str>,
}

impl Scope {
    /// One certificate.
    pub fn certificate(digest: &Digest) -> Self {
        Self::new(ScopeKind::Certificate, Arc::from(digest.to_string()))
    }

    /// One certificate, by issuer and serial.
    pub fn issuer_serial(issued_by: &IssuerSerial) -> Self {
        Self::new(ScopeKind::IssuerSerial, Arc::from(issued_by.to_string()))
    }

    /// Every workload at or below a path.
    pub fn path_prefix(prefix: &PathPrefix) -> Self {
        Self::new(ScopeKind::PathPrefix, Arc::from(prefix.as_str()))
    }

    /// One workload.
    pub fn spiffe_id(id: &SpiffeId) -> Self {
        Self::new(ScopeKind::SpiffeId, Arc::from(id.as_str()))
    }

    /// Every workload of a trust domain.
    pub fn trust_domain(domain: &TrustDomain) -> Self {
        Self::new(ScopeKind::TrustDomain, Arc::from(domain.as_str()))
    }

    /// One token, by its `jti` (RFC 7519 §4.1.7).
    pub fn token(jti: &str) -> Result<Self, InvalidName> {
        name::opaque(jti).map(|name| Self::new(ScopeKind::Token, name.into()))
    }

    /// One subject, by its issuer and `sub`.
    pub fn subject(issuer: &str, subject: &str) -> Result<Self, InvalidName> {
        name::subject(&format!("{issuer}#{subject}")).map(|name| Self::new(ScopeKind::Subject, name.into()))
    }

    fn new(kind: ScopeKind, value: Arc<str>) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, &*value).hash(&mut hasher);
        Self { hash: hasher.finish(), kind, value }
    }

    /// What kind of thing it names.
    pub fn kind(&self) -> ScopeKind {
        self.kind
    }

    /// The thing's name, without its kind.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// A hash computed once, the same in every process of this build.
    pub(crate) fn precomputed_hash(&self) -> u64 {
        self.hash
    }

    /// The same scope, with a hash that a test wants.
    #[cfg(test)]
    pub(crate) fn with_hash(self, hash: u64) -> Self {
        Self { hash, ..self }
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.kind == other.kind && self.value == other.value
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.value)
    }
}

/// A text that is no scope.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidScope {
    /// There is no known kind before the first colon.
    #[error(
        "scope {0:?} has no known kind, write one of agent:, certificate:, device:, issuer-serial:, path-prefix:, session:, \
         spiffe-id:, subject:, token:, trust-domain: before it"
    )]
    Kind(String),
    /// The value does not fit its kind.
    #[error("{kind} scope {value:?}: {why}", kind = .kind.as_str())]
    Value {
        /// The kind given.
        kind: ScopeKind,
        /// The value given.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let unknown = || InvalidScope::Kind(text.chars().take(80).collect());
        let (kind, value) = text.split_once(':').ok_or_else(unknown)?;
        let kind = ScopeKind::ALL.iter().copied().find(|known| known.as_str() == kind).ok_or_else(unknown)?;
        let parsed = match kind {
            ScopeKind::Certificate => {
                Digest::from_hex(value).map(|it| Self::certificate(&it)).map_err(|e| e.to_string())
            }
            ScopeKind::IssuerSerial => {
                value.parse::<IssuerSerial>().map(|it| Self::issuer_serial(&it)).map_err(|e| e.to_string())
            }
            ScopeKind::Agent | ScopeKind::Device | ScopeKind::Session | ScopeKind::Token => {
                name::opaque(value).map(|name| Self::new(kind, name.into())).map_err(|e| e.to_string())
            }
            ScopeKind::Subject => {
                name::subject(value).map(|name| Self::new(kind, name.into())).map_err(|e| e.to_string())
            }
            ScopeKind::PathPrefix => {
                PathPrefix::parse(value).map(|it| Self::path_prefix(&it)).map_err(|e| e.to_string())
            }
            ScopeKind::SpiffeId => workload(value).map(|it| Self::spiffe_id(&it)),
            ScopeKind::TrustDomain => {
                TrustDomain::parse(value).map(|it| Self::trust_domain(&it)).map_err(|e| e.to_string())
            }
        };
        parsed.map_err(|why| InvalidScope::Value { kind, value: value.chars().take(200).collect(), why })
    }
}

/// No credential names a trust domain, so such a scope would revoke nobody while its sender believes it does.
fn workload(text: &str) -> Result<SpiffeId, String> {
    let id = SpiffeId::parse(text).map_err(|e| e.to_string())?;
    if id.is_trust_domain_id() {
        return Err(format!("it names no workload, write trust-domain:{} for all of them", id.trust_domain()));
    }
    Ok(id)
}

/// Every scope one credential rests on: revoking any of them revokes it.
#[derive(Clone, Debug)]
pub struct Scopes(Arc<[Scope]>);

impl Scopes {
    /// The scopes of `credential`: its digest, issuer and serial, ID, every path above the ID, trust domain.
    pub fn of(credential: &Credential) -> Self {
        let id = credential.id();
        let mut scopes = vec![
            Scope::certificate(credential.digest()),
            Scope::issuer_serial(credential.issued_by()),
            Scope::new(ScopeKind::SpiffeId, Arc::from(id.as_str())),
            Scope::new(ScopeKind::TrustDomain, Arc::from(id.trust_domain())),
        ];
        scopes.extend(id.prefixes().map(|prefix| Scope::new(ScopeKind::PathPrefix, Arc::from(prefix))));
        Self(scopes.into())
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;
