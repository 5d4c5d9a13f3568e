//! The sidecar's answer to one question, from bytes to types; whether it is still good is decided elsewhere.

use std::sync::Arc;

use authz_core::{
    decision::{DecisionId, Verdict},
    facts::Caller,
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    plan::{PolicyDigest, Read},
    reading::{Reading, Test, Uses},
    reason::{Class, Reason},
    signal::Seq,
    time::Timestamp,
};
use authz_wire::link;
use prost::Message;

/// A well-formed answer.
pub struct Response {
    /// Names the evaluation.
    pub id: DecisionId,
    /// What happens to the request.
    pub verdict: Verdict,
    /// Why; allows exactly if the verdict does.
    pub reason: Reason,
    /// First moment at which it no longer holds.
    pub holds_until: Timestamp,
    /// The verified caller; there is one if the verdict allows, but for a permit that lets in who proves nothing.
    pub caller: Option<Arc<Caller>>,
    /// Who is behind it.
    pub chain: Arc<Chain>,
    /// The position in the log under which it was decided.
    pub seq: Seq,
    /// The policy set under which it was decided.
    pub plan: Option<PolicyDigest>,
    /// Whether it may be kept.
    pub cacheable: bool,
    /// How such requests become a key, if that is said and understood here.
    pub reading: Option<Arc<Reading>>,
}

/// Reads an answer; `None` if it is none: no message, a missing part, an unknown verdict or reason, an allow that
/// names nobody or does not say why.
pub fn parse(bytes: &[u8]) -> Option<Response> {
    let link::DecideResponse { decision, caller, seq, plan, cacheable, chain, reading } =
        link::DecideResponse::decode(bytes).ok()?;
    let link::Decision { id, verdict, reason, policies: _, holds_until_ms } = decision?;
    let verdict = match link::Verdict::try_from(verdict).ok()? {
        link::Verdict::Unspecified => return None,
        link::Verdict::Allow => Verdict::Allow,
        link::Verdict::Challenge => Verdict::Challenge,
        link::Verdict::Deny => Verdict::Deny,
    };
    let reason = Reason::parse(&reason)?;
    let caller = caller.map(parse_caller);
    // A caller that can't be read is not the same as none.
    let caller = if let Some(parsed) = caller { Some(parsed?) } else { None };
    let understood = reading.as_ref().and_then(parse_reading);
    // An older one may be known here, but another is meant.
    let misunderstood = reading.is_some() && understood.is_none();
    let allows = verdict == Verdict::Allow;
    let names_nobody = caller.is_none() && reason != Reason::PermitUnverified;
    if allows != (reason.class() == Class::Allow) || (allows && names_nobody) {
        return None;
    }
    Some(Response {
        id: DecisionId(u128::from_be_bytes(id.try_into().ok()?)),
        verdict,
        reason,
        holds_until: Timestamp::from_millis(holds_until_ms),
        caller,
        chain: Arc::new(parse_chain(chain)?),
        seq: Seq(seq),
        plan: plan.try_into().ok().map(PolicyDigest),
        cacheable: cacheable && !misunderstood,
        reading: understood.map(Arc::new),
    })
}

/// `None` if it uses a fact or a test that is unknown here: then no key can be made.
fn parse_reading(reading: &link::Reading) -> Option<Reading> {
    let mut uses = Uses::default();
    for link::Use { read, whole, tests } in &reading.uses {
        let read = Read::parse(read)?;
        if *whole {
            uses.whole(read);
            continue;
        }
        uses.presence(read.clone());
        for test in tests {
            uses.test(read.clone(), Test::parse(test)?);
        }
    }
    Some(Reading::of(uses))
}

/// A response without a chain is of somebody who proved nothing, so nobody is behind.
fn parse_chain(chain: Option<link::Chain>) -> Option<Chain> {
    let Some(link::Chain { hops, reach }) = chain else { return Some(Chain::new(Vec::new(), Reach::Origin)) };
    let hops = hops.into_iter().map(parse_caller).collect::<Option<Vec<_>>>()?;
    Some(Chain::new(hops, Reach::parse(&reach)?))
}

fn parse_caller(caller: link::Caller) -> Option<Arc<Caller>> {
    let link::Caller { spiffe_id, digest, issuer, serial, not_before_ms, not_after_ms } = caller;
    let credential = Credential::new(
        SpiffeId::parse(&spiffe_id).ok()?,
        Digest::from_bytes(digest.try_into().ok()?),
        IssuerSerial::new(&issuer, &serial).ok()?,
        Timestamp::from_millis(not_before_ms),
        Timestamp::from_millis(not_after_ms),
    );
    Some(Caller::verified(credential.ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::tests::{allow, deny};

    #[track_caller]
    fn check(what: &str, change: impl FnOnce(&mut link::DecideResponse), good: bool) {
        let mut response = allow("/a", 1, 7);
        change(&mut response);
        assert_eq!(parse(&response.encode_to_vec()).is_some(), good, "{what}");
    }

    fn decision(response: &mut link::DecideResponse) -> &mut link::Decision {
        response.decision.as_mut().unwrap()
    }

    #[test]
    fn an_answer_with_a_part_missing_or_wrong_is_none() {
        check("as it is", |_| (), true);
        check("no decision", |it| it.decision = None, false);
        check("short ID", |it| decision(it).id = vec![1; 15], false);
        check("no verdict", |it| decision(it).verdict = 0, false);
        check("unknown verdict", |it| decision(it).verdict = 9, false);
        check("unknown reason", |it| decision(it).reason = "because".into(), false);
        check("allow with the reason of a denial", |it| decision(it).reason = "forbid".into(), false);
        check("denial with the reason of an allow", |it| decision(it).verdict = 2, false);
        check("allow for nobody", |it| it.caller = None, false);
        check("caller without path", |it| it.caller.as_mut().unwrap().spiffe_id = "spiffe://td".into(), false);
        check("caller with half a digest", |it| it.caller.as_mut().unwrap().digest = vec![1; 16], false);
        check("caller without serial", |it| it.caller.as_mut().unwrap().serial = String::new(), false);
        check(
            "allow for nobody by a policy that says so",
            |it| {
                (it.caller, decision(it).reason) = (None, "permit_unverified".into());
            },
            true,
        );
        check("chain that ends nowhere", |it| it.chain.as_mut().unwrap().reach = "moon".into(), false);
        check(
            "hop without digest",
            |it| {
                let hop = link::Caller { digest: Vec::new(), ..it.caller.clone().unwrap() };
                it.chain.as_mut().unwrap().hops = vec![hop];
            },
            false,
        );
        check("no plan", |it| it.plan = Vec::new(), true);
    }

    #[test]
    fn a_denial_may_name_nobody() {
        let mut response = deny("/a", 1, 7);
        response.caller = None;
        let parsed = parse(&response.encode_to_vec()).unwrap();
        assert_eq!((parsed.verdict, parsed.reason, parsed.caller.is_none()), (Verdict::Deny, Reason::NoPermit, true));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }
    }
}
