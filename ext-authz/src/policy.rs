//! Cedar: from files to decisions. It reads, checks, indexes and evaluates policies; it admits nobody and caches no decision.
//!
//! Direction inside: `problem, lifetime, source → statement, vocabulary → directory, reads, index → compiled → compile → files → report, watch, inspect`.

mod compile;
mod compiled;
mod constants;
mod context;
pub mod control;
mod directory;
mod evaluation;
mod files;
mod index;
pub mod inspect;
mod lazy;
mod lifetime;
mod problem;
mod reads;
mod report;
mod scope;
mod shape;
mod source;
mod standing;
mod statement;
mod vocabulary;
mod walk;
mod watch;

pub use self::{
    compile::compile,
    compiled::{CompiledPolicies, Question},
    files::{PolicyError, PolicyFiles, Unreadable, load},
    lifetime::{TimeZone, UnknownTimeZone},
    problem::{InvalidPolicies, Position, Problem},
    report::{Report, report, report_control},
    source::{Source, Sources},
    vocabulary::{BUILT_IN_SCHEMA, DeclaredFact, SCHEMA_VERSION, built_in_facts},
    watch::{PolicyEvent, watch},
};

#[cfg(test)]
mod tests;
