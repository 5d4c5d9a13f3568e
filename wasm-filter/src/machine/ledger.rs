//! What was answered here and the sidecar has not yet heard of: counted once, kept until received. It sends nothing.

use std::collections::VecDeque;

use authz_core::{decision::Verdict, reason::Reason, time::Timestamp};
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
    lost_since: Option<Timestamp>,
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
    Decision(u128, bool),
    /// Beyond [`MAX_LINES`] a count loses its decision and caller, but is not lost.
    Rest(Verdict, Reason, bool),
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
            let link_lost = self.lost_since.is_some_and(|lost| tally.last >= lost);
            let none = || link::Hits { link_lost, ..wire::no_hits(&tally.kept) };
            let line = Line::Decision(tally.kept.id.0, link_lost);
            if self.hits.contains_key(&line) || self.hits.len() < MAX_LINES {
                merge(self.hits.entry(line).or_insert_with(none), &tally);
            } else {
                let rest = self.hits.entry(Line::Rest(tally.kept.verdict, tally.kept.reason, link_lost));
                let anonymous = || link::Hits { decision_id: Vec::new(), caller: String::new(), ..none() };
                merge(rest.or_insert_with(anonymous), &tally);
            }
        }
    }

    /// The sidecar is not heard any more: what is answered from `now` on is marked.
    pub fn lose_link(&mut self, now: Timestamp) {
        self.lost_since.get_or_insert(now);
    }

    /// The sidecar is heard, and all that was answered meanwhile is in here.
    pub fn find_link(&mut self) {
        self.lost_since = None;
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
