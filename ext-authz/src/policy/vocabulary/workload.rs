//! Which attributes of `Workload` Countersign fills by itself under a schema. It knows no workload.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Declarations;
use crate::policy::{
    problem::Problem,
    shape::{is_long, is_record_of, kind_of, resolve},
    standing::RISK,
};

/// The trust domain of its SPIFFE ID.
pub(in crate::policy) const TRUST_DOMAIN: &str = "trust_domain";
/// The path of its SPIFFE ID, with the leading slash.
pub(in crate::policy) const PATH: &str = "path";
/// The segments of that path, by place.
pub(in crate::policy) const SEGMENTS: &str = "segments";
/// What its certificate says, filled in for each request.
pub(in crate::policy) const CREDENTIAL: &str = "credential";
const CREDENTIAL_MEMBERS: &[(&str, &str)] =
    &[("age", "duration"), ("expires_in", "duration"), ("lifetime", "duration")];
/// Attributes that a workload has from the paths and the trust domain it is in, if it states none itself.
const INHERITED: [&str; 2] = ["environment", "owner"];
/// Where they come from.
const ABOVE: [&str; 2] = ["TrustDomain", "WorkloadPath"];

/// Attributes of `Workload` that are filled in, as far as the schema declares them.
#[derive(Default)]
pub(in crate::policy) struct WorkloadAttributes {
    /// Parts of the SPIFFE ID.
    pub texts: Vec<&'static str>,
    /// The segments that are declared, by their place from the left, 1 the first.
    pub segments: Option<HashMap<usize, Box<str>>>,
    /// What each type above a workload hands down.
    pub inherited: Vec<(&'static str, &'static str)>,
}

impl WorkloadAttributes {
    /// Any other attribute must be optional, for a caller the entities file does not name lacks it.
    pub fn of(declarations: &Declarations<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut found = Self::default();
        let common = |name: &str| declarations.json.pointer("//commonTypes")?.get(name).cloned();
        for (name, declared) in attributes(declarations, "Workload").into_iter().flatten() {
            if let Some(automatic) = [TRUST_DOMAIN, PATH].into_iter().find(|known| known == name) {
                if kind_of(&resolve(declared, &common), &common).as_deref() != Some("String") {
                    problems.push(other_type(declarations, name, "String"));
                }
                found.texts.push(automatic);
                continue;
            }
            if name == SEGMENTS {
                found.segments = segments(declarations, &resolve(declared, &common), &common, problems);
            }
            if name == RISK && !is_long(declared, &common) {
                let message =
                    "attribute risk of Workload is what signals say, from 0 to 100; declare it as `risk?: Long`";
                problems.push(declarations.problem(name, message));
            }
            if name == CREDENTIAL && !is_record_of(declared, &common, CREDENTIAL_MEMBERS) {
                let message = "attribute credential of Workload is filled in from its certificate; declare it as `credential?: { age: duration, lifetime: duration, expires_in: duration }`";
                problems.push(declarations.problem(name, message));
            }
            if name == RISK && !is_long(declared, &common) {
                let message =
                    "attribute risk of Workload is what signals say, from 0 to 100; declare it as `risk?: Long`";
                problems.push(declarations.problem(name, message));
            }
            if !is_optional(declared) && name != SEGMENTS {
                let message = format!(
                    "attribute {name} of Workload is required, but callers that the entities file does not name have none; declare it as `{name}?`"
                );
                problems.push(declarations.problem(name, message));
            }
        }
        let is_text = |name: &str, attribute: &str| {
            let declared = attributes(declarations, name).and_then(|attributes| attributes.get(attribute));
            declared.and_then(|it| kind_of(&resolve(it, &common), &common)).as_deref() == Some("String")
        };
        let handed_down = ABOVE.into_iter().flat_map(|above| INHERITED.into_iter().map(move |name| (above, name)));
        found.inherited =
            handed_down.filter(|(above, name)| is_text("Workload", name) && is_text(above, name)).collect();
        found
    }
}

fn attributes<'d>(declarations: &'d Declarations<'_>, name: &str) -> Option<&'d Map<String, Value>> {
    declarations.json.pointer("//entityTypes")?.get(name)?.pointer("/shape/attributes")?.as_object()
}

fn segments(
    declarations: &Declarations<'_>,
    declared: &Value,
    common: &dyn Fn(&str) -> Option<Value>,
    problems: &mut Vec<Problem>,
) -> Option<HashMap<usize, Box<str>>> {
    let Some(parts) = declared.get("attributes").and_then(Value::as_object) else {
        problems.push(other_type(declarations, SEGMENTS, "a record"));
        return None;
    };
    let mut places = HashMap::new();
    for (name, declared) in parts {
        let place = name.parse::<usize>().ok().filter(|place| *place > 0 && place.to_string() == *name);
        let kind = kind_of(&resolve(declared, common), common);
        if let Some(place) = place.filter(|_| is_optional(declared) && kind.as_deref() == Some("String")) {
            places.insert(place, name.as_str().into());
        } else {
            let message = format!(
                "attribute {SEGMENTS}.{name} of Workload can't be filled in; declare places such as `\"3\"?: String`"
            );
            problems.push(declarations.problem(name, message));
        }
    }
    Some(places)
}

fn other_type(declarations: &Declarations<'_>, name: &str, kind: &str) -> Problem {
    let message =
        format!("attribute {name} of Workload has another type than the one it is filled with; declare it as {kind}");
    declarations.problem(name, message)
}

fn is_optional(declared: &Value) -> bool {
    declared.get("required") == Some(&Value::Bool(false))
}
