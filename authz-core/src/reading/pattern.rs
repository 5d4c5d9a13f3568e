//! Patterns of Cedar's `like`: text with wildcards. It knows nothing of what is matched.

use std::fmt;

/// A pattern in which `*` stands for any text, also none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pattern {
    /// The texts before, between and behind the wildcards; one alone means there is none.
    parts: Box<[Box<str>]>,
}

/// What kind of pattern it is: the frequent ones are looked up in a sorted list.
pub(super) enum Kind<'p> {
    /// This text and no other.
    Exactly(&'p str),
    /// Everything that begins with this.
    Prefix(&'p str),
    /// Everything that ends with this.
    Suffix(&'p str),
    /// Anything else.
    Other,
}

impl Pattern {
    /// A pattern out of characters and wildcards (`None`).
    pub fn new(elements: impl IntoIterator<Item = Option<char>>) -> Self {
        let mut parts = vec![String::new()];
        for element in elements {
            match (element, parts.last_mut()) {
                (Some(character), Some(part)) => part.push(character),
                _ => parts.push(String::new()),
            }
        }
        // Wildcards in a row are one.
        let last = parts.len().saturating_sub(1);
        let kept = parts.into_iter().enumerate().filter(|(at, part)| *at == 0 || *at == last || !part.is_empty());
        Self { parts: kept.map(|(_, part)| part.into()).collect() }
    }

    /// Reads the text form: a wildcard is `*`, a star `\*`, a backslash `\\`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut elements = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            elements.push(match character {
                '*' => None,
                '\\' => Some(characters.next().filter(|escaped| matches!(escaped, '*' | '\\'))?),
                other => Some(other),
            });
        }
        Some(Self::new(elements))
    }

    pub(super) fn kind(&self) -> Kind<'_> {
        match &*self.parts {
            [text] => Kind::Exactly(text),
            [prefix, last] if last.is_empty() => Kind::Prefix(prefix),
            [first, suffix] if first.is_empty() => Kind::Suffix(suffix),
            _ => Kind::Other,
        }
    }

    /// Whether all of `text` matches. Each part is looked for once, as early as it may be.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, others)) = self.parts.split_first() else { return text.is_empty() };
        let Some((last, between)) = others.split_last() else { return text == &**first };
        let Some(mut rest) = text.strip_prefix(&**first) else { return false };
        for part in between {
            let Some((_, after)) = rest.split_once(&**part) else { return false };
            rest = after;
        }
        rest.ends_with(&**last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                f.write_str("*")?;
            }
            for character in part.chars() {
                if matches!(character, '*' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
