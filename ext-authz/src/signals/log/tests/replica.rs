//! A replica takes its positions from elsewhere, and a snapshot where it can't get them all.

use super::*;

fn numbered(numbers: std::ops::RangeInclusive<u64>) -> Vec<(Seq, Signal)> {
    numbers.map(|number| (Seq(number), signal(number))).collect()
}

fn exported(log: &Log) -> (Seq, Vec<u8>) {
    let mut bytes = Vec::new();
    let seq = log.export(&mut bytes).unwrap();
    (seq, bytes)
}

#[test]
fn entries_follow_without_a_gap_or_none_is_taken() {
    let place = Place::new();
    let log = place.log();
    let results = log.append_at(numbered(1..=3)).unwrap();
    assert!(results.into_iter().all(|it| !it.unwrap().known));
    let mut gap = numbered(4..=6);
    gap.remove(1);
    for (entries, expected, found) in [(numbered(5..=6), 4, 5), (numbered(3..=4), 4, 3), (gap, 5, 6)] {
        let error = log.append_at(entries).unwrap_err();
        assert!(
            matches!(error, LogError::Gap { expected: e, found: f } if (e, f) == (Seq(expected), Seq(found))),
            "{error}"
        );
    }
    assert!(!log.has_failed() && log.append_at(Vec::new()).unwrap().is_empty());
    log.append_at(numbered(4..=4)).unwrap();
    drop(log);
    assert_eq!(replayed(&place.log()), expected(4));
}

#[test]
fn an_id_that_comes_again_keeps_its_position_and_counts_for_nothing() {
    let place = Place::new();
    let log = place.log();
    let again = Signal { at: Timestamp::from_millis(99), ..signal(1) };
    let other = Signal { why: "another".into(), ..signal(1) };
    let results =
        log.append_at(vec![(Seq(1), signal(1)), (Seq(2), again), (Seq(3), other), (Seq(4), signal(4))]).unwrap();
    let [first, second, third, fourth] = results.try_into().unwrap();
    assert!(!first.unwrap().known && !fourth.unwrap().known);
    assert_eq!(second.unwrap(), Appended { seq: Seq(1), signal: signal(1), known: true });
    assert!(matches!(third, Err(LogError::Conflict { .. })));
    let counting = vec![(Seq(1), signal(1)), (Seq(4), signal(4))];
    assert_eq!((log.head(), log.stored().unwrap(), replayed(&log)), (Seq(4), 4, counting.clone()));
    assert_eq!(log.read_after(Seq(1), 1).unwrap(), counting[1..]);
    assert_eq!(log.known(&signal(1)).unwrap().unwrap().unwrap().seq, Seq(1));
    assert!(log.known(&signal(5)).unwrap().is_none());
    drop(log);
    assert_eq!(replayed(&place.log()), counting);
}

/// One replica compacts, the other never does.
#[test]
fn replicas_agree_on_what_counts_and_on_the_history_however_they_were_compacted() {
    let day = |days: u64| Timestamp::from_millis(days * 24 * 60 * 60 * 1000);
    let at = |number, days| Signal { at: day(days), ..signal(number) };
    let stream = [at(1, 0), at(2, 1), at(1, 7), at(2, 9), at(1, 10), at(4, 30), at(2, 31)];
    let (place, other) = (Place::new(), Place::new());
    let (whole, compacted) = (place.log(), other.log());
    let mut counted = Vec::new();
    for (index, entry) in stream.into_iter().enumerate() {
        let (seq, now) = (Seq(index as u64 + 1), entry.at);
        let [first, second] = [&whole, &compacted].map(|log| log.append_at(vec![(seq, entry.clone())]).unwrap());
        let known = |results: Vec<Result<Appended, LogError>>| results[0].as_ref().unwrap().known;
        let known = (known(first), known(second));
        assert_eq!(known.0, known.1, "signal {seq}");
        counted.push(!known.0);
        assert_eq!(whole.fingerprint(seq).unwrap(), compacted.fingerprint(seq).unwrap());
        compacted.compact(seq, now, |_, _| true).unwrap();
        assert_eq!(compacted.fingerprint(seq), whole.fingerprint(seq));
        assert_eq!(compacted.stored().unwrap(), 0);
    }
    // An ID stays known for seven days from when its first signal was accepted, removed or not.
    assert_eq!(counted, [true, true, false, true, true, true, true]);
}

#[test]
fn a_snapshot_makes_an_empty_log_or_an_older_replica_the_same() {
    let place = Place::new();
    let log = place.log();
    log.append_at(numbered(1..=200)).unwrap();
    log.append_at(vec![(Seq(201), signal(7))]).unwrap();
    log.compact(Seq(150), Timestamp::from_millis(0), |seq, _| seq.0 % 5 != 0).unwrap();
    let (end, bytes) = exported(&log);
    assert_eq!(end, Seq(201));
    for own in [0, 1, 100, 149, 150, 180, 200] {
        let place = Place::new();
        let replica = place.log();
        replica.append_at(numbered(1..=own)).unwrap();
        assert_eq!(replica.import(&*bytes).unwrap(), Seq(201), "over {own}");
        assert_eq!((replayed(&replica), exported(&replica).1), (replayed(&log), bytes.clone()));
        // A removed signal is remembered here as well.
        assert!(replica.append(signal(1)).unwrap().known);
        replica.append(signal(202)).unwrap();
        drop(replica);
        let replica = place.log();
        assert_eq!((replica.head(), replica.fingerprint(Seq(201))), (Seq(202), log.fingerprint(Seq(201))));
    }
}

#[test]
fn a_snapshot_that_is_older_or_of_another_history_is_refused_and_the_log_stays() {
    let (place, other) = (Place::new(), Place::new());
    let (log, foreign) = (place.log(), other.log());
    log.append_at(numbered(1..=10)).unwrap();
    foreign.append_at((1..=20).map(|number| (Seq(number), signal(number + 1))).collect()).unwrap();
    let foreign = exported(&foreign).1;
    let older = exported(&log).1;
    log.append_at(numbered(11..=12)).unwrap();
    let cases = [
        (older, "ends at 10, before this log, which ends at 12"),
        (foreign, "up to signal 12 it holds others than this log"),
    ];
    for (bytes, expected_text) in cases {
        let error = log.import(&*bytes).unwrap_err();
        assert!(error.to_string().contains(expected_text), "{error}");
        assert_eq!((log.has_failed(), replayed(&log)), (false, expected(12)));
    }
}

#[test]
fn a_snapshot_that_was_cut_or_altered_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let log = place.log();
    log.append_at(numbered(1..=12)).unwrap();
    log.compact(Seq(6), Timestamp::from_millis(0), |seq, _| seq.0 % 2 == 0).unwrap();
    let bytes = exported(&log).1;
    let target = Place::new();
    let empty = target.log();
    let refused = |bytes: &[u8], what: &str| {
        let error = empty.import(bytes).expect_err(what);
        assert!(matches!(error, LogError::Snapshot(_)), "{what}: {error}");
        assert_eq!((empty.head(), empty.stored().unwrap(), empty.has_failed()), (Seq(0), 0, false), "{what}");
    };
    for at in (0..bytes.len()).step_by(3) {
        refused(&bytes[..at], &format!("cut at {at}"));
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        refused(&altered, &format!("altered at {at}"));
    }
    empty.import(&*bytes).unwrap();
    assert_eq!(replayed(&empty), replayed(&log));
}
