//! The schema in as many forms as policies can reach: what a policy can never meet is not held against it. It judges none.

use cedar_policy::Schema;
use serde_json::Value;

use super::{CONNECTION, UNVERIFIED};
use crate::policy::problem::with_causes;

/// What a policy can be asked about besides HTTP requests of verified workloads.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct Reach {
    /// Callers that proved nothing.
    pub unverified: bool,
    /// Connections.
    pub connections: bool,
}

/// A schema for each [`Reach`].
pub(in crate::policy) struct Schemas([(Reach, Schema); 4]);

impl Schemas {
    /// From the whole schema in its JSON form; or Cedar's words for what is wrong.
    pub fn of(json: &Value) -> Result<Self, String> {
        let form = |unverified, connections| {
            let reach = Reach { unverified, connections };
            narrowed(json.clone(), reach).map(|schema| (reach, schema))
        };
        Ok(Self([form(false, false)?, form(false, true)?, form(true, false)?, form(true, true)?]))
    }

    /// Each form.
    pub fn iter(&self) -> impl Iterator<Item = (Reach, &Schema)> {
        self.0.iter().map(|(reach, schema)| (*reach, schema))
    }
}

fn narrowed(mut json: Value, reach: Reach) -> Result<Schema, String> {
    let namespaces = json.as_object_mut().into_iter().flat_map(|namespaces| namespaces.values_mut());
    let actions = namespaces.filter_map(|namespace| namespace.get_mut("actions")?.as_object_mut());
    for (name, action) in actions.flatten() {
        if !reach.unverified {
            remove_unverified(action);
        }
        if !reach.connections && name == CONNECTION {
            action.as_object_mut().map(|action| action.remove("appliesTo"));
        }
    }
    Schema::from_json_value(json).map_err(|error| with_causes(&error))
}

fn remove_unverified(action: &mut Value) {
    let principals = action.pointer_mut("/appliesTo/principalTypes").and_then(Value::as_array_mut);
    if let Some(types) = principals {
        types.retain(|name| name.as_str() != Some(UNVERIFIED));
    }
}
