//! A place in a document and how to read there as Envoy does: either spelling of a name, numbers for enums, the last of a repeated key. It knows no message.

use std::rc::Rc;

use crate::config::tree::{Entry, Node, Value};

/// A value, the path to it and the names on the way.
#[derive(Clone, Debug)]
pub(super) struct Spot<'a> {
    node: &'a Node,
    path: String,
    within: Rc<str>,
}

/// A message in an `Any`: its type without host, and its fields.
#[derive(Clone, Debug)]
pub(super) struct Typed<'a> {
    pub(super) kind: &'a str,
    pub(super) body: Spot<'a>,
}

/// Something bad at a place.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    pub(super) line: Option<u64>,
    pub(super) place: String,
    pub(super) within: String,
    pub(super) what: String,
}

/// A value of an enum, by name and number: JSON may say either.
pub(super) type EnumValue = (&'static str, i128);

impl<'a> Spot<'a> {
    /// The whole document.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new(), within: Rc::from("") }
    }

    /// The same place, known by a name as well.
    pub(super) fn named(mut self, kind: &str, name: Option<&str>) -> Self {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let comma = if self.within.is_empty() { "" } else { ", " };
            self.within = format!("{}{comma}{kind} {name}", self.within).into();
        }
        self
    }

    /// The field `name` (as the proto file spells it), unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let camel = camel_case(name);
        // Envoy takes the last of a repeated key.
        let entry = self.fields().iter().rev().find(|entry| entry.key == name || entry.key == camel)?;
        (!entry.node.is_null()).then(|| self.child(entry))
    }

    /// A field of a field, names joined by dots.
    pub(super) fn at(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |spot, name| spot.get(name))
    }

    /// The items of a repeated field.
    pub(super) fn items(&self, path: &str) -> Vec<Self> {
        self.at(path).map(|list| list.list()).unwrap_or_default()
    }

    /// The entries of a map field.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        self.fields().iter().map(|entry| (entry.key.as_str(), self.child(entry)))
    }

    /// The text of a field.
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.at(path).and_then(|spot| spot.own_text())
    }

    /// The number of a field.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        match &self.at(path)?.node.value {
            #[expect(clippy::cast_precision_loss, reason = "compared with small numbers only")]
            Value::Integer(integer) => Some(*integer as f64),
            Value::Fraction(fraction) => Some(*fraction),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A duration in seconds.
    pub(super) fn seconds(&self, path: &str) -> Option<f64> {
        self.text(path)?.strip_suffix('s')?.parse().ok()
    }

    /// Whether a field is true. Envoy's YAML knows more words for it than JSON.
    pub(super) fn is_on(&self, path: &str) -> bool {
        self.at(path).is_some_and(|spot| match &spot.node.value {
            Value::Boolean(value) => *value,
            Value::Text(text) => TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)),
            _ => false,
        })
    }

    /// Whether a field is one of the values of an enum.
    pub(super) fn is_one_of(&self, path: &str, values: &[EnumValue]) -> bool {
        self.at(path).is_some_and(|spot| match &spot.node.value {
            Value::Text(text) => values.iter().any(|(name, _)| name == text),
            Value::Integer(integer) => values.iter().any(|(_, number)| number == integer),
            _ => false,
        })
    }

    /// The message in an `Any` at a field, out of a `TypedStruct` if it is in one.
    pub(super) fn typed(&self, path: &str) -> Option<Typed<'a>> {
        self.at(path).and_then(Self::opened)
    }

    /// As [`Spot::typed`], of the `Any` that is here.
    pub(super) fn opened(self) -> Option<Typed<'a>> {
        let kind = self.text("@type").map_or("", without_host);
        if !kind.ends_with(".TypedStruct") {
            return Some(Typed { kind, body: self });
        }
        let kind = self.text("type_url").map_or("", without_host);
        Some(Typed { kind, body: self.get("value")? })
    }

    /// Every field `name` at and below this place.
    pub(super) fn find_all(&self, name: &str) -> Vec<Self> {
        let (mut found, camel) = (Vec::new(), camel_case(name));
        self.walk(&mut |spot, key| {
            if key == name || key == camel {
                found.push(spot.clone());
            }
        });
        found
    }

    /// Whether any text at or below this place has `word` in it (lower case), whatever its case.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let mut mentions = self.own_text().is_some_and(|text| text.to_lowercase().contains(word));
        self.walk(&mut |spot, _| mentions |= spot.own_text().is_some_and(|text| text.to_lowercase().contains(word)));
        mentions
    }

    /// Shows every field and item below this place to `visit`, with the field's name (empty for an item).
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Self, &str)) {
        for entry in self.fields() {
            let child = self.child(entry);
            visit(&child, &entry.key);
            child.walk(visit);
        }
        for item in self.list() {
            visit(&item, "");
            item.walk(visit);
        }
    }

    /// The names of its fields, as written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.fields().iter().map(|entry| entry.key.as_str())
    }

    /// Its text, if it is one.
    pub(super) fn own_text(&self) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value { Some(text) } else { None }
    }

    /// What a field says, for messages.
    pub(super) fn said(&self, name: &str) -> String {
        self.get(name)
            .map_or_else(|| format!("{name} is not set"), |spot| format!("{name} is {}", spot.node.describe()))
    }

    /// A hole here.
    pub(super) fn hole(&self, what: impl Into<String>) -> Hole {
        let line = (self.node.line > 0).then_some(self.node.line);
        Hole { line, place: self.path.clone(), within: self.within.to_string(), what: what.into() }
    }

    /// A hole at a field, or here if the field is absent, which says what the field says.
    pub(super) fn hole_at(&self, name: &str) -> Hole {
        self.get(name).unwrap_or_else(|| self.clone()).hole(self.said(name))
    }

    /// Its items, if it is a list.
    pub(super) fn list(&self) -> Vec<Self> {
        let Value::List(items) = &self.node.value else { return Vec::new() };
        let item = |(position, node)| self.step(node, format!("{}[{position}]", self.path));
        items.iter().enumerate().map(item).collect()
    }

    fn fields(&self) -> &'a [Entry] {
        if let Value::Map(entries) = &self.node.value { entries } else { &[] }
    }

    fn child(&self, entry: &'a Entry) -> Self {
        let key = &entry.key;
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let path = match (plain, self.path.is_empty()) {
            (true, true) => key.clone(),
            (true, false) => format!("{}.{key}", self.path),
            (false, _) => format!("{}[{key:?}]", self.path),
        };
        self.step(&entry.node, path)
    }

    fn step(&self, node: &'a Node, path: String) -> Self {
        Self { node, path, within: Rc::clone(&self.within) }
    }
}

fn without_host(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The spelling of a field in JSON.
pub(super) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

const TRUE: [&str; 4] = ["true", "yes", "on", "y"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[track_caller]
    fn with<T>(yaml: &str, look: impl FnOnce(Spot<'_>) -> T) -> T {
        look(Spot::root(&tree::parse(yaml).unwrap()))
    }

    #[test]
    fn a_field_is_found_by_either_spelling_and_the_last_one_counts() {
        assert!(with("{ include_peer_certificate: true }", |it| it.is_on("include_peer_certificate")));
        assert!(with("{ includePeerCertificate: true }", |it| it.is_on("include_peer_certificate")));
        assert!(!with("{ a_b: true, a_b: false }", |it| it.is_on("a_b")));
        assert!(with("{ a: null }", |it| it.get("a").is_none()));
    }

    #[test]
    fn what_envoy_takes_for_true_is_true() {
        for (word, on) in [("true", true), ("yes", true), ("On", true), ("false", false), ("no", false), ("1", false)] {
            assert_eq!(with(&format!("a: {word}"), |it| it.is_on("a")), on, "{word}");
        }
    }

    #[test]
    fn an_enum_may_be_a_name_or_a_number() {
        let check = |yaml: &str| with(yaml, |it| it.is_one_of("mode", &[("FORWARD_ONLY", 1)]));
        assert!(check("mode: FORWARD_ONLY") && check("mode: 1"));
        assert!(!check("mode: SANITIZE") && !check("mode: 2") && !check("other: 1") && !check("mode: [1]"));
    }

    #[test]
    fn durations_are_seconds() {
        for (text, seconds) in [("0.5s", Some(0.5)), ("0s", Some(0.0)), ("600s", Some(600.0)), ("5", None)] {
            assert_eq!(with(&format!("t: \"{text}\""), |it| it.seconds("t")), seconds, "{text}");
        }
    }

    #[test]
    fn a_typed_struct_is_what_it_holds() {
        for outer in ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"] {
            let yaml = format!("c: {{ '@type': host/{outer}, type_url: host/a.B, value: {{ x: 1 }} }}");
            with(&yaml, |it| {
                let typed = it.typed("c").unwrap();
                assert_eq!((typed.kind, typed.body.number("x")), ("a.B", Some(1.0)));
                assert_eq!(typed.body.path, "c.value");
            });
        }
        with("c: { '@type': host/a.B, x: 1 }", |it| assert_eq!(it.typed("c").unwrap().kind, "a.B"));
    }

    #[test]
    fn a_hole_names_its_place() {
        let yaml = "listeners:\n- name: mesh\n  per_filter:\n    envoy.filters.http.cors: { on: true }\n";
        with(yaml, |it| {
            let listener = it.items("listeners").remove(0).named("listener", Some("mesh"));
            let inner = listener.get("per_filter").unwrap();
            let hole = inner.entries().next().unwrap().1.named("filter", Some("x")).hole_at("on");
            assert_eq!(hole.place, "listeners[0].per_filter[\"envoy.filters.http.cors\"].on");
            assert_eq!((hole.within.as_str(), hole.what.as_str()), ("listener mesh, filter x", "on is true"));
            assert_eq!(hole.line, Some(4));
        });
    }

    #[test]
    fn words_and_fields_are_found_at_any_depth() {
        with("a: [{ b: [{ routes_x: 1 }, { c: Host-COUNTERSIGN-1 }] }]", |it| {
            assert!(it.mentions("countersign") && !it.mentions("other"));
            assert_eq!(it.find_all("routes_x").len(), 1);
        });
    }
}
