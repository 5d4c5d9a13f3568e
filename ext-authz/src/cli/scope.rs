//! What a signal is about, as people name it: a SPIFFE ID, a certificate file, a serial, a token. It checks forms, not existence.

use std::path::{Path, PathBuf};

use authz_core::{
    identity::{Digest, IssuerSerial, PathPrefix, SpiffeId, TrustDomain},
    scope::Scope,
    time::Timestamp,
};
use clap::Args;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest as _, Sha256};

use super::{CliError, token};

/// One or more scopes, in any of the forms.
#[derive(Clone, Debug, Args)]
pub(super) struct ScopeArgs {
    // Given as text: in a doc comment the IDs would be links.
    #[arg(value_name = "SCOPE", value_parser = parse_scope, help = SCOPE_HELP, required_unless_present = SCOPES)]
    scopes: Vec<Scope>,
    #[command(flatten)]
    named: NamedArgs,
}

/// The forms that have an option of their own.
#[derive(Clone, Debug, Args)]
#[group(id = SCOPES, multiple = true)]
pub(super) struct NamedArgs {
    /// The certificate in this PEM file (of several, the first: the leaf)
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// The certificate of this issuer (RFC 4514) with this serial in hex
    #[arg(long, value_name = "ISSUER#HEX", value_parser = parse_serial)]
    serial: Vec<Scope>,
    /// The token (a JWT) in this file, or - for standard input: its jti is read, and its exp ends the revocation; it is not sent
    #[arg(long, value_name = "FILE")]
    token: Vec<PathBuf>,
    /// The token with this jti
    #[arg(long, value_name = "JTI", value_parser = |it: &str| parse_kind("token", it))]
    jti: Vec<Scope>,
    /// The human or machine that this issuer calls so, as iss and sub of its tokens say
    #[arg(long, value_name = "ISSUER#SUB", value_parser = |it: &str| parse_kind("subject", it))]
    subject: Vec<Scope>,
    /// One session of a subject (sid)
    #[arg(long, value_name = "SID", value_parser = |it: &str| parse_kind("session", it))]
    session: Vec<Scope>,
    /// One device, as its manager names it
    #[arg(long, value_name = "NAME", value_parser = |it: &str| parse_kind("device", it))]
    device: Vec<Scope>,
    /// One agent, as its tokens name it
    #[arg(long, value_name = "NAME", value_parser = |it: &str| parse_kind("agent", it))]
    agent: Vec<Scope>,
    /// Each line of this file, or - for standard input: a SCOPE, or a JSON object as `signals list --output json` writes it
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
}

/// A scope as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The scope.
    pub scope: Scope,
    /// When it is over by itself, if that is known.
    pub ends: Option<Timestamp>,
}

impl ScopeArgs {
    /// All of them, in the order of the forms.
    pub(super) fn resolve(&self) -> Result<Vec<Target>, CliError> {
        self.named.resolve(&self.scopes)
    }

    /// The file with more of them.
    pub(super) fn from(&self) -> Option<&Path> {
        self.named.from.as_deref()
    }
}

impl NamedArgs {
    /// `scopes` and all that are named here, in the order of the forms.
    pub(super) fn resolve(&self, scopes: &[Scope]) -> Result<Vec<Target>, CliError> {
        let Self { serial, jti, subject, session, device, agent, .. } = self;
        let named = [scopes, serial, jti, subject, session, device, agent].concat();
        let mut targets: Vec<Target> = named.into_iter().map(|scope| Target { scope, ends: None }).collect();
        for file in &self.cert {
            targets.push(Target { scope: of_certificate(file).map_err(CliError::Usage)?, ends: None });
        }
        for file in &self.token {
            let token::TokenName { scope, expires_at } = token::of_file(file).map_err(CliError::Usage)?;
            targets.push(Target { scope, ends: expires_at });
        }
        Ok(targets)
    }
}

/// Reads a scope in the form for people, or as the log shows it.
pub(super) fn parse_scope(text: &str) -> Result<Scope, String> {
    if !text.starts_with("spiffe://") {
        return text.parse::<Scope>().map_err(|error| error.to_string());
    }
    let (id, below) = text.strip_suffix("/*").map_or((text, false), |prefix| (prefix, true));
    let id = SpiffeId::parse(id).map_err(|error| error.to_string())?;
    match (id.is_trust_domain_id(), below) {
        (true, _) => Ok(Scope::trust_domain(&TrustDomain::of(&id))),
        (false, false) => Ok(Scope::spiffe_id(&id)),
        (false, true) => {
            PathPrefix::parse(id.as_str()).map(|it| Scope::path_prefix(&it)).map_err(|error| error.to_string())
        }
    }
}

fn parse_kind(kind: &str, name: &str) -> Result<Scope, String> {
    format!("{kind}:{name}").parse::<Scope>().map_err(|error| error.to_string())
}

/// Takes the serial as certificate tools print it: upper case, colons and leading zeros are all right.
fn parse_serial(text: &str) -> Result<Scope, String> {
    let (issuer, serial) = text.rsplit_once('#').ok_or("it has no # between issuer and serial")?;
    let digits = serial.replace(':', "").to_ascii_lowercase();
    let number = digits.trim_start_matches('0');
    let number = if number.is_empty() && !digits.is_empty() { "0" } else { number };
    IssuerSerial::new(issuer, number).map(|it| Scope::issuer_serial(&it)).map_err(|error| error.to_string())
}

fn of_certificate(file: &Path) -> Result<Scope, String> {
    let certificate = CertificateDer::from_pem_file(file)
        .map_err(|error| format!("{}: {error}; name a PEM file with a certificate", file.display()))?;
    Ok(Scope::certificate(&Digest::from_bytes(Sha256::digest(&certificate).into())))
}

/// The group of options that name scopes.
pub(super) const SCOPES: &str = "scopes-by-option";

const SCOPE_HELP: &str = "spiffe://td/path (one workload), spiffe://td/path/* (everything at and below), spiffe://td (a \
    trust domain), or the text of a scope as `signals list` shows it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_a_workload_a_prefix_or_a_trust_domain() {
        let cases = [
            ("spiffe://demo.test/ns/a/sa/b", "spiffe-id:spiffe://demo.test/ns/a/sa/b"),
            ("spiffe://demo.test/ns/a/*", "path-prefix:spiffe://demo.test/ns/a"),
            ("spiffe://demo.test", "trust-domain:demo.test"),
            ("spiffe://demo.test/*", "trust-domain:demo.test"),
            ("path-prefix:spiffe://demo.test/ns", "path-prefix:spiffe://demo.test/ns"),
            ("trust-domain:demo.test", "trust-domain:demo.test"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_scope(text).unwrap().to_string(), expected, "{text}");
        }
        for bad in
            ["", "demo.test", "spiffe://demo.test/", "spiffe://demo.test/a*", "spiffe://demo.test/*/b", "spiffe://"]
        {
            assert!(parse_scope(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_serial_is_taken_as_tools_print_it() {
        for text in ["CN=root#0A:FF", "CN=root#0aff", "CN=root#aff"] {
            assert_eq!(parse_serial(text).unwrap().to_string(), "issuer-serial:CN=root#aff", "{text}");
        }
        assert_eq!(parse_serial("CN=root#00").unwrap().to_string(), "issuer-serial:CN=root#0");
        for bad in ["", "CN=root", "CN=root#", "CN=root#xyz", "#1"] {
            assert!(parse_serial(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_file_names_its_leaf_by_digest() {
        let directory = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(vec!["demo.test".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["else.test".to_owned()]).unwrap();
        let path = directory.path().join("svid.pem");
        let pem = [issued.signing_key.serialize_pem(), issued.cert.pem(), other.cert.pem()].concat();
        std::fs::write(&path, pem).unwrap();
        let digest = Digest::from_bytes(Sha256::digest(issued.cert.der()).into());
        assert_eq!(of_certificate(&path).unwrap(), Scope::certificate(&digest));
        std::fs::write(&path, "nothing").unwrap();
        assert!(of_certificate(&path).unwrap_err().contains("svid.pem"));
    }
}
