//! When to ask an agent again: at once after a good stream, then later and later, never busily. It waits for nothing itself.

use std::time::Duration;

use super::Failure;

/// The back-off of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// Steps taken since a message came.
    step: u32,
}

impl Schedule {
    /// How long to wait after a stream ended. `lived` is for how long a stream that brought a message was open; `random`
    /// is any number, so that sidecars that lost the same agent do not all come back in one moment.
    ///
    /// After a message the back-off begins anew, but at once only if the stream had lasted: an agent that answers each
    /// call and hangs up would otherwise be called in a circle.
    pub(super) fn after(&mut self, failure: &Failure, lived: Option<Duration>, random: u8) -> Duration {
        if let Some(lived) = lived {
            self.step = u32::from(lived < STEADY);
        }
        let delay = match failure {
            Failure::Lost { .. } => STEP * self.step,
            Failure::Denied { .. } => STEP * self.step.max(1),
            Failure::Rejected { .. } => REJECTED,
        };
        self.step = self.step.saturating_add(1).min(STEPS);
        delay.saturating_sub(delay / JITTER * u32::from(random) / u32::from(u8::MAX))
    }
}

/// The back-off grows by this.
const STEP: Duration = Duration::from_secs(1);
/// The longest back-off, in steps.
const STEPS: u32 = 30;
/// A stream that brought a message and was open for so long was a good one.
const STEADY: Duration = Duration::from_secs(1);
/// After the agent refused the call as such: only another agent, or another configuration of it, will take it.
const REJECTED: Duration = Duration::from_mins(5);
/// By which part of itself a delay may be shorter: a quarter.
const JITTER: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Failure {
        Failure::closed()
    }

    fn denied() -> Failure {
        Failure::Denied { what: String::new() }
    }

    fn seconds(schedule: &mut Schedule, failure: &Failure, lived: Option<u64>) -> u64 {
        schedule.after(failure, lived.map(Duration::from_secs), 0).as_secs()
    }

    #[test]
    fn an_agent_that_is_not_there_is_asked_again_at_once_and_then_later_and_later() {
        let mut schedule = Schedule::default();
        let delays: Vec<u64> = (0..35).map(|_| seconds(&mut schedule, &lost(), None)).collect();
        assert_eq!(delays[..5], [0, 1, 2, 3, 4]);
        assert_eq!(delays[29..], [29, 30, 30, 30, 30, 30]);
    }

    #[test]
    fn a_message_begins_the_back_off_anew() {
        let mut schedule = Schedule::default();
        for _ in 0..10 {
            schedule.after(&lost(), None, 0);
        }
        assert_eq!(seconds(&mut schedule, &lost(), Some(60)), 0);
        assert_eq!(seconds(&mut schedule, &lost(), None), 1);
    }

    #[test]
    fn an_agent_that_answers_and_hangs_up_is_not_called_in_a_circle() {
        let mut schedule = Schedule::default();
        for _ in 0..10 {
            assert_eq!(seconds(&mut schedule, &lost(), Some(0)), 1);
        }
    }

    #[test]
    fn a_denial_is_never_followed_by_a_call_at_once_and_a_refused_call_by_one_much_later() {
        let mut schedule = Schedule::default();
        assert_eq!(seconds(&mut schedule, &denied(), Some(3600)), 1);
        assert_eq!(seconds(&mut schedule, &denied(), None), 1);
        assert_eq!(seconds(&mut schedule, &denied(), None), 2);
        let rejected = Failure::Rejected { what: String::new() };
        assert_eq!(seconds(&mut schedule, &rejected, None), 300);
        assert_eq!(seconds(&mut schedule, &rejected, Some(0)), 300);
    }

    #[test]
    fn jitter_makes_a_delay_shorter_by_a_quarter_at_most() {
        for (random, millis) in [(0, 30_000), (255, 22_500)] {
            let mut schedule = Schedule { step: 30 };
            assert_eq!(schedule.after(&lost(), None, random), Duration::from_millis(millis));
        }
    }
}
