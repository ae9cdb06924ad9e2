//! What a verifier has pinned: organisations with their keys and logs, and witnesses.
//!
//! A proof is worth what its reader pinned and no more. The structs are plain so that a program can
//! keep them as a file (`trust.toml`); unknown keys in it are refused, and hex and base64 have one
//! form. A pinned organisation changes only by a record that one of its pinned keys has signed.

use crate::digest::{from_hex, to_hex};
use crate::dsse::Envelope;
use crate::fields::{Malformed, is_did, shown};
use crate::keys::PublicKey;
use crate::record::{NamedTree, Record, RecordKey};
use crate::successor::{MAX_PREDECESSORS, check_succession};
use crate::text64;
use crate::witness_record::WitnessRecord;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most organisations, witnesses or seen anchors of one trust file.
pub const MAX_PINS: usize = 10_000;

/// The time at which no key has ended: for records that were taken before.
pub const DECIDED: i64 = i64::MIN;
/// The most keys of one organisation, those that have ended included: four times what a record has.
pub const MAX_PINNED_KEYS: usize = 256;
/// The most logs of one organisation, those that it gave up included: all that a record can name as
/// predecessors, and the present one.
pub const MAX_PINNED_LOGS: usize = MAX_PREDECESSORS + 1;

/// Bytes as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        let wrong = || Malformed(format!("{} is not lower-case hex of {N} bytes", shown(&text)));
        from_hex(&text).map(Hex).ok_or_else(wrong)
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(value: Hex<N>) -> String {
        to_hex(&value.0)
    }
}

/// A public key as base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyText(pub PublicKey);

impl TryFrom<String> for KeyText {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        let wrong = || Malformed(format!("{} is not base64 of a key of 32 bytes", shown(&text)));
        text64::decode_exact(&text).map(|bytes| KeyText(PublicKey::new(bytes))).ok_or_else(wrong)
    }
}

impl From<KeyText> for String {
    fn from(value: KeyText) -> String {
        text64::encode(value.0.bytes())
    }
}

/// A pinned key with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedKey {
    /// The key.
    pub key: KeyText,
    /// From when it signs, in microseconds since 1970.
    pub from: i64,
    /// Until when, exclusive; absent while its end is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl PinnedKey {
    /// The same as in a record.
    #[must_use]
    pub fn of_record(&self) -> RecordKey {
        RecordKey { key: self.key.0, from: self.from, until: self.until }
    }
}

/// A tree with its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedSlot {
    /// `events`, `decisions` …
    pub name: String,
    /// The slot.
    pub slot: u64,
    /// The tree.
    pub tree: Hex<16>,
}

/// A log of an organisation and the trees in it that have a slot by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedLog {
    /// Its origin.
    pub origin: String,
    /// Its named trees.
    pub slots: Vec<PinnedSlot>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedOrganisation {
    /// Its DID.
    pub did: String,
    /// Its name for people.
    pub name: String,
    /// The fingerprint of the record that was pinned last.
    pub record: Hex<32>,
    /// When that record was issued, in microseconds since 1970.
    pub issued: i64,
    /// Every key that it ever had here.
    pub keys: Vec<PinnedKey>,
    /// Every log that it ever had here, the present one last.
    pub logs: Vec<PinnedLog>,
}

/// A checkpoint that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenAnchor {
    /// The log.
    pub origin: String,
    /// How many anchor leaves it had.
    pub size: u64,
    /// The root over them.
    pub root: Hex<32>,
}

/// A witness of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedWitness {
    /// The name of its key.
    pub name: String,
    /// The key.
    pub key: KeyText,
    /// The DID of the organisation that runs it, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
}

/// All that a verifier has pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// How many witnesses must have seen a checkpoint for the level `witnessed`. At least one of
    /// them must be no party, so 0 asks for as much as 1.
    #[serde(default)]
    pub quorum: u32,
    /// The organisations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organisations: Vec<PinnedOrganisation>,
    /// The checkpoints that were seen last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<SeenAnchor>,
    /// The witnesses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<PinnedWitness>,
}

/// What pinning a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// The organisation is pinned now, or its pin has become the newer record.
    Added,
    /// This very record was pinned before.
    AlreadyThere,
}

/// Why a record was not pinned. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is not a signed organisation record.
    Record(Malformed),
    /// It is another record of a pinned organisation, which no pinned key has signed: one sentence.
    Unsigned(String),
    /// The pinned key that has signed it has ended: one sentence.
    Ended(String),
    /// It is not newer than the pinned record of its organisation: one sentence.
    Older(String),
    /// It contradicts what is pinned in another way: one sentence.
    Conflict(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Record(why) => write!(f, "{why}"),
            Refused::Unsigned(why)
            | Refused::Ended(why)
            | Refused::Older(why)
            | Refused::Conflict(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

impl Trust {
    /// The pin of that organisation.
    #[must_use]
    pub fn organisation(&self, did: &str) -> Option<&PinnedOrganisation> {
        self.organisations.iter().find(|pin| pin.did == did)
    }

    /// Pins the organisation of this record. Whoever calls has decided to believe the first record;
    /// a later one is taken only if it is newer and a pinned key of the organisation has signed it
    /// that has not ended by `now`, microseconds since 1970 by the reader's clock. (Whoever stole a
    /// key that has ended chooses what `issued` says.) Of what was decided before, and is only read
    /// again, the time is [`DECIDED`].
    ///
    /// # Errors
    /// [`Refused::Record`] when it is not a signed record, the others when it contradicts what is
    /// pinned.
    pub fn add(&mut self, envelope: &Envelope, now: i64) -> Result<Pinned, Refused> {
        let Some(next) = self.next(envelope, &self.anchors, now)? else {
            return Ok(Pinned::AlreadyThere);
        };
        match self.organisations.iter_mut().find(|pin| pin.did == next.did) {
            Some(pin) => *pin = next,
            None => self.organisations.push(next),
        }
        Ok(Pinned::Added)
    }

    /// The pin that [`add`](Self::add) would make, with what was seen of its logs; `None` when this
    /// very record is pinned already.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn next(
        &self,
        envelope: &Envelope,
        seen: &[SeenAnchor],
        now: i64,
    ) -> Result<Option<PinnedOrganisation>, Refused> {
        let record = Record::from_envelope(envelope).map_err(Refused::Record)?;
        let conflict = |why: String| Err(Refused::Conflict(why));
        let taken = self.organisations.iter().find(|pin| {
            pin.did != record.did && pin.logs.iter().any(|log| log.origin == record.origin)
        });
        if let Some(other) = taken {
            let (origin, did) = (&record.origin, &other.did);
            return conflict(format!("the log {origin} is pinned for {did}"));
        }
        match self.organisation(&record.did) {
            Some(pin) => pin.renewed(envelope, &record, seen, now),
            None if self.organisations.len() >= MAX_PINS => {
                conflict(format!("the trust file already pins {MAX_PINS} organisations"))
            }
            None => Ok(Some(PinnedOrganisation::new(envelope, &record))),
        }
    }

    /// Pins an organisation as a witness, by its own signed statement: the organisation must be
    /// pinned, and a pinned key that has not ended by `now` must have signed it. It is a party
    /// where the organisation is one.
    ///
    /// # Errors
    /// [`Refused::Record`] when it is no such statement, the others when nobody who is pinned
    /// vouches for it, or another key is pinned under its name.
    pub fn add_witness(&mut self, envelope: &Envelope, now: i64) -> Result<Pinned, Refused> {
        let said = WitnessRecord::from_envelope(envelope).map_err(Refused::Record)?;
        let did = &said.did;
        let Some(pin) = self.organisation(did) else {
            return Err(Refused::Unsigned(format!("{did} is not pinned: add its record first")));
        };
        let keys = pin.keys.iter().map(PinnedKey::of_record);
        let mut signers = keys
            .filter(|pinned| pinned.valid_at(said.issued) && envelope.signed_by(&pinned.key))
            .peekable();
        if signers.peek().is_none() {
            return Err(Refused::Unsigned(format!("no pinned key of {did} has signed this")));
        }
        if signers.all(|pinned| pinned.ended_by(now)) {
            return Err(Refused::Ended(format!("the pinned key of {did} that signed has ended")));
        }
        self.pin_witness(PinnedWitness {
            name: said.name,
            key: KeyText(said.key),
            party: Some(said.did),
        })
    }

    /// Pins a witness that the reader has decided to believe.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when another key is pinned under its name, or another name or party
    /// with its key, or there are too many.
    pub fn pin_witness(&mut self, witness: PinnedWitness) -> Result<Pinned, Refused> {
        let shown = shown(&witness.name);
        let same = |pin: &&PinnedWitness| pin.name == witness.name || pin.key == witness.key;
        match self.witnesses.iter().find(same) {
            Some(pin) if *pin == witness => Ok(Pinned::AlreadyThere),
            Some(_) => {
                let why = format!("the witness {shown} is pinned with another key, name or party");
                Err(Refused::Conflict(why))
            }
            None if self.witnesses.len() >= MAX_PINS => {
                Err(Refused::Conflict(format!("the trust file already pins {MAX_PINS} witnesses")))
            }
            None => {
                self.witnesses.push(witness);
                Ok(Pinned::Added)
            }
        }
    }

    /// The rules that a trust file keeps beyond its form.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Malformed> {
        let counts = [self.organisations.len(), self.witnesses.len(), self.anchors.len()];
        if counts.iter().any(|n| *n > MAX_PINS) {
            return Err(Malformed(format!(
                "the trust file has more than {MAX_PINS} pins of a kind"
            )));
        }
        let mut origins = std::collections::BTreeMap::new();
        for (i, pin) in self.organisations.iter().enumerate() {
            let twice = self.organisations.iter().take(i).any(|other| other.did == pin.did);
            if twice || !is_did(&pin.did) {
                let did = shown(&pin.did);
                return Err(Malformed(format!("the trust file pins {did} twice, or it is no DID")));
            }
            pin.bounded().map_err(Malformed)?;
            if let Some(log) = pin
                .logs
                .iter()
                .find(|log| origins.insert(log.origin.as_str(), pin.did.as_str()).is_some())
            {
                let origin = shown(&log.origin);
                return Err(Malformed(format!("the trust file pins the log {origin} twice")));
            }
        }
        for (i, pin) in self.witnesses.iter().enumerate() {
            if self.witnesses.iter().take(i).any(|other| other.key == pin.key) {
                let name = shown(&pin.name);
                return Err(Malformed(format!("the trust file pins the key of {name} twice")));
            }
        }
        Ok(())
    }
}

impl PinnedOrganisation {
    fn new(envelope: &Envelope, record: &Record) -> Self {
        PinnedOrganisation {
            did: record.did.clone(),
            name: record.name.clone(),
            record: Hex(envelope.fingerprint()),
            issued: record.issued,
            keys: record.keys.iter().map(pinned_key).collect(),
            logs: vec![pinned_log(record)],
        }
    }

    /// The log of that origin.
    #[must_use]
    pub fn log(&self, origin: &str) -> Option<&PinnedLog> {
        self.logs.iter().find(|log| log.origin == origin)
    }

    /// The pinned key that is this one.
    #[must_use]
    pub fn key(&self, key: &PublicKey) -> Option<RecordKey> {
        self.keys.iter().map(PinnedKey::of_record).find(|pinned| pinned.key == *key)
    }

    /// The pin after this later record; `None` when it is the one that is pinned.
    fn renewed(
        &self,
        envelope: &Envelope,
        record: &Record,
        seen: &[SeenAnchor],
        now: i64,
    ) -> Result<Option<Self>, Refused> {
        if self.record.0 == envelope.fingerprint() {
            return Ok(None);
        }
        let did = &self.did;
        let keys = self.keys.iter().map(PinnedKey::of_record);
        let signers: Vec<RecordKey> = keys
            .filter(|pinned| pinned.valid_at(record.issued) && envelope.signed_by(&pinned.key))
            .collect();
        if signers.is_empty() {
            let why = format!("no pinned key of {did} has signed this other record");
            return Err(Refused::Unsigned(why));
        }
        if signers.iter().all(|pinned| pinned.ended_by(now)) {
            let why = format!("the pinned key of {did} that signed this record has ended");
            return Err(Refused::Ended(why));
        }
        if record.issued <= self.issued {
            let why = format!("the pinned record of {did} is newer than this one");
            return Err(Refused::Older(why));
        }
        let mut next = self.clone();
        next.renew_log(record, seen).map_err(Refused::Conflict)?;
        next.renew_keys(record);
        next.bounded().map_err(Refused::Conflict)?;
        next.name.clone_from(&record.name);
        next.record = Hex(envelope.fingerprint());
        next.issued = record.issued;
        Ok(Some(next))
    }

    /// Nothing of a pin is ever forgotten, so it must not grow for ever.
    fn bounded(&self) -> Result<(), String> {
        for (what, n, most) in
            [("keys", self.keys.len(), MAX_PINNED_KEYS), ("logs", self.logs.len(), MAX_PINNED_LOGS)]
        {
            if n > most {
                return Err(format!("{} would have more than {most} {what}", shown(&self.did)));
            }
        }
        Ok(())
    }

    /// The log of a later record is the pinned one, or comes after it.
    fn renew_log(&mut self, record: &Record, seen: &[SeenAnchor]) -> Result<(), String> {
        let log = pinned_log(record);
        let (did, origin) = (&self.did, &log.origin);
        let present = self.logs.last();
        if present.is_some_and(|present| present.origin == *origin) {
            if present == Some(&log) {
                return Ok(());
            }
            return Err(format!("the record moves the trees of {origin} to other slots"));
        }
        if self.log(origin).is_some() {
            return Err(format!("the record goes back to {origin}, a log that {did} had given up"));
        }
        if let Some(present) = present {
            check_succession(record, &present.origin, seen)?;
        }
        self.logs.push(log);
        Ok(())
    }

    /// A key keeps its pin for ever; one that the new record no longer lists ends when that was
    /// issued.
    fn renew_keys(&mut self, record: &Record) {
        for pin in &mut self.keys {
            match record.keys.iter().find(|key| key.key == pin.key.0) {
                Some(key) => *pin = pinned_key(key),
                None => pin.until = Some(pin.until.unwrap_or(i64::MAX).min(record.issued)),
            }
        }
        let known: Vec<PublicKey> = self.keys.iter().map(|pin| pin.key.0).collect();
        let new = record.keys.iter().filter(|key| !known.contains(&key.key));
        self.keys.extend(new.map(pinned_key));
    }
}

fn pinned_key(key: &RecordKey) -> PinnedKey {
    PinnedKey { key: KeyText(key.key), from: key.from, until: key.until }
}

/// The log that a record names, as it is pinned.
#[must_use]
pub fn pinned_log(record: &Record) -> PinnedLog {
    let slot = |named: &NamedTree| PinnedSlot {
        name: named.name.clone(),
        slot: named.slot,
        tree: Hex(named.tree),
    };
    PinnedLog { origin: record.origin.clone(), slots: record.slots.iter().map(slot).collect() }
}
