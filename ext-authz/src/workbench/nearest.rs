//! Which permits are nearest to a request that nobody permits, and what is in their way; it decides nothing.

use super::explanation::{ConditionNote, PolicyNote, condition_note, note};
use crate::policy::inspect::{Answer, Condition, Demand, Hearing, Inspector, Outcome, Part, Parts, Scene};

/// At most so many are shown.
const MOST: usize = 3;

/// The nearest permits, the nearest first: those with the least in their way. Each note holds only what is in its way.
pub(super) fn permits(inspector: &Inspector, scene: &Scene) -> Vec<PolicyNote> {
    let mut found: Vec<(usize, PolicyNote)> = Vec::new();
    for dossier in inspector.dossiers().iter().filter(|dossier| dossier.permits) {
        let hearing = scene.hear(dossier);
        let obstacles = obstacles(&hearing, scene);
        let distance = obstacles.iter().map(|it| weight(it.part)).sum::<usize>() + usize::from(!dossier.applies);
        found.push((distance, note(dossier, obstacles, remark(&hearing))));
    }
    // Stable, so that of equals the first in the files comes first.
    found.sort_by_key(|(distance, _)| *distance);
    let least = found.first().map_or(0, |(distance, _)| *distance);
    found.into_iter().take_while(|(distance, _)| *distance <= least + 1).take(MOST).map(|(_, note)| note).collect()
}

/// A policy about something else is further away than one whose condition is not met.
fn weight(part: Part) -> usize {
    match part {
        Part::When | Part::Unless => 2,
        Part::Action => 3,
        Part::Principal => 4,
        Part::Resource => 6,
    }
}

fn obstacles(hearing: &Hearing<'_>, scene: &Scene) -> Vec<ConditionNote> {
    let mut notes = Vec::new();
    for (demand, answer) in hearing.scope().chain(hearing.clauses()) {
        let wanted = demand.part != Part::Unless;
        blame(demand, &demand.condition, answer, wanted, scene, &mut notes);
    }
    notes
}

/// The conditions without parts for which `condition` did not come out as it was wanted.
fn blame(
    demand: &Demand,
    condition: &Condition,
    answer: &Answer,
    wanted: bool,
    scene: &Scene,
    notes: &mut Vec<ConditionNote>,
) {
    let is_as_wanted = match &answer.outcome {
        Outcome::True => wanted,
        Outcome::False => !wanted,
        Outcome::Failed(_) => false,
        Outcome::Unreached => return,
    };
    if is_as_wanted {
        return;
    }
    let mut parts = condition.below().iter().zip(&answer.parts);
    match &condition.parts {
        Parts::Leaf(_) => notes.push(condition_note(demand.part, condition, answer, false, scene)),
        Parts::All(_) | Parts::Any(_) => {
            parts.for_each(|(part, answer)| blame(demand, part, answer, wanted, scene, notes));
        }
        Parts::Not(_) => parts.for_each(|(part, answer)| blame(demand, part, answer, !wanted, scene, notes)),
        Parts::Choice(_) => {
            if let Some((which, answer)) = parts.next() {
                notes.push(condition_note(demand.part, which, answer, false, scene));
            }
            parts.for_each(|(part, answer)| blame(demand, part, answer, wanted, scene, notes));
        }
    }
}

/// Rules of our own that keep a permit from matching although all that it says holds.
fn remark(hearing: &Hearing<'_>) -> Option<String> {
    let in_scope = hearing.scope().all(|(_, answer)| answer.outcome == Outcome::True);
    (in_scope && !hearing.is_candidate).then(|| {
        "a permit for any caller means verified ones, and a permit for any action means HTTP requests: to reach further it has to \
         say `principal is Unverified`, or `action == Action::\"tcp:connect\"`"
            .to_owned()
    })
}
