//! A filter chain of a listener: its TLS and its network filters.

use super::{super::spot::Spot, filter::Filter, manager::Manager, source::Source};

/// A filter chain.
#[derive(Debug)]
pub(in super::super) struct Chain<'a> {
    /// Its place.
    pub(in super::super) spot: Spot<'a>,
    /// How connections prove who they are.
    pub(in super::super) tls: Tls<'a>,
    /// Its HTTP connection managers; one, if any.
    pub(in super::super) managers: Vec<Manager<'a>>,
    network: Vec<Filter<'a>>,
}

/// TLS at the door of a filter chain.
#[derive(Debug)]
pub(in super::super) enum Tls<'a> {
    /// None at all.
    Absent,
    /// A transport socket that we do not know.
    Foreign,
    /// A `DownstreamTlsContext`.
    Settings(Spot<'a>),
}

impl<'a> Chain<'a> {
    pub(super) fn of(spot: &Spot<'a>, source: &Source<'a>) -> Self {
        let spot = spot.clone().named("chain", spot.text("name"));
        let network: Vec<Filter<'a>> = spot.items("filters").iter().map(|item| Filter::of(item, source)).collect();
        let managers = network.iter().filter(|filter| filter.kind.ends_with(".HttpConnectionManager"));
        let managers = managers.filter_map(|filter| Manager::of(filter.settings.as_ref()?, source).into()).collect();
        Self { tls: Tls::of(&spot), managers, network, spot }
    }

    /// Whether Countersign decides here, on requests or on connections.
    pub(in super::super) fn is_guarded(&self) -> bool {
        self.network_decider().is_some() || self.managers.iter().any(|manager| manager.decider().is_some())
    }

    /// The network filter by which Countersign decides on connections.
    pub(in super::super) fn network_decider(&self) -> Option<&Filter<'a>> {
        Filter::decider(&self.network).map(|(_, filter)| filter)
    }

    /// The filter that sends bytes on without a look at them.
    pub(in super::super) fn tcp_proxy(&self) -> Option<&Filter<'a>> {
        self.network.iter().find(|filter| filter.kind.ends_with(".TcpProxy"))
    }
}

impl<'a> Tls<'a> {
    fn of(chain: &Spot<'a>) -> Self {
        let Some(typed) = chain.typed("transport_socket.typed_config") else {
            return if chain.get("transport_socket").is_some() { Self::Foreign } else { Self::Absent };
        };
        match typed.kind.rsplit('.').next() {
            Some("DownstreamTlsContext") => Self::Settings(typed.body),
            Some("QuicDownstreamTransport") => {
                typed.body.get("downstream_tls_context").map_or(Self::Absent, Self::Settings)
            }
            Some("RawBuffer") => Self::Absent,
            // A socket around another one, such as a tap.
            _ if typed.body.get("transport_socket").is_some() => Self::of(&typed.body),
            _ => Self::Foreign,
        }
    }
}
