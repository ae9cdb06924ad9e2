//! The signed documents that bundles carry: agreement, decision and receipt. Each is canonical JSON
//! in DSSE, names its type, issuer, audience, agreement and tree, and is read strictly.
//!
//! Reading checks the form only; who signed is checked where the keys are known
//! ([`crate::verify`]).

use crate::anchor::TreeId;
use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::fields::{MAX_TEXT_BYTES, Malformed, Members, hex_json, time_json, uint_json};
use crate::json::Json;
use crate::keys::SecretKey;
use std::sync::Arc;

/// The payload type of an agreement.
pub const AGREEMENT_TYPE: &str = "application/vnd.twinpact.agreement+json";
/// The payload type of a decision.
pub const DECISION_TYPE: &str = "application/vnd.twinpact.decision+json";
/// The payload type of a receipt.
pub const RECEIPT_TYPE: &str = "application/vnd.twinpact.receipt+json";

/// What two organisations agreed on, and where the ledger of their deliveries stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The provider's DID.
    pub issuer: String,
    /// The consumer's DID.
    pub audience: String,
    /// The agreement's identity: the hash of its normal form.
    pub agreement: Digest,
    /// Its `@id` in the Dataspace Protocol.
    pub at_id: String,
    /// The IRI of the view that it is about.
    pub target: String,
    /// The terms in normal form; not looked into here.
    pub terms: Json,
    /// When it was concluded, in microseconds since 1970.
    pub concluded: i64,
    /// The slot of its ledger.
    pub slot: u64,
    /// The tree of its ledger.
    pub tree: TreeId,
}

impl Agreement {
    /// The agreement as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let ledger = Json::object([("slot", uint_json(self.slot)), ("tree", hex_json(&self.tree))]);
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("atId", Json::text(&self.at_id)),
            ("audience", Json::text(&self.audience)),
            ("concluded", Json::Int(self.concluded)),
            ("issuer", Json::text(&self.issuer)),
            ("ledger", ledger),
            ("target", Json::text(&self.target)),
            ("terms", self.terms.clone()),
            ("type", Json::text("twinpact-agreement/1")),
        ])
    }

    /// The agreement of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<Agreement, Malformed> {
        let names = [
            "agreement",
            "atId",
            "audience",
            "concluded",
            "issuer",
            "ledger",
            "target",
            "terms",
            "type",
        ];
        let members = Members::of("the agreement", json, &names)?;
        members.constant("type", "twinpact-agreement/1")?;
        let ledger = Members::of("ledger", members.json("ledger")?, &["slot", "tree"])?;
        Ok(Agreement {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            agreement: members.hex("agreement")?,
            at_id: members.text("atId", MAX_TEXT_BYTES)?.to_owned(),
            target: members.text("target", MAX_TEXT_BYTES)?.to_owned(),
            terms: members.json("terms")?.clone(),
            concluded: members.time("concluded")?,
            slot: ledger.uint("slot")?,
            tree: ledger.hex("tree")?,
        })
    }

    /// Signs it; the other party adds its signature to the same envelope.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(AGREEMENT_TYPE, &self.to_json(), key)
    }

    /// The agreement in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Agreement, Malformed> {
        Agreement::from_json(&*payload(envelope, AGREEMENT_TYPE)?)
    }
}

/// Why a request was permitted: the record of the policy crate in an envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decided.
    pub issuer: String,
    /// Who had asked.
    pub audience: String,
    /// The agreement that it was decided under.
    pub agreement: Digest,
    /// The tree of decisions that it is recorded in.
    pub tree: TreeId,
    /// The record itself; bound by the digest of the whole payload, not looked into here.
    pub core: Json,
}

impl Decision {
    /// The decision as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("audience", Json::text(&self.audience)),
            ("core", self.core.clone()),
            ("issuer", Json::text(&self.issuer)),
            ("tree", hex_json(&self.tree)),
            ("type", Json::text("twinpact-decision/1")),
        ])
    }

    /// The decision of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<Decision, Malformed> {
        let names = ["agreement", "audience", "core", "issuer", "tree", "type"];
        let members = Members::of("the decision", json, &names)?;
        members.constant("type", "twinpact-decision/1")?;
        Ok(Decision {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            agreement: members.hex("agreement")?,
            tree: members.hex("tree")?,
            core: members.json("core")?.clone(),
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(DECISION_TYPE, &self.to_json(), key)
    }

    /// The decision in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Decision, Malformed> {
        Decision::from_json(&*payload(envelope, DECISION_TYPE)?)
    }
}

/// Which policy clock a receipt was written under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The clock of the system.
    System,
    /// A clock driven by a test or a demonstration: not evidence of when anything was.
    Driven,
}

impl Clock {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Clock::System => "system",
            Clock::Driven => "driven",
        }
    }
}

/// What was delivered, under which agreement and decision, and where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's DID.
    pub issuer: String,
    /// The consumer's DID.
    pub audience: String,
    /// The agreement's identity.
    pub agreement: Digest,
    /// The slot of the ledger.
    pub slot: u64,
    /// The tree of the ledger.
    pub tree: TreeId,
    /// The position of the delivery in the ledger.
    pub index: u64,
    /// The leaf at that position.
    pub leaf: Digest,
    /// The payload commitment in that leaf.
    pub pc: Digest,
    /// The digest of the decision's payload.
    pub decision: Digest,
    /// The IRI of the view.
    pub view: String,
    /// How many items were delivered.
    pub count: u64,
    /// How many bytes were delivered.
    pub bytes: u64,
    /// When, by the policy clock, in microseconds since 1970.
    pub at: i64,
    /// Which policy clock that was.
    pub clock: Clock,
    /// By when the consumer must have deleted its copy, in microseconds since 1970.
    pub delete_by: Option<i64>,
    /// The origin of the provider's log.
    pub origin: String,
    /// The tick of the anchor that the delivery stands under.
    pub tick: u64,
}

const RECEIPT_MEMBERS: [&str; 15] = [
    "agreement",
    "anchor",
    "at",
    "audience",
    "bytes",
    "clock",
    "count",
    "decision",
    "deleteBy",
    "issuer",
    "leaf",
    "ledger",
    "pc",
    "type",
    "view",
];

impl Receipt {
    /// The receipt as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let ledger = Json::object([
            ("index", uint_json(self.index)),
            ("slot", uint_json(self.slot)),
            ("tree", hex_json(&self.tree)),
        ]);
        let anchor =
            Json::object([("origin", Json::text(&self.origin)), ("tick", uint_json(self.tick))]);
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("anchor", anchor),
            ("at", Json::Int(self.at)),
            ("audience", Json::text(&self.audience)),
            ("bytes", uint_json(self.bytes)),
            ("clock", Json::text(self.clock.name())),
            ("count", uint_json(self.count)),
            ("decision", hex_json(&self.decision)),
            ("deleteBy", time_json(self.delete_by)),
            ("issuer", Json::text(&self.issuer)),
            ("leaf", hex_json(&self.leaf)),
            ("ledger", ledger),
            ("pc", hex_json(&self.pc)),
            ("type", Json::text("twinpact-receipt/1")),
            ("view", Json::text(&self.view)),
        ])
    }

    /// The receipt of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<Receipt, Malformed> {
        let members = Members::of("the receipt", json, &RECEIPT_MEMBERS)?;
        members.constant("type", "twinpact-receipt/1")?;
        let ledger = Members::of("ledger", members.json("ledger")?, &["index", "slot", "tree"])?;
        let anchor = Members::of("anchor", members.json("anchor")?, &["origin", "tick"])?;
        Ok(Receipt {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            agreement: members.hex("agreement")?,
            slot: ledger.uint("slot")?,
            tree: ledger.hex("tree")?,
            index: ledger.uint("index")?,
            leaf: members.hex("leaf")?,
            pc: members.hex("pc")?,
            decision: members.hex("decision")?,
            view: members.text("view", MAX_TEXT_BYTES)?.to_owned(),
            count: members.uint("count")?,
            bytes: members.uint("bytes")?,
            at: members.time("at")?,
            clock: members.clock("clock")?,
            delete_by: members.time_or_null("deleteBy")?,
            origin: anchor.text("origin", MAX_TEXT_BYTES)?.to_owned(),
            tick: anchor.uint("tick")?,
        })
    }

    /// Signs it; the consumer adds its signature to the same envelope.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(RECEIPT_TYPE, &self.to_json(), key)
    }

    /// The receipt in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Receipt, Malformed> {
        Receipt::from_json(&*payload(envelope, RECEIPT_TYPE)?)
    }
}

impl Members<'_> {
    /// Which policy clock a document was written under.
    pub(crate) fn clock(&self, name: &str) -> Result<Clock, Malformed> {
        match self.json(name)?.as_text() {
            Some("system") => Ok(Clock::System),
            Some("driven") => Ok(Clock::Driven),
            _ => Err(self.wrong(name, "\"system\" or \"driven\"")),
        }
    }
}

pub(crate) fn payload(envelope: &Envelope, payload_type: &str) -> Result<Arc<Json>, Malformed> {
    if envelope.payload_type != payload_type {
        return Err(Malformed(format!("the payload type is not {payload_type}")));
    }
    envelope.document().ok_or_else(|| Malformed("the payload is not canonical JSON".to_owned()))
}

#[cfg(test)]
pub(crate) use tests::check;

#[cfg(test)]
mod tests {
    use super::{Agreement, Clock, Decision, Receipt};
    use crate::dsse::Envelope;
    use crate::fields::Malformed;
    use crate::json::Json;
    use crate::keys::SecretKey;

    const ISSUER: &str = "did:web:operator.example";
    const AUDIENCE: &str = "did:web:maker.example";

    fn agreement() -> Agreement {
        Agreement {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            agreement: [1; 32],
            at_id: "urn:uuid:1".into(),
            target: "https://operator.example/views/x".into(),
            terms: Json::object([("purpose", Json::text("maintenance"))]),
            concluded: 5,
            slot: 2,
            tree: [3; 16],
        }
    }

    fn receipt() -> Receipt {
        Receipt {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            agreement: [1; 32],
            slot: 2,
            tree: [3; 16],
            index: 7,
            leaf: [4; 32],
            pc: [5; 32],
            decision: [6; 32],
            view: "https://operator.example/views/x".into(),
            count: 3,
            bytes: 120,
            at: 9,
            clock: Clock::System,
            delete_by: Some(10),
            origin: "operator.example/twinpact/1".into(),
            tick: 4,
        }
    }

    fn decision() -> Decision {
        Decision {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            agreement: [1; 32],
            tree: [8; 16],
            core: Json::Null,
        }
    }

    /// The document reads as written, and with none of these changes.
    pub(crate) fn check<T: PartialEq + std::fmt::Debug>(
        value: &T,
        json: &Json,
        read: fn(&Json) -> Result<T, Malformed>,
        changes: &[(&str, &str)],
    ) {
        assert_eq!(read(json).as_ref(), Ok(value));
        let good = json.canonical();
        for (from, to) in changes {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert!(read(&Json::parse(bad.as_bytes()).unwrap()).is_err(), "{from} → {to}");
        }
        let Json::Object(members) = json else { panic!("{json:?}") };
        for name in members.keys() {
            let others = members.iter().filter(|(key, _)| *key != name);
            let fewer = others.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert!(read(&Json::Object(fewer)).is_err(), "without {name}");
        }
    }

    #[test]
    fn documents_read_as_written_and_in_no_other_form() {
        let both = [("\"issuer\":\"did:web", "\"issuer\":\"web"), ("\"type\":", "\"typo\":")];
        check(&agreement(), &agreement().to_json(), Agreement::from_json, &both);
        let more = [("\"slot\":2", "\"slot\":-2"), ("{\"slot\"", "{\"a\":1,\"slot\"")];
        check(&agreement(), &agreement().to_json(), Agreement::from_json, &more);
        check(&decision(), &decision().to_json(), Decision::from_json, &both);
        check(&receipt(), &receipt().to_json(), Receipt::from_json, &both);
        let more = [("system", "lunar"), ("\"deleteBy\":10", "\"deleteBy\":\"10\"")];
        check(&receipt(), &receipt().to_json(), Receipt::from_json, &more);
    }

    #[test]
    fn one_document_is_not_taken_for_another() {
        let key = SecretKey::new(&[1; 32]);
        assert!(Receipt::from_envelope(&agreement().sign(&key)).is_err());
        let other = Envelope::sign(super::RECEIPT_TYPE, &agreement().to_json(), &key);
        assert!(Receipt::from_envelope(&other).is_err());
        assert_eq!(Receipt::from_envelope(&receipt().sign(&key)), Ok(receipt()));
        assert_eq!(Decision::from_envelope(&decision().sign(&key)), Ok(decision()));
        assert_eq!(Agreement::from_envelope(&agreement().sign(&key)), Ok(agreement()));
    }
}
