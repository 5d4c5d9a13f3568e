//! The context of one request: what the host says goes to the machine, what the machine says goes to the host.
//!
//! A hit costs four host calls: the headers, `connection.id`, the clock, and the header for the service (five if
//! policies read the protocol). The clock is asked and not taken from the last tick: after a stall of the worker
//! requests are served before the tick, and the lease must not outlive its end by that stall.

use std::rc::Rc;

use authz_core::reason::Reason;
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::{
    host,
    machine::{Answer, Arrival, Next, Note, Question, Source, Subject, Wanted},
    root::Shared,
};

/// One request.
pub struct Http {
    stream: u32,
    shared: Option<Rc<Shared>>,
    to_grpc: bool,
}

impl Http {
    /// The context Envoy calls `stream`; without a configuration it refuses.
    pub fn new(stream: u32, shared: Option<Rc<Shared>>) -> Self {
        Self { stream, shared, to_grpc: false }
    }

    fn arrive(&mut self, shared: &Shared) -> Action {
        let Some((mut headers, connection)) = host::request_headers().zip(host::connection_id()) else {
            let answer = shared.machine.borrow_mut().refuse(Reason::Internal);
            return self.give(shared, &answer);
        };
        remove_private(&mut headers);
        let now = host::now();
        let known = shared.machine.borrow().knows(connection);
        if !known {
            let peer = host::peer();
            shared.machine.borrow_mut().meet(connection, peer);
        }
        let reads_protocol = shared.machine.borrow().reads_protocol();
        let protocol = if reads_protocol { host::protocol() } else { String::new() };
        let asked = Wanted::Request { headers: &headers, protocol: &protocol };
        let arrival = Arrival { stream: self.stream, connection, asked };
        let remembered = shared.machine.borrow_mut().recall(&arrival, now);
        match remembered {
            Some(answer @ Answer::Allow(..)) => self.give(shared, &answer),
            Some(answer @ Answer::Deny(_)) => {
                self.to_grpc = is_grpc(&headers);
                self.give(shared, &answer)
            }
            None => self.ask(shared, connection, headers),
        }
    }

    fn ask(&mut self, shared: &Shared, connection: u64, headers: Vec<(String, Vec<u8>)>) -> Action {
        self.to_grpc = is_grpc(&headers);
        let (protocol, peer_certificate) = (host::protocol(), host::peer_certificate());
        let subject = Subject::Request { headers, protocol };
        let question = Question { stream: self.stream, connection, subject, peer_certificate };
        let question = shared.machine.borrow_mut().ask(question);
        self.dispatch(shared, &question)
    }

    fn dispatch(&self, shared: &Shared, question: &[u8]) -> Action {
        if host::decide(&shared.config, question).is_some() {
            return Action::Pause;
        }
        let now = host::now();
        let next = shared.machine.borrow_mut().answered(self.stream, None, now);
        self.proceed(shared, next)
    }

    fn proceed(&self, shared: &Shared, next: Next) -> Action {
        match next {
            Next::Answer(answer) => self.give(shared, &answer),
            Next::Ask(question) => self.dispatch(shared, &question),
            Next::Nothing => Action::Pause,
        }
    }

    fn give(&self, shared: &Shared, answer: &Answer) -> Action {
        match answer {
            Answer::Allow(caller, note) => {
                // What the client itself said in that header is gone already.
                if let Some(caller) = caller {
                    host::set_caller(caller.credential().id().as_str());
                }
                if note.source == Source::Sidecar || shared.config.log_hits {
                    host::leave(note);
                }
                Action::Continue
            }
            Answer::Deny(note) => refuse(note, self.to_grpc),
        }
    }
}

impl Context for Http {
    fn on_grpc_call_response(&mut self, _token: u32, status: u32, size: usize) {
        let Some(shared) = &self.shared else { return };
        let message = (status == 0).then(|| host::grpc_message(size));
        let now = host::now();
        let next = shared.machine.borrow_mut().answered(self.stream, message.as_deref(), now);
        if self.proceed(shared, next) == Action::Continue {
            host::resume();
        }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        if let Some(shared) = self.shared.clone() {
            return self.arrive(&shared);
        }
        host::refuse_unconfigured(host::request_headers().is_none_or(|headers| is_grpc(&headers)));
        Action::Pause
    }
}

/// Envoy deletes the context of every request, however it ends.
impl Drop for Http {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.machine.borrow_mut().closed(self.stream);
        }
    }
}

fn refuse(note: &Note, to_grpc: bool) -> Action {
    host::leave(note);
    host::refuse(note, to_grpc);
    Action::Pause
}

/// As Envoy tells gRPC requests, and those of gRPC-Web; looked at only where the answer depends on it.
fn is_grpc(headers: &[(String, Vec<u8>)]) -> bool {
    headers.iter().any(|(name, value)| name == "content-type" && value.starts_with(b"application/grpc"))
}

/// Nobody but Countersign speaks in `x-countersign-` headers; services like CGI read the underscore as the dash.
fn remove_private(headers: &mut Vec<(String, Vec<u8>)>) {
    let private = |name: &str| name.starts_with("x-countersign-") || name.starts_with("x_countersign_");
    if headers.iter().any(|(name, _)| private(name)) {
        headers.iter().filter(|(name, _)| private(name)).for_each(|(name, _)| host::remove_request_header(name));
        headers.retain(|(name, _)| !private(name));
    }
}
