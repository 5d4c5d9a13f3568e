//! What compaction leaves is what was there, less what was dead; every crash in between leaves a log that opens.

use super::*;

fn evens_are_dead(seq: Seq, _: &Signal) -> bool {
    seq.0.is_multiple_of(2)
}

fn filled(place: &Place, count: u64) -> Log {
    let log = place.log();
    for part in (1..=count).collect::<Vec<_>>().chunks(1000) {
        log.append_all(part.iter().copied().map(signal).collect())
            .unwrap()
            .into_iter()
            .for_each(|it| drop(it.unwrap()));
    }
    log
}

fn less_evens(count: u64, base: u64) -> Vec<(Seq, Signal)> {
    expected(count).into_iter().filter(|(seq, _)| seq.0 > base || seq.0 % 2 == 1).collect()
}

#[test]
fn the_dead_leave_and_all_else_keeps_its_place_and_history() {
    let place = Place::new();
    let log = filled(&place, 100);
    let before: Vec<_> = (0..=100).map(|seq| log.fingerprint(Seq(seq))).collect();
    let done = log.compact(Seq(60), Timestamp::from_millis(0), evens_are_dead).unwrap();
    assert_eq!(done, Compacted { removed: 30, kept: 30, forgotten: 0 });
    let check = |log: &Log| {
        assert_eq!((replayed(log), log.head(), log.base().unwrap()), (less_evens(100, 60), Seq(100), Seq(60)));
        assert_eq!(log.stored().unwrap(), 70);
        for (seq, old) in before.iter().enumerate() {
            let gone = seq > 0 && seq < 60 && seq % 2 == 0;
            assert_eq!(log.fingerprint(Seq(seq as u64)), old.filter(|_| !gone), "{seq}");
        }
        assert_eq!(log.fingerprint(Seq(101)), None);
        assert_eq!(log.read_after(Seq(10), 3).unwrap(), less_evens(100, 60)[5..8]);
        assert_eq!(log.read_after(Seq(59), 1).unwrap(), expected(100)[60..61]);
    };
    check(&log);
    drop(log);
    let log = place.log();
    check(&log);
    // Again, further, and to the very end.
    log.compact(Seq(80), Timestamp::from_millis(0), |seq, _| seq.0 == 3).unwrap();
    log.compact(Seq(500), Timestamp::from_millis(0), |seq, _| seq.0 != 5).unwrap();
    assert_eq!((replayed(&log), log.head()), (expected(5)[4..].to_vec(), Seq(100)));
    drop(log);
    let log = place.log();
    assert_eq!((log.head(), log.append(signal(101)).unwrap().seq), (Seq(100), Seq(101)));
    drop(log);
    assert_eq!(replayed(&place.log()), [expected(5)[4..].to_vec(), expected(101)[100..].to_vec()].concat());
}

#[test]
fn a_removed_signal_sent_again_is_known_for_seven_days_and_new_thereafter() {
    let place = Place::new();
    let log = filled(&place, 3);
    log.compact(Seq(3), Timestamp::from_millis(0), |_, _| true).unwrap();
    let days = |days: u64| Timestamp::from_millis(days * 24 * 60 * 60 * 1000);
    let again = log.append(Signal { at: days(6), ..signal(2) }).unwrap();
    assert_eq!((again.seq, again.known, again.signal), (Seq(2), true, signal(2)));
    let error = log.append(Signal { why: "another".into(), ..signal(2) }).unwrap_err();
    assert!(matches!(error, LogError::Conflict { .. }), "{error}");
    assert_eq!(log.compact(Seq(3), days(7), |_, _| true).unwrap().forgotten, 0);
    assert_eq!(log.append(Signal { at: days(8), ..signal(3) }).unwrap().seq, Seq(4));
    assert_eq!(log.compact(Seq(3), days(9), |_, _| true).unwrap().forgotten, 2);
    assert!(log.known(&signal(1)).unwrap().is_none() && log.known(&signal(3)).unwrap().is_some());
}

#[test]
fn signals_are_taken_while_a_long_compaction_runs() {
    let place = Place::new();
    let log = filled(&place, 6000);
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| log.compact(Seq(6000), Timestamp::from_millis(0), evens_are_dead).unwrap());
        for number in 6001..=6020 {
            log.append(signal(number)).unwrap();
        }
        assert_eq!(compacting.join().unwrap().removed, 3000);
    });
    assert_eq!(replayed(&log), less_evens(6020, 6000));
}

/// The file as it was after each part of a compaction, and in between, is a log in which only dead entries are missing.
#[test]
fn a_compaction_that_stops_anywhere_leaves_a_whole_log() {
    let place = Place::new();
    let log = filled(&place, 5000);
    let stop_at = |point: u64| {
        let copy = place.path("copy");
        let mut copied = false;
        log.compact(Seq(5000), Timestamp::from_millis(0), |seq, it| {
            if seq.0 >= point && !std::mem::replace(&mut copied, true) {
                fs::copy(place.path("log"), &copy).unwrap();
            }
            evens_are_dead(seq, it)
        })
        .unwrap();
        let _ = fs::remove_file(place.path("copy.head"));
        let stopped = Log::open(&copy).unwrap();
        let base = stopped.base().unwrap().0;
        assert_eq!((stopped.head(), replayed(&stopped)), (Seq(5000), less_evens(5000, base)));
        stopped.compact(Seq(5000), Timestamp::from_millis(0), evens_are_dead).unwrap();
        assert_eq!(replayed(&stopped), less_evens(5000, 5000));
        base
    };
    assert!((1..5000).contains(&stop_at(4500)), "the copy was made in between");
}

#[test]
fn what_was_kept_can_not_change_move_or_vanish_unnoticed() {
    type Tamper = fn(&WriteTransaction);
    let cases: [(Tamper, &str); 5] = [
        (|it| drop(it.open_table(SIGNALS).unwrap().remove(3).unwrap()), "are not those that were kept"),
        (|it| drop(it.open_table(SIGNALS).unwrap().remove(11).unwrap()), "signal 11 is missing"),
        (|it| swap(it, 3, 5), "signal 5 stands at 3"),
        (|it| resealed(it, 3), "are not those that were kept"),
        (|it| drop(it.open_table(tables::BASE).unwrap().remove(()).unwrap()), "signal 2 is missing"),
    ];
    for (tamper, expected) in cases {
        let place = Place::new();
        let log = filled(&place, 20);
        log.compact(Seq(10), Timestamp::from_millis(0), evens_are_dead).unwrap();
        alter(&log, tamper);
        let error = log.replay(|_, _| {}).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

fn swap(transaction: &WriteTransaction, one: u64, other: u64) {
    let mut table = transaction.open_table(SIGNALS).unwrap();
    let bytes = table.get(other).unwrap().unwrap().value().to_vec();
    table.insert(one, &*bytes).unwrap();
}

/// An entry that is well formed and was never written.
fn resealed(transaction: &WriteTransaction, seq: u64) {
    let (_, bytes) = record::Record::seal(Chain::START, Seq(seq), &Signal { why: "forged".into(), ..signal(seq) });
    transaction.open_table(SIGNALS).unwrap().insert(seq, &*bytes).unwrap();
}

#[test]
fn a_log_of_format_1_is_brought_up_to_date_even_if_the_first_attempt_crashes() {
    let place = Place::new();
    let db = Database::create(place.path("log")).unwrap();
    let transaction = db.begin_write().unwrap();
    {
        transaction.open_table(META).unwrap().insert(FORMAT, 1).unwrap();
        let mut signals = transaction.open_table(SIGNALS).unwrap();
        let mut ids = transaction.open_table(IDS).unwrap();
        let mut last = Chain::START;
        for (seq, signal) in expected(9) {
            let (chain, stored) = record::Record::seal(last, seq, &signal);
            signals.insert(seq.0, &*stored).unwrap();
            ids.insert(&*signal.id, seq.0).unwrap();
            last = chain;
        }
    }
    transaction.commit().unwrap();
    drop(db);
    let old = fs::read(place.path("log")).unwrap();
    let log = place.log();
    assert_eq!((replayed(&log), log.is_unwitnessed()), (expected(9), false));
    drop(log);
    // The witness is there and the format is not: the crash.
    fs::write(place.path("log"), old).unwrap();
    let log = place.log();
    assert_eq!(replayed(&log), expected(9));
    assert!(log.append(signal(9)).unwrap().known);
    log.compact(Seq(9), Timestamp::from_millis(0), evens_are_dead).unwrap();
    drop(log);
    assert_eq!(replayed(&place.log()), less_evens(9, 9));
}
