//! The gRPC method that a request names, read from its path; it reads no message.

use super::Http;
use crate::facts::HeaderValue;

/// A gRPC method: `/shop.Orders/Get` is the method `Get` of the service `shop.Orders` (gRPC over HTTP/2, "Requests").
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Grpc<'a> {
    /// With its package.
    pub service: &'a str,
    /// Its simple name.
    pub method: &'a str,
}

impl<'a> Grpc<'a> {
    /// What `http` calls, if its content type is that of gRPC and its path has exactly two segments, both without escapes.
    ///
    /// INVARIANT: of a request whose content type is repeated or no text nothing is read; the gate denies it.
    pub(super) fn of(http: &Http<'a>) -> Option<Self> {
        let HeaderValue::One(kind) = http.headers.one(CONTENT_TYPE) else { return None };
        let path = http.path.as_received();
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '%']);
        (is_grpc(kind) && plain(service) && plain(method)).then_some(Self { service, method })
    }
}

pub(crate) const CONTENT_TYPE: &str = "content-type";

/// `application/grpc`, alone or with a message format (`+proto`) or parameters behind it; gRPC-Web is another protocol.
fn is_grpc(kind: &str) -> bool {
    const GRPC: &str = "application/grpc";
    let (start, rest) = kind.split_at_checked(GRPC.len()).unwrap_or((kind, ""));
    start.eq_ignore_ascii_case(GRPC) && (rest.is_empty() || rest.starts_with(['+', ';']))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn named(kind: Option<&[u8]>, path: &str) -> Option<(String, String)> {
        let lines: Vec<(&str, &[u8])> = kind.into_iter().map(|kind| ("content-type", kind)).collect();
        let http = Http::new("POST", path, "a", "https", "HTTP/2", &lines).ok()?;
        http.grpc().map(|grpc| (grpc.service.to_owned(), grpc.method.to_owned()))
    }

    #[test]
    fn only_what_has_the_content_type_of_grpc_is_grpc() {
        let cases: [(&[u8], bool); 10] = [
            (b"application/grpc", true),
            (b"Application/GRPC", true),
            (b"application/grpc+proto", true),
            (b"application/grpc; charset=utf-8", true),
            (b"application/grpc-web", false),
            (b"application/grpc-web+proto", false),
            (b"application/grp", false),
            (b"application/json", false),
            (b"application/gr\xc3\xa4", false),
            (b"application/grpc\xff", false),
        ];
        for (kind, expected) in cases {
            assert_eq!(named(Some(kind), "/shop.Orders/Get").is_some(), expected, "{kind:?}");
        }
        assert_eq!(named(None, "/shop.Orders/Get"), None);
    }

    #[test]
    fn service_and_method_are_the_two_segments_of_the_path() {
        let cases = [
            ("/shop.Orders/Get", Some(("shop.Orders", "Get"))),
            ("/shop.Orders/Get?a/b", Some(("shop.Orders", "Get"))),
            ("/Orders/Get", Some(("Orders", "Get"))),
            ("/shop.Orders", None),
            ("/shop.Orders/", None),
            ("/a/b/c", None),
            ("/a/b/", None),
            ("/", None),
            ("/shop.Orders/%C3%A4", None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|(service, method)| (service.to_owned(), method.to_owned()));
            assert_eq!(named(Some(b"application/grpc"), path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_two_names_make_the_path(
            service in "[a-z.]{1,4}", method in select(vec!["Get", "a", "a/b", ""]), kind in select(vec!["application/grpc+json", "text/html"]),
        ) {
            let path = format!("/{service}/{method}");
            match named(Some(kind.as_bytes()), &path) {
                Some((service, method)) => prop_assert_eq!(format!("/{service}/{method}"), path),
                None => prop_assert!(kind == "text/html" || method.is_empty() || method.contains('/') || Http::new("POST", &path, "", "", "", &crate::facts::NoHeaders).is_err()),
            }
        }
    }
}
