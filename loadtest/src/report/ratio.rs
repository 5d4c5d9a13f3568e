//! Which scenarios are compared, and what each comparison should show. It must not hide a ratio that misses its goal.

use super::Series;
use crate::statistics::Spread;

/// One scenario's throughput over another's.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// Its key in the report.
    pub name: String,
    /// What the rounds say.
    pub spread: Spread,
    /// What we want it to be at least (DESIGN §7); none where nothing was promised.
    pub goal: Option<f64>,
}

/// Every comparison both of whose scenarios were run.
pub fn all(series: &[Series], peers: &[String]) -> Vec<Ratio> {
    let fixed = FIXED.iter().filter_map(|(name, ours, theirs, goal)| ratio(series, name, ours, theirs, *goal));
    let with_peers = peers.iter().flat_map(|peer| {
        ["filter_hit", "check_hit"]
            .map(|ours| ratio(series, &format!("{ours}_vs_{peer}"), ours, &format!("peer_{peer}"), None))
    });
    fixed.chain(with_peers.flatten()).collect()
}

fn ratio(series: &[Series], name: &str, ours: &str, theirs: &str, goal: Option<f64>) -> Option<Ratio> {
    let spread = Spread::of_ratios(&throughput(series, ours)?, &throughput(series, theirs)?)?;
    Some(Ratio { name: name.to_owned(), spread, goal })
}

fn throughput(series: &[Series], name: &str) -> Option<Vec<f64>> {
    let found = series.iter().find(|series| series.name == name)?;
    Some(found.rounds.iter().map(|round| round.requests_per_second).collect())
}

/// Name, ours, theirs, goal.
const FIXED: [(&str, &str, &str, Option<f64>); 14] = [
    ("filter_hit_vs_empty_wasm", "filter_hit", "empty_wasm", Some(0.85)),
    ("filter_hit_vs_rbac", "filter_hit", "rbac_1", Some(0.7)),
    ("filter_hit_vs_rbac_100", "filter_hit_100", "rbac_100", Some(1.0)),
    ("filter_hit_vs_rbac_1000", "filter_hit_1000", "rbac_1000", Some(5.0)),
    ("filter_hit_vs_noop_ext_authz", "filter_hit", "noop_ext_authz", Some(3.0)),
    ("check_hit_vs_noop_ext_authz", "check_hit", "noop_ext_authz", Some(0.95)),
    // A request may cost a fifth more at most, whatever is revoked.
    ("check_hit_100k_revoked_vs_none", "check_hit_100k_revoked", "check_hit", Some(0.83)),
    ("check_hit_1m_revoked_vs_none", "check_hit_1m_revoked", "check_hit", Some(0.83)),
    // What two more elements in a header cost Envoy itself, to be read beside the next three.
    ("no_filter_three_hops_vs_one", "no_filter_three_hops", "no_filter", None),
    ("filter_hit_three_hops_vs_one", "filter_hit_three_hops", "filter_hit", None),
    ("check_hit_three_hops_vs_one", "check_hit_three_hops", "check_hit", None),
    ("check_miss_three_hops_vs_one", "check_miss_three_hops", "check_miss", None),
    ("first_request_filter_vs_no_filter", "first_request_filter", "first_request_no_filter", None),
    ("first_request_check_vs_no_filter", "first_request_check", "first_request_no_filter", None),
];
