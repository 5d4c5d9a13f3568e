//! Label values that exist from the start: a counter that is not there can't be alerted on. It counts nothing.

use authz_core::{
    decision::Verdict,
    reason::{Class, Reason},
};

use super::Metrics;
use crate::{
    control::{self, UseResult},
    degraded::Condition,
    filters::session::Contradiction,
    identity::{Origin, workload_api::Feed},
    policy::control::ControlAction,
    state::Part,
    tls::{Listener, Outcome},
};

impl Metrics {
    /// Makes every label value that can occur, so that none is missing before it first does.
    pub(super) fn create_closed_labels(&self) {
        for verdict in Verdict::ALL {
            self.filter_hits.with_label_values(&[verdict.as_str()]);
        }
        for reason in Reason::ALL.iter().filter(|reason| reason.class() == Class::Error) {
            self.filter_local.with_label_values(&[reason.as_str()]);
        }
        for event in ["deny", "miss", "reset", "stale"] {
            self.filter_events.with_label_values(&[event]);
        }
        for condition in Condition::ALL {
            self.degraded.with_label_values(&[condition.as_str()]);
        }
        for reason in ["refused", "stuck"] {
            self.filters_cut.with_label_values(&[reason]);
        }
        for contradiction in Contradiction::ALL {
            self.log_contradictions.with_label_values(&[contradiction.as_str()]);
        }
        for kind in ["posture", "restore", "revoke", "risk"] {
            self.signals.with_label_values(&[kind]);
        }
        for result in ["accepted", "refused"] {
            self.control_policy_reloads.with_label_values(&[result]);
            self.policy_reloads.with_label_values(&[result]);
            self.bundle_reloads.with_label_values(&[result]);
        }
        for result in ["accepted", "refused", "withdrawn"] {
            self.svid_reloads.with_label_values(&[result]);
        }
        for origin in Origin::ALL {
            for result in ["accepted", "failed", "refused"] {
                self.bundle_fetches.with_label_values(&[origin.as_str(), result]);
            }
        }
        for part in Part::ALL {
            self.ready.with_label_values(&[part.as_str()]).set(0);
        }
        self.create_control_labels();
        self.create_tls_labels();
        self.create_workload_api_labels();
    }

    fn create_control_labels(&self) {
        for action in ControlAction::ALL.iter().map(|action| action.as_str()).chain([control::BATCH, control::UNKNOWN])
        {
            for result in UseResult::ALL {
                self.control_requests.with_label_values(&[action, result.as_str()]);
            }
        }
    }

    fn create_workload_api_labels(&self) {
        for feed in Feed::ALL {
            self.workload_api_up.with_label_values(&[feed.as_str()]).set(0);
            for result in ["accepted", "denied", "lost", "refused", "rejected"] {
                self.workload_api_updates.with_label_values(&[feed.as_str(), result]);
            }
        }
        for kind in ["crls", "jwt_bundles", "svids", "x509_bundles"] {
            self.workload_api_held.with_label_values(&[kind]).set(0);
        }
    }

    fn create_tls_labels(&self) {
        for listener in Listener::ALL.iter().map(|it| it.as_str()) {
            for outcome in Outcome::ALL {
                self.tls_handshakes.with_label_values(&[listener, outcome.as_str()]);
            }
            for outcome in [Outcome::Error, Outcome::Revoked, Outcome::Untrusted] {
                self.tls_refused_requests.with_label_values(&[listener, outcome.as_str()]);
            }
        }
    }
}
