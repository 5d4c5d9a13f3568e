//! Runs, gaps and explanations as text for people; it finds nothing itself.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    coverage::{Coverage, Gap, Never},
    explanation::{ConditionNote, Explanation, FactNote, KeyItem, PolicyNote},
    run::Run,
};
use crate::policy::inspect::Part;

/// What came of all cases.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Each case, in order.
    pub cases: Vec<Run>,
    /// What they came to.
    pub summary: Summary,
    /// What no case shows.
    pub gaps: Vec<Gap>,
}

/// What cases came to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// All cases.
    pub cases: usize,
    /// Those that did not come out as expected.
    pub failed: usize,
    /// Policies that can match a request to the service.
    pub policies: usize,
    /// Those of them that matched one.
    pub policies_matched: usize,
    /// Their conditions.
    pub conditions: usize,
    /// Those that were seen to hold and not to hold.
    pub conditions_decided: usize,
    /// Coverage in percent, with one decimal.
    pub coverage: f64,
}

impl Report {
    /// Of these runs and what they covered of each policy set.
    pub fn new(cases: Vec<Run>, coverage: &[Coverage]) -> Self {
        let sum = |count: fn(&Coverage) -> usize| coverage.iter().map(count).sum::<usize>();
        let gaps: Vec<Gap> = coverage.iter().flat_map(Coverage::gaps).collect();
        let (policies, conditions) = (sum(Coverage::policies), sum(Coverage::conditions));
        let summary = Summary {
            cases: cases.len(),
            failed: cases.iter().filter(|run| !run.passed).count(),
            policies,
            policies_matched: sum(Coverage::matched),
            conditions,
            conditions_decided: sum(Coverage::decided),
            coverage: percent(policies + 2 * conditions, gaps.len()),
        };
        Self { cases, summary, gaps }
    }
}

/// The share that is there, with one decimal, rounded down: 100 means that nothing is missing.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn percent(all: usize, missing: usize) -> f64 {
    (1000 * all.saturating_sub(missing)).checked_div(all).map_or(100.0, |share| share as f64 / 10.0)
}

/// A case that did not come out as expected.
pub fn failure(run: &Run) -> String {
    let mut text = format!("{}:{}: {}", run.file, run.line, run.case);
    run.failures.iter().for_each(|failure| add(&mut text, 1, failure));
    why(&run.explanation).lines().for_each(|line| add(&mut text, 1, line));
    text
}

/// What all cases came to.
pub fn summary(summary: &Summary) -> String {
    let Summary { cases, failed, policies, policies_matched, conditions, conditions_decided, coverage } = summary;
    format!(
        "{cases} cases, {failed} failed; coverage {coverage} %: {policies_matched} of {policies} policies matched, \
         {conditions_decided} of {conditions} conditions seen both true and false"
    )
}

/// What no case shows.
pub fn gap(gap: &Gap) -> String {
    let Gap { policy, file, line, column, condition, never } = gap;
    let condition = condition.as_deref().unwrap_or_default();
    let what = match never {
        Never::Matched => "no case matches it".to_owned(),
        Never::True => format!("no case where this is true: {condition}"),
        Never::False => format!("no case where this is false: {condition}"),
    };
    format!("{file}:{line}:{column}: policy {policy}: {what}")
}

/// The whole explanation.
pub fn explanation(of: &Explanation) -> String {
    let mut text = format!("{}: {}", of.verdict, of.reason);
    add(&mut text, 1, of.meaning);
    why(of).lines().for_each(|line| add(&mut text, 0, line));
    add(&mut text, 0, &key(&of.key));
    let until =
        of.holds.until.as_deref().map_or_else(|| "not reused".to_owned(), |until| format!("holds until {until}"));
    add(&mut text, 0, &format!("{until}: {}", of.holds.because));
    text
}

/// The policies behind a decision.
pub(super) fn why(of: &Explanation) -> String {
    let mut text = String::new();
    of.policies.iter().for_each(|note| policy(note, "", &mut text));
    let in_the_way = |note: &PolicyNote| if note.conditions.is_empty() { "" } else { ", but for" };
    of.nearest.iter().for_each(|note| policy(note, in_the_way(note), &mut text));
    if text.is_empty() { of.meaning.to_owned() } else { text.trim_end().to_owned() }
}

fn policy(note: &PolicyNote, more: &str, text: &mut String) {
    let PolicyNote { policy, file, line, column, effect, .. } = note;
    let does = if more.is_empty() && note.remark.is_none() {
        format!("{effect}s it")
    } else {
        format!("would {effect} it{more}")
    };
    add(text, 0, &format!("{file}:{line}:{column}: policy {policy} {does}"));
    note.conditions.iter().for_each(|note| condition(note, text));
    note.remark.iter().for_each(|remark| add(text, 1, remark));
}

fn condition(note: &ConditionNote, text: &mut String) {
    let outcome = match (note.holds, &note.error) {
        (Some(true), _) => "true".to_owned(),
        (Some(false), _) => "false".to_owned(),
        (None, error) => format!("can't be told ({})", error.as_deref().unwrap_or("not asked")),
    };
    let mark = if note.met { '+' } else { '-' };
    let part = match note.part {
        Part::When => "when ",
        Part::Unless => "unless ",
        Part::Action | Part::Principal | Part::Resource => "",
    };
    add(text, 1, &format!("{mark} {part}{}: {outcome}", note.condition));
    note.facts.iter().for_each(|it| add(text, 3, &fact(it)));
}

fn fact(note: &FactNote) -> String {
    let FactNote { path, name, value } = note;
    let name = name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    value.as_deref().map_or_else(|| format!("{path}{name} is not there"), |value| format!("{path}{name} is {value}"))
}

fn key(items: &[KeyItem]) -> String {
    let mut text = "rests on the caller and the operation".to_owned();
    for KeyItem { fact, whole, tests, value } in items {
        let value = value.as_deref().unwrap_or("not there");
        let how = match (whole, tests.as_slice()) {
            (true, _) => "whole".to_owned(),
            (false, []) => "whether it is there".to_owned(),
            (false, tests) => format!("only {}", tests.join(", ")),
        };
        add(&mut text, 1, &format!("{fact} = {value} ({how})"));
    }
    text
}

fn add(text: &mut String, depth: usize, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a String never fails.
    let _ = write!(text, "{:1$}{line}", "", depth * 2);
}
