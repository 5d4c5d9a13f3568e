//! Protocols as generated: our own with their services and clients, whose messages live in `authz_wire`, and the SPIFFE Workload API. No rule lives here.

/// The control API: messages, `control_client`, `control_server`.
pub mod control {
    pub use authz_wire::control::*;

    pub use self::generated::{control_client, control_server};

    mod generated {
        #![allow(missing_docs, clippy::pedantic)]
        tonic::include_proto!("countersign.control.v1");
    }
}

/// The link between filter and sidecar: messages, `link_client`, `link_server`.
pub mod link {
    pub use authz_wire::link::*;

    pub use self::generated::{link_client, link_server};

    mod generated {
        #![allow(missing_docs, clippy::pedantic)]
        tonic::include_proto!("countersign.link.v1");
    }
}

/// The SPIFFE Workload API: messages and client. The proto has no package.
pub mod workload {
    pub use self::generated::*;

    mod generated {
        #![allow(missing_docs, clippy::pedantic)]
        tonic::include_proto!("_");
    }
}
