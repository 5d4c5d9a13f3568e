//! A listener: where it accepts, and its filter chains.

use super::{super::spot::Spot, chain::Chain, source::Source};

/// A listener.
#[derive(Debug)]
pub(in super::super) struct Listener<'a> {
    /// Whether requests of other workloads come in here: what goes out, their Countersign decides.
    pub(in super::super) inward: bool,
    /// Its filter chains, the default one last.
    pub(in super::super) chains: Vec<Chain<'a>>,
}

impl<'a> Listener<'a> {
    pub(super) fn of(spot: &Spot<'a>, source: &Source<'a>) -> Self {
        let spot = spot.clone().named("listener", spot.text("name"));
        let chains = spot.items("filter_chains").into_iter().chain(spot.get("default_filter_chain"));
        let chains = chains.map(|chain| Chain::of(&chain, source)).collect();
        let outbound = spot.is_one_of("traffic_direction", &[("OUTBOUND", 2)]);
        let more = spot.items("additional_addresses").into_iter().filter_map(|it| it.get("address"));
        let open = spot.get("address").into_iter().chain(more).any(|address| is_open(&address));
        Self { inward: open && !outbound, chains }
    }
}

/// Whether other hosts can reach an address: they can't reach a pipe, a listener within Envoy, or loopback.
fn is_open(address: &Spot<'_>) -> bool {
    let socket = address.get("socket_address");
    socket.is_some_and(|socket| !socket.text("address").is_some_and(is_loopback))
}

/// Whether only this host can reach an address.
pub(in super::super) fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
