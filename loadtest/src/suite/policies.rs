//! The same policies for every engine that is compared: as many, each about GET, one caller and its paths, and only the
//! last one matches. It must not favour us: Envoy's RBAC looks at the path before the caller, so other callers have other
//! paths; with the same path it would compare the caller in each policy too, and take several times as long.

use std::fmt::Write;

use serde_json::{Value, json};

/// Our policies, in Cedar: `count` of them, of which one is about the caller of the suite.
pub fn cedar(count: usize) -> String {
    rules(count).fold(String::new(), |mut text, Rule { caller, prefix }| {
        let scope =
            format!(r#"principal == Workload::"{caller}", action == Action::"GET", resource == Service::"{SERVICE}""#);
        let _ = writeln!(text, r#"permit({scope}) when {{ context.http.path like "{prefix}*" }};"#);
        text
    })
}

/// `policies`, each of which now compares the path with another fact too, so that no two paths can share a decision.
pub fn reading_the_path(policies: &str) -> String {
    also(policies, "context.http.path != context.http.host")
}

/// `policies`, each of which now asks too for a chain that is known from the suite's origin over two proxies.
pub fn reading_the_chain(policies: &str) -> String {
    let origin = format!(r#"context has origin && context.origin == Workload::"spiffe://{TRUST_DOMAIN}{ORIGIN}""#);
    also(policies, &format!("context.hops.complete && context.hops.count == 3 && {origin}"))
}

/// Envoy's own RBAC filter with `count` policies, each with method, path and caller in the order in which Istio writes
/// them. Envoy tries policies by name, so the one that matches comes last.
pub fn rbac(count: usize) -> Value {
    let policies = rules(count).enumerate().map(|(index, Rule { caller, prefix })| {
        let get = json!({ "header": { "name": ":method", "string_match": { "exact": "GET" } } });
        let path = json!({ "url_path": { "path": { "prefix": prefix } } });
        let policy = json!({
            "permissions": [{ "and_rules": { "rules": [get, path] } }],
            "principals": [{ "authenticated": { "principal_name": { "exact": caller } } }],
        });
        (format!("policy-{index:06}"), policy)
    });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": policies.collect::<serde_json::Map<_, _>>() },
        },
    })
}

fn also(policies: &str, condition: &str) -> String {
    policies.replace(" };", &format!(" && {condition} }};"))
}

/// One caller and where it may go.
struct Rule {
    caller: String,
    prefix: String,
}

/// `count` rules, the last of which is about the suite itself.
fn rules(count: usize) -> impl Iterator<Item = Rule> {
    let other = |index| Rule { caller: format!("spiffe://{TRUST_DOMAIN}/other-{index}"), prefix: format!("/o{index}") };
    let ours = Rule { caller: format!("spiffe://{TRUST_DOMAIN}{CLIENT}"), prefix: PREFIX.to_owned() };
    (1..count).map(other).chain([ours])
}

/// The trust domain of everybody in the suite.
pub const TRUST_DOMAIN: &str = "bench.test";
/// The path of the generator's SPIFFE ID.
pub const CLIENT: &str = "/client";
/// The path of the SPIFFE ID of the proxy before the generator.
pub const EDGE: &str = "/edge";
/// The path of the SPIFFE ID of the workload that a chain began at.
pub const ORIGIN: &str = "/origin";
/// The host that is asked for, and the name of the service.
pub const SERVICE: &str = "bench";
/// The start of every allowed path.
pub const PREFIX: &str = "/x";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_policies_as_asked_and_the_last_is_about_the_client() {
        for count in [1, 100, 1_000] {
            let text = cedar(count);
            assert_eq!(text.lines().count(), count);
            assert_eq!(text.matches("spiffe://bench.test/client\"").count(), 1);
            assert!(text.lines().last().unwrap().contains("spiffe://bench.test/client\""));

            let rbac = rbac(count);
            let policies = rbac["typed_config"]["rules"]["policies"].as_object().unwrap();
            assert_eq!(policies.len(), count);
            let last = policies.keys().max().unwrap();
            assert!(policies[last].to_string().contains("spiffe://bench.test/client\""));
        }
    }

    #[test]
    fn a_path_that_is_compared_with_another_fact_is_read_whole() {
        let text = reading_the_path(&cedar(1));
        assert!(text.contains(r#"like "/x*" && context.http.path != context.http.host };"#), "{text}");
    }

    #[test]
    fn a_chain_is_asked_for_in_whole_in_every_policy() {
        let text = reading_the_chain(&reading_the_path(&cedar(2)));
        let expected = concat!(
            " && context.http.path != context.http.host && context.hops.complete && context.hops.count == 3",
            r#" && context has origin && context.origin == Workload::"spiffe://bench.test/origin" };"#
        );
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.ends_with(expected)), "{text}");
    }

    #[test]
    fn the_policy_that_matches_reads_as_designed() {
        let expected = concat!(
            r#"permit(principal == Workload::"spiffe://bench.test/client", action == Action::"GET", "#,
            r#"resource == Service::"bench") when { context.http.path like "/x*" };"#
        );
        assert_eq!(cedar(1).trim_end(), expected);
    }
}
