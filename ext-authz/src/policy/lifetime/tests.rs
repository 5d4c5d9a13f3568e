//! Property: until the moment that is named, Cedar gives the answer it gives now; and where the moment is exact, no longer.

use cedar_policy::{
    Context, Entities, Entity, EntityUid, EvalResult, Expression, Policy, Request, RestrictedExpression as Value,
    eval_expression,
};
use jiff::tz::TimeZoneDatabase;
use proptest::{prelude::*, sample::select};

use super::{quantity::Step, time_test::TimeTest, *};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Everything a test may look at, as an operator's Cedar sees it.
#[derive(Clone, Debug)]
struct World {
    zone: TimeZone,
    caller: Validity,
    origin: Validity,
}

impl World {
    /// What `expression` comes to at `now`; nothing for an error.
    fn answer(&self, expression: &Expression, now: i64) -> Option<bool> {
        // The clock by another way than that of the product: a calendar.
        let at = jiff::Timestamp::from_millisecond(now).unwrap();
        let local = at.to_zoned(TimeZoneDatabase::bundled().get(self.zone.name()).unwrap());
        let record =
            |pairs: [(&str, Value); 2]| Value::new_record(pairs.map(|(name, value)| (name.to_owned(), value))).unwrap();
        let clock = record([
            ("minute", Value::new_long(i64::from(local.hour()) * 60 + i64::from(local.minute()))),
            ("weekday", Value::new_long(local.weekday().to_monday_one_offset().into())),
        ]);
        let uid = |name: &str| format!("Workload::\"{name}\"").parse::<EntityUid>().unwrap();
        let workload = |name: &str, validity: Validity| {
            let duration = |millis: i64| Value::new_duration(format!("{millis}ms"));
            let credential = record([
                ("age", duration(now - validity.not_before)),
                ("expires_in", duration(validity.not_after - now)),
            ]);
            Entity::new(uid(name), [("credential".to_owned(), credential)].into(), [].into()).unwrap()
        };
        let moment = format!("datetime(\"1970-01-01\").offset(duration(\"{now}ms\"))").parse().unwrap();
        let pairs = [("now", moment), ("clock", clock), ("origin", Value::new_entity_uid(uid("o")))];
        let context = Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).unwrap();
        let entities = [workload("c", self.caller), workload("o", self.origin)];
        let entities = Entities::from_entities(entities, None).unwrap();
        let request = Request::new(uid("c"), uid("a"), uid("r"), context, None).unwrap();
        match eval_expression(&request, &entities, expression) {
            Ok(EvalResult::Bool(answer)) => Some(answer),
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    }

    fn moment(&self, now: i64) -> Moment<'_> {
        Moment {
            now: Timestamp::from_millis(now.try_into().unwrap()),
            zone: &self.zone,
            credentials: vec![self.caller, self.origin],
        }
    }
}

/// Within these days clocks change in Europe and on Lord Howe (by half an hour); some weeks before, in America.
const START: i64 = 1_774_656_000_000; // 2026-03-28
const DAYS: i64 = 9;

fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![
        START..START + DAYS * DAY,
        // In the hours in which clocks change.
        START + 24 * HOUR..START + 27 * HOUR,
        // At or beside what policies like to name.
        (0..DAYS * 48, -2..3_i64).prop_map(|(half, beside)| START + half * HOUR / 2 + beside),
    ]
}

fn datetimes() -> impl Strategy<Value = String> {
    let text = |at: i64| format!("datetime(\"{}\")", datetime(Timestamp::from_millis(at.try_into().unwrap())));
    prop_oneof![
        moments().prop_map(text),
        (0..DAYS).prop_map(move |day| text(START + day * DAY)),
        select(vec!["datetime(\"1969-12-31\")".to_owned(), "datetime(\"9999-12-31\")".to_owned()]),
    ]
}

fn durations() -> impl Strategy<Value = String> {
    let short = (-50..50_i64, select(vec!["ms", "m", "h", "d"])).prop_map(|(count, unit)| format!("{count}{unit}"));
    let huge = select(vec![i64::MIN, i64::MIN + START, -START, START, i64::MAX - START - DAY, i64::MAX])
        .prop_map(|millis| format!("{millis}ms"));
    prop_oneof![9 => short, 1 => huge].prop_map(|text| format!("duration(\"{text}\")"))
}

fn comparisons() -> impl Strategy<Value = &'static str> {
    select(vec!["<", "<=", ">", ">=", "==", "!="])
}

/// An expression of type `datetime`.
fn some_datetime() -> impl Strategy<Value = String> {
    let base = Just("context.now".to_owned());
    base.prop_recursive(3, 4, 1, |inner| {
        prop_oneof![
            (inner.clone(), durations()).prop_map(|(it, by)| format!("{it}.offset({by})")),
            inner.prop_map(|it| format!("{it}.toDate()")),
        ]
    })
}

/// An expression of type `duration`.
fn some_duration() -> impl Strategy<Value = String> {
    let credential = |whose: &str, what: &str| format!("{whose}.credential.{what}");
    prop_oneof![
        some_datetime().prop_map(|it| format!("{it}.toTime()")),
        (some_datetime(), datetimes()).prop_map(|(it, since)| format!("{it}.durationSince({since})")),
        (datetimes(), some_datetime()).prop_map(|(it, since)| format!("{it}.durationSince({since})")),
        (select(vec!["principal", "context.origin"]), select(vec!["age", "expires_in"]))
            .prop_map(move |(whose, what)| credential(whose, what)),
    ]
}

fn compared(left: &str, comparison: &str, right: &str, mirrored: bool) -> String {
    if mirrored { format!("{right} {comparison} {left}") } else { format!("{left} {comparison} {right}") }
}

/// A condition that is one test.
fn conditions() -> impl Strategy<Value = String> {
    let units = select(vec![
        ("toMilliseconds", DAY),
        ("toSeconds", 86_400),
        ("toMinutes", 1440),
        ("toHours", 30),
        ("toDays", 9),
    ]);
    let clock = select(vec!["minute", "weekday"]);
    prop_oneof![
        (some_datetime(), comparisons(), datetimes(), any::<bool>())
            .prop_map(|(it, op, constant, mirrored)| compared(&it, op, &constant, mirrored)),
        (some_duration(), comparisons(), durations(), any::<bool>())
            .prop_map(|(it, op, constant, mirrored)| compared(&it, op, &constant, mirrored)),
        (some_duration(), units, comparisons(), any::<prop::sample::Index>(), any::<bool>()).prop_map(
            |(it, (unit, most), op, at, mirrored)| {
                let constant = i64::try_from(at.index(usize::try_from(2 * most).unwrap())).unwrap() - most;
                compared(&format!("{it}.{unit}()"), op, &format!("({constant})"), mirrored)
            }
        ),
        (clock.clone(), comparisons(), prop_oneof![-1..9_i64, -1..1442_i64], any::<bool>()).prop_map(
            |(it, op, constant, mirrored)| compared(
                &format!("context.clock.{it}"),
                op,
                &constant.to_string(),
                mirrored
            )
        ),
        (clock, prop::collection::vec(prop_oneof![0..9_i64, 0..1440_i64], 0..5))
            .prop_map(|(it, members)| format!("{members:?}.contains(context.clock.{it})")),
        (some_datetime(), prop::collection::vec(datetimes(), 1..4))
            .prop_map(|(it, members)| format!("[{}].contains({it})", members.join(", "))),
    ]
}

fn worlds() -> impl Strategy<Value = World> {
    let zones = select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",
    ]);
    let validity = || {
        (moments(), moments()).prop_map(|(a, b)| Validity { not_before: a.min(b) - 3 * DAY, not_after: a.max(b) + DAY })
    };
    (zones, validity(), validity()).prop_map(|(zone, caller, origin)| World {
        zone: TimeZone::parse(zone).unwrap(),
        caller,
        origin,
    })
}

fn the_test(condition: &str) -> TimeTest {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    let uses = time_uses(&Policy::parse(None, policy).unwrap().to_pst().unwrap(), true);
    assert_eq!((uses.tests.len(), &uses.other_use), (1, &None), "{condition}");
    uses.tests.into_iter().next().unwrap()
}

/// Moments after `now` and before `flip`, close to both and in between.
fn between(now: i64, flip: i64) -> impl Iterator<Item = i64> {
    let span = flip - now;
    let beside = (0..4).flat_map(move |by| [now + (1 << by) - 1, flip - (1 << by), now + by * span / 4 + by]);
    let steps = (0..60).map(move |step| now + span / 60 * step);
    beside.chain(steps).filter(move |at| (now..flip).contains(at))
}

/// Whether a test's moment is one at which the result does change, and not only can.
fn is_exact(test: &TimeTest) -> bool {
    let starts_again = test.quantity.steps.contains(&Step::Time);
    !starts_again
        && match test.quantity.fact {
            TimeFact::Now | TimeFact::Age(Party::Caller) | TimeFact::ExpiresIn(Party::Caller) => true,
            TimeFact::Minute | TimeFact::Weekday | TimeFact::Age(_) | TimeFact::ExpiresIn(_) => false,
        }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn until_the_moment_that_is_named_cedar_answers_as_now(condition in conditions(), world in worlds(), now in moments()) {
        let (test, expression) = (the_test(&condition), condition.parse::<Expression>().unwrap());
        let flip = test.next_flip(&world.moment(now)).map(millis);
        let answer = world.answer(&expression, now);
        let end = flip.unwrap_or(now + 400 * DAY).min(now + 400 * DAY);
        prop_assert!(end >= now);
        for at in between(now, end) {
            prop_assert_eq!(world.answer(&expression, at), answer, "{} ms on", at - now);
        }
        match flip {
            Some(flip) if answer.is_none() => prop_assert_eq!(flip, now),
            Some(flip) if is_exact(&test) => {
                // Beyond that, calendars end.
                let last = 250_000_000_000_000;
                prop_assert!(flip > last || world.answer(&expression, flip) != answer, "nothing changes {} ms on", flip - now);
            }
            Some(flip) => prop_assert!(flip > now && (flip <= now + DAY || !starts_each_day(&test)), "{} ms on", flip - now),
            None => prop_assert!(is_exact(&test) || !starts_each_day(&test)),
        }
    }
}

/// What is bounded by the day, if by nothing else.
fn starts_each_day(test: &TimeTest) -> bool {
    test.quantity.steps.contains(&Step::Time) || matches!(test.quantity.fact, TimeFact::Minute | TimeFact::Weekday)
}

#[test]
fn the_moment_is_the_first_millisecond() {
    let world = World {
        zone: TimeZone::parse("Europe/Berlin").unwrap(),
        caller: Validity { not_before: START, not_after: START + DAY },
        origin: Validity { not_before: START - DAY, not_after: START + 2 * DAY },
    };
    // 2026-03-28 is a Saturday; in the night to Sunday, at one o'clock UTC, clocks in Berlin go from 2 to 3.
    let cases = [
        (r#"context.now < datetime("2026-03-28T17:00:00Z")"#, 0, Some(17 * HOUR)),
        (r#"context.now <= datetime("2026-03-28T17:00:00Z")"#, 0, Some(17 * HOUR + 1)),
        (r#"context.now < datetime("2026-03-28T17:00:00Z")"#, 17 * HOUR, None),
        (r#"context.now == datetime("2026-03-28T17:00:00Z")"#, 17 * HOUR, Some(17 * HOUR + 1)),
        (r#"context.now.toTime() < duration("17h")"#, 0, Some(17 * HOUR)),
        (r#"context.now.toTime() < duration("17h")"#, 17 * HOUR, Some(DAY)),
        ("context.now.toTime().toHours() <= 16", 0, Some(17 * HOUR)),
        (r#"context.now.toDate() == datetime("2026-03-29")"#, 0, Some(DAY)),
        (r#"context.now.toDate() == datetime("2026-03-29")"#, DAY, Some(2 * DAY)),
        ("context.clock.minute < 17 * 60", 0, Some(16 * HOUR)),
        ("context.clock.minute >= 3 * 60", 23 * HOUR, Some(25 * HOUR)),
        ("context.clock.weekday == 6", 0, Some(23 * HOUR)),
        (r#"principal.credential.age < duration("1h")"#, HOUR - 1, Some(HOUR)),
        (r#"principal.credential.age <= duration("1h")"#, HOUR - 1, Some(HOUR + 1)),
        ("principal.credential.age.toHours() < 1", 5, Some(HOUR)),
        (r#"principal.credential.expires_in > duration("1h")"#, 0, Some(23 * HOUR)),
        ("principal.credential.expires_in.toHours() >= 1", 0, Some(23 * HOUR + 1)),
        // Any of the chain.
        (r#"context.origin.credential.age < duration("30h")"#, 0, Some(6 * HOUR)),
    ];
    for (condition, now, expected) in cases {
        let flip = the_test(condition).next_flip(&world.moment(START + now)).map(|at| millis(at) - START);
        assert_eq!(flip, expected, "{condition} after {now} ms");
    }
}
