//! The filter configuration in a real Envoy, with modules of a few bytes that do nothing, or crash.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::PathBuf;

use countersign_tests::client::{Client, Protocol};
use countersign_tests::envoy::Envoy;
use countersign_tests::mesh::wasm;
use countersign_tests::pki::Authority;
use countersign_tests::upstream::Upstream;
use http::StatusCode;
use tempfile::TempDir;

#[tokio::test]
async fn the_filter_configuration_boots_and_serves() {
    let hop = FilterHop::start(NOTHING).await;
    for protocol in Protocol::ALL {
        assert_eq!(hop.get(protocol).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_filter_that_crashes_lets_nobody_through_and_is_started_anew() {
    let hop = FilterHop::start(UNREACHABLE).await;
    for _ in 0..3 {
        assert_eq!(hop.get(Protocol::Http1).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(hop.upstream.requests(), 0);
    hop.envoy
        .logged("the refusal", |entry| entry["response_code_details"].as_str().is_some_and(|why| why.contains("wasm")))
        .await;
    countersign_tests::eventually::eventually("reload of the module", async || {
        hop.get(Protocol::Http1).await;
        let reloads = hop.envoy.stats_matching("vm_reload_success").await;
        reloads.iter().any(|(_, count)| *count > 0).then_some(())
    })
    .await;
    assert_eq!(hop.upstream.requests(), 0);
}

#[tokio::test]
async fn the_real_filter_denies_while_no_sidecar_answers_and_misses_no_capability() {
    let hop = FilterHop::with_module(|_| wasm()).await;
    for protocol in Protocol::ALL {
        assert!(!hop.get(protocol).await.is_success(), "{protocol:?}");
    }
    assert_eq!(hop.upstream.requests(), 0);
    assert!(!hop.envoy.logs().contains("restricted"), "{}", hop.envoy.logs());
}

#[test]
fn the_filter_may_call_what_it_calls_and_nothing_else() {
    let source = read_to_string(countersign_tests::root().join("wasm-filter/src/host.rs")).unwrap();
    let calls = source
        .split("hostcalls::")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| c != '_' && !c.is_alphanumeric()).next());
    let needed: BTreeSet<String> = calls.map(abi_name).chain(BY_THE_SDK.map(str::to_owned)).collect();
    for file in ["envoy/filter.yaml", "envoy/tcp-filter.yaml"] {
        let yaml = read_to_string(countersign_tests::root().join(file)).unwrap();
        let allowed = yaml.lines().filter_map(|line| line.trim().strip_prefix("proxy_")?.strip_suffix(": {}"));
        let allowed: BTreeSet<String> = allowed.filter(|name| !name.starts_with("on_")).map(str::to_owned).collect();
        assert_eq!(allowed, needed, "allowed in {file}, and called in wasm-filter/src/host.rs");
    }
}

struct FilterHop {
    authority: Authority,
    upstream: Upstream,
    envoy: Envoy,
    _module: TempDir,
}

impl FilterHop {
    async fn start(on_request: &[u8]) -> Self {
        Self::with_module(|dir| write_module(dir, on_request)).await
    }

    async fn with_module(make: impl FnOnce(&TempDir) -> PathBuf) -> Self {
        let authority = Authority::new("demo.test");
        let upstream = Upstream::start().await;
        let module = tempfile::tempdir().unwrap();
        let envoy = Envoy::shipped("filter")
            .identity(&authority.issue("/envoy"))
            .trusting(&[&authority])
            .sidecar(&module.path().join("nobody-listens.sock"))
            .wasm(&make(&module))
            .local_service(upstream.address())
            .start()
            .await;
        Self { authority, upstream, envoy, _module: module }
    }

    async fn get(&self, protocol: Protocol) -> StatusCode {
        let client = Client::new(self.envoy.address(), &self.authority).identity(&self.authority.issue("/caller"));
        client.get(protocol, "/").await.unwrap().status
    }
}

/// The SDK's word for a host call, as the ABI has it.
fn abi_name(call: &str) -> String {
    let differing = [
        ("cancel_grpc_stream", "grpc_cancel"),
        ("close_downstream", "close_stream"),
        ("dispatch_grpc_call", "grpc_call"),
        ("get_buffer", "get_buffer_bytes"),
        ("get_current_time", "get_current_time_nanoseconds"),
        ("get_map_bytes", "get_header_map_pairs"),
        ("open_grpc_stream", "grpc_stream"),
        ("remove_map_value", "remove_header_map_value"),
        ("reset_http_request", "close_stream"),
        ("resume_downstream", "continue_stream"),
        ("resume_http_request", "continue_stream"),
        ("send_grpc_stream_message", "grpc_send"),
        ("send_http_response", "send_local_response"),
        ("set_map_value_bytes", "replace_header_map_value"),
        ("set_tick_period", "set_tick_period_milliseconds"),
    ];
    differing.iter().find(|(sdk, _)| *sdk == call).map_or(call, |(_, abi)| abi).to_owned()
}

/// What the SDK calls of its own accord.
const BY_THE_SDK: [&str; 2] = ["done", "set_effective_context"];

/// Assembles a proxy-wasm module whose `proxy_on_request_headers` is `on_request`.
fn write_module(dir: &TempDir, on_request: &[u8]) -> PathBuf {
    let types = [0x03, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f];
    let functions = [0x03, 0x00, 0x01, 0x02];
    let memory = [0x01, 0x00, 0x02];
    let exports = [
        vec![0x04],
        export("memory", 2, 0),
        export("proxy_abi_version_0_2_1", 0, 0),
        export("proxy_on_memory_allocate", 0, 1),
        export("proxy_on_request_headers", 0, 2),
    ];
    let bodies = [vec![0x03], body(&[0x0b]), body(&[0x41, 0x80, 0x08, 0x0b]), body(on_request)];
    let sections = [
        (1, types.to_vec()),
        (3, functions.to_vec()),
        (5, memory.to_vec()),
        (7, exports.concat()),
        (10, bodies.concat()),
    ];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        module.push(id);
        module.push(length(&content));
        module.extend(content);
    }
    let path = dir.path().join("module.wasm");
    std::fs::write(&path, module).unwrap();
    path
}

fn export(name: &str, kind: u8, index: u8) -> Vec<u8> {
    [&[length(name.as_bytes())], name.as_bytes(), &[kind, index]].concat()
}

fn body(code: &[u8]) -> Vec<u8> {
    let with_no_locals = [&[0], code].concat();
    [&[length(&with_no_locals)][..], &with_no_locals].concat()
}

/// LEB128 of what fits one byte.
fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).ok().filter(|length| *length < 128).expect("a tiny module")
}

/// `i32.const 0`: go on.
const NOTHING: &[u8] = &[0x41, 0x00, 0x0b];
/// `unreachable`: a trap, as a panic is.
const UNREACHABLE: &[u8] = &[0x00, 0x0b];
