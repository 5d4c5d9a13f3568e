//! `DryRun`: what a revocation would hit, counted here and in the filters, and nothing changed.

use std::time::Duration;

use authz_core::{scope::Scope, time::Timestamp};
use tonic::Status;

use crate::{
    cache::DecisionCache,
    clock,
    filters::{FilterState, Filters, Hit, Rehearsal},
    wire::control::{DryRunRequest, DryRunResponse, Filter, FilterHits},
};

/// A dry run that can be done.
pub(super) struct DryRun {
    pub scopes: Vec<Scope>,
    issued_before: Timestamp,
    patience: Duration,
}

impl DryRun {
    /// Reads a request.
    pub fn parse(request: &DryRunRequest) -> Result<Self, String> {
        let DryRunRequest { scopes, issued_before_ms, timeout_ms } = request;
        if scopes.is_empty() || scopes.len() > MAX_SCOPES {
            return Err(format!("{} scopes are given, give 1 to {MAX_SCOPES}", scopes.len()));
        }
        let scopes = scopes.iter().map(|text| text.parse().map_err(|error| format!("{error}")));
        let asked = if *timeout_ms == 0 { PATIENCE } else { Duration::from_millis(*timeout_ms) };
        Ok(Self {
            scopes: scopes.collect::<Result<_, String>>()?,
            issued_before: issued_before_ms.map_or(Timestamp::NEVER, Timestamp::from_millis),
            patience: asked.min(LONGEST_PATIENCE),
        })
    }

    /// Counts.
    pub async fn run(self, filters: &Filters, cache: Option<DecisionCache>) -> Result<DryRunResponse, Status> {
        let scopes = self.scopes.clone();
        let count = move || cache.map_or(0, |cache| cache.count_resting_on(&scopes, clock::now()));
        let counting = tokio::task::spawn_blocking(count);
        let Rehearsal { hits, silent } = filters.rehearse(self.scopes, self.issued_before, self.patience).await;
        let sidecar_decisions = counting.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(DryRunResponse {
            filters: hits.iter().map(hits_to_wire).collect(),
            silent: silent.iter().map(silent_to_wire).collect(),
            sidecar_decisions,
        })
    }
}

fn hits_to_wire(hit: &Hit) -> FilterHits {
    FilterHits {
        instance: hit.instance.to_string(),
        node: hit.node.to_string(),
        cached_decisions: hit.decisions,
        open_streams: hit.streams,
    }
}

fn silent_to_wire(filter: &FilterState) -> Filter {
    Filter {
        instance: filter.instance.to_string(),
        node: filter.node.to_string(),
        enforced_seq: filter.enforced.0,
        ..Filter::default()
    }
}

/// Most scopes of one dry run: they travel to every filter.
const MAX_SCOPES: usize = 1000;
/// How long filters are waited for unless the request says so.
const PATIENCE: Duration = Duration::from_secs(2);
/// And at most.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
