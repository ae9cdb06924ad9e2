//! What the log holds: an [`Entry`] is one thing that happened.
//!
//! One row of a file, one write through the API, one protocol step, one decision, one delivery.
//! Everything in it is text, as `(path, datatype, lexical form)`, so that it can be committed to
//! and disclosed attribute by attribute. The reserved groups `@who`, `@when` and `@why` are
//! disclosed as wholes; their datatype is `group` and their lexical form a JSON array
//! (docs/format.md).

use crate::codes;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::type_model::Datatype;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::borrow::Cow;
use std::fmt;

/// The most attributes of one entry, groups included; more become several entries of one frame.
pub const MAX_ATTRIBUTES: usize = 32;
/// The longest lexical form, in bytes.
pub const MAX_LEXICAL_BYTES: usize = 1 << 20;

/// The datatype of the groups.
pub const GROUP: &str = "group";

/// One attribute: what is committed to and disclosed as a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// Its name: a model attribute, or `@…` for a reserved group.
    pub path: SmolStr,
    /// How to read the lexical form: an XSD name, `group`, `points`, `json` or `text`.
    pub datatype: Cow<'static, str>,
    /// The value as it was written, never reformatted.
    pub lexical: SmolStr,
}

impl Attribute {
    /// An attribute from its three texts.
    pub fn new(
        path: impl Into<SmolStr>,
        datatype: impl Into<Cow<'static, str>>,
        lexical: impl Into<SmolStr>,
    ) -> Self {
        Attribute { path: path.into(), datatype: datatype.into(), lexical: lexical.into() }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $variant),* }

        impl Kind {
            /// Every kind, in the order of the source.
            pub const ALL: &[Kind] = &[$(Kind::$variant),*];

            /// The name in the log; never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name),* }
            }
        }
    };
}

kinds! {
    /// The organisation's signed record was issued or changed.
    OrganisationRecord = "OrganisationRecord";
    /// A version of a type model applies from here on.
    ModelPut = "ModelPut";
    /// A twin exists from here on.
    NodeCreated = "NodeCreated";
    /// Values of one twin that were true together.
    FactsSet = "FactsSet";
    /// The same source and id came again with other values.
    Correction = "Correction";
    /// A twin is linked to another from here on.
    LinkSet = "LinkSet";
    /// A link does not stand any more.
    LinkRetracted = "LinkRetracted";
    /// A twin was erased: its key is destroyed, and with it all that was recorded about it.
    TwinErased = "TwinErased";
    /// A holder of copies is to erase a twin: sent or taken.
    ErasureDuty = "ErasureDuty";
    /// A deletion receipt, sent or taken.
    DeletionReceipt = "DeletionReceipt";
    /// A contract version was published.
    ContractPublished = "ContractPublished";
    /// A partner's record was pinned.
    PartnerPinned = "PartnerPinned";
    /// A partner was removed: it is no partner any more.
    PartnerRemoved = "PartnerRemoved";
    /// An agreement was concluded.
    AgreementConcluded = "AgreementConcluded";
    /// An agreement was revoked or terminated.
    AgreementEnded = "AgreementEnded";
    /// Something was found that others have to contain.
    IncidentOpened = "IncidentOpened";
    /// One organisation asked another to contain some of its twins.
    ContainmentAsked = "ContainmentAsked";
    /// That other answered.
    ContainmentAnswered = "ContainmentAnswered";
    /// An agreement is suspended until what its partner owes has come.
    AgreementSuspended = "AgreementSuspended";
    /// A suspended agreement holds again.
    AgreementResumed = "AgreementResumed";
    /// A request was decided.
    Decision = "Decision";
    /// A decision was used by a read.
    Used = "Used";
    /// A partner's request was answered without anything else being recorded (local).
    Answered = "Answered";
    /// Items were delivered under an agreement (ledger).
    Delivery = "Delivery";
    /// A stream of a view has ended (local).
    StreamEnded = "StreamEnded";
    /// Protocol state of a process (local).
    ProcessState = "ProcessState";
    /// A process has waited for a decision of ours for half of the time that there is (local).
    Escalated = "Escalated";
    /// A message to send, or that it was sent (local).
    Outbox = "Outbox";
    /// A token was issued or retired (local).
    Token = "Token";
    /// An anchor or ledger of a partner was pinned (local).
    Pin = "Pin";
    /// Data were fetched from somebody else's connector (local).
    Fetched = "Fetched";
    /// A copy received from a partner (local).
    Copy = "Copy";
    /// Copies are deleted: their keys are destroyed, and with them the rows (local).
    CopyDeleted = "CopyDeleted";
    /// Of which twins a delivery of ours has rows, by what stands for them (local).
    DeliveredTwins = "DeliveredTwins";
    /// A stream of a partner is followed, has come so far, or has ended (local).
    Subscription = "Subscription";
    /// Both parties have signed an agreement or a receipt (local).
    Countersignature = "Countersignature";
    /// An invitation was made, used or withdrawn (local).
    Invitation = "Invitation";
    /// A counter of refusals before authentication (local).
    Refusals = "Refusals";
    /// A torn tail was cut at start (local).
    TailCut = "TailCut";
    /// A checkpoint of ours was shown that our log does not contain (local).
    AnchorBehind = "AnchorBehind";
    /// We have cosigned a checkpoint of a partner's log (local).
    Cosigned = "Cosigned";
    /// A witness has cosigned a checkpoint of ours (local).
    Cosignature = "Cosignature";
    /// A witness answered what it must not, or would not cosign (local).
    WitnessRefused = "WitnessRefused";
    /// A partner's log has shown two histories, or may have (local).
    Divergence = "Divergence";
}

impl Kind {
    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `@who`: kind, twin, its sequence number, and who caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// What happened.
    pub kind: Kind,
    /// The twin it is about; empty when it is about none.
    pub twin: SmolStr,
    /// Its number among the entries of that twin, from 1 without gaps; 0 when about none.
    pub twin_seq: u64,
    /// The DID, SPIFFE id or `local` that caused it.
    pub actor: SmolStr,
}

/// `@when`: the times, each in its own right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct When {
    /// When we learned it; strictly rising within a tree.
    pub recorded: Timestamp,
    /// From when it was true in the world.
    pub phen_start: Option<Timestamp>,
    /// Until when it was true in the world; the start itself for an instant.
    pub phen_end: Option<Timestamp>,
    /// When the result became available at the source.
    pub result: Option<Timestamp>,
    /// Until when the source says that it may be used.
    pub valid: Option<Timestamp>,
}

/// `@why`: where it came from and under which rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Why {
    /// Source and id at the source, as a JSON array of two texts; empty when there is none.
    pub src: String,
    /// The type model it was checked against, `name@version`.
    pub model: SmolStr,
    /// Its retention class.
    pub class: SmolStr,
    /// The entry that caused it, `tree:index`; empty when none did.
    pub cause: SmolStr,
    /// The digest of the code or policy that made it; empty for what a source said.
    pub code: SmolStr,
}

/// The payload attributes.
pub type What = Vec<Attribute>;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who and what.
    pub who: Who,
    /// When.
    pub when: When,
    /// From where.
    pub why: Why,
    /// The values.
    pub what: What,
}

impl Entry {
    /// Path and lexical form of the three groups, which are committed to before the values; their
    /// datatype is [`GROUP`].
    #[must_use]
    pub fn groups(&self) -> [(&'static str, String); 3] {
        [("@who", self.who.lexical()), ("@when", self.when.lexical()), ("@why", self.why.lexical())]
    }

    /// The entry that these attributes are: path, datatype and lexical form of each.
    ///
    /// # Errors
    /// `input.malformed` when a group is missing, repeated or not of its form.
    pub fn from_attributes<'a>(
        attributes: impl IntoIterator<Item = [&'a str; 3]>,
    ) -> Result<Self, Problem> {
        let mut rest = attributes.into_iter();
        let mut group = |name: &str| {
            rest.next()
                .filter(|[path, datatype, _]| *path == name && *datatype == GROUP)
                .map(|[_, _, lexical]| lexical)
                .ok_or_else(|| malformed(name))
        };
        let who = Who::parse(group("@who")?)?;
        let when = When::parse(group("@when")?)?;
        let why = Why::parse(group("@why")?)?;
        let what = rest.map(|[path, datatype, lexical]| Attribute {
            path: path.into(),
            datatype: datatype_name(datatype),
            lexical: lexical.into(),
        });
        Ok(Entry { who, when, why, what: what.collect() })
    }

    /// The lexical form of the payload attribute of that path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        self.what.iter().find(|a| a.path == path).map(|a| a.lexical.as_str())
    }
}

impl Who {
    /// What is about no twin.
    #[must_use]
    pub fn no_twin(kind: Kind, actor: impl Into<SmolStr>) -> Who {
        Who { kind, twin: SmolStr::default(), twin_seq: 0, actor: actor.into() }
    }

    /// `[kind, twin, twinseq, actor]`.
    #[must_use]
    pub fn lexical(&self) -> String {
        json(&(self.kind.name(), &self.twin, self.twin_seq, &self.actor))
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form or of an unknown kind.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let (kind, twin, twin_seq, actor): (Cow<'_, str>, SmolStr, u64, SmolStr) =
            array(lexical, "@who")?;
        let kind = Kind::parse(&kind).ok_or_else(|| malformed("@who"))?;
        Ok(Who { kind, twin, twin_seq, actor })
    }
}

impl When {
    /// `[recorded, phen_start, phen_end, result, valid]`, in microseconds or `null`.
    #[must_use]
    pub fn lexical(&self) -> String {
        let given = [self.phen_start, self.phen_end, self.result, self.valid];
        let [start, end, result, valid] = given.map(|time| time.map(Timestamp::micros));
        json(&[Some(self.recorded.micros()), start, end, result, valid])
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let times: [Option<i64>; 5] = array(lexical, "@when")?;
        let [recorded, phen_start, phen_end, result, valid] =
            times.map(|time| time.map(Timestamp::from_micros));
        let recorded = recorded.ok_or_else(|| malformed("@when"))?;
        Ok(When { recorded, phen_start, phen_end, result, valid })
    }
}

impl Why {
    /// `[src, model, class, cause, code]`.
    #[must_use]
    pub fn lexical(&self) -> String {
        json(&(&self.src, &self.model, &self.class, &self.cause, &self.code))
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let (src, model, class, cause, code) = array(lexical, "@why")?;
        Ok(Why { src, model, class, cause, code })
    }
}

/// The name without a copy of its own, when it is a usual one.
fn datatype_name(name: &str) -> Cow<'static, str> {
    let usual = Datatype::ALL.iter().map(|datatype| datatype.name()).chain(["json", "points"]);
    match usual.into_iter().find(|known| *known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

/// Source and id at the source, the way [`Why::src`] has them.
#[must_use]
pub fn src(source: &str, id: &str) -> String {
    json(&[source, id])
}

/// Compact JSON. Texts, integers and nulls only, so it is canonical (RFC 8785) as it is written.
fn json(array: &impl Serialize) -> String {
    // To write these into memory cannot fail.
    serde_json::to_string(array).unwrap_or_default()
}

fn array<'a, T: Deserialize<'a>>(lexical: &'a str, group: &str) -> Result<T, Problem> {
    serde_json::from_str(lexical).map_err(|_| malformed(group))
}

fn malformed(group: &str) -> Problem {
    Problem::new(
        codes::INPUT_MALFORMED,
        format!("the group {group} of an entry is not of its form"),
    )
}

#[cfg(test)]
mod tests {
    use super::{Attribute, Entry, Kind, When, Who, Why};
    use crate::problem::Problem;
    use crate::time::Timestamp;

    fn entry() -> Entry {
        Entry {
            who: Who {
                kind: Kind::FactsSet,
                twin: "urn:turbine:R80711".into(),
                twin_seq: 7,
                actor: "local".into(),
            },
            when: When {
                recorded: Timestamp::from_micros(5),
                phen_start: Some(Timestamp::from_micros(-3)),
                ..When::default()
            },
            why: Why { src: "[\"a\",\"b\\\"\"]".into(), ..Why::default() },
            what: vec![Attribute::new("power", "double", "514.24")],
        }
    }

    fn attributes(entry: Entry) -> Vec<Attribute> {
        let groups = entry.groups().map(|(path, lexical)| Attribute::new(path, "group", lexical));
        groups.into_iter().chain(entry.what).collect()
    }

    fn read(attributes: &[Attribute]) -> Result<Entry, Problem> {
        Entry::from_attributes(attributes.iter().map(|a| [&*a.path, &*a.datatype, &*a.lexical]))
    }

    #[test]
    fn an_entry_is_its_attributes() {
        let attributes = attributes(entry());
        assert_eq!(attributes[0].lexical, r#"["FactsSet","urn:turbine:R80711",7,"local"]"#);
        assert_eq!(attributes[1].lexical, "[5,-3,null,null,null]");
        assert_eq!(read(&attributes).unwrap(), entry());
    }

    #[test]
    fn groups_are_of_their_form() {
        let good = attributes(entry());
        let check = |i: usize, lexical: &str| {
            let mut bad = good.clone();
            bad[i].lexical = lexical.into();
            assert!(read(&bad).is_err(), "{lexical}");
        };
        for lexical in ["", "[]", r#"["Nothing","",1,""]"#, r#"["FactsSet","",-1,""]"#, "{}"] {
            check(0, lexical);
        }
        check(1, "[null,1,1,1,1]");
        check(1, "[1.5,1,1,1,1]");
        check(2, r#"["","","",""]"#);
        assert!(read(&good[1..]).is_err());
    }

    #[test]
    fn kinds_are_known_by_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(*kind));
        }
    }
}
