//! The facts of time in one policy: its tests on them, and what else it does with them. It looks at no other fact and at no request.

use std::collections::BTreeSet;

use authz_core::{plan::Read, reading::Uses};
use cedar_policy::pst::{self, Clause, Expr, Var};

use super::{
    comparison::{lifetime_tests, test},
    place::{Place, place},
    quantity::{Party, TimeFact},
    time_test::TimeTest,
};
use crate::policy::walk::{is_known, parts, path};

/// What one policy does with facts of time.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(in crate::policy) struct TimeUses {
    /// Tests: each bounds a decision.
    pub tests: Vec<TimeTest>,
    /// An expression that uses a fact of time in any other way, so that no decision can be reused.
    pub other_use: Option<OtherUse>,
    /// Which facts requests must have for it.
    pub mentions: BTreeSet<Mention>,
    /// What the key must hold for it: of credentials, what tests on them count from.
    pub reads: Uses,
}

/// A use of a fact of time that bounds nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct OtherUse {
    /// The expression that is used, as it stands in the policy.
    pub text: String,
    /// What to write instead.
    pub remedy: &'static str,
}

/// A fact that a policy mentions, if only to ask whether it is there.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::policy) enum Mention {
    /// `context.now`.
    Now,
    /// `context.clock.minute`.
    Minute,
    /// `context.clock.weekday`.
    Weekday,
    /// The caller's `credential`.
    Credential,
    /// The `credential` of anybody the request came through.
    Chain,
}

/// What `policy` does with facts of time; whether `context` as a whole is one, depends on the schema.
pub(in crate::policy) fn time_uses(policy: &pst::Policy, context_has_time: bool) -> TimeUses {
    let mut uses = TimeUses::default();
    for clause in policy.body().clauses() {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        // A stack of our own: conditions may be nested deeper than ours.
        let mut open: Vec<&Expr> = vec![condition];
        while let Some(expression) = open.pop() {
            uses.visit(expression, context_has_time, &mut open);
        }
    }
    uses
}

impl TimeUses {
    /// Of a policy that can't be looked into.
    pub fn unknown() -> Self {
        use Mention::{Chain, Credential, Minute, Now, Weekday};
        let mentions = [Now, Minute, Weekday, Credential, Chain].into();
        Self {
            tests: Vec::new(),
            other_use: Some(OtherUse { text: "a condition of an unknown kind".into(), remedy: "use others" }),
            mentions,
            reads: Uses::default(),
        }
    }

    fn visit<'e>(&mut self, expression: &'e Expr, context_has_time: bool, open: &mut Vec<&'e Expr>) {
        if let Some(test) = test(expression) {
            self.mention(test.quantity.fact);
            self.tests.push(test);
            return;
        }
        if let Some(tests) = lifetime_tests(expression) {
            self.mentions.insert(Mention::Credential);
            self.reads.presence(Read::CredentialLifetime);
            for test in tests {
                self.reads.test(Read::CredentialLifetime, test);
            }
            return;
        }
        match expression {
            Expr::GetAttr { .. } | Expr::Var(_) => {
                let (root, path) = path(expression);
                if context_has_time || !matches!(expression, Expr::Var(Var::Context)) {
                    self.read(expression, root, &path);
                }
                open.extend(match root {
                    Expr::Var(_) => None,
                    other => Some(other),
                });
            }
            Expr::HasAttr { expr, attrs } => {
                let (root, mut path) = path(expr);
                path.extend(attrs.iter().map(|attribute| -> &str { attribute.as_ref() }));
                self.ask(expression, root, &path);
                open.extend(match root {
                    Expr::Var(_) => None,
                    other => Some(other),
                });
            }
            other => parts(other, open),
        }
        if matches!(expression, Expr::Unknown { .. }) || !is_known(expression) {
            *self = Self::unknown();
        }
    }

    /// A value is used, in a way that is no test.
    fn read(&mut self, expression: &Expr, root: &Expr, path: &[&str]) {
        let place = place(root, path);
        match place {
            Place::Elsewhere => {}
            Place::Fact(fact) => {
                self.mention(fact);
                self.use_otherwise(expression, &place);
            }
            Place::Lifetime(party) => self.mention_credential(party, Read::CredentialLifetime),
            Place::Clock => {
                self.mentions.extend([Mention::Minute, Mention::Weekday]);
                self.use_otherwise(expression, &place);
            }
            Place::Context => {
                self.mentions.extend([Mention::Now, Mention::Minute, Mention::Weekday]);
                self.use_otherwise(expression, &place);
            }
            Place::Credential(_) | Place::OtherCredential => {
                self.mentions.extend([Mention::Credential, Mention::Chain]);
                self.use_otherwise(expression, &place);
            }
        }
    }

    /// It is asked whether a value is there: those of time always are, for somebody verified.
    fn ask(&mut self, expression: &Expr, root: &Expr, path: &[&str]) {
        let place = place(root, path);
        match place {
            Place::Elsewhere | Place::Context | Place::Clock => {}
            Place::Fact(TimeFact::Now) => self.mentions.extend([Mention::Now]),
            Place::Fact(TimeFact::Minute) => self.mentions.extend([Mention::Minute]),
            Place::Fact(TimeFact::Weekday) => self.mentions.extend([Mention::Weekday]),
            Place::Fact(TimeFact::Age(party) | TimeFact::ExpiresIn(party))
            | Place::Lifetime(party)
            | Place::Credential(party) => self.mentions.extend(match party {
                Party::Caller => [Mention::Credential].as_slice(),
                Party::Origin => &[Mention::Credential, Mention::Chain],
            }),
            // Whether that somebody is the caller, or behind it, no key says.
            Place::OtherCredential => {
                self.mentions.extend([Mention::Credential, Mention::Chain]);
                self.use_otherwise(expression, &place);
            }
        }
    }

    fn mention(&mut self, fact: TimeFact) {
        match fact {
            TimeFact::Now => self.mentions.extend([Mention::Now]),
            TimeFact::Minute => self.mentions.extend([Mention::Minute]),
            TimeFact::Weekday => self.mentions.extend([Mention::Weekday]),
            TimeFact::Age(party) => self.mention_credential(party, Read::CredentialNotBefore),
            TimeFact::ExpiresIn(party) => self.mention_credential(party, Read::CredentialNotAfter),
        }
    }

    /// `read` is what counts of that of the caller; any of the chain may be meant by that of the origin.
    fn mention_credential(&mut self, party: Party, read: Read) {
        self.mentions.insert(Mention::Credential);
        match party {
            Party::Caller => self.reads.whole(read),
            Party::Origin => {
                self.mentions.insert(Mention::Chain);
                self.reads.whole(Read::HopCredentials);
            }
        }
    }

    fn use_otherwise(&mut self, expression: &Expr, place: &Place) {
        let other_use = || OtherUse { text: expression.to_string(), remedy: place.remedy() };
        self.other_use.get_or_insert_with(other_use);
    }
}

#[cfg(test)]
mod tests;
