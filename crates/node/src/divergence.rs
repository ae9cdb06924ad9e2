//! Logs of partners that have shown two histories, or may have.
//!
//! Two signed checkpoints of one size with other roots are evidence ([`twinpact_proof::evidence`]):
//! from then on nothing is accepted under that log any more, until its owner opens a successor log
//! or our operator removes the partner. Of two sizes the partner is asked for the proof that leads
//! from one to the other, and else for its own checkpoint of either size; what it does not answer
//! leaves an alert of a lower grade, which stops nothing and is settled when it does.

use crate::ask::encoded;
use crate::behind::MAX_CHECKPOINT_BYTES;
use crate::open::Node;
use crate::outbox;
use crate::processes::local;
use crate::trace;
use serde_json::Value;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::digest::from_hex;
use twinpact_proof::evidence::Fork;
use twinpact_proof::note::{Checkpoint, Note};
use twinpact_proof::tree::{MAX_PATH, consistent};
use twinpact_proof::{Json, PublicKey, sha256, to_hex};

/// The most alerts that are kept of one log; whoever has shown so many is known.
pub const MAX_ALERTS: usize = 16;
/// The most bytes of an answer about a log: a note, or the hashes of a proof.
const MAX_ANSWER_BYTES: usize = 65_536;

/// Where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was sent to us as a witness.
    Witness,
    /// Another partner has seen it.
    Gossip,
    /// It stood under a delivery.
    Delivery,
}

impl Source {
    /// The word in the log; never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::Witness => "witness",
            Source::Gossip => "gossip",
            Source::Delivery => "delivery",
        }
    }
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It turned out to be one history.
    Settled,
    /// Two checkpoints for which the partner has not shown that one continues the other.
    Unproven,
    /// Two checkpoints of one size.
    Proven,
}

impl Grade {
    /// All of them.
    pub const ALL: [Grade; 3] = [Grade::Settled, Grade::Unproven, Grade::Proven];

    /// The word in the log; never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Grade::Settled => "settled",
            Grade::Unproven => "unproven",
            Grade::Proven => "proven",
        }
    }
}

/// Two signed checkpoints of a partner's log, and what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its name: of evidence the digest of its file.
    pub id: String,
    /// Whose log it is.
    pub partner: String,
    /// The log.
    pub origin: String,
    /// What is known.
    pub grade: Grade,
    /// The two notes.
    pub notes: [String; 2],
    /// Where the second was seen.
    pub source: String,
    /// When we learned of it.
    pub recorded: Timestamp,
}

impl Alert {
    /// The evidence, when it is proven.
    #[must_use]
    pub fn evidence(&self) -> Option<Fork> {
        let [one, two] = &self.notes;
        Fork::of(one, two)
    }

    /// What our operator should know of it; nothing once it is settled.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let (who, origin, id) =
            (&self.partner, &self.origin, self.id.get(..12).unwrap_or(&self.id));
        match self.grade {
            Grade::Settled => None,
            Grade::Proven => Some(forked(who, origin)),
            Grade::Unproven => {
                let why = format!(
                    "{who} has not shown that two checkpoints of {origin} are of one history \
                     (alert {id})"
                );
                Some(Problem::new(codes::LOG_DOUBTED, why).hint("twinpact log alerts"))
            }
        }
    }
}

fn forked(who: &str, origin: &str) -> Problem {
    let why = format!(
        "{who} has signed two histories of {origin}: nothing is accepted under that log any more"
    );
    Problem::new(codes::LOG_FORKED, why).hint(
        "twinpact log evidence ALERT --out FILE; talk to the partner, who can open a successor log",
    )
}

/// All alerts, in the order in which they were learned of.
#[derive(Debug, Clone, Default)]
pub struct Divergences {
    alerts: Vec<Alert>,
}

impl Divergences {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::Divergence {
            return Ok(());
        }
        let unreadable = || Problem::new(codes::INTERNAL, "a logged alert cannot be read");
        let text = |name: &str| entry.get(name).map(str::to_owned).ok_or_else(unreadable);
        let grade = text("grade")?;
        let grade = Grade::ALL.into_iter().find(|known| known.name() == grade);
        let alert = Alert {
            id: text("alert")?,
            partner: entry.who.actor.to_string(),
            origin: text("origin")?,
            grade: grade.ok_or_else(unreadable)?,
            notes: [text("first")?, text("second")?],
            source: text("source")?,
            recorded: entry.when.recorded,
        };
        match self.alerts.iter_mut().find(|known| known.id == alert.id) {
            Some(known) => known.grade = alert.grade,
            None => self.alerts.push(alert),
        }
        Ok(())
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter()
    }

    /// The alert of that name, or of that front of it of at least eight digits.
    ///
    /// # Errors
    /// `log.alert`, also when the front fits more than one.
    pub fn get(&self, id: &str) -> Result<&Alert, Problem> {
        let mut fitting = self.iter().filter(|alert| id.len() >= 8 && alert.id.starts_with(id));
        match (fitting.next(), fitting.next()) {
            (Some(alert), None) => Ok(alert),
            _ => Err(Problem::new(codes::LOG_ALERT, format!("there is no alert {id:?}"))
                .hint("twinpact log alerts")),
        }
    }

    /// The proven alert of that log, if there is one.
    #[must_use]
    pub fn proven(&self, origin: &str) -> Option<&Alert> {
        self.iter().find(|alert| alert.origin == origin && alert.grade == Grade::Proven)
    }

    /// That something may be accepted under that log.
    ///
    /// # Errors
    /// `log.forked`.
    pub fn trusted(&self, origin: &str) -> Result<(), Problem> {
        match self.proven(origin) {
            None => Ok(()),
            Some(alert) => Err(forked(&alert.partner, origin)),
        }
    }

    fn open(&self, origin: &str) -> Option<&Alert> {
        self.iter().find(|alert| alert.origin == origin && alert.grade == Grade::Unproven)
    }
}

/// Compares two signed checkpoints of a partner's present log, the first of which we had accepted.
/// What is found is on record when this returns. That the partner's own answer is wanting is no
/// error of whoever has asked.
pub(crate) async fn compare(node: &Node, did: &str, ours: &str, theirs: &str, source: Source) {
    if let Err(problem) = compared(node, did, [ours, theirs], source).await {
        trace::warning(problem.code.name, &problem.message);
    }
}

async fn compared(node: &Node, did: &str, notes: [&str; 2], source: Source) -> Result<(), Problem> {
    let Some((keys, [ours, theirs])) = read(node, did, notes)? else { return Ok(()) };
    let [one, two] = [&ours, &theirs].map(|text| Note::parse(text).map(|note| note.checkpoint));
    let (Some(one), Some(two)) = (one, two) else { return Ok(()) };
    if one.size == two.size && one.root == two.root {
        return Ok(());
    }
    if Fork::of(&ours, &theirs).is_some() {
        return report(node, did, [ours, theirs], Grade::Proven, source).await;
    }
    if continues(node, did, &one, &two).await {
        return settle(node, did, &one.origin).await;
    }
    for (text, size) in [(&ours, one.size), (&theirs, two.size)] {
        let signed = asked_for_checkpoint(node, did, size).await;
        let signed = signed.and_then(|signed| of_log(&signed, &keys));
        if let Some(other) = signed.filter(|other| Fork::of(text, other).is_some()) {
            let notes = [text.clone(), other];
            return report(node, did, notes, Grade::Proven, source).await;
        }
    }
    report(node, did, [ours, theirs], Grade::Unproven, source).await
}

/// The keys of a log, and two notes with its own lines.
type Signed = (Vec<PublicKey>, [String; 2]);

/// The notes with the log's own lines, when both are of the partner's present log and by keys of
/// its that have not ended: whoever stole one that has accuses nobody.
fn read(node: &Node, did: &str, notes: [&str; 2]) -> Result<Option<Signed>, Problem> {
    let now = node.clocks.wall().0.micros();
    node.partition.read(|fold, _| {
        let record = &fold.partners.get(did)?.record;
        let keys = record.unended_keys(now);
        let origin = |text: &str| Note::parse(text).map(|note| note.checkpoint.origin);
        let present = notes.iter().all(|text| origin(text).as_ref() == Some(&record.origin));
        let [one, two] = notes.map(|text| of_log(text, &keys));
        let known = fold.divergences.proven(&record.origin).is_some();
        Ok(one.zip(two).filter(|_| present && !known).map(|(one, two)| (keys, [one, two])))
    })?
}

fn of_log(text: &str, keys: &[PublicKey]) -> Option<String> {
    Note::parse(text)?.of_log(keys, MAX_CHECKPOINT_BYTES / 4 * 3)
}

/// What a partner shows for one of its checkpoints continuing another.
pub(crate) async fn asked_for_proof(
    node: &Node,
    did: &str,
    old: u64,
    new: u64,
) -> Option<Vec<[u8; 32]>> {
    let path = format!("/log/consistency?old={old}&new={new}");
    let body = asked(node, did, &path).await?;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    let hashes = answer.get("hashes")?.as_array().filter(|all| all.len() <= MAX_PATH)?;
    hashes.iter().map(|hash| from_hex(hash.as_str()?)).collect()
}

async fn asked_for_checkpoint(node: &Node, did: &str, size: u64) -> Option<String> {
    let path = format!("/log/checkpoint?size={}", encoded(&size.to_string()));
    String::from_utf8(asked(node, did, &path).await?).ok()
}

/// Without showing it what we hold: a copy that is older than itself would answer no more.
async fn asked(node: &Node, did: &str, path: &str) -> Option<Vec<u8>> {
    let reply = outbox::call_plainly(node, did, path, MAX_ANSWER_BYTES).await.ok()?;
    (reply.status == 200).then_some(reply.body)
}

/// Puts an alert on record, once, and says it.
async fn report(
    node: &Node,
    did: &str,
    notes: [String; 2],
    grade: Grade,
    source: Source,
) -> Result<(), Problem> {
    let Some(origin) = Note::parse(&notes[0]).map(|note| note.checkpoint.origin) else {
        return Ok(());
    };
    let (did, id) = (did.to_owned(), id_of(&notes));
    let turn = node.partition.turn(move |turn| {
        let known = &turn.fold().divergences;
        let of_log: Vec<_> = known.iter().filter(|alert| alert.origin == origin).collect();
        let full = of_log.len() >= MAX_ALERTS && grade != Grade::Proven;
        let said = known.proven(&origin).is_some()
            || of_log.iter().any(|alert| alert.id == id && alert.grade >= grade)
            || grade == Grade::Unproven && known.open(&origin).is_some();
        if full || said {
            return Ok(());
        }
        turn.log(vec![entry(&did, &origin, &id, grade, &notes, source.name())])?;
        let alert = Alert {
            id,
            partner: did,
            origin,
            grade,
            notes,
            source: source.name().to_owned(),
            recorded: Timestamp::default(),
        };
        if let Some(problem) = alert.problem() {
            trace::warning(problem.code.name, &problem.message);
        }
        Ok(())
    });
    turn.await
}

/// The partner shows its proofs: an open alert about its log is settled when it has one for that
/// too.
async fn settle(node: &Node, did: &str, origin: &str) -> Result<(), Problem> {
    let open = node.partition.read(|fold, _| fold.divergences.open(origin).cloned())?;
    let Some(open) = open else { return Ok(()) };
    let [one, two] = open.notes.each_ref().map(|text| Note::parse(text).map(|n| n.checkpoint));
    let (Some(one), Some(two)) = (one, two) else { return Ok(()) };
    if !continues(node, did, &one, &two).await {
        return Ok(());
    }
    let entry = entry(did, origin, &open.id, Grade::Settled, &open.notes, &open.source);
    node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await
}

/// Whether the partner has the proof that the larger of two checkpoints continues the smaller.
async fn continues(node: &Node, did: &str, one: &Checkpoint, two: &Checkpoint) -> bool {
    let (small, large) = if one.size <= two.size { (one, two) } else { (two, one) };
    let hashes = asked_for_proof(node, did, small.size, large.size).await;
    hashes
        .is_some_and(|hashes| consistent(small.size, &small.root, large.size, &large.root, &hashes))
}

fn id_of(notes: &[String; 2]) -> String {
    let [one, two] = notes;
    let id = Fork::of(one, two).map_or_else(
        || {
            sha256(
                Json::texts([one.min(two), one.max(two)].map(String::clone)).canonical().as_bytes(),
            )
        },
        |fork| fork.id(),
    );
    to_hex(&id)
}

fn entry(
    did: &str,
    origin: &str,
    id: &str,
    grade: Grade,
    [first, second]: &[String; 2],
    source: &str,
) -> crate::partition::NewEntry {
    let what = [
        ("alert", id),
        ("origin", origin),
        ("grade", grade.name()),
        ("first", first),
        ("second", second),
        ("source", source),
    ];
    local(
        Kind::Divergence,
        did,
        what.map(|(name, text)| Attribute::new(name, "text", text)).to_vec(),
    )
}
