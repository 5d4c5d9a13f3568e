//! Which facts a schema lets policies see as `context`, as a tree; it holds no request.

use std::collections::{BTreeMap, BTreeSet};

use authz_core::plan::Read;
use serde_json::Value;

use super::lifetime::Mention;

/// A part of the context record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// A fact; of a workload, also all that can be read through it.
    Fact(Fact),
    /// A record, by attribute. It is there even if nothing is in it.
    Record(BTreeMap<Box<str>, Shape>),
}

/// A fact of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    /// `:method`, which every key holds.
    Method,
    /// How old the view of the log is: 0 in every decision that may be reused.
    ViewAge,
    /// What the passing of time changes: in no key, it bounds the lifetime of the decision.
    Time(Mention),
    /// A fact that is only in the key if it is read.
    Read(Read),
}

impl Fact {
    fn is_workload(&self) -> bool {
        matches!(self, Self::Read(Read::Origin))
    }
}

/// What is wrong with a declaration of context: the attribute to look for, and the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Misfit {
    /// An attribute name that stands in the schema.
    pub word: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Shape {
    /// The shape of a context declared as `declared`, a type in the JSON form of schemas.
    ///
    /// `common` finds the common types. What Countersign can't fill in is a [`Misfit`].
    pub fn of_context(declared: &Value, common: &dyn Fn(&str) -> Option<Value>) -> Result<Self, Vec<Misfit>> {
        let mut misfits = Vec::new();
        let shape = record(&[], declared, common, &mut misfits);
        if misfits.is_empty() { Ok(shape) } else { Err(misfits) }
    }

    /// The part at `path`, if the schema declares it.
    pub fn part(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |shape, attribute| match shape {
            // What is read through a workload rests on which workload it is.
            Self::Fact(fact) => fact.is_workload().then_some(shape),
            Self::Record(attributes) => attributes.get(*attribute),
        })
    }

    /// Every fact in this part that is in the key only if read.
    pub fn reads(&self) -> Vec<Read> {
        match self {
            Self::Fact(Fact::Method | Fact::ViewAge | Fact::Time(_)) => Vec::new(),
            Self::Fact(Fact::Read(read)) => vec![read.clone()],
            Self::Record(attributes) => attributes.values().flat_map(Self::reads).collect(),
        }
    }

    /// Whether any fact in this part is one of time.
    pub fn has_time(&self) -> bool {
        match self {
            Self::Fact(fact) => matches!(fact, Fact::Time(_)),
            Self::Record(attributes) => attributes.values().any(Self::has_time),
        }
    }

    /// The same tree without the facts that are not among `reads`, and those of time that are not among `mentions`.
    pub fn only(&self, reads: &[Read], mentions: &BTreeSet<Mention>) -> Self {
        let Self::Record(attributes) = self else { return self.clone() };
        let kept = attributes.iter().filter(|(_, shape)| match shape {
            Self::Fact(Fact::Read(read)) => reads.contains(read),
            Self::Fact(Fact::Time(fact)) => mentions.contains(fact),
            Self::Fact(Fact::Method | Fact::ViewAge) | Self::Record(_) => true,
        });
        Self::Record(kept.map(|(attribute, shape)| (attribute.clone(), shape.only(reads, mentions))).collect())
    }
}

/// Whether `declared` is a record with exactly these attributes, each always there.
pub(super) fn is_record_of(declared: &Value, common: &dyn Fn(&str) -> Option<Value>, members: &[(&str, &str)]) -> bool {
    let declared = resolve(declared, common);
    let Some(attributes) = declared.get("attributes").and_then(Value::as_object) else { return false };
    let is_member = |(name, kind): &(&str, &str)| {
        let Some(declared) = attributes.get(*name) else { return false };
        let always = declared.get("required") != Some(&Value::Bool(false));
        always && kind_of(&resolve(declared, common), common).as_deref() == Some(kind)
    };
    attributes.len() == members.len() && members.iter().all(is_member)
}

/// What stands at a path of the context.
enum Known {
    Fact { fact: Fact, kind: &'static str, always: bool },
    Record,
}

fn known(path: &[&str]) -> Option<Known> {
    let of = |read, kind| Some(Known::Fact { fact: Fact::Read(read), kind, always: true });
    let always = |read| of(read, "String");
    let at_times = |read, kind| Some(Known::Fact { fact: Fact::Read(read), kind, always: false });
    let time = |fact, kind| Some(Known::Fact { fact: Fact::Time(fact), kind, always: true });
    match path {
        [] | ["clock" | "destination" | "hops" | "http" | "source" | "tls"] | ["http", "headers"] => {
            Some(Known::Record)
        }
        ["clock", "minute"] => time(Mention::Minute, "Long"),
        ["clock", "weekday"] => time(Mention::Weekday, "Long"),
        ["destination", "ip"] => at_times(Read::DestinationIp, "ipaddr"),
        ["destination", "port"] => at_times(Read::DestinationPort, "Long"),
        ["hops", "complete"] => of(Read::HopsComplete, "Bool"),
        ["hops", "count"] => of(Read::HopCount, "Long"),
        ["hops", "workloads"] => of(Read::Hops, "Set<Workload>"),
        ["origin"] => at_times(Read::Origin, "Workload"),
        ["http", "method"] => Some(Known::Fact { fact: Fact::Method, kind: "String", always: true }),
        ["http", "path"] => always(Read::Path),
        ["http", "query"] => at_times(Read::Query, "String"),
        ["http", "host"] => always(Read::Host),
        ["http", "scheme"] => always(Read::Scheme),
        ["http", "protocol"] => always(Read::Protocol),
        ["http", "headers", name] => at_times(Read::Header((*name).into()), "String"),
        ["now"] => time(Mention::Now, "datetime"),
        ["source", "ip"] => at_times(Read::SourceIp, "ipaddr"),
        ["view_age"] => Some(Known::Fact { fact: Fact::ViewAge, kind: "Long", always: true }),
        ["tls", "sni"] => at_times(Read::Sni, "String"),
        _ => None,
    }
}

fn record(path: &[&str], declared: &Value, common: &dyn Fn(&str) -> Option<Value>, misfits: &mut Vec<Misfit>) -> Shape {
    let declared = resolve(declared, common);
    let mut shapes = BTreeMap::new();
    let Some(attributes) = declared.get("attributes").and_then(Value::as_object) else {
        misfits.push(misfit(path, "is no record; declare it as one"));
        return Shape::Record(shapes);
    };
    for (attribute, declared) in attributes {
        let path: Vec<&str> = path.iter().copied().chain([attribute.as_str()]).collect();
        if let Some(shape) = member(&path, declared, common, misfits) {
            shapes.insert(attribute.as_str().into(), shape);
        }
    }
    Shape::Record(shapes)
}

fn member(
    path: &[&str],
    declared: &Value,
    common: &dyn Fn(&str) -> Option<Value>,
    misfits: &mut Vec<Misfit>,
) -> Option<Shape> {
    let (fact, kind, always) = match known(path) {
        Some(Known::Record) => return Some(record(path, declared, common, misfits)),
        Some(Known::Fact { fact, kind, always }) => (fact, kind, always),
        None => {
            misfits.push(misfit(path, "is nothing that can be filled in; remove it"));
            return None;
        }
    };
    if let Fact::Read(Read::Header(name)) = &fact
        && !is_header_name(name)
    {
        misfits.push(misfit(path, "is no header name; use its lower-case form"));
    }
    if kind_of(&resolve(declared, common), common).as_deref() != Some(kind) {
        misfits.push(misfit(path, &format!("has another type; declare it as {kind}")));
    }
    let optional = declared.get("required") == Some(&Value::Bool(false));
    if !always && !optional {
        misfits.push(misfit(path, "is not there in every request; declare it as optional, with `?`"));
    }
    Some(Shape::Fact(fact))
}

fn misfit(path: &[&str], what: &str) -> Misfit {
    let whole = path.iter().fold("context".to_owned(), |text, part| format!("{text}.{part}"));
    Misfit { word: path.last().copied().unwrap_or("context").to_owned(), message: format!("{whole} {what}") }
}

/// Follows names of common types, not for ever: Cedar refuses cycles, this only has to stop.
fn resolve(declared: &Value, common: &dyn Fn(&str) -> Option<Value>) -> Value {
    const DEEPEST: usize = 64;
    let mut declared = declared.clone();
    for _ in 0..DEEPEST {
        match name(&declared).and_then(common) {
            Some(target) => declared = target,
            None => break,
        }
    }
    declared
}

/// The name of a primitive, extension or entity type, or of a set of one.
fn kind_of(declared: &Value, common: &dyn Fn(&str) -> Option<Value>) -> Option<String> {
    if declared.get("type").and_then(Value::as_str) == Some("Set") {
        let member = resolve(declared.get("element")?, common);
        return name(&member).map(|name| format!("Set<{}>", plain(name)));
    }
    name(declared).map(|name| plain(name).to_owned())
}

fn plain(name: &str) -> &str {
    match name.trim_start_matches("__cedar::") {
        "Boolean" => "Bool",
        other => other,
    }
}

fn name(declared: &Value) -> Option<&str> {
    match declared.get("type")?.as_str()? {
        "Record" | "Set" => None,
        "Entity" | "EntityOrCommon" | "Extension" => declared.get("name")?.as_str(),
        other => Some(other),
    }
}

/// A token of RFC 9110 §5.6.2 in lower case.
fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
