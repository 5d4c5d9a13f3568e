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
        let address = spot.text("address.socket_address.address");
        // Other hosts can't reach a pipe, a listener within Envoy or loopback.
        let local = spot.get("address").is_some_and(|it| it.get("socket_address").is_none())
            || address.is_some_and(is_loopback);
        Self { inward: !outbound && !local, chains }
    }
}

/// Whether only this host can reach an address.
pub(in super::super) fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
