//! An old copy of the log is refused, and no crash is taken for one.

use super::*;

fn put_back(place: &Place, copy: &[u8]) -> Result<Log, LogError> {
    fs::write(place.path("log"), copy).unwrap();
    Log::open(&place.path("log"))
}

fn head_of(place: &Place) -> Option<Seq> {
    Witness::open(&place.path("log")).unwrap().map(|witness| witness.head().seq)
}

#[test]
fn an_old_copy_is_refused_until_somebody_removes_the_witness() {
    let place = Place::new();
    let log = place.log();
    log.append(signal(1)).unwrap();
    drop(log);
    let old = fs::read(place.path("log")).unwrap();
    let log = place.log();
    log.append(signal(2)).unwrap();
    drop(log);
    let new = fs::read(place.path("log")).unwrap();
    for _ in 0..2 {
        let error = put_back(&place, &old).unwrap_err();
        assert!(matches!(error, LogError::Stale { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("it ends at 1, and signal 2 was in it") && text.contains("log.head and start again"),
            "{text}"
        );
    }
    let log = put_back(&place, &new).unwrap();
    assert_eq!((replayed(&log), log.is_unwitnessed()), (expected(2), false));
    drop(log);
    fs::remove_file(place.path("log.head")).unwrap();
    let log = put_back(&place, &old).unwrap();
    assert_eq!((replayed(&log), log.is_unwitnessed()), (expected(1), true));
    drop(log);
    assert!(!place.log().is_unwitnessed(), "it is said once");
}

#[test]
fn a_log_that_is_gone_or_another_one_is_refused() {
    let place = Place::new();
    let log = place.log();
    log.append(signal(1)).unwrap();
    drop(log);
    fs::remove_file(place.path("log")).unwrap();
    let error = Log::open(&place.path("log")).unwrap_err();
    assert!(error.to_string().contains("it is gone, and signal 1 was in it"), "{error}");
    assert!(!place.path("log").exists(), "no empty log takes its place");
    let other = Place::new();
    let foreign = other.log();
    foreign.append_all(vec![signal(5), signal(6)]).unwrap().into_iter().for_each(|it| drop(it.unwrap()));
    drop(foreign);
    let error = put_back(&place, &fs::read(other.path("log")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("up to signal 1 it holds others"), "{error}");
}

/// Every acknowledged signal is in the witness, and the witness never says more than the log: at no moment of an append can
/// a crash leave a log that is refused.
#[test]
fn the_witness_follows_each_acknowledgement_and_never_leads() {
    let place = Place::new();
    let log = place.log();
    assert_eq!(head_of(&place), Some(Seq(0)));
    for number in 1..=5 {
        let before = fs::read(place.path("log.head")).unwrap();
        log.append(signal(number)).unwrap();
        assert_eq!(head_of(&place), Some(Seq(number)));
        // The crash between commit and witness: the log of now, the witness of before.
        let crashed = Place::new();
        fs::copy(place.path("log"), crashed.path("log")).unwrap();
        fs::write(crashed.path("log.head"), before).unwrap();
        assert_eq!(replayed(&crashed.log()), expected(number));
        assert_eq!(head_of(&crashed), Some(Seq(number)));
    }
    log.compact(Seq(5), Timestamp::from_millis(0), |_, _| true).unwrap();
    drop(log);
    assert_eq!(place.log().head(), Seq(5));
}

#[test]
fn a_witness_half_written_says_what_it_said_before_and_one_destroyed_is_named() {
    let place = Place::new();
    let log = place.log();
    for number in 1..=2 {
        log.append(signal(number)).unwrap();
    }
    drop(log);
    let whole = fs::read(place.path("log.head")).unwrap();
    for at in (0..80).chain(4096..4176) {
        let mut torn = whole.clone();
        torn[at] ^= 1;
        fs::write(place.path("log.head"), &torn).unwrap();
        let head = head_of(&place).unwrap();
        assert!((1..=2).contains(&head.0), "byte {at}: {head}");
        assert_eq!(place.log().head(), Seq(2));
    }
    for destroyed in [&b""[..], &[0; 8192], &whole[..40]] {
        fs::write(place.path("log.head"), destroyed).unwrap();
        let error = Log::open(&place.path("log")).unwrap_err();
        assert!(matches!(error, LogError::Witness { .. }), "{error}");
        assert!(error.to_string().contains("then remove"), "{error}");
    }
}

#[test]
fn a_signal_the_witness_could_not_take_is_not_acknowledged_and_is_there_once_it_can() {
    let place = Place::new();
    let log = place.log();
    log.append(signal(1)).unwrap();
    let sound = {
        let mut tip = log.lock_tip();
        let unwritable = fs::File::open(place.path("log.head")).unwrap();
        tip.witness.exchange_file(unwritable)
    };
    let error = log.append(signal(2)).unwrap_err();
    assert!(error.to_string().contains("log.head can't be used"), "{error}");
    assert!(log.has_failed() && log.append(signal(3)).is_err());
    assert_eq!(log.head(), Seq(1), "what was not acknowledged is not counted");
    drop(sound);
    assert_eq!(log.reopen().unwrap(), expected(2)[1..]);
    assert_eq!((log.head(), log.append(signal(3)).unwrap().seq), (Seq(2), Seq(3)));
    assert_eq!(replayed(&log), expected(3));
}
