//! A path with parameters: `/orders/{order}/items/{rest...}`. It is told what is in normal form and repairs nothing.

use std::fmt;

use crate::{facts::NormalPath, identity::excerpt};

/// A path in which segments are parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Template {
    segments: Box<[Segment]>,
}

/// One segment of a template.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Segment {
    /// This text. Empty only at the end, for a path with a trailing slash.
    Literal(Box<str>),
    /// Any text but none, under a name.
    Parameter(Box<str>),
    /// All that follows, slashes included, under a name: one segment at least, which behind a trailing slash is an empty one.
    Rest(Box<str>),
}

/// Most parameters of a template.
pub const MAX_PARAMETERS: usize = 8;
/// Most segments of a template.
pub const MAX_SEGMENTS: usize = 32;
/// Longest template, in bytes.
pub const MAX_TEMPLATE: usize = 2048;

/// A text that is no [`Template`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTemplate {
    /// It is too long.
    #[error("template is longer than {MAX_TEMPLATE} bytes; shorten it")]
    Long,
    /// It does not begin with a slash.
    #[error("template {template} does not begin with a slash; write it from the root, as /orders/{{order}}")]
    Relative {
        /// The text, shortened.
        template: String,
    },
    /// It has a query.
    #[error("template {template} has a `?`; only paths can be told apart, so leave the query out")]
    Query {
        /// The text, shortened.
        template: String,
    },
    /// It has too many segments.
    #[error("template has more than {MAX_SEGMENTS} segments; end it with {{rest...}}")]
    Segments,
    /// It has too many parameters.
    #[error("template has more than {MAX_PARAMETERS} parameters; end it with {{rest...}}")]
    Parameters,
    /// Braces stand somewhere else than around a whole segment.
    #[error(
        "segment {segment} has a brace that is not around the whole of it; write {{name}}, or {{name...}} at the end, and %7B or %7D for a brace itself"
    )]
    Brace {
        /// The segment, shortened.
        segment: String,
    },
    /// A star where a parameter was to be.
    #[error(
        "segment {segment} is a star, which would mean a literal one; write {{name}}, or {{name...}} for all that follows"
    )]
    Star {
        /// The segment.
        segment: String,
    },
    /// What stands between braces is no name.
    #[error("parameter {name} has no name of letters, digits and _ that begins with no digit; rename it")]
    Name {
        /// The text between the braces, shortened.
        name: String,
    },
    /// Two parameters of the same name.
    #[error("parameter {name} stands twice; rename one")]
    Twice {
        /// The name.
        name: String,
    },
    /// Something follows `{name...}`.
    #[error("{{{name}...}} takes all that follows, so it must be the last segment")]
    AfterRest {
        /// The name.
        name: String,
    },
    /// A request with such a segment never gets here, or not in this spelling.
    #[error(
        "segment {segment} is not in normal form; write no empty segment, `.` or `..`, and escapes (%20) only where they are needed, with digits in upper case"
    )]
    NotNormal {
        /// The segment, shortened.
        segment: String,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A text whose literal parts are not in the normal form of paths ([`NormalPath`]), so that they could match no request, or whose
    /// parameters are written wrongly.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > MAX_TEMPLATE {
            return Err(InvalidTemplate::Long);
        }
        if text.contains('?') {
            return Err(InvalidTemplate::Query { template: excerpt(text) });
        }
        let Some(path) = text.strip_prefix('/') else {
            return Err(InvalidTemplate::Relative { template: excerpt(text) });
        };
        let count = path.split('/').count();
        if count > MAX_SEGMENTS {
            return Err(InvalidTemplate::Segments);
        }
        let segments = path.split('/').enumerate().map(|(at, text)| Segment::parse(text, at + 1 == count));
        let segments: Box<[Segment]> = segments.collect::<Result<_, _>>()?;
        let template = Self { segments };
        template.check_parameters()?;
        Ok(template)
    }

    /// Its segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Names of its parameters, in the order of the path.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Whether it matches every path from the root.
    pub fn is_everything(&self) -> bool {
        matches!(&*self.segments, [Segment::Rest(_)])
    }

    /// Whether a literal segment has parameters (`;`), which some configurations refuse.
    pub fn has_path_parameters(&self) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Literal(text) => text.contains(';') || text.contains("%3B"),
            Segment::Parameter(_) | Segment::Rest(_) => false,
        })
    }

    fn check_parameters(&self) -> Result<(), InvalidTemplate> {
        if self.parameters().count() > MAX_PARAMETERS {
            return Err(InvalidTemplate::Parameters);
        }
        let twice = self.parameters().enumerate().find(|(at, name)| self.parameters().take(*at).any(|it| it == *name));
        twice.map_or(Ok(()), |(_, name)| Err(InvalidTemplate::Twice { name: name.to_owned() }))
    }
}

impl Segment {
    fn parse(text: &str, is_last: bool) -> Result<Self, InvalidTemplate> {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(inner) => match inner.strip_suffix("...") {
                Some(inner) if is_last => name(inner).map(Self::Rest),
                Some(inner) => Err(InvalidTemplate::AfterRest { name: name(inner)?.into() }),
                None => name(inner).map(Self::Parameter),
            },
            None if text.contains(['{', '}']) => Err(InvalidTemplate::Brace { segment: excerpt(text) }),
            None if matches!(text, "*" | "**") => Err(InvalidTemplate::Star { segment: text.to_owned() }),
            None if is_last && text.is_empty() || is_normal(text) => Ok(Self::Literal(text.into())),
            None => Err(InvalidTemplate::NotNormal { segment: excerpt(text) }),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn name(text: &str) -> Result<Box<str>, InvalidTemplate> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_name { Ok(text.into()) } else { Err(InvalidTemplate::Name { name: excerpt(text) }) }
}

/// Whether paths of requests have this segment in exactly this spelling.
fn is_normal(segment: &str) -> bool {
    let path = format!("/{segment}");
    !segment.is_empty() && NormalPath::parse(&path).is_some_and(|parsed| parsed.normal() == path)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::Parameter(name) => write!(f, "/{{{name}}}"),
            Segment::Rest(name) => write!(f, "/{{{name}...}}"),
        })
    }
}
