//! The admin door: metrics and health over plain HTTP, read only; it changes nothing.

use std::{collections::HashMap, fmt::Write, future::Future, sync::Arc};

use authz_core::signal::Seq;
use axum::{
    Router,
    extract::{Query, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};

use crate::{
    check::Checker,
    degraded::Condition,
    metrics::Metrics,
    readiness::Readiness,
    state::{Part, State},
};

/// What the admin door shows.
#[derive(Clone)]
pub struct Admin {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// Readiness.
    pub readiness: Readiness,
    /// The state, for gauges read at scrape time.
    pub state: Arc<State>,
    /// The checker, for the size of its cache.
    pub checker: Arc<Checker>,
}

/// Serves on `listener` until `shutdown` ends.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve<L: Listener<Addr: std::fmt::Debug>>(
    listener: L,
    admin: Admin,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(admin)).with_graceful_shutdown(shutdown).await
}

/// What the door serves, for listeners with TLS.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(admin)
}

async fn metrics(Shared(admin): Shared<Admin>) -> Response {
    admin.refresh_gauges();
    match admin.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(cause) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics can not be rendered: {cause}\n")).into_response()
        }
    }
}

async fn readyz(Shared(admin): Shared<Admin>, Query(query): Query<HashMap<String, String>>) -> Response {
    let ready = admin.readiness.is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = String::new();
    if query.contains_key("verbose") {
        for part in admin.readiness.parts() {
            let mark = if part.ok { "+" } else { "-" };
            // Writing to a String can't fail.
            let _ = writeln!(body, "[{mark}] {}: {}", part.name, part.detail);
        }
    }
    body.push_str(if ready { "ready\n" } else { "not ready\n" });
    (code, body).into_response()
}

impl Admin {
    /// Gauges whose value is elsewhere are read when somebody looks.
    fn refresh_gauges(&self) {
        let snapshot = self.state.load();
        for part in Part::ALL {
            self.metrics.ready.with_label_values(&[part.as_str()]).set(i64::from(snapshot.has(*part)));
        }
        self.metrics.ready.with_label_values(&["identity"]).set(i64::from(self.readiness.has_own_svid()));
        let standing = self.checker.standing();
        for condition in Condition::ALL {
            let holds = standing.condition() == Some(*condition);
            self.metrics.degraded.with_label_values(&[condition.as_str()]).set(i64::from(holds));
        }
        self.metrics.view_age.set(standing.view_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        self.metrics.takes_signals.set(i64::from(self.readiness.takes_signals()));
        let (seq, revocations) = snapshot.view().map_or((Seq(0), 0), |view| (view.seq, view.revocations.len()));
        self.metrics.log_seq.set(i64::try_from(seq.0).unwrap_or(i64::MAX));
        self.metrics.revocations.set(i64::try_from(revocations).unwrap_or(i64::MAX));
        let policies = snapshot.policy().map_or(0, |policy| policy.len());
        self.metrics.policies.set(i64::try_from(policies).unwrap_or(i64::MAX));
        self.metrics.cached.set(i64::try_from(self.checker.cached()).unwrap_or(i64::MAX));
    }
}
