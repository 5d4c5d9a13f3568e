//! The gauges of trust bundles, made anew from the trust store whenever somebody looks; their labels are bounded.

use std::collections::BTreeMap;

use authz_core::time::Timestamp;
use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Maker;
use crate::{
    clock,
    identity::{Held, Origin, TrustStore},
};

/// Reads the bundles in force at each scrape, so that no gauge outlives its trust domain.
pub(super) struct BundleGauges {
    trust: TrustStore,
    descriptions: Vec<Desc>,
}

/// The gauges of one scrape.
struct Gauges {
    age: IntGaugeVec,
    authorities: IntGaugeVec,
    next_refresh: IntGaugeVec,
    sequence: IntGaugeVec,
}

/// What the gauges say about one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    age: i64,
    authorities: i64,
    next_refresh: i64,
    sequence: i64,
}

impl BundleGauges {
    pub(super) fn new(trust: TrustStore) -> Result<Self, prometheus::Error> {
        let descriptions = Gauges::new()?.all().iter().flat_map(|gauge| gauge.desc()).cloned().collect();
        Ok(Self { trust, descriptions })
    }
}

impl Collector for BundleGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // It was possible once, with the very same names and labels.
        let Ok(gauges) = Gauges::new() else { return Vec::new() };
        let held = self.trust.in_force().into_iter().map(|(name, origin, held)| (name.to_string(), origin, held));
        for ((name, origin), row) in rows(held, clock::now()) {
            gauges.age.with_label_values(&[name.as_str(), origin.as_str()]).set(row.age);
            gauges.authorities.with_label_values(&[&name]).set(row.authorities);
            gauges.next_refresh.with_label_values(&[&name]).set(row.next_refresh);
            gauges.sequence.with_label_values(&[&name]).set(row.sequence);
        }
        gauges.all().iter().flat_map(|gauge| gauge.collect()).collect()
    }
}

impl Gauges {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, Maker::help(name)), labels);
        Ok(Self {
            age: gauge("countersign_bundle_age_seconds", &["trust_domain", "origin"])?,
            authorities: gauge("countersign_bundle_authorities", &["trust_domain"])?,
            next_refresh: gauge("countersign_bundle_next_refresh_seconds", &["trust_domain"])?,
            sequence: gauge("countersign_bundle_sequence", &["trust_domain"])?,
        })
    }

    fn all(&self) -> [&IntGaugeVec; 4] {
        [&self.age, &self.authorities, &self.next_refresh, &self.sequence]
    }
}

/// One row for each of the first trust domains by name; all others share one, which shows the worst of them.
fn rows(held: impl Iterator<Item = (String, Origin, Held)>, now: Timestamp) -> BTreeMap<(String, Origin), Row> {
    let mut rows = BTreeMap::new();
    for (position, (name, origin, held)) in held.enumerate() {
        let row = Row::of(&held, now);
        if position < MOST_TRUST_DOMAINS {
            rows.insert((name, origin), row);
        } else {
            let others = rows.entry((OTHERS.to_owned(), Origin::WorkloadApi)).or_insert(row);
            *others = others.worst(row);
        }
    }
    rows
}

impl Row {
    fn of(held: &Held, now: Timestamp) -> Self {
        let seconds = |millis: u64| i64::try_from(millis / 1000).unwrap_or(i64::MAX);
        let until = |next: Timestamp| seconds(next.millis_since(now)) - seconds(now.millis_since(next));
        Self {
            age: seconds(now.millis_since(held.fetched_at)),
            authorities: i64::try_from(held.bundle.authorities()).unwrap_or(i64::MAX),
            next_refresh: held.next_refresh.map_or(0, until),
            sequence: held.bundle.sequence().map_or(0, |it| i64::try_from(it).unwrap_or(i64::MAX)),
        }
    }

    fn worst(self, other: Self) -> Self {
        Self {
            age: self.age.max(other.age),
            authorities: self.authorities.min(other.authorities),
            next_refresh: self.next_refresh.min(other.next_refresh),
            sequence: self.sequence.min(other.sequence),
        }
    }
}

/// A mesh federates with a handful; what a Workload API says must not fill a metrics store.
const MOST_TRUST_DOMAINS: usize = 64;

/// No trust domain can be called so: parentheses are not in their grammar.
const OTHERS: &str = "(other)";

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use authz_core::identity::TrustDomain;

    use super::*;
    use crate::identity::Bundle;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn held(sequence: u64, fetched: u64, next: Option<u64>) -> Held {
        let bundle = Bundle::parse(format!(r#"{{"keys": [], "spiffe_sequence": {sequence}}}"#).as_bytes()).unwrap();
        let (fetched_at, next_refresh) = (Timestamp::from_secs(fetched), next.map(Timestamp::from_secs));
        Held { bundle: Arc::new(bundle), fetched_at, next_refresh, trouble: None }
    }

    pub(in crate::metrics) fn one_bundle() -> TrustStore {
        let trust = TrustStore::default();
        trust.put(&TrustDomain::parse("a.test").unwrap(), Origin::File, held(1, 1, None));
        trust
    }

    #[test]
    fn ages_and_sequences_are_those_of_the_bundle() {
        let all = [("a", held(7, 990, Some(1060))), ("b", held(0, 1000, Some(970))), ("c", held(1, 2000, None))];
        let all = all.map(|(name, held)| (name.to_owned(), Origin::Federation, held));
        let rows: Vec<Row> = rows(all.into_iter(), NOW).into_values().collect();
        let row = |age, next_refresh, sequence| Row { age, authorities: 0, next_refresh, sequence };
        assert_eq!(rows, [row(10, 60, 7), row(0, -30, 0), row(0, 0, 1)]);
    }

    #[test]
    fn many_trust_domains_make_few_labels_and_hide_no_trouble() {
        let all = (0..1000_u64).map(|number| (format!("td{number:04}"), Origin::WorkloadApi, held(5, number, None)));
        let rows = rows(all, NOW);
        assert_eq!(rows.len(), MOST_TRUST_DOMAINS + 1);
        assert_eq!(rows[&(OTHERS.to_owned(), Origin::WorkloadApi)].age, 1000 - 64);
    }

    #[test]
    fn a_trust_domain_that_is_gone_leaves_no_gauge() {
        let (metrics, trust) = (crate::metrics::Metrics::new().unwrap(), one_bundle());
        metrics.show_bundles(trust.clone()).unwrap();
        let shown = || metrics.render().unwrap().contains(r#"countersign_bundle_sequence{trust_domain="a.test"} 1"#);
        assert!(shown());
        trust.replace(Origin::File, BTreeMap::new());
        assert!(!shown());
    }
}
