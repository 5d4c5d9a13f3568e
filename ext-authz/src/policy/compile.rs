//! From sources to compiled policies, or to everything that is wrong with them; pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    thread,
};

use authz_core::plan::{Plan, Read, Rules};
use cedar_policy::{
    Effect, Entities, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};

use super::{
    compiled::{
        CompiledPolicies, Limits, Name, Size,
        callers::{Callers, Indexes},
        error_log::ErrorLog,
    },
    directory::{Directory, check_spiffe},
    index::{Builder, Index},
    lifetime::{Lifetimes, Mention, OtherUse, TimeUses, time_uses},
    operations::{Circumstances, OperationMap},
    problem::{InvalidPolicies, Problem, Unexpected, with_causes},
    reads::Reads,
    scope::{Scope, Target, reach},
    shape::Shape,
    source::{Source, Sources},
    statement::{self, Conditions, Statement},
    vocabulary::{BUILT_IN_SCHEMA, Kind, Map, Place, Reach, Routes, Vocabulary},
};

/// Compiles a policy set.
///
/// # Errors
/// Everything that is wrong, each with its place: syntax, names, types against the schema, entities, an empty set.
pub fn compile(sources: &Sources) -> Result<CompiledPolicies, InvalidPolicies> {
    on_a_deep_stack(|| compile_here(sources))
}

/// Runs a compiler where policies nested as deep as may be fit.
pub(super) fn on_a_deep_stack<T: Send>(
    compile: impl FnOnce() -> Result<T, InvalidPolicies> + Send,
) -> Result<T, InvalidPolicies> {
    let compiled = thread::scope(|scope| {
        let compiling = thread::Builder::new().name("policy-compile".into()).stack_size(STACK);
        let compiling = compiling.spawn_scoped(scope, compile).map_err(|error| error.to_string())?;
        compiling.join().map_err(|_| "the compiler failed, which is a bug of ours".to_owned())
    });
    compiled.unwrap_or_else(|message| Err(InvalidPolicies { problems: vec![anywhere(message)] }))
}

/// Cedar parses, checks and drops policies by recursion; with less, a deep one would end the process.
/// Measured for `statement::MAX_OPERATORS` of each kind. Only what is used takes memory.
const STACK: usize = 256 * 1024 * 1024;

/// Deepest condition, in nested expressions. A request thread (2 MiB of stack) evaluates twice as many even without optimisation.
const MAX_DEPTH: usize = 200;

fn compile_here(sources: &Sources) -> Result<CompiledPolicies, InvalidPolicies> {
    let mut problems = Vec::new();
    let schema = sources.schema.clone().unwrap_or_else(built_in);
    let statements = statement::parse_all(&sources.policies, &mut problems);
    check_not_empty(sources, &statements, &mut problems);
    check_depth(&statements, &mut problems);
    let (map, mut warnings) = operation_map(sources, &mut problems);
    let named = || statements.iter().flat_map(|statement| statement.policy.entity_literals()).collect();
    let map = sources.operations.as_ref().zip(map.as_ref()).map(|(source, says)| Map { source, says, named: named() });
    let vocabulary = Vocabulary::parse(&schema, map.as_ref(), &mut problems);
    let parts = vocabulary.and_then(|vocabulary| {
        warnings.extend(validate(&vocabulary, &statements, &mut problems));
        let (entities, service) = (sources.entities.as_ref(), &sources.service);
        let directory = Directory::parse(entities, &schema, service, &vocabulary, &mut problems)?;
        Some((vocabulary, directory, warnings))
    });
    match parts {
        Some((vocabulary, directory, warnings)) if problems.is_empty() => {
            assemble(sources, &schema, &statements, vocabulary, directory, warnings)
                .map_err(|error| InvalidPolicies { problems: vec![Problem::whole(&schema, error.to_string())] })
        }
        _ => {
            problems.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
            Err(InvalidPolicies { problems })
        }
    }
}

/// The map, if there is one and nothing is wrong with it, and warnings.
fn operation_map(sources: &Sources, problems: &mut Vec<Problem>) -> (Option<OperationMap>, Vec<Problem>) {
    let mut warnings = Vec::new();
    let circumstances = Circumstances { refuse_path_parameters: sources.refuse_path_parameters };
    let source = sources.operations.as_ref();
    let map = source.and_then(|source| OperationMap::parse(source, circumstances, problems, &mut warnings));
    (map, warnings)
}

/// What the policies that can match here come to.
#[derive(Default)]
struct Applicable {
    index: Index,
    strangers: Index,
    judge_unverified: bool,
    reads: Reads,
    times: Vec<(PolicyId, TimeUses)>,
    warnings: Vec<Problem>,
    count: usize,
}

fn built_in() -> Source {
    Source { name: "built-in schema".into(), text: BUILT_IN_SCHEMA.into() }
}

fn check_not_empty(sources: &Sources, statements: &[Statement<'_>], problems: &mut Vec<Problem>) {
    if statements.is_empty() && problems.is_empty() {
        let message = "there is no policy here, which would deny everything; to mean that, write `forbid(principal, action, resource);`";
        match sources.policies.as_slice() {
            [] => problems.push(anywhere(message.to_owned())),
            some => problems.extend(some.iter().map(|source| Problem::whole(source, message))),
        }
    }
}

pub(super) fn check_depth(statements: &[Statement<'_>], problems: &mut Vec<Problem>) {
    for statement in statements {
        let mut reads = Reads::default();
        if let Conditions::Known(policy) = &statement.conditions {
            reads.add(policy, &[]);
        }
        if reads.depth > MAX_DEPTH {
            let message = format!(
                "condition is nested {} deep, more than the {MAX_DEPTH} that are evaluated; use several policies, or sets",
                reads.depth
            );
            problems.push(Problem::at(statement.source, statement.offset, message));
        }
    }
}

/// A problem of the set as a whole.
pub(super) fn anywhere(message: String) -> Problem {
    Problem { file: "policies".into(), at: None, message }
}

/// Strict validation; returns warnings.
fn validate(vocabulary: &Vocabulary, statements: &[Statement<'_>], problems: &mut Vec<Problem>) -> Vec<Problem> {
    let reached = what_permits_reach(statements, vocabulary);
    let mut warnings = Vec::new();
    for (form, schema) in vocabulary.schemas.iter() {
        let of_form = |statement: &&Statement<'_>| {
            let reach = reach(&statement.policy, &vocabulary.types);
            // What nobody is permitted, no `forbid` needs to be able to judge.
            let unverified = reach.unverified && reached.unverified;
            form == Reach { unverified, connections: reach.connections && reached.connections }
        };
        let statements: Vec<_> = statements.iter().filter(of_form).collect();
        warnings.extend(validate_against(schema, &statements, problems));
    }
    check_spiffe_literals(statements, problems);
    once(warnings)
}

/// A name of a workload that no workload can have would match nobody, which its writer can't mean.
pub(super) fn check_spiffe_literals(statements: &[Statement<'_>], problems: &mut Vec<Problem>) {
    for statement in statements {
        for message in statement.policy.entity_literals().iter().filter_map(|uid| check_spiffe(uid).err()) {
            problems.push(Problem::at(statement.source, statement.offset, message));
        }
    }
}

fn what_permits_reach(statements: &[Statement<'_>], vocabulary: &Vocabulary) -> Reach {
    let permits = statements.iter().filter(|statement| statement.policy.effect() == Effect::Permit);
    let reaches: Vec<Reach> = permits.map(|statement| reach(&statement.policy, &vocabulary.types)).collect();
    Reach {
        unverified: reaches.iter().any(|reach| reach.unverified),
        connections: reaches.iter().any(|reach| reach.connections),
    }
}

/// Every request it can match is evaluated, so whoever reads the log should know of it.
fn keeps_nothing(statement: &Statement<'_>, other_use: &OtherUse) -> Problem {
    let OtherUse { text, remedy } = other_use;
    let (name, text) = (&statement.name, shortened(text));
    let message = format!(
        "policy {name:?} keeps decisions from being reused, for no moment is known until which `{text}` leads to the same; {remedy}"
    );
    Problem::at(statement.source, statement.offset, message)
}

fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Wanted or not, whoever reads the log should know of it.
fn admits_strangers(statement: &Statement<'_>, vocabulary: &Vocabulary) -> Option<Problem> {
    let permits = statement.policy.effect() == Effect::Permit && reach(&statement.policy, &vocabulary.types).unverified;
    let message =
        format!("policy {:?} lets in callers that prove nothing; each use is in the audit trail", statement.name);
    permits.then(|| Problem::at(statement.source, statement.offset, message))
}

pub(super) fn validate_against(
    schema: &Schema,
    statements: &[&Statement<'_>],
    problems: &mut Vec<Problem>,
) -> Vec<Problem> {
    let policies = match PolicySet::from_policies(statements.iter().map(|statement| statement.policy.clone())) {
        Ok(policies) => policies,
        Err(error) => {
            problems.push(anywhere(with_causes(&error)));
            return Vec::new();
        }
    };
    let by_name: HashMap<&str, &Statement<'_>> = statements.iter().map(|s| (s.name.as_ref(), *s)).collect();
    let place = |id: &cedar_policy::PolicyId, diagnostic: &dyn miette::Diagnostic| {
        by_name.get(AsRef::<str>::as_ref(id)).map(|s| Problem::diagnosed(s.source, s.offset, diagnostic))
    };
    let result = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
    let errors = once(result.validation_errors().filter_map(|error| place(error.policy_id(), error)).collect());
    if errors.is_empty() && !result.validation_passed() {
        problems.push(anywhere(result.to_string()));
    }
    problems.extend(errors);
    result.validation_warnings().filter_map(|warning| place(warning.policy_id(), warning)).collect()
}

/// Each mistake once, where Cedar tells it for every action it happens with.
fn once(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (&a.file, a.at, &a.message).cmp(&(&b.file, b.at, &b.message)));
    let mut kept: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems {
        let general = without_action(&problem.message);
        match kept.last_mut() {
            Some(last)
                if (&last.file, last.at) == (&problem.file, problem.at) && without_action(&last.message) == general =>
            {
                last.message = general;
            }
            _ => kept.push(problem),
        }
    }
    kept
}

fn without_action(message: &str) -> String {
    const MENTION: &str = " for Action::\"";
    let Some((start, rest)) = message.split_once(MENTION) else { return message.to_owned() };
    rest.split_once('"').map_or_else(|| message.to_owned(), |(_, end)| format!("{start}{end}"))
}

fn assemble(
    sources: &Sources,
    schema: &Source,
    statements: &[Statement<'_>],
    vocabulary: Vocabulary,
    directory: Directory,
    mut warnings: Vec<Problem>,
) -> Result<CompiledPolicies, Unexpected> {
    let Applicable { index, strangers, judge_unverified, reads, times, warnings: unbounded, count } =
        applicable(statements, &vocabulary, &directory)?;
    if count == 0 {
        warnings.push(unserved(sources));
    }
    warnings.extend(statements.iter().filter_map(|statement| admits_strangers(statement, &vocabulary)));
    warnings.extend(unbounded);
    let rules = Rules { judge_unverified, refuse_path_parameters: sources.refuse_path_parameters };
    let lifetimes = Lifetimes::new(sources.time_zone.clone(), times);
    let read = reads.facts.iter().map(|(read, _)| read.clone());
    let plan = Plan::new(sources.digest(&schema.text), read, rules);
    let plan = match &vocabulary.routes {
        Routes::Methods(_) => plan,
        Routes::Operations(routes) => plan.with_operations(Arc::clone(&routes.operations)),
    };
    let common = common(&directory, &reads)?;
    let kinds = kinds(&vocabulary, plan.reads(), lifetimes.mentions());
    let indexes = Indexes { workloads: index, strangers };
    Ok(CompiledPolicies {
        service: directory.service().clone(),
        permits_connections: what_permits_reach(statements, &vocabulary).connections,
        reads_chain: plan.reads().iter().any(|read| matches!(read, Read::Hops | Read::Origin))
            || lifetimes.mentions().contains(&Mention::Chain),
        callers: Callers::new(directory, vocabulary.types, indexes, common, kinds.len()),
        kinds,
        routes: vocabulary.routes,
        names: names(statements),
        size: Size { all: statements.len(), applicable: count },
        limits: Limits { allow: sources.limit_millis, deny: sources.deny_limit_millis },
        errors: ErrorLog::default(),
        lifetimes,
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
    let service_groups = directory.groups(&service);
    let target = Target::new(vocabulary, service, service_groups);
    let shapes = shapes(vocabulary);
    let names_resources = vocabulary.kinds.iter().any(|kind| kind.resource.place != Place::Service);
    let has_time = shapes.iter().any(|shape| shape.has_time());
    let mut found = Applicable::default();
    let (mut workloads, mut strangers) = (Builder::default(), Builder::default());
    for statement in statements {
        let (scope, strange) =
            (Scope::of(&statement.policy, &target), Scope::of_unverified(&statement.policy, &target));
        if scope.is_none() && strange.is_none() {
            continue;
        }
        let mut reads = Reads::default();
        let times = match &statement.conditions {
            Conditions::Absent => TimeUses::default(),
            Conditions::Known(policy) => {
                reads.add(policy, &shapes);
                time_uses(policy, has_time)
            }
            Conditions::Opaque => {
                reads.everything(&shapes);
                TimeUses::unknown()
            }
        };
        reads.facts.add(&times.reads);
        if names_resources {
            reads.facts.add(&reads.resource);
        }
        found.reads.join(&reads);
        if [&scope, &strange].into_iter().flatten().any(Scope::tells_resources_apart) {
            found.reads.facts.presence(Read::Resource);
        }
        found.warnings.extend(times.other_use.iter().map(|other_use| keeps_nothing(statement, other_use)));
        found.times.push((statement.policy.id().clone(), times));
        found.judge_unverified |= strange.is_some() && statement.policy.effect() == Effect::Permit;
        scope.map_or(Ok(()), |scope| workloads.add(&statement.policy, &reads.facts, scope))?;
        strange.map_or(Ok(()), |scope| strangers.add(&statement.policy, &reads.facts, scope))?;
        found.count += 1;
    }
    Ok(Applicable { index: workloads.build(), strangers: strangers.build(), ..found })
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

/// What contexts can have, each once: many kinds have the same.
fn shapes(vocabulary: &Vocabulary) -> Vec<&Shape> {
    let mut seen = HashSet::new();
    let shapes = vocabulary.kinds.iter().map(|kind| &kind.context);
    shapes.filter(|shape| seen.insert(Arc::as_ptr(shape))).map(AsRef::as_ref).collect()
}

fn kinds(vocabulary: &Vocabulary, reads: &[Read], mentions: &BTreeSet<Mention>) -> Vec<Kind> {
    let mut narrowed: HashMap<*const Shape, Arc<Shape>> = HashMap::new();
    let kind = |kind: &Kind| {
        let narrow = || Arc::new(kind.context.only(reads, mentions));
        let context = narrowed.entry(Arc::as_ptr(&kind.context)).or_insert_with(narrow);
        Kind { context: Arc::clone(context), ..kind.clone() }
    };
    vocabulary.kinds.iter().map(kind).collect()
}

fn names(statements: &[Statement<'_>]) -> HashMap<cedar_policy::PolicyId, Name> {
    let name = |(position, statement): (usize, &Statement<'_>)| {
        (statement.policy.id().clone(), Name { position, text: Arc::clone(&statement.name) })
    };
    statements.iter().enumerate().map(name).collect()
}

fn unserved(sources: &Sources) -> Problem {
    anywhere(format!(
        "no policy can match a request to Service::{:?}, so everything is denied; check the name of the service",
        sources.service
    ))
}
