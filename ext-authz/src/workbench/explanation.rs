//! Why a made-up request is decided as it is: the decision, made as in production, and beside it what each policy had to say. It prints nothing.

use authz_core::{
    decision::{Decision, DecisionId, Verdict},
    facts::Facts,
    gate::{Admitted, Gate},
    reading::Use,
    reason::Reason,
    revocation::RevocationSet,
    time::Timestamp,
};
use serde::Serialize;

use super::{draft::MadeUp, nearest, words};
use crate::{
    moment,
    policy::inspect::{Answer, Condition, Demand, Dossier, Hearing, Inspector, Outcome, Part, Parts, Scene},
};

/// A decision and all that led to it.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// `allow` or `deny`.
    pub verdict: &'static str,
    /// The reason, as audit and metrics name it.
    pub reason: &'static str,
    /// What that means and what to do.
    pub meaning: &'static str,
    /// The policies that determined it.
    pub policies: Vec<PolicyNote>,
    /// Where nothing permits: the permits that are nearest to it, with what is in their way.
    pub nearest: Vec<PolicyNote>,
    /// What the decision rests on besides caller and operation: requests alike in it share the decision.
    pub key: Vec<KeyItem>,
    /// How long it holds.
    pub holds: Holds,
}

/// What one policy says.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyNote {
    /// Its name.
    pub policy: String,
    /// Its file.
    pub file: String,
    /// Where it begins there, from 1.
    pub line: usize,
    /// Where it begins there, from 1.
    pub column: usize,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// As it is written.
    pub text: String,
    /// Its conditions, as far as they are to the point.
    pub conditions: Vec<ConditionNote>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// What came of one condition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConditionNote {
    /// Where it stands.
    pub part: Part,
    /// In Cedar's syntax.
    pub condition: String,
    /// Whether it held; nothing, if that could not be told.
    pub holds: Option<bool>,
    /// Whether that is what the policy wants.
    pub met: bool,
    /// Why it could not be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it looked at.
    pub facts: Vec<FactNote>,
}

/// What stood where a condition looked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FactNote {
    /// The path, as policies write it.
    pub path: String,
    /// What that is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In Cedar's syntax; nothing, if it is not there.
    pub value: Option<String>,
}

/// A fact in the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeyItem {
    /// The fact.
    pub fact: String,
    /// Whether it counts as it is; else only by the tests.
    pub whole: bool,
    /// The tests that policies make on it.
    pub tests: Vec<String>,
    /// What it is in this request, in Cedar's syntax.
    pub value: Option<String>,
}

/// How long a decision holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Holds {
    /// The first moment at which it no longer holds, RFC 3339; nothing, if it is never reused.
    pub until: Option<String>,
    /// Why then.
    pub because: &'static str,
}

/// Decides a request and says why. `watch` sees it as policies do, if they are asked about it at all.
pub fn explain(inspector: &Inspector, request: &MadeUp, mut watch: impl FnMut(&Scene)) -> Explanation {
    request.with_facts(|facts| match admit(inspector, facts, request) {
        Ok(admitted) => {
            let (policies, at, view_age) = (inspector.compiled(), request.at(), request.view_age());
            let decision = policies.evaluate_on_view(&admitted, DecisionId(0), at, view_age);
            let scene = inspector.scene(&admitted, at, view_age);
            scene.iter().for_each(&mut watch);
            judged(inspector, request, &admitted, &decision, scene.as_ref())
        }
        Err(reason) => Explanation {
            verdict: Verdict::Deny.as_str(),
            reason: reason.as_str(),
            meaning: words::meaning(reason),
            policies: Vec::new(),
            nearest: Vec::new(),
            key: Vec::new(),
            holds: Holds { until: None, because: "no policy was asked, and the gate is asked about every request" },
        },
    })
}

fn admit<'a>(inspector: &'a Inspector, facts: &'a Facts<'a>, request: &'a MadeUp) -> Result<Admitted<'a>, Reason> {
    // Nobody is revoked on the bench.
    static NOBODY: std::sync::LazyLock<RevocationSet> = std::sync::LazyLock::new(RevocationSet::default);
    let gate = Gate::new(&NOBODY, inspector.compiled().plan()).with_standings(request.standings());
    gate.admit(facts, request.at()).map_err(|denial| denial.reason)
}

fn judged(
    inspector: &Inspector,
    request: &MadeUp,
    admitted: &Admitted<'_>,
    decision: &Decision,
    scene: Option<&Scene>,
) -> Explanation {
    let determining = decision.policies.iter().filter_map(|name| inspector.dossier(name));
    let hearings = |scene| determining.map(|dossier| (scene, dossier)).collect::<Vec<_>>();
    let policies = scene.map(hearings).unwrap_or_default();
    let wants_permit = decision.verdict != Verdict::Allow && decision.policies.is_empty();
    Explanation {
        verdict: decision.verdict.as_str(),
        reason: decision.reason.as_str(),
        meaning: words::meaning(decision.reason),
        policies: policies.into_iter().map(|(scene, dossier)| whole_note(&scene.hear(dossier), scene)).collect(),
        nearest: scene.filter(|_| wants_permit).map(|scene| nearest::permits(inspector, scene)).unwrap_or_default(),
        key: key(inspector, admitted, scene),
        holds: holds(inspector, request, decision),
    }
}

fn key(inspector: &Inspector, admitted: &Admitted<'_>, scene: Option<&Scene>) -> Vec<KeyItem> {
    let question = inspector.compiled().question(admitted);
    let uses = question.reading().uses();
    let item = |(read, used): (&authz_core::plan::Read, &Use)| KeyItem {
        fact: read.to_string(),
        whole: *used == Use::Whole,
        tests: match used {
            Use::Tests(tests) => tests.iter().map(ToString::to_string).collect(),
            Use::Whole => Vec::new(),
        },
        value: scene.and_then(|scene| scene.fact(read)?.1),
    };
    uses.iter().map(item).collect()
}

fn holds(inspector: &Inspector, request: &MadeUp, decision: &Decision) -> Holds {
    let end = request.caller().map(|caller| caller.credential().not_after());
    let allows = decision.verdict == Verdict::Allow;
    let longest = request.at().saturating_add_millis(inspector.compiled().limit_millis(allows));
    let because = match end {
        _ if request.view_age() != 0 => "it was made on an old view of revocations, and such an answer is never reused",
        None => "an answer to a caller that proves nothing is never reused",
        _ if decision.holds_until == Timestamp::default() => {
            "a policy uses the time otherwise than in a comparison with constants, so the answer may change at any moment"
        }
        Some(end) if decision.holds_until == end => "the caller's certificate ends then",
        _ if decision.holds_until < longest => {
            "a policy compares something with the time, and that comparison turns then"
        }
        _ if allows => "an allow is reused for policy.decision_ttl at most",
        _ => "a denial is reused for policy.deny_ttl at most",
    };
    let until = decision.holds_at(request.at()).then(|| moment::to_text(decision.holds_until.as_millis()));
    Holds { until, because }
}

/// Everything that came of a policy.
fn whole_note(hearing: &Hearing<'_>, scene: &Scene) -> PolicyNote {
    let mut conditions = Vec::new();
    for (demand, answer) in hearing.scope().chain(hearing.clauses()) {
        leaves(demand, &demand.condition, answer, scene, &mut conditions);
    }
    note(hearing.dossier, conditions, None)
}

pub(super) fn note(dossier: &Dossier, conditions: Vec<ConditionNote>, remark: Option<String>) -> PolicyNote {
    let unseen = (!dossier.is_open).then(|| "its conditions can't be shown one by one".to_owned());
    PolicyNote {
        policy: dossier.name.to_string(),
        file: dossier.file.to_string(),
        line: dossier.at.line,
        column: dossier.at.column,
        effect: if dossier.permits { "permit" } else { "forbid" },
        text: dossier.text.clone(),
        conditions,
        remark: remark.or(unseen),
    }
}

/// Every condition without parts that was asked.
fn leaves(demand: &Demand, condition: &Condition, answer: &Answer, scene: &Scene, notes: &mut Vec<ConditionNote>) {
    if answer.outcome == Outcome::Unreached {
        return;
    }
    if let Parts::Leaf(_) = condition.parts {
        let met = demand.is_met(&answer.outcome);
        notes.push(condition_note(demand.part, condition, answer, met, scene));
    }
    for (part, answer) in condition.below().iter().zip(&answer.parts) {
        leaves(demand, part, answer, scene, notes);
    }
}

pub(super) fn condition_note(
    part: Part,
    condition: &Condition,
    answer: &Answer,
    met: bool,
    scene: &Scene,
) -> ConditionNote {
    let glances = if let Parts::Leaf(leaf) = &condition.parts { leaf.glances.as_slice() } else { &[] };
    let fact = |glance: &crate::policy::inspect::Glance| FactNote {
        path: glance.path.clone(),
        name: words::name_of(&glance.path),
        value: scene.value(glance),
    };
    let mut facts: Vec<FactNote> = glances.iter().map(fact).collect();
    if condition.text.starts_with("principal ") && condition.text.contains(" in ") && answer.outcome == Outcome::False {
        let groups = scene.groups_of_caller();
        let value = (!groups.is_empty()).then(|| groups.join(", "));
        facts.push(FactNote { path: "what the caller is in".to_owned(), name: None, value });
    }
    ConditionNote {
        part,
        condition: condition.text.clone(),
        holds: match answer.outcome {
            Outcome::True => Some(true),
            Outcome::False => Some(false),
            Outcome::Failed(_) | Outcome::Unreached => None,
        },
        met,
        error: if let Outcome::Failed(error) = &answer.outcome { Some(error.clone()) } else { None },
        facts,
    }
}
