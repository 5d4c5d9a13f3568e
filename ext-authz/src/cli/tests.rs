//! Commands against a control service on a real Unix socket, with filters played by the test.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use authz_core::signal::Seq;
use clap::CommandFactory;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

use super::*;
use crate::{
    audit,
    control::Guard,
    filters::Filters,
    grpc::control::ControlService,
    metrics::Metrics,
    policy::{
        Source,
        control::{ControlPolicies, compile, default_policies},
    },
    signals::{Log, SignalPlane},
    wire::control::control_server::ControlServer,
};

struct Sidecar {
    directory: tempfile::TempDir,
    plane: Arc<SignalPlane>,
    filters: Filters,
}

impl Sidecar {
    fn start() -> Self {
        Self::with_policies(default_policies("orders").unwrap())
    }

    fn with_policies(policies: ControlPolicies) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(&directory.path().join("log")).unwrap();
        let plane = Arc::new(SignalPlane::start(log, |_| {}).unwrap());
        let filters = Filters::default();
        let metrics = Arc::new(Metrics::new().unwrap());
        let target = audit::Target::File(directory.path().join("audit"));
        let (audit, _writer) = audit::open(&target, 1024, Arc::clone(&metrics)).unwrap();
        let guard = Arc::new(Guard::new(policies, metrics, audit));
        let service = ControlServer::new(ControlService::new(Arc::clone(&plane), filters.clone(), guard));
        let listener = UnixListenerStream::new(UnixListener::bind(directory.path().join("control.sock")).unwrap());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(listener));
        Self { directory, plane, filters }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Runs a command to its end: what it printed, or its error, and the exit code.
    async fn run(&self, arguments: &[&str]) -> (String, u8) {
        run(&self.socket(), arguments).await
    }

    async fn json(&self, arguments: &[&str]) -> (Value, u8) {
        let (text, code) = self.run(&[arguments, &["--output", "json"]].concat()).await;
        (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")), code)
    }
}

async fn run(socket: &Path, arguments: &[&str]) -> (String, u8) {
    let socket = socket.display().to_string();
    let arguments: Vec<String> =
        ["countersign"].iter().chain(arguments).chain(&["--socket", &socket]).map(ToString::to_string).collect();
    let work = move || {
        let mut out = Vec::new();
        match Cli::try_parse_from(arguments).unwrap().run(&mut out) {
            Ok(exit) => (String::from_utf8(out).unwrap(), exit.code()),
            Err(error) => (error.to_string(), error.exit().code()),
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[test]
fn the_grammar_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
    let refused: [&[&str]; 6] = [
        &["revoke"],
        &["revoke", "demo.test"],
        &["revoke", "spiffe://demo.test/", "--wait"],
        &["revoke", "spiffe://demo.test/a", "--expires-in", "soon"],
        &["restore", "spiffe://demo.test/a", "--issued-before", "now"],
        &["policy", "validate"],
    ];
    for arguments in refused {
        let error = Cli::try_parse_from(["countersign"].iter().chain(arguments)).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_in_the_log_with_who_and_why_until_it_is_restored() {
    let sidecar = Sidecar::start();
    let revoke = ["revoke", "spiffe://demo.test/web", "--why", "key leaked", "--who", "alice", "--expires-in", "1h"];
    let (answer, code) = sidecar.json(&revoke).await;
    assert_eq!((code, &answer["known"], &answer["enforcement"]), (0, &Value::Bool(false), &Value::Null));
    let signal = &answer["signal"];
    assert_eq!((&signal["scope"], &signal["seq"]), (&"spiffe-id:spiffe://demo.test/web".into(), &1.into()));
    let who = signal["who"].as_str().unwrap();
    assert!(who.starts_with("uid:") && who.ends_with(" (alice)"), "{who}");
    assert!(signal["expires_at"].is_string());
    let (listed, _) = sidecar.json(&["signals", "list", "--live"]).await;
    assert_eq!(&listed, signal);
    let (text, code) = sidecar.run(&["restore", "spiffe://demo.test/web", "--wait"]).await;
    assert_eq!(code, 0);
    assert!(text.starts_with("restored spiffe-id:spiffe://demo.test/web\n  seq 2, id "), "{text}");
    assert!(text.contains("in force in this sidecar; no filter is connected"), "{text}");
    assert_eq!(sidecar.run(&["signals", "list", "--live"]).await, ("nothing is revoked\n".to_owned(), 0));
    let (all, _) = sidecar.run(&["signals", "list"]).await;
    assert_eq!(all.lines().count(), 2, "{all}");
    assert!(all.contains("revoke   spiffe-id:spiffe://demo.test/web, until 20"), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_permitted_is_told_with_action_and_scope_and_changes_nothing() {
    let text = "permit(principal, action == Action::\"revoke\", resource in TrustDomain::\"a.test\");";
    let policies = compile(&[Source { name: "control.cedar".into(), text: text.into() }], "orders").unwrap();
    let sidecar = Sidecar::with_policies(policies);
    assert_eq!(sidecar.run(&["revoke", "spiffe://a.test/x"]).await.1, 0);
    let (error, code) = sidecar.run(&["revoke", "spiffe://b.test/x"]).await;
    assert_eq!(code, 1);
    assert!(error.contains(" may not revoke spiffe-id:spiffe://b.test/x;"), "{error}");
    assert!(error.contains("uid:") && error.contains("control.policy"), "{error}");
    let (error, code) = sidecar.run(&["restore", "spiffe://a.test/x"]).await;
    assert!(code == 1 && error.contains(" may not restore spiffe-id:spiffe://a.test/x;"), "{error}");
    for (command, action) in [(["signals", "list"], "list"), (["signals", "tail"], "list")] {
        let (error, code) = sidecar.run(&command).await;
        assert!(code == 1 && error.contains(&format!(" may not {action};")), "{error}");
    }
    let (error, code) = sidecar.run(&["signals", "tail", "--after", "0"]).await;
    assert!(code == 1 && error.contains(" may not tail;"), "{error}");
    let (error, code) = sidecar.run(&["status"]).await;
    assert!(code == 1 && error.contains(" may not status;"), "{error}");
    let (answer, code) = sidecar.run(&["revoke", "spiffe://a.test/x", "--wait"]).await;
    assert!(code == 3 && answer.contains(" may not await;"), "revoked, but nobody says how far: {answer}");
    assert_eq!(sidecar.plane.head(), Seq(2));
}

#[test]
fn control_policies_are_printed_and_checked() {
    let run = |arguments: &[&str]| {
        let mut out = Vec::new();
        let cli = Cli::try_parse_from(["countersign", "policy"].iter().chain(arguments)).unwrap();
        let exit = cli.run(&mut out).unwrap();
        (String::from_utf8(out).unwrap(), exit.code())
    };
    assert!(run(&["schema", "--control"]).0.contains("entity LocalUser"));
    assert!(!run(&["schema"]).0.contains("entity LocalUser"));
    assert!(run(&["control"]).0.contains("permit(principal, action, resource);"));
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/policy/control-example.cedar");
    assert_eq!(run(&["validate", "--control", example]), ("valid: 5 control policies\n".to_owned(), 0));
    let (text, code) = run(&["validate", example]);
    assert!(code == 1 && text.contains("control-example.cedar:"), "{text}");
    let requests = concat!(env!("CARGO_MANIFEST_DIR"), "/policy/example.cedar");
    assert_eq!(run(&["validate", "--control", requests]).1, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_scopes_are_several_signals_and_an_id_names_one() {
    let sidecar = Sidecar::start();
    let (text, code) = sidecar.run(&["revoke", "spiffe://a.test", "spiffe://b.test/*", "--serial", "CN=ca#0A:1"]).await;
    assert_eq!((code, sidecar.plane.head()), (0, Seq(3)));
    assert!(text.contains("issuer-serial:CN=ca#a1"), "{text}");
    let (error, code) = sidecar.run(&["revoke", "spiffe://a.test", "spiffe://b.test", "--id", "x"]).await;
    assert_eq!((code, error.as_str()), (2, "--id names one signal, give it one scope"));
    assert_eq!(sidecar.run(&["revoke", "spiffe://a.test", "--id", "x"]).await.1, 0);
    let (text, code) = sidecar.run(&["revoke", "spiffe://a.test", "--id", "x"]).await;
    assert_eq!((code, sidecar.plane.head()), (0, Seq(4)));
    assert!(text.starts_with("known already, nothing changed: trust-domain:a.test"), "{text}");
    let (error, code) = sidecar.run(&["revoke", "spiffe://b.test", "--id", "x"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("trust-domain:b.test: id \"x\" already names another signal (4: revoke trust-"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_tells_how_many_filters_enforce_it_and_how_long_it_took() {
    let sidecar = Sidecar::start();
    let filters: Vec<_> = (0..3)
        .map(|n| {
            let handle = sidecar.filters.connect(&format!("{n:032x}"), "edge", Instant::now());
            handle.lease_granted(Instant::now() + Duration::from_mins(1));
            handle
        })
        .collect();
    let mut tail = sidecar.plane.subscribe_from(Seq(0)).unwrap();
    let enforce = tokio::spawn(async move {
        let seq = tail.next().await.unwrap().last().unwrap().seq;
        for filter in &filters {
            filter.acked(seq, Instant::now());
        }
        filters
    });
    let (answer, code) = sidecar.json(&["revoke", "spiffe://demo.test/web", "--wait"]).await;
    let enforcement = &answer["enforcement"];
    assert_eq!((code, enforcement["enforcing"].as_array().unwrap().len()), (0, 3), "{answer}");
    let (median, slowest) = (enforcement["median_us"].as_u64().unwrap(), enforcement["slowest_us"].as_u64().unwrap());
    assert!(0 < median && median <= slowest && slowest < 10_000_000, "{answer}");
    let _connected = enforce.await.unwrap();
    let (text, _) = sidecar.run(&["revoke", "spiffe://demo.test/web", "--wait", "--timeout", "50ms"]).await;
    assert!(text.contains("not yet in force everywhere: no filter"), "{text}");
    assert!(text.contains("edge 00000000: connected, has not acknowledged it, may answer from memory until"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_gone_is_named_until_its_lease_is_over() {
    let sidecar = Sidecar::start();
    let gone = sidecar.filters.connect("aa", "edge", Instant::now());
    gone.lease_granted(Instant::now() + Duration::from_mins(1));
    drop(gone);
    let (text, code) = sidecar.run(&["revoke", "spiffe://demo.test/web", "--wait", "--timeout", "50ms"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("edge aa: unreachable, may answer from memory until 20"), "{text}");
    let sidecar = Sidecar::start();
    let gone = sidecar.filters.connect("aa", "edge", Instant::now());
    let until = Instant::now() + Duration::from_millis(400);
    gone.lease_granted(until);
    drop(gone);
    let (text, code) = sidecar.run(&["revoke", "spiffe://demo.test/web", "--wait"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(Instant::now() >= until, "it was not in force before the lease was over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sidecar_refuses_and_a_sidecar_that_is_not_there_are_told_with_the_remedy() {
    let sidecar = Sidecar::start();
    let (error, code) = sidecar.run(&["revoke", "spiffe://a.test", "--issued-before", "1999-01-01T00:00:00Z"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("trust-domain:a.test: issued_before_ms 915148800000 lies before the year 2000"), "{error}");
    let (error, code) = run(&sidecar.directory.path().join("none"), &["signals", "list"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("none: No such file") && error.contains("countersign serve"), "{error}");
    let (error, code) = sidecar.run(&["signals", "tail", "--after", "7"]).await;
    assert_eq!((code, error.as_str()), (1, "after_seq 7 lies beyond the end of the log, which is 0"));
    let (error, code) = sidecar.run(&["revoke", "--cert", "/nowhere.pem"]).await;
    assert_eq!(code, 2, "{error}");
}

/// Passes lines on until nobody listens.
struct Lines(mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_shows_old_and_new_signals_once_and_ends_with_its_reader_or_the_sidecar() {
    let sidecar = Sidecar::start();
    for _ in 0..3 {
        sidecar.run(&["revoke", "spiffe://a.test"]).await;
    }
    let follow = |after: &str| {
        let socket = sidecar.socket().display().to_string();
        let cli = ["countersign", "signals", "tail", "--output", "json", "--after", after, "--socket", &socket];
        let cli = Cli::try_parse_from(cli).unwrap();
        let (sender, lines) = mpsc::channel();
        (tokio::task::spawn_blocking(move || cli.run(&mut Lines(sender)).unwrap_err()), lines)
    };
    let (command, lines) = follow("1");
    let mut text = String::new();
    let until = |text: &mut String, seq: u64, lines: &mpsc::Receiver<String>| {
        while !text.contains(&format!("{{\"seq\":{seq},")) {
            text.push_str(&lines.recv_timeout(Duration::from_secs(10)).unwrap());
        }
    };
    tokio::task::block_in_place(|| until(&mut text, 3, &lines));
    sidecar.run(&["restore", "spiffe://a.test"]).await;
    tokio::task::block_in_place(|| until(&mut text, 4, &lines));
    let seqs: Vec<_> =
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["seq"].as_u64()).collect();
    assert_eq!(seqs, [2, 3, 4]);
    drop(lines);
    sidecar.run(&["revoke", "spiffe://a.test"]).await;
    assert_eq!(command.await.unwrap().exit(), Exit::Done, "a reader that has seen enough is no error");
    let (command, _lines) = follow("5");
    sidecar.plane.close();
    let error = command.await.unwrap();
    assert_eq!(error.to_string(), "the sidecar is stopping, ask again once it is back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_listed_and_followed_without_gap() {
    let sidecar = Sidecar::start();
    let signal = |n: u64| authz_core::signal::Signal {
        id: format!("{n}").into(),
        scope: "trust-domain:a.test".parse().unwrap(),
        action: authz_core::signal::Action::Restore,
        who: "x".repeat(250).into(),
        why: "y".repeat(1000).into(),
        source: "".into(),
        at: authz_core::time::Timestamp::from_millis(n),
        event_at: None,
    };
    // More than memory keeps, and more bytes than one message holds.
    let submit = |n| {
        let plane = Arc::clone(&sidecar.plane);
        tokio::spawn(async move { plane.submit(signal(n)).await.unwrap().seq.0 })
    };
    let sent: Vec<_> = (1..=5000).map(submit).collect();
    for one in sent {
        one.await.unwrap();
    }
    let (text, _) = sidecar.run(&["signals", "list", "--output", "json", "--limit", "4990"]).await;
    let seqs = |text: &str| -> Vec<u64> {
        text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(&text), (1..=4990).collect::<Vec<_>>());
    let socket = sidecar.socket();
    let control = client::ControlArgs::at(socket);
    let mut client = control.connect().await.unwrap();
    let mut stream = client.tail(crate::wire::control::TailRequest { after_seq: 3 }).await.unwrap().into_inner();
    for expected in 4..=5000 {
        assert_eq!(stream.message().await.unwrap().unwrap().seq, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_named_can_be_revoked() {
    let sidecar = Sidecar::start();
    let token = sidecar.directory.path().join("token");
    // {"iss":"https://a.test","sub":"bob","jti":"t-1","exp":1900000000.5}
    let payload = "eyJpc3MiOiJodHRwczovL2EudGVzdCIsInN1YiI6ImJvYiIsImp0aSI6InQtMSIsImV4cCI6MTkwMDAwMDAwMC41fQ";
    std::fs::write(&token, format!("aaaa.{payload}.secretsignature\n")).unwrap();
    let options = [
        ("--jti", "j-1", "token:j-1"),
        ("--subject", "https://a.test#bob", "subject:https://a.test#bob"),
        ("--session", "s-1", "session:s-1"),
        ("--device", "laptop-7", "device:laptop-7"),
        ("--agent", "bot", "agent:bot"),
        ("--serial", "CN=ca#0A", "issuer-serial:CN=ca#a"),
        ("--token", token.to_str().unwrap(), "token:t-1"),
    ];
    for (option, value, scope) in options {
        let (answer, code) = sidecar.json(&["revoke", option, value]).await;
        assert_eq!((code, &answer["signal"]["scope"]), (0, &scope.into()), "{answer}");
        assert!(!answer.to_string().contains("secretsignature") && !answer.to_string().contains(payload), "{answer}");
        let ends = answer["signal"]["expires_at"].as_str();
        assert_eq!(ends, (option == "--token").then_some("2030-03-17T17:46:40.500Z"), "{answer}");
    }
    let (answer, code) = sidecar.json(&["revoke", "--token", token.to_str().unwrap(), "--expires-in", "1h"]).await;
    assert!(code == 0 && answer["signal"]["expires_at"].as_str().unwrap() < "2030", "what is said counts: {answer}");
    let (error, code) = sidecar.run(&["restore", "--token", "/nowhere"]).await;
    assert!(code == 2 && error.starts_with("/nowhere: No such file"), "{error}");
    let error = Cli::try_parse_from(["countersign", "revoke", "--subject", "bob"]).unwrap_err();
    assert!(error.to_string().contains("ISSUER#SUBJECT"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn risk_and_posture_are_shown_with_all_that_is_known() {
    let sidecar = Sidecar::start();
    let risk = ["risk", "--device", "laptop-7", "80", "--source", "edr", "--expires-in", "1h"];
    let (text, code) = sidecar.run(&risk).await;
    assert!(code == 0 && text.starts_with("risk noted of device:laptop-7 80 of 100, until 20"), "{text}");
    let posture =
        ["posture", "--device", "laptop-7", "--not-compliant", "--attribute", "disk=plain", "--attribute", "os=14"];
    let (answer, code) = sidecar.json(&posture).await;
    assert_eq!(
        (code, &answer["outcome"]),
        (0, &"unchanged".into()),
        "the plane of this test applies nothing: {answer}"
    );
    let signal = &answer["signal"];
    assert_eq!(
        (&signal["compliant"], &signal["attributes"]),
        (&false.into(), &serde_json::json!({"disk": "plain", "os": "14"}))
    );
    let (list, _) = sidecar.run(&["signals", "list"]).await;
    assert!(list.contains("posture  device:laptop-7 not compliant (disk=plain os=14)"), "{list}");
    assert!(list.contains("risk     device:laptop-7 80 of 100, until ") && list.contains(" from edr"), "{list}");
    for (wrong, words) in [
        (vec!["risk", "--device", "d", "101"], "write a number from 0 to 100 as the last word"),
        (vec!["risk", "spiffe://a.test/x"], "write a number from 0 to 100 as the last word"),
        (vec!["risk", "7"], "nothing is named"),
        (vec!["risk", "planet:mars", "7"], "planet:mars: scope"),
    ] {
        let (error, code) = sidecar.run(&wrong).await;
        assert!(code == 2 && error.contains(words), "{wrong:?}: {error}");
    }
    let (error, code) = sidecar.run(&["posture", "--jti", "t", "--compliant"]).await;
    assert!(code == 1 && error.contains("a token has no posture"), "{error}");
    for wrong in [
        vec!["posture", "--device", "d"],
        vec!["posture", "--device", "d", "--compliant", "--not-compliant"],
        vec!["posture", "--device", "d", "--compliant", "--attribute", "x"],
        vec!["posture", "--compliant"],
    ] {
        assert!(Cli::try_parse_from([vec!["countersign"], wrong].concat()).is_err());
    }
    assert_eq!(sidecar.run(&["risk", "spiffe://a.test/x", "spiffe://b.test", "3"]).await.1, 0);
    assert_eq!(sidecar.plane.head(), Seq(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_brings_many_signals_and_each_line_that_is_refused_is_named() {
    let text = "permit(principal, action, resource);\nforbid(principal, action, resource in TrustDomain::\"b.test\");";
    let policies = compile(&[Source { name: "control.cedar".into(), text: text.into() }], "orders").unwrap();
    let sidecar = Sidecar::with_policies(policies);
    let file = sidecar.directory.path().join("lines");
    let path = file.to_str().unwrap().to_owned();
    let mut lines = vec!["// leaked".to_owned(), "spiffe://b.test/x".to_owned()];
    lines.extend((0..3000).map(|n| format!("spiffe://a.test/w/{n}")));
    lines.push("{\"scope\": \"device:d\", \"action\": \"risk\", \"risk\": 9, \"id\": \"r-1\"}".to_owned());
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (text, code) =
        sidecar.run(&["revoke", "--from", &path, "--why", "leak", "--source", "scanner", "--wait"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("line 2: uid:") && text.contains(" may not revoke spiffe-id:spiffe://b.test/x"), "{text}");
    assert!(text.contains("\n3001 accepted, 1 refused\n  in force in this sidecar"), "{text}");
    assert_eq!(sidecar.plane.head(), Seq(3001));
    let (last, _) = sidecar.json(&["signals", "list", "--after", "3000"]).await;
    assert_eq!((&last["id"], &last["why"], &last["source"]), (&"r-1".into(), &"leak".into(), &"scanner".into()));
    let scopes = sidecar.plane.log().read_after(Seq(0), 2).unwrap();
    assert_eq!(scopes[1].1.scope.to_string(), "spiffe-id:spiffe://a.test/w/1", "in the order of the file");

    std::fs::write(&file, "spiffe://a.test/x\nplanet:mars\n").unwrap();
    let (error, code) = sidecar.run(&["revoke", "--from", &path]).await;
    assert!(
        code == 2 && error.contains("lines:2: scope \"planet:mars\"") && error.ends_with("nothing was sent"),
        "{error}"
    );
    assert_eq!(sidecar.plane.head(), Seq(3001));
    assert_eq!(sidecar.run(&["revoke", "--from", &path, "spiffe://a.test"]).await.1, 2);
    assert_eq!(sidecar.run(&["revoke", "--from", &path, "--id", "x"]).await.1, 2);

    // What the list shows can be sent again.
    let (list, _) = sidecar.run(&["signals", "list", "--after", "2998", "--output", "json"]).await;
    std::fs::write(&file, &list).unwrap();
    let (text, code) = sidecar.run(&["revoke", "--from", &path]).await;
    assert_eq!((code, text.as_str()), (0, "3 accepted, 3 of them known already\n"), "{list}");
    let (lines, _) = sidecar.run(&["revoke", "--from", &path, "--output", "json"]).await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["line"], &lines[3]["known"]), (4, &1.into(), &3.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_sends_nothing_and_names_who_did_not_answer() {
    let sidecar = Sidecar::start();
    let (answer, code) = sidecar.json(&["revoke", "spiffe://a.test", "--dry-run"]).await;
    assert_eq!((code, &answer["open_streams"], &answer["filters"]), (0, &0.into(), &serde_json::json!([])), "{answer}");
    let quick = sidecar.filters.connect("aa", "edge", Instant::now());
    let _mute = sidecar.filters.connect("bb", "edge", Instant::now());
    let mut probes = sidecar.filters.probes();
    let answering = tokio::spawn(async move {
        let probe = probes.recv().await.unwrap();
        probe.answer(quick.hit(7, 2));
        probe.answer(quick.hit(70, 20));
        (probe.scopes.clone(), quick)
    });
    let (text, code) = sidecar.run(&["revoke", "spiffe://a.test/x", "--device", "d", "--dry-run"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("would hit 7 cached decisions and 2 open streams in filters, and 0 decisions"), "{text}");
    assert!(text.contains("edge aa: 7 cached decisions, 2 open streams"), "{text}");
    assert!(text.contains("edge bb: did not answer, not counted"), "{text}");
    let (scopes, _quick) = answering.await.unwrap();
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    assert_eq!(scopes, ["spiffe-id:spiffe://a.test/x", "device:d"]);
    assert_eq!(sidecar.plane.head(), Seq(0), "nothing was sent");
}
