//! The context of one TCP connection, held until it is decided; what is decided on is the machine's business.
//!
//! Envoy tells of a connection before its TLS handshake, when nobody has proven anything. So it is held there, which
//! keeps `tcp_proxy` behind it from connecting, and decided at the first bytes, which come after the handshake. Who
//! waits for the server to speak first sends none: see [`crate::silent`].

use std::rc::Rc;

use authz_core::reason::Reason;
use proxy_wasm::{
    traits::{Context, StreamContext},
    types::Action,
};

use crate::{
    host,
    machine::{Answer, Arrival, Next, Question, Standing, Subject, Wanted},
    root::Shared,
};

/// One connection.
pub struct Tcp {
    stream: u32,
    shared: Option<Rc<Shared>>,
    held: bool,
}

impl Tcp {
    /// The context Envoy calls `stream`; without a configuration it refuses.
    pub fn new(stream: u32, shared: Option<Rc<Shared>>) -> Self {
        Self { stream, shared, held: false }
    }

    fn meet_data(&self, shared: &Shared) -> Action {
        let standing = shared.machine.borrow().standing(self.stream);
        match standing {
            Standing::Allowed => Action::Continue,
            Standing::Refused | Standing::Waiting => Action::Pause,
            Standing::Undecided => self.proceed(shared, judge(shared, self.stream)),
        }
    }

    /// `tcp_proxy` may have connected already: this comes of a configuration that hides connections from the module.
    fn refuse_unheld(&self, shared: &Shared) -> Action {
        host::error("countersign: proxy_on_new_connection is not called: add it to allowed_capabilities");
        let answer = shared.machine.borrow_mut().refuse(Reason::Internal);
        self.proceed(shared, Next::Answer(answer))
    }

    fn proceed(&self, shared: &Shared, mut next: Next) -> Action {
        loop {
            match next {
                Next::Answer(Answer::Allow(_, note)) => {
                    host::leave(&note);
                    return Action::Continue;
                }
                Next::Answer(Answer::Deny(note)) => {
                    host::close(&note);
                    return Action::Pause;
                }
                Next::Ask(question) => {
                    if host::decide(&shared.config, &question).is_some() {
                        return Action::Pause;
                    }
                    let now = host::now();
                    next = shared.machine.borrow_mut().answered(self.stream, None, now);
                }
                Next::Nothing => return Action::Pause,
            }
        }
    }
}

/// Answers for a connection from memory or with the question to ask. The effective context must be its own.
pub fn judge(shared: &Shared, stream: u32) -> Next {
    let Some(connection) = host::connection_id() else {
        shared.machine.borrow_mut().begin(stream);
        return Next::Answer(shared.machine.borrow_mut().refuse(Reason::Internal));
    };
    let (peer, now) = (host::peer(), host::now());
    let remembered = {
        let mut machine = shared.machine.borrow_mut();
        machine.begin(stream);
        machine.meet(connection, peer);
        machine.recall(&Arrival { stream, connection, asked: Wanted::Connection }, now)
    };
    if let Some(answer) = remembered {
        return Next::Answer(answer);
    }
    let peer_certificate = host::peer_certificate();
    let question = Question { stream, connection, subject: Subject::Connection, peer_certificate };
    Next::Ask(shared.machine.borrow_mut().ask(question))
}

impl Context for Tcp {
    fn on_grpc_call_response(&mut self, _token: u32, status: u32, size: usize) {
        let Some(shared) = &self.shared else { return };
        let message = (status == 0).then(|| host::grpc_message(size));
        let now = host::now();
        let next = shared.machine.borrow_mut().answered(self.stream, message.as_deref(), now);
        if self.proceed(shared, next) == Action::Continue {
            host::resume_connection();
        }
    }
}

impl StreamContext for Tcp {
    fn on_new_connection(&mut self) -> Action {
        self.held = true;
        match &self.shared {
            Some(shared) => shared.machine.borrow_mut().accept(self.stream),
            None => host::close_unconfigured(),
        }
        Action::Pause
    }

    fn on_downstream_data(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        match &self.shared {
            Some(shared) if self.held => self.meet_data(shared),
            Some(shared) => self.refuse_unheld(shared),
            None => Action::Pause,
        }
    }
}

/// Envoy deletes the context of every connection, however it ends.
impl Drop for Tcp {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.machine.borrow_mut().closed(self.stream);
        }
    }
}
