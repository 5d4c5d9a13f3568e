//! The sidecar's configuration of a hop, as text; it writes no file.

use super::ENVOY;

/// What differs from hop to hop; texts are more lines of their section.
pub(super) struct Config<'a> {
    /// Trust comes from there, or else from a file.
    pub(super) agent: Option<&'a str>,
    pub(super) identity: &'a str,
    pub(super) policy: &'a str,
    pub(super) signals: &'a str,
    pub(super) sections: &'a str,
    pub(super) lease: &'a str,
    /// Whether Envoy may ask by TCP, in plaintext or with mTLS.
    pub(super) tcp: bool,
    pub(super) mtls: bool,
}

impl Config<'_> {
    pub(super) fn text(&self) -> String {
        let Self { agent, identity: more, policy, signals, sections, lease, tcp, mtls } = *self;
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
  log: signals.redb{signals}
link:
  lease: {lease}
audit:
  file: audit.jsonl
{sections}
"
        )
    }
}
