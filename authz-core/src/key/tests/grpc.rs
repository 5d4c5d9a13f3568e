//! Which requests share a key where policies read the names of gRPC calls.

use super::*;

#[test]
fn of_a_grpc_call_the_key_holds_the_name_that_is_read_and_of_another_request_none() {
    const GRPC: &str = "application/grpc+proto";
    let key = |read: Read, target: &str, kind: &'static str| {
        let plan = Plan::new(PolicyDigest([0; 32]), [read], Rules::default());
        Sample { target: target.into(), headers: vec![("content-type", kind)], ..plain() }.key(&plan).unwrap()
    };
    let service = |target: &str| key(Read::GrpcService, target, GRPC);
    let method = |target: &str| key(Read::GrpcMethod, target, GRPC);
    assert_eq!(service("/a/b"), service("/a/c"));
    assert_ne!(service("/a/b"), service("/c/b"));
    assert_eq!(method("/a/b"), method("/c/b"));
    assert_ne!(method("/a/b"), method("/a/c"));
    assert_eq!(key(Read::GrpcService, "/a/b", "text/html"), key(Read::GrpcService, "/c/d", "text/html"));
    assert_ne!(key(Read::GrpcService, "/a/b", "text/html"), service("/a/b"));
}
