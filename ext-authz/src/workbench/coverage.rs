//! What cases have not shown of a policy set: policies that never matched, conditions that were never seen to hold, or never not to. It
//! judges no case.

use serde::Serialize;

use crate::policy::inspect::{Answer, Condition, Dossier, Inspector, Leaf, Outcome, Parts, Scene};

/// What was seen of each policy that can match a request to the service.
#[derive(Clone, Debug)]
pub struct Coverage {
    policies: Vec<Seen>,
}

/// What was seen of one policy.
#[derive(Clone, Debug)]
struct Seen {
    dossier: Dossier,
    matched: bool,
    /// In the order in which `counted` names the conditions.
    conditions: Vec<SeenCondition>,
}

#[derive(Copy, Clone, Default, Debug)]
struct SeenCondition {
    held: bool,
    failed_to_hold: bool,
}

/// Something that no case shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Gap {
    /// The policy.
    pub policy: String,
    /// Its file.
    pub file: String,
    /// Where it begins there, from 1.
    pub line: usize,
    /// Where it begins there, from 1.
    pub column: usize,
    /// The condition, in Cedar's syntax; nothing, if the policy never matched.
    pub condition: Option<String>,
    /// What was never seen.
    pub never: Never,
}

/// What no case shows.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Never {
    /// A condition came out false.
    False,
    /// A policy matched.
    Matched,
    /// A condition came out true.
    True,
}

impl Coverage {
    /// Nothing seen yet.
    pub fn of(inspector: &Inspector) -> Self {
        let applying = inspector.dossiers().iter().filter(|dossier| dossier.applies);
        let policies = applying.map(|dossier| Seen {
            conditions: vec![SeenCondition::default(); counted(dossier).len()],
            matched: false,
            dossier: dossier.clone(),
        });
        Self { policies: policies.collect() }
    }

    /// Takes in one request.
    pub fn watch(&mut self, scene: &Scene) {
        for seen in &mut self.policies {
            let hearing = scene.hear(&seen.dossier);
            if !hearing.is_candidate {
                continue;
            }
            seen.matched |= hearing.matches();
            let mut outcomes = Vec::new();
            for (demand, answer) in hearing.clauses() {
                walk(&demand.condition, Some(answer), &mut |_, answer| {
                    outcomes.push(answer.map(|answer| answer.outcome.clone()));
                });
            }
            for (seen, outcome) in seen.conditions.iter_mut().zip(outcomes) {
                seen.held |= outcome == Some(Outcome::True);
                seen.failed_to_hold |= outcome == Some(Outcome::False);
            }
        }
    }

    /// How many policies can match a request to the service.
    pub fn policies(&self) -> usize {
        self.policies.len()
    }

    /// How many of them matched some request.
    pub fn matched(&self) -> usize {
        self.policies.iter().filter(|seen| seen.matched).count()
    }

    /// How many conditions they have.
    pub fn conditions(&self) -> usize {
        self.policies.iter().map(|seen| seen.conditions.len()).sum()
    }

    /// How many of these came out both true and false.
    pub fn decided(&self) -> usize {
        let both = |seen: &&SeenCondition| seen.held && seen.failed_to_hold;
        self.policies.iter().flat_map(|seen| &seen.conditions).filter(both).count()
    }

    /// What was not seen, in the order of the files.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for Seen { dossier, matched, conditions } in &self.policies {
            let gap = |condition: Option<String>, never| Gap {
                policy: dossier.name.to_string(),
                file: dossier.file.to_string(),
                line: dossier.at.line,
                column: dossier.at.column,
                condition,
                never,
            };
            if !matched {
                gaps.push(gap(None, Never::Matched));
            }
            for (condition, seen) in counted(dossier).into_iter().zip(conditions) {
                let missing = [(seen.held, Never::True), (seen.failed_to_hold, Never::False)];
                let missing = missing.into_iter().filter(|(seen, _)| !seen);
                gaps.extend(missing.map(|(_, never)| gap(Some(condition.text.clone()), never)));
            }
        }
        gaps
    }
}

/// The conditions of a policy that count.
fn counted(dossier: &Dossier) -> Vec<&Condition> {
    let mut found = Vec::new();
    for demand in &dossier.clauses {
        walk(&demand.condition, None, &mut |condition, _| found.push(condition));
    }
    found
}

/// Shows every condition that counts with its answer. Only those without parts do: what `&&`, `||`, `!` and `if` make of them is seen
/// with them, because Cedar goes on to the last part only if that decides.
fn walk<'c>(condition: &'c Condition, answer: Option<&Answer>, show: &mut dyn FnMut(&'c Condition, Option<&Answer>)) {
    match &condition.parts {
        // `true` is never false.
        Parts::Leaf(leaf) if !leaf.is_constant => show(condition, answer),
        Parts::Leaf(_) => {}
        Parts::All(_) | Parts::Any(_) | Parts::Choice(_) | Parts::Not(_) => {
            let parts = condition.below();
            for (place, part) in parts.iter().enumerate() {
                let behind = parts.get(place + 1..).unwrap_or_default();
                if !(matches!(condition.parts, Parts::All(_)) && is_guard(part, behind)) {
                    walk(part, answer.and_then(|answer| answer.parts.get(place)), show);
                }
            }
        }
    }
}

/// Whether a condition only asks for what those `behind` it read: Cedar's types want that also where nothing is ever missing.
fn is_guard(condition: &Condition, behind: &[Condition]) -> bool {
    let Parts::Leaf(Leaf { asks_presence: true, glances, .. }) = &condition.parts else { return false };
    glances.iter().all(|glance| behind.iter().any(|other| other.text.contains(&glance.path)))
}
