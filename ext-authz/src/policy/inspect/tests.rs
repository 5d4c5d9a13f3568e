//! Policies by their parts, and what came of each.

use super::*;
use crate::policy::{
    Source,
    tests::{TestRequest, sources},
};

fn inspector(policies: &str) -> Inspector {
    Inspector::of(&sources(policies)).unwrap()
}

fn scene(inspector: &Inspector, request: &TestRequest) -> Scene {
    request.admitted(inspector.compiled().plan(), |admitted| inspector.scene(admitted, request.now, 0)).unwrap()
}

/// Each condition with its outcome, outer ones first.
fn outcomes(condition: &Condition, answer: &Answer) -> Vec<(String, Outcome)> {
    let below = condition.below().iter().zip(&answer.parts).flat_map(|(part, answer)| outcomes(part, answer));
    std::iter::once((condition.text.clone(), answer.outcome.clone())).chain(below).collect()
}

fn first_clause(policy: &str, request: &TestRequest) -> Vec<(String, Outcome)> {
    let inspector = inspector(policy);
    let scene = scene(&inspector, request);
    let hearing = scene.hear(&inspector.dossiers()[0]);
    let (demand, answer) = hearing.clauses().next().unwrap();
    outcomes(&demand.condition, answer)
}

#[test]
fn a_policy_is_known_by_name_place_text_and_what_it_asks_for() {
    let text = "\n@id(\"a\")\nforbid(principal in TrustDomain::\"td\", action == Action::\"GET\", resource)\n  \
                when { context.http.path == \"/\" } unless { principal.path == \"/a\" };";
    let inspector = inspector(text);
    let dossier = inspector.dossier("a").unwrap();
    assert_eq!((&*dossier.file, dossier.at.line, dossier.at.column, dossier.permits), ("a.cedar", 2, 1, false));
    assert_eq!(dossier.text, text.trim());
    let parts = |demands: &[Demand]| demands.iter().map(|it| (it.part, it.condition.text.clone())).collect::<Vec<_>>();
    assert_eq!(
        parts(&dossier.scope),
        [
            (Part::Principal, "principal in TrustDomain::\"td\"".to_owned()),
            (Part::Action, "action == Action::\"GET\"".to_owned())
        ]
    );
    assert_eq!(
        parts(&dossier.clauses),
        [(Part::When, "context.http.path == \"/\"".to_owned()), (Part::Unless, "principal.path == \"/a\"".to_owned())]
    );
}

#[test]
fn what_is_not_reached_is_not_asked() {
    let policy = "permit(principal, action, resource) when { \
        (context.source has ip && context.source.ip.isLoopback()) || context.http.path == \"/orders/1\" || principal.path == \"/\" };";
    let outcomes: Vec<Outcome> = first_clause(policy, &TestRequest::default()).into_iter().map(|it| it.1).collect();
    let expected =
        [Outcome::True, Outcome::False, Outcome::False, Outcome::Unreached, Outcome::True, Outcome::Unreached];
    assert_eq!(outcomes, expected);
}

#[test]
fn not_and_if_are_parts_too() {
    let policy = "permit(principal, action, resource) when { \
        if !(context.http.path == \"/x\") then context.hops.complete else context.hops.count > 1 };";
    let outcomes: Vec<Outcome> = first_clause(policy, &TestRequest::default()).into_iter().map(|it| it.1).collect();
    let expected = [Outcome::True, Outcome::True, Outcome::False, Outcome::True, Outcome::Unreached];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_condition_shows_what_it_looks_at_and_what_is_there() {
    let inspector = inspector(
        "permit(principal, action, resource) when { context.http.headers has \"x-tenant\" && \
         context.http.headers[\"x-tenant\"] == principal.trust_domain && context.http.path like \"/o*\" };",
    );
    let request = TestRequest { headers: vec![("x-tenant".into(), "td".into())], ..TestRequest::default() };
    let [with, without] = [request, TestRequest::default()].map(|request| scene(&inspector, &request));
    let glances: Vec<&Glance> = inspector.dossiers()[0].clauses[0]
        .condition
        .below()
        .iter()
        .flat_map(|part| if let Parts::Leaf(leaf) = &part.parts { &leaf.glances[..] } else { &[] })
        .collect();
    let seen = |scene: &Scene| glances.iter().map(|it| (it.path.clone(), scene.value(it))).collect::<Vec<_>>();
    let (header, domain, path) = ("context.http.headers[\"x-tenant\"]", "principal.trust_domain", "context.http.path");
    let texts = |values: [Option<&str>; 4]| {
        let paths = [header, header, domain, path];
        paths
            .into_iter()
            .zip(values)
            .map(|(path, value)| (path.to_owned(), value.map(|it| format!("{it:?}"))))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&with), texts([Some("td"), Some("td"), Some("td"), Some("/orders/1")]));
    assert_eq!(seen(&without), texts([None, None, Some("td"), Some("/orders/1")]));
    assert_eq!(with.fact(&Read::Path), Some((path, Some("\"/orders/1\"".to_owned()))));
    assert_eq!(without.fact(&Read::Header("x-tenant".into())), Some((header, None)));
    assert_eq!(without.fact(&Read::Sni), None, "no policy reads it");
}

#[test]
fn a_policy_of_another_caller_shows_what_it_would_look_at() {
    let inspector = inspector(
        "permit(principal == Workload::\"spiffe://td/other\", action, resource) when { context.http.host == \"h\" };",
    );
    let scene = scene(&inspector, &TestRequest { host: "h".into(), ..TestRequest::default() });
    let hearing = scene.hear(&inspector.dossiers()[0]);
    assert!(!hearing.is_candidate && !hearing.matches());
    assert_eq!(hearing.scope[0].outcome, Outcome::False);
    assert_eq!(hearing.clauses[0].outcome, Outcome::True);
}

#[test]
fn groups_of_the_caller_are_those_it_is_in() {
    let inspector = inspector("permit(principal in WorkloadPath::\"spiffe://td/ns\", action, resource);");
    let groups = scene(&inspector, &TestRequest { caller: "spiffe://td/ns/a".into(), ..TestRequest::default() })
        .groups_of_caller();
    assert_eq!(
        groups,
        ["TrustDomain::\"td\"", "WorkloadPath::\"spiffe://td/ns\"", "WorkloadPath::\"spiffe://td/ns/a\""]
    );
}

#[test]
fn a_policy_of_another_service_does_not_apply() {
    let mut sources = sources("permit(principal, action, resource);");
    let other = "permit(principal, action, resource == Service::\"other\");";
    sources.policies.push(Source { name: "b.cedar".into(), text: other.into() });
    let inspector = Inspector::of(&sources).unwrap();
    assert_eq!(inspector.dossiers().iter().map(|it| it.applies).collect::<Vec<_>>(), [true, false]);
}
