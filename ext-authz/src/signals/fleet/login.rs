//! How a connection to the servers is made: addresses, TLS and who we are. Files are read each time, so that new secrets need no restart.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::{ConnectOptions, ServerAddr};

use super::Refused;
use crate::config::{NatsConfig, NatsLogin};

/// The options of one connection. It is made once and never again: who loses it starts over with a new one.
pub(super) fn options(config: &NatsConfig) -> Result<ConnectOptions, Refused> {
    let options = log_in(ConnectOptions::new(), &config.login)?
        .name("countersign")
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_EVERY)
        .request_timeout(Some(config.timeout))
        .max_reconnects(config.servers.len())
        .require_tls(needs_tls(config));
    let options = match &config.ca_file {
        Some(file) => options.add_root_certificates(readable(file, "signals.nats.ca_file")?),
        None => options,
    };
    match &config.certificate {
        Some((certificate, key)) => Ok(options.add_client_certificate(
            readable(certificate, "signals.nats.certificate")?,
            readable(key, "signals.nats.key")?,
        )),
        None => Ok(options),
    }
}

fn log_in(options: ConnectOptions, login: &NatsLogin) -> Result<ConnectOptions, Refused> {
    match login {
        NatsLogin::None => Ok(options),
        NatsLogin::Credentials(file) => {
            let text = secret(file, "signals.nats.credentials")?;
            let refuse = |error| {
                let what = format!("signals.nats.credentials: {} is no credentials file: {error}", file.display());
                Refused::new(what, "write it with `nsc generate creds`; it is read again at each attempt")
            };
            options.credentials(&text).map_err(refuse)
        }
        NatsLogin::Nkey(file) => Ok(options.nkey(secret(file, "signals.nats.nkey")?)),
        NatsLogin::Password(user, file) => {
            Ok(options.user_and_password(user.clone(), secret(file, "signals.nats.password_file")?))
        }
        NatsLogin::Token(file) => Ok(options.token(secret(file, "signals.nats.token_file")?)),
    }
}

/// Whether a connection without TLS is refused: it is, unless all servers are on this host or the operator says otherwise.
fn needs_tls(config: &NatsConfig) -> bool {
    config.servers.iter().any(ServerAddr::tls_required)
        || !(config.allow_plaintext || config.servers.iter().all(is_here))
}

fn is_here(server: &ServerAddr) -> bool {
    let host = server.host().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn secret(file: &Path, knob: &str) -> Result<String, Refused> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, knob, &error))?;
    let text = text.trim();
    if text.is_empty() {
        Err(Refused::new(format!("{knob}: {} is empty", file.display()), MEND_FILE))
    } else {
        Ok(text.to_owned())
    }
}

fn readable(file: &Path, knob: &str) -> Result<PathBuf, Refused> {
    std::fs::File::open(file).map(|_| file.to_owned()).map_err(|error| unreadable(file, knob, &error))
}

fn unreadable(file: &Path, knob: &str, error: &io::Error) -> Refused {
    Refused::new(format!("{knob}: {} can't be read: {error}", file.display()), MEND_FILE)
}

const MEND_FILE: &str = "mend the file or its permissions; it is read again at each attempt";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that answers no ping is lost after two of them.
const PING_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::fleet::tests::config;

    #[test]
    fn plaintext_leaves_this_host_only_if_the_operator_says_so() {
        let needs = |servers: &[&str], allow_plaintext| {
            let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
            needs_tls(&NatsConfig { servers, allow_plaintext, ..config(4222) })
        };
        assert!(!needs(&["nats://127.0.0.1:4222", "localhost", "nats://[::1]:4"], false));
        assert!(needs(&["nats://127.0.0.1:4222", "nats://10.0.0.1"], false));
        assert!(needs(&["nats://nats.example"], false) && !needs(&["nats://nats.example"], true));
        assert!(needs(&["tls://127.0.0.1"], true), "who writes tls means it");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_with_its_knob() {
        let missing = NatsLogin::Credentials("/nowhere/user.creds".into());
        let error = options(&NatsConfig { login: missing, ..config(4222) }).unwrap_err().to_string();
        assert!(error.starts_with("signals.nats.credentials: /nowhere/user.creds can't be read"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("user.creds");
        for (text, expected) in [(" \n", "is empty"), ("no credentials", "is no credentials file")] {
            std::fs::write(&file, text).unwrap();
            let login = NatsLogin::Credentials(file.clone());
            let error = options(&NatsConfig { login, ..config(4222) }).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
