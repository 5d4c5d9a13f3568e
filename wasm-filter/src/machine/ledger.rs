//! What was answered here and the sidecar has not yet heard of: counted once, kept until received. It sends nothing.

use std::collections::VecDeque;

use authz_core::{decision::Verdict, reason::Reason};
use authz_wire::link;
use hashbrown::HashMap;

use super::{decisions::Tally, wire};

/// Answers from memory and answers without the sidecar, in numbered batches.
#[derive(Clone, Default)]
pub struct Ledger {
    hits: HashMap<Line, link::Hits>,
    local: HashMap<Reason, u64>,
    unreceived: VecDeque<Batch>,
    last_number: u64,
}

/// Counts under one number; once sent they never change, so that receiving them twice can be noticed.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// From 1.
    pub number: u64,
    /// Answers from memory.
    pub hits: Vec<link::Hits>,
    /// Answers without the sidecar.
    pub local: Vec<link::Local>,
}

/// What a count is kept under.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Line {
    Decision(u128),
    /// Beyond [`MAX_LINES`] a count loses its decision and caller, but is not lost.
    Rest(Verdict, Reason),
}

/// Decisions with counts of their own that wait to be sent.
const MAX_LINES: usize = 8192;
/// Lines of one batch: about 150 bytes each, far below gRPC's limit of 4 MiB for a message.
const MAX_BATCH: usize = 1024;
/// Batches on their way; more are not cut until one is received.
const MAX_UNRECEIVED: usize = 4;

impl Ledger {
    /// Adds answers given from memory.
    pub fn add(&mut self, tallies: impl IntoIterator<Item = Tally>) {
        for tally in tallies {
            let id = tally.kept.id.0;
            let known = self.hits.contains_key(&Line::Decision(id));
            if known || self.hits.len() < MAX_LINES {
                merge(self.hits.entry(Line::Decision(id)).or_insert_with(|| wire::no_hits(&tally.kept)), &tally);
            } else {
                let rest = self.hits.entry(Line::Rest(tally.kept.verdict, tally.kept.reason));
                let anonymous =
                    || link::Hits { decision_id: Vec::new(), caller: String::new(), ..wire::no_hits(&tally.kept) };
                merge(rest.or_insert_with(anonymous), &tally);
            }
        }
    }

    /// Adds one answer given without the sidecar.
    pub fn add_local(&mut self, reason: Reason) {
        let count = self.local.entry(reason).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// How many more decisions can have counts of their own.
    pub fn room(&self) -> usize {
        MAX_LINES.saturating_sub(self.hits.len())
    }

    /// Cuts a batch of what waits, unless nothing does or enough are on their way.
    pub fn cut(&mut self) -> Option<&Batch> {
        if self.unreceived.len() >= MAX_UNRECEIVED || (self.hits.is_empty() && self.local.is_empty()) {
            return None;
        }
        // Only what is taken out is removed: what the batch has no room for stays.
        let hits = self.hits.extract_if(|_, _| true).take(MAX_BATCH).map(|(_, hits)| hits).collect();
        let local = self.local.drain().map(|(reason, count)| link::Local { reason: reason.as_str().into(), count });
        self.last_number = self.last_number.saturating_add(1);
        self.unreceived.push_back(Batch { number: self.last_number, hits, local: local.collect() });
        self.unreceived.back()
    }

    /// Everything up to this number has been received.
    pub fn received(&mut self, number: u64) {
        self.unreceived.retain(|batch| batch.number > number);
    }

    /// What must be sent again on a new stream.
    pub fn unreceived(&self) -> impl Iterator<Item = &Batch> {
        self.unreceived.iter()
    }
}

fn merge(line: &mut link::Hits, tally: &Tally) {
    line.count = line.count.saturating_add(tally.count);
    line.last_ms = line.last_ms.max(tally.last.as_millis());
}

#[cfg(test)]
mod tests;
