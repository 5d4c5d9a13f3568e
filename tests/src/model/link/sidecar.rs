//! The sidecar's part: the product's view, session and registry, called as the product calls them.

use std::{collections::VecDeque, sync::Arc};

use authz_core::{scope::Scope, signal::Seq, time::Timestamp};
use authz_wire::link::{Report, Update};
use countersign::{
    filters::{
        Registry,
        session::{Session, Start},
    },
    signals::{Entry, History},
    state::View,
};
use prost::Message;

use super::{
    actions::Gap,
    bounds::{Said, Seed},
    cast::{self, BASIS, Past, TERMS},
    world::{Link, Sidecar, World},
};

impl World {
    pub(super) fn start(&mut self) {
        let mut view = View::default();
        view.apply(&mut entries(&self.log, 0));
        // As when the log's file was there before: filters of the run before may hold leases.
        let unknown_until = Some(cast::instant(self.now) + TERMS.lease);
        let registry = Registry::new(unknown_until);
        let published = self.log.len() as u64;
        self.sidecar = Some(Arc::new(Sidecar { view, published, registry, links: Vec::new() }));
    }

    pub(super) fn crash(&mut self) {
        self.used.crashes += 1;
        self.sidecar = None;
        if let Some(stream) = &mut Arc::make_mut(&mut self.filter).stream {
            stream.is_open = false;
        }
    }

    /// What is durable takes effect.
    pub(super) fn apply(&mut self) {
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return };
        let mut new = entries(&self.log, sidecar.view.seq.0);
        sidecar.view.apply(&mut new);
    }

    pub(super) fn publish(&mut self) {
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return };
        sidecar.published = sidecar.view.seq.0;
        self.known.accepted = sidecar.published;
    }

    /// A filter has opened a stream and it came about.
    pub(super) fn accept(&mut self, id: u8) -> bool {
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return false };
        sidecar.links.push(Link {
            id,
            session: Session::new(TERMS),
            connection: None,
            cursor: 0,
            up: VecDeque::new(),
            is_open: true,
        });
        true
    }

    pub(super) fn up(&mut self, at: usize, gap: Gap) {
        let past = self.log.clone();
        let now = cast::instant(self.now);
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return };
        let Sidecar { view, published, registry, links } = sidecar;
        let link = &mut links[at];
        let report = Report::decode(&*link.up.pop_front().expect("a report")).expect("the filter's own bytes");
        let mut out = Vec::new();
        let (mut gaps, mut unnoticed) = (0, false);
        if let Some(hello) = &report.hello {
            let name: Arc<str> = hello.instance[0].to_string().into();
            link.connection = Some((registry.connect(&name, &hello.node.as_str().into(), now), name));
            out.extend(link.session.plan(BASIS, cast::plan));
            let seen = (hello.last_seq > 0).then_some((hello.last_seq, &*hello.last_fingerprint));
            let is_true = seen
                .is_none_or(|(seq, said)| Past(&past).fingerprint(Seq(seq)).is_some_and(|it| *it.as_bytes() == *said));
            match Session::start(hello, &Past(&past)) {
                Start::After(seq) if gap == Gap::No => {
                    unnoticed = !is_true;
                    link.cursor = seq.0;
                    out.push(link.session.resume(seq, &Past(&past)));
                }
                start => {
                    unnoticed = !is_true && !matches!(start, Start::Contradicted(_));
                    gaps = u8::from(gap == Gap::Yes);
                    link.resync(*published, &past, &mut out, now);
                }
            }
        }
        link.take(&report, registry, *published, &mut out, now);
        answer_held(&report, view, &mut out);
        let id = link.id;
        self.used.gaps += gaps;
        self.known.unnoticed |= unnoticed;
        self.send_down(id, out);
    }

    pub(super) fn pass_on(&mut self, at: usize, gap: Gap) {
        let past = self.log.clone();
        let now = cast::instant(self.now);
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return };
        let Sidecar { view, published, links, .. } = sidecar;
        let link = &mut links[at];
        let mut out = Vec::new();
        if gap == Gap::Yes {
            link.resync(*published, &past, &mut out, now);
        } else {
            // The ring has them as they were applied.
            let mut applied = View::default();
            let mut all = entries(&past, 0);
            applied.apply(&mut all);
            let new = &all[usize::try_from(link.cursor).unwrap()..usize::try_from(*published).unwrap()];
            out.push(link.session.pass_on(new, &view.revocations, &Past(&past), now));
            link.cursor = *published;
        }
        let id = link.id;
        self.used.gaps += u8::from(gap == Gap::Yes);
        self.send_down(id, out);
    }

    pub(super) fn sidecar_loses_stream(&mut self, at: usize) {
        let now = cast::instant(self.now);
        let Some(sidecar) = self.sidecar.as_mut().map(Arc::make_mut) else { return };
        let link = sidecar.links.remove(at);
        if let Some((connection, instance)) = &link.connection {
            sidecar.registry.disconnect(instance, *connection, now);
        }
        self.used.breaks += u8::from(link.is_open);
        let stream = Arc::make_mut(&mut self.filter).stream.as_mut().filter(|stream| stream.id == link.id);
        if let Some(stream) = stream {
            stream.is_open = false;
        }
    }

    pub(super) fn decide(&mut self, at: usize) {
        let Some(sidecar) = &self.sidecar else { return };
        let revoked = sidecar.view.revocations.revokes(cast::caller(), Timestamp::from_millis(1)).is_some();
        self.calls[at].answer = Some(cast::decision(sidecar.view.seq.0, revoked).encode_to_vec());
    }

    fn send_down(&mut self, id: u8, updates: Vec<Update>) {
        let too_early = self.seed == Seed::AckBeforeApply;
        let claimed = updates.iter().map(|update| update.seq).max().filter(|seq| too_early && *seq > 0);
        let stream = Arc::make_mut(&mut self.filter).stream.as_mut().filter(|it| it.id == id && it.is_open);
        let Some(stream) = stream else { return };
        stream.down.extend(updates.into_iter().map(|update| update.encode_to_vec()));
        if let Some(enforced_seq) = claimed {
            self.send_up(&Report { enforced_seq, ..Report::default() }.encode_to_vec());
        }
    }
}

fn answer_held(report: &Report, view: &View, out: &mut Vec<Update>) {
    let Some(held) = &report.held else { return };
    let scopes: Vec<Scope> = held.scopes.iter().map(|scope| scope.parse().expect("the filter's own")).collect();
    let mut marks = scopes.iter().flat_map(|scope| view.revocations.marks(scope).map(move |mark| (scope, mark)));
    out.extend(std::iter::from_fn(|| Session::revoked(view.seq, &mut marks)));
    if !held.more {
        out.push(Update { held_answered: true, ..Update::default() });
    }
}

impl Link {
    fn resync(&mut self, published: u64, past: &[Said], out: &mut Vec<Update>, now: std::time::Instant) {
        out.push(self.session.resync());
        let update = self.session.resynced(Seq(published), &Past(past), now);
        out.push(Update { ask_held: true, ..update });
        self.cursor = published;
    }

    fn take(
        &mut self,
        report: &Report,
        registry: &mut Registry,
        published: u64,
        out: &mut Vec<Update>,
        now: std::time::Instant,
    ) {
        let Some((_, instance)) = &self.connection else { return };
        let heard = self.session.hear(report, now);
        if let Some(acknowledged) = heard.acknowledged {
            // Only reports of how long it took look at the time.
            registry.acked(instance, acknowledged.seq, cast::instant(0));
        }
        if let Some(until) = heard.lease_until {
            registry.lease_granted(instance, &"envoy".into(), until);
        }
        out.extend(self.session.answer(report, registry.received(instance, report.number), Seq(published)));
    }
}

fn entries(log: &[Said], after: u64) -> Vec<Entry> {
    (1..).zip(log).filter(|(seq, _)| *seq > after).map(|(seq, said)| cast::entry(seq, *said)).collect()
}
