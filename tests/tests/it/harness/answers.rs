//! What a real Envoy makes of an authorizer's answer: headers for the service, denials, metadata in the access log.

use countersign_tests::authorizer::status;
use countersign_tests::client::{Protocol, request, with_header};
use countersign_tests::upstream::echoed_header;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, OkHttpResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{BoolValue, Struct, Value};
use http::StatusCode;

use super::hop::Hop;

#[tokio::test]
async fn a_header_of_the_authorizer_replaces_all_the_client_sent_unless_append_is_set() {
    let hop = Hop::start().await;
    let wanted = with_header(with_header(request("/"), "x-id", b"forged"), "x-id", b"twice");
    let append_action = [
        HeaderAppendAction::OverwriteIfExistsOrAdd,
        HeaderAppendAction::AppendIfExistsOrAdd,
        HeaderAppendAction::AddIfAbsent,
    ];
    // Envoy 1.40 looks at `append` alone. Others look at `append_action` too: what we send sets both.
    let cases = [(None, vec!["ours"]), (Some(false), vec!["ours"]), (Some(true), vec!["forged,ours", "twice"])];
    for protocol in Protocol::ALL {
        let mut connection = hop.client().connect(protocol).await.unwrap();
        for ((append, seen), action) in cases.iter().flat_map(|case| append_action.map(|action| (case, action))) {
            hop.authorizer.answer(allow_with_header(*append, action));
            let reply = connection.send(wanted.clone()).await.unwrap();
            assert_eq!(&echoed_header(&reply.json(), "x-id"), seen, "append {append:?}, {action:?}, {protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_denial_is_told_apart_from_a_failure_in_the_access_log_and_carries_its_metadata() {
    let hop = Hop::start().await;
    let reason = Value { kind: Some(Kind::StringValue("revoked".to_owned())) };
    let metadata = Struct { fields: [("reason".to_owned(), reason)].into() };
    for (code, response_code, details) in [(0, 200, "via_upstream"), (PERMISSION_DENIED, 403, "ext_authz_denied")] {
        hop.authorizer.answer(CheckResponse { dynamic_metadata: Some(metadata.clone()), ..status(code) });
        let reply = hop.client().get(Protocol::Http2, &format!("/code-{code}?secret=1")).await.unwrap();
        assert_eq!(reply.status.as_u16(), response_code);
        let entry = hop.envoy.logged("the request", |entry| entry["path"] == format!("/code-{code}")).await;
        assert_eq!(entry["response_code"], response_code);
        assert_eq!(entry["response_code_details"], details);
        assert_eq!(entry["ext_authz"]["reason"], "revoked", "{entry}");
        assert_eq!(entry["caller"], "spiffe://demo.test/caller");
        assert_eq!(entry["caller_sha256"], hop.caller.digest());
    }
    assert_eq!(hop.upstream.requests(), 1);
}

#[tokio::test]
async fn an_answer_without_status_would_allow() {
    let hop = Hop::start().await;
    hop.authorizer.answer(CheckResponse::default());
    assert_eq!(hop.client().get(Protocol::Http2, "/").await.unwrap().status, StatusCode::OK);
}

fn allow_with_header(append: Option<bool>, action: HeaderAppendAction) -> CheckResponse {
    #[allow(deprecated, reason = "`append` is what some Envoys look at first")]
    let option = HeaderValueOption {
        header: Some(HeaderValue { key: "x-id".to_owned(), value: "ours".to_owned(), ..Default::default() }),
        append: append.map(|value| BoolValue { value }),
        append_action: action.into(),
        ..Default::default()
    };
    let ok = OkHttpResponse { headers: vec![option], ..Default::default() };
    CheckResponse { http_response: Some(HttpResponse::OkResponse(ok)), ..status(0) }
}

const PERMISSION_DENIED: i32 = 7;
