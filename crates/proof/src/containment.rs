//! Containments: one organisation asks another to contain some of its twins, on the evidence of
//! what that other has delivered to it; and what a person there answers. Each is canonical JSON in
//! DSSE, is signed by its issuer alone, and is read strictly.

use crate::digest::Digest;
use crate::documents::{Clock, payload};
use crate::dsse::Envelope;
use crate::fields::{MAX_TEXT_BYTES, Malformed, Members, hex_json, time_json, uint_json};
use crate::json::Json;
use crate::keys::SecretKey;

/// The payload type of a containment.
pub const CONTAINMENT_TYPE: &str = "application/vnd.twinpact.containment+json";
/// The payload type of the answer to one.
pub const CONTAINMENT_ANSWER_TYPE: &str = "application/vnd.twinpact.containment-answer+json";
/// The most twins of one containment.
pub const MAX_CONTAINED: usize = 1_000;
/// The most deliveries that one rests on.
pub const MAX_EVIDENCE: usize = 256;
/// The longest measure, and the longest name of who answers, in bytes.
pub const MAX_MEASURE_BYTES: usize = 200;
/// The longest reason or note, in bytes.
pub const MAX_REASON_BYTES: usize = 1_000;

/// A delivery of the audience that a containment rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Its position in the ledger of the agreement.
    pub index: u64,
    /// The leaf at that position: the name of its receipt.
    pub leaf: Digest,
}

/// Where and when the issuer saw what it asks because of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The IRI of the audience's twin at which it was seen.
    pub twin: String,
    /// The time of the first row that the issuer was shown of it, in microseconds since 1970.
    pub first: i64,
    /// The time of the row by which it was found.
    pub found: i64,
}

/// What is to be contained, why, and on what evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// Who asks.
    pub issuer: String,
    /// Who is asked, and owns the twins.
    pub audience: String,
    /// What it is part of, a URN: the same for all who are asked because of one incident.
    pub incident: String,
    /// The agreement between the two under which the issuer has learned of it.
    pub agreement: Digest,
    /// The deliveries under that agreement which it rests on, in their order.
    pub evidence: Vec<Evidence>,
    /// The IRIs of the twins, in order, at least one.
    pub twins: Vec<String>,
    /// What is to be done with them.
    pub measure: String,
    /// Why.
    pub reason: String,
    /// Where it was seen, when that was at a twin of the audience.
    pub seen: Option<Seen>,
    /// When it was asked for, by the issuer's policy clock, in microseconds since 1970.
    pub opened: i64,
    /// Which policy clock that was.
    pub clock: Clock,
}

const MEMBERS: [&str; 12] = [
    "agreement",
    "audience",
    "clock",
    "evidence",
    "incident",
    "issuer",
    "measure",
    "opened",
    "reason",
    "seen",
    "twins",
    "type",
];

impl Containment {
    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let delivery = |one: &Evidence| {
            Json::object([("index", uint_json(one.index)), ("leaf", hex_json(&one.leaf))])
        };
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("audience", Json::text(&self.audience)),
            ("clock", Json::text(self.clock.name())),
            ("evidence", Json::Array(self.evidence.iter().map(delivery).collect())),
            ("incident", Json::text(&self.incident)),
            ("issuer", Json::text(&self.issuer)),
            ("measure", Json::text(&self.measure)),
            ("opened", Json::Int(self.opened)),
            ("reason", Json::text(&self.reason)),
            ("seen", self.seen.as_ref().map_or(Json::Null, seen_json)),
            ("twins", Json::Array(self.twins.iter().map(Json::text).collect())),
            ("type", Json::text("twinpact-containment/1")),
        ])
    }

    /// That of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form; twins and evidence stand in order, and none twice.
    pub fn from_json(json: &Json) -> Result<Containment, Malformed> {
        let members = Members::of("the containment", json, &MEMBERS)?;
        members.constant("type", "twinpact-containment/1")?;
        let mut evidence = Vec::new();
        for item in members.list("evidence", MAX_EVIDENCE)? {
            let item = Members::of("evidence", item, &["index", "leaf"])?;
            evidence.push(Evidence { index: item.uint("index")?, leaf: item.hex("leaf")? });
        }
        if !evidence.is_sorted_by(|a, b| a.index < b.index) {
            return Err(members.wrong("evidence", "a list in order, nothing twice"));
        }
        let named = |item: &Json| {
            let text = item.as_text().filter(|t| !t.is_empty() && t.len() <= MAX_TEXT_BYTES);
            text.map(str::to_owned)
        };
        let twins = members.list("twins", MAX_CONTAINED)?.iter().map(named);
        let twins = twins.collect::<Option<Vec<String>>>().unwrap_or_default();
        if twins.is_empty() || !twins.is_sorted_by(|a, b| a < b) {
            return Err(members.wrong("twins", "a list of IRIs in order, none twice"));
        }
        Ok(Containment {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            incident: members.text("incident", MAX_TEXT_BYTES)?.to_owned(),
            agreement: members.hex("agreement")?,
            evidence,
            twins,
            measure: members.text("measure", MAX_MEASURE_BYTES)?.to_owned(),
            reason: members.text("reason", MAX_REASON_BYTES)?.to_owned(),
            seen: seen(members.json("seen")?)?,
            opened: members.time("opened")?,
            clock: members.clock("clock")?,
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(CONTAINMENT_TYPE, &self.to_json(), key)
    }

    /// That in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Containment, Malformed> {
        Containment::from_json(&*payload(envelope, CONTAINMENT_TYPE)?)
    }
}

fn seen_json(seen: &Seen) -> Json {
    Json::object([
        ("first", Json::Int(seen.first)),
        ("found", Json::Int(seen.found)),
        ("twin", Json::text(&seen.twin)),
    ])
}

fn seen(json: &Json) -> Result<Option<Seen>, Malformed> {
    if *json == Json::Null {
        return Ok(None);
    }
    let members = Members::of("seen", json, &["first", "found", "twin"])?;
    let twin = members.text("twin", MAX_TEXT_BYTES)?.to_owned();
    let (first, found) = (members.time("first")?, members.time("found")?);
    match first <= found {
        true => Ok(Some(Seen { twin, first, found })),
        false => Err(members.wrong("found", "at or after first")),
    }
}

/// What became of a containment at the organisation that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The twins are contained.
    Confirmed,
    /// They are not, and will not be.
    Refused,
    /// They were contained, and are not any more.
    Released,
}

impl Answer {
    /// Every answer.
    pub const ALL: [Answer; 3] = [Answer::Confirmed, Answer::Refused, Answer::Released];

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Answer::Confirmed => "confirmed",
            Answer::Refused => "refused",
            Answer::Released => "released",
        }
    }

    /// The answer of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Answer> {
        Answer::ALL.into_iter().find(|answer| answer.name() == name)
    }

    /// Whether it may come after this one, or as the first.
    #[must_use]
    pub fn may_follow(self, before: Option<Answer>) -> bool {
        match before {
            None => matches!(self, Answer::Confirmed | Answer::Refused),
            Some(before) => (before, self) == (Answer::Confirmed, Answer::Released),
        }
    }
}

/// The answer to a containment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainmentAnswer {
    /// Who answers: the audience of the containment.
    pub issuer: String,
    /// Who had asked.
    pub audience: String,
    /// The fingerprint of the containment.
    pub containment: Digest,
    /// The answer.
    pub answer: Answer,
    /// The person who gave it, as that organisation names people.
    pub by: String,
    /// Whether nobody looked: it was given by a program.
    pub automatic: bool,
    /// What was said with it; may be empty.
    pub note: String,
    /// When it began, by what the issuer knows of its own twin and may not have shown, in
    /// microseconds since 1970.
    pub began: Option<i64>,
    /// When, by the issuer's policy clock, in microseconds since 1970.
    pub at: i64,
    /// Which policy clock that was.
    pub clock: Clock,
}

const ANSWER_MEMBERS: [&str; 11] = [
    "answer",
    "at",
    "audience",
    "automatic",
    "began",
    "by",
    "clock",
    "containment",
    "issuer",
    "note",
    "type",
];

impl ContainmentAnswer {
    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::object([
            ("answer", Json::text(self.answer.name())),
            ("at", Json::Int(self.at)),
            ("audience", Json::text(&self.audience)),
            ("automatic", Json::Bool(self.automatic)),
            ("began", time_json(self.began)),
            ("by", Json::text(&self.by)),
            ("clock", Json::text(self.clock.name())),
            ("containment", hex_json(&self.containment)),
            ("issuer", Json::text(&self.issuer)),
            ("note", Json::text(&self.note)),
            ("type", Json::text("twinpact-containment-answer/1")),
        ])
    }

    /// That of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<ContainmentAnswer, Malformed> {
        let members = Members::of("the answer", json, &ANSWER_MEMBERS)?;
        members.constant("type", "twinpact-containment-answer/1")?;
        let answer = members.json("answer")?.as_text().and_then(Answer::parse);
        let automatic = match members.json("automatic")? {
            Json::Bool(automatic) => *automatic,
            _ => return Err(members.wrong("automatic", "true or false")),
        };
        let note = members.json("note")?.as_text().filter(|note| note.len() <= MAX_REASON_BYTES);
        let note = note.ok_or_else(|| {
            members.wrong("note", &format!("a text of at most {MAX_REASON_BYTES} bytes"))
        })?;
        Ok(ContainmentAnswer {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            containment: members.hex("containment")?,
            answer: answer.ok_or_else(|| members.wrong("answer", "an answer that we know"))?,
            by: members.text("by", MAX_MEASURE_BYTES)?.to_owned(),
            automatic,
            note: note.to_owned(),
            began: members.time_or_null("began")?,
            at: members.time("at")?,
            clock: members.clock("clock")?,
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(CONTAINMENT_ANSWER_TYPE, &self.to_json(), key)
    }

    /// That in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<ContainmentAnswer, Malformed> {
        ContainmentAnswer::from_json(&*payload(envelope, CONTAINMENT_ANSWER_TYPE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Containment, ContainmentAnswer, Evidence, Seen};
    use super::{MAX_CONTAINED, MAX_EVIDENCE, MAX_MEASURE_BYTES, MAX_REASON_BYTES};
    use crate::documents::{Clock, check};
    use crate::keys::SecretKey;

    fn containment() -> Containment {
        Containment {
            issuer: "did:web:maker.example".into(),
            audience: "did:web:operator.example".into(),
            incident: "urn:uuid:1".into(),
            agreement: [1; 32],
            evidence: vec![Evidence { index: 3, leaf: [2; 32] }],
            twins: vec!["urn:turbine:a".into(), "urn:turbine:b".into()],
            measure: "inspect the main bearing".into(),
            reason: "a bearing of the same lot has failed".into(),
            seen: Some(Seen { twin: "urn:turbine:c".into(), first: 4, found: 5 }),
            opened: 7,
            clock: Clock::System,
        }
    }

    fn answer() -> ContainmentAnswer {
        ContainmentAnswer {
            issuer: "did:web:operator.example".into(),
            audience: "did:web:maker.example".into(),
            containment: [5; 32],
            answer: Answer::Confirmed,
            by: "the shift engineer".into(),
            automatic: false,
            note: String::new(),
            began: Some(3),
            at: 9,
            clock: Clock::Driven,
        }
    }

    #[test]
    fn they_read_as_written_and_in_no_other_form() {
        let changes = [
            ("\"issuer\":\"did:web", "\"issuer\":\"web"),
            ("\"type\":", "\"typo\":"),
            ("\"index\":3", "\"index\":-3"),
            ("urn:turbine:a", "urn:turbine:c"),
            ("urn:turbine:a", "urn:turbine:b"),
            ("urn:turbine:a", ""),
            ("\"measure\":\"inspect the main bearing\"", "\"measure\":\"\""),
            ("system", "lunar"),
            ("\"first\":4", "\"first\":6"),
            ("\"twin\":\"urn:turbine:c\"", "\"twin\":\"\""),
        ];
        check(&containment(), &containment().to_json(), Containment::from_json, &changes);
        let changes = [
            ("\"audience\":\"did:web", "\"audience\":\"web"),
            ("confirmed", "perhaps"),
            ("false", "0"),
            ("\"note\":\"\"", "\"note\":null"),
            ("driven", "lunar"),
            ("\"began\":3", "\"began\":\"3\""),
        ];
        check(&answer(), &answer().to_json(), ContainmentAnswer::from_json, &changes);
    }

    #[test]
    fn they_have_bounds() {
        let reads = |change: &dyn Fn(&mut Containment)| {
            let mut one = containment();
            change(&mut one);
            Containment::from_json(&one.to_json()).is_ok()
        };
        let twins = |n: usize| (0..n).map(|n| format!("urn:t:{n:06}")).collect::<Vec<_>>();
        assert!(reads(&|one| one.twins = twins(MAX_CONTAINED)));
        assert!(!reads(&|one| one.twins = twins(MAX_CONTAINED + 1)));
        assert!(!reads(&|one| one.twins = Vec::new()));
        let some =
            |n: usize| (0..n as u64).map(|index| Evidence { index, leaf: [0; 32] }).collect();
        assert!(reads(&|one| one.evidence = some(MAX_EVIDENCE)));
        assert!(!reads(&|one| one.evidence = some(MAX_EVIDENCE + 1)));
        assert!(!reads(&|one| one.evidence = vec![one.evidence[0]; 2]));
        assert!(reads(&|one| one.evidence = Vec::new()));
        assert!(reads(&|one| one.seen = None));
        assert!(reads(&|one| one.measure = "x".repeat(MAX_MEASURE_BYTES)));
        assert!(!reads(&|one| one.measure = "x".repeat(MAX_MEASURE_BYTES + 1)));
        assert!(reads(&|one| one.reason = "x".repeat(MAX_REASON_BYTES)));
        assert!(!reads(&|one| one.reason = "x".repeat(MAX_REASON_BYTES + 1)));
        let mut long = answer();
        long.note = "x".repeat(MAX_REASON_BYTES + 1);
        assert!(ContainmentAnswer::from_json(&long.to_json()).is_err());
        long.note.pop();
        assert_eq!(ContainmentAnswer::from_json(&long.to_json()), Ok(long));
    }

    #[test]
    fn one_is_not_taken_for_the_other() {
        let key = SecretKey::new(&[1; 32]);
        assert_eq!(Containment::from_envelope(&containment().sign(&key)), Ok(containment()));
        assert_eq!(ContainmentAnswer::from_envelope(&answer().sign(&key)), Ok(answer()));
        assert!(Containment::from_envelope(&answer().sign(&key)).is_err());
        assert!(ContainmentAnswer::from_envelope(&containment().sign(&key)).is_err());
    }

    #[test]
    fn what_is_contained_can_be_released_and_nothing_else_follows() {
        use Answer::{Confirmed, Refused, Released};
        for (before, may) in [
            (None, vec![Confirmed, Refused]),
            (Some(Confirmed), vec![Released]),
            (Some(Refused), vec![]),
            (Some(Released), vec![]),
        ] {
            let got: Vec<_> = Answer::ALL.into_iter().filter(|a| a.may_follow(before)).collect();
            assert_eq!(got, may, "{before:?}");
        }
        assert_eq!(Answer::ALL.map(|answer| Answer::parse(answer.name())), Answer::ALL.map(Some));
    }
}
