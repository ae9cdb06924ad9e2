//! Our witnesses: partners, and witnesses of the world (C2SP tlog-witness), that cosign our
//! checkpoints.
//!
//! After a tick each is sent the newest checkpoint, one request at a time and at most one a second;
//! what was made meanwhile is skipped. Its cosignature is verified and kept, and bundles carry it.
//! Nothing waits for a witness: one that is late, gone, or lies is a warning, and the rest goes on.

use crate::behind;
use crate::config::ForeignWitness;
use crate::fold::Fold;
use crate::log_door::{ADD_CHECKPOINT_PATH, COSIGNED_PATH, WITNESS_KEY_PATH};
use crate::open::Node;
use crate::organisation;
use crate::outbound::{FirstCall, Reply};
use crate::outbox;
use crate::processes::local;
use crate::trace;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::{Code, Problem};
use twinpact_model::{Timestamp, WallTime, codes};
use twinpact_proof::note::{MAX_NOTE_BYTES, Note};
use twinpact_proof::witness::Request;
use twinpact_proof::witness_record::WitnessRecord;
use twinpact_proof::{Envelope, Json, PublicKey, text64};

/// How long a checkpoint may wait for a witness before that is said, in seconds.
pub const LATE_SECONDS: i64 = 60;
/// Of how many sizes cosignatures are kept at hand for bundles.
const KEPT_SIZES: usize = 64;
/// The least time between two requests to one witness.
const GAP: Duration = Duration::from_secs(1);
/// How long to rest after a first failure, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// The most characters of an answer that are kept as evidence.
const MAX_KEPT: usize = 4_096;

/// What a witness has cosigned last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The log of ours.
    pub origin: String,
    /// The size of the checkpoint.
    pub size: u64,
    /// When, by the witness, in seconds since 1970.
    pub time: u64,
    /// The line.
    pub line: String,
    /// When we recorded it.
    pub recorded: Timestamp,
}

/// What witnesses have cosigned for us.
#[derive(Debug, Clone, Default)]
pub struct Cosignatures {
    /// The last one of each, by the name of its key.
    last: BTreeMap<String, Cosignature>,
    /// Those of the last sizes that were cosigned: log, size, witness and line.
    recent: VecDeque<(String, u64, BTreeMap<String, String>)>,
}

impl Cosignatures {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::Cosignature {
            return Ok(());
        }
        let unreadable = || Problem::new(codes::INTERNAL, "a logged cosignature cannot be read");
        let text = |name: &str| entry.get(name).ok_or_else(unreadable);
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| unreadable());
        let (origin, line) = (text("origin")?.to_owned(), text("line")?.to_owned());
        let (size, time) = (number("size")?, number("time")?);
        let witness = text("witness")?.to_owned();
        let place = self.recent.iter().position(|(o, s, _)| (o, *s) == (&origin, size));
        match place.and_then(|at| self.recent.get_mut(at)) {
            Some((_, _, lines)) => {
                lines.insert(witness.clone(), line.clone());
            }
            None => {
                let lines = BTreeMap::from([(witness.clone(), line.clone())]);
                self.recent.push_back((origin.clone(), size, lines));
            }
        }
        if self.recent.len() > KEPT_SIZES {
            self.recent.pop_front();
        }
        let recorded = entry.when.recorded;
        self.last.insert(witness, Cosignature { origin, size, time, line, recorded });
        Ok(())
    }

    /// What that witness has cosigned last of that log.
    #[must_use]
    pub fn last(&self, witness: &str, origin: &str) -> Option<&Cosignature> {
        self.last.get(witness).filter(|last| last.origin == origin)
    }

    /// The size from that one on that most witnesses have cosigned, of these the newest.
    #[must_use]
    pub fn best(&self, origin: &str, from: u64) -> Option<u64> {
        let fitting = self.recent.iter().filter(|(of, size, _)| of == origin && *size >= from);
        fitting.max_by_key(|(_, size, lines)| (lines.len(), *size)).map(|(_, size, _)| *size)
    }

    /// The lines under the checkpoint of that size.
    pub fn lines(&self, origin: &str, size: u64) -> impl Iterator<Item = &str> {
        let found = self.recent.iter().find(move |(of, n, _)| of == origin && *n == size);
        found.into_iter().flat_map(|(_, _, lines)| lines.values().map(String::as_str))
    }
}

/// A witness of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// A partner, by its DID.
    Partner(String),
    /// One of the world.
    Foreign(ForeignWitness),
}

impl Witness {
    /// All that are configured.
    #[must_use]
    pub fn all(node: &Node) -> Vec<Witness> {
        let configured = &node.config.witnesses;
        let partners = configured.partners.iter().map(|did| Witness::Partner(did.to_string()));
        partners.chain(configured.foreign.iter().cloned().map(Witness::Foreign)).collect()
    }

    /// What it is called: a DID, or the name of its key.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Witness::Partner(did) => did,
            Witness::Foreign(foreign) => &foreign.key.name,
        }
    }
}

/// How it stands with our witnesses since the start.
#[derive(Debug, Default)]
pub struct Witnesses(Mutex<BTreeMap<String, Standing>>);

/// How it stands with one.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// Name and key; of a partner as it said last.
    key: Option<(String, PublicKey)>,
    /// Why the last request brought no cosignature.
    failed: Option<(Code, String)>,
}

impl Witnesses {
    fn with<T>(&self, witness: &str, change: impl FnOnce(&mut Standing) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(witness.to_owned()).or_default())
    }
}

/// How far a witness is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// A DID, or the name of its key.
    pub witness: String,
    /// The name of its key, once it is known.
    pub name: Option<String>,
    /// What it has cosigned last of our present log.
    pub last: Option<Cosignature>,
    /// How many ticks it has not cosigned.
    pub ticks: u64,
    /// For how long the first of them has waited, in seconds.
    pub seconds: i64,
    /// Why its last answer was no cosignature.
    pub failed: Option<(Code, String)>,
}

impl Lag {
    /// What our operator should know of it.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let told = self.failed.as_ref().map_or(String::new(), |(_, why)| format!(": {why}"));
        if let Some((code, why)) = &self.failed
            && [codes::WITNESS_FALSE, codes::ANCHOR_CLAIMED].contains(code)
        {
            return Some(Problem::new(*code, format!("the witness {}: {why}", self.witness)));
        }
        let late = self.ticks > 0 && self.seconds >= LATE_SECONDS;
        late.then(|| {
            let (who, ticks, seconds) = (&self.witness, self.ticks, self.seconds);
            let why = format!("{who} has not cosigned {ticks} ticks, for {seconds} s{told}");
            Problem::new(codes::WITNESS_LATE, why)
        })
    }
}

/// How far each of our witnesses is.
///
/// # Errors
/// `store.stopped`.
pub fn lags(node: &Node, now: WallTime) -> Result<Vec<Lag>, Problem> {
    let of = |fold: &Fold, forest: &twinpact_store::Forest, witness: &Witness| {
        let Standing { key, failed } = node.witnesses.with(witness.name(), |known| known.clone());
        let origin = organisation::origin(&node.config.organisation, forest)?;
        let name = key.map(|(name, _)| name).or_else(|| named(fold, witness, &origin));
        let last = name.as_ref().and_then(|name| fold.cosignatures.last(name, &origin)).cloned();
        let size = last.as_ref().map_or(0, |last| last.size);
        let waits = forest.time_of(size).map_or(0, |time| i64::try_from(time).unwrap_or(i64::MAX));
        let seconds = if waits == 0 { 0 } else { (now.0.micros() - waits) / 1_000_000 };
        let ticks = forest.ticks().saturating_sub(size);
        let witness = witness.name().to_owned();
        Ok::<_, Problem>(Lag { witness, name, last, ticks, seconds: seconds.max(0), failed })
    };
    node.partition.read(|fold, store| {
        Witness::all(node).iter().map(|witness| of(fold, store.forest(), witness)).collect()
    })?
}

/// The name of a witness's key as far as it can be known without asking it.
fn named(fold: &Fold, witness: &Witness, origin: &str) -> Option<String> {
    match witness {
        Witness::Foreign(foreign) => Some(foreign.key.name.clone()),
        Witness::Partner(did) => {
            let record = &fold.partners.get(did).ok()?.record;
            let host = record.origin.split_once("/twinpact/").map(|(host, _)| host)?;
            let front = format!("{host}/witness/");
            let of_it = fold
                .cosignatures
                .last
                .iter()
                .filter(|(name, last)| name.starts_with(&front) && last.origin == origin);
            of_it.max_by_key(|(_, last)| last.size).map(|(name, _)| name.clone())
        }
    }
}

/// Has every new checkpoint cosigned, until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut lanes = JoinSet::new();
    for witness in Witness::all(&node) {
        lanes.spawn(lane(node.clone(), witness));
    }
    // A lane that ends has lost its log.
    let _ = stop.wait_for(|stop| *stop).await;
    lanes.shutdown().await;
}

/// One witness: one request at a time.
async fn lane(node: Node, witness: Witness) {
    let mut changes = node.partition.changes();
    let mut rest = REST.0;
    loop {
        changes.borrow_and_update();
        match due(&node, &witness) {
            false if changes.changed().await.is_err() => return,
            false => {}
            true => match cosigned(&node, &witness).await {
                Ok(()) => {
                    rest = REST.0;
                    tokio::time::sleep(GAP).await;
                }
                Err(problem) => {
                    failed(&node, &witness, &problem);
                    tokio::time::sleep(rest).await;
                    rest = (rest * 2).min(REST.1);
                }
            },
        }
    }
}

/// Whether there is a checkpoint that the witness has not cosigned.
fn due(node: &Node, witness: &Witness) -> bool {
    let key = node.witnesses.with(witness.name(), |known| known.key.clone());
    let read = node.partition.read(|fold, store| {
        let forest = store.forest();
        let origin = organisation::origin(&node.config.organisation, forest).ok()?;
        let name = key.map(|(name, _)| name).or_else(|| named(fold, witness, &origin));
        let last = name.and_then(|name| fold.cosignatures.last(&name, &origin)).map(|l| l.size);
        let signs = fold.behind.check(forest).is_ok();
        Some(signs && forest.ticks() > last.unwrap_or(0))
    });
    read.ok().flatten().unwrap_or(false)
}

fn failed(node: &Node, witness: &Witness, problem: &Problem) {
    let why = (problem.code, problem.message.clone());
    let new = node.witnesses.with(witness.name(), |known| {
        known.failed.replace(why).is_none_or(|(code, _)| code != problem.code)
    });
    if new {
        trace::warning(problem.code.name, &format!("{}: {}", witness.name(), problem.message));
    }
}

/// Sends the newest checkpoint, and keeps the cosignature.
async fn cosigned(node: &Node, witness: &Witness) -> Result<(), Problem> {
    let (name, key) = key_of(node, witness).await?;
    let read = |old: Option<u64>| {
        let name = name.clone();
        node.partition.read(move |fold, store| request(node, fold, store.forest(), &name, old))
    };
    let mut asked = read(None)??;
    let mut reply = send(node, witness, &asked).await?;
    if reply.status == 409 {
        // It has cosigned another size last, and says which.
        let answer = text_of(&reply);
        let Ok(size) = answer.trim_end().parse::<u64>() else {
            let problem = refused("it does not say which size it has cosigned");
            return Err(kept(node, witness, problem, &asked, &answer).await);
        };
        asked = match read(Some(size))? {
            Ok(request) => request,
            Err(_) => {
                let problem = ahead(node, witness, size).await;
                return Err(kept(node, witness, problem, &asked, &answer).await);
            }
        };
        reply = send(node, witness, &asked).await?;
    }
    let answer = text_of(&reply);
    if reply.status != 200 {
        let problem = refused(&format!("it answered with status {}", reply.status));
        return Err(kept(node, witness, problem, &asked, &answer).await);
    }
    let note = Note::parse(&format!("{}{answer}", asked.note));
    let found = note.as_ref().and_then(|note| {
        let mut lines = note.signatures.iter();
        lines.find_map(|line| note.cosigned_by(line, &name, &key)).map(|time| (note, time))
    });
    let Some((note, time)) = found else {
        let why = "what it sent as its cosignature does not hold by its key";
        node.witnesses.with(witness.name(), |known| known.key = None);
        let problem = Problem::new(codes::WITNESS_FALSE, why);
        return Err(kept(node, witness, problem, &asked, &answer).await);
    };
    let entry = entry(witness, &name, note, time, &answer);
    // Before the commit that wakes whoever looks.
    node.witnesses.with(witness.name(), |known| known.failed = None);
    node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await
}

/// The newest checkpoint with the proof that it continues what the witness has cosigned last, or
/// what it says that it has.
fn request(
    node: &Node,
    fold: &Fold,
    forest: &twinpact_store::Forest,
    name: &str,
    old: Option<u64>,
) -> Result<Request, Problem> {
    fold.behind.check(forest)?;
    let origin = organisation::origin(&node.config.organisation, forest)?;
    let last = fold.cosignatures.last(name, &origin).map_or(0, |last| last.size);
    let (old, size) = (old.unwrap_or(last), forest.ticks());
    let none = || Problem::new(codes::LOG_SIZE, format!("our log has no checkpoint of size {old}"));
    let proof = forest.anchor_consistency(old, size).ok_or_else(none)?;
    let tick = size.checked_sub(1).ok_or_else(none)?;
    let checkpoint = forest.checkpoint(&origin, tick).ok_or_else(none)?;
    Ok(Request { old, proof, note: checkpoint.sign(node.signer().key()) })
}

async fn send(node: &Node, witness: &Witness, asked: &Request) -> Result<Reply, Problem> {
    let body = asked.text().into_bytes();
    match witness {
        Witness::Partner(did) => {
            let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
            let url = format!("{}{ADD_CHECKPOINT_PATH}", base(node, did)?);
            outbox::call(node, did, "POST", url, headers, body, MAX_NOTE_BYTES).await
        }
        Witness::Foreign(foreign) => {
            let base = foreign.url.clone();
            let url = format!("{base}/add-checkpoint");
            // Any server will do: what it answers proves itself by the witness's key.
            let (root, max_bytes) = (None, MAX_NOTE_BYTES);
            let call = FirstCall { root, base, method: "POST", url, body, max_bytes };
            let none = || Problem::new(codes::INTERNAL, "the node has no way out");
            node.outbound.get().cloned().ok_or_else(none)?.first(call).await
        }
    }
}

fn base(node: &Node, did: &str) -> Result<String, Problem> {
    node.partition.read(|fold, _| fold.partners.get(did).map(|partner| outbox::base(partner)))?
}

/// Name and key of the witness; a partner is asked for its statement.
async fn key_of(node: &Node, witness: &Witness) -> Result<(String, PublicKey), Problem> {
    let did = match witness {
        Witness::Foreign(foreign) => return Ok((foreign.key.name.clone(), foreign.key.key)),
        Witness::Partner(did) => did,
    };
    if let Some(known) = node.witnesses.with(did, |known| known.key.clone()) {
        return Ok(known);
    }
    let reply = outbox::call_plainly(node, did, WITNESS_KEY_PATH, MAX_NOTE_BYTES).await?;
    let envelope = Json::parse(&reply.body).ok().and_then(|json| Envelope::from_json(&json));
    let said = envelope
        .and_then(|envelope| Some((WitnessRecord::from_envelope(&envelope).ok()?, envelope)));
    let (said, envelope) = said.filter(|(said, _)| said.did == *did).ok_or_else(|| {
        refused(&format!("asked for its key, it answered with status {}", reply.status))
    })?;
    let now = node.clocks.wall().0.micros();
    let keys = node
        .partition
        .read(|fold, _| fold.partners.get(did).map(|partner| partner.record.unended_keys(now)))??;
    if !keys.iter().any(|key| envelope.signed_by(key)) {
        return Err(refused("the statement of its witness key is signed by no key of its record"));
    }
    let key = (said.name, said.key);
    node.witnesses.with(did, |known| known.key = Some(key.clone()));
    Ok(key)
}

/// A witness that has cosigned more than we have. A partner shows the note: if we signed it, we are
/// an older copy of ourselves.
async fn ahead(node: &Node, witness: &Witness, size: u64) -> Problem {
    if let Witness::Partner(did) = witness
        && let Ok(reply) = outbox::call_plainly(node, did, COSIGNED_PATH, MAX_NOTE_BYTES).await
        && reply.status == 200
        && let Err(problem) = behind::heed(node, did, &text64::encode(&reply.body), None).await
    {
        return problem;
    }
    let why = format!("it says that it has cosigned size {size} of our log, which is shorter");
    Problem::new(codes::ANCHOR_CLAIMED, why)
}

/// Puts what a witness answered on record, once until it cosigns again or answers otherwise.
async fn kept(
    node: &Node,
    witness: &Witness,
    problem: Problem,
    asked: &Request,
    answer: &str,
) -> Problem {
    let same =
        |known: &mut Standing| known.failed.as_ref().is_some_and(|(code, _)| *code == problem.code);
    if !node.witnesses.with(witness.name(), same) {
        // Before the commit that wakes whoever looks.
        failed(node, witness, &problem);
        let answer: String = answer.chars().take(MAX_KEPT).collect();
        let what = vec![
            Attribute::new("code", "text", problem.code.name),
            Attribute::new("checkpoint", "text", asked.note.as_str()),
            Attribute::new("answer", "text", answer),
        ];
        let entry = local(Kind::WitnessRefused, witness.name(), what);
        // A log that has stopped says so itself.
        let _ = node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await;
    }
    problem
}

fn entry(
    witness: &Witness,
    name: &str,
    note: &Note,
    time: u64,
    lines: &str,
) -> crate::partition::NewEntry {
    let front = format!("— {name} ");
    let line = lines.split_inclusive('\n').find(|line| line.starts_with(&front));
    let checkpoint = &note.checkpoint;
    let what = vec![
        Attribute::new("witness", "text", name),
        Attribute::new("origin", "text", checkpoint.origin.as_str()),
        Attribute::new("size", "integer", checkpoint.size.to_string()),
        Attribute::new("time", "integer", time.to_string()),
        Attribute::new("line", "text", line.unwrap_or_default()),
    ];
    local(Kind::Cosignature, witness.name(), what)
}

fn text_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn refused(why: &str) -> Problem {
    Problem::new(codes::WITNESS_REFUSED, why)
}
