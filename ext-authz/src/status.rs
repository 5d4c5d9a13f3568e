//! Whether this sidecar is fine: what is gathered from all parts, and what is wrong in it. It changes nothing and decides no request.

mod news;
mod overview;
mod problems;

pub use news::{LogNews, PolicyNews};
pub use overview::Overview;
pub use problems::{length, problems};

#[cfg(test)]
pub(crate) use problems::fine;
