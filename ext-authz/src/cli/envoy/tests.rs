//! `envoy lint` as an operator sees it.
