//! Everything a policy set is made of, as text in memory; it reads no file.

use authz_core::plan::PolicyDigest;
use sha2::{Digest, Sha256};

use super::lifetime::TimeZone;

/// The ingredients of a policy set. Equal sources decide equally.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources {
    /// Cedar policies.
    pub policies: Vec<Source>,
    /// A Cedar schema in place of the built-in one.
    pub schema: Option<Source>,
    /// Entities in Cedar's JSON form: groups, attributes.
    pub entities: Option<Source>,
    /// The operation map, YAML.
    pub operations: Option<Source>,
    /// Which `Service` this is.
    pub service: String,
    /// Longest time, in milliseconds, for which an allowing decision holds.
    pub limit_millis: u64,
    /// Longest time, in milliseconds, for which a denial holds.
    pub deny_limit_millis: u64,
    /// Whether paths with parameters (`;`) are refused.
    pub refuse_path_parameters: bool,
    /// Where `context.clock` hangs.
    pub time_zone: TimeZone,
}

/// A named text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// How messages and unnamed policies call it: the path it was read from.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Raised when the meaning of unchanged sources changes: facts, matching, merging of results.
const FORMAT: u64 = 4;

impl Sources {
    /// SHA-256 over everything that can change a decision; `schema` is the schema in force.
    pub(super) fn digest(&self, schema: &str) -> PolicyDigest {
        let mut hash = Sha256::new();
        for number in [FORMAT, self.limit_millis, self.deny_limit_millis, self.policies.len() as u64] {
            hash.update(number.to_le_bytes());
        }
        for policy in &self.policies {
            put(&mut hash, &policy.name);
            put(&mut hash, &policy.text);
        }
        put(&mut hash, schema);
        put(&mut hash, self.entities.as_ref().map_or("", |entities| &entities.text));
        put(&mut hash, self.operations.as_ref().map_or("", |operations| &operations.text));
        put(&mut hash, &self.service);
        put(&mut hash, self.time_zone.name());
        PolicyDigest(hash.finalize().into())
    }
}

/// A part with its length, so that parts can't run into each other.
fn put(hash: &mut Sha256, part: &str) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
        Sources {
            policies: vec![source("a", "x"), source("b", "y")],
            schema: None,
            entities: Some(source("e", "[]")),
            operations: Some(source("o", "operations")),
            service: "s".into(),
            limit_millis: 1,
            deny_limit_millis: 2,
            refuse_path_parameters: false,
            time_zone: TimeZone::utc(),
        }
    }

    #[test]
    fn every_ingredient_changes_the_digest() {
        let base = sources().digest("schema");
        let changes: [fn(&mut Sources); 11] = [
            |s| s.policies[0].name = "c".into(),
            |s| s.policies[0].text = "z".into(),
            |s| s.policies.swap(0, 1),
            |s| s.policies.truncate(1),
            |s| s.policies[0] = Source { name: "ax".into(), text: String::new() },
            |s| s.entities = None,
            |s| s.operations = None,
            |s| s.service = "t".into(),
            |s| s.time_zone = TimeZone::parse("Europe/Berlin").unwrap(),
            |s| s.limit_millis = 9,
            |s| s.deny_limit_millis = 9,
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut other = sources();
            change(&mut other);
            assert_ne!(other.digest("schema"), base, "change {at}");
        }
        assert_ne!(sources().digest("other"), base);
        assert_eq!(sources().digest("schema"), base);
    }
}
