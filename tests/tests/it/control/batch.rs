//! Many signals in one call: one result for each, in order, whatever becomes of it; and what is too large to be one.

use std::fs;

use countersign::wire::control::submit_result::Result as Outcome;
use countersign::wire::control::{Kind, ListRequest, SubmitRequest, SubmitResult};
use tokio_stream::StreamExt as _;
use tonic::{Code, Streaming};

use super::at_socket;
use crate::listeners::stand::{SERVER, Stand};

const LISTEN: &str = "
control: { policy: [control.cedar] }
";
const POLICIES: &str = "
@id(\"all\") permit(principal is LocalUser, action, resource);
@id(\"not-b\") forbid(principal, action in Action::\"signal\", resource in TrustDomain::\"b.test\");
";

async fn stand() -> Stand {
    let mut stand = Stand::spawn(LISTEN, |authority, dir| {
        authority.issue(SERVER).write(dir, "svid");
        fs::write(dir.join("control.cedar"), POLICIES).unwrap();
    });
    stand.sidecar.until_ready().await;
    stand
}

fn revoke(scope: String) -> SubmitRequest {
    SubmitRequest { kind: Kind::Revoke.into(), scope, why: "batch".into(), ..SubmitRequest::default() }
}

async fn results(mut stream: Streaming<SubmitResult>, mut each: impl FnMut(u64, Outcome)) -> u64 {
    let mut expected = 0;
    while let Some(SubmitResult { position, result }) = stream.message().await.unwrap() {
        expected += 1;
        assert_eq!(position, expected, "one result for each, in order");
        each(position, result.unwrap());
    }
    expected
}

#[tokio::test]
async fn a_hundred_thousand_signals_are_taken_in_order_each_with_its_own_result() {
    const COUNT: u64 = 100_000;
    let stand = stand().await;
    let mut client = at_socket(stand.dir.path()).await;
    // Every thousandth is kept out: it is of another trust domain.
    let domain = |n: u64| if n.is_multiple_of(1000) { "b.test" } else { "a.test" };
    let requests =
        tokio_stream::iter(1..=COUNT).map(move |n| revoke(format!("spiffe-id:spiffe://{}/w/{n}", domain(n))));
    let stream = client.submit_batch(requests).await.unwrap().into_inner();
    let mut seq = 0;
    let answered = results(stream, |position, result| match result {
        Outcome::Accepted(accepted) => {
            let signal = accepted.signal.unwrap();
            seq += 1;
            assert_eq!((signal.seq, signal.scope), (seq, format!("spiffe-id:spiffe://a.test/w/{position}")));
        }
        Outcome::Refused(refusal) => {
            assert!(position.is_multiple_of(1000), "{position}: {}", refusal.message);
            assert_eq!(refusal.code, Code::PermissionDenied as u32);
        }
    })
    .await;
    assert_eq!((answered, seq), (COUNT, COUNT - 100));
    let last = ListRequest { after_seq: seq - 1, ..ListRequest::default() };
    let shown = client.list(last).await.unwrap().into_inner();
    assert_eq!((shown.head_seq, shown.signals[0].scope.as_str()), (seq, "spiffe-id:spiffe://a.test/w/99999"));
    let line = stand.audited("the batch", |line| line["action"] == "batch").await;
    assert_eq!(line["detail"], "99900 allowed, 100 denied");
    assert_eq!(stand.sidecar.metric("countersign_audit_lost_total", &[]).await, 0.0);
    assert_eq!(stand.sidecar.metric("countersign_revocations", &[]).await, 99_900.0);
}

#[tokio::test]
async fn what_is_wrong_with_one_signal_is_said_of_it_and_stops_no_other() {
    let stand = stand().await;
    let mut client = at_socket(stand.dir.path()).await;
    let good = || revoke("trust-domain:a.test".into());
    let requests = vec![
        good(),
        revoke("planet:mars".into()),
        SubmitRequest { expires_at_ms: Some(1_600_000_000_000), ..good() },
        SubmitRequest { why: "x".repeat(1025), ..good() },
        SubmitRequest { kind: 0, ..good() },
        SubmitRequest { kind: 77, ..good() },
        revoke("trust-domain:b.test".into()),
        SubmitRequest { id: "once".into(), ..good() },
        SubmitRequest { id: "once".into(), ..good() },
        SubmitRequest { id: "once".into(), ..revoke("trust-domain:c.test".into()) },
        good(),
    ];
    let expected: [Option<(Code, &str)>; 11] = [
        None,
        Some((Code::InvalidArgument, "\"planet:mars\" has no known kind")),
        Some((Code::InvalidArgument, "expires_at_ms 1600000000000 is over already")),
        Some((Code::InvalidArgument, "why has 1025 bytes, shorten it to 1024")),
        Some((Code::InvalidArgument, "kind 0 is unknown")),
        Some((Code::InvalidArgument, "kind 77 is unknown")),
        Some((Code::PermissionDenied, "may not revoke trust-domain:b.test")),
        None,
        None,
        Some((Code::AlreadyExists, "already names another signal")),
        None,
    ];
    let stream = client.submit_batch(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let answered =
        results(stream, |position, result| match (result, expected[usize::try_from(position).unwrap() - 1]) {
            (Outcome::Accepted(accepted), None) => assert_eq!(accepted.known, position == 9),
            (Outcome::Refused(refusal), Some((code, words))) => {
                assert_eq!(refusal.code, code as u32, "{position}: {}", refusal.message);
                assert!(refusal.message.contains(words), "{position}: {}", refusal.message);
            }
            (other, expected) => panic!("{position}: {other:?} instead of {expected:?}"),
        })
        .await;
    assert_eq!(answered, 11);
}

#[tokio::test]
async fn a_reason_of_ten_megabytes_is_refused_and_the_sidecar_goes_on() {
    let stand = stand().await;
    let mut client = at_socket(stand.dir.path()).await;
    let huge = SubmitRequest { why: "x".repeat(10 << 20), ..revoke("trust-domain:a.test".into()) };
    let status = client.submit(huge.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("message length too large"), "{status}");
    let requests = vec![revoke("trust-domain:a.test".into()), huge, revoke("trust-domain:c.test".into())];
    let mut stream = client.submit_batch(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert!(matches!(first.result, Some(Outcome::Accepted(_))), "what came before it stands: {first:?}");
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let accepted = client.submit(revoke("trust-domain:c.test".into())).await.unwrap().into_inner();
    assert_eq!(accepted.signal.unwrap().seq, 2, "nothing else was taken");
}
