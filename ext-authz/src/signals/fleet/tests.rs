//! What the tests of the fleet share.

use std::time::Duration;

use authz_core::{revocation::Mark, signal::Action, time::Timestamp};

use super::*;
use crate::config::NatsLogin;

pub(in crate::signals) fn signal(id: &str) -> Signal {
    signal_about(id, "trust-domain:demo.test")
}

pub(in crate::signals) fn signal_about(id: &str, scope: &str) -> Signal {
    Signal {
        id: id.into(),
        scope: scope.parse().unwrap(),
        action: Action::Revoke(Mark::FOREVER),
        who: "uid:0".into(),
        why: "test".into(),
        source: "".into(),
        at: Timestamp::from_millis(1_700_000_000_000),
        event_at: None,
    }
}

pub(super) fn config(port: u16) -> NatsConfig {
    NatsConfig {
        servers: vec![format!("nats://127.0.0.1:{port}").parse().unwrap()],
        stream: "countersign".to_owned(),
        subject: "countersign.signals".to_owned(),
        replicas: 1,
        login: NatsLogin::None,
        ca_file: None,
        certificate: None,
        allow_plaintext: false,
        check_every: Duration::from_millis(200),
        timeout: Duration::from_secs(5),
        import: false,
    }
}
