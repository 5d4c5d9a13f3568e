//! A filter in a chain, of HTTP or of connections: what it is, and whether Countersign decides by it.

use super::{
    super::spot::{Spot, Typed},
    source::Source,
};

/// A filter.
#[derive(Debug)]
pub(in super::super) struct Filter<'a> {
    /// Its item in the list of filters.
    pub(in super::super) spot: Spot<'a>,
    /// Its name, by which routes speak of it.
    pub(in super::super) name: &'a str,
    /// The type of its settings, such as `envoy.extensions.filters.http.router.v3.Router`; its name if there is none.
    pub(in super::super) kind: &'a str,
    /// Its settings, if they are in the document.
    pub(in super::super) settings: Option<Spot<'a>>,
    /// Whether a matcher may skip it.
    pub(in super::super) skippable: bool,
}

impl<'a> Filter<'a> {
    pub(super) fn of(spot: &Spot<'a>, source: &Source<'a>) -> Self {
        let name = spot.text("name").unwrap_or_default();
        let spot = spot.clone().named("filter", Some(name));
        let found = spot.typed("typed_config").or_else(|| {
            let extension = source.extension(name)?.clone().named("filter", Some(name));
            extension.typed("typed_config")
        });
        let (inner, skippable) = match found {
            Some(outer) if outer.kind.ends_with(".ExtensionWithMatcher") => {
                (outer.body.typed("extension_config.typed_config"), true)
            }
            found => (found, false),
        };
        match inner {
            Some(Typed { kind, body }) if !kind.is_empty() => {
                Self { spot, name, kind, settings: Some(body), skippable }
            }
            _ => Self { name, kind: discovered_kind(&spot).unwrap_or(name), settings: None, skippable, spot },
        }
    }

    /// The filter by which Countersign decides, and its position: one that names Countersign, else the last that could be it.
    pub(in super::super) fn decider(filters: &[Self]) -> Option<(usize, &Self)> {
        let could_be = || filters.iter().enumerate().filter(|(_, filter)| filter.could_decide());
        could_be().rfind(|(_, filter)| filter.spot.mentions(NAME)).or_else(|| could_be().next_back())
    }

    /// Whether it is `ext_authz`.
    pub(in super::super) fn is_ext_authz(&self) -> bool {
        self.kind.ends_with(".ExtAuthz")
    }

    /// Whether it runs a wasm module.
    pub(in super::super) fn is_wasm(&self) -> bool {
        self.kind.ends_with(".wasm.v3.Wasm")
    }

    /// The settings of its wasm module.
    pub(in super::super) fn plugin(&self) -> Option<Spot<'a>> {
        self.settings.as_ref()?.get("config")
    }

    /// Its kind in one word, such as `lua`, if it is one of Envoy's own for HTTP.
    pub(in super::super) fn word(&self) -> Option<&'a str> {
        let known = ["envoy.extensions.filters.http.", "envoy.filters.http."];
        known.iter().find_map(|start| self.kind.strip_prefix(start))?.split('.').next()
    }

    /// Whether Countersign may be asked by it: it speaks gRPC, and a module has to say that it is ours.
    fn could_decide(&self) -> bool {
        let asks_by_http = self.settings.as_ref().is_some_and(|settings| settings.get("http_service").is_some());
        let ours =
            || self.spot.mentions(NAME) || self.settings.as_ref().is_some_and(|settings| settings.mentions(NAME));
        (self.is_ext_authz() && !asks_by_http) || (self.is_wasm() && ours())
    }
}

/// What a filter will be whose settings come from elsewhere.
fn discovered_kind<'a>(spot: &Spot<'a>) -> Option<&'a str> {
    let types = spot.items("config_discovery.type_urls");
    types.first()?.own_text()?.rsplit('/').next()
}

const NAME: &str = "countersign";
