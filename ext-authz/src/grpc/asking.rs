//! The other side of `ext_authz`: asks a sidecar as Envoy does, and reads what it answers. It decides nothing and connects to nobody.

use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            Address, HeaderMap, HeaderValue, SocketAddress, address::Address as AddressKind,
            socket_address::PortSpecifier,
        },
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse,
            attribute_context::{HttpRequest, Peer, Request, TlsSession},
            authorization_client::AuthorizationClient,
        },
    },
    google::protobuf::{Struct, Value, value::Kind},
};
use serde::Serialize;
use tonic::{Status, transport::Channel};

use crate::workbench::{Draft, Source};

/// What the caller shows of itself, in the forms that Envoy gives it.
#[derive(Clone, Default, Debug)]
pub struct Shown {
    /// The leaf as percent-encoded PEM; empty, if it shows none.
    pub leaf: String,
    /// `x-forwarded-client-cert`, if there is more than the leaf.
    pub forwarded: Option<String>,
}

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Answer {
    /// `allow` or `deny`.
    pub verdict: String,
    /// The reason, as audit and metrics name it.
    pub reason: String,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// By this the audit trail finds it.
    pub decision_id: String,
    /// Which part of the sidecar gave it: `gate`, `cache` or `policy`.
    pub source: String,
    /// Whom the certificate proves, if it does.
    pub caller: Option<String>,
    /// Why it proves nothing, if so.
    pub unverified: Option<String>,
    /// How old the sidecar's knowledge of revocations is, in milliseconds, if it has any.
    pub view_age_ms: Option<f64>,
    /// What is wrong with that knowledge.
    pub degraded: Option<String>,
}

/// Asks; nothing, if what answers is no Countersign.
///
/// # Errors
/// That there is no answer.
pub async fn ask(channel: Channel, draft: &Draft, shown: Shown) -> Result<Option<Answer>, Status> {
    let response = AuthorizationClient::new(channel).check(question(draft, shown)).await?;
    Ok(Answer::of(&response.into_inner()))
}

impl Answer {
    /// Nothing, if it is not of a Countersign.
    fn of(response: &CheckResponse) -> Option<Self> {
        let fields = response.dynamic_metadata.as_ref()?;
        Some(Self {
            verdict: text(fields, "verdict")?,
            reason: text(fields, "reason")?,
            policies: match kind(fields, "policies") {
                Some(Kind::ListValue(list)) => list.values.iter().filter_map(as_text).collect(),
                _ => Vec::new(),
            },
            decision_id: text(fields, "decision_id")?,
            source: text(fields, "source")?,
            caller: text(fields, "caller"),
            unverified: text(fields, "unverified"),
            view_age_ms: if let Some(Kind::NumberValue(age)) = kind(fields, "view_age_ms") { Some(*age) } else { None },
            degraded: text(fields, "degraded"),
        })
    }
}

/// The question as Envoy asks it.
fn question(draft: &Draft, shown: Shown) -> CheckRequest {
    let or = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    let forwarded = shown.forwarded.map(|value| ("x-forwarded-client-cert".to_owned(), value));
    let lines = draft.headers.iter().cloned().chain(forwarded);
    let headers =
        lines.map(|(key, value)| HeaderValue { key, raw_value: value.into_bytes(), ..HeaderValue::default() });
    let http = (draft.connection != Some(true)).then(|| HttpRequest {
        method: or(&draft.method, "GET"),
        path: or(&draft.path, "/"),
        host: or(&draft.host, "service.test"),
        scheme: or(&draft.scheme, "https"),
        protocol: or(&draft.protocol, "HTTP/2"),
        header_map: Some(HeaderMap { headers: headers.collect() }),
        ..HttpRequest::default()
    });
    let source = draft.source.map(|Source(ip)| address(ip.to_string(), 0));
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { address: source, certificate: shown.leaf, ..Peer::default() }),
            destination: draft
                .destination
                .map(|to| Peer { address: Some(address(to.ip().to_string(), to.port())), ..Peer::default() }),
            request: http.map(|http| Request { http: Some(http), ..Request::default() }),
            tls_session: draft.sni.clone().map(|sni| TlsSession { sni }),
            ..AttributeContext::default()
        }),
    }
}

fn address(address: String, port: u16) -> Address {
    let port_specifier = Some(PortSpecifier::PortValue(port.into()));
    Address {
        address: Some(AddressKind::SocketAddress(SocketAddress {
            address,
            port_specifier,
            ..SocketAddress::default()
        })),
    }
}

fn kind<'s>(fields: &'s Struct, name: &str) -> Option<&'s Kind> {
    fields.fields.get(name)?.kind.as_ref()
}

fn text(fields: &Struct, name: &str) -> Option<String> {
    as_text(fields.fields.get(name)?)
}

fn as_text(value: &Value) -> Option<String> {
    if let Some(Kind::StringValue(text)) = &value.kind { Some(text.clone()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_no_verdict_is_no_answer_of_ours() {
        assert_eq!(Answer::of(&CheckResponse::default()), None);
        let fields = [("verdict", "allow"), ("reason", "permit"), ("decision_id", "a")];
        let fields =
            fields.map(|(name, text)| (name.to_owned(), Value { kind: Some(Kind::StringValue(text.to_owned())) }));
        let metadata = Struct { fields: fields.into_iter().collect() };
        assert_eq!(Answer::of(&CheckResponse { dynamic_metadata: Some(metadata), ..CheckResponse::default() }), None);
    }

    #[test]
    fn only_a_request_has_http_and_only_what_is_said_is_there() {
        let of = |connection| {
            question(&Draft { connection: Some(connection), ..Draft::default() }, Shown::default()).attributes.unwrap()
        };
        assert!(of(false).request.is_some() && of(true).request.is_none());
        assert!(of(false).destination.is_none() && of(false).tls_session.is_none());
        assert!(of(false).source.unwrap().address.is_none());
    }
}
