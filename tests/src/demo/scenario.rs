//! The scenario, step by step; each step checks what it shows.

mod outage;
mod requests;
mod revocation;

use super::chain::Chain;
use super::show::Show;

/// Plays all of it, whatever fails.
pub async fn play(chain: &mut Chain, show: &mut Show) {
    show.head();
    requests::play(chain, show).await;
    revocation::play(chain, show).await;
    outage::play(chain, show).await;
    show.line(&show.verdict());
}
