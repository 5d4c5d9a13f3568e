//! Reloads, end to end on real files.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::{runtime::Builder, sync::mpsc, time::timeout};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn policy_files(home: &Path) -> PolicyFiles {
    PolicyFiles {
        policies: vec![home.to_path_buf()],
        schema: None,
        entities: Some(home.join("entities.json")),
        operations: None,
        service: "cart".into(),
        limit_millis: 1,
        deny_limit_millis: 1,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    }
}

fn event(event: Option<PolicyEvent>) -> String {
    match event {
        Some(PolicyEvent::Reloaded(set)) => format!("{} policies", set.len()),
        Some(PolicyEvent::Refused(error)) => error.to_string(),
        None => "end".into(),
    }
}

#[test]
fn good_sets_are_told_bad_ones_refused_and_recovery_is_told_too() {
    let home = TempDir::new().unwrap();
    let (policy, entities) = (home.path().join("a.cedar"), home.path().join("entities.json"));
    let good = "permit(principal, action, resource);\n";
    fs::write(&policy, good).unwrap();
    fs::write(&entities, "[]").unwrap();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (sender, mut events) = mpsc::channel(1);
        let watching = tokio::spawn(watch(policy_files(home.path()), None, sender));
        let mut next = async || event(timeout(LONG, events.recv()).await.expect("no event"));
        assert_eq!(next().await, "1 policies");
        fs::write(&policy, good.repeat(2)).unwrap();
        assert_eq!(next().await, "2 policies");
        fs::write(&policy, format!("{good}permit(")).unwrap();
        let refused = next().await;
        assert!(refused.contains("a.cedar:2:8: "), "{refused}");
        fs::write(&policy, good.repeat(2)).unwrap();
        assert_eq!(next().await, "2 policies");
        fs::write(&entities, "{").unwrap();
        let refused = next().await;
        assert!(refused.contains("entities.json:1:"), "{refused}");
        fs::remove_file(&entities).unwrap();
        let refused = next().await;
        assert!(refused.contains("entities.json: "), "{refused}");
        fs::write(&entities, "[]").unwrap();
        assert_eq!(next().await, "2 policies");
        fs::write(home.path().join("b.cedar"), good).unwrap();
        assert_eq!(next().await, "3 policies");
        drop(events);
        timeout(LONG, watching).await.expect("watching goes on without a receiver").unwrap().unwrap();
    });
}

#[test]
fn the_set_in_force_is_no_news() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("a.cedar"), "permit(principal, action, resource);").unwrap();
    fs::write(home.path().join("entities.json"), "[]").unwrap();
    let files = policy_files(home.path());
    let current = Some(load(&files).unwrap().digest());
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (sender, mut events) = mpsc::channel(1);
        let watching = tokio::spawn(watch(files, current, sender));
        // The same content in a new file: noticed by the watch of the directory, but no other set.
        fs::write(home.path().join("a.tmp"), "permit(principal, action, resource);").unwrap();
        fs::rename(home.path().join("a.tmp"), home.path().join("a.cedar")).unwrap();
        assert!(timeout(Duration::from_secs(1), events.recv()).await.is_err(), "told what is in force");
        watching.abort();
    });
}

#[test]
fn a_report_says_what_would_be_in_force_or_what_is_wrong() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("entities.json"), "[]").unwrap();
    let policy = home.path().join("a.cedar");
    let text = "permit(principal, action, resource) when { context.http.path == \"/\" };\npermit(principal, action, resource == Service::\"x\");";
    fs::write(&policy, text).unwrap();
    let good = report(&policy_files(home.path()));
    assert!(
        good.to_string()
            .starts_with("valid: 2 policies, 1 of them for this service\nreads, besides caller and method: path\n")
    );
    fs::write(&policy, "permit(").unwrap();
    let bad = report(&policy_files(home.path()));
    assert!(bad.to_string().contains("a.cedar:1:8: ") && bad.to_string().ends_with("invalid: 1 to correct"), "{bad}");
    assert_eq!((good.valid, bad.valid, bad.summary), (true, false, None));
}
