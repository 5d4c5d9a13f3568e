//! The rules, by what they look at: one table and one small function per rule in each file. To add a rule, add both, and a case to `tests/corpus/envoy-lint`.

pub(super) mod chain;
pub(super) mod connections;
pub(super) mod ext_authz;
pub(super) mod failure;
pub(super) mod proxy;
pub(super) mod request;
pub(super) mod routes;
pub(super) mod tls;
pub(super) mod wasm;
pub(super) mod xfcc;

use super::{
    rule::{Check, Rule, Severity},
    spot::{Hole, Spot},
};

/// A rule by which somebody can get past Countersign, or it is blind.
const fn error(name: &'static str, check: Check, why: &'static str, remedy: &'static str) -> Rule {
    Rule { name, severity: Severity::Error, why, remedy, check }
}

/// A rule about what may be right, but only if something else holds.
const fn warning(name: &'static str, check: Check, why: &'static str, remedy: &'static str) -> Rule {
    Rule { name, severity: Severity::Warning, why, remedy, check }
}

/// Holes wherever the switch `name` is not on.
fn off<'s, 'a: 's>(spots: impl Iterator<Item = &'s Spot<'a>>, name: &str) -> Vec<Hole> {
    spots.filter(|spot| !spot.is_on(name)).map(|spot| spot.hole_at(name)).collect()
}

/// Holes wherever the switch `name` is on.
fn on<'s, 'a: 's>(spots: impl Iterator<Item = &'s Spot<'a>>, name: &str) -> Vec<Hole> {
    spots.filter(|spot| spot.is_on(name)).map(|spot| spot.hole_at(name)).collect()
}
