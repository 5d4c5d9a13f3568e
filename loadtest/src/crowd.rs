//! Many filters on one sidecar, each the product's own machine on a connection of its own. It must not acknowledge anything itself.

mod codec;
mod filter;

use std::fmt::Display;
use std::path::Path;

use tokio::task::JoinSet;

use self::filter::Simulated;

/// Filters that are connected as long as this lives.
#[derive(Debug)]
pub struct Crowd {
    filters: JoinSet<FilterLost>,
}

/// A filter that lost its sidecar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a simulated filter lost its sidecar: {0}")]
pub struct FilterLost(String);

impl FilterLost {
    fn new(why: impl Display) -> Self {
        Self(why.to_string())
    }
}

impl Crowd {
    /// Starts `count` filters of the sidecar that listens for filters at `link`; they connect meanwhile.
    pub fn start(link: &Path, count: usize) -> Self {
        let mut filters = JoinSet::new();
        for number in 0..count {
            filters.spawn(Simulated::new(link, number).run());
        }
        Self { filters }
    }

    /// Ends when one of them is lost, which a healthy sidecar never lets happen.
    pub async fn lost(&mut self) -> FilterLost {
        match self.filters.join_next().await {
            Some(Ok(lost)) => lost,
            Some(Err(error)) => FilterLost::new(error),
            None => std::future::pending().await,
        }
    }
}
