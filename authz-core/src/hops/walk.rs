//! The walk along XFCC from the right, and where it stops; whether a certificate proves anything, the one who calls it says.

use std::sync::Arc;

use super::{Chain, Forwarders, Reach};
use crate::{
    facts::Caller,
    identity::{Element, SpiffeId},
};

/// Follows `earlier`, the elements left of the one that speaks of `caller`, from right to left.
///
/// Each element is as good as the identity that wrote it: the workload that the element to its right speaks of. The walk
/// goes on only while that writer is one of `forwarders`, names itself in `By`, and `prove` finds the certificate in the
/// element to be a workload's (Envoy, HTTP headers, x-forwarded-client-cert).
pub fn walk<'e>(
    caller: &Arc<Caller>,
    earlier: impl Iterator<Item = &'e Element>,
    forwarders: &Forwarders,
    mut prove: impl FnMut(&'e Element) -> Option<Arc<Caller>>,
) -> Chain {
    let mut hops: Vec<Arc<Caller>> = Vec::new();
    for element in earlier {
        let writer = hops.last().unwrap_or(caller).credential().id();
        if !forwarders.contain(writer) {
            return Chain::new(hops, Reach::Forwarder);
        }
        if !is_by(element, writer) {
            return Chain::new(hops, Reach::Writer);
        }
        match prove(element) {
            Some(hop) => hops.push(hop),
            None => return Chain::new(hops, Reach::Proof),
        }
    }
    Chain::new(hops, Reach::Origin)
}

/// Whether the element names `writer` as the one who wrote it, and nobody else.
fn is_by(element: &Element, writer: &SpiffeId) -> bool {
    let mut by = element.by().peekable();
    by.peek().is_some() && by.all(|uri| uri == writer.as_str())
}
