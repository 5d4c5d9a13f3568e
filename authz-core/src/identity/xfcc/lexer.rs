//! Cuts an XFCC header into keys and values by its grammar (Envoy, HTTP headers, x-forwarded-client-cert). It knows no key and judges no value.

use super::InvalidXfcc;
use crate::identity::excerpt::excerpt;

/// Walks a header from left to right, one pair at a time.
pub(super) struct Lexer<'a> {
    text: &'a str,
    // INVARIANT: at most text.len() and on a character boundary: it only ever moves past ASCII separators or to the end.
    position: usize,
}

/// One `key=value`, and what ended it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) key: &'a str,
    pub(super) value: Value<'a>,
    pub(super) end: End,
}

/// A value as it stands in the text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Without quotes.
    Bare(&'a str),
    /// What stands between the quotes, escapes and all.
    Quoted(&'a str),
}

/// What a pair ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The element: a comma follows.
    Element,
    /// The header: nothing follows.
    Header,
    /// Only itself: a semicolon follows.
    Pair,
}

/// Where a scan of a quoted value stands.
enum Quoted {
    AfterBackslash,
    Inside,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// Refuses what can't begin an element: nothing, or JSON.
    pub(super) fn begin_element(&self) -> Result<(), InvalidXfcc> {
        match self.rest().bytes().next() {
            None | Some(b',') => Err(InvalidXfcc::EmptyElement { offset: self.position }),
            Some(b'[' | b'{') => Err(InvalidXfcc::JsonFormat { offset: self.position }),
            Some(_) => Ok(()),
        }
    }

    /// The next pair of the element that was begun.
    pub(super) fn next_pair(&mut self) -> Result<Token<'a>, InvalidXfcc> {
        let key = self.take_key()?;
        let value = if self.rest().starts_with('"') { self.take_quoted()? } else { self.take_bare()? };
        let end = self.take_end()?;
        Ok(Token { key, value, end })
    }

    fn take_key(&mut self) -> Result<&'a str, InvalidXfcc> {
        let (key, rest) = split_before(self.rest(), &['=', ';', ',', '"']);
        if rest.starts_with('=') {
            self.position += key.len() + 1;
            Ok(key)
        } else if key.is_empty() && !rest.starts_with('"') {
            Err(InvalidXfcc::EmptyPair { offset: self.position })
        } else {
            Err(InvalidXfcc::MissingEquals { text: excerpt(key), offset: self.position })
        }
    }

    fn take_bare(&mut self) -> Result<Value<'a>, InvalidXfcc> {
        let (value, rest) = split_before(self.rest(), &[';', ',', '"']);
        self.position += value.len();
        if rest.starts_with('"') {
            return Err(InvalidXfcc::StrayQuote { offset: self.position });
        }
        Ok(Value::Bare(value))
    }

    /// A backslash takes the next character with it, whatever that is: in `\\"` the quote closes, in `\"` it does not.
    fn take_quoted(&mut self) -> Result<Value<'a>, InvalidXfcc> {
        let open = self.position;
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut state = Quoted::Inside;
        for (at, character) in inside.char_indices() {
            state = match (state, character) {
                (Quoted::Inside, '\\') => Quoted::AfterBackslash,
                (Quoted::Inside, '"') => {
                    self.position += at + 2;
                    return Ok(Value::Quoted(inside.get(..at).unwrap_or_default()));
                }
                (Quoted::Inside | Quoted::AfterBackslash, _) => Quoted::Inside,
            };
        }
        Err(InvalidXfcc::OpenQuote { offset: open })
    }

    fn take_end(&mut self) -> Result<End, InvalidXfcc> {
        let end = match self.rest().bytes().next() {
            None => return Ok(End::Header),
            Some(b',') => End::Element,
            Some(b';') => End::Pair,
            Some(_) => return Err(InvalidXfcc::TextAfterQuote { offset: self.position }),
        };
        self.position += 1;
        Ok(end)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }
}

fn split_before<'a>(text: &'a str, stops: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(stops).unwrap_or(text.len()))
}
