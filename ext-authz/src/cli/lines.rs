//! Signals from a file, one a line: everything that is wrong is told, with its line, before anything is sent. It sends nothing.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use authz_core::time::Timestamp;
use serde::Deserialize;

use super::{
    CliError,
    moment::{Moment, parse_moment},
    scope::parse_scope,
};
use crate::{
    signals::convert,
    wire::control::{Attribute, Kind, Posture, SubmitRequest},
};

/// A signal and the line it stands in.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// From 1.
    pub number: usize,
    /// What is asked for.
    pub request: SubmitRequest,
}

/// A line as `signals list --output json` writes it; what it does not say is as on the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    scope: String,
    action: Option<String>,
    id: Option<String>,
    who: Option<String>,
    why: Option<String>,
    source: Option<String>,
    issued_before: Option<String>,
    expires_at: Option<String>,
    event_at: Option<String>,
    risk: Option<u32>,
    compliant: Option<bool>,
    attributes: Option<BTreeMap<String, String>>,
    // Written by the list, and given anew.
    #[serde(rename = "seq")]
    _seq: Option<u64>,
    #[serde(rename = "at")]
    _at: Option<String>,
}

/// Reads `file`, or standard input for `-`; `default` says what lines do not.
pub(super) fn read(file: &Path, default: &SubmitRequest, now: Timestamp) -> Result<Vec<Line>, CliError> {
    let unreadable = |error: io::Error| CliError::Usage(format!("{}: {error}", file.display()));
    let reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    let (mut lines, mut wrong) = (Vec::new(), Wrong::default());
    for (number, text) in (1..).zip(reader.lines()) {
        let text = text.map_err(unreadable)?;
        let text = text.trim();
        if text.is_empty() || text.starts_with("//") {
            continue;
        }
        match parse(text, default, now) {
            Ok(request) => lines.push(Line { number, request }),
            Err(error) => wrong.add(&format!("{}:{number}: {error}", file.display())),
        }
    }
    if wrong.count == 0 && lines.is_empty() {
        wrong.add(&format!("{}: it names nothing; write a scope, or a JSON object, in each line", file.display()));
    }
    wrong.into_result().map(|()| lines)
}

fn parse(text: &str, default: &SubmitRequest, now: Timestamp) -> Result<SubmitRequest, String> {
    let request = if text.starts_with('{') {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        written.into_request(default, now)?
    } else {
        SubmitRequest { scope: parse_scope(text)?.to_string(), ..default.clone() }
    };
    // What the sidecar would refuse for its form is refused here, with its line.
    convert::from_request(request.clone(), "", now).map_err(|error| error.to_string())?;
    Ok(request)
}

impl Written {
    fn into_request(self, default: &SubmitRequest, now: Timestamp) -> Result<SubmitRequest, String> {
        let kind = match self.action.as_deref() {
            None => default.kind,
            Some(name) => kind(name)?.into(),
        };
        // Bounds and values of the command line are those of its own kind of signal.
        let default = if kind == default.kind { default.clone() } else { without_values(default) };
        let posture = match (self.compliant, self.attributes) {
            (None, None) => default.posture,
            (compliant, attributes) => Some(Posture {
                compliant: compliant.ok_or("attributes need compliant, true or false")?,
                attributes: attributes.into_iter().flatten().map(|(name, value)| Attribute { name, value }).collect(),
            }),
        };
        Ok(SubmitRequest {
            kind,
            scope: parse_scope(&self.scope)?.to_string(),
            id: self.id.unwrap_or(default.id),
            who: self.who.map_or(default.who, |who| claim(&who).to_owned()),
            why: self.why.unwrap_or(default.why),
            source: self.source.unwrap_or(default.source),
            issued_before_ms: moment("issued_before", self.issued_before, now)?.or(default.issued_before_ms),
            expires_at_ms: moment("expires_at", self.expires_at, now)?.or(default.expires_at_ms),
            event_at_ms: moment("event_at", self.event_at, now)?.or(default.event_at_ms),
            risk: self.risk.or(default.risk),
            posture,
        })
    }
}

/// What somebody said of itself, without what was proven of it then: that is proven anew, of whoever sends it now.
fn claim(who: &str) -> &str {
    let is_proof = |text: &str| text.starts_with("uid:") || text.starts_with("spiffe://");
    match who.split_once(" (") {
        Some((proof, claim)) if is_proof(proof) => claim.strip_suffix(')').unwrap_or(claim),
        None if is_proof(who) => "",
        _ => who,
    }
}

fn without_values(default: &SubmitRequest) -> SubmitRequest {
    SubmitRequest { issued_before_ms: None, expires_at_ms: None, risk: None, posture: None, ..default.clone() }
}

fn kind(name: &str) -> Result<Kind, String> {
    match name {
        "posture" => Ok(Kind::Posture),
        "restore" => Ok(Kind::Restore),
        "revoke" => Ok(Kind::Revoke),
        "risk" => Ok(Kind::Risk),
        _ => Err(format!("action {name:?} is none, write revoke, restore, risk or posture")),
    }
}

fn moment(field: &str, text: Option<String>, now: Timestamp) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    match parse_moment(&text).map_err(|error| format!("{field}: {error}"))? {
        Moment::At(moment) => Ok(Some(moment.as_millis())),
        Moment::Now => Ok(Some(now.as_millis())),
    }
}

/// What is wrong, of which the first are told.
#[derive(Default)]
struct Wrong {
    count: usize,
    told: Vec<String>,
}

impl Wrong {
    fn add(&mut self, error: &str) {
        self.count += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(error.to_owned());
        }
    }

    fn into_result(mut self) -> Result<(), CliError> {
        if self.count == 0 {
            return Ok(());
        }
        if self.count > self.told.len() {
            self.told.push(format!("and {} more", self.count - self.told.len()));
        }
        self.told.push("nothing was sent".to_owned());
        Err(CliError::Usage(self.told.join("\n")))
    }
}

/// Most mistakes that are told one by one.
const MAX_TOLD: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn read_text(text: &str, default: &SubmitRequest) -> Result<Vec<Line>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        std::fs::write(&path, text).unwrap();
        let shown = format!("{}:", path.display());
        read(&path, default, NOW).map_err(|error| error.to_string().replace(&shown, "f:"))
    }

    fn revoke() -> SubmitRequest {
        SubmitRequest {
            kind: Kind::Revoke.into(),
            why: "leak".into(),
            expires_at_ms: Some(u64::MAX >> 20),
            ..Default::default()
        }
    }

    #[test]
    fn a_line_is_a_scope_or_an_object_that_says_what_differs() {
        let text = "spiffe://a.test/x\n\n// a comment\ntoken:t\n\
            {\"scope\": \"device:d\", \"action\": \"posture\", \"compliant\": false, \"attributes\": {\"os\": \"old\"}}\n\
            {\"scope\": \"spiffe://a.test\", \"action\": \"restore\", \"why\": \"mended\", \"seq\": 7, \"at\": \"x\"}\n\
            {\"scope\": \"agent:a\", \"action\": \"risk\", \"risk\": 7, \"event_at\": \"2027-01-15T07:59:00Z\", \"source\": \"edr\"}";
        let default = revoke();
        let lines = read_text(text, &default).unwrap();
        let numbers: Vec<usize> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 4, 5, 6, 7]);
        let requests: Vec<SubmitRequest> = lines.into_iter().map(|line| line.request).collect();
        let plain = |scope: &str| SubmitRequest { scope: scope.into(), ..default.clone() };
        assert_eq!(requests[..2], [plain("spiffe-id:spiffe://a.test/x"), plain("token:t")]);
        let posture = requests[2].posture.clone().unwrap();
        assert_eq!((requests[2].kind(), posture.compliant, posture.attributes.len()), (Kind::Posture, false, 1));
        assert_eq!(requests[2].expires_at_ms, None, "a bound of revocations is none of postures");
        assert_eq!((requests[3].kind(), requests[3].why.as_str()), (Kind::Restore, "mended"));
        assert_eq!(
            (requests[4].risk, requests[4].event_at_ms, requests[4].source.as_str()),
            (Some(7), Some(1_799_999_940_000), "edr")
        );
    }

    #[test]
    fn of_who_sent_it_only_the_claim_is_said_again() {
        for (who, expected) in [
            ("uid:0", ""),
            ("uid:0 (alice)", "alice"),
            ("spiffe://a.test/x (bob (night shift))", "bob (night shift)"),
            ("alice", "alice"),
            ("alice (on call)", "alice (on call)"),
        ] {
            assert_eq!(claim(who), expected);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line_before_anything_is_sent() {
        let text = "spiffe://a.test/x\nplanet:mars\n{\"scope\": \"device:d\", \"colour\": 1}\n{\"scope\": \"device:d\", \"action\": \"bless\"}\n\
            {\"scope\": \"device:d\", \"expires_at\": \"2001-01-01T00:00:00Z\"}\n{\"scope\": \"device:d\", \"risk\": 5}\n{broken\n\
            {\"scope\": \"device:d\", \"attributes\": {}}\n{}";
        let error = read_text(text, &revoke()).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 9, "{error}");
        for (line, words) in lines.iter().zip([
            "f:2: scope \"planet:mars\" has no known kind",
            "f:3: unknown field `colour`",
            "f:4: action \"bless\" is none",
            "f:5: expires_at_ms 978307200000 is over already",
            "f:6: risk is set on a revoke signal",
            "f:7: ",
            "f:8: attributes need compliant",
            "f:9: scope \"\" has no known kind",
            "nothing was sent",
        ]) {
            assert!(line.starts_with(words), "{line:?} does not begin with {words:?}");
        }
        let many = read_text(&"planet:mars\n".repeat(100), &revoke()).unwrap_err();
        assert!(many.contains("\nand 80 more\n"), "{many}");
        assert!(read_text("\n", &revoke()).unwrap_err().contains("it names nothing"));
    }
}
