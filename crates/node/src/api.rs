//! The JSON of the admin API: what the gateway answers and the command line reads.

mod graph;
mod incidents;
mod kpis;
mod log;
mod negotiations;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use twinpact_model::link::Predicate;
use twinpact_model::type_model::ModelRef;
use twinpact_model::view::Cursor;
use twinpact_model::{Did, Iri, Schedule, Timestamp};

pub use graph::{EdgeLine, EndLine, PlaceLine, SaidLine, WalkAsked, Walked};
pub use incidents::{
    AnswerLine, Contain, ContainmentLine, IncidentLine, IncidentShown, OpenIncident, Respond,
    SeenAt,
};
pub use kpis::{
    AgreementKpi, BytesKpi, ContainKpi, DeletedKpi, FlowKpi, FreshnessKpi, IncidentKpi, Kpis,
    OutcomesKpi, ValuesKpi,
};
pub use log::{
    AlertLine, AlertShown, CheckpointLine, ConsistencyShown, InclusionShown, LogShown, SeenLine,
    WitnessLine,
};
pub use negotiations::{
    CounterAsked, EndedLine, NegotiationLine, NegotiationShown, OfferAsked, TerminateAsked,
    TransferLine, TransferShown, WhyShown, WhyStep,
};

/// The answer to `POST /models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelApplied {
    /// `name@version`.
    pub model: ModelRef,
    /// Whether it is new; `false` when exactly this version was there.
    pub new: bool,
}

/// A twin in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinLine {
    /// Its IRI.
    pub id: String,
    /// Its model.
    pub model: ModelRef,
    /// How many facts were recorded about it.
    pub facts: usize,
    /// The time of the fact that was true last.
    pub last: Option<Timestamp>,
}

/// A twin with its two heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinState {
    /// Its IRI.
    pub id: String,
    /// As it was known at that time; absent when this is the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Its model.
    pub model: ModelRef,
    /// When we learned of it.
    pub created: Timestamp,
    /// How many facts were recorded about it.
    pub facts: usize,
    /// Per attribute, both heads.
    pub attributes: BTreeMap<String, AttributeState>,
}

/// The two heads of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeState {
    /// The value that was true last.
    pub now: FactValue,
    /// The value that we learned last; differs when data arrives late.
    pub learned: FactValue,
    /// The UCUM unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A value with the event that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactValue {
    /// The lexical form.
    pub value: String,
    /// From when it was true.
    pub time: Timestamp,
    /// When we learned it.
    pub recorded: Timestamp,
    /// The index of the event: `twinpact proof export EVENT` proves it.
    pub event: u64,
}

/// A part of a twin's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The twin.
    pub twin: String,
    /// As it was known at that time; absent when this is the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// How many facts there are in the asked span.
    pub total: usize,
    /// The first of them.
    pub rows: Vec<HistoryLine>,
}

/// One fact of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The index of the event.
    pub event: u64,
    /// From when it was true.
    pub time: Timestamp,
    /// When we learned it.
    pub recorded: Timestamp,
    /// The lexical values.
    pub values: BTreeMap<String, String>,
    /// The event that corrects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_by: Option<u64>,
    /// The event that it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// `POST /links` and `POST /links/retract`: what is linked to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkAsked {
    /// The part, the dependent, the derived, the contained.
    pub from: Iri,
    /// What it is to the other: the name or the IRI of a predicate.
    pub predicate: String,
    /// The other.
    pub to: Iri,
    /// Whose one of them is, when that is a partner; the other one is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Did>,
}

/// The answer to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChanged {
    /// Whether anything has changed; `false` when it was so already.
    pub changed: bool,
}

/// Links, as they were known at a time or are known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkList {
    /// How many there are.
    pub total: usize,
    /// The first of them: of one twin those that lead from it, then those that lead to it.
    pub links: Vec<LinkLine>,
}

/// A link in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkLine {
    /// The part, the dependent, the derived, the contained.
    pub from: String,
    /// What it is to the other.
    pub predicate: Predicate,
    /// The other.
    pub to: String,
    /// When we learned it.
    pub recorded: Timestamp,
    /// The index of the event: `twinpact proof export EVENT` proves it.
    pub event: u64,
    /// The end that is a partner's, and what is known of it, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<AcrossLine>,
}

/// The other organisation's side of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcrossLine {
    /// Which end is the partner's: `from` or `to`.
    pub end: String,
    /// The partner.
    pub owner: String,
    /// `one-sided`, `confirmed` or `disputed`, as far as our copies of what the partner shows go.
    pub status: String,
    /// The receipt of the delivery that says so, when one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// What the node is: `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How to reach a running node: the file `admin.json` in its directory, for its owner alone. Its
/// token is not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminFile {
    /// The base URL of the admin listener.
    pub url: String,
    /// The token that every request bears.
    pub token: String,
    /// The process.
    pub pid: u32,
}

impl fmt::Debug for AdminFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AdminFile { url, token: _, pid } = self;
        f.debug_struct("AdminFile").field("url", url).field("pid", pid).finish_non_exhaustive()
    }
}

/// The answer to `POST /contracts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The IRI of the view: what partners negotiate for.
    pub view: String,
    /// SHA-256 of the document.
    pub digest: String,
    /// Whether it is new; `false` when exactly this document was there.
    pub new: bool,
}

/// A contract in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractLine {
    /// The IRI of the view.
    pub view: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The pinned model version.
    pub model: ModelRef,
    /// The terms in plain English.
    pub terms: String,
    /// SHA-256 of the document.
    pub digest: String,
}

/// A partner in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerLine {
    /// Its DID.
    pub organisation: String,
    /// Its name for people.
    pub name: String,
    /// Where it is reached.
    pub endpoint: String,
    /// The fingerprint of its record: to be compared by another way.
    pub fingerprint: String,
    /// The logs that it has given up, oldest first. What it had in them that nobody has seen may be
    /// another thing now.
    pub given_up: Vec<GivenUp>,
}

/// A log that an organisation has given up for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Its origin.
    pub origin: String,
    /// With how many anchor leaves it ended, as the organisation says.
    pub size: u64,
    /// How many of them we have seen; null when none, and in a list of another time.
    pub seen: Option<u64>,
    /// Why, as the organisation says.
    pub reason: String,
}

/// The body of `POST /invitations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// For whom it is, as its list shows.
    pub name: Option<String>,
    /// How long it is good, in seconds.
    pub valid_seconds: Option<i64>,
}

/// An invitation that was made. It holds the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The line to hand over.
    pub invitation: String,
    /// Its id in the list.
    pub id: String,
    /// For whom it is.
    pub name: String,
    /// Where to join.
    pub endpoint: String,
    /// The fingerprint of our record: to be compared by another way.
    pub fingerprint: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// An invitation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationLine {
    /// Its id.
    pub id: String,
    /// For whom it is.
    pub name: String,
    /// Until when it is good.
    pub expires: Timestamp,
    /// `open`, `used`, `expired` or `withdrawn`.
    pub state: String,
    /// Who has used it.
    pub by: Option<String>,
}

/// The body of `POST /joins`. It holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The invitation.
    pub invitation: String,
}

/// That we have joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Whom.
    pub partner: PartnerLine,
    /// The fingerprint of our own record: to be compared by another way.
    pub own_fingerprint: String,
    /// Whether it was a partner before.
    pub before: bool,
}

/// The body of `POST /keys`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the key before still signs records, in seconds.
    pub overlap_seconds: Option<i64>,
}

/// A document key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// Its name: a hint for looking it up.
    pub id: String,
    /// From when it signs.
    pub from: Timestamp,
    /// Until when; `null` while its end is open.
    pub until: Option<Timestamp>,
    /// Whether it is the one that signs now.
    pub signs: bool,
    /// Whether its private half is on the disk; null in a list of another time.
    pub held: Option<bool>,
}

/// An agreement in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementLine {
    /// Its identity: SHA-256 of its normal form.
    pub id: String,
    /// Its `@id` between the parties.
    pub at_id: String,
    /// Our role.
    pub role: String,
    /// The other side.
    pub partner: String,
    /// The view.
    pub target: String,
    /// The terms in plain English.
    pub terms: String,
    /// The hours in which alone it may be used, when its terms bind it to hours.
    pub hours: Option<Schedule>,
    /// `active`, or since when not.
    pub state: String,
    /// When we recorded it.
    pub concluded: Timestamp,
    /// By what the other side was recognised when it agreed: its `certificate`, `claims` that it
    /// had signed, or its `word` alone; `unknown` of an older log that does not say so.
    pub recognised: String,
    /// `signed` by one party, `countersigned` when both have signed its document.
    pub level: String,
}

/// An agreement in a document, of whomever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its identity: SHA-256 of its normal form.
    pub id: String,
    /// Its `@id` between the parties.
    pub at_id: String,
    /// The view.
    pub target: String,
    /// The provider.
    pub assigner: String,
    /// The consumer.
    pub assignee: String,
    /// When it was agreed, as it is written; part of the identity.
    pub timestamp: Option<String>,
    /// The terms in plain English.
    pub terms: String,
}

/// A receipt: of a delivery of ours, or of one to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// Its name: the leaf of its ledger entry.
    pub id: String,
    /// Our role: `provider` of what we delivered, `consumer` of what we got.
    pub role: String,
    /// The other side.
    pub partner: String,
    /// The agreement.
    pub agreement: String,
    /// The decision that it was delivered under.
    pub decision: String,
    /// The view.
    pub view: String,
    /// How many rows.
    pub rows: u64,
    /// The bytes of the rows.
    pub bytes: u64,
    /// When, by the provider's policy clock.
    pub at: Timestamp,
    /// Whether that clock was driven: then it is no evidence of times.
    pub driven: bool,
    /// When, by the provider's wall clock: the time of the tick.
    pub delivered: Timestamp,
    /// By when the copy is to be deleted.
    pub delete_by: Option<Timestamp>,
    /// When the copy was deleted, by the consumer's policy clock, as its deletion receipt says.
    pub deleted: Option<Timestamp>,
    /// The level at which it holds against our partners and ourselves, or `broken`; `unproven`
    /// while the node is behind its own anchor and signs nothing.
    pub level: String,
    /// Why it is no more than that; null when both have signed.
    pub why: Option<String>,
    /// Since when it waits, with our signature, for the provider to take it; null when it does not,
    /// and as of another time.
    pub waits: Option<Timestamp>,
}

/// `GET /copies/{receipt}`: for what, and where, a copy is read.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadCopy {
    /// The purpose; the configured one when it is left out.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The place; the configured one when it is left out.
    #[serde(default)]
    pub place: Option<String>,
}

/// A copy of what a partner has delivered, and the policy that it came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLine {
    /// The receipt of its delivery.
    pub receipt: String,
    /// Who delivered it.
    pub partner: String,
    /// The agreement.
    pub agreement: String,
    /// The view.
    pub view: String,
    /// The terms of its use in plain English.
    pub terms: String,
    /// How many rows were delivered.
    pub rows: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// By when it is to be deleted.
    pub delete_by: Option<Timestamp>,
    /// When it was deleted, by the policy clock.
    pub deleted: Option<Timestamp>,
    /// Whether rows of a twin are gone because its owner has erased it.
    pub erased: bool,
}

/// Which copies are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListCopies {
    /// Only those of this agreement.
    #[serde(default)]
    pub agreement: Option<String>,
    /// So many at most.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Only those that were stored before the one with this receipt.
    #[serde(default)]
    pub after: Option<String>,
}

/// What the values of a row are called, in their order behind twin and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// Its name in the view.
    pub name: String,
    /// The UCUM unit.
    #[serde(default)]
    pub unit: Option<String>,
}

/// The rows of a copy, and the decision that permits to read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyRead {
    /// The copy.
    pub copy: CopyLine,
    /// The decision.
    pub decision: String,
    /// What it says.
    pub sentence: String,
    /// What the values are called, as the provider says.
    pub columns: Vec<Heading>,
    /// The rows as they were delivered: twin, time, values.
    pub rows: Vec<serde_json::Value>,
}

/// `POST /erasures`: erase a twin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseAsked {
    /// The twin's IRI.
    pub twin: String,
    /// On what ground; it stays on record for ever, so it names nobody.
    pub basis: String,
    /// Whether it is only said what would be erased and whom it touches.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether it is meant: what is erased does not come back.
    #[serde(default)]
    pub confirmed: bool,
}

/// An erasure, or what one would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureLine {
    /// What stands for the twin; nobody else can tell whose it is.
    pub subject: String,
    /// On what ground.
    pub basis: String,
    /// How many entries about the twin are destroyed.
    pub entries: u64,
    /// When it was erased; null of a dry run.
    pub erased: Option<Timestamp>,
    /// The number of the event that says so.
    pub event: Option<u64>,
    /// Who has, or had, rows of it.
    pub holders: Vec<HolderLine>,
}

/// A partner that has, or had, rows of an erased twin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderLine {
    /// The partner.
    pub partner: String,
    /// The agreement under which they were delivered.
    pub agreement: String,
    /// How many deliveries have rows of it.
    pub deliveries: u64,
    /// The fingerprint of the duty that it was sent; null of a dry run.
    pub duty: Option<String>,
    /// When it has deleted them, by its policy clock, as its deletion receipt says.
    pub deleted: Option<Timestamp>,
    /// Whether its deletion receipt has not come yet.
    pub waits: bool,
}

/// A dataset of a partner's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetLine {
    /// What to negotiate for.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// The terms in plain English.
    pub terms: String,
}

/// `POST /negotiations`: negotiate with a partner for a dataset of its catalogue.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negotiate {
    /// The partner's DID.
    pub partner: String,
    /// The dataset; may be left out when its catalogue has one only.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Whether to conclude one more where an agreement on it stands already.
    #[serde(default)]
    pub another: bool,
}

/// `POST /pulls`: fetch a view under an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// The agreement.
    pub agreement: String,
    /// The purpose that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The place that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub place: Option<String>,
    /// Only rows from this time on.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Only rows before this time.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only rows of this twin.
    #[serde(default)]
    pub twin: Option<Iri>,
    /// Only rows behind this place: where a pull that was refused on the way had come to.
    #[serde(default)]
    pub after: Option<Cursor>,
}

/// `POST /subscriptions`: follow the stream of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The agreement.
    pub agreement: String,
    /// The purpose that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The place that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub place: Option<String>,
    /// Whether to begin with all that the view has; else with what is recorded from now on.
    #[serde(default)]
    pub from_start: bool,
}

/// `POST /learned`: what is to be signed of what a program of ours has learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignLearned {
    /// The agreement whose stream it was learned from.
    pub agreement: String,
    /// The SHA-256 digest of the rule, in hex.
    pub rule: String,
    /// The SHA-256 digest of what was learned, in hex.
    pub state: String,
}

/// A stream that is followed, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionLine {
    /// The agreement.
    pub agreement: String,
    /// The provider.
    pub partner: String,
    /// Since when.
    pub since: Timestamp,
    /// The position of the last event that is stored.
    pub position: Option<u64>,
    /// How many rows are stored.
    pub rows: u64,
    /// Why it has ended: a code, or `left` when we have ended it.
    pub code: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
}

/// What has come of a stream that is followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// The receipts of the events, the oldest first: the rows are read with `GET /copies/{id}`.
    pub receipts: Vec<String>,
    /// Whether there were more behind the position that was asked for, of which it is not known any
    /// more which copies they became.
    pub skipped: bool,
    /// The position of the last event that is stored.
    pub position: Option<u64>,
    /// Why the subscription has ended: a code, or `left` when we have ended it.
    pub code: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
}

/// What is to be fetched from a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The agreement: its identity, a unique front of it, or its `@id`.
    pub agreement: String,
    /// Whether the connector is to send them to us (`HttpData-PUSH`).
    #[serde(default)]
    pub push: bool,
}

/// What was fetched from a connector: as text when it is UTF-8, else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The agreement's identity.
    pub agreement: String,
    /// Our id of the transfer.
    pub transfer: String,
    /// How many bytes there are.
    pub bytes: u64,
    /// The SHA-256 of them, as hex.
    pub sha256: String,
    /// The data.
    pub text: Option<String>,
    /// The data in base64 (RFC 4648 §4).
    pub base64: Option<String>,
}

/// What a pull brought: all of its pages together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// The receipts, one for each page: `twinpact receipt export` writes the proof of one.
    pub receipts: Vec<String>,
    /// The agreement.
    pub agreement: String,
    /// How many rows.
    pub rows: usize,
    /// The bytes of the rows.
    pub bytes: u64,
    /// The earliest time of a row, when there is one.
    pub first: Option<Timestamp>,
    /// The latest time of a row.
    pub last: Option<Timestamp>,
    /// By when the copy is to be deleted, the first page of it.
    pub delete_by: Option<Timestamp>,
    /// The lowest level at which a receipt holds, with our own signature on it.
    pub level: String,
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionLine {
    /// Its identity.
    pub id: String,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// Who asked.
    pub caller: String,
    /// The agreement.
    pub agreement: String,
    /// From when it stands, by the policy clock.
    pub from: Timestamp,
    /// `policy.permit` or the code of the denial.
    pub code: String,
    /// One sentence: what, why, and how it would be allowed.
    pub sentence: String,
    /// How often a request met it.
    pub used: u64,
    /// `signed`: a decision is its maker's alone.
    pub level: String,
}
