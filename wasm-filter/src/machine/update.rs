//! One message from the Watch stream, from bytes to types; it applies nothing.

use authz_core::{
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
    /// Whether it concerns only decisions that rest on risk or posture.
    pub standing: bool,
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
    let link::Plan { digest, reads } = plan;
    let Ok(digest) = digest.try_into() else {
        return NewPlan::Unknown("the digest of the plan has not 32 bytes".into());
    };
    let (rules, reads): (Vec<_>, Vec<_>) = reads.into_iter().partition(|text| text == Rules::NO_PATH_PARAMETERS);
    // Who proves nothing is never answered from memory, so there is no rule about it here.
    let rules = Rules { refuse_path_parameters: !rules.is_empty(), ..Rules::default() };
    let parse =
        |text: &String| Read::parse(text).ok_or_else(|| format!("the plan reads {text:?}, unknown to this filter"));
    match reads.iter().map(parse).collect::<Result<Vec<Read>, String>>() {
        Ok(reads) => NewPlan::Known(Plan::new(PolicyDigest(digest), reads, rules)),
        Err(why) => NewPlan::Unknown(why),
    }
}

fn parse_probe(probe: link::Probe) -> Probe {
    let link::Probe { id, scopes, issued_before_ms } = probe;
    let mark = Mark { issued_before: Timestamp::from_millis(issued_before_ms), expires_at: Timestamp::NEVER };
    Probe { id, scopes: scopes.iter().filter_map(|scope| scope.parse().ok()).collect(), mark }
}

fn parse_invalidation(invalidation: link::Invalidation) -> Invalidation {
    let link::Invalidation { seq, scope, revoke, issued_before_ms, expires_at_ms, standing } = invalidation;
    let mark = Mark {
        issued_before: Timestamp::from_millis(issued_before_ms),
        expires_at: Timestamp::from_millis(expires_at_ms),
    };
    let action = if revoke { Action::Revoke(mark) } else { Action::Restore };
    Invalidation { seq: Seq(seq), scope: scope.parse().ok(), action, standing: standing && !revoke }
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
        let known = |digest: usize, reads: &[&str]| {
            let reads = reads.iter().map(|read| (*read).to_owned()).collect();
            let update =
                link::Update { plan: Some(link::Plan { digest: vec![1; digest], reads }), ..Default::default() };
            matches!(parsed(&update).plan, Some(NewPlan::Known(_)))
        };
        assert!(known(32, &["path", "header:x-tenant"]));
        assert!(!known(32, &["path", "phase-of-the-moon"]));
        assert!(!known(31, &[]));
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
