//! The closed sets of words about handshakes, as metrics and logs use them; it counts nothing.

/// A listener with TLS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Metrics and health.
    Admin,
    /// Signals.
    Control,
    /// `ext_authz` and link.
    ExtAuthz,
}

impl Listener {
    /// Every listener.
    pub const ALL: &[Self] = &[Self::Admin, Self::Control, Self::ExtAuthz];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Control => "control",
            Self::ExtAuthz => "ext_authz",
        }
    }

    /// The knob that says who may come in.
    pub const fn allow_knob(self) -> &'static str {
        match self {
            Self::Admin => "listen.admin.allow",
            Self::Control => "listen.control_tcp.allow",
            Self::ExtAuthz => "listen.ext_authz_tcp.allow",
        }
    }
}

/// How a handshake ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other end broke it off with an alert: most often it does not trust our SVID.
    Alert,
    /// It gave way to newer ones, as the oldest of too many that were not done.
    Crowded,
    /// The connection broke.
    Error,
    /// The client presented no certificate.
    NoCertificate,
    /// We have no SVID.
    NoOwnSvid,
    /// The client is who it says, and not on the list.
    NotAllowed,
    /// Done, both sides are known.
    Ok,
    /// Our SVID is not valid now.
    OwnSvidExpired,
    /// The client does not speak TLS, or none that we speak.
    Protocol,
    /// The client is who it says, and revoked.
    Revoked,
    /// The client took too long.
    Timeout,
    /// The certificate proves nothing to us.
    Untrusted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &[Self] = &[
        Self::Alert,
        Self::Crowded,
        Self::Error,
        Self::NoCertificate,
        Self::NoOwnSvid,
        Self::NotAllowed,
        Self::Ok,
        Self::OwnSvidExpired,
        Self::Protocol,
        Self::Revoked,
        Self::Timeout,
        Self::Untrusted,
    ];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Crowded => "crowded",
            Self::Error => "error",
            Self::NoCertificate => "no_certificate",
            Self::NoOwnSvid => "no_own_svid",
            Self::NotAllowed => "not_allowed",
            Self::Ok => "ok",
            Self::OwnSvidExpired => "own_svid_expired",
            Self::Protocol => "protocol",
            Self::Revoked => "revoked",
            Self::Timeout => "timeout",
            Self::Untrusted => "untrusted",
        }
    }

    /// What an operator can do about it, for the log.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Alert => "see whether the client trusts our trust domain and expects our SPIFFE ID",
            Self::Crowded => "somebody opens connections and does not go on; find out who",
            Self::Error | Self::Ok | Self::Timeout => "none needed, unless clients complain",
            Self::NoCertificate => "the client must present its X.509-SVID",
            Self::NoOwnSvid => "see the log for why the files of identity.svid or the Workload API give none",
            Self::NotAllowed => "if it should come in, add its SPIFFE ID to the list of this listener",
            Self::OwnSvidExpired => "renew the files of identity.svid, or see the Workload API",
            Self::Protocol => {
                "the client must speak TLS 1.3 (listen.tls_min_version) and the protocol of this listener"
            }
            Self::Revoked => "countersign restore, if it should not be",
            Self::Untrusted => "the client needs a valid SVID of a trust domain in identity.trust_bundles",
        }
    }
}
