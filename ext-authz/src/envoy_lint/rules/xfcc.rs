//! Rules about x-forwarded-client-cert: Envoy must write it itself, and write all that Countersign needs.

use super::{
    super::{
        model::Model,
        spot::{EnumValue, Hole, Spot},
    },
    Rule, error, on, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "xfcc-forwarded",
        xfcc_forwarded,
        "what a client sends as x-forwarded-client-cert passes as if Envoy had seen that certificate",
        "forward_client_cert_details: SANITIZE_SET",
    ),
    warning(
        "xfcc-appended",
        xfcc_appended,
        "what a client sends stays in front of Envoy's own element: right only if every client is a proxy that \
         Countersign is told to believe as a forwarder",
        "forward_client_cert_details: SANITIZE_SET, unless all of them are",
    ),
    error(
        "xfcc-chosen-by-client",
        xfcc_chosen_by_client,
        "a client picks the treatment of its x-forwarded-client-cert by a header that it writes itself",
        "match on the connection or the certificate, or take forward_client_cert_matcher away",
    ),
    error(
        "xfcc-as-json",
        xfcc_as_json,
        "Countersign reads the text form only and refuses the other",
        "take `format` away, or format: TEXT",
    ),
    warning(
        "xfcc-incomplete",
        xfcc_incomplete,
        "intermediate certificates reach Countersign in this header only: callers issued by one are refused",
        "forward_client_cert_details: SANITIZE_SET and set_current_client_cert_details: { uri: true, cert: true, chain: true }",
    ),
    warning(
        "xfcc-subject",
        xfcc_subject,
        "Envoy doesn't escape quotes in a subject, so the header of a caller who has one can't be read safely",
        "take `subject` away",
    ),
];

fn xfcc_forwarded(model: &Model<'_>) -> Vec<Hole> {
    treated_as(model, &[("FORWARD_ONLY", 1), ("ALWAYS_FORWARD_ONLY", 4)])
}

fn xfcc_appended(model: &Model<'_>) -> Vec<Hole> {
    treated_as(model, &[APPEND_FORWARD])
}

fn xfcc_chosen_by_client(model: &Model<'_>) -> Vec<Hole> {
    let matchers = model.guarded().filter_map(|manager| manager.spot.get("forward_client_cert_matcher"));
    let inputs = matchers.flat_map(|matcher| matcher.find_all("@type"));
    let headers = inputs.filter(|it| it.own_text().is_some_and(|kind| kind.ends_with(".HttpRequestHeaderMatchInput")));
    headers.map(|it| it.hole("matches on a header of the request")).collect()
}

fn xfcc_as_json(model: &Model<'_>) -> Vec<Hole> {
    let details = settings(model).into_iter().filter_map(|it| it.get("set_current_client_cert_details"));
    details.filter(|it| it.is_one_of("format", &[("JSON", 1)])).map(|it| it.hole_at("format")).collect()
}

fn xfcc_incomplete(model: &Model<'_>) -> Vec<Hole> {
    let incomplete = |it: &Spot<'_>| {
        let writes = it.is_one_of(MODE, &[SANITIZE_SET, APPEND_FORWARD]);
        let forwards = it.get(MODE).is_some() && !writes && !it.is_one_of(MODE, &[("SANITIZE", 0)]);
        let parts = ["cert", "chain"].map(|part| format!("set_current_client_cert_details.{part}"));
        match parts.iter().find(|part| !it.is_on(part)) {
            Some(part) if writes => Some(it.hole(format!("{part} is not set"))),
            _ if writes || forwards => None,
            _ => Some(it.hole_at(MODE)),
        }
    };
    settings(model).iter().filter_map(incomplete).collect()
}

fn xfcc_subject(model: &Model<'_>) -> Vec<Hole> {
    let details: Vec<_> = settings(model).iter().filter_map(|it| it.get("set_current_client_cert_details")).collect();
    on(details.iter(), "subject")
}

/// Wherever it is said how to treat the header: in the manager, and in what its matcher may choose.
fn settings<'a>(model: &Model<'a>) -> Vec<Spot<'a>> {
    let choices = |manager: &Spot<'a>| {
        let configs = manager.get("forward_client_cert_matcher").into_iter().flat_map(|it| it.find_all("typed_config"));
        let is_choice = |it: &Spot<'_>| it.text("@type").is_some_and(|kind| kind.ends_with(".ForwardClientCertConfig"));
        configs.filter(is_choice).collect::<Vec<_>>()
    };
    let managers = model.guarded().map(|manager| &manager.spot);
    managers.flat_map(|manager| [vec![manager.clone()], choices(manager)].concat()).collect()
}

fn treated_as(model: &Model<'_>, any_of: &[EnumValue]) -> Vec<Hole> {
    settings(model).iter().filter(|it| it.is_one_of(MODE, any_of)).map(|it| it.hole_at(MODE)).collect()
}

const MODE: &str = "forward_client_cert_details";
const APPEND_FORWARD: EnumValue = ("APPEND_FORWARD", 2);
const SANITIZE_SET: EnumValue = ("SANITIZE_SET", 3);
