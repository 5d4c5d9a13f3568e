//! Three nats-servers that keep their streams together, so that any one may die; it asserts nothing about streams.

use super::config::Routes;
use super::{Nats, free_address};

/// A cluster of three.
pub struct NatsCluster {
    /// Its servers.
    pub servers: Vec<Nats>,
}

impl NatsCluster {
    /// Starts all, and waits until each answers for `JetStream`: they have found each other and elected a leader.
    pub async fn start() -> Self {
        let all: Vec<_> = (0..SERVERS).map(|_| free_address()).collect();
        let spawn = |(number, &own): (usize, _)| {
            let routes = Routes { name: format!("server-{number}"), own, all: all.clone() };
            Nats::build().routes(routes, free_address()).spawn()
        };
        let mut servers: Vec<Nats> = all.iter().enumerate().map(spawn).collect();
        for server in &mut servers {
            server.until_ready().await;
        }
        Self { servers }
    }

    /// How clients name all of them.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Nats::url).collect()
    }
}

const SERVERS: usize = 3;
