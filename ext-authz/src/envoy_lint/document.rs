//! Text that is an Envoy configuration: a bootstrap, a file of xDS resources or a dump, YAML or JSON, placeholders filled or not. It judges nothing in it.

use serde_json::Value as Json;

use crate::config::tree::{self, Entry, Node, Value};

/// An Envoy configuration, read but not understood.
#[derive(Clone, Debug)]
pub struct Document {
    root: Node,
}

/// Why a text is no Envoy configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEnvoy {
    /// Nothing that Envoy's bootstrap, xDS or admin API calls its own is at the top.
    #[error(
        "is no Envoy configuration: at the top it has none of {TOP_LEVEL:?}; give a bootstrap file, or what \
         `curl ADMIN/config_dump?include_eds` prints"
    )]
    Shape,
    /// Neither YAML nor JSON.
    #[error("{}{what}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Syntax {
        /// Where, from 1, if known.
        line: Option<u64>,
        /// What is wrong.
        what: String,
    },
}

impl Document {
    /// Reads `text`. A placeholder `${NAME}` that is not filled reads as the text `$NAME`.
    ///
    /// # Errors
    /// That it is neither YAML nor JSON, or no Envoy configuration.
    pub fn parse(text: &str) -> Result<Self, NotEnvoy> {
        let text = without_braces(text);
        let root = match serde_json::from_str(&text) {
            Ok(json) => from_json(json),
            Err(_) => tree::parse(&text).map_err(|error| NotEnvoy::Syntax { line: error.line, what: error.what })?,
        };
        if TOP_LEVEL.iter().any(|key| root.get(key).is_some()) { Ok(Self { root }) } else { Err(NotEnvoy::Shape) }
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

/// `${NAME}` is `$NAME` from here on: braces would be a mapping where YAML writes a number without quotes.
pub(super) fn without_braces(text: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_name(name) => {
                filled.push('$');
                filled.push_str(name);
                rest = after;
            }
            _ => {
                filled.push_str("${");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// JSON as the same tree; places are not known (0).
fn from_json(json: Json) -> Node {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(value),
        Json::Number(number) => match number.as_i128() {
            Some(integer) => Value::Integer(integer),
            None => Value::Fraction(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(fields) => Value::Map(
            fields.into_iter().map(|(key, json)| Entry { line: 0, column: 0, key, node: from_json(json) }).collect(),
        ),
    };
    Node { line: 0, column: 0, value }
}

/// By these an Envoy configuration is known: bootstrap, file of xDS resources, answer of the admin API.
const TOP_LEVEL: [&str; 7] =
    ["static_resources", "staticResources", "dynamic_resources", "dynamicResources", "admin", "resources", "configs"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> String {
        Document::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_placeholder_is_a_value_where_yaml_would_read_a_mapping() {
        let yaml = "static_resources: { listeners: [{ port_value: ${PORT}, name: \"a-${NAME}\" }] }";
        let document = Document::parse(yaml).unwrap();
        assert!(format!("{document:?}").contains("Text(\"$PORT\")"), "{document:?}");
        assert!(format!("{document:?}").contains("Text(\"a-$NAME\")"), "{document:?}");
        assert_eq!(without_braces("${ ${A ${} ${A-B} ${C}"), "${ ${A ${} ${A-B} $C");
    }

    #[test]
    fn json_and_yaml_are_the_same_tree_but_for_lines() {
        let json = Document::parse(r#"{"admin": {"a": [1, -2.5, true, null, "x"]}}"#).unwrap();
        let yaml = Document::parse("admin: { a: [1, -2.5, true, null, x] }").unwrap();
        let without_lines = |document: &Document| {
            let text = format!("{document:?}");
            text.replace("line: 1,", "line: 0,")
        };
        assert_eq!(without_lines(&json), without_lines(&yaml));
    }

    #[test]
    fn what_is_no_envoy_configuration_is_refused() {
        assert!(refused("policy: { files: [] }").contains("no Envoy configuration"));
        for text in ["", "[]", "just text", "{}", "42"] {
            assert!(refused(text).contains("no Envoy configuration"), "{text}");
        }
        assert!(refused("admin:\n  - a\n b").starts_with("line "), "{}", refused("admin:\n  - a\n b"));
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        // Without optimization a level takes tens of kilobytes; the stack is that of a main thread, as in the command.
        let thread = std::thread::Builder::new().stack_size(8 << 20);
        let refuse = || {
            for (open, text) in [("[", "admin: "), ("{a: ", "admin: "), ("{\"a\":", ""), ("- ", "admin:\n")] {
                let error = refused(&format!("{text}{}", open.repeat(200_000)));
                assert!(error.contains("can read"), "{error}");
            }
            let deep: String = (0..5000).flat_map(|depth| [" ".repeat(depth), "a:\n".to_owned()]).collect();
            assert!(refused(&format!("admin: 1\n{deep}")).contains("can read"));
        };
        thread.spawn(refuse).unwrap().join().unwrap();
    }
}
