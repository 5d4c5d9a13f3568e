//! The plugin configuration of the filter: JSON to numbers within bounds. It reads nothing itself and starts nothing.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde_json::{Map, Value};

/// What an operator may set in the plugin configuration; every field may be left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What it is given to decide (`layer`, default `http`; `tcp` before `tcp_proxy`). Envoy does not tell a module
    /// which kind of filter it is.
    pub layer: Layer,
    /// Envoy cluster of the sidecar (`cluster`, default `countersign`).
    pub cluster: String,
    /// How long one `Decide` may take (`decide_timeout_ms`, default 200, 1 to 60,000).
    pub decide_timeout: Duration,
    /// Decisions kept per worker (`max_decisions`, default 10,000, 0 to 1,000,000; 0 keeps none).
    pub max_decisions: usize,
    /// Verified certificates kept per worker (`max_callers`, default 4,096, 1 to 1,000,000).
    pub max_callers: usize,
    /// Connections remembered per worker (`max_connections`, default 16,384, 1 to 1,000,000).
    pub max_connections: usize,
    /// Whether answers from memory also go into the filter state for the access log (`log_hits`, default false);
    /// it costs each of them a host call.
    pub log_hits: bool,
}

/// Which kind of filter of Envoy the module is in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Layer {
    /// `envoy.filters.http.wasm`: each request is decided.
    Http,
    /// `envoy.filters.network.wasm`: each connection is decided, once.
    Tcp,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            layer: Layer::Http,
            cluster: "countersign".into(),
            decide_timeout: Duration::from_millis(200),
            max_decisions: 10_000,
            max_callers: 4096,
            max_connections: 16_384,
            log_hits: false,
        }
    }
}

impl Config {
    /// Parses a JSON object; no bytes at all give the defaults. Every error is reported, not only the first.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidConfig> {
        if json.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let object = match serde_json::from_slice(json) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(InvalidConfig(vec!["plugin configuration is no JSON object, write {…}".into()])),
            Err(error) => return Err(InvalidConfig(vec![format!("plugin configuration is no JSON: {error}")])),
        };
        let mut fields = Fields { object, errors: Vec::new() };
        let config = Self::read(&mut fields);
        let errors = fields.finish();
        if errors.is_empty() { Ok(config) } else { Err(InvalidConfig(errors)) }
    }

    fn read(fields: &mut Fields) -> Self {
        let default = Self::default();
        Self {
            layer: fields.layer("layer", default.layer),
            cluster: fields.text("cluster", default.cluster),
            decide_timeout: fields
                .number("decide_timeout_ms", 1..=60_000)
                .map_or(default.decide_timeout, |millis| Duration::from_millis(u64::from(millis))),
            max_decisions: fields.size("max_decisions", 0, default.max_decisions),
            max_callers: fields.size("max_callers", 1, default.max_callers),
            max_connections: fields.size("max_connections", 1, default.max_connections),
            log_hits: fields.switch("log_hits", default.log_hits),
        }
    }
}

/// Everything that is wrong with a plugin configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidConfig(pub Vec<String>);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for InvalidConfig {}

/// The fields not read yet, and what was wrong with those that were.
struct Fields {
    object: Map<String, Value>,
    errors: Vec<String>,
}

impl Fields {
    fn text(&mut self, name: &str, default: String) -> String {
        match self.object.remove(name) {
            None => default,
            Some(Value::String(text)) if !text.is_empty() => text,
            Some(other) => self.wrong(name, &other, "a text that is not empty", default),
        }
    }

    fn layer(&mut self, name: &str, default: Layer) -> Layer {
        match self.object.remove(name) {
            None => default,
            Some(Value::String(text)) if text == "http" => Layer::Http,
            Some(Value::String(text)) if text == "tcp" => Layer::Tcp,
            Some(other) => self.wrong(name, &other, "\"http\" or \"tcp\"", default),
        }
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        match self.object.remove(name) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(other) => self.wrong(name, &other, "true or false", default),
        }
    }

    fn size(&mut self, name: &str, least: u32, default: usize) -> usize {
        let number = self.number(name, least..=1_000_000);
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.object.remove(name)?;
        let number =
            value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong(name, &value, &expected, ());
        }
        number
    }

    fn wrong<T>(&mut self, name: &str, value: &Value, expected: &str, default: T) -> T {
        self.errors.push(format!("{name} is {value}, write {expected}"));
        default
    }

    fn finish(mut self) -> Vec<String> {
        let unknown = self.object.keys().map(|name| format!("field {name:?} is unknown, remove it; known are {KNOWN}"));
        self.errors.extend(unknown);
        self.errors
    }
}

const KNOWN: &str = "layer, cluster, decide_timeout_ms, max_decisions, max_callers, max_connections, log_hits";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        for json in ["", "  \n", "{}", r#"{"cluster":"countersign"}"#] {
            assert_eq!(Config::parse(json.as_bytes()), Ok(Config::default()), "{json}");
        }
    }

    #[test]
    fn every_field_can_be_set() {
        let json = r#"{"layer":"tcp","cluster":"pdp","decide_timeout_ms":50,"max_decisions":0,"max_callers":1,"max_connections":2,
            "log_hits":true}"#;
        let expected = Config {
            layer: Layer::Tcp,
            cluster: "pdp".into(),
            decide_timeout: Duration::from_millis(50),
            max_decisions: 0,
            max_callers: 1,
            max_connections: 2,
            log_hits: true,
        };
        assert_eq!(Config::parse(json.as_bytes()), Ok(expected));
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let json = r#"{"layer":"udp","cluster":"","decide_timeout_ms":0,"max_decisions":-1,"max_callers":1.5,"log_hits":"no","colour":1}"#;
        let InvalidConfig(errors) = Config::parse(json.as_bytes()).unwrap_err();
        let named = ["layer", "cluster", "decide_timeout_ms", "max_decisions", "max_callers", "log_hits", "colour"];
        assert_eq!(errors.len(), named.len(), "{errors:?}");
        for (error, name) in errors.iter().zip(named) {
            assert!(error.contains(name), "{error} should name {name}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", "1", "{", "null", "{} {}"] {
            assert!(Config::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
            let _ = Config::parse(&bytes);
        }
    }
}
