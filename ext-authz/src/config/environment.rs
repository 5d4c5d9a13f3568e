//! What counts of the process's environment: one variable, and only where the file says that it may. It checks no value.

use std::env;

/// The environment as far as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `SPIFFE_ENDPOINT_SOCKET`: where the Workload API listens (SPIFFE Workload Endpoint §4).
    pub spiffe_endpoint_socket: Option<String>,
}

impl Environment {
    /// That of this process; an empty variable is not set.
    pub(super) fn of_process() -> Self {
        let socket = env::var_os(SPIFFE_ENDPOINT_SOCKET).map(|value| value.to_string_lossy().into_owned());
        Self { spiffe_endpoint_socket: socket.filter(|value| !value.is_empty()) }
    }
}

pub(super) const SPIFFE_ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
