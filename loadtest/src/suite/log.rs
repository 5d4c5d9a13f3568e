//! A log of signals written before its sidecar starts, by the product's own code. It must not revoke anybody of the suite.

use std::path::Path;

use authz_core::revocation::Mark;
use authz_core::scope::Scope;
use authz_core::signal::{Action, Signal};
use countersign::clock;
use countersign::signals::{Log, LogError};

/// Writes `count` revocations without an end, a tenth of each kind.
///
/// # Errors
/// The log can't be written.
pub fn fill(path: &Path, count: u32) -> Result<(), LogError> {
    let log = Log::open(path)?;
    let at = clock::now();
    let signal = |(id, scope): (u32, Scope)| Signal {
        id: id.to_string().into(),
        scope,
        action: Action::Revoke(Mark::FOREVER),
        who: "uid:0".into(),
        why: "bench".into(),
        source: "".into(),
        at,
        event_at: None,
    };
    let mut signals = (0..count).filter_map(stranger).map(signal);
    loop {
        let batch: Vec<_> = signals.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        for appended in log.append_all(batch)? {
            appended?;
        }
    }
}

/// A scope of nobody in the suite.
fn stranger(number: u32) -> Option<(u32, Scope)> {
    let text = match number % 10 {
        0 => format!("agent:{number}"),
        1 => format!("certificate:{number:064x}"),
        2 => format!("device:{number}"),
        3 => format!("issuer-serial:CN=elsewhere#1{number:x}"),
        4 => format!("path-prefix:spiffe://elsewhere.test/ns/n{number}"),
        5 => format!("session:{number}"),
        6 => format!("spiffe-id:spiffe://elsewhere.test/ns/n{}/sa/{number}", number % 100),
        7 => format!("subject:https://elsewhere.test#{number}"),
        8 => format!("token:{number}"),
        _ => format!("trust-domain:d{number}.test"),
    };
    Some((number, text.parse().ok()?))
}

/// Signals that share one fsync.
const BATCH: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_holds_as_many_as_asked_each_about_something_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fill(&path, 1_000).unwrap();
        let mut scopes = std::collections::BTreeSet::new();
        Log::open(&path).unwrap().replay(|_, signal| _ = scopes.insert(signal.scope.to_string())).unwrap();
        assert_eq!(scopes.len(), 1_000);
    }
}
