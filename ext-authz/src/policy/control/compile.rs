//! From the text of control policies to a set that can be asked, or to everything that is wrong with it; pure.

use std::sync::Arc;

use cedar_policy::{Entities, PolicySet, Schema};

use super::{
    CONTROL_DEFAULT, CONTROL_SCHEMA, ControlPolicies,
    entities::{self, Uids},
};
use crate::policy::{
    compile::{anywhere, check_depth, check_spiffe_literals, on_a_deep_stack, validate_against},
    problem::{InvalidPolicies, Problem, Unexpected},
    source::Source,
    statement::{self, Statement},
};

/// Compiles control policies for the sidecar of `service`.
///
/// # Errors
/// Everything that is wrong, each with its place: syntax, names, types against the schema, an empty set.
pub fn compile(sources: &[Source], service: &str) -> Result<ControlPolicies, InvalidPolicies> {
    on_a_deep_stack(|| compile_here(sources, service))
}

/// The policies in force where the configuration names none.
///
/// # Errors
/// Never, which a test shows.
pub fn default_policies(service: &str) -> Result<ControlPolicies, InvalidPolicies> {
    compile(&[Source { name: "built-in control policy".into(), text: CONTROL_DEFAULT.into() }], service)
}

fn compile_here(sources: &[Source], service: &str) -> Result<ControlPolicies, InvalidPolicies> {
    let mut problems = Vec::new();
    let statements = statement::parse_all(sources, &mut problems);
    if statements.is_empty() && problems.is_empty() {
        let message = "there is no policy here, which would deny everything to everybody, also the mending of it; \
                       `countersign policy control` prints what holds without any";
        problems.extend(sources.iter().map(|source| Problem::whole(source, message)));
        problems.extend(sources.is_empty().then(|| anywhere(message.to_owned())));
    }
    check_depth(&statements, &mut problems);
    check_spiffe_literals(&statements, &mut problems);
    check_literals(&statements, &mut problems);
    let compiled = assemble(&statements, service, &mut problems);
    match compiled {
        Ok(compiled) if problems.is_empty() => Ok(compiled),
        compiled => {
            problems.extend(compiled.err().map(|error| anywhere(error.to_string())));
            problems.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
            Err(InvalidPolicies { problems })
        }
    }
}

/// What can't be anybody's or anything's name would match nothing: a `forbid` that says so is an open door.
fn check_literals(statements: &[Statement<'_>], problems: &mut Vec<Problem>) {
    for statement in statements {
        for uid in statement.policy.entity_literals() {
            if let Err(why) = entities::check_name(&uid) {
                problems.push(Problem::at(statement.source, statement.offset, format!("{uid} can never match: {why}")));
            }
        }
    }
}

fn assemble(
    statements: &[Statement<'_>],
    service: &str,
    problems: &mut Vec<Problem>,
) -> Result<ControlPolicies, Unexpected> {
    let (schema, _) = Schema::from_cedarschema_str(CONTROL_SCHEMA).map_err(Unexpected::of)?;
    let warnings = validate_against(&schema, &statements.iter().collect::<Vec<_>>(), problems);
    let policies = PolicySet::from_policies(statements.iter().map(|statement| statement.policy.clone()));
    let actions = schema.action_entities().map_err(Unexpected::of)?;
    let name = |(position, statement): (usize, &Statement<'_>)| {
        (statement.policy.id().clone(), (position, Arc::clone(&statement.name)))
    };
    Ok(ControlPolicies {
        policies: policies.map_err(Unexpected::of)?,
        names: statements.iter().enumerate().map(name).collect(),
        actions: Entities::from_entities(actions, None).map_err(Unexpected::of)?,
        uids: Uids::new(service)?,
        warnings,
    })
}
