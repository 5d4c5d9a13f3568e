//! The text format of `x-forwarded-client-cert`, as Envoy writes it and nothing else. It says what the header claims, not whom to believe.
//!
//! Measured on Envoy 1.40: pairs come as `By`s, `Hash`, `Cert`, `Chain`, `Subject`, `URI`s, `DNS`s, `Issuer`; `By`, `URI` and `DNS` are written
//! bare and unescaped; `Subject` and `Issuer` are quoted and hold RFC 2253 text, whose own escapes are the only ones. So a bare value with a
//! separator in it is not what it seems, and a backslash takes the next character with it, another backslash included.

mod canonical;
mod element;
mod error;
mod key;
mod lexer;
mod pair;

pub use element::Element;
pub use error::InvalidXfcc;
pub use key::Key;
pub use pair::Pair;

use std::fmt;

use canonical::first_difference;
use lexer::{End, Lexer};

/// The elements of one XFCC header: one for each hop that added itself, the newest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xfcc {
    elements: Vec<Element>,
}

/// How much XFCC we read before refusing it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the whole header value.
    pub max_bytes: usize,
    /// Most elements in it.
    pub max_elements: usize,
}

impl Xfcc {
    /// Parses a header value. Several header lines must be joined with `,` before.
    ///
    /// # Errors
    /// Anything that Envoy would not have written byte for byte, or more than `limits`.
    pub fn parse(value: &[u8], limits: Limits) -> Result<Self, InvalidXfcc> {
        let text = printable(value, limits.max_bytes)?;
        let xfcc = Self { elements: parse_elements(text, limits.max_elements)? };
        // What another reader could take for something else never gets past here, whatever the rules above missed.
        match first_difference(text, &xfcc) {
            Some(offset) => Err(InvalidXfcc::NotCanonical { offset }),
            None => Ok(xfcc),
        }
    }

    /// From elements, the newest last.
    ///
    /// # Errors
    /// [`InvalidXfcc::EmptyElement`] if there are none: that is no header, not an empty one.
    pub fn new(elements: Vec<Element>) -> Result<Self, InvalidXfcc> {
        if elements.is_empty() { Err(InvalidXfcc::EmptyElement { offset: 0 }) } else { Ok(Self { elements }) }
    }

    /// All elements, the newest last; never empty. Read them from the right, and only as far as their writers are trusted.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The element added by the proxy next to us.
    pub fn newest(&self) -> Option<&Element> {
        self.elements.last()
    }
}

impl fmt::Display for Xfcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, element) in self.elements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            fmt::Display::fmt(element, f)?;
        }
        Ok(())
    }
}

fn printable(value: &[u8], max: usize) -> Result<&str, InvalidXfcc> {
    if value.len() > max {
        return Err(InvalidXfcc::TooManyBytes { length: value.len(), max });
    }
    let text = str::from_utf8(value).map_err(|error| InvalidXfcc::NotUtf8 { offset: error.valid_up_to() })?;
    match text.char_indices().find(|&(_, c)| !is_printable(c)) {
        Some((offset, found)) => Err(InvalidXfcc::NotPrintable { found, offset }),
        None => Ok(text),
    }
}

fn parse_elements(text: &str, max: usize) -> Result<Vec<Element>, InvalidXfcc> {
    let mut lexer = Lexer::new(text);
    let mut elements = Vec::new();
    loop {
        if elements.len() == max {
            return Err(InvalidXfcc::TooManyElements { max });
        }
        let (element, end) = parse_element(&mut lexer)?;
        elements.push(element);
        if end == End::Header {
            return Ok(elements);
        }
    }
}

fn parse_element(lexer: &mut Lexer<'_>) -> Result<(Element, End), InvalidXfcc> {
    lexer.begin_element()?;
    let mut pairs = Vec::new();
    loop {
        let token = lexer.next_pair()?;
        let pair = Pair::parse(Key::parse(token.key)?, token.value)?;
        pairs.push(pair);
        if token.end != End::Pair {
            return Ok((Element::new(pairs)?, token.end));
        }
    }
}

/// Whether Envoy can have written `character`: it escapes the rest in names, and IDs and DNS names are ASCII.
fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~')
}

#[cfg(test)]
mod tests;
