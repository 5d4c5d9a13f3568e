//! The corpus of holes: shipped configurations, each changed in one way. It knows no rule.

use std::collections::BTreeMap;

use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::root;
use serde::Deserialize;
use serde_json::Value;

/// A configuration with a hole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The rule that finds it; none if there is no hole.
    pub(super) breaks: Option<String>,
    /// The shipped configuration.
    #[serde(rename = "in")]
    pub(super) file: String,
    /// What Envoy says if it refuses it.
    pub(super) refused: Option<String>,
    #[serde(default)]
    insert: BTreeMap<String, Value>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    text: BTreeMap<String, String>,
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let file = root().join("tests/corpus/envoy-lint/cases.yaml");
    let cases: Vec<Case> = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.len() > 50, "{}", cases.len());
    cases
}

impl Case {
    pub(super) fn applied_to(&self, envoy: EnvoyBuilder) -> EnvoyBuilder {
        let envoy = self.text.iter().fold(envoy, |envoy, (words, others)| envoy.edit(words, others));
        if self.set.is_empty() && self.insert.is_empty() {
            return envoy;
        }
        let Self { insert, set, .. } = self.clone();
        envoy.change(move |config| {
            for (place, value) in set {
                put(config, &whole(&place), value, false);
            }
            for (place, value) in insert {
                put(config, &whole(&place), value, true);
            }
        })
    }
}

fn put(config: &mut Value, place: &str, value: Value, insert: bool) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = config.pointer_mut(parent).unwrap_or_else(|| panic!("nothing is at {parent}"));
    match parent {
        Value::Array(items) => {
            let position: usize = key.parse().unwrap();
            if !insert {
                items.remove(position);
            }
            if !value.is_null() {
                items.insert(position, value);
            }
        }
        Value::Object(fields) if value.is_null() => {
            fields.remove(key);
        }
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        _ => panic!("{place} can't be set"),
    }
}

/// A place as a JSON pointer.
fn whole(place: &str) -> String {
    BEGINNINGS.iter().fold(place.to_owned(), |place, (short, long)| match place.strip_prefix(short) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{long}{rest}"),
        _ => place,
    })
}

/// Each may begin with one that stands below it.
const BEGINNINGS: [(&str, &str); 9] = [
    ("PLUGIN", "FILTER/config"),
    ("FILTER", "HCM/http_filters/0/typed_config"),
    ("ROUTES", "HCM/route_config"),
    ("HCM", "CHAIN/filters/0/typed_config"),
    ("TLS", "CHAIN/transport_socket/typed_config"),
    ("CHAIN", "LISTENER/filter_chains/0"),
    ("LISTENER", "/static_resources/listeners/0"),
    ("CLUSTER", "/static_resources/clusters/0"),
    ("ADMIN", "/admin"),
];
