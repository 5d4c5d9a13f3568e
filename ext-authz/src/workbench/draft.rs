//! A made-up request: what somebody says of it, and the facts that come of that. It is the one place where cases become facts;
//! it reads no file and decides nothing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use authz_core::{
    facts::{Asked, Caller, Claim, Facts, Http, Presented, Unverified},
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    reason::Reason,
    scope::Scope,
    signal::{Action, Seq, Signal},
    standing::{Posture, RiskScore, Standings},
    time::Timestamp,
};

/// What is said of a request; what is not said is left open.
#[derive(Clone, Default, Debug)]
pub struct Draft {
    /// Who asks, or is claimed to.
    pub caller: Option<Workload>,
    /// Why the caller proves nothing.
    pub unverified: Option<Reason>,
    /// Names in the certificate of a caller that proves nothing.
    pub claimed_names: Option<Vec<String>>,
    /// A connection is asked for, and no request.
    pub connection: Option<bool>,
    /// `:method`.
    pub method: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// `:authority`.
    pub host: Option<String>,
    /// `:scheme`.
    pub scheme: Option<String>,
    /// Such as `HTTP/2`.
    pub protocol: Option<String>,
    /// Header lines by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The other end of the connection.
    pub source: Option<Source>,
    /// What was connected to.
    pub destination: Option<SocketAddr>,
    /// The server name in the TLS hello.
    pub sni: Option<String>,
    /// Who stands behind the caller, the nearest first.
    pub hops: Option<Vec<Workload>>,
    /// Whether that is all.
    pub hops_complete: Option<bool>,
    /// When it is asked.
    pub at: Option<Timestamp>,
    /// How old the view of the log is.
    pub view_age: Option<Duration>,
}

/// A workload and its credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Its SPIFFE ID, with a path.
    pub id: SpiffeId,
    /// Begin of the credential's validity; if not said, a moment before the request.
    pub issued: Option<Issued>,
    /// How long the credential is valid; if not said, an hour.
    pub lifetime: Option<Duration>,
    /// What signals say of its risk.
    pub risk: Option<RiskScore>,
    /// What signals say of its posture.
    pub posture: Option<Posture>,
}

/// When a credential was issued.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Issued {
    /// So long before the request.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

/// The other end of a connection; its port is nothing that policies see.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Source(pub IpAddr);

/// A whole made-up request.
#[derive(Clone, Debug)]
pub struct MadeUp {
    caller: MadeUpCaller,
    chain: Chain,
    http: Option<MadeUpHttp>,
    source_ip: Option<IpAddr>,
    destination: Option<SocketAddr>,
    sni: Option<String>,
    standings: Standings,
    at: Timestamp,
    view_age: i64,
}

#[derive(Clone, Debug)]
enum MadeUpCaller {
    Unverified(Unverified),
    Verified(Arc<Caller>),
}

#[derive(Clone, Debug)]
struct MadeUpHttp {
    method: String,
    target: String,
    host: String,
    scheme: String,
    protocol: String,
    headers: Vec<(String, String)>,
}

impl Draft {
    /// The same with what `defaults` say of what is left open. Who asks and what is asked for are each taken as one.
    pub fn or(self, defaults: &Self) -> Self {
        let more = defaults.clone();
        let says_who = self.caller.is_some() || self.unverified.is_some();
        let named = |name: &str| self.headers.iter().any(|(known, _)| known == name);
        let other_headers = more.headers.iter().filter(|(name, _)| !named(name)).cloned();
        let headers = other_headers.chain(self.headers.iter().cloned()).collect();
        Self {
            caller: if says_who { self.caller } else { more.caller },
            unverified: if says_who { self.unverified } else { more.unverified },
            claimed_names: if says_who { self.claimed_names } else { more.claimed_names },
            connection: self.connection.or(more.connection),
            method: self.method.or(more.method),
            path: self.path.or(more.path),
            host: self.host.or(more.host),
            scheme: self.scheme.or(more.scheme),
            protocol: self.protocol.or(more.protocol),
            headers,
            source: self.source.or(more.source),
            destination: self.destination.or(more.destination),
            sni: self.sni.or(more.sni),
            hops: self.hops.or(more.hops),
            hops_complete: self.hops_complete.or(more.hops_complete),
            at: self.at.or(more.at),
            view_age: self.view_age.or(more.view_age),
        }
    }

    /// The request, at `now` if no time is said; or what is missing or makes no sense, in words.
    ///
    /// # Errors
    /// That nobody asks, or that a credential can't be like that.
    pub fn complete(self, now: Timestamp) -> Result<MadeUp, String> {
        let at = self.at.unwrap_or(now);
        let mut standings = Standings::default();
        self.caller.iter().chain(self.hops.iter().flatten()).for_each(|workload| workload.signal(&mut standings));
        let caller = self.caller.as_ref().map(|workload| workload.credential(at)).transpose()?;
        let caller = match (self.unverified, caller) {
            (None, Some(credential)) => MadeUpCaller::Verified(Caller::verified(credential)),
            (Some(cause), claimed) => {
                let unverified = Unverified::new(cause, claimed.map(Claim::new));
                MadeUpCaller::Unverified(unverified.named(self.claimed_names.unwrap_or_default()))
            }
            (None, None) => {
                return Err("nobody asks: name the caller (a SPIFFE ID), or why it is unverified".to_owned());
            }
        };
        let hops = self.hops.unwrap_or_default();
        let hops: Result<Vec<_>, String> = hops.iter().map(|hop| hop.credential(at).map(Caller::verified)).collect();
        let reach = if self.hops_complete.unwrap_or(true) { Reach::Origin } else { Reach::Proof };
        let http = MadeUpHttp {
            method: self.method.unwrap_or_else(|| "GET".to_owned()),
            target: self.path.unwrap_or_else(|| "/".to_owned()),
            host: self.host.unwrap_or_else(|| "service.test".to_owned()),
            scheme: self.scheme.unwrap_or_else(|| "https".to_owned()),
            protocol: self.protocol.unwrap_or_else(|| "HTTP/2".to_owned()),
            headers: self.headers,
        };
        Ok(MadeUp {
            caller,
            chain: Chain::new(hops?, reach),
            http: (!self.connection.unwrap_or(false)).then_some(http),
            source_ip: self.source.map(|source| source.0),
            destination: self.destination,
            sni: self.sni,
            standings,
            at,
            view_age: self.view_age.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        })
    }
}

impl Workload {
    /// With a credential of which nothing is said.
    pub fn new(id: SpiffeId) -> Self {
        Self { id, issued: None, lifetime: None, risk: None, posture: None }
    }

    /// What is said of it, as signals said it.
    fn signal(&self, standings: &mut Standings) {
        let risk = self.risk.map(|risk| Action::Risk(risk, Timestamp::NEVER));
        let posture = self.posture.clone().map(|posture| Action::Posture(Arc::new(posture), Timestamp::NEVER));
        for action in risk.into_iter().chain(posture) {
            let nothing: Arc<str> = Arc::from("");
            let signal = Signal {
                id: Arc::clone(&nothing),
                scope: Scope::spiffe_id(&self.id),
                action,
                who: Arc::clone(&nothing),
                why: Arc::clone(&nothing),
                source: nothing,
                at: Timestamp::default(),
                event_at: None,
            };
            standings.apply(Seq(1), &signal);
        }
    }

    /// The credential at the time `at` of the request.
    fn credential(&self, at: Timestamp) -> Result<Credential, String> {
        let not_before = match self.issued {
            None => before(at, A_MOMENT),
            Some(Issued::Ago(age)) => before(at, age),
            Some(Issued::At(moment)) => moment,
        };
        let not_after = not_before.saturating_add_millis(millis(self.lifetime.unwrap_or(AN_HOUR)));
        let issued_by = IssuerSerial::new("CN=made up", "1").map_err(|error| error.to_string())?;
        Credential::new(self.id.clone(), Digest::from_bytes([0; 32]), issued_by, not_before, not_after)
            .map_err(|error| error.to_string())
    }
}

impl MadeUp {
    /// When it is asked.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How old the view of the log is then, in milliseconds.
    pub fn view_age(&self) -> i64 {
        self.view_age
    }

    /// What signals say of risk and posture.
    pub fn standings(&self) -> &Standings {
        &self.standings
    }

    /// The proven caller, if there is one.
    pub fn caller(&self) -> Option<&Caller> {
        match &self.caller {
            MadeUpCaller::Unverified(_) => None,
            MadeUpCaller::Verified(caller) => Some(caller),
        }
    }

    /// Lets `judge` see the facts.
    pub fn with_facts<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let asked = match &self.http {
            None => Asked::Connection,
            Some(MadeUpHttp { method, target, host, scheme, protocol, headers }) => {
                Asked::Http(Http::new(method, target, host, scheme, protocol, headers))
            }
        };
        judge(&Facts {
            caller: match &self.caller {
                MadeUpCaller::Unverified(unverified) => Presented::Unverified(unverified),
                MadeUpCaller::Verified(caller) => Presented::Verified(caller),
            },
            chain: &self.chain,
            asked,
            source_ip: self.source_ip,
            destination: self.destination,
            sni: self.sni.as_deref(),
        })
    }
}

fn before(at: Timestamp, length: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_sub(millis(length)))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// So old is a credential of which nothing is said.
const A_MOMENT: Duration = Duration::from_mins(1);
/// So long is it valid.
const AN_HOUR: Duration = Duration::from_hours(1);
