//! How much may happen in a model, and which mistake it makes on purpose.

/// What may happen, and how often.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The signals that are sent, in this order.
    pub signals: &'static [Said],
    /// Seconds that pass.
    pub seconds: u8,
    /// Seconds in which the filter's clock stands still; at most one in the time of a lease, which is the bound on drift.
    pub standstills: u8,
    /// Requests that are asked about.
    pub requests: u8,
    /// Streams that break.
    pub breaks: u8,
    /// Questions and answers about requests that are lost.
    pub losses: u8,
    /// Ends of the sidecar's process.
    pub crashes: u8,
    /// Ends of the filter's process.
    pub filter_crashes: u8,
    /// Times that what comes next is not at hand for a filter.
    pub gaps: u8,
    /// Entries that go missing from the log while the sidecar is down.
    pub rollbacks: u8,
}

/// What a signal says.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Said {
    /// The caller of the requests may come again.
    Restore,
    /// The caller of the requests is revoked.
    Revoke,
    /// Somebody else is.
    RevokeOther,
}

/// A mistake, made where messages pass: the product does not have it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Seed {
    /// The filter says that it has something in force when it comes in.
    AckBeforeApply,
    /// The filter takes answers to be of the present, whatever position they name.
    InsertWithoutSeqCheck,
    /// The filter counts a lease from when it comes in.
    LeaseFromArrival,
    /// None.
    None,
}

impl Bounds {
    /// Nothing happens.
    pub const QUIET: Self = Self {
        signals: &[Said::Revoke],
        seconds: 0,
        standstills: 0,
        requests: 0,
        breaks: 0,
        losses: 0,
        crashes: 0,
        filter_crashes: 0,
        gaps: 0,
        rollbacks: 0,
    };
}
