//! One operation in its text form: `GET /orders/{order}`, `* /static/{file...}`, `grpc shop.Orders/Get`, `grpc shop.Orders/*`.

use std::{fmt, str::FromStr};

use super::template::{InvalidTemplate, Template};
use crate::identity::excerpt;

/// Which requests are the operation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Those with a method and a path.
    Http {
        /// The method.
        method: HttpMethod,
        /// The path.
        template: Template,
    },
    /// Calls of gRPC: `POST /service/method` under one of its content types.
    Grpc {
        /// Full name of the service, such as `shop.Orders`.
        service: Box<str>,
        /// The method.
        method: GrpcMethod,
    },
}

/// HTTP methods an operation is for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HttpMethod {
    /// Every one.
    Any,
    /// One. `GET` is not `HEAD` too.
    Named(Box<str>),
}

/// Methods of a gRPC service an operation is for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GrpcMethod {
    /// Every one that the service has or will have.
    Any,
    /// One.
    Named(Box<str>),
}

/// A text that is no [`Operation`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidOperation {
    /// It is not two words.
    #[error(
        "{text} is not a method and a path with one space between; write GET /orders/{{order}}, or * for any method"
    )]
    Form {
        /// The text, shortened.
        text: String,
    },
    /// The method is none.
    #[error("method {method} is no HTTP method; methods are written in capitals, as GET, or * for any")]
    Method {
        /// The text, shortened.
        method: String,
    },
    /// The path is none.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// A gRPC method is written wrongly.
    #[error("{text} is no gRPC method; write package.Service/Method, or package.Service/* for all of a service")]
    Grpc {
        /// The text, shortened.
        text: String,
    },
}

/// What the text of an operation of gRPC begins with. No HTTP method is written in small letters here.
const GRPC: &str = "grpc";
/// Stands for every method.
const ANY: &str = "*";

impl Operation {
    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, InvalidOperation> {
        match text.split_once(' ') {
            Some((GRPC, call)) => Self::parse_grpc(call),
            _ => Self::parse_http(text),
        }
    }

    /// Reads method and path.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse_http(text: &str) -> Result<Self, InvalidOperation> {
        let words = text.split_once(' ').filter(|(method, path)| !method.is_empty() && !path.contains(' '));
        let Some((method, path)) = words else { return Err(InvalidOperation::Form { text: excerpt(text) }) };
        let method = match method {
            ANY => HttpMethod::Any,
            name if is_http_method(name) => HttpMethod::Named(name.into()),
            _ => return Err(InvalidOperation::Method { method: excerpt(method) }),
        };
        Ok(Self::Http { method, template: Template::parse(path)? })
    }

    /// Reads a gRPC method, without the word in front.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse_grpc(text: &str) -> Result<Self, InvalidOperation> {
        let call = text.split_once('/').and_then(|(service, method)| {
            let method = match method {
                ANY => GrpcMethod::Any,
                name if is_identifier(name) => GrpcMethod::Named(name.into()),
                _ => return None,
            };
            service.split('.').all(is_identifier).then(|| Self::Grpc { service: service.into(), method })
        });
        call.ok_or_else(|| InvalidOperation::Grpc { text: excerpt(text) })
    }

    /// Names of its parameters, in the order of the path.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let template = match self {
            Self::Http { template, .. } => Some(template),
            Self::Grpc { .. } => None,
        };
        template.into_iter().flat_map(Template::parameters)
    }

    /// Whether every request with a path is this operation, unless a more specific one takes it.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Http { method: HttpMethod::Any, template } if template.is_everything())
    }
}

/// A token (RFC 9110 §5.6.2) without small letters: methods are told apart by case (§9.1), and none in use has any.
fn is_http_method(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    text.bytes().all(token)
}

/// An identifier of Protocol Buffers (language specification, "Identifiers").
fn is_identifier(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

impl FromStr for Operation {
    type Err = InvalidOperation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { method: HttpMethod::Any, template } => write!(f, "{ANY} {template}"),
            Self::Http { method: HttpMethod::Named(method), template } => write!(f, "{method} {template}"),
            Self::Grpc { service, method: GrpcMethod::Any } => write!(f, "{GRPC} {service}/{ANY}"),
            Self::Grpc { service, method: GrpcMethod::Named(method) } => write!(f, "{GRPC} {service}/{method}"),
        }
    }
}
