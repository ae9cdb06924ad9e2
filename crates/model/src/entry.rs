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
use serde_json::Value;
use std::fmt;

/// The most attributes of one entry, groups included; more become several entries of one frame.
pub const MAX_ATTRIBUTES: usize = 32;
/// The longest lexical form, in bytes.
pub const MAX_LEXICAL_BYTES: usize = 1 << 20;

/// One attribute: what is committed to and disclosed as a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// Its name: a model attribute, or `@…` for a reserved group.
    pub path: String,
    /// How to read the lexical form: an XSD name, `group`, `points`, `json` or `text`.
    pub datatype: String,
    /// The value as it was written, never reformatted.
    pub lexical: String,
}

impl Attribute {
    /// An attribute from its three texts.
    pub fn new(
        path: impl Into<String>,
        datatype: impl Into<String>,
        lexical: impl Into<String>,
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
    /// A request was decided.
    Decision = "Decision";
    /// A decision was used by a read.
    Used = "Used";
    /// A partner's request was answered without anything else being recorded (local).
    Answered = "Answered";
    /// Items were delivered under an agreement (ledger).
    Delivery = "Delivery";
    /// Protocol state of a process (local).
    ProcessState = "ProcessState";
    /// A message to send, or that it was sent (local).
    Outbox = "Outbox";
    /// A token was issued or retired (local).
    Token = "Token";
    /// An anchor or ledger of a partner was pinned (local).
    Pin = "Pin";
    /// A copy received from a partner (local).
    Copy = "Copy";
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
    pub twin: String,
    /// Its number among the entries of that twin, from 1 without gaps; 0 when about none.
    pub twin_seq: u64,
    /// The DID, SPIFFE id or `local` that caused it.
    pub actor: String,
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
    pub model: String,
    /// Its retention class.
    pub class: String,
    /// The entry that caused it, `tree:index`; empty when none did.
    pub cause: String,
    /// The digest of the code or policy that made it; empty for what a source said.
    pub code: String,
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
    /// All attributes in the order in which they are committed to: the three groups, then the
    /// values.
    #[must_use]
    pub fn attributes(&self) -> Vec<Attribute> {
        let mut all = Vec::with_capacity(self.what.len() + 3);
        all.push(Attribute::new("@who", "group", self.who.lexical()));
        all.push(Attribute::new("@when", "group", self.when.lexical()));
        all.push(Attribute::new("@why", "group", self.why.lexical()));
        all.extend(self.what.iter().cloned());
        all
    }

    /// The entry that these attributes are.
    ///
    /// # Errors
    /// `input.malformed` when a group is missing, repeated or not of its form.
    pub fn from_attributes(attributes: Vec<Attribute>) -> Result<Self, Problem> {
        let mut rest = attributes.into_iter();
        let mut group = |name: &str| {
            rest.next()
                .filter(|a| a.path == name && a.datatype == "group")
                .ok_or_else(|| malformed(name))
        };
        let who = Who::parse(&group("@who")?.lexical)?;
        let when = When::parse(&group("@when")?.lexical)?;
        let why = Why::parse(&group("@why")?.lexical)?;
        Ok(Entry { who, when, why, what: rest.collect() })
    }

    /// The lexical form of the payload attribute of that path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        self.what.iter().find(|a| a.path == path).map(|a| a.lexical.as_str())
    }
}

impl Who {
    /// `[kind, twin, twinseq, actor]`.
    #[must_use]
    pub fn lexical(&self) -> String {
        json_array(&[
            Value::from(self.kind.name()),
            Value::from(self.twin.as_str()),
            Value::from(self.twin_seq),
            Value::from(self.actor.as_str()),
        ])
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form or of an unknown kind.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let [kind, twin, twin_seq, actor] = array::<4>(lexical).ok_or_else(|| malformed("@who"))?;
        let kind = kind.as_str().and_then(Kind::parse).ok_or_else(|| malformed("@who"))?;
        Ok(Who {
            kind,
            twin: text(&twin, "@who")?,
            twin_seq: twin_seq.as_u64().ok_or_else(|| malformed("@who"))?,
            actor: text(&actor, "@who")?,
        })
    }
}

impl When {
    /// `[recorded, phen_start, phen_end, result, valid]`, in microseconds or `null`.
    #[must_use]
    pub fn lexical(&self) -> String {
        let micros = |t: Option<Timestamp>| t.map_or(Value::Null, |t| Value::from(t.micros()));
        json_array(&[
            micros(Some(self.recorded)),
            micros(self.phen_start),
            micros(self.phen_end),
            micros(self.result),
            micros(self.valid),
        ])
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let parts = array::<5>(lexical).ok_or_else(|| malformed("@when"))?;
        let mut times = [None; 5];
        for (slot, part) in times.iter_mut().zip(&parts) {
            *slot = match part {
                Value::Null => None,
                other => {
                    Some(Timestamp::from_micros(other.as_i64().ok_or_else(|| malformed("@when"))?))
                }
            };
        }
        let [recorded, phen_start, phen_end, result, valid] = times;
        let recorded = recorded.ok_or_else(|| malformed("@when"))?;
        Ok(When { recorded, phen_start, phen_end, result, valid })
    }
}

impl Why {
    /// `[src, model, class, cause, code]`.
    #[must_use]
    pub fn lexical(&self) -> String {
        json_array(&[
            Value::from(self.src.as_str()),
            Value::from(self.model.as_str()),
            Value::from(self.class.as_str()),
            Value::from(self.cause.as_str()),
            Value::from(self.code.as_str()),
        ])
    }

    /// The group of that lexical form.
    ///
    /// # Errors
    /// `input.malformed` when it is not of the form.
    pub fn parse(lexical: &str) -> Result<Self, Problem> {
        let [src, model, class, cause, code] =
            array::<5>(lexical).ok_or_else(|| malformed("@why"))?;
        Ok(Why {
            src: text(&src, "@why")?,
            model: text(&model, "@why")?,
            class: text(&class, "@why")?,
            cause: text(&cause, "@why")?,
            code: text(&code, "@why")?,
        })
    }
}

/// Compact JSON. Texts and integers only, so it is canonical (RFC 8785) as it is written.
fn json_array(parts: &[Value]) -> String {
    let parts: Vec<String> = parts.iter().map(Value::to_string).collect();
    format!("[{}]", parts.join(","))
}

fn array<const N: usize>(lexical: &str) -> Option<[Value; N]> {
    let parts: Vec<Value> = serde_json::from_str(lexical).ok()?;
    parts.try_into().ok()
}

fn text(value: &Value, group: &str) -> Result<String, Problem> {
    value.as_str().map(str::to_owned).ok_or_else(|| malformed(group))
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

    #[test]
    fn an_entry_is_its_attributes() {
        let attributes = entry().attributes();
        assert_eq!(attributes[0].lexical, r#"["FactsSet","urn:turbine:R80711",7,"local"]"#);
        assert_eq!(attributes[1].lexical, "[5,-3,null,null,null]");
        assert_eq!(Entry::from_attributes(attributes).unwrap(), entry());
    }

    #[test]
    fn groups_are_of_their_form() {
        let good = entry().attributes();
        let check = |i: usize, lexical: &str| {
            let mut bad = good.clone();
            bad[i].lexical = lexical.to_owned();
            assert!(Entry::from_attributes(bad).is_err(), "{lexical}");
        };
        for lexical in ["", "[]", r#"["Nothing","",1,""]"#, r#"["FactsSet","",-1,""]"#, "{}"] {
            check(0, lexical);
        }
        check(1, "[null,1,1,1,1]");
        check(1, "[1.5,1,1,1,1]");
        check(2, r#"["","","",""]"#);
        assert!(Entry::from_attributes(good[1..].to_vec()).is_err());
    }

    #[test]
    fn kinds_are_known_by_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(*kind));
        }
    }
}
