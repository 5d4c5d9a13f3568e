//! How the demo looks: aligned rows, colours on a terminal only, a count of what failed; it knows nothing of the steps.

use std::env;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use super::seen::{Seen, human};

/// The page.
pub struct Show {
    on_terminal: bool,
    colours: bool,
    shown: usize,
    failed: usize,
}

impl Show {
    /// An empty page on standard output.
    pub fn new() -> Self {
        let on_terminal = stdout().is_terminal();
        Self { on_terminal, colours: on_terminal && env::var_os("NO_COLOR").is_none(), shown: 0, failed: 0 }
    }

    /// A line of its own.
    #[expect(clippy::unused_self, reason = "everything that is shown goes through the page")]
    pub fn line(&self, text: &str) {
        println!("{text}");
    }

    /// A heading.
    pub fn title(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    /// A line of less weight.
    pub fn aside(&self, text: &str) {
        println!("{}", self.paint("2", text));
    }

    /// A part of a line, visible at once: progress.
    pub fn progress(&self, text: &str) {
        print!("{}", self.paint("2", text));
        let _ = stdout().flush();
    }

    /// The heading of the rows.
    pub fn head(&self) {
        self.title(&columns("", "time", "step", "expected", "seen"));
    }

    /// Runs a step and shows its row, with what is wrong below it; says how long it took.
    pub async fn step(&mut self, step: &str, expected: &str, work: impl Future<Output = Seen>) -> Duration {
        if self.on_terminal {
            self.progress(&columns(" …", "", step, expected, ""));
        }
        let Seen { took, text, faults } = work.await;
        if self.on_terminal {
            print!("\r\x1b[K");
        }
        self.shown += 1;
        let (mark, colour) = if faults.is_empty() { ("ok", "32") } else { ("FAIL", "1;31") };
        let row = columns(mark, &human(took), step, expected, &text);
        println!("{}", row.replacen(mark, &self.paint(colour, mark), 1));
        if !faults.is_empty() {
            self.failed += 1;
            for fault in &faults {
                println!("      {}", self.paint("31", fault));
            }
        }
        took
    }

    /// How many steps did not show what they should.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The last line of the scenario.
    pub fn verdict(&self) -> String {
        match self.failed {
            0 => format!("All {} steps showed what they should.", self.shown),
            failed => self.paint("1;31", &format!("{failed} of {} steps did not show what they should.", self.shown)),
        }
    }

    /// Success if every step was as it should be.
    pub fn exit_code(&self) -> ExitCode {
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn columns(mark: &str, took: &str, step: &str, expected: &str, seen: &str) -> String {
    format!("{mark:<4}{took:>8}  {step:<STEP$}  {expected:<EXPECTED$}  {seen}").trim_end().to_owned()
}

const STEP: usize = 35;
const EXPECTED: usize = 22;
