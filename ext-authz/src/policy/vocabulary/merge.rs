//! One schema out of several texts: what an extension adds is added, what it says otherwise is told. It judges no single text.

use serde_json::{Map, Value};

/// What two texts say differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Clash {
    /// Namespace, kind, name and attributes, as in `places`.
    pub path: Vec<String>,
    /// What the extension does with it that it can't.
    pub how: String,
}

/// Adds the declarations of `extension` to those of `base`, both in the JSON form of schemas.
///
/// Attributes of entity types and of records are added, also deeper down; what an entity type may be in is united; new types and
/// actions are added. What both declare must be the same.
pub(super) fn extend(base: &mut Value, extension: Value) -> Vec<Clash> {
    let mut clashes = Vec::new();
    let mut namespaces = object(base.take());
    for (namespace, declarations) in object(extension) {
        let mut declarations = object(declarations);
        let mut known = taken(&mut namespaces, &namespace);
        for (kind, list) in [("entity", "entityTypes"), ("type", "commonTypes"), ("action", "actions")] {
            let mut all = taken(&mut known, list);
            for (name, added) in taken(&mut declarations, list) {
                let mut at = At { path: vec![namespace.clone(), kind.into(), name.clone()], clashes: &mut clashes };
                let declared = all.remove(&name).map_or(added.clone(), |known| unite(kind, known, added, &mut at));
                all.insert(name, declared);
            }
            known.insert(list.to_owned(), Value::Object(all));
        }
        namespaces.insert(namespace, Value::Object(known));
    }
    *base = Value::Object(namespaces);
    clashes
}

/// A declaration in words: `attribute team of entity Workload`.
pub(super) fn describe(path: &[String]) -> String {
    let [namespace, kind, name, attributes @ ..] = path else { return path.join(".") };
    let scope = if namespace.is_empty() { String::new() } else { format!("{namespace}::") };
    if attributes.is_empty() {
        return format!("{kind} {scope}{name}");
    }
    format!("attribute {} of {kind} {scope}{name}", attributes.join("."))
}

/// Where we are, and where to tell what is wrong there.
struct At<'c> {
    path: Vec<String>,
    clashes: &'c mut Vec<Clash>,
}

impl At<'_> {
    fn clash(&mut self, how: impl Into<String>) {
        self.clashes.push(Clash { path: self.path.clone(), how: how.into() });
    }

    fn within(&mut self, attribute: &str) -> At<'_> {
        let path = self.path.iter().cloned().chain([attribute.to_owned()]).collect();
        At { path, clashes: self.clashes }
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// A member that is an object, taken out; an empty one if there is none.
fn taken(object: &mut Map<String, Value>, member: &str) -> Map<String, Value> {
    object.remove(member).map(self::object).unwrap_or_default()
}

fn unite(kind: &str, known: Value, added: Value, at: &mut At<'_>) -> Value {
    match kind {
        "entity" => unite_entities(object(known), object(added), at),
        "type" => unite_types(known, added, at),
        _ => {
            if known != added {
                at.clash("is another action than the one of this name; give yours a name of its own");
            }
            known
        }
    }
}

/// A type without `in`, attributes or tags says nothing of them, so it has those of the other. A closed list of entities stays as it is.
fn unite_entities(mut known: Map<String, Value>, mut added: Map<String, Value>, at: &mut At<'_>) -> Value {
    const LIST: &str = "enum";
    if known.contains_key(LIST) || added.contains_key(LIST) {
        if known != added {
            at.clash("can't be extended: an enum has exactly the entities that it lists");
        }
        return Value::Object(known);
    }
    let mut parents = list(known.remove("memberOfTypes"));
    for parent in list(added.remove("memberOfTypes")) {
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }
    if !parents.is_empty() {
        known.insert("memberOfTypes".to_owned(), Value::Array(parents));
    }
    let (shape, tags) = (added.remove("shape"), added.remove("tags"));
    if let Some(shape) = shape {
        let shape = known.remove("shape").map_or(shape.clone(), |known| unite_types(known, shape, at));
        known.insert("shape".to_owned(), shape);
    }
    match (known.get("tags"), tags) {
        (Some(known), Some(tags)) if *known != tags => {
            at.clash(format!("has tags of type {}, not {}", name(known), name(&tags)));
        }
        (None, Some(tags)) => drop(known.insert("tags".to_owned(), tags)),
        _ => {}
    }
    Value::Object(known)
}

fn list(value: Option<Value>) -> Vec<Value> {
    if let Some(Value::Array(members)) = value { members } else { Vec::new() }
}

fn unite_types(known: Value, added: Value, at: &mut At<'_>) -> Value {
    if !(is_record(&known) && is_record(&added)) {
        if plain(&known) != plain(&added) {
            at.clash(format!("is {}, not {}", name(&known), name(&added)));
        }
        return known;
    }
    let (mut known, mut added) = (object(known), object(added));
    let mut attributes = taken(&mut known, "attributes");
    for (attribute, added) in taken(&mut added, "attributes") {
        let mut at = at.within(&attribute);
        let declared = match attributes.remove(&attribute) {
            None => added,
            Some(known) => unite_attributes(known, added, &mut at),
        };
        attributes.insert(attribute, declared);
    }
    known.insert("attributes".to_owned(), Value::Object(attributes));
    Value::Object(known)
}

fn unite_attributes(known: Value, added: Value, at: &mut At<'_>) -> Value {
    match (is_optional(&known), is_optional(&added)) {
        (true, false) => at.clash("is optional, not required; declare it with `?`"),
        (false, true) => at.clash("is required, not optional; declare it without `?`"),
        _ => return unite_types(known, added, at),
    }
    known
}

fn is_record(declared: &Value) -> bool {
    declared.get("type").and_then(Value::as_str) == Some("Record")
}

fn is_optional(declared: &Value) -> bool {
    declared.get("required") == Some(&Value::Bool(false))
}

/// Without what says nothing about values.
fn plain(declared: &Value) -> Value {
    let mut declared = declared.clone();
    if let Value::Object(members) = &mut declared {
        members.remove("annotations");
        members.remove("required");
    }
    declared
}

/// The name of a type as it is written.
fn name(declared: &Value) -> String {
    let text = |member: &str| declared.get(member).and_then(Value::as_str);
    match text("type") {
        Some("Record") => "a record".to_owned(),
        Some("Set") => declared.get("element").map_or_else(|| "a set".to_owned(), |it| format!("Set<{}>", name(it))),
        Some(other) => text("name").unwrap_or(other).trim_start_matches("__cedar::").to_owned(),
        None => "another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::SchemaFragment;
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Value {
        SchemaFragment::from_cedarschema_str(text).unwrap().0.to_json_value().unwrap()
    }

    fn merged(base: &str, extension: &str) -> Result<String, Vec<String>> {
        let mut whole = json(base);
        let clashes = extend(&mut whole, json(extension));
        if clashes.is_empty() {
            return Ok(SchemaFragment::from_json_value(whole).unwrap().to_cedarschema().unwrap());
        }
        Err(clashes.iter().map(|clash| format!("{} {}", describe(&clash.path), clash.how)).collect())
    }

    const BASE: &str = r#"entity A in [B] { x: Long, r: { y?: String } }; entity B; entity C tags Long; entity E enum ["a"];
        type R = { s?: Set<String> }; type L = Long; action "get" appliesTo { principal: A, resource: B };"#;

    #[test]
    fn what_is_new_is_added_to_what_is_there() {
        let cases = [
            ("entity A { z?: Bool };", "entity A in [B] = {r: {y?: String}, x: Long, z?: Bool};"),
            ("entity A { r: { w?: Long } };", "entity A in [B] = {r: {w?: Long, y?: String}, x: Long};"),
            ("entity A in [N, B]; entity N;", "entity A in [B, N] = {r: {y?: String}, x: Long};"),
            ("entity A { x: Long } tags String;", "entity A in [B] = {r: {y?: String}, x: Long} tags String;"),
            ("entity B { v: Long };", "entity B = {v: Long};"),
            ("entity B in [A];", "entity B in [A];"),
            ("entity C { v: Long } tags Long;", "entity C = {v: Long} tags Long;"),
            ("entity N in [A] { v: L };", "entity N in [A] = {v: L};"),
            ("entity E enum [\"a\"];", "entity E enum [\"a\"];"),
            ("type R = { t?: A };", "type R = {s?: Set<String>, t?: A};"),
            ("type N = Set<L>;", "type N = Set<L>;"),
            ("type L = Long;", "type L = Long;"),
            ("action \"put\" in [\"get\"];", "action \"put\" in [Action::\"get\"];"),
            ("action \"get\" appliesTo { principal: A, resource: B };", "action \"get\" appliesTo {"),
            ("namespace N { entity M in [A]; }", "namespace N { entity M in [A]; }"),
        ];
        for (extension, expected) in cases {
            let text = merged(BASE, extension).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            let text = text.replace("{ ", "{").replace(" }", "}");
            assert!(text.contains(&expected.replace("{ ", "{").replace(" }", "}")), "{extension}:\n{text}");
        }
    }

    #[test]
    fn what_is_said_otherwise_is_told() {
        let cases = [
            ("entity A { x: String };", "attribute x of entity A is Long, not String"),
            ("entity A { x?: Long };", "attribute x of entity A is required, not optional; declare it without `?`"),
            (
                "entity A { r: { y: String } };",
                "attribute r.y of entity A is optional, not required; declare it with `?`",
            ),
            ("entity A { r: Long };", "attribute r of entity A is a record, not Long"),
            ("entity C tags Bool;", "entity C has tags of type Long, not Bool"),
            ("entity E;", "entity E can't be extended: an enum has exactly the entities that it lists"),
            ("entity E enum [\"b\"];", "entity E can't be extended: an enum has exactly the entities that it lists"),
            ("entity B enum [\"b\"];", "entity B can't be extended: an enum has exactly the entities that it lists"),
            ("type R = { s?: Set<Long> };", "attribute s of type R is Set<String>, not Set<Long>"),
            ("type R = Long;", "type R is a record, not Long"),
            ("type L = { a: Long };", "type L is Long, not a record"),
            (
                "action \"get\" appliesTo { principal: B, resource: B };",
                "action get is another action than the one of this name; give yours a name of its own",
            ),
        ];
        for (extension, expected) in cases {
            assert_eq!(merged(BASE, extension), Err(vec![expected.to_owned()]), "{extension}");
        }
        assert_eq!(
            merged("namespace N { type T = Long; }", "namespace N { type T = Bool; }").unwrap_err(),
            ["type N::T is Long, not Bool"]
        );
    }

    fn fragment() -> impl Strategy<Value = String> {
        let attribute =
            ("[ab]", prop::sample::select(vec!["Long", "String", "Set<Long>", "{ a?: Long }", "{ b?: Bool }"]));
        let attributes = prop::collection::btree_map(attribute.0, attribute.1, 0..3)
            .prop_map(|all| all.iter().map(|(name, of)| format!("{name}?: {of}")).collect::<Vec<_>>().join(", "));
        let parents = prop::sample::subsequence(vec!["E", "F"], 0..=2);
        (prop::sample::select(vec!["E", "F"]), parents, attributes.clone(), attributes).prop_map(
            |(name, parents, ours, of_type)| {
                let other = if name == "E" { "F" } else { "E" };
                let parents = parents.join(", ");
                format!("entity {name} in [{parents}] {{ {ours} }}; entity {other}; type T = {{ {of_type} }};")
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_of_extensions_does_not_matter_and_one_twice_is_one(one in fragment(), other in fragment()) {
            let parents_sorted = |text: Result<String, Vec<String>>| text.map(|text| {
                let mut json = json(&text);
                for entity in json.pointer_mut("//entityTypes").and_then(Value::as_object_mut).unwrap().values_mut() {
                    if let Some(parents) = entity.get_mut("memberOfTypes").and_then(Value::as_array_mut) {
                        parents.sort_by_key(ToString::to_string);
                    }
                }
                json
            });
            prop_assert_eq!(parents_sorted(merged(&one, &one)), Ok(parents_sorted(Ok(one.clone())).unwrap()));
            let (there, back) = (merged(&one, &other), merged(&other, &one));
            prop_assert_eq!(there.is_ok(), back.is_ok());
            if there.is_ok() {
                prop_assert_eq!(parents_sorted(there), parents_sorted(back));
            }
        }
    }
}
