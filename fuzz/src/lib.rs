//! A sidecar's request path for fuzz targets: fixed trust and policies, no sockets, nothing left on disk.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use authz_core::{
    hops::Forwarders,
    identity::{IdPattern, SpiffeId, TrustDomain},
    time::Timestamp,
};
use countersign::{
    audit::{self, Target},
    cache::DecisionCache,
    check::Checker,
    config::DegradedConfig,
    degraded::{Conduct, Degraded},
    filters::Filters,
    grpc::{desk::Desk, link::LinkService, watch::Watching},
    identity::{Bundle, Bundles, Forwarding, Verifier},
    metrics::Metrics,
    policy::{self, Source, Sources, TimeZone},
    signals::{Log, SignalPlane},
    state::State,
    status::LogNews,
};
use tokio::{runtime::Runtime, sync::watch};

/// When everything happens: within the validity of the certificates that `make_seeds.py` made.
pub const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// The callers for whom the authority in `pki/bundle.pem` has issued a certificate that may be believed; its key is gone.
pub const CALLERS: [&str; 2] = ["spiffe://td/web", "spiffe://td/ns/a/sa/b"];

/// The one of them whose word about its own callers counts.
pub const FORWARDER: &str = CALLERS[0];

/// Reads every part of the context, so that no fact is left out of evaluation.
const POLICIES: &str = r#"
permit (principal in TrustDomain::"td", action, resource)
when { context.http.path like "/orders/*" && context.http.scheme == "https" };
permit (principal in WorkloadPath::"spiffe://td/ns/a", action in Action::"read", resource)
when { context.source has ip && context.source.ip.isInRange(ip("10.0.0.0/8")) };
forbid (principal, action in [Action::"read", Action::"write"], resource)
when { context.http.headers has "x-tenant" && context.http.headers["x-tenant"] == "b" };
forbid (principal, action in [Action::"read", Action::"write"], resource)
when { context.http has query && context.http.query like "*evil*" };
forbid (principal is Workload, action in [Action::"read", Action::"write"], resource)
when { context.hops.count > 2 || (context has origin && context.origin == Workload::"spiffe://td/ns/a/sa/b") };
permit (principal, action == Action::"tcp:connect", resource) when { context has tls.sni && context.tls.sni == "db.td" };
forbid (principal, action in [Action::"read", Action::"write"], resource)
when { context.http.host == "forbidden" || (context.tls has sni && context.tls.sni == "forbidden") };
"#;

/// A verifier that trusts `pki/bundle.pem` for the trust domain `td`, and XFCC alone if told so.
pub fn verifier(trust_xfcc: bool) -> Verifier {
    let id = SpiffeId::parse("spiffe://td").expect("an ID");
    let bundle = Bundle::parse(include_bytes!("../pki/bundle.pem")).expect("a bundle");
    let forwarders = Forwarders::new([IdPattern::parse(FORWARDER).expect("an ID")]);
    let forwarding = Forwarding { trust_xfcc, forwarders, ..Forwarding::default() };
    Verifier::new(Bundles::new([(TrustDomain::of(&id), Arc::new(bundle))]), forwarding)
}

/// The link of a sidecar that is ready.
pub fn link_service() -> LinkService {
    let (state, desk) = (state(), desk());
    let path = std::env::temp_dir().join(format!("countersign-fuzz-{}.redb", std::process::id()));
    let log = Log::open(&path).expect("a log");
    std::fs::remove_file(&path).expect("a file that only this process knows");
    // The threads of the plane live in a runtime that lives as long as the process.
    let runtime = Box::leak(Box::new(Runtime::new().expect("a runtime")));
    let _inside = runtime.enter();
    let watching = Watching {
        state,
        plane: Arc::new(SignalPlane::start(log, |_| {}).expect("a plane")),
        filters: Filters::new(None),
        metrics: Arc::clone(&desk.metrics),
        audit: desk.audit.clone(),
        lease: Duration::from_secs(1),
        degraded: degraded(),
        log_news: LogNews::default(),
    };
    LinkService::new(desk, Arc::new(watching), watch::Sender::new(false).subscribe())
}

/// The desk of a sidecar that is ready.
pub fn desk() -> Arc<Desk> {
    static DESK: LazyLock<Arc<Desk>> = LazyLock::new(|| Arc::new(build(state())));
    Arc::clone(&DESK)
}

fn state() -> Arc<State> {
    let state = State::default();
    let policies = policy::compile(&sources()).expect("policies");
    state.set_replayed();
    state.set_trusted(countersign::identity::TrustDigest([0; 32]));
    state.set_policy(Arc::new(policies));
    Arc::new(state)
}

fn build(state: Arc<State>) -> Desk {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let nowhere = Target::File(PathBuf::from("/dev/null"));
    let (audit, writer) = audit::open(&nowhere, 16, Arc::clone(&metrics)).expect("an audit trail");
    // Written until the process ends.
    std::mem::forget(writer);
    let cache = DecisionCache::new(1000, Duration::from_secs(60));
    let checker = Arc::new(Checker::new(state, Arc::new(verifier(false)), cache, degraded()));
    Desk { checker, metrics, audit, service: Arc::from("shop") }
}

fn degraded() -> Degraded {
    let (log_lost, store_unwritable) = (Conduct::Deny, Conduct::Policy);
    Degraded::never(DegradedConfig { max_view_age: Duration::from_secs(30), log_lost, store_unwritable })
}

fn sources() -> Sources {
    Sources {
        policies: vec![Source { name: "fuzz.cedar".to_owned(), text: POLICIES.to_owned() }],
        schema: None,
        entities: None,
        operations: None,
        service: "shop".to_owned(),
        limit_millis: 60_000,
        deny_limit_millis: 10_000,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    }
}
