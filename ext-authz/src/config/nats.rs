//! `signals.nats`: the stream that orders the signals of a fleet, if there is to be one. It connects to nothing.

use std::{path::PathBuf, str::FromStr, time::Duration};

use async_nats::ServerAddr;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};

/// A stream on NATS `JetStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsConfig {
    /// Servers of one cluster, tried in any order.
    pub servers: Vec<ServerAddr>,
    /// Its name.
    pub stream: String,
    /// What the subjects of its signals begin with.
    pub subject: String,
    /// On how many servers each entry is kept.
    pub replicas: u8,
    /// How we show who we are.
    pub login: NatsLogin,
    /// Certificate authorities to believe, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain and its key, for servers that ask for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether servers beyond this host may be talked to without TLS.
    pub allow_plaintext: bool,
    /// How often the end of the stream is asked for.
    pub check_every: Duration,
    /// For how long a signal may take to be in force here.
    pub timeout: Duration,
    /// Whether a replica of another or a shorter stream is brought into this one.
    pub import: bool,
}

/// How a client of NATS shows who it is. Files are read at each connect, so that new secrets need no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// A JWT and its seed in one file, as `nsc` makes them.
    Credentials(PathBuf),
    /// A seed.
    Nkey(PathBuf),
    /// Not at all, or by a client certificate.
    None,
    /// A name, and a password in a file.
    Password(String, PathBuf),
    /// A token.
    Token(PathBuf),
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "signals.nats.enabled",
        KnobDefault::Value("false"),
        "Have one NATS JetStream stream order the signals of all sidecars of a fleet; signals.log is then its replica here.",
    ),
    Knob::new(
        SERVERS,
        KnobDefault::None,
        "Servers of one NATS cluster, nats://host:port or tls://host:port; the first that answers is used, the others when it fails.",
    ),
    Knob::new(STREAM, KnobDefault::Value("countersign"), "Name of the stream; it is made if it is not there."),
    Knob::new(
        SUBJECT,
        KnobDefault::Value("countersign.signals"),
        "What the subjects in the stream begin with; each signal has its own below it.",
    ),
    Knob::new(
        "signals.nats.replicas",
        KnobDefault::Value("3"),
        "On how many servers of the cluster each entry is kept, 1 to 5; with 1 a lost disk loses signals that were acknowledged.",
    ),
    Knob::new(CREDENTIALS, KnobDefault::None, "Credentials file (.creds) with the JWT and the seed of a NATS user."),
    Knob::new(NKEY, KnobDefault::None, "File with the seed of a NATS user's nkey."),
    Knob::new(USER, KnobDefault::None, "Name of a NATS user with a password."),
    Knob::new(PASSWORD_FILE, KnobDefault::None, "File with that password."),
    Knob::new(TOKEN_FILE, KnobDefault::None, "File with the token of a NATS server that asks for one."),
    Knob::new(
        "signals.nats.ca_file",
        KnobDefault::None,
        "Certificate authorities of the servers, PEM, in place of the system's.",
    ),
    Knob::new(CERTIFICATE, KnobDefault::None, "Our certificate chain, PEM, for servers that verify their clients."),
    Knob::new(KEY, KnobDefault::None, "Its private key, PEM."),
    Knob::new(
        "signals.nats.allow_plaintext",
        KnobDefault::Value("false"),
        "Talk to servers on other hosts without TLS; whoever is in between may then read and alter signals.",
    ),
    Knob::new(
        CHECK_EVERY,
        KnobDefault::Value("1s"),
        "How often the stream is asked for its end, from 100ms to 1m: that old is the view of a sidecar that hears nothing.",
    ),
    Knob::new(
        TIMEOUT,
        KnobDefault::Value("5s"),
        "How long a signal may take to be durable in the stream and in force here before its sender is told to send it again.",
    ),
    Knob::new(
        "signals.nats.import",
        KnobDefault::Value("false"),
        "Bring what signals.log holds into a stream that was made anew or lost entries; set it for one start, see README.",
    ),
];

const SERVERS: &str = "signals.nats.servers[]";
const STREAM: &str = "signals.nats.stream";
const SUBJECT: &str = "signals.nats.subject";
const CREDENTIALS: &str = "signals.nats.credentials";
const NKEY: &str = "signals.nats.nkey";
const USER: &str = "signals.nats.user";
const PASSWORD_FILE: &str = "signals.nats.password_file";
const TOKEN_FILE: &str = "signals.nats.token_file";
const CERTIFICATE: &str = "signals.nats.certificate";
const KEY: &str = "signals.nats.key";
const CHECK_EVERY: &str = "signals.nats.check_every";
const TIMEOUT: &str = "signals.nats.timeout";

impl NatsConfig {
    /// `Some(None)` if the log is of this sidecar alone.
    #[expect(clippy::option_option, reason = "not wanted is not wrong")]
    pub(super) fn read(reader: &Reader<'_>) -> Option<Option<Self>> {
        // All of them first, so that the errors of all are found.
        let enabled = reader.value("signals.nats.enabled", scalar::boolean);
        let servers = servers(reader);
        let names = (reader.value(STREAM, stream_name), reader.value(SUBJECT, subject));
        let replicas = reader.value("signals.nats.replicas", |node| scalar::number(node, 1, 5));
        let (login, certificate) = (login(reader), certificate(reader));
        let ca_file = reader.optional("signals.nats.ca_file", scalar::path);
        let allow_plaintext = reader.value("signals.nats.allow_plaintext", scalar::boolean);
        let times = (reader.value(CHECK_EVERY, check_every), reader.value(TIMEOUT, timeout));
        let import = reader.value("signals.nats.import", scalar::boolean);
        if !enabled? {
            return Some(None);
        }
        let servers = servers?;
        if servers.is_empty() {
            let what = "is missing: name a server of the cluster at least, such as nats://127.0.0.1:4222";
            reader.missing_because("signals.nats.servers", what.to_owned());
            return None;
        }
        Some(Some(Self {
            servers,
            stream: names.0?,
            subject: names.1?,
            replicas: u8::try_from(replicas?).ok()?,
            login: login?,
            ca_file: ca_file?.map(|file| reader.located(file)),
            certificate: certificate?,
            allow_plaintext: allow_plaintext?,
            check_every: times.0?,
            timeout: times.1?,
            import: import?,
        }))
    }
}

fn servers(reader: &Reader<'_>) -> Option<Vec<ServerAddr>> {
    if reader.set("signals.nats.servers").is_none() {
        return Some(Vec::new());
    }
    reader.values("signals.nats.servers", server)
}

fn login(reader: &Reader<'_>) -> Option<NatsLogin> {
    let file = |knob| Some(reader.optional(knob, scalar::path)?.map(|file| reader.located(file)));
    let (credentials, nkey, token) = (file(CREDENTIALS), file(NKEY), file(TOKEN_FILE));
    let (user, password) = (reader.optional(USER, scalar::text), file(PASSWORD_FILE));
    let (user, password) = (user?, password?);
    if user.is_some() != password.is_some() {
        let (set, missing) = if user.is_some() { (USER, PASSWORD_FILE) } else { (PASSWORD_FILE, USER) };
        let line = reader.set(set).map(|node| node.line);
        reader.complain(line, set, format!("is set without {missing}; set both or none"));
        return None;
    }
    let mut logins = [
        credentials?.map(|file| (CREDENTIALS, NatsLogin::Credentials(file))),
        nkey?.map(|file| (NKEY, NatsLogin::Nkey(file))),
        token?.map(|file| (TOKEN_FILE, NatsLogin::Token(file))),
        user.zip(password).map(|(user, file)| (USER, NatsLogin::Password(user, file))),
    ]
    .into_iter()
    .flatten();
    let Some((first, login)) = logins.next() else { return Some(NatsLogin::None) };
    let Some((second, _)) = logins.next() else { return Some(login) };
    reader.complain(
        reader.set(second).map(|node| node.line),
        second,
        format!("is set beside {first}; keep one way to log in"),
    );
    None
}

#[expect(clippy::option_option, reason = "not set is not wrong")]
fn certificate(reader: &Reader<'_>) -> Option<Option<(PathBuf, PathBuf)>> {
    let (certificate, key) = (reader.optional(CERTIFICATE, scalar::path), reader.optional(KEY, scalar::path));
    match (certificate?, key?) {
        (None, None) => Some(None),
        (Some(certificate), Some(key)) => Some(Some((reader.located(certificate), reader.located(key)))),
        (certificate, _) => {
            let (set, missing) = if certificate.is_some() { (CERTIFICATE, KEY) } else { (KEY, CERTIFICATE) };
            let line = reader.set(set).map(|node| node.line);
            reader.complain(line, set, format!("is set without {missing}; set both or none"));
            None
        }
    }
}

fn server(node: &Node) -> Result<ServerAddr, String> {
    let text = scalar::text(node)?;
    let address = ServerAddr::from_str(&text).map_err(|error| format!("is {text}: {error}"))?;
    if address.is_websocket() {
        return Err(format!("is {text}; write nats://host:port or tls://host:port"));
    }
    if address.has_user_pass() || address.username().is_some() || address.password().is_some() {
        return Err(format!("holds a user or a password; set {USER} and {PASSWORD_FILE} instead"));
    }
    Ok(address)
}

fn stream_name(node: &Node) -> Result<String, String> {
    let name = scalar::text(node)?;
    if is_token(&name) { Ok(name) } else { Err(format!("is {name:?}; {TOKEN_RULE}")) }
}

fn subject(node: &Node) -> Result<String, String> {
    let subject = scalar::text(node)?;
    if subject.split('.').all(is_token) { Ok(subject) } else { Err(format!("is {subject:?}; {SUBJECT_RULE}")) }
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

const TOKEN_RULE: &str = "use letters, digits, - and _, at most 64 of them";
const SUBJECT_RULE: &str = "use letters, digits, - and _, in parts joined by dots";

fn check_every(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_millis(100), Duration::from_mins(1))
}

fn timeout(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_millis(500), Duration::from_mins(1))
}
