//! Medians and spreads of a few rounds. It must not use a mean: one disturbed round would move it.

use serde::Serialize;

/// What several rounds of one measurement say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the rounds were below, half above.
    pub median: f64,
    /// The lowest round.
    pub min: f64,
    /// The highest round.
    pub max: f64,
}

impl Spread {
    /// The spread of `samples`; none if there are none, or one of them is not a number.
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }

    /// The spread of the ratios of each round of `ours` to the same round of `theirs`. Rounds next to each other share
    /// the machine's mood, so that their ratio is steadier than the ratio of two medians.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, min: f64, max: f64) -> Spread {
        Spread { median, min, max }
    }

    #[test]
    fn the_median_does_not_follow_one_disturbed_round() {
        let cases: [(&[f64], _); 5] = [
            (&[], None),
            (&[7.0], Some(spread(7.0, 7.0, 7.0))),
            (&[3.0, 1.0], Some(spread(2.0, 1.0, 3.0))),
            (&[5.0, 1_000.0, 4.0, 6.0, 5.0], Some(spread(5.0, 4.0, 1_000.0))),
            (&[1.0, f64::NAN], None),
        ];
        for (samples, expected) in cases {
            assert_eq!(Spread::of(samples), expected, "{samples:?}");
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine halves its speed in the second round; the ratio does not notice.
        let ratios = Spread::of_ratios(&[30.0, 15.0, 30.0], &[60.0, 30.0, 60.0]);
        assert_eq!(ratios, Some(spread(0.5, 0.5, 0.5)));
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
        assert_eq!(Spread::of_ratios(&[], &[]), None);
    }
}
