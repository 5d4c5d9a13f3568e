//! A condition of a policy cut into the parts that `&&`, `||`, `!` and `if` join, each of which can be asked by itself; it knows no policy.

use std::{str::FromStr as _, sync::Arc};

use cedar_policy::{
    EvalResult, Expression, eval_expression,
    pst::{BinaryOp, Expr, Literal, UnaryOp, Var},
};

use super::Scene;

/// What must hold, as a tree.
#[derive(Clone, Debug)]
pub struct Condition {
    /// In Cedar's syntax.
    pub text: String,
    /// How it is made of others.
    pub parts: Parts,
}

/// What joins the parts of a condition.
#[derive(Clone, Debug)]
pub enum Parts {
    /// All must hold (`&&`), asked from the left until one does not.
    All(Vec<Condition>),
    /// One must hold (`||`), asked from the left until one does.
    Any(Vec<Condition>),
    /// The first says which of the others must hold (`if`).
    Choice(Box<[Condition; 3]>),
    /// Nothing: Cedar is asked.
    Leaf(Leaf),
    /// It must not hold (`!`).
    Not(Box<Condition>),
}

/// A condition without parts.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Nothing, if Cedar does not read back what it printed; such a one can't be asked.
    question: Option<Box<Expression>>,
    /// What it looks at.
    pub glances: Vec<Glance>,
    /// Whether it is `true` or `false`, whoever asks.
    pub is_constant: bool,
    /// Whether it is nothing but `has`.
    pub asks_presence: bool,
}

/// Something of a request that a condition looks at.
#[derive(Clone, Debug)]
pub struct Glance {
    /// The path to it, such as `context.http.path`.
    pub path: String,
    question: Option<Box<Expression>>,
}

/// What a condition came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Cedar could not tell, in its words.
    Failed(String),
    /// It does not hold.
    False,
    /// It holds.
    True,
    /// It was not asked, because something before it had decided.
    Unreached,
}

/// What a condition and its parts came to; of the same form as the condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Of the whole.
    pub outcome: Outcome,
    /// Of each part.
    pub parts: Vec<Answer>,
}

impl Condition {
    /// The condition that a syntax tree is.
    pub(super) fn of(expression: &Expr) -> Self {
        let parts = match expression {
            Expr::BinaryOp { op: BinaryOp::And, .. } => Parts::All(operands(expression, BinaryOp::And)),
            Expr::BinaryOp { op: BinaryOp::Or, .. } => Parts::Any(operands(expression, BinaryOp::Or)),
            Expr::UnaryOp { op: UnaryOp::Not, expr } => Parts::Not(Box::new(Self::of(expr))),
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                Parts::Choice(Box::new([Self::of(cond), Self::of(then_expr), Self::of(else_expr)]))
            }
            leaf => Parts::Leaf(Leaf::of(leaf)),
        };
        Self { text: expression.to_string(), parts }
    }

    /// A condition without parts in Cedar's syntax, about `glances`.
    pub(super) fn of_text(text: String, glances: &[&str]) -> Self {
        let glances = glances.iter().map(|path| Glance::of((*path).to_owned())).collect();
        let leaf = Leaf { question: expression(&text), glances, is_constant: false, asks_presence: false };
        Self { text, parts: Parts::Leaf(leaf) }
    }

    /// The conditions right below.
    pub fn below(&self) -> &[Condition] {
        match &self.parts {
            Parts::All(parts) | Parts::Any(parts) => parts,
            Parts::Choice(parts) => parts.as_slice(),
            Parts::Leaf(_) => &[],
            Parts::Not(part) => std::slice::from_ref(part),
        }
    }

    /// What it and its parts come to for one request. As in Cedar, nothing is asked that no longer matters.
    pub(super) fn ask(&self, scene: &Scene) -> Answer {
        match &self.parts {
            Parts::Leaf(leaf) => Answer { outcome: leaf.ask(scene), parts: Vec::new() },
            Parts::All(parts) => in_turn(parts, &Outcome::True, scene),
            Parts::Any(parts) => in_turn(parts, &Outcome::False, scene),
            Parts::Not(part) => {
                let answer = part.ask(scene);
                Answer { outcome: answer.outcome.opposite(), parts: vec![answer] }
            }
            Parts::Choice(parts) => {
                let [which, then, or_else] = parts.as_ref();
                let which = which.ask(scene);
                let (then, or_else) = match which.outcome {
                    Outcome::True => (then.ask(scene), or_else.unreached()),
                    Outcome::False => (then.unreached(), or_else.ask(scene)),
                    Outcome::Failed(_) | Outcome::Unreached => (then.unreached(), or_else.unreached()),
                };
                let outcome = match &which.outcome {
                    Outcome::True => then.outcome.clone(),
                    Outcome::False => or_else.outcome.clone(),
                    other => other.clone(),
                };
                Answer { outcome, parts: vec![which, then, or_else] }
            }
        }
    }

    /// The answer of one that is not asked.
    pub(super) fn unreached(&self) -> Answer {
        Answer { outcome: Outcome::Unreached, parts: self.below().iter().map(Self::unreached).collect() }
    }
}

/// Asks as long as the outcome is `going_on`, which it is if all are.
fn in_turn(parts: &[Condition], going_on: &Outcome, scene: &Scene) -> Answer {
    let mut outcome = going_on.clone();
    let mut answers = Vec::with_capacity(parts.len());
    for part in parts {
        if outcome == *going_on {
            let answer = part.ask(scene);
            outcome = answer.outcome.clone();
            answers.push(answer);
        } else {
            answers.push(part.unreached());
        }
    }
    Answer { outcome, parts: answers }
}

impl Outcome {
    /// What `!` makes of it.
    #[must_use]
    pub fn opposite(&self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other.clone(),
        }
    }
}

impl Leaf {
    fn of(expression: &Expr) -> Self {
        let mut paths = Vec::new();
        collect_paths(expression, &mut paths);
        Self {
            question: self::expression(&expression.to_string()),
            glances: paths.into_iter().map(Glance::of).collect(),
            is_constant: matches!(expression, Expr::Literal(Literal::Bool(_))),
            asks_presence: matches!(expression, Expr::HasAttr { .. }),
        }
    }

    fn ask(&self, scene: &Scene) -> Outcome {
        let Some(question) = &self.question else {
            return Outcome::Failed("it can only be asked as a part of the whole".to_owned());
        };
        match eval_expression(&scene.request, &scene.entities, question) {
            Ok(EvalResult::Bool(true)) => Outcome::True,
            Ok(EvalResult::Bool(false)) => Outcome::False,
            Ok(other) => Outcome::Failed(format!("{other} is neither true nor false")),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

impl Glance {
    pub(super) fn of(path: String) -> Self {
        Self { question: expression(&path), path }
    }

    /// What is there, in Cedar's syntax; nothing, if nothing is.
    pub(super) fn value(&self, scene: &Scene) -> Option<String> {
        let value = eval_expression(&scene.request, &scene.entities, self.question.as_deref()?).ok()?;
        Some(value.to_string())
    }
}

fn expression(text: &str) -> Option<Box<Expression>> {
    Expression::from_str(text).ok().map(Box::new)
}

/// What `op` joins, however it is bracketed: that makes no difference.
fn operands(expression: &Expr, op: BinaryOp) -> Vec<Condition> {
    let mut found = Vec::new();
    let mut open = vec![expression];
    while let Some(expression) = open.pop() {
        match expression {
            Expr::BinaryOp { op: this, left, right } if *this == op => open.extend([right.as_ref(), left.as_ref()]),
            operand => found.push(Condition::of(operand)),
        }
    }
    found
}

/// The longest paths from `principal`, `resource` or `context` on, each once, in the order of the text.
fn collect_paths(expression: &Expr, paths: &mut Vec<String>) {
    let mut open = vec![expression];
    while let Some(expression) = open.pop() {
        match expression {
            Expr::HasAttr { expr, attrs } if is_path(expr) => {
                let path = attrs.iter().fold(Arc::clone(expr), |expr, attribute| {
                    Arc::new(Expr::GetAttr { expr, attr: attribute.clone() })
                });
                add(path.to_string(), paths);
            }
            path if is_path(path) => add(path.to_string(), paths),
            other => open.extend(below(other).into_iter().rev()),
        }
    }
}

/// The expressions right below this one.
fn below(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => vec![expr],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Is { expr, in_expr, .. } => std::iter::once(expr).chain(in_expr).map(AsRef::as_ref).collect(),
        Expr::IfThenElse { cond, then_expr, else_expr } => vec![cond, then_expr, else_expr],
        Expr::Set(members) => members.iter().map(AsRef::as_ref).collect(),
        Expr::Record(members) => members.values().map(AsRef::as_ref).collect(),
        _ => vec![],
    }
}

fn add(path: String, paths: &mut Vec<String>) {
    if !paths.contains(&path) {
        paths.push(path);
    }
}

fn is_path(expression: &Expr) -> bool {
    let mut at = expression;
    while let Expr::GetAttr { expr, .. } = at {
        at = expr;
    }
    matches!(at, Expr::Var(Var::Principal | Var::Resource | Var::Context))
}
