//! What is left to read after the scenario, metrics and audit trail, and the lines to paste; it checks nothing.

use std::path::Path;

use serde_json::Value;

use super::chain::{APP, Chain};
use super::hop::Hop;
use super::patience::until;
use super::show::Show;

/// A few lines of metrics and of the audit trail.
pub async fn excerpts(chain: &Chain, show: &Show) {
    show.title("Metrics of sidecar web (excerpt)");
    for line in chain.web.sidecar.metrics().await.lines().filter(|line| is_telling(line)).take(METRICS) {
        show.line(&format!("  {line}"));
    }
    for name in ["hits", "resets"] {
        let stats = chain.web.envoy.stats_matching(&format!("countersign[._]{name}$")).await;
        for (name, value) in stats {
            show.line(&format!("  {name} {value}  (a stat of Envoy web)"));
        }
    }
    show.title("Audit trail (excerpt, shortened)");
    for (hop, wanted) in TOLD {
        // What filters did alone is told a moment after they are back.
        if let Some(line) = until(async || find(hop_of(chain, hop), wanted)).await {
            show.line(&line);
        }
    }
}

/// What to do next, each line as it can be pasted.
pub fn lines_to_paste(chain: &Chain, show: &Show) {
    let Chain { web, orders, dir, .. } = chain;
    let (to_web, to_orders) = (web.address().port(), orders.address().port());
    let curl = |who: &str, port: u16, path: &str| {
        format!("curl -i --cert {who}.pem --key {who}.key --cacert ca.pem https://localhost:{port}{path}")
    };
    show.title("Up until Ctrl-C. To paste in another terminal:");
    let lines = [
        (format!("cd {}", within(dir)), ""),
        (curl("app", to_web, "/orders/1"), "allowed"),
        (curl("app", to_web, "/admin/users"), "denied by policy"),
        (curl("report", to_orders, "/orders/1"), "denied: revoked"),
        (curl("app", to_web, "/stream"), "flows until you revoke app"),
        (format!("./countersign revoke {APP} --wait --socket web/control.sock"), ""),
        (format!("./countersign restore {APP} --wait --socket web/control.sock"), ""),
        ("./countersign signals list --socket orders/control.sock".to_owned(), "or: signals tail"),
        ("curl -s --unix-socket web/admin.sock http://localhost/metrics | grep ^countersign_".to_owned(), ""),
        ("tail -f web/audit.jsonl orders/audit.jsonl".to_owned(), ""),
        ("$EDITOR orders/policies.cedar".to_owned(), "in force when saved"),
        ("curl -s --unix-socket web/envoy/admin.sock 'http://localhost/stats?filter=wasmcustom'".to_owned(), ""),
    ];
    for (line, remark) in lines {
        let remark = if remark.is_empty() { String::new() } else { format!("  # {remark}") };
        show.line(&format!("  {line}{remark}"));
    }
}

fn within(dir: &Path) -> String {
    dir.display().to_string()
}

/// What an operator watches, as far as there is anything to see.
fn is_telling(line: &str) -> bool {
    let names =
        ["countersign_decisions_total{", "countersign_enforcement_seconds_count", "countersign_filter_hits_total{"];
    let allowed = line.contains("verdict=\"allow\"") && line.starts_with("countersign_decisions");
    names.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0") && !allowed
}

fn hop_of<'c>(chain: &'c Chain, name: &str) -> &'c Hop {
    if name == chain.web.name { &chain.web } else { &chain.orders }
}

/// The first line of the hop's trail that has all of `wanted`.
fn find(hop: &Hop, wanted: &[(&str, &str)]) -> Option<String> {
    let audit = hop.audit();
    let line = audit.iter().find(|line| wanted.iter().all(|(key, value)| line[*key] == *value))?;
    let told = KEYS.iter().filter(|key| is_said(&line[**key]));
    let fields: Vec<String> = told.map(|key| format!("\"{key}\":{}", line[*key])).collect();
    Some(format!("  {:<6}  {{{}}}", hop.name, fields.join(",")))
}

fn is_said(value: &Value) -> bool {
    !matches!(value, Value::Null) && value.as_str() != Some("") && value.as_array().is_none_or(|list| !list.is_empty())
}

/// What the excerpt of the audit trail shows: by hop, the first line with these values.
type Told<'a> = (&'a str, &'a [(&'a str, &'a str)]);

const TOLD: [Told<'_>; 4] = [
    ("web", &[("kind", "decision"), ("reason", "forbid")]),
    ("web", &[("kind", "filter_hits"), ("verdict", "allow")]),
    ("orders", &[("kind", "signal"), ("action", "revoke")]),
    ("orders", &[("kind", "filter_local")]),
];

const KEYS: [&str; 11] =
    ["time", "kind", "verdict", "reason", "action", "scope", "why", "count", "path", "policies", "caller"];

const METRICS: usize = 6;
