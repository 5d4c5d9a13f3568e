//! An HTTP connection manager: its filters and its routes.

use super::{
    super::spot::{Spot, Typed},
    filter::Filter,
    header_removal,
    source::Source,
};

/// An HTTP connection manager.
#[derive(Debug)]
pub(in super::super) struct Manager<'a> {
    /// Its settings.
    pub(in super::super) spot: Spot<'a>,
    /// Its HTTP filters.
    pub(in super::super) filters: Vec<Filter<'a>>,
    /// Filters in place of those for some upgrades, with the place of each list.
    pub(in super::super) upgrades: Vec<(Spot<'a>, Vec<Filter<'a>>)>,
    /// Its routes, if they are in the document.
    pub(in super::super) routes: Option<Spot<'a>>,
    /// The filters that its router runs on the way to the upstream.
    upstream: Vec<Filter<'a>>,
}

impl<'a> Manager<'a> {
    pub(super) fn of(spot: &Spot<'a>, source: &Source<'a>) -> Self {
        let filters = |spots: Vec<Spot<'a>>| spots.iter().map(|item| Filter::of(item, source)).collect::<Vec<_>>();
        let own_filters = |upgrade: Spot<'a>| {
            let list = upgrade.get("filters")?;
            let upgrade = filters(upgrade.items("filters"));
            (!upgrade.is_empty()).then_some((list, upgrade))
        };
        let by_name = || source.route(spot.text("rds.route_config_name")?).cloned();
        let http = filters(spot.items("http_filters"));
        let router = http.last().and_then(|router| router.settings.as_ref());
        Self {
            upstream: router.map(|router| filters(router.items("upstream_http_filters"))).unwrap_or_default(),
            filters: http,
            upgrades: spot.items("upgrade_configs").into_iter().filter_map(own_filters).collect(),
            routes: spot.get("route_config").or_else(by_name),
            spot: spot.clone(),
        }
    }

    /// The filter by which Countersign decides.
    pub(in super::super) fn decider(&self) -> Option<&Filter<'a>> {
        Filter::decider(&self.filters).map(|(_, filter)| filter)
    }

    /// The filters that see a request once it was decided on.
    pub(in super::super) fn after_decision(&self) -> impl Iterator<Item = &Filter<'a>> {
        let decider = Filter::decider(&self.filters);
        decider.into_iter().flat_map(|(position, _)| self.filters.iter().skip(position + 1).chain(&self.upstream))
    }

    /// What routes say about the filter by which Countersign decides, in whatever wrapping.
    pub(in super::super) fn overrides(&self) -> Vec<Typed<'a>> {
        let Some(decider) = self.decider() else { return Vec::new() };
        let per_filter = self.routes.iter().flat_map(|routes| routes.find_all("typed_per_filter_config"));
        let about_it = per_filter.filter_map(|map| map.entries().find(|(name, _)| *name == decider.name));
        let overrides = about_it.filter_map(|(_, spot)| spot.named("filter", Some(decider.name)).opened());
        overrides.flat_map(|outer| [outer.body.typed("config"), Some(outer)]).flatten().collect()
    }

    /// Whether a header is taken out of every request before the decision.
    pub(in super::super) fn removes(&self, header: &str) -> bool {
        let early = self.spot.items("early_header_mutation_extensions");
        let early = early.iter().filter_map(|extension| extension.typed("typed_config"));
        let early = early.flat_map(|typed| typed.body.items("mutations"));
        let position = Filter::decider(&self.filters).map_or(0, |(position, _)| position);
        let before = self.filters.iter().take(position).filter(|filter| filter.word() == Some("header_mutation"));
        let before = before.filter_map(|filter| filter.settings.as_ref());
        let before = before.flat_map(|settings| settings.items("mutations.request_mutations"));
        early.chain(before).any(|mutation| header_removal::removes(&mutation, header)) || self.drops_underscores(header)
    }

    fn drops_underscores(&self, header: &str) -> bool {
        let action = "common_http_protocol_options.headers_with_underscores_action";
        header.contains('_') && self.spot.is_one_of(action, &[("REJECT_REQUEST", 1), ("DROP_HEADER", 2)])
    }
}
