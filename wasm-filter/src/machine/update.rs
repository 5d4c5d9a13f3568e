//! One message from the Watch stream, from bytes to types; it applies nothing.

use std::sync::Arc;

use authz_core::{
    operations::Operations,
    plan::{Plan, PolicyDigest, Read, Rules},
    revocation::Mark,
    scope::Scope,
    signal::{Action, Seq},
    time::Timestamp,
};
use authz_wire::link;
use prost::Message;

/// A message, its parts in the order in which they are applied.
pub struct Update {
    /// The policy set now in force.
    pub plan: Option<NewPlan>,
    /// Forget what is kept, then apply what follows.
    pub resync: bool,
    /// What was revoked or restored.
    pub invalidations: Vec<Invalidation>,
    /// Everything up to here was delivered.
    pub reached: Option<Reached>,
    /// What is revoked of the scopes that open streams rest on is yet to be asked.
    pub ask_held: bool,
    /// It was answered.
    pub held_answered: bool,
    /// Beat and milliseconds of a lease.
    pub lease: Option<(u64, u64)>,
    /// A question about what is kept.
    pub probe: Option<Probe>,
    /// The highest number of a report received.
    pub received_report: u64,
}

/// What would revocations of these scopes take?
pub struct Probe {
    /// Comes back with the answer.
    pub id: u64,
    /// Those that this filter understands.
    pub scopes: Vec<Scope>,
    /// How far the revocations would reach.
    pub mark: Mark,
}

/// A position in a log.
#[derive(Clone, Hash, Default)]
pub struct Reached {
    /// The position.
    pub seq: Seq,
    /// What the sidecar calls the past up to it; said back, never looked into. Empty: it has no name for it.
    pub fingerprint: Box<[u8]>,
}

/// A policy set, or that there is one whose keys this filter can't derive.
pub enum NewPlan {
    /// Keys can be derived.
    Known(Plan),
    /// Something it reads is unknown here: nothing can be kept.
    Unknown(String),
}

/// One entry of the log as far as it concerns memory.
pub struct Invalidation {
    /// Its position.
    pub seq: Seq,
    /// What it speaks about; `None` if this filter does not understand it, so that it may be anything.
    pub scope: Option<Scope>,
    /// What happened to it.
    pub action: Action,
}

/// Reads a message; `None` if it is none.
pub fn parse(bytes: &[u8]) -> Option<Update> {
    let update = link::Update::decode(bytes).ok()?;
    let link::Update { plan, resync, invalidations, seq, lease, received_report, fingerprint, .. } = update;
    let (ask_held, held_answered) = (update.ask_held, update.held_answered);
    Some(Update {
        plan: plan.map(parse_plan),
        resync,
        invalidations: invalidations.into_iter().map(parse_invalidation).collect(),
        reached: reached(seq, fingerprint),
        ask_held,
        held_answered,
        lease: lease.map(|link::Lease { beat, ttl_ms }| (beat, ttl_ms)),
        probe: update.probe.map(parse_probe),
        received_report,
    })
}

/// Position 0 is said by an empty log, with a fingerprint; without one nothing is said.
fn reached(seq: u64, fingerprint: Vec<u8>) -> Option<Reached> {
    let said = seq > 0 || !fingerprint.is_empty();
    let fingerprint = if fingerprint.len() > MAX_FINGERPRINT { Vec::new() } else { fingerprint };
    said.then(|| Reached { seq: Seq(seq), fingerprint: fingerprint.into() })
}

fn parse_plan(plan: link::Plan) -> NewPlan {
    let link::Plan { digest, reads, operations } = plan;
    let Ok(digest) = digest.try_into() else {
        return NewPlan::Unknown("the digest of the plan has not 32 bytes".into());
    };
    match parse_reads(&reads).and_then(|reads| Ok((reads, parse_operations(&operations)?))) {
        Ok((Reads { facts, rules, by_operation }, operations)) => {
            let plan = Plan::new(PolicyDigest(digest), facts, rules);
            // Operations that are not announced, or not there, are a plan of another time.
            match (by_operation, operations) {
                (false, None) => NewPlan::Known(plan),
                (true, Some(operations)) => NewPlan::Known(plan.with_operations(Arc::new(operations))),
                _ => NewPlan::Unknown("the plan has operations in one place only".into()),
            }
        }
        Err(why) => NewPlan::Unknown(why),
    }
}

/// What stands among the reads of a plan.
struct Reads {
    facts: Vec<Read>,
    rules: Rules,
    by_operation: bool,
}

fn parse_reads(texts: &[String]) -> Result<Reads, String> {
    // Who proves nothing is never answered from memory, so there is no rule about it here.
    let mut parsed = Reads { facts: Vec::with_capacity(texts.len()), rules: Rules::default(), by_operation: false };
    for text in texts {
        match text.as_str() {
            Rules::NO_PATH_PARAMETERS => parsed.rules.refuse_path_parameters = true,
            Plan::BY_OPERATION => parsed.by_operation = true,
            text => {
                let read = Read::parse(text);
                parsed.facts.push(read.ok_or_else(|| format!("the plan reads {text:?}, unknown to this filter"))?);
            }
        }
    }
    Ok(parsed)
}

fn parse_operations(texts: &[String]) -> Result<Option<Operations>, String> {
    let parsed = (!texts.is_empty()).then(|| Operations::parse(texts.iter().map(String::as_str)));
    parsed.transpose().map_err(|error| format!("the plan has an operation that is unknown to this filter: {error}"))
}

fn parse_probe(probe: link::Probe) -> Probe {
    let link::Probe { id, scopes, issued_before_ms } = probe;
    let mark = Mark { issued_before: Timestamp::from_millis(issued_before_ms), expires_at: Timestamp::NEVER };
    Probe { id, scopes: scopes.iter().filter_map(|scope| scope.parse().ok()).collect(), mark }
}

fn parse_invalidation(invalidation: link::Invalidation) -> Invalidation {
    let link::Invalidation { seq, scope, revoke, issued_before_ms, expires_at_ms } = invalidation;
    let mark = Mark {
        issued_before: Timestamp::from_millis(issued_before_ms),
        expires_at: Timestamp::from_millis(expires_at_ms),
    };
    let action = if revoke { Action::Revoke(mark) } else { Action::Restore };
    Invalidation { seq: Seq(seq), scope: scope.parse().ok(), action }
}

/// Twice what any is; a longer one is not worth keeping.
const MAX_FINGERPRINT: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(update: &link::Update) -> Update {
        parse(&update.encode_to_vec()).unwrap()
    }

    #[test]
    fn a_plan_with_anything_unknown_is_unknown() {
        let known = |digest: usize, reads: &[&str], operations: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let plan = link::Plan { digest: vec![1; digest], reads: texts(reads), operations: texts(operations) };
            let update = link::Update { plan: Some(plan), ..Default::default() };
            matches!(parsed(&update).plan, Some(NewPlan::Known(_)))
        };
        assert!(known(32, &["path", "header:x-tenant"], &[]));
        assert!(!known(32, &["path", "phase-of-the-moon"], &[]));
        assert!(!known(31, &[], &[]));
        assert!(known(32, &["resource", "by-operation"], &["GET /a", "grpc a.B/C", "GET /a/{x} = {x}"]));
        assert!(!known(32, &["by-operation"], &["GET /a", "mqtt a/b"]));
        assert!(!known(32, &["by-operation"], &["GET /a", "GET /a"]));
        assert!(!known(32, &["by-operation"], &[]));
        assert!(!known(32, &[], &["GET /a"]));
    }

    #[test]
    fn a_scope_that_is_not_understood_may_be_anything() {
        let invalidation =
            |scope: &str| link::Invalidation { seq: 3, scope: scope.into(), revoke: true, ..Default::default() };
        let invalidations = vec![invalidation("spiffe-id:spiffe://td/a"), invalidation("colour:red")];
        let update = parsed(&link::Update { invalidations, ..Default::default() });
        assert_eq!(update.invalidations.iter().map(|it| it.scope.is_some()).collect::<Vec<_>>(), [true, false]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }
    }
}
