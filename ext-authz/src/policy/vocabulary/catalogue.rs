//! A list of all that a schema lets policies see, for documentation. Nothing is decided by it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BUILT_IN_SCHEMA, Declarations};
use crate::policy::{problem::InvalidPolicies, shape::resolve, source::Source};

/// Something policies can see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredFact {
    /// The entity type or `context`, then attribute by attribute: `Workload.path`, `context.http.host`.
    pub path: String,
    /// Its type as the schema writes it.
    pub kind: String,
    /// Whether it may be absent, or something around it.
    pub optional: bool,
}

/// All that the built-in schema declares, in order of their paths.
///
/// # Errors
/// It is no schema, which is a fault of ours.
pub fn built_in_facts() -> Result<Vec<DeclaredFact>, InvalidPolicies> {
    let source = Source { name: "built-in schema".into(), text: BUILT_IN_SCHEMA.into() };
    let mut problems = Vec::new();
    let declarations = Declarations::read(&source, &[], &mut problems);
    let Some(json) = declarations.map(|declarations| declarations.json) else {
        return Err(InvalidPolicies { problems });
    };
    let mut found = BTreeMap::new();
    let members = |list: &str| json.pointer(list).and_then(Value::as_object);
    let common = |name: &str| members("//commonTypes")?.get(name).cloned();
    for (name, entity) in members("//entityTypes").into_iter().flatten() {
        let shape = entity.get("shape").cloned().unwrap_or_default();
        walk(name, &shape, false, &common, &mut found);
    }
    for (_, action) in members("//actions").into_iter().flatten() {
        let context = action.pointer("/appliesTo/context").cloned().unwrap_or_default();
        walk("context", &context, false, &common, &mut found);
    }
    Ok(found.into_iter().map(|(path, (kind, optional))| DeclaredFact { path, kind, optional }).collect())
}

type Found = BTreeMap<String, (String, bool)>;

fn walk(path: &str, declared: &Value, optional: bool, common: &dyn Fn(&str) -> Option<Value>, found: &mut Found) {
    let declared = resolve(declared, common);
    if let Some(attributes) = declared.get("attributes").and_then(Value::as_object) {
        for (name, declared) in attributes {
            let optional = optional || declared.get("required") == Some(&Value::Bool(false));
            walk(&format!("{path}.{name}"), declared, optional, common, found);
        }
    } else if path.contains('.') {
        found.insert(path.to_owned(), (written(&declared), optional));
    }
}

fn written(declared: &Value) -> String {
    match (declared.get("element"), declared.get("name").or(declared.get("type"))) {
        (Some(element), _) => format!("Set<{}>", written(element)),
        (None, Some(name)) => name.as_str().unwrap_or_default().trim_start_matches("__cedar::").to_owned(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fact_is_in_the_list() {
        let facts = built_in_facts().unwrap();
        let has = |path: &str, kind: &str, optional| {
            let fact = DeclaredFact { path: path.into(), kind: kind.into(), optional };
            assert!(facts.contains(&fact), "{path}: {facts:#?}");
        };
        has("Workload.path", "String", false);
        has("Workload.segments.8", "String", true);
        has("Unverified.claimed_names", "Set<String>", false);
        has("context.http.headers.x-tenant", "String", true);
        has("context.hops.workloads", "Set<Workload>", false);
        has("context.destination.port", "Long", true);
    }
}
