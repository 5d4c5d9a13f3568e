//! Connections whose client says nothing until the server has: decided at a tick, by the root on their behalf. It
//! judges nothing.
//!
//! Envoy has no callback for the end of a TLS handshake. In TLS 1.3 it validates a client's certificate only once the
//! client has sent the proof that it holds the key, so a validated certificate means an identity. In TLS 1.2 it does
//! so before: there, and without validation, a client must speak first.

use hashbrown::HashMap;

use crate::{
    host,
    machine::{Answer, Next},
    root::Shared,
    tcp::judge,
};

/// Questions the root has asked for connections.
pub struct Silent {
    root: u32,
    asked: HashMap<u32, u32>,
}

/// Connections looked at in one tick, two host calls each: many that never end their handshake must not stop a worker.
const LOOKED_AT: usize = 500;

impl Silent {
    /// For the root context `root`.
    pub fn new(root: u32) -> Self {
        Self { root, asked: HashMap::new() }
    }

    /// Decides the connections whose handshake has ended since.
    pub fn look(&mut self, shared: &Shared) {
        let undecided = shared.machine.borrow_mut().undecided(LOOKED_AT);
        for stream in undecided {
            let next = host::on_behalf(self.root, stream, || host::has_proven_itself().then(|| judge(shared, stream)));
            if let Some(next) = next.flatten() {
                self.proceed(shared, stream, next);
            }
        }
    }

    /// Takes the answer to a question; one that the root did not ask changes nothing.
    pub fn answered(&mut self, shared: &Shared, token: u32, message: Option<&[u8]>) {
        let Some(stream) = self.asked.remove(&token) else { return };
        let now = host::now();
        let next = shared.machine.borrow_mut().answered(stream, message, now);
        self.proceed(shared, stream, next);
    }

    fn proceed(&mut self, shared: &Shared, stream: u32, mut next: Next) {
        loop {
            match next {
                Next::Answer(Answer::Allow(_, note)) => {
                    host::on_behalf(self.root, stream, || {
                        host::leave(&note);
                        host::resume_connection();
                    });
                    return;
                }
                Next::Answer(Answer::Deny(note)) => {
                    host::on_behalf(self.root, stream, || host::close(&note));
                    return;
                }
                Next::Ask(question) => {
                    // Asked by the root, not by the connection: the answer comes to who called the SDK.
                    if let Some(token) = host::decide(&shared.config, &question) {
                        self.asked.insert(token, stream);
                        return;
                    }
                    let now = host::now();
                    next = shared.machine.borrow_mut().answered(stream, None, now);
                }
                Next::Nothing => return,
            }
        }
    }
}
