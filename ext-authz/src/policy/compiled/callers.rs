//! What evaluation needs of a caller, built once and kept while there is room; it is derived from the ID alone, so it never goes stale.

use std::sync::Arc;

use authz_core::identity::SpiffeId;
use cedar_policy::{Entities, EntityUid};
use moka::sync::Cache;

use crate::policy::{
    directory::Directory,
    index::{ByAction, Index},
    problem::Unexpected,
    vocabulary::Types,
};

/// Views of callers.
pub(in crate::policy) struct Callers {
    directory: Directory,
    types: Types,
    index: Index,
    common: Entities,
    views: Cache<SpiffeId, Arc<CallerView>>,
}

/// One caller, as Cedar needs it.
pub(in crate::policy) struct CallerView {
    /// Its entity.
    pub uid: EntityUid,
    /// Every entity its requests can touch.
    pub entities: Entities,
    /// The policies that can match it.
    pub policies: Vec<Arc<ByAction>>,
}

/// How many entities all kept views may hold together; about 20 MB.
const MAX_ENTITIES: u64 = 100_000;

impl Callers {
    /// Over these parts; `common` is what every caller needs.
    pub fn new(directory: Directory, types: Types, index: Index, common: Entities) -> Self {
        let weigh = |_: &SpiffeId, view: &Arc<CallerView>| u32::try_from(view.entities.len()).unwrap_or(u32::MAX);
        let views = Cache::builder().max_capacity(MAX_ENTITIES).weigher(weigh).build();
        Self { directory, types, index, common, views }
    }

    /// The view of a caller.
    pub fn view(&self, id: &SpiffeId) -> Result<Arc<CallerView>, Arc<Unexpected>> {
        match self.views.get(id.as_str()) {
            Some(view) => Ok(view),
            None => self.views.try_get_with(id.clone(), || self.build(id)),
        }
    }

    fn build(&self, id: &SpiffeId) -> Result<Arc<CallerView>, Unexpected> {
        let uid = self.types.caller(id.as_str());
        let entities = self.directory.with_caller(id, &self.types, &self.common)?;
        let policies = self.index.of_caller(&uid, entities.ancestors(&uid).into_iter().flatten());
        Ok(Arc::new(CallerView { uid, entities, policies }))
    }
}
