//! Whatever happens to the file: a clear refusal with the way out, or all that was acknowledged; never a panic.

use std::{
    os::unix::fs::{MetadataExt, chown},
    time::{Duration, Instant},
};

use super::*;

/// Damages one copy of a file in some way that `random` chooses.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> String {
    let page = |random: &mut fastrand::Rng| random.usize(..bytes.len() / PAGE) * PAGE;
    let at = match random.u8(..3) {
        0 => random.usize(..512),
        1 => random.usize(..bytes.len()),
        _ => page(random) + random.usize(..64),
    };
    match random.u8(..5) {
        0 | 1 => {
            bytes[at] ^= 1 << random.u8(..8);
            format!("a bit of byte {at} flipped")
        }
        2 => {
            bytes[at / PAGE * PAGE..][..PAGE].fill(0);
            format!("the page of byte {at} zeroed")
        }
        3 => {
            let from = page(random);
            bytes.copy_within(from..from + PAGE, at / PAGE * PAGE);
            format!("the page at {from} written over that of byte {at}")
        }
        _ => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_holds_all_that_was_acknowledged() {
    let place = Place::new();
    let log = place.log();
    drop(log.append_all((1..=300).map(signal).collect()).unwrap());
    log.compact(Seq(200), Timestamp::from_millis(0), |seq, _| !seq.0.is_multiple_of(4)).unwrap();
    log.append(signal(301)).unwrap();
    let whole = replayed(&log);
    // As a crash leaves it, and as an orderly end does.
    let mut files = vec![fs::read(place.path("log")).unwrap()];
    drop(log);
    files.push(fs::read(place.path("log")).unwrap());
    let witness = fs::read(place.path("log.head")).unwrap();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let (begun, mut refused, mut tried) = (Instant::now(), 0, 0);
    while tried < 250 && begun.elapsed() < Duration::from_secs(15) {
        let mut bytes = files[random.usize(..2)].clone();
        let what = format!("{} (seed {seed}, file {tried})", damage(&mut bytes, &mut random));
        fs::write(place.path("log"), &bytes).unwrap();
        fs::write(place.path("log.head"), &witness).unwrap();
        let mut entries = Vec::new();
        let read = Log::open(&place.path("log")).and_then(|log| log.replay(|seq, it| entries.push((seq, it))));
        match read {
            Ok(()) => assert_eq!(entries, whole, "{what}"),
            Err(LogError::Damaged { .. } | LogError::Stale { .. }) => refused += 1,
            Err(other) => panic!("{what}: {other}"),
        }
        tried += 1;
    }
    assert!(refused > tried / 10, "{refused} of {tried}");
}

#[test]
fn what_stands_in_the_way_is_named_with_the_remedy() {
    let place = Place::new();
    let refused = |path: &Path, cause: &str, remedy: &str| {
        let error = Log::open(path).unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()) && error.contains(cause) && error.contains(remedy), "{error}");
    };
    fs::create_dir(place.path("directory")).unwrap();
    refused(&place.path("directory"), "Is a directory", "name a file in signals.log");
    refused(&place.path("missing/log"), "No such file or directory", "create its directory");
    // Nobody may create a file there, not even root.
    refused(Path::new("/sys/kernel/log"), "ermi", "writable for the sidecar's user");
}

#[test]
fn a_log_of_another_user_is_refused_by_its_owner() {
    let place = Place::new();
    let us = fs::metadata("/proc/self").unwrap().uid();
    // Root can give a file away; everybody else finds one that is not theirs.
    let (path, whose) = if us == 0 { (place.path("log"), 12345) } else { ("/dev/null".into(), 0) };
    if us == 0 {
        drop(place.log());
        chown(&path, Some(whose), None).unwrap();
    }
    let error = Log::open(&path).unwrap_err();
    assert!(matches!(error, LogError::Owner { owner, own, .. } if (owner, own) == (whose, us)), "{error}");
    if us == 0 {
        chown(&path, Some(us), None).unwrap();
        place.log();
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_stays_as_it_is() {
    let place = Place::new();
    let made = process::Command::new("mkfifo").arg(place.path("log")).status().unwrap();
    assert!(made.success());
    fs::set_permissions(place.path("log"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = Log::open(&place.path("log")).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert_eq!(fs::metadata(place.path("log")).unwrap().permissions().mode() & 0o777, 0o640);
}

/// A real file that may not grow, as on a full disk, and then may: no restart in between.
#[test]
fn a_file_that_can_not_grow_loses_nothing_and_is_written_again_once_it_can() {
    let place = Place::new();
    // Only the soft limit, so that it can be raised again; a signal would kill the child otherwise.
    let mut child = process::Command::new("prlimit")
        .args(["--fsize=3000000:", "sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "signals::log::tests::damage::writes_until_full_and_then_again", "--ignored", "--nocapture"])
        .env(CRASH_PATH, place.path("log"))
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().unwrap())).map_while(Result::ok);
    let mut after = |word: &str| lines.find_map(|line| line.strip_prefix(word)?.parse::<u64>().ok());
    let acknowledged = after("full ").expect("the child fills its file");
    assert!(acknowledged > 1000);
    let raised =
        process::Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &child.id().to_string()]).status();
    assert!(raised.unwrap().success());
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let again = after("again ").expect("the child goes on");
    assert!(child.wait().unwrap().success());
    assert!(again > acknowledged);
    assert_eq!(replayed(&place.log()), expected(again));
}

#[test]
#[ignore = "the child of the test above"]
fn writes_until_full_and_then_again() {
    let Some(path) = std::env::var_os(CRASH_PATH) else { return };
    let log = Log::open(path.as_ref()).unwrap();
    let append = |log: &Log| {
        let head = log.head().0;
        log.append_all((head + 1..=head + 100).map(signal).collect())
    };
    let error = loop {
        if let Err(error) = append(&log) {
            break error;
        }
    };
    assert!(error.to_string().contains("make room for it"), "{error}");
    println!("full {}", log.head());
    io::stdin().read_line(&mut String::new()).unwrap();
    // What the failed write left is there or not: all hundred, or none.
    let left = log.reopen().unwrap();
    assert!(left.is_empty() || left.len() == 100);
    append(&log).unwrap();
    println!("again {}", log.head());
}

const PAGE: usize = 4096;
