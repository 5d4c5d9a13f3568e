//! Whether a tree has the shape of the knobs: no key that is none, none twice, sections and lists where they belong. It reads no value.

use super::{
    knob::Knob,
    knobs,
    reader::Reader,
    tree::{Entry, Node, Value},
};

/// Reports to `reader` every key that is unknown or repeated, and every section or list that is something else.
pub(super) fn check(root: &Node, reader: &Reader<'_>) {
    match &root.value {
        Value::Map(entries) => check_section(entries, "", "", reader),
        Value::Null => {}
        _ => reader.complain(Some(root.line), "", format!("is {}; write sections such as service:", root.describe())),
    }
}

/// `pattern` is the section as knobs name it, `path` as it stands in the file (with the numbers of list items).
fn check_section(entries: &[Entry], pattern: &str, path: &str, reader: &Reader<'_>) {
    for (position, Entry { line, key, node, .. }) in entries.iter().enumerate() {
        let (pattern, path) = (joined(pattern, key), joined(path, key));
        if entries.iter().take(position).any(|earlier| earlier.key == *key) {
            reader.complain(Some(*line), &path, "is set twice; keep one of them".to_owned());
        } else if key.contains(['.', '[']) || !is_known(&pattern) {
            // A key with a dot in it would look like a path that is known.
            reader.complain(Some(*line), &path, unknown(&pattern, key));
        } else {
            check_value(node, &pattern, &path, reader);
        }
    }
}

fn check_value(node: &Node, pattern: &str, path: &str, reader: &Reader<'_>) {
    let is_list = under(&format!("{pattern}[]")).next().is_some();
    let is_section = under(&format!("{pattern}.")).next().is_some();
    match &node.value {
        Value::Null => {}
        Value::List(items) if is_list => {
            for (position, item) in items.iter().enumerate() {
                check_value(item, &format!("{pattern}[]"), &format!("{path}[{position}]"), reader);
            }
        }
        Value::Map(entries) if is_section => check_section(entries, pattern, path, reader),
        _ if is_list => reader.complain(Some(node.line), path, format!("is {}; write a list", node.describe())),
        _ if is_section => {
            reader.complain(Some(node.line), path, format!("is {}; write {}", node.describe(), keys_of(pattern)));
        }
        _ => {}
    }
}

fn is_known(pattern: &str) -> bool {
    under(pattern)
        .any(|knob| knob.path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
}

fn under(prefix: &str) -> impl Iterator<Item = &'static Knob> {
    knobs().filter(move |knob| knob.path.starts_with(prefix))
}

fn unknown(pattern: &str, key: &str) -> String {
    let section = pattern.strip_suffix(key).unwrap_or_default();
    let nearest = siblings(section).map(|name| (distance(key, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= key.len().div_ceil(3) => format!("is unknown; did you mean {name}?"),
        _ => format!("is unknown; here can be {}", keys_of(section.trim_end_matches('.'))),
    }
}

fn keys_of(section: &str) -> String {
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    let mut names: Vec<&str> = siblings(&prefix).collect();
    names.dedup();
    names.join(", ")
}

/// The keys right below `prefix`, which is empty or ends with `.`.
fn siblings(prefix: &str) -> impl Iterator<Item = &'static str> {
    let length = prefix.len();
    under(prefix).filter_map(move |knob| knob.path.get(length..)?.split(['.', '[']).next())
}

fn joined(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
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
    use super::distance;

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
}
