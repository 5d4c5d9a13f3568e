//! `identity`, as far as it is about `x-forwarded-client-cert`: how much of that header is read, and whose word in it counts.

use authz_core::{hops::Forwarders, identity::Limits};

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};
use crate::identity::Forwarding;

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "identity.trust_xfcc",
        KnobDefault::Value("false"),
        "Take the certificate from x-forwarded-client-cert where Envoy gives none; only behind an Envoy that sanitises that header.",
    ),
    Knob::new(
        "identity.forwarders[]",
        KnobDefault::None,
        "Workloads whose word about their own callers counts (gateways, proxies): a SPIFFE ID, or spiffe://td/path/* for all below; none: nobody stands behind a caller.",
    ),
    Knob::new(
        "identity.xfcc.max_elements",
        KnobDefault::Value("16"),
        "Most elements of x-forwarded-client-cert, one for each hop; a request with more is denied.",
    ),
    Knob::new(
        "identity.xfcc.max_bytes",
        KnobDefault::Value("65536"),
        "Most bytes of x-forwarded-client-cert; a request with more is denied.",
    ),
];

pub(super) fn read(reader: &Reader<'_>) -> Option<Forwarding> {
    let trust_xfcc = reader.value("identity.trust_xfcc", scalar::boolean);
    let forwarders = match reader.set("identity.forwarders") {
        Some(_) => reader.values("identity.forwarders", scalar::id_pattern),
        None => Some(Vec::new()),
    };
    let max_elements = reader.value("identity.xfcc.max_elements", |node| scalar::number(node, 1, 64));
    let max_bytes = reader.value("identity.xfcc.max_bytes", |node| scalar::number(node, 1024, 1 << 20));
    Some(Forwarding {
        trust_xfcc: trust_xfcc?,
        forwarders: Forwarders::new(forwarders?),
        limits: Limits {
            max_elements: usize::try_from(max_elements?).ok()?,
            max_bytes: usize::try_from(max_bytes?).ok()?,
        },
    })
}
