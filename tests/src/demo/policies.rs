//! The policies of both hops; it writes no file.

/// At `web`: everybody in the shop may read, nobody may administer.
pub const WEB: &str = r#"
@id("shop-reads-web")
permit (
  principal in WorkloadPath::"spiffe://demo.test/ns/shop",
  action in Action::"read",
  resource == Service::"web"
);

@id("nobody-administers")
forbid (principal, action, resource)
when { context.http.path like "/admin*" };
"#;

/// At `orders`: two workloads may read, by name.
pub const ORDERS: &str = r#"
@id("web-reads-orders")
permit (
  principal == Workload::"spiffe://demo.test/ns/shop/sa/web",
  action in Action::"read",
  resource == Service::"orders"
);

@id("report-reads-orders")
permit (
  principal == Workload::"spiffe://demo.test/ns/shop/sa/report",
  action in Action::"read",
  resource == Service::"orders"
);
"#;

/// What the edit adds at `orders`.
pub const STOCKTAKING: &str = r#"
@id("closed-for-stocktaking")
forbid (principal, action, resource)
when { context.http.path like "/orders/*" };
"#;
