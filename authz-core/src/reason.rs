//! The closed set of reasons a decision can have, the same in response details, metrics, audit and metadata.

use std::fmt;

/// Declares every reason once: its name, its text and its class.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $class:ident;)+) => {
        /// Why a decision is what it is. Closed, so it may be a metric label.
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name in metrics, audit, metadata and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What kind of reason it is.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

/// Who must act on a reason: it separates "we said no" from "we could not say".
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The request may pass.
    Allow,
    /// Something of ours is broken or not there yet: an error, not a judgement.
    Error,
    /// The caller did not prove who it is.
    Identity,
    /// Policy judged the request.
    Policy,
    /// The request itself can't be judged.
    Request,
    /// What the caller rests on was taken back.
    Revocation,
}

reasons! {
    /// A `permit` matched and no `forbid` did.
    Permit, "permit", Allow;
    /// A `permit` that names `Unverified` matched a caller that proved nothing, and no `forbid` did.
    PermitUnverified, "permit_unverified", Allow;
    /// The connection carries no client certificate.
    CertificateMissing, "certificate_missing", Identity;
    /// The certificate is no X.509 certificate we can read.
    CertificateMalformed, "certificate_malformed", Identity;
    /// `notAfter` has passed.
    CertificateExpired, "certificate_expired", Identity;
    /// `notBefore` has not come.
    CertificateNotYetValid, "certificate_not_yet_valid", Identity;
    /// Certificate, `Hash` and chain do not speak of the same leaf.
    CertificateMismatch, "certificate_mismatch", Identity;
    /// No path from the leaf to the bundle of its trust domain.
    ChainInvalid, "chain_invalid", Identity;
    /// No bundle for the trust domain of the leaf.
    TrustDomainUnknown, "trust_domain_unknown", Identity;
    /// The leaf has no URI SAN.
    UriSanMissing, "uri_san_missing", Identity;
    /// The leaf has more than one URI SAN.
    UriSanMultiple, "uri_san_multiple", Identity;
    /// The URI SAN is no SPIFFE ID.
    SpiffeIdInvalid, "spiffe_id_invalid", Identity;
    /// The SPIFFE ID is that of a trust domain, not of a workload.
    SpiffeIdWithoutPath, "spiffe_id_without_path", Identity;
    /// The leaf is a CA certificate.
    LeafIsCa, "leaf_is_ca", Identity;
    /// The leaf's key usage is absent, not critical, lacks digitalSignature or may sign certificates or CRLs.
    KeyUsageInvalid, "key_usage_invalid", Identity;
    /// An extended key usage is present without both serverAuth and clientAuth.
    ExtendedKeyUsageInvalid, "extended_key_usage_invalid", Identity;
    /// `x-forwarded-client-cert` is not what Envoy writes.
    XfccInvalid, "xfcc_invalid", Identity;
    /// The caller, its certificate, path or trust domain is revoked.
    Revoked, "revoked", Revocation;
    /// A workload behind the caller, its certificate, path or trust domain is revoked.
    HopRevoked, "hop_revoked", Revocation;
    /// Method, path, host or a header policies read can't be understood.
    RequestMalformed, "request_malformed", Request;
    /// Readers may resolve the path differently: it is not normalised, or has parameters where they are not allowed.
    PathAmbiguous, "path_ambiguous", Request;
    /// A header that policies read has several values, or none that is text.
    HeaderAmbiguous, "header_ambiguous", Request;
    /// A query parameter that policies read is there twice, or readers may take it for different texts.
    QueryAmbiguous, "query_ambiguous", Request;
    /// The schema knows no such action.
    MethodUnknown, "method_unknown", Request;
    /// No `permit` matched.
    NoPermit, "no_permit", Policy;
    /// A `forbid` matched.
    Forbid, "forbid", Policy;
    /// A policy that could have matched failed to evaluate.
    PolicyError, "policy_error", Error;
    /// Policies or the log of signals are not in yet.
    NotReady, "not_ready", Error;
    /// The log of signals was lost for longer than its bound.
    ViewStale, "view_stale", Error;
    /// The filter could not reach its sidecar.
    SidecarUnreachable, "sidecar_unreachable", Error;
    /// The sidecar's answer was not one.
    LinkInvalid, "link_invalid", Error;
    /// The decision came from too old a view, again and again.
    Contended, "contended", Error;
    /// A fault of ours.
    Internal, "internal", Error;
}

impl Reason {
    /// Reads the name back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }

    /// HTTP status for the client: only 401, 403 and 503 are used, and 503 only for errors,
    /// because gRPC clients retry what Envoy maps to UNAVAILABLE.
    pub const fn http_status(self) -> u16 {
        match self.class() {
            Class::Allow => 200,
            Class::Identity => 401,
            Class::Policy | Class::Request | Class::Revocation => 403,
            Class::Error => 503,
        }
    }
}

impl Reason {
    /// HTTP status for a gRPC client. Envoy turns 503 into UNAVAILABLE, which clients retry: a storm on what is already
    /// in trouble. 401 becomes UNAUTHENTICATED, 403 `PERMISSION_DENIED`.
    pub const fn http_status_for_grpc(self) -> u16 {
        match self.http_status() {
            503 => 403,
            other => other,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Class {
    /// The name in metrics and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Error => "error",
            Self::Identity => "identity",
            Self::Policy => "policy",
            Self::Request => "request",
            Self::Revocation => "revocation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_own_text() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("no such reason"), None);
    }

    #[test]
    fn no_grpc_client_is_told_to_retry() {
        for reason in Reason::ALL {
            assert!(matches!(reason.http_status_for_grpc(), 200 | 401 | 403), "{reason}");
        }
    }

    #[test]
    fn only_allow_has_a_success_status() {
        for reason in Reason::ALL {
            assert_eq!(reason.http_status() < 400, reason.class() == Class::Allow, "{reason}");
        }
    }
}
