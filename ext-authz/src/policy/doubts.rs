//! What is written in policies as Cedar allows it, but can hardly be meant: names that nobody has, patterns that are none. Doubts are
//! warnings; nothing is refused for them.

use std::collections::HashSet;

use cedar_policy::{
    EntityUid,
    pst::{BinaryOp, Clause, Expr, Literal, PatternElem},
};

use super::{
    directory::Directory,
    lifetime::{parts, path},
    problem::Problem,
    shape::Shape,
    statement::{Conditions, Statement},
    vocabulary::Vocabulary,
};
use crate::spelling::meant;

/// What is doubtful in these policies.
pub(super) fn find(statements: &[Statement<'_>], vocabulary: &Vocabulary, directory: &Directory) -> Vec<Problem> {
    let known = directory.named();
    let shapes: Vec<&Shape> = vocabulary.methods.values().map(|method| method.context.as_ref()).collect();
    let mut doubts = Vec::new();
    for statement in statements {
        doubts.extend(names(statement, directory.service(), &known));
        if let Conditions::Known(policy) = &statement.conditions {
            for clause in policy.body().clauses() {
                let (Clause::When(condition) | Clause::Unless(condition)) = clause;
                let mut open: Vec<&Expr> = vec![condition];
                while let Some(expression) = open.pop() {
                    let doubt =
                        pattern(expression).or_else(|| method(expression)).or_else(|| absent(expression, &shapes));
                    doubts.extend(doubt.map(|(word, message)| mention(statement, &word, message)));
                    parts(expression, &mut open);
                }
            }
        }
    }
    doubts
}

/// A service that nobody knows and that is nearly ours.
fn names(statement: &Statement<'_>, service: &EntityUid, known: &HashSet<EntityUid>) -> Vec<Problem> {
    let literals = statement.policy.entity_literals();
    let others = literals.iter().filter(|uid| uid.type_name() == service.type_name() && !known.contains(*uid));
    let near = others.filter(|uid| meant(uid.id().unescaped(), [service.id().unescaped()]).is_some());
    let doubt = |uid: &EntityUid| format!("{uid} is not this service; did you mean {service}?");
    near.map(|uid| mention(statement, uid.id().unescaped(), doubt(uid))).collect()
}

/// A `*` where it is a star, and signs of other languages where they are none.
fn pattern(expression: &Expr) -> Option<(String, String)> {
    match expression {
        Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } => {
            let text = text(right).or_else(|| text(left)).filter(|text| text.contains('*'))?;
            let message =
                format!("{text:?} is compared as it stands, with its *; write `like` in place of == for a pattern");
            Some((text.to_owned(), message))
        }
        Expr::Like { pattern, .. } => {
            let written: String = pattern.iter().map(sign).collect();
            let regular = written.starts_with('^') || written.contains(".*");
            let message =
                format!("{written:?} is no regular expression: only * means something, any text; write \"/orders/*\"");
            regular.then(|| (written.clone(), message))
        }
        _ => None,
    }
}

fn sign(element: &PatternElem) -> char {
    match element {
        PatternElem::Char(character) => *character,
        PatternElem::Wildcard => '*',
    }
}

/// Methods are told apart by case, and written in capitals.
fn method(expression: &Expr) -> Option<(String, String)> {
    let Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } = expression else { return None };
    let is_method = |side: &Expr| side.to_string() == "context.http.method";
    let name = if is_method(left) { text(right) } else { text(left).filter(|_| is_method(right)) }?;
    let small = name.bytes().any(|byte| byte.is_ascii_lowercase());
    let message = format!("no method is called {name:?}; write {:?}", name.to_ascii_uppercase());
    small.then(|| (name.to_owned(), message))
}

/// `has` for what the schema does not let any request have.
fn absent(expression: &Expr, shapes: &[&Shape]) -> Option<(String, String)> {
    let Expr::HasAttr { expr, attrs } = expression else { return None };
    let (root, mut path) = path(expr);
    if root.to_string() != "context" {
        return None;
    }
    let parent = path.clone();
    path.extend(attrs.iter().map(|attribute| -> &str { attribute.as_ref() }));
    if shapes.iter().any(|shape| shape.part(&path).is_some())
        || !shapes.iter().any(|shape| shape.part(&parent).is_some())
    {
        return None;
    }
    let name = path.last().copied().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let message = match path.as_slice() {
        ["http", "headers", _] if lower != name => {
            format!("header {name:?} is never there: names of headers are in lower case; write {lower:?}")
        }
        ["http", "headers", _] => format!(
            "header {name:?} is never there: the schema does not declare it; do so in a file of policy.schema_extensions: type Headers = \
             {{ {name:?}?: String }};"
        ),
        ["http", "query_parameters", _] => format!(
            "query parameter {name:?} is never there: the schema does not declare it; do so in a file of policy.schema_extensions: type \
             QueryParameters = {{ {name:?}?: String }};"
        ),
        _ => format!(
            "context.{} is never there: the schema does not declare it; `countersign policy schema` prints what there is",
            path.join(".")
        ),
    };
    let asked: Vec<&str> = attrs.iter().map(|attribute| -> &str { attribute.as_ref() }).collect();
    Some((asked.join("."), message))
}

fn text(expression: &Expr) -> Option<&str> {
    if let Expr::Literal(Literal::String(text)) = expression { Some(text) } else { None }
}

/// A problem at the first mention of `word` in a policy, or of the policy as a whole.
fn mention(statement: &Statement<'_>, word: &str, message: String) -> Problem {
    let rest = statement.source.text.get(statement.offset..).unwrap_or_default();
    let at = rest.find(&format!("\"{word}\"")).or_else(|| rest.find(word)).unwrap_or(0);
    Problem::at(statement.source, statement.offset + at, message)
}
