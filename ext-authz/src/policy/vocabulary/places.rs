//! Where declarations stand in a schema's text: Cedar tells it for mistakes in one text, but not once several are one. It judges none.

/// A declaration and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place<'t> {
    /// Namespace (empty for none), kind (`entity`, `type` or `action`), name, then attribute by attribute.
    pub path: Vec<&'t str>,
    /// In bytes from the start of the text.
    pub offset: usize,
}

/// The byte offset of the declaration at `path`, or of the nearest one around it that is there.
pub(super) fn find(text: &str, path: &[&str]) -> Option<usize> {
    /// Namespace, kind and name.
    const DECLARATION: usize = 3;
    let places = places(text);
    (DECLARATION..=path.len()).rev().find_map(|length| {
        let path = path.get(..length)?;
        places.iter().find(|place| place.path == path).map(|place| place.offset)
    })
}

/// The byte offset of the first name that is `word`.
pub(super) fn mention(text: &str, word: &str) -> Option<usize> {
    tokens(text).into_iter().find(|token| token.kind == Kind::Name && token.text == word).map(|token| token.offset)
}

/// Every declaration, in the order of the text. Of a text that is no schema, whatever looks like one.
fn places(text: &str) -> Vec<Place<'_>> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, ..Reader::default() };
    while let Some((token, rest)) = reader.tokens.split_first() {
        reader.tokens = rest;
        reader.step(*token);
    }
    reader.places
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Kind {
    /// An identifier, or a quoted one.
    Name,
    /// `::` or a single character.
    Sign,
}

#[derive(Copy, Clone, Debug)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    offset: usize,
}

#[derive(Default)]
struct Reader<'t, 'k> {
    tokens: &'k [Token<'t>],
    places: Vec<Place<'t>>,
    namespace: &'t str,
    /// Names of the declaration that is open, with its kind.
    open: Option<(&'t str, Vec<&'t str>)>,
    /// Whether names of declarations may still come.
    naming: bool,
    /// The attributes that lead to where we are; `None` for the braces of the declaration itself.
    within: Vec<Option<&'t str>>,
    attribute: Option<&'t str>,
}

impl<'t> Reader<'t, '_> {
    fn step(&mut self, token: Token<'t>) {
        match (&self.open, token.kind, token.text) {
            (None, Kind::Name, "namespace") => self.namespace(),
            (None, Kind::Sign, "}") => self.namespace = "",
            (None, Kind::Name, kind @ ("entity" | "type" | "action")) => {
                (self.open, self.naming) = (Some((kind, Vec::new())), true);
            }
            (Some(_), Kind::Sign, ";") if self.within.is_empty() => (self.open, self.attribute) = (None, None),
            (Some(_), Kind::Sign, "{") => {
                self.within.push(self.attribute.take());
                self.naming = false;
            }
            (Some(_), Kind::Sign, "}") => (self.attribute, _) = (None, self.within.pop()),
            (Some(_), Kind::Sign, ",") => self.attribute = None,
            (Some(_), Kind::Name, "in" | "appliesTo" | "enum" | "tags") if self.within.is_empty() => {
                self.naming = false;
            }
            (Some((kind, _)), Kind::Name, name) if self.naming => {
                self.places.push(Place { path: vec![self.namespace, kind, name], offset: token.offset });
                self.open.iter_mut().for_each(|(_, names)| names.push(name));
            }
            (Some(_), Kind::Name, name) if self.is_attribute() => self.attribute(name, token.offset),
            (Some(_), Kind::Sign, "=") => self.naming = false,
            _ => {}
        }
    }

    fn namespace(&mut self) {
        // A path such as `A::B` is one name; of it the text from first to last is kept.
        self.namespace = self.tokens.first().map_or("", |token| token.text);
        while let Some((token, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            if token.text == "{" {
                break;
            }
        }
    }

    /// Whether a `:` follows, behind a `?` perhaps.
    fn is_attribute(&self) -> bool {
        let mut next = self.tokens.iter().filter(|token| token.text != "?");
        !self.within.is_empty() && next.next().is_some_and(|token| token.kind == Kind::Sign && token.text == ":")
    }

    fn attribute(&mut self, name: &'t str, offset: usize) {
        let Some((kind, names)) = &self.open else { return };
        for declared in names {
            let around = self.within.iter().filter_map(|attribute| *attribute);
            let path = [self.namespace, kind, declared].into_iter().chain(around).chain([name]).collect();
            self.places.push(Place { path, offset });
        }
        self.attribute = Some(name);
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = length(rest);
        let token = rest.get(..length).unwrap_or(rest);
        at += token.len();
        let offset = at - token.len();
        if token.starts_with("//") || token.trim().is_empty() {
            continue;
        }
        let quoted = token.strip_prefix('"').map(|inner| inner.strip_suffix('"').unwrap_or(inner));
        let kind = if quoted.is_some() || token.starts_with(is_word) { Kind::Name } else { Kind::Sign };
        tokens.push(Token { kind, text: quoted.unwrap_or(token), offset });
    }
    tokens
}

/// Of the token, comment or blank that a text begins with.
fn length(text: &str) -> usize {
    let while_is = |is: fn(char) -> bool| text.find(|it| !is(it)).unwrap_or(text.len());
    match text.chars().next() {
        Some('"') => string(text),
        Some(_) if text.starts_with("//") => text.find(['\n', '\r']).unwrap_or(text.len()),
        Some(_) if text.starts_with("::") => 2,
        Some(first) if is_word(first) => while_is(is_word),
        Some(first) if first.is_whitespace() => while_is(char::is_whitespace),
        first => first.map_or(0, char::len_utf8),
    }
}

fn string(text: &str) -> usize {
    let mut escaped = true;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::BUILT_IN_SCHEMA;

    const TEXT: &str = r#"// entity Not;
@doc("entity No { a: Long };") entity A, B in [C, N::D] = {
  "x-y"?: Set<String>, // z: Long
  inner: { deep?: { er: N::D }, last: Long },
} tags String;
type T = { a: Long };
action "GET", put in ["all"] appliesTo { principal: [A], resource: B, context: T };
namespace N { entity D enum ["a", "b"]; type T = Long; }
entity E;"#;

    #[test]
    fn every_declaration_is_found_with_its_attributes_and_nothing_else() {
        let found: Vec<String> = places(TEXT).iter().map(|place| place.path.join("/")).collect();
        let expected = [
            "/entity/A",
            "/entity/B",
            "/entity/A/x-y",
            "/entity/B/x-y",
            "/entity/A/inner",
            "/entity/B/inner",
            "/entity/A/inner/deep",
            "/entity/B/inner/deep",
            "/entity/A/inner/deep/er",
            "/entity/B/inner/deep/er",
            "/entity/A/inner/last",
            "/entity/B/inner/last",
            "/type/T",
            "/type/T/a",
            "/action/GET",
            "/action/put",
            "/action/GET/principal",
            "/action/put/principal",
            "/action/GET/resource",
            "/action/put/resource",
            "/action/GET/context",
            "/action/put/context",
            "N/entity/D",
            "N/type/T",
            "/entity/E",
        ];
        assert_eq!(found, expected);
        for place in places(TEXT) {
            let name = place.path.last().unwrap();
            assert!(TEXT[place.offset..].trim_start_matches('"').starts_with(name), "{place:?}");
        }
    }

    #[test]
    fn the_nearest_declaration_around_one_that_is_not_there_is_given() {
        let at = |path: &[&str]| find(TEXT, path).map(|offset| TEXT[offset..].lines().next().unwrap());
        assert_eq!(at(&["", "type", "T", "a"]), Some("a: Long };"));
        assert_eq!(at(&["", "type", "T", "b", "c"]), Some("T = { a: Long };"));
        assert_eq!(at(&["N", "type", "T"]), Some("T = Long; }"));
        assert_eq!(at(&["", "type", "U"]), None);
    }

    #[test]
    fn every_entity_type_of_the_built_in_schema_is_found() {
        let schema = cedar_policy::Schema::from_cedarschema_str(BUILT_IN_SCHEMA).unwrap().0;
        for name in schema.entity_types() {
            assert!(find(BUILT_IN_SCHEMA, &["", "entity", &name.to_string()]).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_ends_the_process(text in "(\\PC|[{}:;,\"@ ]|entity |type |namespace ){0,60}") {
            for place in places(&text) {
                prop_assert!(text.is_char_boundary(place.offset));
            }
        }
    }
}
