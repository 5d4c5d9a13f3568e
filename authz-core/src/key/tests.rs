//! A key is as equal as the facts that policies read: never more, or one answer would serve another's request, and never less, or none would be reused.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    facts::{Caller, Facts, HeaderValue, Headers, Http, NoHeaders, Presented},
    gate::Gate,
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    plan::{Plan, PolicyDigest, Read, Rules},
    reading::{Reading, Test, Use, Uses},
    revocation::RevocationSet,
    time::Timestamp,
};

mod map;

use self::map::map;

/// A request out of few values, so that equal ones come often; some differ only in where one value ends and the next begins.
#[derive(Clone, Debug)]
struct Sample {
    id: &'static str,
    certificate: u8,
    method: &'static str,
    target: String,
    host: &'static str,
    scheme: &'static str,
    protocol: &'static str,
    sni: Option<&'static str>,
    source_ip: Option<IpAddr>,
    destination: Option<SocketAddr>,
    hops: Vec<&'static str>,
    reach: Reach,
    headers: Vec<(&'static str, &'static str)>,
}

/// A fact as a policy would see it.
type Fact = Option<String>;

impl Sample {
    /// The key with everything whole that is read under `plan`.
    fn key(&self, plan: &Plan) -> Option<Vec<u8>> {
        self.key_by(plan, &Reading::of(plan.reads().iter().cloned().collect()))
    }

    fn key_by(&self, plan: &Plan, reading: &Reading) -> Option<Vec<u8>> {
        let revocations = RevocationSet::default();
        let caller = self.caller();
        let http = Http::new(self.method, &self.target, self.host, self.scheme, self.protocol, &self.headers);
        let chain = Chain::new(self.hops.iter().map(|id| self.workload(id)).collect(), self.reach);
        let facts = Facts {
            chain: &chain,
            source_ip: self.source_ip,
            destination: self.destination,
            sni: self.sni,
            ..Facts::of_http(Presented::Verified(&caller), http)
        };
        let admitted = Gate::new(&revocations, plan).admit(&facts, Timestamp::from_millis(1)).ok()?;
        let (mut key, mut reused) = (Vec::new(), b"what was in the buffer before".to_vec());
        admitted.write_key(reading, &mut key);
        admitted.write_key(reading, &mut reused);
        assert_eq!(key, reused);
        Some(key)
    }

    fn caller(&self) -> Arc<Caller> {
        self.workload(self.id)
    }

    fn workload(&self, id: &str) -> Arc<Caller> {
        let id = SpiffeId::parse(id).unwrap();
        let serial = IssuerSerial::new("CN=root", &format!("1{:x}", self.certificate)).unwrap();
        let digest = Digest::from_bytes([self.certificate; 32]);
        let (begins, ends) = self.validity();
        Caller::verified(Credential::new(id, digest, serial, begins, ends).unwrap())
    }

    /// Some begin, some end, and some last as others do.
    fn validity(&self) -> (Timestamp, Timestamp) {
        let (begins, ends) = [(0, 100), (0, 101), (1, 101), (1, 100)][usize::from(self.certificate)];
        (Timestamp::from_millis(begins), Timestamp::from_millis(ends))
    }

    /// Everything that policies read under `plan`, one by one.
    fn read(&self, plan: &Plan) -> Vec<Fact> {
        let mut facts: Vec<Fact> =
            vec![Some(plan.digest().to_string()), Some(self.id.into()), Some(self.method.into())];
        facts.push(plan.operations().and_then(|_| self.operation()).map(|(number, _)| number.to_string()));
        facts.extend(plan.reads().iter().map(|read| match read {
            Read::Resource if plan.operations().is_none() => None,
            read => self.fact(read),
        }));
        facts
    }

    fn fact(&self, read: &Read) -> Fact {
        let (path, query) =
            self.target.split_once('?').map_or((&*self.target, None), |(path, query)| (path, Some(query)));
        let complete = self.reach == Reach::Origin;
        let (begins, ends) = self.validity();
        match read {
            Read::CredentialLifetime => Some((ends.as_millis() - begins.as_millis()).to_string()),
            Read::CredentialNotAfter => Some(ends.as_millis().to_string()),
            Read::CredentialNotBefore => Some(begins.as_millis().to_string()),
            // Here all are of one issue.
            Read::HopCredentials => Some(format!("{} {begins:?} {ends:?}", self.hops.len())),
            Read::DestinationIp => self.destination.map(|to| to.ip().to_string()),
            Read::DestinationPort => self.destination.map(|to| to.port().to_string()),
            Read::HopCount => Some((self.hops.len() + 1).to_string()),
            Read::Hops => Some(self.hops.join(" ")),
            Read::HopsComplete => Some(complete.to_string()),
            Read::Origin => complete.then(|| (*self.hops.last().unwrap_or(&self.id)).into()),
            Read::Header(name) => match self.headers.one(name) {
                HeaderValue::One(text) => Some(text.into()),
                _ => None,
            },
            Read::Host => Some(self.host.into()),
            Read::Path => Some(path.replace("%c3%a9", "%C3%A9")),
            Read::Protocol => Some(self.protocol.into()),
            Read::Query => query.map(Into::into),
            Read::Resource => self.operation().and_then(|(_, id)| id),
            Read::Scheme => Some(self.scheme.into()),
            Read::Sni => self.sni.map(Into::into),
            Read::SourceIp => self.source_ip.map(|ip| ip.to_string()),
        }
    }
}

prop_compose! {
    fn sample()(
        id in select(vec!["spiffe://td/a", "spiffe://td/ab", "spiffe://td/a/b"]),
        certificate in 0..4u8,
        method in select(vec!["GET", "G", "POST"]),
        target in select(vec!["/", "/a", "/a?", "/a?b", "/a/b", "/ab", "/%c3%a9", "/%C3%A9"]).prop_map(Into::into),
        host in select(vec!["", "a", "aa"]),
        scheme in select(vec!["", "http", "https"]),
        protocol in select(vec!["", "HTTP/1.1", "HTTP/2"]),
        sni in option::of(select(vec!["a", "aa"])),
        source_ip in option::of(select(vec!["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "::a"])),
        destination in option::of(select(vec!["10.0.0.1:80", "10.0.0.1:81", "[::1]:80"])),
        hops in vec(select(vec!["spiffe://td/a", "spiffe://td/h"]), 0..3),
        reach in select(Reach::ALL),
        headers in vec(select(vec![("x-a", ""), ("x-a", "a"), ("x-b", "a"), ("x-b", "aa")]), 0..3),
    ) -> Sample {
        let source_ip = source_ip.map(|text| text.parse().unwrap());
        let destination = destination.map(|text| text.parse().unwrap());
        Sample { id, certificate, method, target, host, scheme, protocol, sni, source_ip, destination, hops, reach, headers }
    }
}

prop_compose! {
    fn plan()(digest in 0..2u8, reads in vec(select(reads()), 0..16), mapped: bool) -> Plan {
        let plan = Plan::new(PolicyDigest([digest; 32]), reads, Rules::default());
        if mapped { plan.with_operations(map()) } else { plan }
    }
}

fn reads() -> Vec<Read> {
    let headers = ["x-a", "x-b"].map(|name| Read::Header(name.into()));
    Read::FIXED.iter().cloned().chain(headers).collect()
}

/// Two requests that differ in few things, or in none.
fn pair() -> impl Strategy<Value = (Sample, Sample)> {
    (sample(), sample(), any::<[bool; 13]>()).prop_map(|(one, other, same)| {
        let [
            id,
            certificate,
            method,
            target,
            host,
            scheme,
            protocol,
            sni,
            source_ip,
            destination,
            hops,
            reach,
            headers,
        ] = same;
        let second = Sample {
            id: either(id, &one.id, &other.id),
            certificate: either(certificate, &one.certificate, &other.certificate),
            method: either(method, &one.method, &other.method),
            target: either(target, &one.target, &other.target),
            host: either(host, &one.host, &other.host),
            scheme: either(scheme, &one.scheme, &other.scheme),
            protocol: either(protocol, &one.protocol, &other.protocol),
            sni: either(sni, &one.sni, &other.sni),
            source_ip: either(source_ip, &one.source_ip, &other.source_ip),
            destination: either(destination, &one.destination, &other.destination),
            hops: either(hops, &one.hops, &other.hops),
            reach: either(reach, &one.reach, &other.reach),
            headers: either(headers, &one.headers, &other.headers),
        };
        (one, second)
    })
}

fn either<T: Clone>(first: bool, one: &T, other: &T) -> T {
    if first { one.clone() } else { other.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn keys_are_equal_exactly_if_all_facts_read_are((one, other) in pair(), plan in plan()) {
        if let (Some(first), Some(second)) = (one.key(&plan), other.key(&plan)) {
            prop_assert_eq!(first == second, one.read(&plan) == other.read(&plan), "{:?} {:?}", plan.reads(), plan.operations());
        }
    }

    #[test]
    fn another_policy_set_gives_another_key(sample in sample(), one in plan(), other in plan()) {
        if let (Some(first), Some(second)) = (sample.key(&one), sample.key(&other)) {
            prop_assert!(one.digest() == other.digest() || first != second);
        }
    }

    #[test]
    fn values_of_any_length_can_not_run_into_each_other(a in "[a-c]{0,300}", b in "[a-c]{0,300}", cut in 0..300usize) {
        let plan = Plan::new(PolicyDigest([0; 32]), [Read::Path, Read::Query], Rules::default());
        let whole = format!("{a}{b}");
        let cut = cut.min(whole.len());
        let keyed = |path: &str, query: &str| Sample { target: format!("/{path}?{query}"), ..plain() }.key(&plan).unwrap();
        prop_assert_eq!(keyed(&a, &b) == keyed(&whole[..cut], &whole[cut..]), cut == a.len());
    }
}

#[test]
fn what_is_absent_is_not_what_is_empty() {
    let plan = Plan::new(PolicyDigest([0; 32]), [Read::Header("x-a".into()), Read::Query], Rules::default());
    let key = |target: &str, headers: &[(&'static str, &'static str)]| {
        Sample { target: target.into(), headers: headers.to_vec(), ..plain() }.key(&plan).unwrap()
    };
    let keys = [key("/", &[]), key("/?", &[]), key("/", &[("x-a", "")]), key("/?", &[("x-a", "")])];
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(keys.iter().position(|other| other == key), Some(at));
    }
}

/// Tests of every kind, on every kind of fact; and what they say of the fact as a policy sees it.
fn passes(test: &Test, read: &Read, fact: &str, sample: &Sample) -> bool {
    match test {
        Test::AtMost(most) => fact.parse::<i64>().unwrap() <= *most,
        Test::Contains(id) => sample.hops.iter().chain([&sample.id]).any(|hop| **hop == **id),
        Test::Equals(wanted) => fact == &**wanted,
        Test::InRange(range) => range.contains(fact.parse::<IpAddr>().unwrap().to_canonical()),
        Test::Like(pattern) => {
            assert_ne!(*read, Read::Hops);
            pattern.matches(fact)
        }
    }
}

fn tests_of(read: &Read) -> Vec<Test> {
    let parsed = |texts: &[&str]| texts.iter().map(|text| Test::parse(text).unwrap()).collect();
    match read {
        Read::DestinationIp | Read::SourceIp => parsed(&["in-range:10.0.0.0/31", "in-range:10.0.0.1", "in-range:::/0"]),
        Read::DestinationPort => parsed(&["at-most:80", "at-most:79"]),
        Read::HopCount => parsed(&["at-most:1", "at-most:2"]),
        Read::Hops => parsed(&["contains:spiffe://td/h", "contains:spiffe://td/a"]),
        Read::Origin => parsed(&["equals:spiffe://td/a"]),
        Read::CredentialLifetime => parsed(&["at-most:99", "at-most:100"]),
        read if never_tested(read) => vec![],
        _ => parsed(&[
            "equals:a",
            "equals:b/a",
            "like:a*",
            "like:*a",
            "like:/*a*b",
            "equals:/%C3%A9",
            "like:HTTP/2*",
            "equals:",
        ]),
    }
}

prop_compose! {
    fn uses()(chosen in vec((select(reads()), any::<u8>()), 0..6)) -> Uses {
        let mut uses = Uses::default();
        for (read, which) in chosen {
            let tests = tests_of(&read);
            match usize::from(which) % (tests.len() + 2) {
                0 => uses.whole(read),
                1 => uses.presence(read),
                at => uses.test(read, tests[at - 2].clone()),
            }
        }
        uses
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn keys_are_equal_exactly_if_every_test_says_the_same((one, other) in pair(), uses in uses()) {
        let said = |sample: &Sample| {
            let facts = uses.iter().map(|(read, used)| {
                let fact = sample.fact(read);
                match used {
                    // Of what has no tests of its own, that it is there is all that can be asked.
                    Use::Tests(tests) if !never_tested(read) => {
                        let passed = fact.as_ref().map(|fact| tests.iter().map(|test| passes(test, read, fact, sample)).collect());
                        (None, passed)
                    }
                    _ => (Some(fact), None),
                }
            });
            let operation = sample.operation().map(|(number, _)| number);
            (sample.id, sample.method, operation, facts.collect::<Vec<(Option<Fact>, Option<Vec<bool>>)>>())
        };
        let plan = Plan::new(PolicyDigest([0; 32]), uses.iter().map(|(read, _)| read.clone()), Rules::default());
        let (plan, reading) = (plan.with_operations(map()), Reading::of(uses.clone()));
        if let (Some(first), Some(second)) = (one.key_by(&plan, &reading), other.key_by(&plan, &reading)) {
            prop_assert_eq!(first == second, said(&one) == said(&other));
        }
    }
}

fn never_tested(read: &Read) -> bool {
    use Read::{CredentialNotAfter, CredentialNotBefore, HopCredentials, HopsComplete};
    matches!(read, CredentialNotAfter | CredentialNotBefore | HopCredentials | HopsComplete)
}

#[test]
fn a_test_that_does_not_fit_its_fact_makes_it_enter_whole() {
    let mut uses = Uses::default();
    uses.test(Read::Path, Test::AtMost(3));
    let plan = Plan::new(PolicyDigest([0; 32]), [Read::Path], Rules::default());
    let key =
        |target: &str| Sample { target: target.into(), ..plain() }.key_by(&plan, &Reading::of(uses.clone())).unwrap();
    assert_ne!(key("/a"), key("/b"));
}

#[test]
fn a_renewed_certificate_finds_the_answers_of_its_predecessor() {
    let of_credentials =
        [Read::CredentialLifetime, Read::CredentialNotAfter, Read::CredentialNotBefore, Read::HopCredentials];
    let others = reads().into_iter().filter(|read| !of_credentials.contains(read));
    let plan = Plan::new(PolicyDigest([0; 32]), others, Rules::default());
    assert_eq!(Sample { certificate: 1, ..plain() }.key(&plan), plain().key(&plan));
}

#[test]
fn where_somebody_behind_has_another_certificate_the_key_is_another() {
    let plan = Plan::new(PolicyDigest([0; 32]), [Read::HopCredentials], Rules::default());
    let key = |first: u64, second: u64| {
        let ids = [("spiffe://td/a", 9), ("spiffe://td/b", first), ("spiffe://td/c", second)];
        let workloads = ids.map(|(id, ends)| workload(id, ends));
        let chain = Chain::new(workloads[1..].to_vec(), Reach::Origin);
        let http = Http::new("GET", "/", "a", "https", "HTTP/2", &NoHeaders);
        let facts = Facts { chain: &chain, ..Facts::of_http(Presented::Verified(&workloads[0]), http) };
        let mut key = Vec::new();
        let (revocations, reading) =
            (RevocationSet::default(), Reading::of([Read::HopCredentials].into_iter().collect()));
        let gate = Gate::new(&revocations, &plan);
        gate.admit(&facts, Timestamp::from_millis(1)).unwrap().write_key(&reading, &mut key);
        key
    };
    assert_eq!(key(5, 6), key(5, 6));
    assert!(key(5, 6) != key(6, 5) && key(5, 6) != key(5, 7) && key(5, 6) != key(7, 6));
}

fn workload(id: &str, ends: u64) -> Arc<Caller> {
    let (begins, ends) = (Timestamp::default(), Timestamp::from_millis(ends));
    let serial = IssuerSerial::new("CN=root", "1").unwrap();
    let id = SpiffeId::parse(id).unwrap();
    Caller::verified(Credential::new(id, Digest::from_bytes([0; 32]), serial, begins, ends).unwrap())
}

fn plain() -> Sample {
    Sample {
        id: "spiffe://td/a",
        certificate: 0,
        method: "GET",
        target: "/".into(),
        host: "a",
        scheme: "https",
        protocol: "HTTP/2",
        sni: None,
        source_ip: None,
        destination: None,
        hops: vec![],
        reach: Reach::Origin,
        headers: vec![],
    }
}
