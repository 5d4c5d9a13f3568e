//! What the conditions of policies read: attributes of the context, and entities named in them. It judges nothing.

use std::collections::{BTreeSet, HashSet};

use authz_core::plan::Read;
use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, Var};

use super::shape::Shape;

/// What some policies read.
#[derive(Default, Debug)]
pub(super) struct Reads {
    /// Facts of the request.
    pub facts: BTreeSet<Read>,
    /// Entities by literal, as type and id, whose attributes, tags or groups may be looked at.
    pub entities: HashSet<(String, String)>,
    /// Whether there was an expression of a kind we don't know, so that any entity may be looked at.
    pub opaque: bool,
    /// How deep expressions are nested.
    pub depth: usize,
}

/// What an expression is used for.
#[derive(Copy, Clone)]
enum Use {
    /// Only its identity counts: the right side of `in`, a side of `==`.
    Comparison,
    /// Anything.
    Value,
}

impl Reads {
    /// Adds what `policy` reads of a context that can have any of `shapes`.
    pub fn add(&mut self, policy: &pst::Policy, shapes: &[&Shape]) {
        // A stack of our own: conditions may be nested deeper than ours.
        let mut open: Vec<(&Expr, Use, usize)> = Vec::new();
        let mut parts: Vec<(&Expr, Use)> = Vec::new();
        for clause in policy.body().clauses() {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            open.push((condition, Use::Value, 1));
            while let Some((expression, used, depth)) = open.pop() {
                self.depth = self.depth.max(depth);
                self.visit(expression, used, shapes, &mut parts);
                open.extend(parts.drain(..).map(|(part, used)| (part, used, depth + 1)));
            }
        }
    }

    fn visit<'e>(&mut self, expression: &'e Expr, used: Use, shapes: &[&Shape], parts: &mut Vec<(&'e Expr, Use)>) {
        if let Some(path) = context_path(expression) {
            return self.read(&path, shapes);
        }
        match expression {
            Expr::Literal(literal) => self.literal(literal, used),
            // `context` itself is a path.
            Expr::Var(_) | Expr::Slot(_) => {}
            Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::Like { expr, .. } => {
                parts.push((expr, Use::Value));
            }
            Expr::HasAttr { expr, attrs } => match context_path(expr) {
                Some(path) => self.ask(path, attrs.iter().map(AsRef::as_ref), shapes),
                None => parts.push((expr, Use::Value)),
            },
            Expr::BinaryOp { op, left, right } => {
                let (of_left, of_right) = uses(*op);
                parts.extend([(left.as_ref(), of_left), (right.as_ref(), of_right)]);
            }
            Expr::Is { expr, in_expr, .. } => {
                parts.push((expr, Use::Value));
                parts.extend(in_expr.iter().map(|group| (group.as_ref(), Use::Comparison)));
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                parts.extend([(cond.as_ref(), Use::Value), (then_expr.as_ref(), used), (else_expr.as_ref(), used)]);
            }
            Expr::Set(members) => parts.extend(members.iter().map(|member| (member.as_ref(), used))),
            Expr::Record(members) => parts.extend(members.values().map(|member| (member.as_ref(), Use::Value))),
            _ => self.everything(shapes),
        }
    }

    fn literal(&mut self, literal: &Literal, used: Use) {
        if let (Literal::EntityUID(uid), Use::Value) = (literal, used) {
            self.entities.insert((uid.ty.to_string(), uid.eid.to_string()));
        }
    }

    fn read(&mut self, path: &[&str], shapes: &[&Shape]) {
        for part in shapes.iter().filter_map(|shape| shape.part(path)) {
            self.facts.extend(part.reads());
        }
    }

    /// `has` asks for each attribute on the way; a record is always there, so only a fact tells anything.
    fn ask<'e>(&mut self, mut path: Vec<&'e str>, attributes: impl Iterator<Item = &'e str>, shapes: &[&Shape]) {
        for attribute in attributes {
            path.push(attribute);
            for part in shapes.iter().filter_map(|shape| shape.part(&path)) {
                if matches!(part, Shape::Fact(_)) {
                    self.facts.extend(part.reads());
                }
            }
        }
    }

    /// Assumes that everything is read.
    pub fn everything(&mut self, shapes: &[&Shape]) {
        self.read(&[], shapes);
        self.opaque = true;
    }
}

/// How an operator uses its two sides.
fn uses(op: BinaryOp) -> (Use, Use) {
    match op {
        BinaryOp::Eq | BinaryOp::NotEq => (Use::Comparison, Use::Comparison),
        BinaryOp::In => (Use::Value, Use::Comparison),
        _ => (Use::Value, Use::Value),
    }
}

/// The attributes from `context` to this expression, if it is nothing but such a path; empty for `context` itself.
fn context_path(expression: &Expr) -> Option<Vec<&str>> {
    let mut path = Vec::new();
    let mut at = expression;
    while let Expr::GetAttr { expr, attr } = at {
        path.push(attr.as_ref());
        at = expr;
    }
    path.reverse();
    matches!(at, Expr::Var(Var::Context)).then_some(path)
}
