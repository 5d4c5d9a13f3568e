//! The sidecar's configuration of a hop, as text; it writes no file.

use super::ENVOY;

/// With trust from `agent` or else from a file, more lines for identity and for policy, and the doors by TCP that are wanted.
pub(super) fn config(
    agent: Option<&str>,
    (more, policy): (&str, &str),
    lease: &str,
    (tcp, mtls): (bool, bool),
) -> String {
    let identity = agent.map_or_else(
        || "trust_bundles:\n    - trust_domain: demo.test\n      file: bundle.pem".to_owned(),
        |how| format!("workload_api: {{ enabled: true, {how} }}"),
    );
    let svid = if mtls { "svid: { certificate: svid.pem, key: svid.key }" } else { "" };
    let tcp = match (tcp, mtls) {
        (true, _) => "ext_authz_tcp: { address: 127.0.0.1:0, allow_plaintext: true }".to_owned(),
        (_, true) => format!("ext_authz_tcp: {{ address: 127.0.0.1:0, allow: [\"spiffe://demo.test{ENVOY}\"] }}"),
        (false, false) => String::new(),
    };
    format!(
        r"
service:
  name: orders
identity:
  {identity}{more}
  {svid}
policy:
  files: [policy.cedar]
  {policy}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
  admin: {{ unix: admin.sock }}
  {tcp}
signals:
  log: signals.redb
link:
  lease: {lease}
audit:
  file: audit.jsonl
"
    )
}
