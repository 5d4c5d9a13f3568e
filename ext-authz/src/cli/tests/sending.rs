//! What can be named and sent: scopes in all their forms, risk and posture, files with many signals; and dry runs, which send nothing.

use super::*;

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
    let (shown, _) = sidecar.run(&["signals", "list", "--after", "2998", "--output", "json"]).await;
    std::fs::write(&file, &shown).unwrap();
    let (text, code) = sidecar.run(&["revoke", "--from", &path]).await;
    assert_eq!((code, text.as_str()), (0, "3 accepted, 3 of them known already\n"), "{shown}");
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
