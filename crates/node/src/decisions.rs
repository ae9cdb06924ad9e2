//! Decisions on record, each signed, and how often each was used.
//!
//! One record per question (the request without times) and epoch as long as its answer holds; then
//! a small `Used` entry for each read.

use crate::api::DecisionLine;
use crate::as_of::{begun, known};
use crate::open::Node;
use crate::partition::NewEntry;
use crate::prove;
use std::collections::{BTreeMap, VecDeque};
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{PolicyTime, Timestamp, WallTime, codes};
use twinpact_policy::{AgreementFacts, Decision, MAX_ASSERTION_S, MAX_SKEW_S};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::Decision as Document;
use twinpact_proof::{Bundle, Digest, Envelope, Json, Level, to_hex};
use twinpact_store::Store;
use twinpact_store::forest::{DECISIONS, Forest};

/// The most decisions or receipts of one list.
pub const MAX_LIST: usize = 1_000;
/// Of how many decisions the signed record is kept in memory.
const MAX_IN_MEMORY: usize = 10_000;

/// A decision on record.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// SHA-256 over the signed payload.
    pub id: Digest,
    /// The signed record of the last [`MAX_IN_MEMORY`] decisions; those of older ones are read from
    /// the log.
    envelope: Option<Envelope>,
    /// Its index in the tree of decisions.
    pub index: u64,
    recorded: Timestamp,
    caller: String,
    agreement: String,
    code: String,
    /// The sentence of its record.
    pub sentence: String,
    input: String,
    epoch: u64,
    valid_until: Option<PolicyTime>,
    from: PolicyTime,
    /// When each request met it, in that order.
    used: Vec<Timestamp>,
}

/// Decisions by the hex of their identity.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    by_id: BTreeMap<String, Recorded>,
    /// Their identities, the oldest first.
    in_order: Vec<Digest>,
    /// The last decision on each question.
    by_input: BTreeMap<String, String>,
    /// Those whose signed record is in memory, the oldest first.
    in_memory: VecDeque<String>,
    /// Assertions that were used, with when, as long as any could still be good.
    assertions: BTreeMap<Digest, i64>,
    /// The same by time.
    by_time: VecDeque<(i64, Digest)>,
}

impl Decisions {
    /// Takes an entry of the tree of decisions into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::Decision => {
                let mut recorded = read(entry, index).ok_or_else(unreadable)?;
                let id = to_hex(&recorded.id);
                self.by_input.insert(recorded.input.clone(), id.clone());
                match self.by_id.remove(&id) {
                    // The same record again is the same decision, known since the first time.
                    Some(before) => {
                        (recorded.recorded, recorded.used) = (before.recorded, before.used);
                    }
                    None => self.in_order.push(recorded.id),
                }
                self.by_id.insert(id.clone(), recorded);
                self.in_memory.push_back(id);
                if self.in_memory.len() > MAX_IN_MEMORY
                    && let Some(oldest) = self.in_memory.pop_front()
                    && let Some(oldest) = self.by_id.get_mut(&oldest)
                {
                    oldest.envelope = None;
                }
            }
            Kind::Used => {
                let id = entry.get("decision").ok_or_else(unreadable)?;
                let met = &mut self.by_id.get_mut(id).ok_or_else(unreadable)?.used;
                met.push(entry.when.recorded);
                if let Some(digest) = entry.get("assertion").and_then(from_hex) {
                    self.asserted(digest, entry.when.recorded);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn asserted(&mut self, digest: Digest, recorded: Timestamp) {
        let now = recorded.micros();
        self.assertions.insert(digest, now);
        self.by_time.push_back((now, digest));
        let kept = (MAX_ASSERTION_S + MAX_SKEW_S + 1) * 1_000_000;
        while let Some((time, oldest)) = self.by_time.front().copied()
            && time < now - kept
        {
            self.by_time.pop_front();
            self.assertions.remove(&oldest);
        }
    }

    /// Whether an assertion of this digest was used before. The log says so: a restart forgets
    /// none.
    #[must_use]
    pub fn was_asserted(&self, digest: &Digest) -> bool {
        self.assertions.contains_key(digest)
    }

    /// The decision of that identity or unique front of it.
    ///
    /// # Errors
    /// `decision.unknown`.
    pub fn get(&self, id: &str) -> Result<&Recorded, Problem> {
        let mut found = self.by_id.range(id.to_owned()..).take_while(|(k, _)| k.starts_with(id));
        match (found.next(), found.next(), id.len()) {
            (Some((_, one)), None, 8..) => Ok(one),
            _ => Err(Problem::new(codes::DECISION_UNKNOWN, format!("there is no decision {id:?}"))),
        }
    }

    /// The agreement and the code of the decision of that identity.
    #[must_use]
    pub fn outcome(&self, id: &str) -> Option<(&str, &str)> {
        self.by_id.get(id).map(|known| (known.agreement.as_str(), known.code.as_str()))
    }

    /// The identity of the one that was recorded last.
    #[must_use]
    pub fn newest(&self) -> Option<String> {
        self.in_order.last().map(|id| to_hex(id))
    }

    /// Those that were recorded last, as they were known at a time or are now. What is not shown
    /// is not looked at.
    fn latest(&self, limit: usize, as_of: Option<Timestamp>) -> Vec<DecisionLine> {
        let known_by =
            |id: &Digest| self.by_id.get(&to_hex(id)).filter(|d| known(d.recorded, as_of));
        let end = self.in_order.partition_point(|id| known_by(id).is_some());
        let latest = self.in_order.iter().take(end).rev().take(limit);
        latest.filter_map(known_by).map(|decision| line(decision, as_of)).collect()
    }

    /// The recorded decision that answers the same question now, with the same outcome, and its
    /// signed record.
    #[must_use]
    pub fn standing(
        &self,
        decision: &Decision,
        epoch: u64,
        now: PolicyTime,
    ) -> Option<(&Recorded, &Envelope)> {
        let known = self.by_id.get(self.by_input.get(&to_hex(&decision.input_digest))?)?;
        let holds = known.code == decision.code_name()
            && known.epoch == epoch
            && known.from <= now
            && known.valid_until.is_none_or(|until| now < until);
        // One that is so old that only the log has it is decided and recorded anew.
        known.envelope.as_ref().filter(|_| holds).map(|envelope| (known, envelope))
    }
}

impl Recorded {
    /// The signed record.
    ///
    /// # Errors
    /// `store.*` when it cannot be read back from the log.
    pub fn envelope(&self, store: &Store) -> Result<Envelope, Problem> {
        match &self.envelope {
            Some(envelope) => Ok(envelope.clone()),
            None => signed(&store.entry(DECISIONS, self.index)?.entry).ok_or_else(unreadable),
        }
    }
}

fn signed(entry: &Entry) -> Option<Envelope> {
    Envelope::from_json(&Json::parse(entry.get("record")?.as_bytes()).ok()?)
}

/// The signed record of a decision and the entry that logs it.
///
/// # Errors
/// `internal` when the log has no tree of decisions.
pub fn record(
    node: &Node,
    forest: &Forest,
    facts: &AgreementFacts,
    caller: &str,
    decision: &Decision,
    (now, wall): (PolicyTime, WallTime),
) -> Result<(Digest, Envelope, NewEntry), Problem> {
    let tree = forest.id(DECISIONS).ok_or_else(unreadable)?;
    let clock = if node.clocks.is_driven() { "driven" } else { "system" };
    let core = Json::object([("clock", Json::text(clock)), ("record", decision.to_json())]);
    let document = Document {
        issuer: facts.assigner.to_string(),
        audience: facts.assignee.to_string(),
        agreement: from_hex(&facts.id).unwrap_or_default(),
        tree,
        core,
    };
    let envelope = document.sign(node.signer().key());
    let id = envelope.fingerprint();
    let time = |t: Option<Timestamp>| t.map_or(String::new(), |t| t.to_string());
    let what = vec![
        Attribute::new("decision", "text", to_hex(&id)),
        Attribute::new("agreement", "text", &facts.id),
        Attribute::new("code", "text", decision.code_name()),
        Attribute::new("sentence", "text", &decision.sentence),
        Attribute::new("input", "text", to_hex(&decision.input_digest)),
        Attribute::new("epoch", "integer", facts.epoch.to_string()),
        Attribute::new("from", "text", now.0.to_string()),
        Attribute::new("until", "text", time(decision.valid_until.map(|t| t.0))),
        Attribute::new("wall", "text", wall.0.to_string()),
        Attribute::new("clock", "text", clock),
        Attribute::new("record", "json", envelope.to_json().canonical()),
    ];
    Ok((id, envelope, NewEntry::of(DECISIONS, entry(Kind::Decision, caller, what))))
}

/// Who met which decision, and what it asserted.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The organisation that asked.
    pub caller: &'a str,
    /// The decision.
    pub decision: Digest,
    /// SHA-256 of the signed assertion, when there was one that counts.
    pub assertion: Option<Digest>,
}

/// That a request met a decision: so many records and bytes went out, none after a denial.
#[must_use]
pub fn used(reader: &Reader<'_>, records: usize, bytes: u64) -> NewEntry {
    let mut what = vec![
        Attribute::new("decision", "text", to_hex(&reader.decision)),
        Attribute::new("records", "integer", records.to_string()),
        Attribute::new("bytes", "integer", bytes.to_string()),
    ];
    what.extend(reader.assertion.map(|a| Attribute::new("assertion", "text", to_hex(&a))));
    NewEntry::of(DECISIONS, entry(Kind::Used, reader.caller, what))
}

/// The decisions that were known at a time or are now, latest first, at most `limit`.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn list(
    node: &Node,
    limit: usize,
    as_of: Option<Timestamp>,
) -> Result<Vec<DecisionLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        Ok(fold.decisions.latest(limit.min(MAX_LIST), as_of))
    })?
}

/// One decision with its signed record, as it was known at a time or is now.
///
/// # Errors
/// `decision.unknown`, also when it was recorded later; `asof.early`, `store.*`.
pub fn show(
    node: &Node,
    id: &str,
    as_of: Option<Timestamp>,
) -> Result<(DecisionLine, Envelope), Problem> {
    node.partition.read(|fold, store| {
        begun(fold, as_of)?;
        let decision = fold.decisions.get(id)?;
        match as_of {
            Some(time) if !known(decision.recorded, as_of) => {
                let why = format!("there was no decision {id:?} by {time}");
                Err(Problem::new(codes::DECISION_UNKNOWN, why)
                    .hint("list those of then with: twinpact decision list --as-of TIME"))
            }
            _ => Ok((line(decision, as_of), decision.envelope(store)?)),
        }
    })?
}

/// The bundle of a decision: who asked, when it was recorded, and its signed record.
///
/// # Errors
/// `decision.unknown`; `anchor.behind`; `store.*`.
pub async fn export(node: &Node, id: &str) -> Result<Bundle, Problem> {
    let index =
        node.partition.read(|fold, _| fold.decisions.get(id).map(|known| known.index))??;
    prove::fact_of(node, DECISIONS, index, &[]).await
}

fn line(decision: &Recorded, as_of: Option<Timestamp>) -> DecisionLine {
    DecisionLine {
        id: to_hex(&decision.id),
        recorded: decision.recorded,
        caller: decision.caller.clone(),
        agreement: decision.agreement.clone(),
        from: decision.from.0,
        code: decision.code.clone(),
        sentence: decision.sentence.clone(),
        used: decision.used.partition_point(|met| known(*met, as_of)) as u64,
        level: Level::Signed.name().to_owned(),
    }
}

fn entry(kind: Kind, actor: &str, what: Vec<Attribute>) -> Entry {
    let who = Who::no_twin(kind, actor);
    Entry { who, when: When::default(), why: Why::default(), what }
}

fn read(entry: &Entry, index: u64) -> Option<Recorded> {
    let text = |name: &str| entry.get(name).map(str::to_owned);
    let time = |name: &str| match entry.get(name)? {
        "" => Some(None),
        text => Timestamp::parse(text).ok().map(|t| Some(PolicyTime(t))),
    };
    let envelope = signed(entry)?;
    Some(Recorded {
        id: envelope.fingerprint(),
        envelope: Some(envelope),
        index,
        recorded: entry.when.recorded,
        caller: entry.who.actor.to_string(),
        agreement: text("agreement")?,
        code: text("code")?,
        sentence: text("sentence")?,
        input: text("input")?,
        epoch: entry.get("epoch")?.parse().ok()?,
        valid_until: time("until")?,
        from: time("from")??,
        used: Vec::new(),
    })
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged decision cannot be read")
}

#[cfg(test)]
mod tests {
    use super::{Decisions, MAX_IN_MEMORY, entry};
    use twinpact_model::Timestamp;
    use twinpact_model::entry::{Attribute, Entry, Kind};
    use twinpact_policy::{MAX_ASSERTION_S, MAX_SKEW_S};
    use twinpact_proof::keys::SecretKey;
    use twinpact_proof::{Envelope, Json, to_hex};

    fn decided(number: i64, key: &SecretKey) -> Entry {
        let record = Envelope::sign("x", &Json::object([("n", Json::Int(number))]), key);
        let texts = [
            ("agreement", "a".to_owned()),
            ("code", "policy.permit".to_owned()),
            ("sentence", "s".to_owned()),
            ("input", number.to_string()),
            ("epoch", "0".to_owned()),
            ("from", "2015-07-27T08:00:00Z".to_owned()),
            ("until", String::new()),
            ("record", record.to_json().canonical()),
        ];
        let what = texts.map(|(name, text)| Attribute::new(name, "text", text)).to_vec();
        entry(Kind::Decision, "did:web:a.example", what)
    }

    #[test]
    fn records_of_old_decisions_leave_memory() {
        let key = SecretKey::new(&[7; 32]);
        let mut decisions = Decisions::default();
        for number in 0..=MAX_IN_MEMORY as i64 {
            decisions.apply(&decided(number, &key), number.unsigned_abs()).unwrap();
        }
        let kept = |number: usize| {
            let known = decisions.by_id.values().find(|one| one.index == number as u64).unwrap();
            known.envelope.is_some()
        };
        assert_eq!([kept(0), kept(1), kept(MAX_IN_MEMORY)], [false, true, true]);
        assert_eq!(decisions.by_id.len(), MAX_IN_MEMORY + 1);
    }

    #[test]
    fn an_assertion_is_remembered_as_long_as_it_could_be_good() {
        let key = SecretKey::new(&[7; 32]);
        let mut decisions = Decisions::default();
        decisions.apply(&decided(0, &key), 0).unwrap();
        let id = decisions.by_id.keys().next().unwrap().clone();
        let mut used = |digest: [u8; 32], second: i64| {
            let what = vec![
                Attribute::new("decision", "text", &id),
                Attribute::new("assertion", "text", to_hex(&digest)),
            ];
            let mut entry = entry(Kind::Used, "did:web:a.example", what);
            entry.when.recorded = Timestamp::from_seconds(second);
            decisions.apply(&entry, 1).unwrap();
            [1, 2, 3].map(|n| decisions.was_asserted(&[n; 32]))
        };
        let longest = MAX_ASSERTION_S + MAX_SKEW_S;
        assert_eq!(used([1; 32], 0), [true, false, false]);
        assert_eq!(used([2; 32], longest), [true, true, false]);
        assert_eq!(used([3; 32], longest + 2), [false, true, true]);
    }
}
