//! The report against rounds with known answers.

use super::*;

fn series(name: &str, rates: &[f64]) -> Series {
    let round = |rate: &f64| Round {
        requests_per_second: *rate,
        envoy_cpu_us: 10.0,
        authorizer_cpu_us: None,
        p50_us: 100.0,
        p99_us: 400.0,
        unfinished: 0,
    };
    Series { name: name.to_owned(), rounds: rates.iter().map(round).collect() }
}

fn report(series: &[Series], peers: &[String]) -> Report {
    let settings = Settings { rounds: 3, phase_seconds: 1.0, connections: 16, rate: 2_000 };
    let machine = Machine {
        cores: 2,
        processor: "a processor".to_owned(),
        architecture: "x86_64",
        memory_mib: 1_024,
        system: "linux 6.1.0".to_owned(),
        envoy: "1.40.0".to_owned(),
    };
    Report::new(machine, settings, series, peers)
}

fn everything() -> Report {
    let series = [
        series("no_filter", &[60e3, 60e3, 60e3]),
        series("rbac_1", &[50e3, 50e3, 50e3]),
        series("rbac_100", &[30e3, 30e3, 30e3]),
        series("rbac_1000", &[8e3, 8e3, 8e3]),
        series("empty_wasm", &[50e3, 25e3, 50e3]),
        series("noop_ext_authz", &[10e3, 10e3, 10e3]),
        series("check_hit", &[9e3, 10e3, 11e3]),
        series("filter_hit", &[40e3, 20e3, 45e3]),
        series("filter_hit_100", &[40e3, 40e3, 40e3]),
        series("filter_hit_1000", &[40e3, 40e3, 40e3]),
        series("check_miss", &[8e3, 8e3, 8e3]),
        series("no_filter_three_hops", &[48e3, 48e3, 48e3]),
        series("filter_hit_three_hops", &[30e3, 10e3, 45e3]),
        series("check_hit_three_hops", &[4.5e3, 5e3, 5.5e3]),
        series("check_miss_three_hops", &[2e3, 2e3, 2e3]),
        series("first_request_no_filter", &[2e3, 2e3, 2e3]),
        series("first_request_filter", &[1.8e3, 1.8e3, 1.8e3]),
        series("first_request_check", &[1.6e3, 1.6e3, 1.6e3]),
        series("peer_opa", &[5e3, 5e3, 5e3]),
    ];
    report(&series, &["opa".to_owned()])
}

#[test]
fn every_promised_ratio_is_in_the_report_under_its_name() {
    let expected = [
        ("check_hit_three_hops_vs_one", 0.5),
        ("check_hit_vs_noop_ext_authz", 1.0),
        ("check_hit_vs_opa", 2.0),
        ("check_miss_three_hops_vs_one", 0.25),
        ("filter_hit_three_hops_vs_one", 0.75),
        ("filter_hit_vs_empty_wasm", 0.8),
        ("filter_hit_vs_noop_ext_authz", 4.0),
        ("filter_hit_vs_opa", 8.0),
        ("filter_hit_vs_rbac", 0.8),
        ("filter_hit_vs_rbac_100", 4.0 / 3.0),
        ("filter_hit_vs_rbac_1000", 5.0),
        ("first_request_check_vs_no_filter", 0.8),
        ("first_request_filter_vs_no_filter", 0.9),
        ("no_filter_three_hops_vs_one", 0.8),
    ];
    let expected: BTreeMap<_, _> = expected.iter().map(|(name, ratio)| ((*name).to_owned(), *ratio)).collect();
    assert_eq!(everything().ratios, expected);
}

#[test]
fn the_json_has_the_keys_that_readers_of_it_rely_on() {
    let json: serde_json::Value = serde_json::from_str(&everything().to_json().unwrap()).unwrap();
    let scenario = &json["scenarios"]["check_hit"];
    let rate = &scenario["requests_per_second"];
    assert_eq!([&rate["min"], &rate["median"], &rate["max"]], [9e3, 10e3, 11e3]);
    assert_eq!(
        (&scenario["p50_us"], &scenario["p99_us"], &scenario["rounds"]),
        (&100.0.into(), &400.0.into(), &3.into())
    );
    assert_eq!(json["machine"]["cores"], 2);
    assert_eq!(json["ratios"]["filter_hit_vs_opa"], 8.0);
}

#[test]
fn a_scenario_that_was_not_run_has_no_ratio() {
    let report = report(&[series("filter_hit", &[1.0]), series("rbac_1", &[2.0])], &["opa".to_owned()]);
    assert_eq!(report.ratios.keys().collect::<Vec<_>>(), ["filter_hit_vs_rbac"]);
}

#[test]
fn the_table_says_which_goals_were_missed() {
    let table = table::render(&everything()).unwrap();
    let line = |name: &str| table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
    assert!(line("filter_hit_vs_empty_wasm").ends_with("≥ 0.85       missed"), "{table}");
    assert!(line("filter_hit_vs_rbac_1000").ends_with("met"), "{table}");
    assert!(line("check_hit_three_hops_vs_one").ends_with("0.50"), "nothing was promised: {table}");
    assert!(line("no_filter").contains("60000"), "{table}");
    assert!(table.find("no_filter") < table.find("check_hit"), "scenarios keep the order they were run in");
}

#[test]
fn arrivals_that_were_never_sent_are_said_out_loud() {
    let mut slow = series("rbac_1000", &[900.0]);
    slow.rounds[0].unfinished = 77;
    let table = table::render(&report(&[slow], &[])).unwrap();
    assert!(table.contains("77 arrivals were never sent"), "{table}");
}

#[test]
fn a_report_file_is_written_into_a_new_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bench/report.json");
    everything().write(&path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(json["settings"]["connections"], 16);
}
