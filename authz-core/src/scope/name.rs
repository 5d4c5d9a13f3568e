//! Names of things that others name: tokens, subjects, sessions, devices, agents. It checks form, not existence.

use thiserror::Error;

/// A name that can't be kept.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidName {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It would not print, or not compare as it looks.
    #[error("it has control characters or blanks at an end, give it as its issuer writes it")]
    Unprintable,
    /// A subject without its issuer.
    #[error("it names no issuer, write it as ISSUER#SUBJECT, as iss and sub of its tokens say")]
    NoIssuer,
    /// It is too long.
    #[error("it has {0} bytes, at most {MAX_NAME} are kept")]
    TooLong(usize),
}

/// Longest name in bytes.
pub const MAX_NAME: usize = 1024;

/// Takes a name as it stands: names of others compare byte by byte.
pub(super) fn opaque(text: &str) -> Result<&str, InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(InvalidName::TooLong(text.len()));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(InvalidName::Unprintable);
    }
    Ok(text)
}

/// Takes `issuer#subject`: a `sub` is unique within its issuer only (RFC 7519 §4.1.2), and no issuer has a fragment.
pub(super) fn subject(text: &str) -> Result<&str, InvalidName> {
    let text = opaque(text)?;
    match text.split_once('#') {
        Some((issuer, subject)) if !issuer.is_empty() && !subject.is_empty() => Ok(text),
        _ => Err(InvalidName::NoIssuer),
    }
}
