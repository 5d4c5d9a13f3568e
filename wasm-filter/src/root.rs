//! The context of the plugin in one VM: its configuration, its ticks and the stream from the sidecar. It judges nothing.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use proxy_wasm::{
    traits::{Context, HttpContext, RootContext, StreamContext},
    types::ContextType,
};

use crate::{
    config::{Config, Layer},
    host,
    http::Http,
    machine::{Effect, Level, Machine, Metric, Note},
    silent::Silent,
    tcp::Tcp,
};

/// One plugin in one VM.
pub struct Root {
    id: u32,
    shared: Option<Rc<Shared>>,
    watch: Option<u32>,
    metrics: Vec<(Metric, u32)>,
    ticking: bool,
    silent: Silent,
    judged_layer: Cell<bool>,
}

/// What the root and its requests share.
pub struct Shared {
    /// What the operator set.
    pub config: Config,
    /// INVARIANT: never borrowed during a host call, so a call back from it finds it free.
    pub machine: RefCell<Machine>,
}

const TICK: Duration = Duration::from_millis(100);
/// The first tick comes at once: until the stream is open every request is asked about.
const FIRST_TICK: Duration = Duration::from_millis(1);

impl Root {
    /// A root that waits for its configuration.
    pub fn new(id: u32) -> Self {
        let (metrics, silent, judged_layer) = (Vec::new(), Silent::new(id), Cell::new(false));
        Self { id, shared: None, watch: None, metrics, ticking: false, silent, judged_layer }
    }

    fn layer(&self) -> Layer {
        self.shared.as_ref().map_or(Layer::Http, |shared| shared.config.layer)
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Close => self.watch.take().map_or((), host::cancel),
                Effect::Log(Level::Info, line) => host::info(&line),
                Effect::Log(Level::Warn, line) => host::warn(&line),
                Effect::Metric(metric, change) => {
                    if let Some((_, id)) = self.metrics.iter().find(|(known, _)| *known == metric) {
                        host::tell(*id, change);
                    }
                }
                Effect::Open => self.open(),
                Effect::Reset(stream, note) => self.cut(stream, &note),
                Effect::Send(message) => self.send(&message),
            }
        }
    }

    fn cut(&self, stream: u32, note: &Note) {
        let layer = self.layer();
        host::on_behalf(self.id, stream, || match layer {
            Layer::Http => host::reset(note),
            Layer::Tcp => host::close(note),
        });
    }

    fn open(&mut self) {
        self.watch = self.shared.as_ref().and_then(|shared| host::open_watch(&shared.config.cluster));
        if self.watch.is_none() {
            self.disconnected();
        }
    }

    fn send(&mut self, message: &[u8]) {
        // Without a stream the message is of no use any more: the next one starts with what matters.
        if let Some(watch) = self.watch
            && !host::send(watch, message)
        {
            self.disconnected();
        }
    }

    fn disconnected(&mut self) {
        self.watch = None;
        let Some(shared) = &self.shared else { return };
        let now = host::now();
        let effects = shared.machine.borrow_mut().disconnected(now);
        self.run(effects);
    }
}

impl Context for Root {
    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        let Some(shared) = self.shared.as_ref().filter(|_| self.watch == Some(token)) else { return };
        let message = host::grpc_message(size);
        let now = host::now();
        let effects = shared.machine.borrow_mut().update(&message, now);
        self.run(effects);
    }

    fn on_grpc_stream_close(&mut self, token: u32, _status: u32) {
        if self.watch == Some(token) {
            self.disconnected();
        }
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        let Some(shared) = &self.shared else { return };
        let message = (status == 0).then(|| host::grpc_message(size));
        self.silent.answered(shared, token, message.as_deref());
    }

    fn on_done(&mut self) -> bool {
        let retired = self.shared.as_ref().map(|shared| shared.machine.borrow_mut().retire());
        self.run(retired.unwrap_or_default());
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let config = match Config::parse(&host::configuration(size)) {
            Ok(config) => config,
            Err(invalid) => {
                host::error(&format!("countersign: configuration refused: {invalid}"));
                return false;
            }
        };
        self.metrics = Metric::ALL.iter().filter_map(|metric| Some((*metric, host::define(*metric)?))).collect();
        let machine = Machine::new(&config, host::identity(self.id));
        self.shared = Some(Rc::new(Shared { config, machine: RefCell::new(machine) }));
        host::tick_every(FIRST_TICK);
        true
    }

    fn on_tick(&mut self) {
        if !self.ticking {
            self.ticking = true;
            host::tick_every(TICK);
        }
        let Some(shared) = &self.shared else { return };
        let now = host::now();
        let effects = shared.machine.borrow_mut().tick(now);
        if shared.config.layer == Layer::Tcp {
            self.silent.look(shared);
        }
        self.run(effects);
    }

    fn create_stream_context(&self, stream: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Tcp::new(stream, self.shared.clone())))
    }

    fn create_http_context(&self, stream: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(stream, self.shared.clone())))
    }

    /// The SDK asks for each context, and panics at the first callback of one that is of the other kind.
    fn get_type(&self) -> Option<ContextType> {
        let layer = self.layer();
        if !self.judged_layer.replace(true) && host::is_http() != (layer == Layer::Http) {
            host::error("countersign: layer is wrong: an HTTP filter needs \"http\", a network filter \"tcp\"");
        }
        Some(match layer {
            Layer::Http => ContextType::HttpContext,
            Layer::Tcp => ContextType::StreamContext,
        })
    }
}
