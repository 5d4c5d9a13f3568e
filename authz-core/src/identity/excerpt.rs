//! Bad values for error messages: short and printable. Never used for a value that was accepted.

/// Longest part of a bad value that an error message repeats, in characters.
const SHOWN: usize = 64;

/// `text` in double quotes, escaped so that it cannot break a log line, and cut with `…` when it is long.
pub(crate) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{}{cut}\"", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn a_short_value_is_shown_whole_and_escaped() {
        assert_eq!(excerpt("a\n\"b"), r#""a\n\"b""#);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(excerpt(&"é".repeat(65)), format!("\"{}…\"", "é".repeat(64)));
        assert_eq!(excerpt(&"é".repeat(64)), format!("\"{}\"", "é".repeat(64)));
    }
}
