//! Entities that policies name and that are nowhere: most often a name that was misspelt. It refuses nothing.

use std::collections::HashSet;

use cedar_policy::{EntityUid, Schema};

use crate::{
    policy::{directory::Directory, problem::Problem, source::Source, statement::Statement, vocabulary::Vocabulary},
    spelling::meant,
};

/// Types whose entities are there without standing in any file: by a SPIFFE ID, an address, or another sidecar's configuration.
const BY_THEMSELVES: [&str; 6] = ["Service", "TrustDomain", "Unverified", "Workload", "WorkloadPath", "Action"];

/// A warning for each policy and each entity that it names although nothing is known of it, so that nobody is in it.
pub(super) fn warnings(
    statements: &[Statement<'_>],
    file: Option<&Source>,
    vocabulary: &Vocabulary,
    directory: &Directory,
) -> Vec<Problem> {
    let asked_about = asked_about(&vocabulary.schema);
    let known = directory.named();
    let mut warnings = Vec::new();
    for statement in statements {
        let literals: HashSet<EntityUid> = statement.policy.entity_literals().into_iter().collect();
        let mut missing: Vec<&EntityUid> = literals
            .iter()
            .filter(|uid| !asked_about.contains(&uid.type_name().to_string()) && !known.contains(*uid))
            .collect();
        missing.sort_by_cached_key(ToString::to_string);
        warnings.extend(missing.into_iter().map(|uid| warning(uid, &known, statement, file)));
    }
    warnings
}

/// Types of which requests bring entities along, whatever stands in the file.
fn asked_about(schema: &Schema) -> HashSet<String> {
    let asked = schema.principals().chain(schema.resources()).map(ToString::to_string);
    asked.chain(BY_THEMSELVES.map(str::to_owned)).collect()
}

fn warning(uid: &EntityUid, known: &HashSet<EntityUid>, statement: &Statement<'_>, file: Option<&Source>) -> Problem {
    let lacks = match file {
        Some(file) => format!("is not in {}", file.name),
        None => "is nowhere, as there is no entities file".to_owned(),
    };
    let alike = known.iter().filter(|other| other.type_name() == uid.type_name()).map(|other| other.id().unescaped());
    let remedy = match meant(uid.id().unescaped(), alike) {
        Some(name) => format!("did you mean {}::{name:?}?", uid.type_name()),
        None => "check its name, or list it there".to_owned(),
    };
    let here = statement.source.text.get(statement.offset..).and_then(|text| text.find(&uid.to_string()));
    let message = format!("{uid} {lacks}, so nothing is in it; {remedy}");
    Problem::at(statement.source, statement.offset + here.unwrap_or(0), message)
}
