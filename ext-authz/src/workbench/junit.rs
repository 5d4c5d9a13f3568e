//! What came of cases as `JUnit` XML, as CI systems read it: one suite a file, one test a case. It writes no file.

use std::fmt::Write as _;

use super::{report, run::Run};

/// The document. Cases of one file must stand together.
pub fn junit(runs: &[Run]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let failed = runs.iter().filter(|run| !run.passed).count();
    // Writing to a String never fails.
    let _ =
        writeln!(xml, "<testsuites name=\"countersign policy test\" tests=\"{}\" failures=\"{failed}\">", runs.len());
    for suite in runs.chunk_by(|one, other| one.file == other.file) {
        let (file, failed) =
            (suite.first().map_or("", |run| &*run.file), suite.iter().filter(|run| !run.passed).count());
        let _ =
            writeln!(xml, "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">", escaped(file), suite.len());
        for run in suite {
            put(run, &mut xml);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn put(run: &Run, xml: &mut String) {
    let (name, file, line) = (escaped(&run.case), escaped(&run.file), run.line);
    let _ = write!(xml, "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\"");
    if run.passed {
        xml.push_str("/>\n");
        return;
    }
    let (message, text) = (escaped(&run.failures.join("; ")), escaped(&report::why(&run.explanation)));
    let _ =
        write!(xml, ">\n      <failure message=\"{message}\" type=\"expectation\">{text}</failure>\n    </testcase>\n");
}

/// Text for an attribute or an element. What XML 1.0 §2.2 has no place for becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_escapes_from_an_attribute(text in any::<String>()) {
            let escaped = escaped(&text);
            let markup = |it: char| "<>\"".contains(it) || it < ' ';
            prop_assert!(!escaped.contains(markup), "{}", escaped);
            let back = escaped.replace("&#10;", "\n").replace("&#9;", "\t").replace("&lt;", "<").replace("&gt;", ">");
            let back = back.replace("&quot;", "\"").replace("&amp;", "&");
            prop_assert_eq!(back.chars().count(), text.chars().count());
            for (there, here) in back.chars().zip(text.chars()) {
                prop_assert!(there == here || there == char::REPLACEMENT_CHARACTER, "{} {}", there, here);
            }
        }
    }
}
