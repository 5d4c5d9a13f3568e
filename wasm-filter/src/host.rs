//! Every call to the proxy, each with its errors made harmless. It decides nothing, and nobody may hold the machine
//! while calling it: Envoy may call back before it returns.
//!
//! The SDK panics on any status it does not list; those named in the ABI for these calls are listed.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, UNIX_EPOCH},
};

use authz_core::{reason::Reason, time::Timestamp};
use proxy_wasm::{
    hostcalls,
    types::{BufferType, LogLevel, MapType, MetricType},
};

use crate::{
    config::Config,
    machine::{Change, Identity, Metric, Note, Peer},
};

/// The header that tells the service who calls.
const CALLER: &str = "x-countersign-caller";
/// The header that tells the client under which ID the refusal is in the audit log.
const DECISION_ID: &str = "x-countersign-decision-id";

/// The wall clock.
pub fn now() -> Timestamp {
    let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp::from_millis(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// All header lines of the request, as bytes: a value that is no UTF-8 must not crash the VM.
pub fn request_headers() -> Option<Vec<(String, Vec<u8>)>> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).ok()
}

/// Envoy's number of the connection: eight bytes, little-endian.
pub fn connection_id() -> Option<u64> {
    property(&["connection", "id"]).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}

/// The other end of the connection.
pub fn peer() -> Peer {
    Peer::from_properties(
        property(&["connection", "sha256_peer_certificate_digest"]).as_deref(),
        property(&["connection", "requested_server_name"]).as_deref(),
        property(&["source", "address"]).as_deref(),
        property(&["destination", "address"]).as_deref(),
    )
}

/// The leaf certificate of the caller as PEM, empty without one.
pub fn peer_certificate() -> Vec<u8> {
    property(&["connection", "peer_certificate"]).unwrap_or_default()
}

/// `HTTP/1.1`, `HTTP/2`, …
pub fn protocol() -> String {
    property(&["request", "protocol"]).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// Removes every line of a request header.
pub fn remove_request_header(name: &str) {
    let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
}

/// Tells the service who calls; replaces every line of that name.
pub fn set_caller(spiffe_id: &str) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, CALLER, Some(spiffe_id.as_bytes()));
}

/// Leaves the decision for the access log: `%FILTER_STATE(wasm.countersign.decision:PLAIN)%`.
pub fn leave(note: &Note) {
    let _ = hostcalls::set_property(vec!["countersign.decision"], Some(note.to_string().as_bytes()));
}

/// Answers the request with a refusal. To a gRPC client Envoy turns it into trailers with the matching status.
pub fn refuse(note: &Note, to_grpc: bool) {
    let id = note.id.to_string();
    let headers = vec![("content-type", "application/json"), (DECISION_ID, &*id)];
    let _ = hostcalls::send_http_response(u32::from(note.status(to_grpc)), headers, Some(note.refusal().as_bytes()));
}

/// Answers the request although there is no machine to judge it.
pub fn refuse_unconfigured(to_grpc: bool) {
    let reason = Reason::Internal;
    let status = if to_grpc { reason.http_status_for_grpc() } else { reason.http_status() };
    let _ = hostcalls::send_http_response(u32::from(status), Vec::new(), None);
}

/// Lets a paused request go on.
pub fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Does something for the context `stream`, unless it is gone. Only from a callback of `root`: the context's own
/// callbacks run for it. The Watch stream belongs to the root, so what follows must be its own doing again.
pub fn on_behalf<T>(root: u32, stream: u32, act: impl FnOnce() -> T) -> Option<T> {
    hostcalls::set_effective_context(stream).ok()?;
    let done = act();
    let _ = hostcalls::set_effective_context(root);
    Some(done)
}

/// Ends the request, and leaves why for the access log.
pub fn reset(note: &Note) {
    leave(note);
    let _ = hostcalls::reset_http_request();
}

/// Lets a held connection go on.
pub fn resume_connection() {
    let _ = hostcalls::resume_downstream();
}

/// Ends the connection once this callback is over, and leaves why for the access log.
pub fn close(note: &Note) {
    leave(note);
    let _ = hostcalls::close_downstream();
}

/// Ends the connection although there is no machine to judge it.
pub fn close_unconfigured() {
    let _ = hostcalls::close_downstream();
}

/// Whether the client has shown that it holds the key of a certificate that Envoy finds valid.
pub fn has_proven_itself() -> bool {
    property(&["connection", "peer_certificate_valid"]).is_some_and(|valid| valid == [1])
        && property(&["connection", "tls_version"]).is_some_and(|version| version == b"TLSv1.3")
}

/// Whether the effective context is of an HTTP request.
pub fn is_http() -> bool {
    property(&["request", "protocol"]).is_some()
}

/// Asks the sidecar; returns the number of the question if it left. The answer comes as `on_grpc_call_response` of the
/// context that is called now, and is dropped by the SDK if that is gone by then.
pub fn decide(Config { cluster, decide_timeout, .. }: &Config, question: &[u8]) -> Option<u32> {
    hostcalls::dispatch_grpc_call(cluster, LINK, "Decide", Vec::new(), Some(question), *decide_timeout).ok()
}

/// Opens the Watch stream.
pub fn open_watch(cluster: &str) -> Option<u32> {
    hostcalls::open_grpc_stream(cluster, LINK, "Watch", Vec::new()).ok()
}

/// Sends on a stream; returns whether it is still there.
pub fn send(stream: u32, message: &[u8]) -> bool {
    hostcalls::send_grpc_stream_message(stream, Some(message), false).is_ok()
}

/// Gives a stream up; nothing more comes from it.
pub fn cancel(stream: u32) {
    let _ = hostcalls::cancel_grpc_stream(stream);
}

/// The message of a gRPC callback.
pub fn grpc_message(size: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, size).ok().flatten().unwrap_or_default()
}

/// The plugin configuration.
pub fn configuration(size: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size).ok().flatten().unwrap_or_default()
}

/// Calls `on_tick` of this root ever so often.
pub fn tick_every(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// Makes a metric known to Envoy.
pub fn define(metric: Metric) -> Option<u32> {
    let kind = if metric.is_gauge() { MetricType::Gauge } else { MetricType::Counter };
    hostcalls::define_metric(kind, metric.name()).ok()
}

/// Tells Envoy how a metric changed.
pub fn tell(metric: u32, change: Change) {
    let _ = match change {
        Change::By(offset) => hostcalls::increment_metric(metric, offset),
        Change::To(value) => hostcalls::record_metric(metric, value),
    };
}

/// A line for the operator that needs no action.
pub fn info(line: &str) {
    let _ = hostcalls::log(LogLevel::Info, line);
}

/// A line somebody should look at.
pub fn warn(line: &str) {
    let _ = hostcalls::log(LogLevel::Warn, line);
}

/// A line that says why nothing works.
pub fn error(line: &str) {
    let _ = hostcalls::log(LogLevel::Error, line);
}

/// Who this VM is. There is no randomness without WASI, so it is put together from what no other VM shares: the time
/// in nanoseconds, a number that the VMs of one Envoy draw from shared data, and the name of the node.
pub fn identity(root: u32) -> Identity {
    let text = |path: &[&str]| property(path).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (node, cluster) = (text(&["xds", "node", "id"]), text(&["xds", "node", "cluster"]));
    let nanos = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut rest = DefaultHasher::new();
    (&node, &cluster, root, draw()).hash(&mut rest);
    let nanos = nanos.map_or(0, |since| since.as_nanos()) & u128::from(u64::MAX);
    let node = if cluster.is_empty() { node } else { format!("{node}/{cluster}") };
    Identity { instance: (nanos << 64 | u128::from(rest.finish())).to_be_bytes(), node }
}

/// A number no other VM of this Envoy drew.
fn draw() -> u64 {
    loop {
        let Ok((value, version)) = hostcalls::get_shared_data(DRAWN) else { return 0 };
        let last = value.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let next = last.wrapping_add(1);
        // Version 0 would overwrite: two VMs that both find nothing may draw the same, and differ by the time.
        if hostcalls::set_shared_data(DRAWN, Some(&next.to_le_bytes()), version).is_ok() {
            return next;
        }
    }
}

fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

const LINK: &str = "countersign.link.v1.Link";
const DRAWN: &str = "countersign.vm";
