//! Which known word a mistyped one was meant to be; it knows no words.

/// The one of `known` that `word` was meant to be, if one is near enough.
pub(crate) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let nearest = known.into_iter().map(|name| (distance(word, name), name)).min();
    nearest.filter(|(distance, _)| *distance <= word.len().div_ceil(3)).map(|(_, name)| name)
}

/// How many characters must be inserted, removed or replaced (Levenshtein); keys are short.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (above, from) in (1..).zip(left.chars()) {
        let mut next = vec![above];
        for ((to, steps), over) in right.chars().zip(row.windows(2)).zip(0..) {
            let (diagonal, upper) =
                (steps.first().copied().unwrap_or_default(), steps.last().copied().unwrap_or_default());
            let before: usize = next.get(over).copied().unwrap_or_default();
            next.push((diagonal + usize::from(from != to)).min(upper + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, meant};

    #[test]
    fn distance_counts_the_edits() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("lease", "lease", 0),
            ("ab", "ba", 2),
        ];
        for (left, right, expected) in cases {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn a_word_is_meant_that_is_near_enough() {
        let known = ["policy", "police", "schema"];
        for (word, expected) in [("polcy", Some("policy")), ("shcema", Some("schema")), ("x", None), ("entities", None)]
        {
            assert_eq!(meant(word, known), expected, "{word}");
        }
    }
}
