//! From sources to compiled policies, or to everything that is wrong with them; pure.

use std::{collections::HashMap, sync::Arc};

use authz_core::plan::{Plan, Read};
use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, PolicySet, ValidationMode, Validator};

use super::{
    compiled::{CompiledPolicies, Limits, Method, Name, Size, callers::Callers, error_log::ErrorLog},
    directory::{Directory, check_spiffe},
    index::{Builder, Index},
    problem::{InvalidPolicies, Problem, Unexpected, with_causes},
    reads::Reads,
    scope::{Scope, Target},
    shape::Shape,
    source::{Source, Sources},
    statement::{self, Statement},
    vocabulary::{BUILT_IN_SCHEMA, Vocabulary},
};

/// Compiles a policy set.
///
/// # Errors
/// Everything that is wrong, each with its place: syntax, names, types against the schema, entities, an empty set.
pub fn compile(sources: &Sources) -> Result<CompiledPolicies, InvalidPolicies> {
    let mut problems = Vec::new();
    let schema = sources.schema.clone().unwrap_or_else(built_in);
    let statements = statement::parse_all(&sources.policies, &mut problems);
    check_not_empty(sources, &statements, &mut problems);
    let vocabulary = Vocabulary::parse(&schema, &mut problems);
    let parts = vocabulary.and_then(|vocabulary| {
        let warnings = validate(&vocabulary, &statements, &mut problems);
        let (entities, service) = (sources.entities.as_ref(), &sources.service);
        let directory = Directory::parse(entities, &schema, service, &vocabulary, &mut problems)?;
        Some((vocabulary, directory, warnings))
    });
    match parts {
        Some((vocabulary, directory, warnings)) if problems.is_empty() => {
            assemble(sources, &schema, &statements, vocabulary, directory, warnings)
                .map_err(|error| InvalidPolicies { problems: vec![Problem::whole(&schema, error.to_string())] })
        }
        _ => Err(InvalidPolicies { problems }),
    }
}

/// What the policies that can match here come to.
#[derive(Default)]
struct Applicable {
    index: Index,
    reads: Reads,
    count: usize,
}

fn built_in() -> Source {
    Source { name: "built-in schema".into(), text: BUILT_IN_SCHEMA.into() }
}

fn check_not_empty(sources: &Sources, statements: &[Statement<'_>], problems: &mut Vec<Problem>) {
    if statements.is_empty() && problems.is_empty() {
        let message = "there is no policy here, which would deny everything; to mean that, write `forbid(principal, action, resource);`";
        match sources.policies.as_slice() {
            [] => problems.push(Problem { file: "policies".into(), at: None, message: message.into() }),
            some => problems.extend(some.iter().map(|source| Problem::whole(source, message))),
        }
    }
}

/// Strict validation; returns warnings.
fn validate(vocabulary: &Vocabulary, statements: &[Statement<'_>], problems: &mut Vec<Problem>) -> Vec<Problem> {
    let policies = match PolicySet::from_policies(statements.iter().map(|statement| statement.policy.clone())) {
        Ok(policies) => policies,
        Err(error) => {
            problems.push(Problem { file: "policies".into(), at: None, message: with_causes(&error) });
            return Vec::new();
        }
    };
    let by_name: HashMap<&str, &Statement<'_>> = statements.iter().map(|s| (s.name.as_ref(), s)).collect();
    let place = |id: &cedar_policy::PolicyId, diagnostic: &dyn miette::Diagnostic| {
        by_name.get(AsRef::<str>::as_ref(id)).map(|s| Problem::diagnosed(s.source, s.offset, diagnostic))
    };
    let result = Validator::new(vocabulary.schema.clone()).validate(&policies, ValidationMode::Strict);
    let before = problems.len();
    problems.extend(result.validation_errors().filter_map(|error| place(error.policy_id(), error)));
    if problems.len() == before && !result.validation_passed() {
        problems.push(Problem { file: "policies".into(), at: None, message: result.to_string() });
    }
    for statement in statements {
        for message in statement.policy.entity_literals().iter().filter_map(|uid| check_spiffe(uid).err()) {
            problems.push(Problem::at(statement.source, statement.offset, message));
        }
    }
    let order = |problem: &Problem| (problem.file.clone(), problem.at);
    if let Some(new) = problems.get_mut(before..) {
        new.sort_by_key(order);
    }
    let mut warnings: Vec<Problem> =
        result.validation_warnings().filter_map(|warning| place(warning.policy_id(), warning)).collect();
    warnings.sort_by_key(order);
    warnings
}

fn assemble(
    sources: &Sources,
    schema: &Source,
    statements: &[Statement<'_>],
    vocabulary: Vocabulary,
    directory: Directory,
    mut warnings: Vec<Problem>,
) -> Result<CompiledPolicies, Unexpected> {
    let Applicable { index, reads, count } = applicable(statements, &vocabulary, &directory)?;
    if count == 0 {
        warnings.push(unserved(sources));
    }
    let plan = Plan::new(sources.digest(&schema.text), reads.facts.iter().cloned());
    let common = common(&directory, &reads)?;
    Ok(CompiledPolicies {
        methods: methods(&vocabulary, plan.reads()),
        service: directory.service().clone(),
        callers: Callers::new(directory, vocabulary.types, index, common),
        names: names(statements),
        size: Size { all: statements.len(), applicable: count },
        limits: Limits { allow: sources.limit_millis, deny: sources.deny_limit_millis },
        errors: ErrorLog::default(),
        plan,
        warnings,
    })
}

fn applicable(
    statements: &[Statement<'_>],
    vocabulary: &Vocabulary,
    directory: &Directory,
) -> Result<Applicable, Unexpected> {
    let service = directory.service().clone();
    let target = Target { vocabulary, service_groups: directory.groups(&service), service };
    let shapes: Vec<&Shape> = vocabulary.methods.values().map(|method| method.context.as_ref()).collect();
    let mut found = Applicable::default();
    let mut builder = Builder::default();
    for statement in statements {
        let Some(scope) = Scope::of(&statement.policy, &target) else { continue };
        match statement.policy.to_pst() {
            Ok(policy) => found.reads.add(&policy, &shapes),
            Err(_) => found.reads.everything(&shapes),
        }
        builder.add(&statement.policy, scope)?;
        found.count += 1;
    }
    Ok(Applicable { index: builder.build(), ..found })
}

fn common(directory: &Directory, reads: &Reads) -> Result<Entities, Unexpected> {
    if reads.opaque {
        return Ok(directory.all().clone());
    }
    let named = reads.entities.iter().filter_map(|(name, id)| {
        let name: EntityTypeName = name.parse().ok()?;
        Some(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
    });
    directory.common(named)
}

fn methods(vocabulary: &Vocabulary, reads: &[Read]) -> HashMap<Box<str>, Method> {
    let method = |method: &super::vocabulary::Method| Method {
        action: method.action.clone(),
        context: method.context.only(reads),
    };
    vocabulary.methods.iter().map(|(name, known)| (name.clone(), method(known))).collect()
}

fn names(statements: &[Statement<'_>]) -> HashMap<cedar_policy::PolicyId, Name> {
    let name = |(position, statement): (usize, &Statement<'_>)| {
        (statement.policy.id().clone(), Name { position, text: Arc::clone(&statement.name) })
    };
    statements.iter().enumerate().map(name).collect()
}

fn unserved(sources: &Sources) -> Problem {
    let message = format!(
        "no policy can match a request to Service::{:?}, so everything is denied; check the name of the service",
        sources.service
    );
    Problem { file: "policies".into(), at: None, message }
}
