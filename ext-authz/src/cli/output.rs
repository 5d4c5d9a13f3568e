//! How answers look: for people, with colours on a terminal, or as JSON lines. It composes no answer.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;
use serde::Serialize;

/// The form of answers.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// Where answers go.
pub struct Output<'w> {
    out: &'w mut dyn Write,
    format: Format,
    colours: bool,
}

/// What a word is about.
#[derive(Copy, Clone, Debug)]
pub(super) enum Tone {
    Bad,
    Dim,
    Good,
    Warn,
}

impl<'w> Output<'w> {
    /// Writes to `out`; colours are for a terminal on standard output, unless `NO_COLOR` is set.
    pub fn new(out: &'w mut dyn Write, format: Format) -> Self {
        let colours = format == Format::Human && io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { out, format, colours }
    }

    /// Writes `value` as a line of JSON, or the text that `human` makes.
    pub(super) fn say(&mut self, value: &impl Serialize, human: impl FnOnce(&Self) -> String) -> io::Result<()> {
        let line = match self.format {
            Format::Human => human(self),
            Format::Json => serde_json::to_string(value)?,
        };
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Writes a line of JSON that people do not need.
    pub(super) fn data(&mut self, value: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Human => Ok(()),
            Format::Json => writeln!(self.out, "{}", serde_json::to_string(value)?),
        }
    }

    /// Writes a line that only people need.
    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        match self.format {
            Format::Human => writeln!(self.out, "{line}"),
            Format::Json => Ok(()),
        }
    }

    /// `text` in the colour of `tone`.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bad => 31,
            Tone::Dim => 2,
            Tone::Good => 32,
            Tone::Warn => 33,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
