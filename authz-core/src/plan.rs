//! What the current policy set reads of a request; data, so that sidecar and filter derive the same keys.

use std::{fmt, sync::Arc};

use crate::{facts::Asked, operations::Operations};

/// One thing policies can read of a request. Caller and method always count as read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Read {
    /// For how long the caller's credential is valid altogether.
    CredentialLifetime,
    /// Until when the caller's credential is valid.
    CredentialNotAfter,
    /// From when the caller's credential is valid.
    CredentialNotBefore,
    /// Address the connection was made to.
    DestinationIp,
    /// Port the connection was made to.
    DestinationPort,
    /// One request header, by lower-case name.
    Header(Box<str>),
    /// How many connections the request is known to have crossed.
    HopCount,
    /// From when until when the credentials of the workloads it is known to have crossed are valid.
    HopCredentials,
    /// Which workloads it is known to have crossed.
    Hops,
    /// Whether it is known to the workload that began.
    HopsComplete,
    /// `:authority`.
    Host,
    /// The workload that began.
    Origin,
    /// Path without query.
    Path,
    /// HTTP version.
    Protocol,
    /// The part after `?`.
    Query,
    /// The id of the resource, whose type the operation tells.
    Resource,
    /// `:scheme`.
    Scheme,
    /// TLS server name.
    Sni,
    /// Address of the other end.
    SourceIp,
}

impl Read {
    /// Reads the text form back: a fixed name, or `header:` and a lower-case name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("header:") {
            let lower = !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
            return lower.then(|| Self::Header(name.into()));
        }
        Self::FIXED.iter().find(|read| read.name() == text).cloned()
    }

    /// Every one but headers.
    pub(crate) const FIXED: &[Self] = &[
        Self::CredentialLifetime,
        Self::CredentialNotAfter,
        Self::CredentialNotBefore,
        Self::DestinationIp,
        Self::DestinationPort,
        Self::HopCount,
        Self::HopCredentials,
        Self::Hops,
        Self::HopsComplete,
        Self::Host,
        Self::Origin,
        Self::Path,
        Self::Protocol,
        Self::Query,
        Self::Resource,
        Self::Scheme,
        Self::Sni,
        Self::SourceIp,
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::CredentialLifetime => "credential-lifetime",
            Self::CredentialNotAfter => "credential-not-after",
            Self::CredentialNotBefore => "credential-not-before",
            Self::DestinationIp => "destination-ip",
            Self::DestinationPort => "destination-port",
            Self::Header(_) => "header",
            Self::HopCount => "hop-count",
            Self::HopCredentials => "hop-credentials",
            Self::Hops => "hops",
            Self::HopsComplete => "hops-complete",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Path => "path",
            Self::Protocol => "protocol",
            Self::Query => "query",
            Self::Resource => "resource",
            Self::Scheme => "scheme",
            Self::Sni => "sni",
            Self::SourceIp => "source-ip",
        }
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            fixed => f.write_str(fixed.name()),
        }
    }
}

impl Rules {
    /// The text that stands among the reads of a plan on the wire where paths with parameters are refused.
    pub const NO_PATH_PARAMETERS: &str = "no-path-parameters";
}

impl Plan {
    /// The text that stands among the reads of a plan on the wire where there are operations.
    pub const BY_OPERATION: &str = "by-operation";
}

/// SHA-256 over everything that can change what policies answer: their text, schema, entities, service.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyDigest(pub [u8; 32]);

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How facts become a cache key under one policy set, and what the gate must refuse or let through for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    digest: PolicyDigest,
    reads: Box<[Read]>,
    rules: Rules,
    operations: Option<Arc<Operations>>,
}

/// What the gate does besides asking who is proven and who revoked. The default is what keeps everybody out who can be kept out.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Rules {
    /// Some policy permits an `Unverified` caller something, so that policies must be asked about one.
    pub judge_unverified: bool,
    /// Paths with parameters (`;`) are refused.
    pub refuse_path_parameters: bool,
}

impl Plan {
    /// A plan; the order and repetition of `reads` do not matter.
    pub fn new(digest: PolicyDigest, reads: impl IntoIterator<Item = Read>, rules: Rules) -> Self {
        let mut reads: Vec<Read> = reads.into_iter().collect();
        reads.sort_unstable();
        reads.dedup();
        Self { digest, reads: reads.into(), rules, operations: None }
    }

    /// The same, with operations that tell requests apart.
    pub fn with_operations(self, operations: Arc<Operations>) -> Self {
        Self { operations: Some(operations), ..self }
    }

    /// The operations of requests; none, if only methods tell requests apart.
    pub fn operations(&self) -> Option<&Operations> {
        self.operations.as_deref()
    }

    /// The name of what is asked for, which tells how it becomes a key: that of the operation, or else the method; nothing for a
    /// connection. `None` if it can't be read.
    pub fn operation<'a>(&'a self, asked: &Asked<'a>) -> Option<&'a str> {
        match (asked, self.operations()) {
            (Asked::Connection, _) => Some(""),
            (Asked::Http(Err(_)), _) => None,
            (Asked::Http(Ok(http)), None) => Some(http.method),
            (Asked::Http(Ok(http)), Some(operations)) => Some(operations.name(operations.of(http).as_ref())),
        }
    }

    /// What the gate does for it.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Which policy set it belongs to.
    pub fn digest(&self) -> PolicyDigest {
        self.digest
    }

    /// What is read, sorted.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_comes_back_from_its_text() {
        let header = Read::Header("x-tenant".into());
        for read in Read::FIXED.iter().cloned().chain([header]) {
            assert_eq!(Read::parse(&read.to_string()), Some(read));
        }
        for text in ["", "header", "header:", "header:X-Tenant", "color"] {
            assert_eq!(Read::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_plan_is_the_same_in_whatever_order_and_however_often_reads_are_named() {
        let header = |name: &str| Read::Header(name.into());
        let one =
            Plan::new(PolicyDigest([1; 32]), [header("b"), Read::Path, header("a"), Read::Path], Rules::default());
        let other = Plan::new(PolicyDigest([1; 32]), [Read::Path, header("a"), header("b")], Rules::default());
        assert_eq!(one, other);
        assert_eq!(one.reads(), [header("a"), header("b"), Read::Path]);
        assert_ne!(one, Plan::new(PolicyDigest([2; 32]), one.reads().to_vec(), Rules::default()));
    }

    #[test]
    fn a_digest_prints_as_64_hex_digits() {
        let mut bytes = [0; 32];
        bytes[0] = 0xab;
        assert_eq!(PolicyDigest(bytes).to_string(), format!("ab{}", "0".repeat(62)));
    }
}
