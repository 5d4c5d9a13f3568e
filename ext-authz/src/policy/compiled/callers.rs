//! What evaluation needs of a caller, built once and kept while there is room; it is derived from the ID alone, so it never goes stale.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use authz_core::reading::{Reading, Uses};
use authz_core::{
    facts::{Caller, Unverified},
    gate::{Admitted, Principal},
    identity::SpiffeId,
    time::Timestamp,
};
use cedar_policy::{Entities, Entity, EntityId, EntityUid, RestrictedExpression};
use moka::sync::Cache;

use crate::policy::{
    compiled::credentials,
    context::address,
    directory::Directory,
    index::{ByAction, Candidates, Index, Subject},
    lazy::Lazy,
    problem::Unexpected,
    vocabulary::{Kind, ResourceKind, Types},
};

/// Views of callers.
pub(in crate::policy) struct Callers {
    directory: Directory,
    types: Types,
    indexes: Indexes,
    common: Entities,
    kinds: usize,
    views: Cache<SpiffeId, Arc<CallerView>>,
}

/// Policies by whom they can match.
pub(in crate::policy) struct Indexes {
    /// Verified callers.
    pub workloads: Index,
    /// Callers that proved nothing.
    pub strangers: Index,
}

/// One caller, as Cedar needs it.
#[derive(Clone)]
pub(in crate::policy) struct CallerView {
    /// Its entity.
    pub uid: EntityUid,
    /// Every entity its requests can touch.
    pub entities: Entities,
    /// The policies that can match it.
    pub policies: Vec<Arc<ByAction>>,
    /// How its facts become a key, by the number of their kind.
    readings: Arc<Lazy<Arc<Reading>>>,
}

impl CallerView {
    /// How the facts of its requests of a kind, that with this number, become a key.
    pub fn reading(&self, number: usize, kind: &Kind) -> Arc<Reading> {
        let found = self.readings.get(number, || {
            let mut uses = Uses::default();
            self.policies.iter().for_each(|bucket| bucket.add_facts(kind, &mut uses));
            Arc::new(Reading::of(uses))
        });
        found.map_or_else(Arc::default, Arc::clone)
    }

    /// The policies that can match its requests of a kind about `subject`; one can come more than once.
    pub fn candidates<'v>(&'v self, kind: &'v Kind, subject: &'v Subject) -> impl Iterator<Item = &'v Candidates> {
        self.policies.iter().flat_map(move |bucket| bucket.candidates(kind, subject))
    }
}

/// How many entities all kept views may hold together; about 20 MB.
const MAX_ENTITIES: u64 = 100_000;

impl Callers {
    /// Over these parts; `common` is what every caller needs, and `kinds` how many kinds of requests there are.
    pub fn new(directory: Directory, types: Types, indexes: Indexes, common: Entities, kinds: usize) -> Self {
        let weigh = |_: &SpiffeId, view: &Arc<CallerView>| u32::try_from(view.entities.len()).unwrap_or(u32::MAX);
        let views = Cache::builder().max_capacity(MAX_ENTITIES).weigher(weigh).build();
        Self { directory, types, indexes, common, kinds, views }
    }

    /// The view of a caller.
    pub fn view(&self, id: &SpiffeId) -> Result<Arc<CallerView>, Arc<Unexpected>> {
        match self.views.get(id.as_str()) {
            Some(view) => Ok(view),
            None => self.views.try_get_with(id.clone(), || self.build(id)),
        }
    }

    /// A resource with everything it is in.
    pub fn subject(&self, uid: EntityUid, kind: &ResourceKind) -> Subject {
        self.directory.subject(uid, kind)
    }

    /// Entities with a resource.
    pub fn with_resource(
        &self,
        entities: Entities,
        uid: &EntityUid,
        kind: &ResourceKind,
    ) -> Result<Entities, Unexpected> {
        self.directory.with_resource(entities, uid, kind)
    }

    /// Names of the entity types.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The view of whoever asks.
    pub fn of(&self, admitted: &Admitted<'_>) -> Result<Arc<CallerView>, Arc<Unexpected>> {
        match admitted.principal() {
            Principal::Unverified(unverified) => Ok(Arc::new(self.stranger(unverified, admitted.facts().source_ip)?)),
            Principal::Workload(caller) => self.view(caller.credential().id()),
        }
    }

    /// A view with the entities of those behind the caller.
    pub fn with_hops(&self, view: &CallerView, hops: &[Arc<Caller>]) -> Result<Arc<CallerView>, Arc<Unexpected>> {
        let mut entities = view.entities.clone();
        for hop in hops {
            let behind = self.view(hop.credential().id())?;
            let more = behind.entities.iter().filter(|entity| entities.get(&entity.uid()).is_none()).cloned();
            let more: Vec<Entity> = more.collect();
            entities = entities.add_entities(more, None).map_err(Unexpected::of)?;
        }
        Ok(Arc::new(CallerView { entities, ..view.clone() }))
    }

    /// Entities with the credentials of this request: that of whoever asks, and where policies look at them, those of the
    /// whole `chain`.
    pub fn with_credentials(
        &self,
        entities: Entities,
        admitted: &Admitted<'_>,
        now: Timestamp,
        chain: bool,
    ) -> Result<Entities, Unexpected> {
        let hops = admitted.facts().chain.hops().iter().map(AsRef::as_ref).filter(|_| chain);
        let workloads = admitted.caller().into_iter().chain(hops);
        let mut seen = HashSet::new();
        let mut changed = Vec::new();
        for credential in workloads.map(Caller::credential) {
            let uid = self.types.caller(credential.id().as_str());
            // Who comes more than once has one entity: the credential nearest to us counts.
            if let Some(entity) = entities.get(&uid).filter(|_| seen.insert(uid.clone())) {
                changed.push(credentials::with(entity, credential, now)?);
            }
        }
        entities.upsert_entities(changed, None).map_err(Unexpected::of)
    }

    /// Somebody who proved nothing, by address: `Unverified::"203.0.113.7"`. Not kept: there is no end of them.
    fn stranger(&self, unverified: &Unverified, ip: Option<IpAddr>) -> Result<CallerView, Unexpected> {
        let Some(name) = &self.types.unverified else {
            return Err(Unexpected::new("the schema declares no Unverified"));
        };
        let id = ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_canonical().to_string());
        let uid = EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id));
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let names = RestrictedExpression::new_set(unverified.names().iter().map(|name| text(name)));
        let attributes = [
            Some(("cause".to_owned(), text(unverified.cause().as_str()))),
            unverified.claimed_id().map(|id| ("claimed_id".to_owned(), text(id))),
            Some(("claimed_names".to_owned(), names)),
            ip.map(|ip| ("ip".to_owned(), address(ip))),
        ];
        let entity = Entity::new(uid.clone(), attributes.into_iter().flatten().collect(), HashSet::new());
        let entity = entity.map_err(Unexpected::of)?;
        let entities = self.common.clone().add_entities([entity], None).map_err(Unexpected::of)?;
        let policies = self.indexes.strangers.of_caller(&uid, std::iter::empty());
        Ok(CallerView { uid, entities, policies, readings: Arc::new(Lazy::new(self.kinds)) })
    }

    fn build(&self, id: &SpiffeId) -> Result<Arc<CallerView>, Unexpected> {
        let uid = self.types.caller(id.as_str());
        let entities = self.directory.with_caller(id, &self.types, &self.common)?;
        let policies = self.indexes.workloads.of_caller(&uid, entities.ancestors(&uid).into_iter().flatten());
        Ok(Arc::new(CallerView { uid, entities, policies, readings: Arc::new(Lazy::new(self.kinds)) }))
    }
}
