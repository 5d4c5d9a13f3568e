//! The declarations in force: those of the schema and of its extensions as one, with the texts they come from. It does not ask what
//! they are for.

use cedar_policy::{Schema, SchemaFragment};
use serde_json::Value;

use super::{merge, merge::Clash, places};
use crate::policy::{
    problem::{Problem, with_causes},
    source::Source,
};

/// A schema that Cedar accepts.
pub(in crate::policy) struct Declarations<'s> {
    /// As Cedar checks by it.
    pub schema: Schema,
    /// In the JSON form of schemas.
    pub json: Value,
    texts: Vec<&'s Source>,
}

impl<'s> Declarations<'s> {
    /// Reads the schema `base` and what extends it; what is wrong goes to `problems`.
    pub fn read(base: &'s Source, extensions: &'s [Source], problems: &mut Vec<Problem>) -> Option<Self> {
        let texts: Vec<&Source> = [base].into_iter().chain(extensions).collect();
        let json = merged(&texts, problems)?;
        let parsed = if extensions.is_empty() { of_text(base) } else { of_json(&json, &texts) };
        let schema = parsed.map_err(|problem| problems.push(problem)).ok()?;
        Some(Self { schema, json, texts })
    }

    /// A problem at the first mention of `word`: in an extension if one has it, for the rest was checked before.
    pub fn problem(&self, word: &str, message: impl Into<String>) -> Problem {
        at_mention(&self.texts, word, message.into())
    }

    /// As text in Cedar's syntax, without comments.
    pub fn to_text(&self) -> Result<String, String> {
        let fragment = SchemaFragment::from_json_value(self.json.clone()).map_err(|error| with_causes(&error))?;
        fragment.to_cedarschema().map_err(|error| with_causes(&error))
    }
}

/// All texts as one; nothing if one is no schema or they contradict each other.
fn merged(texts: &[&Source], problems: &mut Vec<Problem>) -> Option<Value> {
    let before = problems.len();
    let mut whole = Value::Object(serde_json::Map::new());
    for (at, source) in texts.iter().enumerate() {
        let Some(json) = as_json(source, problems) else { continue };
        let earlier = texts.get(..at).unwrap_or_default();
        problems.extend(merge::extend(&mut whole, json).iter().map(|clash| told(clash, source, earlier)));
    }
    (problems.len() == before).then_some(whole)
}

fn as_json(source: &Source, problems: &mut Vec<Problem>) -> Option<Value> {
    match SchemaFragment::from_cedarschema_str(&source.text) {
        Ok((fragment, _)) => {
            let json = fragment.to_json_value();
            json.map_err(|error| problems.push(Problem::whole(source, with_causes(&error)))).ok()
        }
        Err(error) => {
            problems.push(Problem::diagnosed(source, 0, &error));
            None
        }
    }
}

/// A contradiction, at its place in the extension and with the place of what it contradicts.
fn told(clash: &Clash, extension: &Source, earlier: &[&Source]) -> Problem {
    let path: Vec<&str> = clash.path.iter().map(String::as_str).collect();
    let place = |source: &Source, message: &str| {
        places::find(&source.text, &path).map(|offset| Problem::at(source, offset, message))
    };
    let message = format!("{} {}", merge::describe(&clash.path), clash.how);
    let other = earlier.iter().find_map(|source| place(source, "")).map(|other| other.place());
    let message = other.map_or(message.clone(), |other| format!("{message}; see {other}"));
    place(extension, &message).unwrap_or_else(|| Problem::whole(extension, message))
}

/// From the text Cedar knows places.
fn of_text(source: &Source) -> Result<Schema, Problem> {
    let parsed = Schema::from_cedarschema_str(&source.text).map(|(schema, _)| schema);
    parsed.map_err(|error| Problem::diagnosed(source, 0, &error))
}

fn of_json(json: &Value, texts: &[&Source]) -> Result<Schema, Problem> {
    Schema::from_json_value(json.clone()).map_err(|error| {
        let message = with_causes(&error);
        let words = message.split(|it: char| !it.is_alphanumeric() && it != '_');
        // What Cedar complains of, it names last.
        let named = words.rev().find(|word| texts.iter().any(|text| places::mention(&text.text, word).is_some()));
        at_mention(texts, named.unwrap_or_default(), message.clone())
    })
}

fn at_mention(texts: &[&Source], word: &str, message: String) -> Problem {
    let mut extensions_first = texts.iter().skip(1).chain(texts.first());
    match (extensions_first.find_map(|source| Some((*source, places::mention(&source.text, word)?))), texts.first()) {
        (Some((source, offset)), _) => Problem::at(source, offset, message),
        (None, Some(base)) => Problem::whole(base, message),
        (None, None) => Problem { file: "schema".into(), at: None, message },
    }
}
