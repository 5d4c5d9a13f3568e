//! The strict grammar of SPIFFE-ID §2.1-2.4 over borrowed text. Never repairs or normalises: a text passes whole or is refused.

use super::InvalidSpiffeId;
use crate::identity::excerpt::excerpt;

/// The only spelling of the scheme we take; SPIFFE-ID §2.4 would allow any case, but then two texts would be one ID.
pub(crate) const SCHEME: &str = "spiffe://";

/// Longest ID in bytes. SPIFFE-ID §2.3 asks to support as much; refusing more is our bound on memory.
pub(crate) const MAX_ID: usize = 2048;

/// Longest trust domain in bytes (SPIFFE-ID §2.3).
pub(crate) const MAX_TRUST_DOMAIN: usize = 255;

/// Checks a whole ID and returns the length of its trust domain.
pub(crate) fn check(id: &str) -> Result<usize, InvalidSpiffeId> {
    if id.is_empty() {
        return Err(InvalidSpiffeId::Empty);
    }
    if id.len() > MAX_ID {
        return Err(InvalidSpiffeId::TooLong { id: excerpt(id), length: id.len() });
    }
    let Some(rest) = id.strip_prefix(SCHEME) else {
        return Err(InvalidSpiffeId::Scheme { id: excerpt(id) });
    };
    let (trust_domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    check_trust_domain(id, trust_domain)?;
    check_path(id, path)?;
    Ok(trust_domain.len())
}

/// Checks the name of a trust domain that was found in `whole`.
pub(crate) fn check_trust_domain(whole: &str, name: &str) -> Result<(), InvalidSpiffeId> {
    if name.is_empty() {
        return Err(InvalidSpiffeId::TrustDomainMissing { id: excerpt(whole) });
    }
    if let Some(found) = name.chars().find(|&c| !is_trust_domain_character(c)) {
        return Err(InvalidSpiffeId::TrustDomainCharacter { id: excerpt(whole), found });
    }
    if name.len() > MAX_TRUST_DOMAIN {
        return Err(InvalidSpiffeId::TrustDomainTooLong { id: excerpt(whole), length: name.len() });
    }
    Ok(())
}

fn check_path(whole: &str, path: &str) -> Result<(), InvalidSpiffeId> {
    let Some(segments) = path.strip_prefix('/') else {
        return Ok(());
    };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        check_segment(whole, segment, segments.peek().is_none())?;
    }
    Ok(())
}

fn check_segment(whole: &str, segment: &str, is_last: bool) -> Result<(), InvalidSpiffeId> {
    match segment {
        "" if is_last => Err(InvalidSpiffeId::TrailingSlash { id: excerpt(whole) }),
        "" => Err(InvalidSpiffeId::EmptySegment { id: excerpt(whole) }),
        "." | ".." => Err(InvalidSpiffeId::DotSegment { id: excerpt(whole) }),
        _ => match segment.chars().find(|&c| !is_segment_character(c)) {
            Some(found) => Err(InvalidSpiffeId::PathCharacter { id: excerpt(whole), found }),
            None => Ok(()),
        },
    }
}

fn is_trust_domain_character(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_')
}

fn is_segment_character(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_')
}
