//! The organisation record: who an organisation is, where it answers, which keys it signs with and
//! in which slots its trees stand. Canonical JSON in DSSE, signed by one of its own keys.
//!
//! A record proves nothing about the organisation by itself; it binds DID, trust domain, endpoints,
//! keys and log together, so that pinning its fingerprint pins them all (docs/format.md).

use crate::anchor::{MAX_SLOTS, SLOT_DECISIONS, SLOT_EVENTS, TreeId};
use crate::dsse::Envelope;
use crate::fields::{
    MAX_TEXT_BYTES, Malformed, Members, hex_json, is_did, shown, time_json, uint_json,
};
use crate::json::Json;
use crate::keys::{PublicKey, SecretKey};
use crate::successor::{MAX_PREDECESSORS, Predecessor};
use crate::text64;

/// The type of the record of a log that comes after no other.
const TYPE: &str = "twinpact-organisation/1";
/// The type of the record of a successor.
const TYPE_OF_SUCCESSOR: &str = "twinpact-organisation/2";
/// The payload type of a record.
pub const PAYLOAD_TYPE: &str = "application/vnd.twinpact.organisation+json";
/// The most keys of a record, past ones included.
pub const MAX_KEYS: usize = 64;
/// The most trees that a record names.
pub const MAX_NAMED_TREES: usize = 16;
/// The longest name of an organisation, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// The longest root certificate, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 8192;

/// A key with the time during which it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey {
    /// The key.
    pub key: PublicKey,
    /// From when it signs, in microseconds since 1970.
    pub from: i64,
    /// Until when, exclusive; `None` while its end is open.
    pub until: Option<i64>,
}

impl RecordKey {
    /// Whether it signs at that time.
    #[must_use]
    pub fn valid_at(&self, time: i64) -> bool {
        self.from <= time && !self.ended_by(time)
    }

    /// Whether its time is over by then.
    #[must_use]
    pub fn ended_by(&self, time: i64) -> bool {
        self.until.is_some_and(|until| until <= time)
    }
}

/// A tree of the organisation that has a fixed slot by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTree {
    /// `events`, `decisions`, or another lower-case word.
    pub name: String,
    /// The slot in which its head stands.
    pub slot: u64,
    /// Its random id.
    pub tree: TreeId,
}

/// An organisation record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The organisation.
    pub did: String,
    /// Its name for people.
    pub name: String,
    /// Its SPIFFE trust domain.
    pub trust_domain: String,
    /// The base URL of its Dataspace Protocol endpoint, `https://…`.
    pub dsp: String,
    /// The DER of the root certificate of its trust domain; not looked into here.
    pub root_certificate: Vec<u8>,
    /// Its keys, past ones included.
    pub keys: Vec<RecordKey>,
    /// The origin of its log: `<host>/twinpact/<log id>`.
    pub origin: String,
    /// The trees that have a slot by name.
    pub slots: Vec<NamedTree>,
    /// The logs that this one comes after, the newest last; none for a first log.
    pub predecessors: Vec<Predecessor>,
    /// When the record was issued, in microseconds since 1970.
    pub issued: i64,
}

impl Record {
    /// The record as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let slots = self.slots.iter().map(|named| {
            Json::object([
                ("name", Json::text(&named.name)),
                ("slot", uint_json(named.slot)),
                ("tree", hex_json(&named.tree)),
            ])
        });
        let slots = Json::Array(slots.collect());
        let mut log = vec![("origin", Json::text(&self.origin)), ("slots", slots)];
        if !self.predecessors.is_empty() {
            let all = self.predecessors.iter().map(Predecessor::to_json);
            log.push(("predecessors", Json::Array(all.collect())));
        }
        let of_successor = !self.predecessors.is_empty();
        Json::object([
            ("audience", Json::text("*")),
            ("did", Json::text(&self.did)),
            ("endpoints", Json::object([("dsp", Json::text(&self.dsp))])),
            ("issued", Json::Int(self.issued)),
            ("keys", Json::Array(self.keys.iter().map(key_json).collect())),
            ("log", Json::object(log)),
            ("name", Json::text(&self.name)),
            ("rootCertificate", Json::text(text64::encode(&self.root_certificate))),
            ("trustDomain", Json::text(&self.trust_domain)),
            ("type", Json::text(if of_successor { TYPE_OF_SUCCESSOR } else { TYPE })),
        ])
    }

    /// Signs the record with one of its own keys. A further key is added with
    /// [`Envelope::add_signature`], for example the old key when the record brings a new one.
    ///
    /// # Errors
    /// When the record breaks a rule of its own, or the key is none of its keys at `issued`.
    pub fn sign(&self, key: &SecretKey) -> Result<Envelope, Malformed> {
        let envelope = Envelope::sign(PAYLOAD_TYPE, &self.to_json(), key);
        Record::from_envelope(&envelope)?;
        Ok(envelope)
    }

    /// The record in this envelope.
    ///
    /// # Errors
    /// When it is not exactly of the form, breaks a rule of its own, or bears a signature that is
    /// not by one of its own keys that is valid at `issued`.
    pub fn from_envelope(envelope: &Envelope) -> Result<Record, Malformed> {
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(Malformed("the payload type is not that of a record".to_owned()));
        }
        let document = envelope
            .document()
            .ok_or_else(|| Malformed("the record is not canonical JSON".to_owned()))?;
        let record = Record::from_json(&document)?;
        if envelope.signed_only_by(&record.keys_at(record.issued)) {
            Ok(record)
        } else {
            Err(Malformed(format!(
                "the record of {} is not signed by its own keys alone",
                record.did
            )))
        }
    }

    fn from_json(json: &Json) -> Result<Record, Malformed> {
        let names = [
            "audience",
            "did",
            "endpoints",
            "issued",
            "keys",
            "log",
            "name",
            "rootCertificate",
            "trustDomain",
            "type",
        ];
        let members = Members::of("the record", json, &names)?;
        let of_successor = match members.text("type", MAX_TEXT_BYTES)? {
            TYPE => false,
            TYPE_OF_SUCCESSOR => true,
            _ => return Err(members.wrong("type", &format!("{TYPE:?} or {TYPE_OF_SUCCESSOR:?}"))),
        };
        members.constant("audience", "*")?;
        let endpoints = Members::of("endpoints", members.json("endpoints")?, &["dsp"])?;
        let of_log: &[&str] = match of_successor {
            false => &["origin", "slots"],
            true => &["origin", "slots", "predecessors"],
        };
        let log = Members::of("log", members.json("log")?, of_log)?;
        let record = Record {
            did: members.did("did")?,
            name: members.text("name", MAX_NAME_BYTES)?.to_owned(),
            trust_domain: members.text("trustDomain", 255)?.to_owned(),
            dsp: endpoints.text("dsp", MAX_TEXT_BYTES)?.to_owned(),
            root_certificate: members.base64("rootCertificate", MAX_CERTIFICATE_BYTES)?,
            keys: members
                .list("keys", MAX_KEYS)?
                .iter()
                .map(key_from_json)
                .collect::<Result<_, _>>()?,
            origin: log.text("origin", MAX_TEXT_BYTES)?.to_owned(),
            slots: log
                .list("slots", MAX_NAMED_TREES)?
                .iter()
                .map(named_from_json)
                .collect::<Result<_, _>>()?,
            predecessors: predecessors(of_successor, &log)?,
            issued: members.time("issued")?,
        };
        record.check().map(|()| record)
    }

    /// The rules that a record keeps beyond its form.
    fn check(&self) -> Result<(), Malformed> {
        let refuse = |why: String| Err(Malformed(why));
        let domain_char =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if !self.trust_domain.chars().all(domain_char) {
            return refuse(format!("{} is not a trust domain", shown(&self.trust_domain)));
        }
        if !self.dsp.starts_with("https://") || has_gap(&self.dsp) {
            return refuse("the dsp endpoint is not an https URL".to_owned());
        }
        if !origin_fits(&self.did, &self.origin) {
            return refuse(format!(
                "the origin {} is not <host>/twinpact/<log id> with the host of {}",
                shown(&self.origin),
                self.did
            ));
        }
        for (i, key) in self.keys.iter().enumerate() {
            let twice = self.keys.iter().take(i).any(|other| other.key == key.key);
            if twice || key.until.is_some_and(|until| until <= key.from) {
                return refuse(format!("the key {} stands twice or has no time", key.key.id()));
            }
        }
        self.check_predecessors()?;
        self.check_slots()
    }

    fn check_predecessors(&self) -> Result<(), Malformed> {
        for (i, one) in self.predecessors.iter().enumerate() {
            let before = self.predecessors.iter().take(i).map(|other| &other.origin);
            let twice = before.chain([&self.origin]).any(|origin| *origin == one.origin);
            if twice || one.size == 0 || !origin_fits(&self.did, &one.origin) {
                let origin = shown(&one.origin);
                return Err(Malformed(format!("{origin} is not fit to be a predecessor")));
            }
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), Malformed> {
        for (i, named) in self.slots.iter().enumerate() {
            let lower = named.name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let clash = self.slots.iter().take(i).any(|other| {
                other.name == named.name || other.slot == named.slot || other.tree == named.tree
            });
            if !lower || clash || named.slot >= MAX_SLOTS {
                return Err(Malformed(format!("the slot of {} is not fit", shown(&named.name))));
            }
        }
        for (name, slot) in [("events", SLOT_EVENTS), ("decisions", SLOT_DECISIONS)] {
            if self.named(name).is_none_or(|named| named.slot != slot) {
                return Err(Malformed(format!("the tree {name} does not stand in slot {slot}")));
            }
        }
        Ok(())
    }

    /// The tree of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&NamedTree> {
        self.slots.iter().find(|named| named.name == name)
    }

    /// The keys that are valid at that time.
    #[must_use]
    pub fn keys_at(&self, time: i64) -> Vec<PublicKey> {
        self.keys.iter().filter(|key| key.valid_at(time)).map(|key| key.key).collect()
    }

    /// The keys that have not ended by that time, also those whose time has not begun: a record
    /// that was issued while its owner's clock was ahead lists its newest key from then on, and
    /// that is the one it signs with.
    #[must_use]
    pub fn unended_keys(&self, time: i64) -> Vec<PublicKey> {
        self.keys.iter().filter(|key| !key.ended_by(time)).map(|key| key.key).collect()
    }

    /// All keys, past ones included.
    #[must_use]
    pub fn all_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().map(|key| key.key).collect()
    }
}

/// The predecessors of a log; the first form of a record has none, the second at least one.
fn predecessors(of_successor: bool, log: &Members<'_>) -> Result<Vec<Predecessor>, Malformed> {
    if !of_successor {
        return Ok(Vec::new());
    }
    match log.list("predecessors", MAX_PREDECESSORS)? {
        [] => Err(log.wrong("predecessors", "a list with at least one item")),
        items => items.iter().map(Predecessor::from_json).collect(),
    }
}

/// `<host>/twinpact/<log id>`; for `did:web` the host is that of the DID, so that nobody takes the
/// log of another organisation for its own.
fn origin_fits(did: &str, origin: &str) -> bool {
    let Some((host, id)) = origin.split_once("/twinpact/") else { return false };
    let same_host = match did.strip_prefix("did:web:").and_then(|rest| rest.split(':').next()) {
        Some(of_did) => of_did.replace("%3A", ":").replace("%3a", ":") == host,
        None => !host.is_empty(),
    };
    is_did(did) && same_host && !id.is_empty() && !has_gap(origin) && !origin.contains('+')
}

fn has_gap(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn key_json(key: &RecordKey) -> Json {
    Json::object([
        ("from", Json::Int(key.from)),
        ("id", Json::text(key.key.id())),
        ("key", Json::text(text64::encode(key.key.bytes()))),
        ("until", time_json(key.until)),
    ])
}

fn key_from_json(json: &Json) -> Result<RecordKey, Malformed> {
    let members = Members::of("a key", json, &["from", "id", "key", "until"])?;
    let bytes = members.json("key")?.as_text().and_then(text64::decode_exact::<32>);
    let key = PublicKey::new(bytes.ok_or_else(|| members.wrong("key", "base64 of 32 bytes"))?);
    members.constant("id", &key.id())?;
    let (from, until) = (members.time("from")?, members.time_or_null("until")?);
    Ok(RecordKey { key, from, until })
}

fn named_from_json(json: &Json) -> Result<NamedTree, Malformed> {
    let members = Members::of("a slot", json, &["name", "slot", "tree"])?;
    Ok(NamedTree {
        name: members.text("name", 64)?.to_owned(),
        slot: members.uint("slot")?,
        tree: members.hex("tree")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_KEYS, NamedTree, PAYLOAD_TYPE, Record, RecordKey};
    use crate::dsse::Envelope;
    use crate::json::Json;
    use crate::keys::SecretKey;

    fn key() -> SecretKey {
        SecretKey::new(&[1; 32])
    }

    fn record() -> Record {
        Record {
            did: "did:web:operator.example".into(),
            name: "Operator".into(),
            trust_domain: "operator.example".into(),
            dsp: "https://operator.example/dsp".into(),
            root_certificate: vec![0x30, 0],
            keys: vec![RecordKey { key: key().public(), from: 10, until: None }],
            origin: "operator.example/twinpact/1".into(),
            slots: vec![
                NamedTree { name: "events".into(), slot: 0, tree: [1; 16] },
                NamedTree { name: "decisions".into(), slot: 1, tree: [2; 16] },
            ],
            predecessors: Vec::new(),
            issued: 20,
        }
    }

    #[test]
    fn a_record_reads_as_written() {
        let envelope = record().sign(&key()).unwrap();
        assert_eq!(Record::from_envelope(&envelope), Ok(record()));
    }

    #[test]
    fn a_record_keeps_its_rules() {
        let check = |change: &dyn Fn(&mut Record), expect: &str| {
            let mut bad = record();
            change(&mut bad);
            let why = bad.sign(&key()).unwrap_err().0;
            assert!(why.contains(expect), "{why:?} does not say {expect:?}");
        };
        check(&|r| r.did = "operator".into(), "a DID");
        check(&|r| r.name = String::new(), "name");
        check(&|r| r.trust_domain = "Operator".into(), "trust domain");
        check(&|r| r.dsp = "http://operator.example".into(), "https");
        check(&|r| r.origin = "other.example/twinpact/1".into(), "host");
        check(&|r| r.origin = "operator.example/twinpact/".into(), "host");
        check(&|r| r.root_certificate.clear(), "rootCertificate");
        check(&|r| r.root_certificate = vec![0; super::MAX_CERTIFICATE_BYTES + 1], "rootCert");
        check(&|r| r.keys.push(r.keys[0]), "twice");
        check(&|r| r.keys[0].until = Some(10), "no time");
        check(&|r| r.slots[1].tree = [1; 16], "slot");
        check(&|r| r.slots[1].slot = 2, "slot 1");
        check(&|r| r.slots.truncate(1), "decisions");
        // The signer must be a key of the record that is valid when it is issued.
        check(&|r| r.issued = 9, "signed");
        check(&|r| r.keys[0].until = Some(20), "signed");
        check(&|r| r.keys[0].key = SecretKey::new(&[2; 32]).public(), "signed");
    }

    #[test]
    fn the_number_of_keys_has_a_bound() {
        let many = |n: usize| {
            let mut record = record();
            record.keys.extend((1..n).map(|i| {
                let seed = [u8::try_from(i).unwrap() + 1; 32];
                RecordKey { key: SecretKey::new(&seed).public(), from: 0, until: None }
            }));
            record.sign(&key()).is_ok()
        };
        assert!(many(MAX_KEYS) && !many(MAX_KEYS + 1));
    }

    #[test]
    fn names_and_trees_have_a_bound() {
        let sized = |name: usize, trees: u8| {
            let mut record = record();
            record.name = "x".repeat(name);
            record.slots.extend((2..trees).map(|i| NamedTree {
                name: "x".repeat(usize::from(i)),
                slot: u64::from(i),
                tree: [i + 1; 16],
            }));
            record.sign(&key()).is_ok()
        };
        assert!(sized(super::MAX_NAME_BYTES, 16) && super::MAX_NAMED_TREES == 16);
        assert!(!sized(super::MAX_NAME_BYTES + 1, 16) && !sized(1, 17));
    }

    #[test]
    fn other_forms_are_refused() {
        let good = record().to_json().canonical();
        let check = |from: &str, to: &str| {
            let json = Json::parse(good.replacen(from, to, 1).as_bytes()).unwrap();
            let envelope = Envelope::sign(PAYLOAD_TYPE, &json, &key());
            assert!(Record::from_envelope(&envelope).is_err(), "{from} → {to}");
        };
        check("{\"audience\"", "{\"aaa\":1,\"audience\"");
        check("\"*\"", "\"did:web:maker.example\"");
        check("organisation/1", "organisation/2");
        check("organisation/1", "organisation/3");
        check("\"dsp\":", "\"http\":1,\"dsp\":");
        check("\"id\":\"ed25519:", "\"id\":\"ed25519:0");
        check("\"issued\":20", "\"issued\":\"20\"");
        let envelope = Envelope::sign("application/json", &record().to_json(), &key());
        assert!(Record::from_envelope(&envelope).is_err());
    }

    #[test]
    fn every_signature_counts() {
        let mut envelope = record().sign(&key()).unwrap();
        envelope.add_signature(&SecretKey::new(&[9; 32]));
        assert!(Record::from_envelope(&envelope).is_err());
    }
}
