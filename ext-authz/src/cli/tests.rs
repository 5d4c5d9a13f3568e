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

mod sending;

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

#[test]
fn the_schema_in_force_is_printed_as_one_that_can_be_used_again() {
    let home = tempfile::TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write("x.cedarschema", "type Headers = { \"x-device\"?: String };");
    write("y.cedarschema", "entity Workload { team?: String };");
    write("a.cedar", "permit(principal, action, resource) when { principal has team && principal.team == \"a\" };");
    write("broken.cedarschema", "\ntype Hops = Long;");
    let config = |extensions: &str| {
        let text = format!(
            "service:\n  name: cart\nidentity:\n  trust_bundles: [{{trust_domain: td, file: td.pem}}]\npolicy:\n  files: [a.cedar]\n{extensions}"
        );
        write("config.yaml", &text);
    };
    let run = |arguments: &[&str]| {
        let mut out = Vec::new();
        let cli = Cli::try_parse_from(["countersign", "policy"].iter().chain(arguments)).unwrap();
        let code = cli.run(&mut out).map_err(|error| error.to_string());
        code.map(|exit| (String::from_utf8(out).unwrap(), exit.code()))
    };
    let path = at("config.yaml").display().to_string();
    config("");
    assert_eq!(run(&["schema", "--config", &path]).unwrap().0, crate::policy::BUILT_IN_SCHEMA);
    config("  schema_extensions: [x.cedarschema, y.cedarschema]\n");
    let (text, _) = run(&["schema", "--config", &path]).unwrap();
    assert!(text.starts_with("// The schema in force: schema version 2 (built in), extended by "), "{text}");
    assert!(text.contains("x-device") && text.contains("team"), "{text}");
    write("whole.cedarschema", &text);
    let policies = at("a.cedar").display().to_string();
    let whole = at("whole.cedarschema").display().to_string();
    assert_eq!(run(&["validate", "--schema", &whole, &policies]).unwrap().1, 0);
    let (report, _) = run(&["validate", &policies]).unwrap();
    assert!(report.contains("a.cedar:1:1: this policy can never apply"), "the built-in schema has no team: {report}");
    let team = at("y.cedarschema").display().to_string();
    let (report, code) = run(&["validate", "--schema-extension", &team, &policies]).unwrap();
    assert!(
        code == 0 && report.contains(&format!("schema: schema version 2 (built in), extended by {team}\n")),
        "{report}"
    );
    config("  schema_extensions: [broken.cedarschema]\n");
    let error = run(&["schema", "--config", &path]).unwrap_err();
    assert!(error.contains("broken.cedarschema:2:6: type Hops is a record, not Long; see built-in schema:"), "{error}");
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
