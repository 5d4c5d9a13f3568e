//! Requests at moments the test names: what the request path says, and from where it has it.

use std::time::Duration;

use authz_core::{
    facts::{Caller, Http, NoHeaders},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
};

use super::*;
use crate::{
    config::DegradedConfig,
    identity::{Bundles, Forwarding},
    policy::{self, Sources, TimeZone},
};

/// A checker that is ready, with this policy text, in Berlin, where decisions may be reused for a day.
fn checker(text: &str) -> Checker {
    let sources = Sources {
        policies: vec![policy::Source { name: "a.cedar".into(), text: text.into() }],
        schema: None,
        entities: None,
        operations: None,
        service: "cart".into(),
        limit_millis: 86_400_000,
        deny_limit_millis: 86_400_000,
        refuse_path_parameters: false,
        time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
    };
    let state = State::default();
    state.set_replayed();
    state.set_trusted(TrustDigest([0; 32]));
    state.set_policy(Arc::new(policy::compile(&sources).unwrap()));
    let verifier = Verifier::new(Bundles::new([]), Forwarding::default());
    let (log_lost, store_unwritable) = (Conduct::Deny, Conduct::Deny);
    let degraded = DegradedConfig { max_view_age: Duration::from_secs(30), log_lost, store_unwritable };
    let cache = DecisionCache::new(100, Duration::from_hours(24));
    Checker::new(Arc::new(state), Arc::new(verifier), cache, Degraded::never(degraded))
}

/// What is said to a workload whose certificate is of this time, and by which part.
fn said(checker: &Checker, (not_before, not_after): (&str, &str), now: &str) -> (&'static str, Source) {
    let id = SpiffeId::parse("spiffe://td/web").unwrap();
    let serial = IssuerSerial::new("CN=root", "1f").unwrap();
    let credential = Credential::new(id, Digest::from_bytes([7; 32]), serial, at(not_before), at(not_after));
    let caller = Caller::verified(credential.unwrap());
    let http = Http::new("GET", "/", "cart", "https", "HTTP/2", &NoHeaders);
    let outcome = checker.decide(&Facts::of_http(Presented::Verified(&caller), http), at(now));
    (outcome.decision.reason.as_str(), outcome.source)
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(instant.as_millisecond().try_into().unwrap())
}

const LONG: (&str, &str) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");

#[test]
fn business_hours_begin_and_end_at_the_millisecond_also_for_decisions_in_the_cache() {
    let checker = checker(
        "permit(principal, action, resource)
        when { [1, 2, 3, 4, 5].contains(context.clock.weekday) && context.clock.minute >= 9 * 60 && context.clock.minute < 17 * 60 };",
    );
    // A Wednesday, when Berlin is an hour ahead.
    let cases = [
        ("2026-11-25T07:30:00.000Z", "no_permit", Source::Policy),
        ("2026-11-25T07:59:59.999Z", "no_permit", Source::Cache),
        ("2026-11-25T08:00:00.000Z", "permit", Source::Policy),
        ("2026-11-25T15:59:59.999Z", "permit", Source::Cache),
        ("2026-11-25T16:00:00.000Z", "no_permit", Source::Policy),
        ("2026-11-25T22:59:59.999Z", "no_permit", Source::Cache),
    ];
    for (now, reason, source) in cases {
        assert_eq!(said(&checker, LONG, now), (reason, source), "{now}");
    }
}

#[test]
fn the_clock_that_policies_see_is_put_forward_and_back_with_that_of_the_zone() {
    let checker = checker("permit(principal, action, resource) when { context.clock.minute >= 150 };");
    let cases = [
        // On 2026-03-29, at one o'clock UTC, two becomes three.
        ("2026-03-29T00:59:59.999Z", "no_permit", Source::Policy),
        ("2026-03-29T01:00:00.000Z", "permit", Source::Policy),
        // On 2026-10-25, at one o'clock UTC, three becomes two.
        ("2026-10-25T00:29:59.999Z", "no_permit", Source::Policy),
        ("2026-10-25T00:30:00.000Z", "permit", Source::Policy),
        ("2026-10-25T00:59:59.999Z", "permit", Source::Cache),
        ("2026-10-25T01:00:00.000Z", "no_permit", Source::Policy),
        ("2026-10-25T01:30:00.000Z", "permit", Source::Policy),
    ];
    for (now, reason, source) in cases {
        assert_eq!(said(&checker, LONG, now), (reason, source), "{now}");
    }
}

#[test]
fn a_certificate_that_is_too_old_ends_what_was_allowed_and_a_new_one_is_allowed_at_once() {
    let checker = checker(
        r#"permit(principal, action, resource) when { principal has credential && principal.credential.age < duration("1h") };"#,
    );
    let first = ("2026-11-25T08:00:00Z", "2026-11-26T08:00:00Z");
    let second = ("2026-11-25T08:30:00Z", "2026-11-26T08:00:00Z");
    let cases = [
        (first, "2026-11-25T08:59:00.000Z", "permit", Source::Policy),
        (first, "2026-11-25T08:59:59.999Z", "permit", Source::Cache),
        (first, "2026-11-25T09:00:00.000Z", "no_permit", Source::Policy),
        (second, "2026-11-25T09:00:00.000Z", "permit", Source::Policy),
        (first, "2026-11-25T09:00:00.001Z", "no_permit", Source::Cache),
        (second, "2026-11-25T09:29:59.999Z", "permit", Source::Cache),
        (second, "2026-11-25T09:30:00.000Z", "no_permit", Source::Policy),
    ];
    for (validity, now, reason, source) in cases {
        assert_eq!(said(&checker, validity, now), (reason, source), "{validity:?} at {now}");
    }
}

#[test]
fn what_uses_the_time_in_any_other_way_is_decided_anew_each_time() {
    let checker = checker("permit(principal, action, resource) when { context.clock.minute * 2 < 1000 };");
    for _ in 0..2 {
        assert_eq!(said(&checker, LONG, "2026-11-25T07:19:59.999Z"), ("permit", Source::Policy));
    }
    assert_eq!(said(&checker, LONG, "2026-11-25T07:20:00.000Z"), ("no_permit", Source::Policy));
}
