//! Rules about TLS at the door: does every connection prove who it is?

use super::{
    super::{
        model::{Model, Tls},
        spot::{Hole, Spot},
    },
    Rule, error, on, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    warning(
        "no-tls",
        no_tls,
        "callers have no certificate and so no identity: Countersign takes all of them for nobody",
        "give the filter chain a DownstreamTlsContext with require_client_certificate",
    ),
    error(
        "client-certificate-optional",
        client_certificate_optional,
        "callers without a certificate get in; only Countersign still refuses them",
        "require_client_certificate: true",
    ),
    error(
        "client-not-validated",
        client_not_validated,
        "Envoy takes any certificate, also one that the caller made; only Countersign still refuses it",
        "a validation context with the SPIFFE validator or a trusted CA, and no ACCEPT_UNTRUSTED",
    ),
    error(
        "expired-accepted",
        expired_accepted,
        "Envoy takes certificates that have expired; only Countersign still refuses them",
        "take `allow_expired_certificate` away",
    ),
    warning(
        "session-resumed",
        session_resumed,
        "a caller comes back without showing its certificate again, also when it would not be accepted any more",
        "disable_stateless_session_resumption: true and disable_stateful_session_resumption: true",
    ),
    warning(
        "trust-not-watched",
        trust_not_watched,
        "Envoy reads the file once: an authority that was removed stays trusted until it restarts",
        "watched_directory beside the filename, or SDS",
    ),
    warning("old-tls", old_tls, "TLS before 1.2 has known weaknesses", "tls_minimum_protocol_version: TLSv1_2"),
];

fn no_tls(model: &Model<'_>) -> Vec<Hole> {
    let plain = model.guarded_chains().filter(|chain| matches!(chain.tls, Tls::Absent));
    plain.map(|chain| chain.spot.hole("has no TLS")).collect()
}

fn client_certificate_optional(model: &Model<'_>) -> Vec<Hole> {
    super::off(model.guarded_tls(), "require_client_certificate")
}

fn client_not_validated(model: &Model<'_>) -> Vec<Hole> {
    let lax = |tls: &Spot<'_>| {
        let contexts = validation_contexts(tls);
        let accepts_all = contexts.iter().find_map(|it| {
            it.is_one_of("trust_chain_verification", &[("ACCEPT_UNTRUSTED", 1)])
                .then(|| it.hole_at("trust_chain_verification"))
        });
        accepts_all.or_else(|| {
            (!is_validated(tls, &contexts)).then(|| tls.hole("no validation context names anybody to trust"))
        })
    };
    model.guarded_tls().filter_map(lax).collect()
}

fn expired_accepted(model: &Model<'_>) -> Vec<Hole> {
    let contexts: Vec<_> = model.guarded_tls().flat_map(validation_contexts).collect();
    on(contexts.iter(), "allow_expired_certificate")
}

fn session_resumed(model: &Model<'_>) -> Vec<Hole> {
    // One finding per listener is enough: the remedy is for both.
    let switches = ["disable_stateless_session_resumption", "disable_stateful_session_resumption"];
    let open = |tls: &Spot<'_>| switches.iter().find(|switch| !tls.is_on(switch)).map(|switch| tls.hole_at(switch));
    model.guarded_tls().filter_map(open).collect()
}

fn trust_not_watched(model: &Model<'_>) -> Vec<Hole> {
    let contexts = model.guarded_tls().flat_map(validation_contexts);
    let sources = contexts.flat_map(|context| {
        let validator = context.typed("custom_validator_config.typed_config").map(|typed| typed.body);
        let by_domain =
            validator.iter().flat_map(|it| it.items("trust_domains")).filter_map(|it| it.get("trust_bundle"));
        let all = validator.iter().filter_map(|it| it.get("trust_bundles"));
        by_domain.chain(all).chain(context.get("trusted_ca")).collect::<Vec<_>>()
    });
    let once = sources.filter(|source| source.get("filename").is_some() && source.get("watched_directory").is_none());
    once.map(|source| source.hole("is a file without watched_directory")).collect()
}

fn old_tls(model: &Model<'_>) -> Vec<Hole> {
    let old = &[("TLSv1_0", 1), ("TLSv1_1", 2)];
    let parameters = model.guarded_tls().filter_map(|tls| tls.at("common_tls_context.tls_params"));
    let lax = parameters.filter(|it| it.is_one_of("tls_minimum_protocol_version", old));
    lax.map(|it| it.hole_at("tls_minimum_protocol_version")).collect()
}

/// The validation contexts that the document itself holds.
fn validation_contexts<'a>(tls: &Spot<'a>) -> Vec<Spot<'a>> {
    let places = ["validation_context", "combined_validation_context.default_validation_context"];
    places.iter().filter_map(|place| tls.at("common_tls_context")?.at(place)).collect()
}

fn is_validated(tls: &Spot<'_>, contexts: &[Spot<'_>]) -> bool {
    let by_context = contexts.iter().any(|context| VALIDATES.iter().any(|field| context.get(field).is_some()));
    // What comes by SDS is not in the document; that it comes is as much as can be seen.
    let elsewhere = FROM_ELSEWHERE.iter().any(|field| tls.at(&format!("common_tls_context.{field}")).is_some());
    by_context || elsewhere
}

const VALIDATES: &[&str] = &[
    "ca_certificate_provider_instance",
    "custom_validator_config",
    "system_root_certs",
    "trusted_ca",
    "verify_certificate_hash",
    "verify_certificate_spki",
];

const FROM_ELSEWHERE: &[&str] = &[
    "combined_validation_context.validation_context_certificate_provider_instance",
    "combined_validation_context.validation_context_sds_secret_config",
    "validation_context_certificate_provider_instance",
    "validation_context_sds_secret_config",
];
