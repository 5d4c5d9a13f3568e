//! The Workload API as generated; the proto has no package.
#![allow(missing_docs, clippy::pedantic)]

tonic::include_proto!("_");
