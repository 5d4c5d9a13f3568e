//! Any bytes as an ext_authz CheckRequest: always one well-formed answer, the same from memory, and an allow only for a certified caller.
#![no_main]

use std::sync::LazyLock;

use countersign::grpc::ext_authz::ExtAuthz;
use countersign_fuzz::{CALLERS, NOW, desk};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, check_response::HttpResponse};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

static DOOR: LazyLock<ExtAuthz> = LazyLock::new(|| ExtAuthz::new(desk()));

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = CheckRequest::decode(bytes) else { return };
    let first = DOOR.check_now(&request, NOW);
    let again = DOOR.check_now(&request, NOW);
    assert_eq!(check(&first), check(&again), "an answer from memory is another one");
});

/// The status code of a response, if it is as it must be.
fn check(response: &CheckResponse) -> i32 {
    let status = response.status.as_ref().expect("Envoy takes an absent status for OK");
    let http = response.http_response.as_ref().expect("a body for either verdict");
    let headers = match http {
        HttpResponse::OkResponse(ok) => &ok.headers,
        HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied) => {
            let code = denied.status.as_ref().expect("a status for the client").code;
            assert!((400..600).contains(&code), "denied with {code}");
            &denied.headers
        }
    };
    let allowed = matches!(http, HttpResponse::OkResponse(_));
    assert_eq!(allowed, status.code == 0, "verdict and status agree");
    let caller =
        headers.iter().filter_map(|option| option.header.as_ref()).find(|header| header.key == "x-countersign-caller");
    assert_eq!(caller.is_some(), allowed, "the service hears of a caller if it is called");
    assert!(caller.is_none_or(|header| CALLERS.contains(&header.value.as_str())), "certified by nobody: {caller:?}");
    status.code
}
