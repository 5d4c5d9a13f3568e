//! What became of a batch, for one line of the audit trail: every signal that was let in has a line of its own there, and so has every one that was not.

use std::{collections::BTreeSet, sync::Arc};

use super::{Guard, NotPermitted, UseResult};
use crate::{
    audit::ControlRecord,
    clock,
    policy::control::{Asked, ControlVerdict, Principal, Ruling},
};

/// One batch, from its first signal to its end.
pub struct Tally {
    guard: Arc<Guard>,
    who: Principal,
    position: u64,
    counts: [u64; UseResult::ALL.len()],
    policies: BTreeSet<Arc<str>>,
}

impl Tally {
    /// A batch of `who`.
    pub fn new(guard: Arc<Guard>, who: Principal) -> Self {
        Self { guard, who, position: 0, counts: Default::default(), policies: BTreeSet::new() }
    }

    /// Who sends it.
    pub fn who(&self) -> &Principal {
        &self.who
    }

    /// The place of the next signal, from 1.
    pub fn count_next(&mut self) -> u64 {
        self.position = self.position.saturating_add(1);
        self.position
    }

    /// Whether the next signal is let in; if not, why, which is counted and audited.
    ///
    /// # Errors
    /// For its sender.
    pub fn admit(&mut self, asked: &Asked<'_>) -> Result<(), NotPermitted> {
        let ruling = self.guard.judge(&self.who, asked);
        match ruling.verdict {
            ControlVerdict::Allow => {
                self.keep(ruling);
                Ok(())
            }
            ControlVerdict::Deny => Err(self.turn_away(UseResult::Denied, asked, ruling)),
            ControlVerdict::Error(_) => Err(self.turn_away(UseResult::Error, asked, ruling)),
        }
    }

    /// What became of a signal that was let in.
    pub fn settle(&mut self, action: &str, result: UseResult) {
        self.guard.count(action, result);
        self.add(result);
    }

    /// A signal that could not be understood.
    pub fn misunderstood(&mut self, detail: String) {
        self.guard.misunderstood(&self.who.to_string(), detail);
        self.add(UseResult::Invalid);
    }

    fn turn_away(&mut self, result: UseResult, asked: &Asked<'_>, ruling: Ruling) -> NotPermitted {
        self.add(result);
        self.guard.turn_away(&self.who, asked, ruling)
    }

    fn keep(&mut self, ruling: Ruling) {
        for policy in ruling.policies {
            if self.policies.len() < MAX_POLICIES {
                self.policies.insert(policy);
            }
        }
    }

    fn add(&mut self, result: UseResult) {
        if let Some(count) = self.counts.get_mut(result as usize) {
            *count = count.saturating_add(1);
        }
    }
}

impl Drop for Tally {
    /// However it ended.
    fn drop(&mut self) {
        let counts = UseResult::ALL.iter().map(|result| (result.as_str(), self.counts.get(*result as usize)));
        let said: Vec<String> =
            counts.filter_map(|(name, count)| Some(format!("{} {name}", count.filter(|it| **it > 0)?))).collect();
        let allowed = self.counts.get(UseResult::Allowed as usize).is_some_and(|count| *count > 0);
        let result = if allowed || said.is_empty() { UseResult::Allowed } else { UseResult::Denied };
        self.guard.note(ControlRecord {
            at: clock::now(),
            who: self.who.to_string(),
            action: BATCH,
            result: result.as_str(),
            policies: self.policies.iter().cloned().collect(),
            detail: said.join(", "),
            ..ControlRecord::default()
        });
    }
}

/// The action of a batch as a whole.
pub const BATCH: &str = "batch";

/// Most names of policies that the line of a batch holds.
const MAX_POLICIES: usize = 32;
