//! What is a test on a fact of time, what is another use, and what has nothing to do with it.

use authz_core::reading::Test;

use super::*;

fn uses(condition: &str) -> TimeUses {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    time_uses(&cedar_policy::Policy::parse(None, policy).unwrap().to_pst().unwrap(), true)
}

#[test]
fn comparisons_with_constants_are_tests() {
    for condition in [
        r#"context.now < datetime("2026-01-01")"#,
        r#"datetime("2026-01-01") >= context.now"#,
        r#"context.now.offset(duration("1h")).offset(duration("-1ms")) == datetime("2026-01-01")"#,
        r#"context.now.durationSince(datetime("2026-01-01")) <= duration("30d")"#,
        r#"datetime("2026-01-01").durationSince(context.now).toDays() > 3"#,
        r#"context.now.toTime() < duration("17h")"#,
        r#"context.now.offset(duration("1h")).toTime().toHours() >= 9"#,
        r#"context.now.toDate() != datetime("2026-12-24")"#,
        r#"[datetime("2026-12-24"), datetime("2026-12-25")].contains(context.now.toDate())"#,
        "context.clock.minute >= 9 * 60",
        "[6, 7].contains(context.clock.weekday)",
        r#"principal.credential.age < duration("1h")"#,
        "principal.credential.expires_in.toMinutes() > 5",
        r#"context.origin.credential.age <= duration("1d")"#,
    ] {
        let found = uses(condition);
        assert_eq!((found.tests.len(), &found.other_use), (1, &None), "{condition}");
        assert_eq!(&*found.tests[0].text, condition.replace("9 * 60", "(9 * 60)").as_str());
        // Wherever it stands.
        let found = uses(&format!("if true && !({condition}) then 1 == 2 else [true].contains({condition})"));
        assert_eq!((found.tests.len(), found.other_use), (2, None), "{condition}");
    }
}

#[test]
fn any_other_use_is_named() {
    for (condition, named) in [
        ("context.now < context.now", "context.now"),
        (r#"context.now.offset(context.d) < datetime("2026-01-01")"#, "context.now"),
        ("context.clock.minute < resource.closes", "context.clock.minute"),
        ("context.clock.minute + 5 < 600", "context.clock.minute"),
        ("context.clock == context.clock", "context.clock"),
        (r#"{"c": context}.c.now < datetime("2026-01-01")"#, "context"),
        (r#"(if true then context else context).now < datetime("2026-01-01")"#, "context"),
        ("principal.credential == context.origin.credential", "context.origin.credential"),
        ("principal.credential.age < principal.credential.lifetime", "principal.credential.age"),
        (r#"Workload::"a".credential.age < duration("1h")"#, r#"Workload::"a".credential.age"#),
        (r#"principal.manager.credential.age < duration("1h")"#, "principal.manager.credential.age"),
        (
            r#"context.origin.manager.credential.lifetime < duration("1h")"#,
            "context.origin.manager.credential.lifetime",
        ),
        (r#"principal.getTag("t").credential.age < duration("1h")"#, r#"principal.getTag("t").credential.age"#),
        (r#"Workload::"a" has credential"#, r#"Workload::"a" has credential"#),
        ("[context.clock.minute].contains(5)", "context.clock.minute"),
        ("[5].containsAny([context.clock.minute])", "context.clock.minute"),
        ("[resource.open, 5].contains(context.clock.minute)", "context.clock.minute"),
    ] {
        let found = uses(condition);
        let other = found.other_use.as_ref();
        assert!(other.is_some_and(|other| other.text.contains(named)), "{condition}: {found:?}");
    }
}

#[test]
fn what_is_not_of_time_is_left_alone() {
    for condition in [
        r#"context.http.path == "/""#,
        r#"context.http.headers has credential && context.http.headers.credential == "x""#,
        r#"principal == Workload::"a" && principal is Workload && principal in TrustDomain::"td""#,
        r#"context has origin && context.origin.path like "/a*""#,
        r#"context.http.headers has now && context.http.headers.now == "x""#,
    ] {
        assert_eq!(uses(condition), TimeUses::default(), "{condition}");
    }
}

#[test]
fn what_is_mentioned_must_be_there_and_what_is_compared_must_be_in_the_key() {
    use Mention::{Chain, Credential, Minute, Now, Weekday};
    use Read::{CredentialNotAfter, CredentialNotBefore, HopCredentials};
    for (condition, mentions, reads) in [
        ("context has now", vec![Now], vec![]),
        ("context has clock.minute && context.clock has weekday", vec![Minute, Weekday], vec![]),
        ("context has clock", vec![], vec![]),
        ("principal has credential", vec![Credential], vec![]),
        ("context.origin has credential.age", vec![Credential, Chain], vec![]),
        (r#"principal.credential.age < duration("1h")"#, vec![Credential], vec![CredentialNotBefore]),
        (r#"principal.credential.expires_in < duration("1h")"#, vec![Credential], vec![CredentialNotAfter]),
        ("principal.credential.lifetime.toHours() < 1", vec![Credential], vec![Read::CredentialLifetime]),
        (r#"context.origin.credential.lifetime < duration("1h")"#, vec![Credential, Chain], vec![HopCredentials]),
        (r#"context.origin.credential.age < duration("1h")"#, vec![Credential, Chain], vec![HopCredentials]),
        ("context == context", vec![Now, Minute, Weekday], vec![]),
    ] {
        let found = uses(condition);
        assert_eq!(found.mentions, mentions.into_iter().collect(), "{condition}");
        assert_eq!(found.reads, reads.into_iter().collect(), "{condition}");
    }
}

#[test]
fn of_a_lifetime_the_key_holds_the_class_by_its_comparisons_with_constants() {
    for (condition, thresholds) in [
        (r#"principal.credential.lifetime < duration("1h")"#, vec![3_599_999]),
        (r#"principal.credential.lifetime <= duration("1h")"#, vec![3_600_000]),
        (r#"duration("1h") < principal.credential.lifetime"#, vec![3_600_000]),
        (r#"principal.credential.lifetime == duration("1s")"#, vec![999, 1_000]),
    ] {
        let found = uses(condition);
        let mut expected = Uses::default();
        for number in thresholds {
            expected.test(Read::CredentialLifetime, Test::AtMost(number));
        }
        assert_eq!((found.reads, found.other_use), (expected, None), "{condition}");
    }
}
