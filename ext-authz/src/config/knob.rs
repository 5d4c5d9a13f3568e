//! A knob: one thing an operator may set, with its default and its meaning. The default is stated here only, as text, and read like any other value.

/// One setting.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Where it is: names joined by `.`, `[]` after the name of a list.
    pub path: &'static str,
    /// What holds when it is not set.
    pub default: KnobDefault,
    /// What it is for, in one sentence.
    pub meaning: &'static str,
}

/// What holds when a knob is not set.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum KnobDefault {
    /// Nothing: what it is for is then not done.
    None,
    /// It must be set.
    Required,
    /// This, as YAML.
    Value(&'static str),
}

impl Knob {
    pub(super) const fn new(path: &'static str, default: KnobDefault, meaning: &'static str) -> Self {
        Self { path, default, meaning }
    }
}
