//! Who is who in a hop, and what its policies say of them; it issues nothing.

/// `/caller` may read everything but `/admin`; `/other` may too; `/tenant` only with `x-tenant: a`; nobody else may do anything.
pub const POLICIES: &str = r#"
@id("callers-read")
permit (
  principal in WorkloadPath::"spiffe://demo.test/ns/shop",
  action in Action::"read",
  resource == Service::"orders"
);

@id("tenant-a")
permit (
  principal == Workload::"spiffe://demo.test/tenant",
  action == Action::"GET",
  resource == Service::"orders"
) when {
  context.http.headers has "x-tenant" && context.http.headers["x-tenant"] == "a"
};

@id("nobody-administers")
forbid (principal, action, resource)
when { context.http.path like "/admin*" };
"#;

/// To be added to others: it uses the path in a way that makes a decision of each.
pub const EACH_PATH: &str = r"forbid (principal, action, resource) when { context.http.path == context.http.host };";

/// The caller that [`POLICIES`] let in.
pub const CALLER: &str = "/ns/shop/sa/web";
/// Who the sidecar is, where it needs to be somebody.
pub const SIDECAR: &str = "/ns/shop/sa/countersign";
/// Who Envoy is.
pub const ENVOY: &str = "/ns/shop/sa/orders";
/// Another one.
pub const OTHER: &str = "/ns/shop/sa/cart";
