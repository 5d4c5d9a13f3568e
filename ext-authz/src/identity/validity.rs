//! A window of time, as certificates state it. It asks no clock.

use authz_core::time::Timestamp;
use x509_parser::prelude::{ASN1Time, X509Certificate};

/// First and last moment of something, both included (RFC 5280 §4.1.2.5).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// The window of one certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { not_before: moment(validity.not_before), not_after: moment(validity.not_after) }
    }

    /// Whether `now` lies in it.
    pub(super) fn contains(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// The same, but over before a `moment` that lies after `now`.
    pub(super) fn until(self, moment: Option<Timestamp>, now: Timestamp) -> Self {
        match moment.filter(|moment| now < *moment) {
            Some(moment) => Self {
                not_after: self.not_after.min(Timestamp::from_millis(moment.as_millis().saturating_sub(1))),
                ..self
            },
            None => self,
        }
    }

    /// The time in which both hold.
    pub(super) fn and(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: self.not_after.min(other.not_after) }
    }
}

/// Times before 1970 become 1970: certificates have whole seconds, and nobody lives there.
fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}
