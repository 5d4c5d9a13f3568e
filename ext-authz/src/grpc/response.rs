//! The one place where a `CheckResponse` is made: status always set, identity header overwritten, clients told little.

use std::{collections::HashMap, sync::Arc};

use authz_core::{
    decision::Verdict,
    facts::Caller,
    reason::{Class, Reason},
};
use envoy_types::pb::{
    envoy::{
        config::core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
        service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse},
        r#type::v3::HttpStatus,
    },
    google::{
        protobuf::{BoolValue, ListValue, Struct, Value, value::Kind},
        rpc::Status,
    },
};
use tonic::Code;

use super::desk::Answered;
use crate::{check::Outcome, degraded::Standing};

/// Tells the service who calls. Set on every allowed request, over whatever the client sent.
pub const CALLER_HEADER: &str = "x-countersign-caller";
/// Tells the client which decision to ask its operator about.
pub const DECISION_HEADER: &str = "x-countersign-decision-id";

/// The answer to one check; `to_grpc` says that the client speaks gRPC.
pub fn check_response(answered: &Answered, to_grpc: bool) -> CheckResponse {
    let outcome = &answered.outcome;
    let decision = &outcome.decision;
    let http = match (decision.verdict, decision.reason.class()) {
        (Verdict::Allow, _) => HttpResponse::OkResponse(admission(answered.caller())),
        (_, Class::Error) => HttpResponse::ErrorResponse(denial(outcome, to_grpc)),
        (_, _) => HttpResponse::DeniedResponse(denial(outcome, to_grpc)),
    };
    CheckResponse {
        status: Some(status(decision.reason)),
        dynamic_metadata: Some(metadata(answered)),
        http_response: Some(http),
    }
}

/// An absent status would read as OK to Envoy (its default code is 0, which allows).
fn status(reason: Reason) -> Status {
    let code = match reason.class() {
        Class::Allow => Code::Ok,
        Class::Error => Code::Unavailable,
        Class::Identity => Code::Unauthenticated,
        Class::Policy | Class::Request | Class::Revocation => Code::PermissionDenied,
    };
    Status { code: code as i32, message: reason.as_str().to_owned(), details: Vec::new() }
}

/// Where nobody is proven, nobody is named, not even by the client.
fn admission(caller: Option<&Arc<Caller>>) -> OkHttpResponse {
    let remove = [caller.is_none().then_some(CALLER_HEADER), Some(DECISION_HEADER)];
    OkHttpResponse {
        headers: caller.map(|caller| header(CALLER_HEADER, caller.credential().id().as_str())).into_iter().collect(),
        headers_to_remove: remove.into_iter().flatten().map(ToOwned::to_owned).collect(),
        ..OkHttpResponse::default()
    }
}

fn denial(outcome: &Outcome, to_grpc: bool) -> DeniedHttpResponse {
    let id = outcome.decision.id.to_string();
    let reason = outcome.decision.reason;
    let code = if to_grpc { reason.http_status_for_grpc() } else { reason.http_status() };
    DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(code) }),
        body: denial_body(&id),
        headers: vec![header(DECISION_HEADER, &id), header("content-type", "application/json")],
    }
}

/// What a denied client reads: that it was denied and what to quote, never why.
fn denial_body(decision_id: &str) -> String {
    format!("{{\"error\":\"denied\",\"decision_id\":\"{decision_id}\"}}\n")
}

/// Both ways of saying "overwrite": older Envoys read only `append`, newer ones would append a copy without it.
fn header(key: &str, value: &str) -> HeaderValueOption {
    #[expect(deprecated, reason = "older Envoys read nothing else")]
    HeaderValueOption {
        header: Some(HeaderValue { key: key.to_owned(), value: value.to_owned(), ..HeaderValue::default() }),
        append: Some(BoolValue { value: false }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        keep_empty_value: false,
    }
}

/// Milliseconds; null if the view was never whole in this process.
fn view_age(standing: Standing) -> Value {
    let millis = standing.view_age.map(|age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX));
    value(millis.map_or(Kind::NullValue(0), |millis| Kind::NumberValue(millis.into())))
}

/// For access logs and later filters, under `envoy.filters.http.ext_authz`.
fn metadata(answered: &Answered) -> Struct {
    let outcome = &answered.outcome;
    let decision = &outcome.decision;
    let policies = decision.policies.iter().map(|name| text(name)).collect();
    let mut fields = HashMap::from([
        ("decision_id".to_owned(), text(&decision.id.to_string())),
        ("verdict".to_owned(), text(decision.verdict.as_str())),
        ("reason".to_owned(), text(decision.reason.as_str())),
        ("source".to_owned(), text(outcome.source.as_str())),
        ("policies".to_owned(), value(Kind::ListValue(ListValue { values: policies }))),
        ("view_age_ms".to_owned(), view_age(outcome.standing)),
    ]);
    if let Some(condition) = outcome.standing.condition() {
        fields.insert("degraded".to_owned(), text(condition.as_str()));
    }
    match &answered.identity {
        Ok(identified) => {
            let (caller, chain) = (identified.caller(), identified.chain());
            fields.insert("caller".to_owned(), text(caller.credential().id().as_str()));
            fields.insert(
                "hops".to_owned(),
                value(Kind::NumberValue(f64::from(u32::try_from(chain.count()).unwrap_or(u32::MAX)))),
            );
            fields.insert("trust_reaches".to_owned(), text(chain.reach().as_str()));
            if let Some(origin) = chain.origin(caller) {
                fields.insert("origin".to_owned(), text(origin.as_str()));
            }
        }
        Err(refusal) => drop(fields.insert("unverified".to_owned(), text(refusal.reason().as_str()))),
    }
    Struct { fields }
}

fn text(content: &str) -> Value {
    value(Kind::StringValue(content.to_owned()))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use authz_core::{
        decision::{Decision, DecisionId},
        signal::Seq,
    };

    use super::*;
    use crate::{check::Source, identity::Refusal};

    fn answer(reason: Reason) -> CheckResponse {
        let decision = match reason.class() {
            Class::Allow => Decision::allow(DecisionId(7), Arc::from([]), authz_core::time::Timestamp::NEVER),
            _ => Decision::refuse(DecisionId(7), reason),
        };
        let identity = Err(Refusal::new(Reason::CertificateMissing, "of a test"));
        let outcome = Outcome {
            decision: Arc::new(decision),
            source: Source::Gate,
            seq: Seq(0),
            policy: None,
            action: None,
            reading: None,
            revoked: None,
            standing: Standing::FINE,
        };
        check_response(&Answered { outcome, identity }, false)
    }

    #[test]
    fn every_reason_but_permit_denies_in_status_and_in_http() {
        for reason in Reason::ALL {
            let response = answer(*reason);
            let allowed = response.status.clone().unwrap().code == 0;
            assert_eq!(allowed, reason.class() == Class::Allow, "{reason}");
            assert_eq!(matches!(response.http_response, Some(HttpResponse::OkResponse(_))), allowed, "{reason}");
        }
    }

    #[test]
    fn every_header_says_overwrite_in_both_dialects() {
        for reason in [Reason::Permit, Reason::Revoked, Reason::NotReady] {
            let headers = match answer(reason).http_response.unwrap() {
                HttpResponse::OkResponse(ok) => ok.headers,
                HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied) => denied.headers,
            };
            for option in headers {
                #[expect(deprecated, reason = "older Envoys read nothing else")]
                let append = option.append.unwrap().value;
                assert!(!append);
                assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
            }
        }
    }

    #[test]
    fn the_client_never_reads_the_reason() {
        for reason in Reason::ALL.iter().filter(|reason| reason.class() != Class::Allow) {
            let (HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied)) =
                answer(*reason).http_response.unwrap()
            else {
                panic!("{reason} allowed")
            };
            let headers = format!("{:?}", denied.headers);
            assert!(!denied.body.contains(reason.as_str()) && !headers.contains(reason.as_str()), "{reason}");
        }
    }
}
