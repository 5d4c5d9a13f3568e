//! Whole policy sets against whole requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod context;
mod decisions;
mod differential;
mod mapped;
mod refusals;
mod request;
mod time;
mod watching;

use super::*;

/// The sources of a set with this policy text and the built-in schema, for the service `cart`.
fn sources(policies: &str) -> Sources {
    Sources {
        policies: vec![Source { name: "a.cedar".into(), text: policies.into() }],
        schema: None,
        entities: None,
        operations: None,
        service: "cart".into(),
        limit_millis: 60_000,
        deny_limit_millis: 5_000,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    }
}

fn with_entities(policies: &str, entities: &str) -> Sources {
    Sources { entities: Some(Source { name: "e.json".into(), text: entities.into() }), ..sources(policies) }
}

fn with_operations(policies: &str, schema: &str, entities: &str, operations: &str) -> Sources {
    let operations = Some(Source { name: "o.yaml".into(), text: operations.into() });
    let entities = with_entities(policies, entities).entities;
    Sources { entities, operations, ..with_schema(policies, &format!("{BUILT_IN_SCHEMA}{schema}")) }
}

fn with_schema(policies: &str, schema: &str) -> Sources {
    Sources { schema: Some(Source { name: "s.cedarschema".into(), text: schema.into() }), ..sources(policies) }
}
