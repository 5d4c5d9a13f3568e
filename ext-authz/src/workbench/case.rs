//! A case as it stands in YAML: a request, and what must become of it. It asks nobody.

use std::{net::SocketAddr, time::Duration};

use authz_core::{
    identity::SpiffeId,
    reason::{Class, Reason},
    standing::{Posture, RiskScore},
    time::Timestamp,
};

use super::{
    draft::{Draft, Issued, MadeUp, Source, Workload},
    form::{Form, Section, meant, place},
};
use crate::{
    config::{
        scalar,
        tree::{Entry, Node, Value},
    },
    moment::{self, Moment},
    policy::Position,
};

/// A request and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called, once in its file.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// The request.
    pub request: MadeUp,
    /// What must become of it.
    pub expected: Expectation,
}

/// What must become of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// Whether it passes.
    pub allow: bool,
    /// Why, if that is said.
    pub reason: Option<Reason>,
    /// The policies that determine it, exactly these in any order, if that is said.
    pub policies: Option<Vec<(String, Position)>>,
}

/// Keys that say something of the request in a case; `defaults` have them too.
const OF_REQUEST: [&str; 11] = [
    "caller",
    "unverified",
    "claimed_names",
    "connection",
    "source",
    "destination",
    "sni",
    "hops",
    "hops_complete",
    "at",
    "view_age",
];
/// Keys of the HTTP request.
const OF_HTTP: [&str; 6] = ["method", "path", "host", "scheme", "protocol", "headers"];
/// Keys of a case besides those.
const OF_CASE: [&str; 5] = ["name", "request", "expect", "reason", "policies"];
/// Keys of a caller.
const OF_WORKLOAD: [&str; 5] = ["id", "issued", "lifetime", "risk", "posture"];

/// What all cases of a file have in common.
pub(super) fn defaults(node: &Node, form: &Form) -> Draft {
    let keys = [&OF_REQUEST[..], &OF_HTTP].concat();
    form.section(node, "defaults", &keys).map(|section| draft(&section, Some(&section))).unwrap_or_default()
}

/// A case; nothing, if something is wrong with it, which then was said.
pub(super) fn case(node: &Node, defaults: &Draft, now: Timestamp, form: &Form) -> Option<Case> {
    let section = form.section(node, "a case", &[&OF_CASE[..], &OF_REQUEST].concat())?;
    let request = request(&section, defaults, now, place(node));
    let expected = expectation(&section, place(node));
    let name = section.read("name", scalar::text);
    if section.get("name").is_none() {
        form.complain(place(node), "a case has no name; write name: and what it shows".to_owned());
    }
    Some(Case { name: name?, at: place(node), request: request?, expected: expected? })
}

/// A request alone: a case of which only that counts, or what a case says of it.
pub(super) fn request_alone(node: &Node, now: Timestamp, form: &Form) -> Option<MadeUp> {
    let section = form.section(node, "a case", &[&OF_CASE[..], &OF_REQUEST].concat())?;
    request(&section, &Draft::default(), now, place(node))
}

fn request(section: &Section<'_, '_>, defaults: &Draft, now: Timestamp, at: Position) -> Option<MadeUp> {
    let form = section.form();
    let http = section.get("request").filter(|node| !matches!(node.value, Value::Text(_)));
    let http = http.and_then(|node| form.section(node, "request", &OF_HTTP));
    let mut draft = draft(section, http.as_ref());
    if let Some(line @ Node { value: Value::Text(_), .. }) = section.get("request") {
        let (method, path) = form.parsed(line, "request", request_line)?;
        (draft.method, draft.path) = (Some(method), Some(path));
    }
    if draft.connection == Some(true) && section.get("request").is_some() {
        form.complain(at, "a case asks for a request and for a connection; keep one of them".to_owned());
    }
    let is_named = ["caller", "unverified"].iter().any(|key| section.get(key).is_some());
    if is_named && draft.caller.is_none() && draft.unverified.is_none() {
        // What is wrong with it was said.
        return None;
    }
    draft.or(defaults).complete(now).map_err(|wrong| form.complain(at, wrong)).ok()
}

/// `GET /orders/1?x=y`.
fn request_line(node: &Node) -> Result<(String, String), String> {
    let text = scalar::text(node)?;
    let line = text.split_once(' ').filter(|(method, path)| !method.is_empty() && path.starts_with(['/', '*']));
    let (method, path) = line.ok_or_else(|| {
        format!("is {text:?}; write method and path, such as GET /orders/1, or a section with method: and path:")
    })?;
    Ok((method.to_owned(), path.to_owned()))
}

fn draft(section: &Section<'_, '_>, http: Option<&Section<'_, '_>>) -> Draft {
    let form = section.form();
    let text = |key| http.and_then(|http| http.read(key, scalar::text));
    let headers = http.and_then(|http| http.get("headers")).map(|node| headers(node, form));
    Draft {
        caller: section.get("caller").and_then(|node| workload(node, "caller", form)),
        unverified: section.read("unverified", cause),
        claimed_names: section.list("claimed_names", |node| form.parsed(node, "claimed_names", scalar::text)),
        connection: section.get("connection").and_then(|node| connection(node, form)),
        method: text("method"),
        path: text("path"),
        host: text("host"),
        scheme: text("scheme"),
        protocol: text("protocol"),
        headers: headers.unwrap_or_default(),
        source: section.read("source", |node| source(&scalar::text(node)?)),
        destination: section.read("destination", |node| destination(&scalar::text(node)?)),
        sni: section.read("sni", scalar::text),
        hops: section.list("hops", |node| workload(node, "hops", form)),
        hops_complete: section.read("hops_complete", scalar::boolean),
        at: section.read("at", |node| point(&scalar::text(node)?)),
        view_age: section.read("view_age", age),
    }
}

fn workload(node: &Node, what: &str, form: &Form) -> Option<Workload> {
    if let Value::Map(_) = node.value {
        let section = form.section(node, what, &OF_WORKLOAD)?;
        if section.get("id").is_none() {
            form.complain(place(node), format!("{what} has no id; write id: and a SPIFFE ID"));
        }
        let id = section.read("id", |node| spiffe_id(&scalar::text(node)?));
        let issued = section.read("issued", |node| issued(&scalar::text(node)?));
        let lifetime = section.read("lifetime", |node| length(&scalar::text(node)?));
        let risk = section.read("risk", risk);
        let posture = section.get("posture").and_then(|node| posture(node, form));
        return Some(Workload { id: id?, issued, lifetime, risk, posture });
    }
    form.parsed(node, what, |node| spiffe_id(&scalar::text(node)?)).map(Workload::new)
}

fn risk(node: &Node) -> Result<RiskScore, String> {
    let score = if let Value::Integer(score) = node.value { u32::try_from(score).ok() } else { None };
    let score = score.and_then(|score| RiskScore::new(score).ok());
    score.ok_or_else(|| format!("is {}; write a number from 0 to 100", node.describe()))
}

/// `{ compliant: true, attributes: { os: linux } }`.
fn posture(node: &Node, form: &Form) -> Option<Posture> {
    let section = form.section(node, "posture", &["compliant", "attributes"])?;
    if section.get("compliant").is_none() {
        form.complain(
            place(node),
            "posture does not say whether it complies; write compliant: true or false".to_owned(),
        );
    }
    let compliant = section.read("compliant", scalar::boolean);
    let mut attributes = Vec::new();
    match section.get("attributes").map(|node| (node, &node.value)) {
        Some((_, Value::Map(entries))) => {
            for Entry { key, node, .. } in entries {
                let value = form.parsed(node, &format!("attribute {key}"), scalar::text)?;
                attributes.push((key.as_str().into(), value.into()));
            }
        }
        Some((node, _)) => {
            form.complain(place(node), format!("attributes is {}; write name: value, line by line", node.describe()));
        }
        None => {}
    }
    Posture::new(compliant?, attributes).map_err(|error| form.complain(place(node), error.to_string())).ok()
}

/// Reads the SPIFFE ID of a workload.
pub(super) fn spiffe_id(text: &str) -> Result<SpiffeId, String> {
    let id = SpiffeId::parse(text).map_err(|error| format!("is no SPIFFE ID: {error}"))?;
    if id.is_trust_domain_id() {
        return Err(format!("is {text}, which is a trust domain and no workload; write an ID with a path"));
    }
    Ok(id)
}

/// Reads when a credential was issued: `1h ago`, or a moment.
pub(super) fn issued(text: &str) -> Result<Issued, String> {
    match text.strip_suffix(" ago") {
        Some(age) => length(age).map(Issued::Ago),
        None => point(text).map(Issued::At).map_err(|error| format!("{error}, or as 1h ago")),
    }
}

/// Reads a length of time.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    moment::parse_duration(text).map_err(|remedy| format!("is {text:?}; {remedy}"))
}

/// Reads a point in time.
pub(super) fn point(text: &str) -> Result<Timestamp, String> {
    match moment::parse_moment(text) {
        Ok(Moment::At(moment)) => Ok(moment),
        Ok(Moment::Now) => Err("is now, which makes a case that changes; write it as 2026-11-22T12:00:00Z".to_owned()),
        Err(_) => Err(format!("is {text:?}; write it as 2026-11-22T12:00:00Z")),
    }
}

/// Reads an address with or without a port.
pub(super) fn source(text: &str) -> Result<Source, String> {
    let address = text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse());
    address.map(Source).map_err(|_| format!("is {text:?}; write an IP address, such as 10.0.0.1 or 10.0.0.1:40000"))
}

/// Reads an address with a port.
pub(super) fn destination(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("is {text:?}; write an IP address and a port, such as 10.0.0.1:8443"))
}

/// Reads why a caller proves nothing.
pub(super) fn unverified(text: &str) -> Result<Reason, String> {
    let causes = || Reason::ALL.iter().filter(|reason| reason.class() == Class::Identity).map(|reason| reason.as_str());
    let cause = Reason::parse(text).filter(|reason| reason.class() == Class::Identity);
    cause.ok_or_else(|| match meant(text, causes()) {
        Some(name) => format!("is {text:?}; did you mean {name}?"),
        None => format!("is {text:?}; write one of {}", causes().collect::<Vec<_>>().join(", ")),
    })
}

fn cause(node: &Node) -> Result<Reason, String> {
    unverified(&scalar::text(node)?)
}

fn age(node: &Node) -> Result<Duration, String> {
    match &node.value {
        Value::Integer(0) => Ok(Duration::ZERO),
        Value::Text(text) => length(text),
        _ => Err(format!("is {}; write 0, or a length of time such as 90s", node.describe())),
    }
}

/// `connection: {}`, or true.
fn connection(node: &Node, form: &Form) -> Option<bool> {
    match &node.value {
        Value::Map(_) => form.section(node, "connection", &[]).map(|_| true),
        _ => form.parsed(node, "connection", scalar::boolean),
    }
}

/// Header lines; a list is a header that is sent several times.
fn headers(node: &Node, form: &Form) -> Vec<(String, String)> {
    let Value::Map(entries) = &node.value else {
        form.complain(place(node), format!("headers is {}; write name: value, line by line", node.describe()));
        return Vec::new();
    };
    let mut lines = Vec::new();
    for Entry { line, column, key, node } in entries {
        if !is_header_name(key) {
            let message = format!("header {key:?} is not as Envoy delivers it; write its name in lower case");
            form.complain(super::form::position_of(*line, *column), message);
        }
        let items = if let Value::List(items) = &node.value { items.iter().collect() } else { vec![node] };
        let values = items.into_iter().filter_map(|item| form.parsed(item, &format!("header {key}"), header_value));
        lines.extend(values.map(|value| (key.clone(), value)));
    }
    lines
}

fn header_value(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Text(text) if text.is_empty() => Ok(String::new()),
        _ => scalar::text(node),
    }
}

/// A token of RFC 9110 §5.6.2 in lower case.
pub(super) fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

fn expectation(section: &Section<'_, '_>, at: Position) -> Option<Expectation> {
    let form = section.form();
    if section.get("expect").is_none() {
        form.complain(at, "a case expects nothing; write expect: allow, or expect: deny".to_owned());
    }
    let allow = section.read("expect", allow);
    let reason = section.read("reason", reason);
    let policies =
        section.list("policies", |node| form.parsed(node, "policies", scalar::text).map(|name| (name, place(node))));
    let allow = allow?;
    if let (Some(reason), Some(node)) = (reason, section.get("reason"))
        && (reason.class() == Class::Allow) != allow
    {
        let verdict = if allow { "deny" } else { "allow" };
        form.complain(place(node), format!("reason {reason} is one to {verdict}; make expect say the same"));
    }
    Some(Expectation { allow, reason, policies })
}

fn allow(node: &Node) -> Result<bool, String> {
    match scalar::text(node).as_deref() {
        Ok("allow") => Ok(true),
        Ok("deny") => Ok(false),
        _ => Err(format!("is {}; write allow or deny", node.describe())),
    }
}

fn reason(node: &Node) -> Result<Reason, String> {
    let text = scalar::text(node)?;
    let names = || Reason::ALL.iter().map(|reason| reason.as_str());
    Reason::parse(&text).ok_or_else(|| match meant(&text, names()) {
        Some(name) => format!("is {text:?}; did you mean {name}?"),
        None => format!("is {text:?}; write one of {}", names().collect::<Vec<_>>().join(", ")),
    })
}
