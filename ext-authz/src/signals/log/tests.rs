//! What was acknowledged is there after anything short of losing the disk; what was altered is refused.

mod compaction;
mod damage;
mod replica;
mod witness;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process,
    sync::Arc,
};

use authz_core::{revocation::Mark, signal::Action, time::Timestamp};

use redb::{Database, ReadableTable, Table, WriteTransaction};

use super::{
    tables::{FORMAT, META},
    *,
};

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> Log {
        Log::open(&self.path("log")).unwrap()
    }
}

fn signal(number: u64) -> Signal {
    let mark = Mark { issued_before: Timestamp::NEVER, expires_at: Timestamp::from_millis(number + 1) };
    Signal {
        id: format!("id-{number}").into(),
        scope: format!("spiffe-id:spiffe://demo.test/n{number}").parse().unwrap(),
        action: if number.is_multiple_of(3) { Action::Restore } else { Action::Revoke(mark) },
        who: "uid:1000".into(),
        why: "test".into(),
        source: "".into(),
        at: Timestamp::from_millis(number),
        event_at: None,
    }
}

fn replayed(log: &Log) -> Vec<(Seq, Signal)> {
    let mut all = Vec::new();
    log.replay(|seq, signal| all.push((seq, signal))).unwrap();
    all
}

fn expected(count: u64) -> Vec<(Seq, Signal)> {
    (1..=count).map(|number| (Seq(number), signal(number))).collect()
}

#[test]
fn a_thousand_signals_are_replayed_in_order() {
    let place = Place::new();
    let log = place.log();
    assert!(log.is_fresh());
    for number in 1..=1000 {
        let appended = log.append(signal(number)).unwrap();
        assert_eq!(appended, Appended { seq: Seq(number), signal: signal(number), known: false });
    }
    drop(log);
    let log = place.log();
    assert!(!log.is_fresh());
    assert_eq!((log.head(), replayed(&log)), (Seq(1000), expected(1000)));
    assert_eq!(log.read_after(Seq(997), 2).unwrap(), expected(1000)[997..999]);
    assert_eq!(log.read_after(Seq(1000), 2).unwrap(), []);
    assert_eq!(log.read_after(Seq(5000), 2).unwrap(), []);
}

#[test]
fn the_same_signal_twice_is_one_and_another_one_of_its_name_is_refused() {
    let place = Place::new();
    let log = place.log();
    log.append(signal(1)).unwrap();
    let later = Signal { at: Timestamp::from_millis(99), ..signal(1) };
    assert_eq!(log.append(later).unwrap(), Appended { seq: Seq(1), signal: signal(1), known: true });
    let error = log.append(Signal { action: Action::Restore, ..signal(1) }).unwrap_err();
    assert!(matches!(error, LogError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("1: revoke spiffe-id:spiffe://demo.test/n1"), "{error}");
    assert!(!log.has_failed());
    let twice = log.append_all(vec![signal(2), signal(2), signal(3)]).unwrap();
    let twice: Vec<_> = twice.into_iter().map(|it| it.map(|it| (it.seq.0, it.known)).unwrap()).collect();
    assert_eq!(twice, [(2, false), (2, true), (3, false)]);
    assert_eq!(replayed(&log), expected(3));
}

#[test]
fn a_copy_of_the_file_taken_at_any_acknowledgement_holds_all_acknowledged() {
    let place = Place::new();
    let log = place.log();
    for number in 1..=40 {
        log.append(signal(number)).unwrap();
        let copy = place.path("copy");
        fs::copy(place.path("log"), &copy).unwrap();
        assert_eq!(replayed(&Log::open(&copy).unwrap()), expected(number));
    }
}

#[test]
fn a_process_killed_while_writing_loses_nothing_it_acknowledged() {
    let place = Place::new();
    for round in 0..3 {
        let mut child = process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signals::log::tests::writes_until_killed", "--ignored", "--nocapture"])
            .env(CRASH_PATH, place.path("log"))
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let acknowledged = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, many: usize| {
            let seqs = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acked ")?.parse::<u64>().ok());
            seqs.take(many).last()
        };
        acknowledged(&mut lines, 20 + round).expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        let last = acknowledged(&mut lines, usize::MAX).unwrap_or(0);
        let log = place.log();
        let entries = replayed(&log);
        assert!(log.head().0 >= last, "{last} was acknowledged, {} is there", log.head());
        assert_eq!(entries, expected(log.head().0));
    }
}

#[test]
#[ignore = "the child of the test above"]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(CRASH_PATH) else { return };
    let log = Log::open(path.as_ref()).unwrap();
    for number in log.head().0 + 1.. {
        let appended = log.append(signal(number)).unwrap();
        writeln!(std::io::stdout(), "acked {}", appended.seq).unwrap();
    }
}

#[test]
fn only_one_process_and_only_its_owner_has_the_log() {
    let place = Place::new();
    let log = place.log();
    let error = Log::open(&place.path("log")).unwrap_err();
    assert!(matches!(error, LogError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("is open in another process"), "{error}");
    drop(log);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path("log")), 0o600);
    fs::set_permissions(place.path("log"), fs::Permissions::from_mode(0o666)).unwrap();
    place.log();
    assert_eq!(mode(&place.path("log")), 0o600);
}

#[test]
fn a_file_that_is_no_log_or_can_not_be_there_is_refused_by_name() {
    let place = Place::new();
    fs::write(place.path("text"), "this is no log, and it is longer than any header".repeat(200)).unwrap();
    let error = Log::open(&place.path("text")).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    let error = Log::open(&place.path("missing/log")).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(error.to_string().contains("missing/log"), "{error}");
}

/// A disk that, once full, takes nothing more.
#[derive(Debug)]
struct Disk {
    file: redb::backends::FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room().and_then(|()| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room().and_then(|()| self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room().and_then(|()| self.file.write(offset, data))
    }
}

/// The log at `path`, and what makes its disk full.
pub(in crate::signals) fn on_a_disk_that_fills(path: &std::path::Path) -> (Log, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&full);
    let opener = move |path: &Path| {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let disk = Disk { file: redb::backends::FileBackend::new(file).unwrap(), full: Arc::clone(&shared) };
        Database::builder().create_with_backend(disk).map_err(|error| Fault::from(error).at(path))
    };
    (Log::over(Store::open(path, Box::new(opener)).unwrap(), false).unwrap(), full)
}

#[test]
fn a_full_disk_refuses_signals_until_the_log_is_opened_again_and_loses_none_it_took() {
    let place = Place::new();
    drop(place.log());
    let (log, full) = on_a_disk_that_fills(&place.path("log"));
    log.append(signal(1)).unwrap();
    full.store(true, Ordering::Relaxed);
    let error = log.append(signal(2)).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(error.to_string().contains("make room for it, then signals are taken again without a restart"), "{error}");
    assert!(log.has_failed());
    full.store(false, Ordering::Relaxed);
    // After a failed flush nobody knows what is on the disk: only opening again tells.
    assert!(log.append(signal(3)).is_err());
    assert_eq!(log.head(), Seq(1));
    drop(log);
    let log = place.log();
    let there = log.head().0;
    assert!((1..=2).contains(&there), "what was not acknowledged may be there, nothing else");
    assert_eq!(replayed(&log), expected(there));
    log.append(signal(there + 1)).unwrap();
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let place = Place::new();
    let log = place.log();
    for batch in 0..4 {
        drop(log.append_all((batch * 50 + 1..=batch * 50 + 50).map(signal).collect()).unwrap());
    }
    drop(log);
    let intact = fs::read(place.path("log")).unwrap();
    for length in (1..intact.len()).step_by(intact.len() / 61) {
        fs::write(place.path("cut"), &intact[..length]).unwrap();
        let error = Log::open(&place.path("cut")).and_then(|log| log.replay(|_, _| {})).expect_err("it is cut short");
        assert!(!matches!(error, LogError::Busy { .. } | LogError::Conflict { .. }), "{length}: {error}");
    }
}

#[test]
fn a_log_of_another_format_is_refused() {
    let place = Place::new();
    let log = place.log();
    alter(&log, |transaction| drop(transaction.open_table(META).unwrap().insert(FORMAT, 3).unwrap()));
    drop(log);
    let error = Log::open(&place.path("log")).unwrap_err();
    assert!(error.to_string().contains("has format 3, this version reads formats 1 and 2"), "{error}");
}

/// Bytes are flipped over the whole file: what opens and replays must be what was written.
#[test]
fn an_altered_file_never_passes_for_another_log() {
    let place = Place::new();
    let log = place.log();
    log.append_all((1..=50).map(signal).collect()).unwrap().into_iter().for_each(|it| drop(it.unwrap()));
    drop(log);
    let intact = fs::read(place.path("log")).unwrap();
    let mut refused = 0;
    for at in (0..intact.len()).step_by(intact.len() / 257) {
        let mut bytes = intact.clone();
        bytes[at] ^= 0x55;
        fs::write(place.path("altered"), &bytes).unwrap();
        let mut seen = Vec::new();
        let opened = Log::open(&place.path("altered")).and_then(|log| log.replay(|seq, it| seen.push((seq, it))));
        match opened {
            Ok(()) => assert_eq!(seen, expected(50), "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}

#[test]
fn an_entry_altered_with_the_store_s_own_means_is_found_by_the_chain() {
    type Tamper = fn(&mut Table<'_, u64, &'static [u8]>);
    let cases: [(Tamper, &str); 4] = [
        (|table| drop(table.remove(2).unwrap()), "signal 2 is missing"),
        (|table| drop(table.insert(2, &b"short"[..]).unwrap()), "shorter than its hash"),
        (|table| drop(table.insert(2, &[0; 60][..]).unwrap()), "signal 2 is not what was written"),
        (
            |table| {
                let first = table.get(1).unwrap().unwrap().value().to_vec();
                table.insert(2, &*first).unwrap();
            },
            "signal 2 is not what was written",
        ),
    ];
    for (tamper, expected) in cases {
        let place = Place::new();
        let log = place.log();
        (1..=3).for_each(|number| drop(log.append(signal(number)).unwrap()));
        alter(&log, |transaction| tamper(&mut transaction.open_table(SIGNALS).unwrap()));
        let error = log.replay(|_, _| {}).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Changes the file behind the log's back, with the store's own means.
fn alter(log: &Log, change: impl FnOnce(&WriteTransaction)) {
    let altered = log.store.with(|db| {
        let transaction = db.begin_write()?;
        change(&transaction);
        Ok(transaction.commit()?)
    });
    altered.unwrap();
}

const CRASH_PATH: &str = "COUNTERSIGN_TEST_CRASH_PATH";
