//! What is a test on a fact of time, what is another use, and what has nothing to do with it.

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
    use Mention::{Age, Chain, ChainValidity, Credential, ExpiresIn, Lifetime, Minute, Now, Weekday};
    for (condition, mentions) in [
        ("context has now", vec![Now]),
        ("context has clock.minute && context.clock has weekday", vec![Minute, Weekday]),
        ("context has clock", vec![]),
        ("principal has credential", vec![Credential]),
        ("context.origin has credential.age", vec![Credential, Chain]),
        (r#"principal.credential.age < duration("1h")"#, vec![Credential, Age]),
        (r#"principal.credential.expires_in < duration("1h")"#, vec![Credential, ExpiresIn]),
        (r#"principal.credential.lifetime < duration("1h")"#, vec![Credential, Lifetime]),
        (r#"context.origin.credential.lifetime < duration("1h")"#, vec![Credential, Chain, ChainValidity]),
        (r#"context.origin.credential.age < duration("1h")"#, vec![Credential, Chain, ChainValidity]),
        ("context == context", vec![Now, Minute, Weekday]),
    ] {
        assert_eq!(uses(condition).mentions, mentions.into_iter().collect(), "{condition}");
    }
}
