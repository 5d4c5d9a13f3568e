//! What the conditions of policies read and how: attributes of the context, and entities named in them. It judges nothing.

use std::collections::HashSet;

use authz_core::{
    plan::Read,
    reading::{Test, Uses},
};
use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, Var};

use super::{
    constants::{Constant, comparison, pattern, version_tests},
    shape::{Fact, Shape},
    walk::path,
};

/// What some policies read.
#[derive(Clone, Default, Debug)]
pub(super) struct Reads {
    /// Facts of the request, and how they are used.
    pub facts: Uses,
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

    /// Adds what others read.
    pub fn join(&mut self, others: &Self) {
        self.facts.add(&others.facts);
        self.entities.extend(others.entities.iter().cloned());
        self.opaque |= others.opaque;
        self.depth = self.depth.max(others.depth);
    }

    fn visit<'e>(&mut self, expression: &'e Expr, used: Use, shapes: &[&Shape], parts: &mut Vec<(&'e Expr, Use)>) {
        if let Some(path) = context_path(expression) {
            return self.read(&path, shapes);
        }
        if self.test(expression, shapes) {
            return;
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

    /// Notes a test of a fact against constants, if `expression` is nothing but one. Its outcome then rests on the test and on
    /// whether the fact is there, and on nothing else.
    fn test(&mut self, expression: &Expr, shapes: &[&Shape]) -> bool {
        let found = match expression {
            Expr::Like { expr, pattern: elements } => context_path(expr).zip(Some(vec![pattern(elements)])),
            Expr::UnaryOp { op, expr } => context_path(expr).zip(version_tests(*op)),
            Expr::BinaryOp { op, left, right } => binary_tests(*op, left, right),
            _ => None,
        };
        let Some((path, tests)) = found else { return false };
        let mut facts = Vec::new();
        for part in shapes.iter().filter_map(|shape| shape.part(&path)) {
            let Shape::Fact(fact) = part else { return false };
            match fact {
                // What is read through a workload rests on more than its identity.
                Fact::Read(Read::Origin) if path.len() > 1 => return false,
                Fact::Read(read) => facts.push(read),
                Fact::Method | Fact::ViewAge | Fact::Time(_) => {}
            }
        }
        for read in facts {
            self.facts.presence(read.clone());
            for test in &tests {
                self.facts.test(read.clone(), test.clone());
            }
        }
        true
    }

    fn literal(&mut self, literal: &Literal, used: Use) {
        if let (Literal::EntityUID(uid), Use::Value) = (literal, used) {
            self.entities.insert((uid.ty.to_string(), uid.eid.to_string()));
        }
    }

    fn read(&mut self, path: &[&str], shapes: &[&Shape]) {
        for part in shapes.iter().filter_map(|shape| shape.part(path)) {
            part.reads().into_iter().for_each(|read| self.facts.whole(read));
        }
    }

    /// `has` asks for each attribute on the way; a record is always there, so only a fact tells anything.
    fn ask<'e>(&mut self, mut path: Vec<&'e str>, attributes: impl Iterator<Item = &'e str>, shapes: &[&Shape]) {
        for attribute in attributes {
            path.push(attribute);
            for part in shapes.iter().filter_map(|shape| shape.part(&path)) {
                match part {
                    // Behind a workload it is asked what that has.
                    Shape::Fact(Fact::Read(Read::Origin)) if path.len() > 1 => self.facts.whole(Read::Origin),
                    Shape::Fact(_) => part.reads().into_iter().for_each(|read| self.facts.presence(read)),
                    Shape::Record(_) => {}
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

/// The fact that `left op right` tests, and the tests, if it is a fact and a constant.
fn binary_tests<'e>(op: BinaryOp, left: &'e Expr, right: &'e Expr) -> Option<(Vec<&'e str>, Vec<Test>)> {
    match (context_path(left), context_path(right)) {
        (Some(path), None) => Some((path, comparison(op, &Constant::of(right)?, true)?)),
        (None, Some(path)) => Some((path, comparison(op, &Constant::of(left)?, false)?)),
        _ => None,
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
    let (root, path) = path(expression);
    matches!(root, Expr::Var(Var::Context)).then_some(path)
}
