//! What one line of the audit trail says; tokens, query strings and header values never enter it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use authz_core::{
    decision::{Decision, Verdict},
    facts::Caller,
    identity::SpiffeId,
    plan::PolicyDigest,
    reason::Reason,
    signal::{Action, Outcome, Seq, Signal},
    standing::Posture,
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{check::Source, degraded::Standing, identity::Identified, metrics::Mode};

/// One line.
pub enum Record {
    /// Something besides a signal changed what is decided, or was refused.
    Change(Change),
    /// The control API was used, or was not let be used.
    Control(ControlRecord),
    /// One request decided by the sidecar.
    Decision(DecisionRecord),
    /// Requests answered by a filter from memory.
    Hits(HitsRecord),
    /// Denials a filter made without its sidecar.
    Local(LocalRecord),
    /// A signal was accepted.
    Signal(SignalRecord),
}

/// A new policy set, bundle set or SVID of our own, or a log that somebody put there.
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// `policy`, `bundle`, `log`, `svid` or `degraded`.
    pub what: &'static str,
    /// `accepted`, `refused`, `entered`, `left`, or `withdrawn` for what its source took back.
    pub result: &'static str,
    /// Digest or the like, or what is wrong.
    pub detail: String,
}

/// One use of the control API; a batch is one, and each of its signals that was not let in is another.
#[derive(Default)]
pub struct ControlRecord {
    /// When.
    pub at: Timestamp,
    /// What the connection proves of who asked, and beside it what that says of itself.
    pub who: String,
    /// A name of `policy::control::ControlAction`, `batch`, or `unknown` for what could not be understood.
    pub action: &'static str,
    /// What it was about.
    pub scope: Option<String>,
    /// A name of `control::UseResult`.
    pub result: &'static str,
    /// The control policies that determined it.
    pub policies: Vec<Arc<str>>,
    /// Where it stands in the log.
    pub seq: Option<Seq>,
    /// The name of the signal.
    pub id: Option<String>,
    /// Why, in the sender's words.
    pub why: String,
    /// What was wrong, or how much there was.
    pub detail: String,
}

/// One request decided by the sidecar.
pub struct DecisionRecord {
    /// When.
    pub at: Timestamp,
    /// By which door it came.
    pub mode: Mode,
    /// What was decided.
    pub decision: Arc<Decision>,
    /// Which part gave the answer.
    pub source: Source,
    /// The verified caller and who is behind it.
    pub identified: Option<Identified>,
    /// What there is instead of one.
    pub unverified: Option<Box<UnverifiedRecord>>,
    /// The revoked scope, where that is the reason.
    pub revoked: Option<String>,
    /// Position in the log.
    pub seq: Seq,
    /// Policy set.
    pub policy: Option<PolicyDigest>,
    /// Service asked for.
    pub service: Arc<str>,
    /// Method, path without query and host, as received.
    pub request: RequestLine,
    /// The action of its operation, where there are operations.
    pub action: Option<Arc<str>>,
    /// Address of the other end.
    pub source_ip: Option<IpAddr>,
    /// Address it connected to, where that is known.
    pub destination: Option<SocketAddr>,
}

/// A caller that proved nothing.
pub struct UnverifiedRecord {
    /// Why; also where a policy let it in all the same.
    pub cause: Reason,
    /// The SPIFFE ID that its certificate claims.
    pub claimed: Option<SpiffeId>,
    /// The URI and DNS names in it.
    pub names: Vec<String>,
    /// What exactly is wrong, for operators.
    pub detail: String,
}

/// What of a request is kept.
#[derive(Default)]
pub struct RequestLine {
    /// `:method`.
    pub method: String,
    /// `:path` without query.
    pub path: String,
    /// `:authority`.
    pub host: String,
    /// `x-request-id`; the client's word, for correlation only.
    pub request_id: String,
}

impl RequestLine {
    /// Cuts the query off `target` and every part at a bound, so that no client fills the trail.
    pub fn new(method: &str, target: &str, host: &str, request_id: &[u8]) -> Self {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        Self {
            method: cut(method, 32),
            path: cut(path, 1024),
            host: cut(host, 256),
            request_id: cut(&String::from_utf8_lossy(request_id), 128),
        }
    }
}

/// The first `longest` bytes, less what would split a character.
fn cut(text: &str, longest: usize) -> String {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// Requests a filter answered from memory since its last report.
pub struct HitsRecord {
    /// When the last of them was answered, by the filter's clock.
    pub at: Timestamp,
    /// The evaluation they share, hex.
    pub decision_id: String,
    /// How many.
    pub count: u64,
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// SPIFFE ID of the caller.
    pub caller: String,
    /// Which filter VM.
    pub filter: String,
    /// The number of its report: together with the VM it tells a count that is in the trail twice, once by each of two
    /// runs of the sidecar, if the first did not live to confirm it.
    pub report: u64,
    /// Whether the last of them were answered while the filter did not hear us.
    pub link_lost: bool,
}

/// Denials a filter made on its own.
pub struct LocalRecord {
    /// When it was reported.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Which filter VM.
    pub filter: String,
    /// The number of its report, as in [`HitsRecord`].
    pub report: u64,
}

/// An accepted signal.
pub struct SignalRecord {
    /// Position in the log.
    pub seq: Seq,
    /// The signal.
    pub signal: Signal,
    /// What it changed.
    pub outcome: Outcome,
}

impl Record {
    /// Appends the record as one JSON line.
    pub fn write_line(&self, line: &mut Vec<u8>) -> io::Result<()> {
        let value = match self {
            Self::Change(it) => json!({
                "kind": it.what, "time": rfc3339(it.at), "result": it.result, "detail": it.detail,
            }),
            Self::Control(it) => it.as_json(),
            Self::Decision(it) => return it.write_line(line),
            Self::Hits(it) => json!({
                "kind": "filter_hits", "time": rfc3339(it.at), "decision_id": it.decision_id, "count": it.count,
                "verdict": it.verdict.as_str(), "reason": it.reason, "caller": it.caller, "filter": it.filter,
                "report": it.report, "link_lost": it.link_lost,
            }),
            Self::Local(it) => json!({
                "kind": "filter_local", "time": rfc3339(it.at), "verdict": "deny", "reason": it.reason,
                "count": it.count, "filter": it.filter, "report": it.report,
            }),
            Self::Signal(it) => it.as_json(),
        };
        write_value(&value, line)
    }
}

/// Adds to a line that it was written in a degraded state, which one and what was done about it.
pub(super) fn add_standing(line: &mut Vec<u8>, standing: &Standing) {
    let Some(((condition, conduct), end)) = standing.trouble.zip(line.strip_suffix(b"}\n").map(<[u8]>::len)) else {
        return;
    };
    let view_age_ms = standing.view_age.map_or_else(|| "null".to_owned(), |age| age.as_millis().to_string());
    let (condition, conduct) = (condition.as_str(), conduct.as_str());
    line.truncate(end);
    line.extend_from_slice(
        format!(",\"degraded\":\"{condition}\",\"conduct\":\"{conduct}\",\"view_age_ms\":{view_age_ms}}}\n").as_bytes(),
    );
}

fn write_value(value: &impl Serialize, line: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    Ok(())
}

/// The fields of a decision in the order in which people read them.
#[derive(Serialize)]
struct DecisionLine<'a> {
    kind: &'static str,
    time: String,
    decision_id: String,
    verdict: &'static str,
    reason: &'static str,
    class: &'static str,
    mode: &'static str,
    source: &'static str,
    caller: Option<&'a str>,
    certificate: Option<String>,
    serial: Option<String>,
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<Vec<HopLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_reaches: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    claimed_names: &'a [String],
    service: &'a str,
    method: &'a str,
    path: &'a str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    source_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<SocketAddr>,
    #[serde(serialize_with = "names")]
    policies: &'a [Arc<str>],
    policy_digest: Option<String>,
    seq: u64,
    revoked: Option<&'a str>,
    detail: Option<&'a str>,
    request_id: &'a str,
}

/// One workload behind the caller.
#[derive(Serialize)]
struct HopLine<'a> {
    id: &'a str,
    certificate: String,
}

impl<'a> From<&'a Arc<Caller>> for HopLine<'a> {
    fn from(hop: &'a Arc<Caller>) -> Self {
        Self { id: hop.credential().id().as_str(), certificate: hop.credential().digest().to_string() }
    }
}

impl DecisionRecord {
    fn write_line(&self, line: &mut Vec<u8>) -> io::Result<()> {
        let identified = self.identified.as_ref();
        let credential = identified.map(|it| it.caller().credential());
        // Nothing is said of chains where nobody stands behind the caller and nobody is claimed to.
        let chain = identified.map(Identified::chain).filter(|it| !it.hops().is_empty() || !it.is_complete());
        let unverified = self.unverified.as_deref();
        let out = DecisionLine {
            kind: "decision",
            time: rfc3339(self.at),
            decision_id: self.decision.id.to_string(),
            verdict: self.decision.verdict.as_str(),
            reason: self.decision.reason.as_str(),
            class: self.decision.reason.class().as_str(),
            mode: self.mode.as_str(),
            source: self.source.as_str(),
            caller: credential.map(|it| it.id().as_str()),
            certificate: credential.map(|it| it.digest().to_string()),
            serial: credential.map(|it| it.issued_by().to_string()),
            not_after: credential.map(|it| rfc3339(it.not_after())),
            hops: chain.map(|chain| chain.hops().iter().map(HopLine::from).collect()),
            origin: chain.zip(identified).and_then(|(chain, it)| chain.origin(it.caller())).map(SpiffeId::as_str),
            trust_reaches: chain.map(|chain| chain.reach().as_str()),
            unverified: unverified.map(|it| it.cause.as_str()),
            claimed_names: unverified.map_or(&[], |it| &it.names),
            claimed_id: unverified.and_then(|it| it.claimed.as_ref()).map(SpiffeId::as_str),
            service: &self.service,
            method: &self.request.method,
            path: &self.request.path,
            host: &self.request.host,
            action: self.action.as_deref(),
            source_ip: self.source_ip,
            destination: self.destination,
            policies: &self.decision.policies,
            policy_digest: self.policy.map(|digest| digest.to_string()),
            seq: self.seq.0,
            revoked: self.revoked.as_deref(),
            detail: unverified.map(|it| it.detail.as_str()),
            request_id: &self.request.request_id,
        };
        write_value(&out, line)
    }
}

impl ControlRecord {
    fn as_json(&self) -> serde_json::Value {
        let Self { at, who, action, scope, result, policies, seq, id, why, detail } = self;
        let policies: Vec<&str> = policies.iter().map(|name| &**name).collect();
        json!({
            "kind": "control", "time": rfc3339(*at), "who": who, "action": action, "scope": scope, "result": result,
            "policies": policies, "seq": seq.map(|seq| seq.0), "id": id, "why": why, "detail": detail,
        })
    }
}

impl SignalRecord {
    fn as_json(&self) -> serde_json::Value {
        let Signal { id, scope, action, who, why, source, at, event_at } = &self.signal;
        let bound = |moment: Timestamp| (moment != Timestamp::NEVER).then(|| rfc3339(moment));
        let (issued_before, expires_at) = match action {
            Action::Restore => (None, None),
            Action::Revoke(mark) => (bound(mark.issued_before), bound(mark.expires_at)),
            Action::Posture(_, expires_at) | Action::Risk(_, expires_at) => (None, bound(*expires_at)),
        };
        let (risk, posture) = match action {
            Action::Risk(score, _) => (Some(score.get()), None),
            Action::Posture(posture, _) => (None, Some(&**posture)),
            Action::Restore | Action::Revoke(_) => (None, None),
        };
        let attributes = |posture: &Posture| -> serde_json::Map<String, serde_json::Value> {
            posture.attributes().iter().map(|(name, value)| (name.to_string(), json!(**value))).collect()
        };
        json!({
            "kind": "signal", "time": rfc3339(*at), "seq": self.seq.0, "id": &**id, "action": action.as_str(),
            "scope": scope.to_string(), "who": &**who, "why": &**why,
            "issued_before": issued_before, "expires_at": expires_at, "source": &**source,
            "event_at": event_at.map(rfc3339), "risk": risk, "compliant": posture.map(Posture::is_compliant),
            "attributes": posture.map(attributes), "outcome": self.outcome.as_str(),
        })
    }
}

fn names<S: Serializer>(policies: &&[Arc<str>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(policies.iter().map(|name| &**name))
}

/// RFC 3339 in UTC with milliseconds; the bare number where it does not fit a calendar.
fn rfc3339(moment: Timestamp) -> String {
    let nanos = i128::from(moment.as_millis()).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_else(|| moment.as_millis().to_string())
}
