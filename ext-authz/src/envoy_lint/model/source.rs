//! Where the parts lie in each kind of document: bootstrap, file of xDS resources, dump of the admin API. It looks into none of them.

use super::super::spot::Spot;

/// The parts, wherever they were.
#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    pub(super) admin: Option<Spot<'a>>,
    pub(super) listeners: Vec<Spot<'a>>,
    pub(super) clusters: Vec<Spot<'a>>,
    /// `RouteConfiguration`s that connection managers refer to by name.
    pub(super) routes: Vec<Spot<'a>>,
    /// `TypedExtensionConfig`s that filters refer to by name.
    pub(super) extensions: Vec<Spot<'a>>,
    /// Set if listeners come from elsewhere.
    pub(super) lds: Option<Spot<'a>>,
}

impl<'a> Source<'a> {
    pub(super) fn of(root: &Spot<'a>) -> Self {
        let mut source = Self::default();
        source.take_bootstrap(root);
        for resource in root.items("resources") {
            // A DiscoveryResponse, or one whose resources are wrapped to give them a name.
            let resource = resource.get("resource").unwrap_or(resource);
            source.take_resource(resource);
        }
        let dumps = root.items("configs");
        for dump in &dumps {
            source.take_dump(dump);
        }
        if source.listeners.is_empty() && source.clusters.is_empty() {
            // A dump that was cut down to the bootstrap; otherwise its static part is in the other dumps as well.
            dumps.iter().filter_map(|dump| dump.get("bootstrap")).for_each(|it| source.take_bootstrap(&it));
        }
        source
    }

    fn take_bootstrap(&mut self, bootstrap: &Spot<'a>) {
        self.admin = self.admin.take().or_else(|| bootstrap.get("admin"));
        self.listeners.extend(bootstrap.items("static_resources.listeners"));
        self.clusters.extend(bootstrap.items("static_resources.clusters"));
        self.lds =
            bootstrap.at("dynamic_resources.lds_config").or_else(|| bootstrap.at("dynamic_resources.ads_config"));
    }

    fn take_resource(&mut self, resource: Spot<'a>) {
        let kind = resource.text("@type").unwrap_or_default();
        let pile = match kind.rsplit('.').next() {
            Some("Listener") => &mut self.listeners,
            Some("Cluster") => &mut self.clusters,
            Some("RouteConfiguration") => &mut self.routes,
            Some("TypedExtensionConfig") => &mut self.extensions,
            _ => return,
        };
        pile.push(resource);
    }

    fn take_dump(&mut self, dump: &Spot<'a>) {
        if let Some(admin) = dump.at("bootstrap.admin") {
            self.admin = Some(admin);
        }
        // A dump of one resource is the item of a list, without the list.
        let held = |list: &str, item: &str| {
            let items = dump.items(list).into_iter().chain([dump.clone()]);
            items.filter_map(|it| it.at(item)).collect::<Vec<_>>()
        };
        self.listeners.extend(held("static_listeners", "listener"));
        self.listeners.extend(held("dynamic_listeners", "active_state.listener"));
        self.clusters.extend(held("static_clusters", "cluster"));
        self.clusters.extend(held("dynamic_active_clusters", "cluster"));
        // Static ones are in the listeners as well.
        self.routes.extend(held("dynamic_route_configs", "route_config"));
        self.extensions.extend(held("ecds_filters", "ecds_filter"));
    }
}

impl<'a> Source<'a> {
    /// The routes of a name.
    pub(super) fn route(&self, name: &str) -> Option<&Spot<'a>> {
        self.routes.iter().find(|routes| routes.text("name") == Some(name))
    }

    /// The extension of a name.
    pub(super) fn extension(&self, name: &str) -> Option<&Spot<'a>> {
        self.extensions.iter().find(|extension| extension.text("name") == Some(name))
    }
}
