//! Requests that come through others: who is behind the caller is asked about like the caller itself, from memory too.

use authz_wire::link;

use super::{
    allow, caller, deny, direct,
    rig::{Rig, get, plan, restored, revoked, verdict},
};
use crate::machine::{Answer, Arrival, Effect, Next, Question, Subject, Wanted};

/// The gateway's certificate is 9; behind it is the workload with certificate `n`.
const GATEWAY: u8 = 9;

/// A GET through the gateway: what Envoy appended tells of `n`, and then of the gateway.
fn through(n: u8, path: &str) -> Vec<(String, Vec<u8>)> {
    let header = format!("By=gw;Hash={n};URI=n{n},By=us;Hash=9;URI=gw");
    get(path).into_iter().chain([("x-forwarded-client-cert".to_owned(), header.into_bytes())]).collect()
}

fn wire(path: &str, n: u8) -> link::Caller {
    let credential = caller(path, n);
    let credential = credential.credential();
    link::Caller {
        spiffe_id: credential.id().as_str().into(),
        digest: credential.digest().as_bytes().to_vec(),
        issuer: credential.issued_by().issuer().into(),
        serial: credential.issued_by().serial().into(),
        not_before_ms: credential.not_before().as_millis(),
        not_after_ms: credential.not_after().as_millis(),
    }
}

/// The sidecar's answer about such a request.
fn behind(mut response: link::DecideResponse, hop: (&str, u8)) -> link::DecideResponse {
    response.chain = Some(link::Chain { hops: vec![wire(hop.0, hop.1)], ..direct() });
    response
}

fn refused(reason: &str) -> link::DecideResponse {
    let mut response = deny("/gw", GATEWAY, 9);
    response.decision.as_mut().unwrap().reason = reason.into();
    response.cacheable = false;
    response
}

fn ask(rig: &mut Rig, stream: u32, headers: Vec<(String, Vec<u8>)>) {
    let (protocol, peer_certificate) = ("HTTP/2".to_owned(), Vec::new());
    let subject = Subject::Request { headers, protocol };
    rig.machine.ask(Question { stream, connection: u64::from(GATEWAY), subject, peer_certificate });
}

/// Asks about a request through the gateway and answers; the request ends at once.
fn learn(rig: &mut Rig, n: u8, path: &str, response: &link::DecideResponse) -> Answer {
    rig.meet(GATEWAY);
    ask(rig, 7000, through(n, path));
    let next = rig.answer(7000, response);
    rig.machine.closed(7000);
    let Next::Answer(answer) = next else { panic!("{next:?}") };
    answer
}

fn recall(rig: &mut Rig, n: u8) -> String {
    let answer = rig.recall_with(GATEWAY, &through(n, "/x"));
    verdict(answer.as_ref())
}

#[test]
fn a_request_through_others_is_answered_from_memory_once_its_chain_is_known() {
    let mut rig = Rig::new();
    learn(&mut rig, 1, "/x", &behind(allow("/gw", GATEWAY, 1), ("/a", 1)));
    assert_eq!(recall(&mut rig, 1), "allow permit /gw");
    assert_eq!(recall(&mut rig, 2), "-", "nobody knows who that is");
    assert_eq!(
        verdict(rig.recall(GATEWAY, "/x").as_ref()),
        "allow permit /gw",
        "the gateway by itself; no policy reads chains"
    );
}

#[test]
fn what_policies_read_of_a_chain_is_in_the_key() {
    let mut rig = Rig::new();
    let plan = link::Plan { reads: vec!["path".into(), "hop-count".into()], ..plan([8; 32]) };
    rig.update(&link::Update { plan: Some(plan), ..Default::default() });
    let reading = Some(super::fixture::whole(&["hop-count", "path"]));
    let under = |response| link::DecideResponse { plan: vec![8; 32], reading: reading.clone(), ..response };
    learn(&mut rig, 1, "/x", &under(behind(allow("/gw", GATEWAY, 1), ("/a", 1))));
    assert_eq!(recall(&mut rig, 1), "allow permit /gw");
    assert_eq!(verdict(rig.recall(GATEWAY, "/x").as_ref()), "-", "one hop is not two");
    learn(&mut rig, 2, "/y", &under(behind(allow("/gw", GATEWAY, 1), ("/b", 2))));
    assert_eq!(recall(&mut rig, 2), "allow permit /gw", "another chain of as many hops");
}

#[test]
fn a_revoked_workload_behind_the_caller_is_not_answered_from_memory_and_others_are() {
    let mut rig = Rig::new();
    learn(&mut rig, 1, "/x", &behind(allow("/gw", GATEWAY, 1), ("/a", 1)));
    learn(&mut rig, 2, "/x", &behind(allow("/gw", GATEWAY, 1), ("/b", 2)));
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    assert_eq!([recall(&mut rig, 1), recall(&mut rig, 2)], ["-", "allow permit /gw"]);
    let answer = learn(&mut rig, 1, "/x", &behind(refused("hop_revoked"), ("/a", 1)));
    assert_eq!(verdict(Some(&answer)), "deny hop_revoked");
    assert_eq!(recall(&mut rig, 1), "-");
    rig.update(&restored(6, "spiffe-id:spiffe://td/a"));
    assert_eq!(recall(&mut rig, 1), "-", "the sidecar says whether it may come through again");
    learn(&mut rig, 1, "/x", &behind(allow("/gw", GATEWAY, 6), ("/a", 1)));
    assert_eq!([recall(&mut rig, 1), recall(&mut rig, 2)], ["allow permit /gw", "allow permit /gw"]);
}

#[test]
fn a_decision_goes_with_whoever_was_behind_it_although_its_key_does_not_name_them() {
    let mut rig = Rig::new();
    learn(&mut rig, 1, "/x", &behind(allow("/gw", GATEWAY, 1), ("/a", 1)));
    // The answer for the other chain is the same decision under the same key.
    learn(&mut rig, 2, "/y", &behind(allow("/gw", GATEWAY, 1), ("/b", 2)));
    assert_eq!(recall(&mut rig, 2), "allow permit /gw");
    rig.update(&restored(5, "spiffe-id:spiffe://td/a"));
    assert_eq!([recall(&mut rig, 1), recall(&mut rig, 2)], ["-", "-"], "it was made for what was said of /a");
    assert_eq!(verdict(rig.recall_with(GATEWAY, &through(2, "/y")).as_ref()), "allow permit /gw");
}

#[test]
fn an_answer_overtaken_by_the_revocation_of_somebody_behind_is_asked_again() {
    let mut rig = Rig::new();
    rig.meet(GATEWAY);
    ask(&mut rig, 1, through(1, "/x"));
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    let next = rig.answer(1, &behind(allow("/gw", GATEWAY, 4), ("/a", 1)));
    assert!(matches!(next, Next::Ask(_)), "{next:?}");
    let Next::Answer(answer) = rig.answer(1, &behind(refused("hop_revoked"), ("/a", 1))) else { panic!() };
    assert_eq!(verdict(Some(&answer)), "deny hop_revoked");
}

#[test]
fn open_requests_of_those_behind_end_with_their_revocation() {
    let mut rig = Rig::new();
    rig.meet(GATEWAY);
    for (stream, n, hop) in [(1, 1, ("/a", 1)), (2, 2, ("/b", 2))] {
        ask(&mut rig, stream, through(n, "/x"));
        rig.answer(stream, &behind(allow("/gw", GATEWAY, 1), hop));
    }
    let headers = through(1, "/x");
    let arrival = Arrival {
        stream: 3,
        connection: u64::from(GATEWAY),
        asked: Wanted::Request { headers: &headers, protocol: "" },
    };
    assert!(matches!(rig.machine.recall(&arrival, rig.at()), Some(Answer::Allow(..))));
    let effects = rig.update(&revoked(5, "path-prefix:spiffe://td/a"));
    let mut cut: Vec<u32> =
        effects.iter().filter_map(|it| if let Effect::Reset(stream, _) = it { Some(*stream) } else { None }).collect();
    cut.sort_unstable();
    assert_eq!(cut, [1, 3]);
}

#[test]
fn another_trust_makes_every_chain_unknown() {
    let mut rig = Rig::new();
    learn(&mut rig, 1, "/x", &behind(allow("/gw", GATEWAY, 1), ("/a", 1)));
    rig.update(&link::Update { plan: Some(plan([8; 32])), ..Default::default() });
    rig.update(&link::Update { plan: Some(plan(super::fixture::PLAN)), ..Default::default() });
    // The gateway alone is verified again; who was behind it may not be any more.
    rig.learn(GATEWAY, "/x", &allow("/gw", GATEWAY, 1));
    assert_eq!(recall(&mut rig, 1), "-");
}

#[test]
fn who_proves_nothing_is_let_in_by_the_sidecar_each_time_and_never_from_memory() {
    let mut rig = Rig::new();
    let mut response = allow("/gw", GATEWAY, 1);
    (response.caller, response.chain, response.cacheable) = (None, None, true);
    response.decision.as_mut().unwrap().reason = "permit_unverified".into();
    assert_eq!(verdict(Some(&rig.learn(1, "/x", &response))), "allow permit_unverified nobody");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn paths_with_parameters_are_not_answered_from_memory_where_they_are_refused() {
    let mut rig = Rig::new();
    let strict = link::Plan { reads: vec!["no-path-parameters".into()], ..plan(super::fixture::PLAN) };
    rig.update(&link::Update { plan: Some(strict), ..Default::default() });
    rig.renew();
    let unread = link::DecideResponse { reading: Some(link::Reading::default()), ..allow("/a", 1, 1) };
    rig.learn(1, "/x", &unread);
    assert_eq!(verdict(rig.recall(1, "/y").as_ref()), "allow permit /a", "no policy reads the path");
    assert_eq!(verdict(rig.recall(1, "/x;v=1").as_ref()), "-");
}
