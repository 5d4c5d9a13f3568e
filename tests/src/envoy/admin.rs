//! Reads Envoy's admin API: liveness, listeners, stats.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::Value;

use crate::door::Door;

/// Whether Envoy has finished its start.
pub(super) async fn is_live(admin: &Door) -> bool {
    matches!(admin.get("/ready").await, Ok((StatusCode::OK, _)))
}

/// The address that the first listener really got.
pub(super) async fn first_listener(admin: &Door) -> SocketAddr {
    listener(admin, |_| true).await
}

/// The address that the first listener of which `wanted` says so really got.
pub(super) async fn listener(admin: &Door, wanted: impl Fn(&Value) -> bool) -> SocketAddr {
    let listeners: Value = serde_json::from_str(&text(admin, "/listeners?format=json").await).unwrap();
    let mut statuses = listeners["listener_statuses"].as_array().expect("listeners").iter();
    let socket = &statuses.find(|status| wanted(status)).expect("such a listener")["local_address"]["socket_address"];
    let port = socket["port_value"].as_u64().expect("a listener has a port");
    let address = socket["address"].as_str().expect("a listener has an address");
    format!("{address}:{port}").parse().unwrap()
}

/// One counter or gauge, by its whole name.
pub(super) async fn stat(admin: &Door, name: &str) -> u64 {
    let pattern: String = name.chars().flat_map(|c| if c == '.' { vec!['\\', '.'] } else { vec![c] }).collect();
    stats(admin, &format!("^{pattern}$")).await.first().map_or(0, |(_, value)| *value)
}

/// Counters and gauges whose name matches; histograms are left out.
pub(super) async fn stats(admin: &Door, regex: &str) -> Vec<(String, u64)> {
    let text = text(admin, &format!("/stats?filter={}", percent_encoded(regex))).await;
    let parse = |line: &str| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

/// The body of any answer.
pub(super) async fn text(admin: &Door, path: &str) -> String {
    let (status, body) = admin.get(path).await.expect("Envoy's admin API answers");
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(status.is_success(), "GET {path} of Envoy's admin API: {status} {body}");
    body
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}
