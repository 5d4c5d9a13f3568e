//! The filter's part: the product's machine, its effects carried out as the host does.

use std::{collections::VecDeque, sync::Arc};

use authz_wire::link::{DecideResponse, Report, Update};
use prost::Message;
use wasm_filter::{Answer, Effect, Machine, Next, Question, Subject};

use super::{
    bounds::Seed,
    cast::{self, CONNECTION},
    world::{Call, Filter, Stream, World},
};

impl World {
    pub(super) fn tick(&mut self) {
        self.run(Machine::tick);
    }

    pub(super) fn down(&mut self) {
        let now = self.filter_now();
        let seed = self.seed;
        let filter = Arc::make_mut(&mut self.filter);
        let Some(mut bytes) = filter.stream.as_mut().and_then(|stream| stream.down.pop_front()) else { return };
        if seed == Seed::LeaseFromArrival {
            bytes = filter.count_lease_from(now, &bytes);
        }
        self.run(|machine, now| machine.update(&bytes, now));
    }

    pub(super) fn filter_loses_stream(&mut self) {
        let was_open = self.filter.stream.as_ref().is_some_and(|stream| stream.is_open);
        self.used.breaks += u8::from(was_open);
        self.filter_end_is_gone();
        self.run(Machine::disconnected);
    }

    /// The sidecar sees it later, if at all.
    pub(super) fn filter_end_is_gone(&mut self) {
        let Some(gone) = Arc::make_mut(&mut self.filter).stream.take() else { return };
        let links = self.sidecar.as_mut().map(|sidecar| &mut Arc::make_mut(sidecar).links);
        if let Some(link) = links.and_then(|links| links.iter_mut().find(|link| link.id == gone.id)) {
            link.is_open = false;
        }
    }

    pub(super) fn ask(&mut self) {
        self.used.requests += 1;
        let request = u32::from(self.used.requests);
        let filter = Arc::make_mut(&mut self.filter);
        let question = Question {
            stream: request,
            connection: CONNECTION,
            subject: Subject::Request { headers: cast::headers(), protocol: "HTTP/2".to_owned() },
            peer_certificate: Vec::new(),
        };
        filter.machine.ask(question);
        filter.waiting.insert(request, self.known.proven);
        self.calls.push(Call { instance: filter.instance, request, answer: None });
    }

    pub(super) fn answer(&mut self, at: usize) {
        let Call { request, answer, .. } = self.calls.remove(at);
        let mut answer = answer.expect("an answer");
        if self.seed == Seed::InsertWithoutSeqCheck {
            let response = DecideResponse::decode(&*answer).expect("our own bytes");
            answer = DecideResponse { seq: u64::MAX, ..response }.encode_to_vec();
        }
        self.answered(request, Some(&answer));
    }

    pub(super) fn lose(&mut self, at: usize) {
        self.used.losses += 1;
        let Call { request, .. } = self.calls.remove(at);
        self.answered(request, None);
    }

    /// The request that was asked about last ends by itself, and counts for no bound.
    pub(super) fn filter_request_ends(&mut self) {
        let request = u32::from(self.used.requests);
        let filter = Arc::make_mut(&mut self.filter);
        filter.machine.closed(request);
        filter.open.remove(&request);
        self.used.requests = 0;
    }

    fn answered(&mut self, request: u32, answer: Option<&[u8]>) {
        let now = cast::timestamp(self.filter_now());
        let filter = Arc::make_mut(&mut self.filter);
        let proven = filter.waiting.get(&request).copied().unwrap_or_default();
        match filter.machine.answered(request, answer, now) {
            Next::Answer(Answer::Allow(..)) => {
                filter.open.insert(request);
                filter.waiting.remove(&request);
                self.known.wrong_answer |= !self.may_allow_after(proven);
            }
            Next::Answer(Answer::Deny(_)) | Next::Nothing => drop(filter.waiting.remove(&request)),
            Next::Ask(_) => self.calls.push(Call { instance: filter.instance, request, answer: None }),
        }
    }

    pub(super) fn send_up(&mut self, bytes: &[u8]) {
        let Some(stream) = &self.filter.stream else { return };
        let links = self.sidecar.as_mut().map(|sidecar| &mut Arc::make_mut(sidecar).links);
        let link = links.and_then(|links| links.iter_mut().find(|link| link.id == stream.id));
        // Counts are left out: they decide nothing, and would make every state another one.
        let report = Report { gauges: None, ..Report::decode(bytes).expect("our own bytes") };
        if let Some(link) = link.filter(|_| report.number == 0) {
            link.up.push_back(report.encode_to_vec());
        }
    }

    fn run(&mut self, step: impl FnOnce(&mut Machine, authz_core::time::Timestamp) -> Vec<Effect>) {
        let now = cast::timestamp(self.filter_now());
        let effects = step(&mut Arc::make_mut(&mut self.filter).machine, now);
        for effect in effects {
            match effect {
                Effect::Close => self.filter_end_is_gone(),
                Effect::Log(..) | Effect::Metric(..) => {}
                Effect::Open => self.open(),
                Effect::Reset(request, _) => drop(Arc::make_mut(&mut self.filter).open.remove(&request)),
                Effect::Send(bytes) => {
                    if self.seed == Seed::LeaseFromArrival {
                        self.note_question(&bytes);
                    }
                    self.send_up(&bytes);
                }
            }
        }
    }

    fn open(&mut self) {
        self.used.streams += 1;
        let id = self.used.streams;
        let is_open = self.accept(id);
        Arc::make_mut(&mut self.filter).stream = Some(Stream { id, down: VecDeque::new(), is_open });
    }

    fn note_question(&mut self, bytes: &[u8]) {
        let beat = Report::decode(bytes).expect("our own bytes").beat;
        let now = self.filter_now();
        if beat > 0 {
            Arc::make_mut(&mut self.filter).asked.insert(beat, now);
        }
    }
}

impl Filter {
    /// The name it has in the sidecar's registry here.
    pub(super) fn name(&self) -> String {
        (self.instance + 1).to_string()
    }

    /// The update, with a lease that ends as if it were counted from now.
    fn count_lease_from(&self, now: u64, bytes: &[u8]) -> Vec<u8> {
        let mut update = Update::decode(bytes).expect("our own bytes");
        if let Some(lease) = &mut update.lease {
            lease.ttl_ms += now - self.asked.get(&lease.beat).copied().unwrap_or(now);
        }
        update.encode_to_vec()
    }
}
