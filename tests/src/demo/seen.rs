//! What one step saw, and what of it is not as it should be; it prints nothing.

use std::time::Duration;

/// The outcome of a step.
pub struct Seen {
    /// How long the thing that the step is about took.
    pub took: Duration,
    /// In words.
    pub text: String,
    /// What is wrong, if anything.
    pub faults: Vec<String>,
}

impl Seen {
    /// Nothing wrong so far.
    pub fn new(took: Duration, text: impl Into<String>) -> Self {
        Self { took, text: text.into(), faults: Vec::new() }
    }

    /// Notes `fault` unless `holds`.
    pub fn check(mut self, holds: bool, fault: impl Into<String>) -> Self {
        if !holds {
            self.faults.push(fault.into());
        }
        self
    }
}

/// A duration as people read it: three digits at most before the unit.
pub fn human(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.1} ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let cases = [(450, "450 µs"), (1_240, "1.2 ms"), (48_300, "48 ms"), (2_960_000, "3.0 s")];
        for (micros, expected) in cases {
            assert_eq!(human(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn only_what_does_not_hold_is_a_fault() {
        let seen = Seen::new(Duration::ZERO, "").check(true, "a").check(false, "b");
        assert_eq!(seen.faults, ["b"]);
    }
}
