//! Refusals as gRPC statuses: the code says whether to correct, to retry or to call somebody.

use tonic::Status;

use crate::{
    control::NotPermitted,
    signals::{LogError, SubmitError, convert::InvalidSignal},
};

/// The sender must correct it.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(super) fn of_invalid(error: InvalidSignal) -> Status {
    Status::invalid_argument(error.to_string())
}

/// The sender must ask somebody else.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(super) fn of_not_permitted(error: NotPermitted) -> Status {
    Status::permission_denied(error.to_string())
}

/// A signal that was not taken.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(super) fn of_refused(error: SubmitError) -> Status {
    match &error {
        SubmitError::Log(error) => of_log(error),
        SubmitError::Stopped | SubmitError::Unavailable { .. } => Status::unavailable(error.to_string()),
    }
}

/// What the log says.
pub(super) fn of_log(error: &LogError) -> Status {
    match error {
        LogError::Conflict { .. } => Status::already_exists(error.to_string()),
        LogError::Damaged { .. } | LogError::Format { .. } | LogError::Stale { .. } | LogError::Witness { .. } => {
            Status::data_loss(error.to_string())
        }
        LogError::Gap { .. } | LogError::Snapshot(_) => Status::failed_precondition(error.to_string()),
        LogError::Busy { .. } | LogError::Io { .. } | LogError::Owner { .. } => Status::unavailable(error.to_string()),
    }
}

/// The sidecar ends before the stream does.
pub(super) fn stopping() -> Status {
    Status::unavailable("the sidecar is stopping, ask again once it is back")
}
