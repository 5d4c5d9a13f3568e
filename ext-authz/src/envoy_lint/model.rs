//! What an Envoy configuration consists of, as far as rules look at it: listeners, chains, connection managers, filters, routes, clusters. It judges nothing.

mod chain;
mod filter;
mod header_removal;
mod listener;
mod manager;
mod source;

pub(super) use chain::{Chain, Tls};
pub(super) use filter::Filter;
pub(super) use listener::{Listener, is_loopback};
pub(super) use manager::Manager;

use super::spot::Spot;
use crate::config::tree::Node;
use source::Source;

/// An Envoy configuration.
#[derive(Debug)]
pub(super) struct Model<'a> {
    /// The whole document.
    pub(super) root: Spot<'a>,
    /// `admin` of the bootstrap.
    pub(super) admin: Option<Spot<'a>>,
    /// Every listener.
    pub(super) listeners: Vec<Listener<'a>>,
    /// Every cluster.
    pub(super) clusters: Vec<Spot<'a>>,
    /// `dynamic_resources` of a bootstrap whose listeners are not in the document.
    pub(super) elsewhere: Option<Spot<'a>>,
}

impl<'a> Model<'a> {
    /// Finds the parts in a document.
    pub(super) fn of(root: &'a Node) -> Self {
        let root = Spot::root(root);
        let source = Source::of(&root);
        let listeners: Vec<_> = source.listeners.iter().map(|spot| Listener::of(spot, &source)).collect();
        let elsewhere = source.lds.filter(|_| listeners.is_empty());
        Self { admin: source.admin, clusters: source.clusters, listeners, elsewhere, root }
    }

    /// Every filter chain.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain<'a>> {
        self.listeners.iter().flat_map(|listener| &listener.chains)
    }

    /// Every filter chain in which Countersign decides.
    pub(super) fn guarded_chains(&self) -> impl Iterator<Item = &Chain<'a>> {
        self.chains().filter(|chain| chain.is_guarded())
    }

    /// Every HTTP connection manager in which Countersign decides.
    pub(super) fn guarded(&self) -> impl Iterator<Item = &Manager<'a>> {
        self.chains().flat_map(|chain| &chain.managers).filter(|manager| manager.decider().is_some())
    }

    /// Every filter, of HTTP or of connections, by which Countersign decides.
    pub(super) fn deciders(&self) -> impl Iterator<Item = &Filter<'a>> {
        let of_connections = self.chains().filter_map(Chain::network_decider);
        self.guarded().filter_map(Manager::decider).chain(of_connections)
    }

    /// The settings of every `ext_authz` filter by which Countersign decides.
    pub(super) fn ext_authz(&self) -> impl Iterator<Item = &Spot<'a>> {
        self.deciders().filter(|filter| filter.is_ext_authz()).filter_map(|filter| filter.settings.as_ref())
    }

    /// As [`Model::ext_authz`], HTTP only.
    pub(super) fn http_ext_authz(&self) -> impl Iterator<Item = &Spot<'a>> {
        let deciders = self.guarded().filter_map(Manager::decider);
        deciders.filter(|filter| filter.is_ext_authz()).filter_map(|filter| filter.settings.as_ref())
    }

    /// The plugin settings of every Countersign wasm filter.
    pub(super) fn plugins(&self) -> impl Iterator<Item = Spot<'a>> {
        self.deciders().filter(|filter| filter.is_wasm()).filter_map(Filter::plugin)
    }

    /// As [`Model::plugins`], of connections only.
    pub(super) fn network_plugins(&self) -> impl Iterator<Item = Spot<'a>> {
        self.chains().filter_map(Chain::network_decider).filter(|filter| filter.is_wasm()).filter_map(Filter::plugin)
    }

    /// The settings of TLS at the door of every chain in which Countersign decides.
    pub(super) fn guarded_tls(&self) -> impl Iterator<Item = &Spot<'a>> {
        self.guarded_chains().filter_map(|chain| if let Tls::Settings(spot) = &chain.tls { Some(spot) } else { None })
    }

    /// A cluster by its name.
    pub(super) fn cluster(&self, name: &str) -> Option<&Spot<'a>> {
        self.clusters.iter().find(|cluster| cluster.text("name") == Some(name))
    }
}
