//! Invitations of ours: made, taken once, withdrawn, forgotten.
//!
//! Kept of an invitation is the public half of the key that its secret makes, for whom it is, and
//! until when. Who joins signs both records' fingerprints with that key and with its own, so the
//! secret never travels, and nobody can join in the name of another or for another record of ours.
//! The pin and the use of the invitation are one frame; joining again with the same record is
//! answered alike, since the first answer may have been lost. So is a record that has moved on
//! since, which is pinned as any newer record of a partner is.

use crate::api::{InvitationLine, Invite, Invited};
use crate::as_of::begun;
use crate::egress::{Egress, PublicDoc};
use crate::fold::Fold;
use crate::ids;
use crate::invitation::Invitation;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::partners;
use crate::processes::local;
use crate::strangers::Away;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime, codes};
use twinpact_proof::digest::from_hex;
use twinpact_proof::{Envelope, Json, PublicKey, Record, to_hex};

/// The payload type of the document by which an organisation joins.
pub(crate) const JOIN_TYPE: &str = "application/vnd.twinpact.join+json";
/// The form of what is signed in it.
pub(crate) const JOIN_FORM: &str = "twinpact-join/1";
/// What helps against an invitation that is over.
const ASK_ANEW: &str = "ask for a new one";
/// How long an invitation is good when nothing is said, in seconds: one hour.
pub const VALID_SECONDS: i64 = 3_600;
/// How long an invitation may be good, in seconds: seven days.
pub const MAX_VALID_SECONDS: i64 = 7 * 86_400;
/// The most invitations that are open at a time.
pub const MAX_INVITATIONS: usize = 32;
/// The most invitations that are known, those that are over included; the oldest is forgotten.
pub const MAX_KNOWN_INVITATIONS: usize = 1_000;
/// The longest name on an invitation, in bytes.
pub const MAX_LABEL_BYTES: usize = 200;
/// The most bytes of a request to join.
pub const MAX_JOIN_BYTES: usize = 65_536;

/// What became of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    Used { did: String },
    Withdrawn,
}

#[derive(Debug, Clone)]
struct Known {
    key: PublicKey,
    /// [`PublicKey::id`] of the key, made once.
    id: String,
    name: String,
    expires: WallTime,
    made: Timestamp,
    state: State,
    /// When it was used or withdrawn.
    over: Option<Timestamp>,
}

impl Known {
    fn is_open(&self, now: WallTime) -> bool {
        self.state == State::Open && now < self.expires
    }

    /// As it was at a time; `None` when it was made later.
    fn by(&self, time: Timestamp) -> Option<Known> {
        let then = self.clone();
        match self.over {
            _ if self.made > time => None,
            Some(over) if over > time => Some(Known { state: State::Open, over: None, ..then }),
            _ => Some(then),
        }
    }
}

/// Invitations.
#[derive(Debug, Clone, Default)]
pub struct Invitations {
    /// Oldest first.
    known: Vec<Known>,
    /// When one was forgotten last.
    forgotten: Option<Timestamp>,
}

impl Invitations {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when a logged invitation cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::Invitation => self
                .take(entry)
                .ok_or_else(|| Problem::new(codes::INTERNAL, "a logged invitation cannot be read")),
            _ => Ok(()),
        }
    }

    fn take(&mut self, entry: &Entry) -> Option<()> {
        let key = PublicKey::new(from_hex(entry.get("key")?)?);
        if let Some(expires) = entry.get("expires") {
            let (name, state) = (entry.get("name")?.to_owned(), State::Open);
            let expires = WallTime(Timestamp::parse(expires).ok()?);
            let (id, made) = (key.id(), entry.when.recorded);
            self.known.push(Known { key, id, name, expires, made, state, over: None });
            if self.known.len() > MAX_KNOWN_INVITATIONS {
                self.known.remove(0);
                self.forgotten = Some(made);
            }
            return Some(());
        }
        let state = match entry.get("by") {
            Some(did) => State::Used { did: did.to_owned() },
            None => State::Withdrawn,
        };
        // Withdrawn again it stays withdrawn since the first time.
        let mut open = self.known.iter_mut().filter(|known| known.state == State::Open);
        if let Some(known) = open.find(|known| known.key == key) {
            (known.state, known.over) = (state, Some(entry.when.recorded));
        }
        Some(())
    }

    /// Those that had been made by a time, as they were then.
    fn by(&self, time: Timestamp, now: WallTime) -> Result<Vec<InvitationLine>, Problem> {
        if let Some(last) = self.forgotten.filter(|last| *last > time) {
            let why = format!("an invitation that was known at {time} has been forgotten since");
            let hint = format!("ask for {last} or later");
            return Err(Problem::new(codes::ASOF_FORGOTTEN, why).hint(hint));
        }
        // A time ahead of us shows the present.
        let then = WallTime(time.min(now.0));
        Ok(self.known.iter().filter_map(|one| one.by(time)).map(|one| line(&one, then)).collect())
    }

    /// The invitations whose keys are said to have signed this. No signature is looked at.
    fn named(&self, envelope: &Envelope) -> impl Iterator<Item = &Known> {
        let said = |id: &str| envelope.signatures.iter().any(|signature| signature.key_id == id);
        self.known.iter().filter(move |known| said(&known.id))
    }

    /// The invitation whose key has signed this.
    fn signed(&self, envelope: &Envelope) -> Option<&Known> {
        self.named(envelope).find(|known| envelope.signed_by(&known.key))
    }
}

/// Makes an invitation. Whoever holds it can join once.
///
/// # Errors
/// `config.invalid` without a listener for partners or with too long an address; `input.malformed`
/// for a name or a time out of bounds; `invitation.too_many` when [`MAX_INVITATIONS`] are open.
pub async fn invite(node: &Node, asked: &Invite) -> Result<Invited, Problem> {
    let (name, valid) = bounded(node, asked)?;
    let now = node.clocks.wall();
    let expires = WallTime(now.0.plus_seconds(valid));
    let secret = ids::random_bytes()?;
    let told = name.clone();
    let turn = node.partition.turn(move |turn| {
        let invitations = &turn.fold().invitations.known;
        if invitations.iter().filter(|known| known.is_open(now)).count() >= MAX_INVITATIONS {
            let why = format!("{MAX_INVITATIONS} invitations are open");
            return Err(Problem::new(codes::INVITATION_TOO_MANY, why)
                .hint("withdraw some: twinpact invitation list"));
        }
        let (record, envelope) = turn.fold().organisation.current()?;
        let (endpoint, fingerprint) = (base(record), envelope.fingerprint());
        let invitation = Invitation { endpoint, fingerprint, secret };
        let text = invitation.text()?;
        let entry = made(&invitation.key().public(), &name, expires);
        turn.log(vec![entry])?;
        Ok((invitation, text))
    });
    let (invitation, text) = turn.await?;
    Ok(Invited {
        invitation: text,
        id: invitation.key().public().id(),
        name: told,
        endpoint: invitation.endpoint,
        fingerprint: to_hex(&invitation.fingerprint),
        expires: expires.0,
    })
}

fn bounded(node: &Node, asked: &Invite) -> Result<(String, i64), Problem> {
    let bad = |why: String| Err(Problem::new(codes::INPUT_MALFORMED, why));
    let (name, valid) =
        (asked.name.clone().unwrap_or_default(), asked.valid_seconds.unwrap_or(VALID_SECONDS));
    if node.config.federation.listen.is_none() {
        let why = "twinpact.toml has no federation.listen: nobody could reach this node to join";
        return Err(Problem::new(codes::CONFIG_INVALID, why)
            .hint("set federation.listen and start the node again"));
    }
    if name.len() > MAX_LABEL_BYTES {
        return bad(format!("a name on an invitation has at most {MAX_LABEL_BYTES} bytes"));
    }
    match (1..=MAX_VALID_SECONDS).contains(&valid) {
        true => Ok((name, valid)),
        false => bad(format!("an invitation is good for 1 s to {MAX_VALID_SECONDS} s")),
    }
}

/// The base URL of a record's endpoint.
pub(crate) fn base(record: &Record) -> String {
    record.dsp.strip_suffix("/dsp").unwrap_or(&record.dsp).to_owned()
}

/// Withdraws an invitation that nobody has used.
///
/// # Errors
/// `invitation.unknown`; `invitation.used`.
pub async fn withdraw(node: &Node, id: &str) -> Result<InvitationLine, Problem> {
    let (id, now) = (id.to_owned(), node.clocks.wall());
    let turn = node.partition.turn(move |turn| {
        let known = turn.fold().invitations.known.iter().find(|known| known.id == id);
        let known = known.ok_or_else(unknown)?.clone();
        if matches!(known.state, State::Used { .. }) {
            return Err(used());
        }
        turn.log(vec![over(&known.key, Vec::new())])?;
        Ok(line(&Known { state: State::Withdrawn, ..known }, now))
    });
    turn.await
}

/// All invitations that are known, oldest first, as they were at a time or are now.
///
/// # Errors
/// `asof.early`; `asof.forgotten` when one that was known then is forgotten; `store.stopped`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<InvitationLine>, Problem> {
    let now = node.clocks.wall();
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        let all = &fold.invitations;
        match as_of {
            Some(time) => all.by(time, now),
            None => Ok(all.known.iter().map(|one| line(one, now)).collect()),
        }
    })?
}

fn line(known: &Known, now: WallTime) -> InvitationLine {
    let (state, by) = match &known.state {
        State::Open if known.is_open(now) => ("open", None),
        State::Open => ("expired", None),
        State::Used { did } => ("used", Some(did.clone())),
        State::Withdrawn => ("withdrawn", None),
    };
    let (id, name) = (known.id.clone(), known.name.clone());
    InvitationLine { id, name, expires: known.expires.0, state: state.to_owned(), by }
}

/// Answers somebody without a certificate who wants to join. A refusal is counted, like everybody
/// who is turned away without a name, and leaves no entry of its own.
pub(crate) async fn receive(node: &Node, body: &[u8]) -> Egress {
    match joined(node, body).await {
        Ok(document) => Egress::Public(PublicDoc::Joined(document.canonical())),
        Err(problem) => {
            node.strangers.count(Away::Join, node.clocks.wall());
            problem.into()
        }
    }
}

async fn joined(node: &Node, body: &[u8]) -> Result<Json, Problem> {
    let now = node.clocks.wall();
    let malformed = || Problem::new(codes::INPUT_MALFORMED, "this is no request to join");
    let json = Json::parse(body).map_err(|_| malformed())?;
    let part = |name: &str| json.get(name).cloned();
    let join = part("join").and_then(|json| Envelope::from_json(&json)).ok_or_else(malformed)?;
    let record = part("record").ok_or_else(malformed)?.canonical();
    // Who names no invitation of ours goes before anything is verified, and takes nothing from
    // those who do: a name is half of what only the invited hold.
    let named = node.partition.read(|fold, _| {
        fold.invitations.named(&join).next().map(|known| known.id.clone()).ok_or_else(unknown)
    })??;
    node.rates.join(&named, now)?;
    let (record, envelope) = partners::read_record(record.as_bytes())?;
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| {
        let (entries, answer) = decide(&ours, &turn, &join, (&record, &envelope), now)?;
        if !entries.is_empty() {
            turn.log(entries)?;
        }
        Ok(answer)
    });
    let answer = turn.await?;
    partners::let_in(node)?;
    Ok(answer)
}

/// What is logged when somebody joins (nothing for a repeat with the same record), and the answer.
fn decide(
    node: &Node,
    turn: &Turn<'_>,
    join: &Envelope,
    (record, envelope): (&Record, &Envelope),
    now: WallTime,
) -> Result<(Vec<NewEntry>, Json), Problem> {
    let fold = turn.fold();
    let known = fold.invitations.signed(join).ok_or_else(unknown)?;
    let fingerprints = Fingerprints {
        inviter: to_hex(&fold.organisation.current()?.1.fingerprint()),
        joiner: to_hex(&envelope.fingerprint()),
    };
    fits(join, known, record, &fingerprints, now)?;
    if record.did == node.config.organisation.as_str() {
        return Err(own());
    }
    let answer = fingerprints.json("twinpact-joined/1");
    match &known.state {
        State::Used { did } => {
            // Who was removed since does not come back by a repeat.
            if did != &record.did || fold.partners.get(did).is_err() {
                return Err(used());
            }
            let entry = following(node, fold, record, envelope, now).map_err(|_| used())?;
            return Ok((entry.into_iter().collect(), answer));
        }
        State::Withdrawn => return Err(withdrawn()),
        State::Open if now >= known.expires => return Err(expired()),
        State::Open => {}
    }
    let entry = following(node, fold, record, envelope, now)?;
    let mut entries: Vec<NewEntry> = entry.into_iter().collect();
    let what = vec![
        Attribute::new("by", "text", &record.did),
        Attribute::new("record", "text", &fingerprints.joiner),
    ];
    entries.push(over(&known.key, what));
    Ok((entries, answer))
}

/// Whether the request is for this record of ours, brings that record, and is signed by whoever
/// holds the invitation and a key of the record.
fn fits(
    join: &Envelope,
    known: &Known,
    record: &Record,
    fingerprints: &Fingerprints,
    now: WallTime,
) -> Result<(), Problem> {
    let own_keys = record.unended_keys(now.0.micros());
    let mut keys = own_keys.clone();
    keys.push(known.key);
    let signers = join.signers(&keys).unwrap_or_default();
    if !signers.iter().any(|key| own_keys.contains(key)) {
        let why = "the request is not signed by a key of the record that it brings";
        return Err(Problem::new(codes::INVITATION_RECORD_SIGNATURE, why));
    }
    let expected = fingerprints.json(JOIN_FORM);
    let document = join.document().filter(|_| join.payload_type == JOIN_TYPE);
    if document.as_deref() == Some(&expected) {
        return Ok(());
    }
    let differs =
        |name: &str| document.as_ref().and_then(|json| json.get(name)) != expected.get(name);
    if differs("type") {
        let why = "the request is a document of another type";
        return Err(Problem::new(codes::INVITATION_RECORD_TYPE, why));
    }
    if differs("inviter") {
        let why = "the request is for another record than ours";
        return Err(Problem::new(codes::INVITATION_RECORD_INVITER, why)
            .hint("our record may have changed since: ask for a new invitation"));
    }
    if differs("joiner") {
        let why = "the request is for another record than the one it brings";
        return Err(Problem::new(codes::INVITATION_RECORD_JOINER, why)
            .hint("your record may have changed since: join again"));
    }
    let why = "the request has members that its type does not have";
    Err(Problem::new(codes::INVITATION_RECORD_TYPE, why))
}

/// The records of the two, by their fingerprints in hex.
pub(crate) struct Fingerprints {
    /// Of who has invited.
    pub(crate) inviter: String,
    /// Of who joins.
    pub(crate) joiner: String,
}

impl Fingerprints {
    /// As a document of that type.
    pub(crate) fn json(&self, kind: &str) -> Json {
        Json::object([
            ("type", Json::text(kind)),
            ("inviter", Json::text(&self.inviter)),
            ("joiner", Json::text(&self.joiner)),
        ])
    }
}

fn made(key: &PublicKey, name: &str, expires: WallTime) -> NewEntry {
    let what = vec![
        Attribute::new("key", "text", to_hex(key.bytes())),
        Attribute::new("name", "text", name),
        Attribute::new("expires", "text", expires.0.to_string()),
    ];
    local(Kind::Invitation, "local", what)
}

/// That an invitation is over: used, when it says by whom, else withdrawn.
fn over(key: &PublicKey, more: Vec<Attribute>) -> NewEntry {
    let mut what = vec![Attribute::new("key", "text", to_hex(key.bytes()))];
    what.extend(more);
    local(Kind::Invitation, "local", what)
}

fn unknown() -> Problem {
    Problem::new(codes::INVITATION_UNKNOWN, "we have made no such invitation")
}

fn used() -> Problem {
    Problem::new(codes::INVITATION_USED, "the invitation was used, and is good for one only")
}

fn expired() -> Problem {
    Problem::new(codes::INVITATION_EXPIRED, "the invitation has expired").hint(ASK_ANEW)
}

fn withdrawn() -> Problem {
    Problem::new(codes::INVITATION_WITHDRAWN, "the invitation was withdrawn").hint(ASK_ANEW)
}

/// That somebody invites itself.
pub(crate) fn own() -> Problem {
    Problem::new(codes::INVITATION_OWN, "this is an invitation of the organisation itself")
}

/// The event that the record of an invitation or of who joins is pinned; `None` when it is already.
///
/// # Errors
/// As [`partners::pinning`]; `partner.known` when another record of the organisation is pinned,
/// which this one does not follow.
pub(crate) fn following(
    node: &Node,
    fold: &Fold,
    record: &Record,
    envelope: &Envelope,
    now: WallTime,
) -> Result<Option<NewEntry>, Problem> {
    let did = &record.did;
    partners::pinning(node, fold, record, envelope, now).map_err(|refused| {
        if !refused.code.within(codes::TRUST_CONFLICT) || fold.partners.get(did).is_err() {
            return refused;
        }
        let why = format!("{did} is a partner already, under another record");
        Problem::new(codes::PARTNER_KNOWN, why).hint(
            "only a newer record that a pinned key has signed is taken; \
             remove the partner to begin anew",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Invitations, MAX_KNOWN_INVITATIONS, made, over};
    use twinpact_model::{Timestamp, WallTime};
    use twinpact_proof::keys::SecretKey;

    /// A list of a time that is not whole any more would look like an answer.
    #[test]
    fn what_was_known_before_one_was_forgotten_is_refused() {
        let key = |number: usize| {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
            SecretKey::new(&seed).public()
        };
        let second = |number: usize| Timestamp::from_seconds(number as i64);
        let mut all = Invitations::default();
        let record = |all: &mut Invitations, mut entry: crate::partition::NewEntry, at| {
            entry.entry.when.recorded = second(at);
            all.apply(&entry.entry).unwrap();
        };
        let expires = WallTime(second(5_000));
        for number in 1..=MAX_KNOWN_INVITATIONS {
            record(&mut all, made(&key(number), "n", expires), number);
        }
        record(&mut all, over(&key(2), Vec::new()), 2_000);
        record(&mut all, over(&key(2), Vec::new()), 3_000);
        let now = WallTime(second(9_000));
        let states = |all: &Invitations, at: usize| {
            let lines = all.by(second(at), now).map_err(|problem| problem.code.name)?;
            let open = lines.iter().filter(|line| line.state == "open").count();
            Ok::<_, &str>((lines.len(), open, lines.get(1).map(|line| line.state.clone())))
        };
        let whole = MAX_KNOWN_INVITATIONS;
        let state = |name: &str| Some(name.to_owned());
        assert_eq!(states(&all, 1), Ok((1, 1, None)));
        assert_eq!(states(&all, 1_999), Ok((whole, whole, state("open"))));
        assert_eq!(states(&all, 2_000), Ok((whole, whole - 1, state("withdrawn"))));
        assert_eq!(states(&all, 5_000), Ok((whole, 0, state("withdrawn"))));
        record(&mut all, made(&key(0), "n", expires), 4_000);
        assert_eq!(states(&all, 3_999), Err("asof.forgotten"));
        assert_eq!(states(&all, 4_000), Ok((whole, whole - 1, state("open"))));
    }
}
