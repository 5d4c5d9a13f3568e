//! Rules about routes: what they switch off, whom they ask instead, what they write into requests that were decided on.

use super::{
    super::{
        model::{Manager, Model},
        spot::{Hole, Spot},
    },
    Rule, error, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "route-unguarded",
        route_unguarded,
        "requests to this route reach the service and nobody decides on them",
        "take `disabled` away and write a policy that permits what the route is for",
    ),
    error(
        "route-asks-another",
        route_asks_another,
        "for this route another service decides, with other settings than the filter's own",
        "take the service out of check_settings",
    ),
    error(
        "private-header-written",
        private_header_written,
        "what this writes is taken for Countersign's word, and it is written after the decision",
        "leave x-countersign-* headers to Countersign",
    ),
    warning(
        "path-rewritten",
        path_rewritten,
        "policies see the path before this, the service sees the one after",
        "write policies for the path that clients send, or rewrite in an Envoy before this one",
    ),
];

fn route_unguarded(model: &Model<'_>) -> Vec<Hole> {
    let overrides: Vec<_> = model.guarded().flat_map(Manager::overrides).map(|typed| typed.body).collect();
    super::on(overrides.iter(), "disabled")
}

fn route_asks_another(model: &Model<'_>) -> Vec<Hole> {
    let settings = model.guarded().flat_map(Manager::overrides);
    let settings = settings.filter_map(|typed| typed.body.get("check_settings"));
    let services = settings.flat_map(|it| [it.get("grpc_service"), it.get("http_service")]).flatten();
    services.map(|service| service.hole("replaces the service that the filter asks")).collect()
}

fn private_header_written(model: &Model<'_>) -> Vec<Hole> {
    let written = routes(model).flat_map(|routes| routes.find_all("request_headers_to_add"));
    let headers = written.flat_map(|list| list.list());
    let private = headers.filter(|it| it.text("header.key").is_some_and(is_private));
    private.map(|it| it.hole(format!("writes {}", it.text("header.key").unwrap_or_default()))).collect()
}

fn path_rewritten(model: &Model<'_>) -> Vec<Hole> {
    let rewrites = routes(model).flat_map(|routes| REWRITES.iter().flat_map(move |field| routes.find_all(field)));
    rewrites.map(|rewrite| rewrite.hole("rewrites the path after the decision")).collect()
}

fn routes<'m, 'a>(model: &'m Model<'a>) -> impl Iterator<Item = &'m Spot<'a>> {
    model.guarded().filter_map(|manager| manager.routes.as_ref())
}

/// A service may read the underscore as the dash.
fn is_private(header: &str) -> bool {
    header.to_ascii_lowercase().replace('_', "-").starts_with("x-countersign-")
}

const REWRITES: &[&str] = &["prefix_rewrite", "regex_rewrite", "path_rewrite", "path_rewrite_policy"];
