//! Policies out of text, each with its name and place; it does not know what they may speak about.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use cedar_policy::{Policy, PolicyId, pst};

use super::{advice, problem::Problem, source::Source};

/// A policy that parsed.
#[derive(Clone, Debug)]
pub(super) struct Statement<'s> {
    /// Its `@id`, or `file:line`; unique in the set, and its Cedar policy id.
    pub name: Arc<str>,
    /// The policy.
    pub policy: Policy,
    /// What stands behind its scope.
    pub conditions: Conditions,
    /// Where it stands.
    pub source: &'s Source,
    /// Byte offset of its first character there.
    pub offset: usize,
}

/// The `when` and `unless` of a policy.
#[derive(Clone, Debug)]
pub(super) enum Conditions {
    /// There are none.
    Absent,
    /// Within this syntax tree.
    Known(Box<pst::Policy>),
    /// Cedar has no syntax tree for it, so they may read anything.
    Opaque,
}

/// Longest `@id`: names travel in headers and metrics of other systems.
const MAX_NAME: usize = 200;

/// Most operators and brackets in one policy: Cedar's parser needs stack for each, see `compile::STACK`.
const MAX_OPERATORS: usize = 10_000;

/// Parses all policies of all sources; what is wrong goes to `problems`.
pub(super) fn parse_all<'s>(sources: &'s [Source], problems: &mut Vec<Problem>) -> Vec<Statement<'s>> {
    let mut statements: Vec<Statement<'s>> = Vec::new();
    let mut taken: HashMap<Arc<str>, (&Source, usize)> = HashMap::new();
    for source in sources {
        // Counted on from the policy before: from the start each time would take the square of the length.
        let (mut line, mut counted) = (1, 0);
        for (offset, text) in split(&source.text) {
            line += source.text.get(counted..offset).unwrap_or_default().matches('\n').count();
            counted = offset;
            let Some(statement) = parse(source, offset, line, text, problems) else { continue };
            match taken.entry(Arc::clone(&statement.name)) {
                Entry::Vacant(free) => {
                    free.insert((source, line));
                    statements.push(statement);
                }
                Entry::Occupied(first) => {
                    let (name, (file, line)) = (&statement.name, first.get());
                    let message =
                        format!("policy {name:?} exists already at {}:{line}; give it another @id", file.name);
                    problems.push(Problem::at(source, offset, message));
                }
            }
        }
    }
    statements
}

fn parse<'s>(
    source: &'s Source,
    offset: usize,
    line: usize,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Option<Statement<'s>> {
    if operators(text) > MAX_OPERATORS {
        let message = format!("policy has more than {MAX_OPERATORS} operators and brackets; split it");
        problems.push(Problem::at(source, offset, message));
        return None;
    }
    let fallback = format!("{}:{line}", source.name);
    match Policy::parse(Some(PolicyId::new(&fallback)), text) {
        Ok(policy) => {
            let name: Arc<str> = policy.annotation("id").unwrap_or(&fallback).into();
            if policy.annotation("id").is_some() && !is_name(&name) {
                let message = format!("@id({name:?}) is no name; use 1 to {MAX_NAME} visible ASCII characters");
                problems.push(Problem::at(source, offset, message));
                return None;
            }
            let conditions = Conditions::of(&policy);
            Some(Statement { policy: policy.new_id(PolicyId::new(&name)), conditions, name, source, offset })
        }
        Err(errors) => {
            let advise = |message, at| advice::on_syntax(message, &source.text, at);
            problems.extend(errors.iter().map(|error| Problem::advised(source, offset, error, advise)));
            None
        }
    }
}

impl Conditions {
    fn of(policy: &Policy) -> Self {
        if !policy.has_non_scope_constraint() {
            return Self::Absent;
        }
        policy.to_pst().map_or(Self::Opaque, |tree| Self::Known(Box::new(tree)))
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Cuts a text at the semicolons that end policies, with the offset of each part; blanks and comments before a policy are left out.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut rest = skip_blank(text, 0);
    while let Some(part) = text.get(rest..).filter(|part| !part.is_empty()) {
        let end = code(part).find(|(_, byte)| *byte == b';').map_or(text.len(), |(at, _)| rest + at + 1);
        parts.extend(text.get(rest..end).map(|part| (rest, part)));
        rest = skip_blank(text, end);
    }
    parts
}

/// How deep a parser may have to go at most: everything that can open a part within a part.
fn operators(text: &str) -> usize {
    let ifs = text.matches("if").count();
    ifs + code(text).filter(|(_, byte)| b"([{.|&+-*<>=!".contains(byte)).count()
}

/// The bytes outside of the two kinds of text that mean nothing: `"…"` with `\` as its escape, and `//` to the end of the line.
fn code(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.as_bytes().get(next..)?;
            let at = next;
            next += match rest {
                [b'"', ..] => string_length(rest),
                [b'/', b'/', ..] => text.get(at..).map_or(rest.len(), comment_length),
                [byte, ..] => {
                    next += 1;
                    return Some((at, *byte));
                }
                [] => return None,
            };
        }
    })
}

/// Up to and with the closing quote, or to the end.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = true;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

fn comment_length(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}

fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let code = rest.trim_start();
        at += rest.len() - code.len();
        if !code.starts_with("//") {
            return at;
        }
        at += comment_length(code);
    }
}

#[cfg(test)]
mod tests;
