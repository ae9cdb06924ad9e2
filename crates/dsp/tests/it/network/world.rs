//! Two parties, each with a disk, and the network between them.
//!
//! A party commits its state and what becomes of its outbox in one frame, and answers after that.
//! A crash takes its memory and its connections; what it committed it reads again as JSON.

use super::machine::{Machine, SECRET, Told, secret};
use crate::samples::offer;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use twinpact_dsp::delivery::MAX_EARLY;
use twinpact_dsp::exchange::opening_key;
use twinpact_dsp::message::{Message, TransferStart};
use twinpact_dsp::negotiation::{self, Opening};
use twinpact_dsp::{Effect, Rejected, Status, Whose, transfer};
use twinpact_model::{Timestamp, WallTime};

const NAMES: [&str; 2] = ["did:web:provider.example", "did:web:consumer.example"];
const PIDS: [&str; 2] = ["urn:uuid:p", "urn:uuid:c"];
pub(super) const PROVIDER: usize = 0;
pub(super) const CONSUMER: usize = 1;
pub(super) const BOTH: [usize; 2] = [PROVIDER, CONSUMER];

#[derive(Debug, Clone)]
enum Packet {
    /// A message on its way to the other side.
    Post {
        to: usize,
        message: Message,
    },
    /// Its answer on the way back: taken, refused, or unknown process.
    Answer {
        to: usize,
        id: String,
        answer: Result<Message, Status>,
    },
    /// A question where they stand, and the answer.
    Ask {
        to: usize,
        id: String,
    },
    Told {
        to: usize,
        id: String,
        status: Result<Message, ()>,
    },
}

impl Packet {
    /// Whose connection it is on, and what.
    fn to(&self) -> (usize, &str) {
        match self {
            Packet::Post { to, message } => (*to, id_of(message)),
            Packet::Answer { to, id, .. }
            | Packet::Ask { to, id }
            | Packet::Told { to, id, .. } => (*to, id),
        }
    }
}

/// When a party crashes, in a step that it commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before: the step is as if it had never been begun.
    Before,
    /// After: nothing of it is told to anybody.
    After,
}

/// The step was not told to anybody, and perhaps not taken.
#[derive(Debug)]
pub(super) struct Crashed;

/// What a frame says besides the state and what is to be sent.
enum Note<'a> {
    Nothing,
    /// This message of theirs was taken.
    Took(&'a str),
    /// This one of ours arrived, or this question was answered.
    Arrived(&'a str),
    /// This one of ours is not taken, or cannot be delivered.
    LetGo(&'a str),
}

/// What a crash leaves: JSON. A message that may hold a token is not there, only its id.
#[derive(Default)]
struct Disk {
    state: Option<String>,
    /// What waits to be sent, in order: messages, and questions (`?` and a number).
    outbox: VecDeque<String>,
    messages: BTreeMap<String, Option<String>>,
    asked: usize,
    taken: BTreeSet<String>,
    let_go: BTreeSet<String>,
}

#[derive(Default)]
struct Side {
    machine: Option<Machine>,
    outbox: VecDeque<String>,
    sent: BTreeMap<String, Message>,
    disk: Disk,
    lives: usize,
    has_redrawn: bool,
    /// For the test alone: each move, and what of the other side was taken or refused.
    history: Vec<(String, String)>,
    heard: BTreeSet<String>,
}

pub(super) struct World {
    sides: [Side; 2],
    network: Vec<Packet>,
    now: WallTime,
    /// Which of the commits to come is cut off, and where.
    cut: Option<(usize, Cut)>,
    /// The names of messages that crossed, the provider's first.
    crossed: BTreeSet<[&'static str; 2]>,
}

fn opening() -> Opening<'static> {
    Opening {
        own_pid: PIDS[CONSUMER],
        peer: NAMES[PROVIDER],
        address: "https://provider.example/dsp",
        callback: "https://consumer.example/dsp",
    }
}

fn id_of(message: &Message) -> &str {
    message.id().unwrap()
}

impl World {
    pub(super) fn new(transfer: bool) -> Self {
        let now = WallTime(Timestamp::from_seconds(0));
        let (machine, effects) = if transfer {
            let step = transfer::open_as_consumer(opening(), "urn:a", "f", None, now).unwrap();
            (Machine::Transfer(Box::new(step.next)), step.effects)
        } else {
            let step = negotiation::open_as_consumer(opening(), offer(), now).unwrap();
            (Machine::Negotiation(Box::new(step.next)), step.effects)
        };
        let (sides, network, crossed) = Default::default();
        let mut world = World { sides, network, now, cut: None, crossed };
        world.commit(CONSUMER, machine, effects, &Note::Nothing).unwrap();
        world
    }

    /// Cuts off the `n`-th commit from now, the next being 0.
    pub(super) fn cut_off(&mut self, n: usize, cut: Cut) {
        self.cut = Some((n, cut));
    }

    /// Whether the cut is still to come.
    pub(super) fn is_to_be_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The one frame: state, outbox and record together, and then what follows of it.
    fn commit(
        &mut self,
        at: usize,
        machine: Machine,
        effects: Vec<Effect>,
        note: &Note<'_>,
    ) -> Result<(), Crashed> {
        let cut = match self.cut {
            Some((0, cut)) => {
                self.cut = None;
                Some(cut)
            }
            Some((n, cut)) => {
                self.cut = Some((n - 1, cut));
                None
            }
            None => None,
        };
        if cut == Some(Cut::Before) {
            self.crash(at);
            return Err(Crashed);
        }
        self.watch(at, &effects);
        let side = &mut self.sides[at];
        side.disk.write(&machine, &effects, note);
        side.machine = Some(machine);
        side.follow(effects, note);
        if cut == Some(Cut::After) {
            self.crash(at);
            return Err(Crashed);
        }
        Ok(())
    }

    /// Notes which messages of the other side this one crosses: those that have not come yet.
    fn watch(&mut self, at: usize, effects: &[Effect]) {
        let [one, other] = [&self.sides[at], &self.sides[1 - at]];
        for effect in effects {
            let Effect::Send(ours) = effect else { continue };
            for (_, theirs) in other.sent.iter().filter(|(id, _)| !one.heard.contains(*id)) {
                let mut pair = [ours.message.name(), theirs.name()];
                if at == CONSUMER {
                    pair.reverse();
                }
                self.crossed.insert(pair);
            }
        }
    }

    /// All that was in memory is gone, and every connection with it.
    pub(super) fn crash(&mut self, at: usize) {
        self.network.retain(|packet| packet.to().0 != at);
        let side = &mut self.sides[at];
        side.lives += 1;
        let (machine, outbox, sent) = side.disk.read(side.lives);
        assert_eq!(machine, side.machine, "what is read is not what was written");
        (side.machine, side.outbox, side.sent) = (machine, outbox, sent);
    }

    fn tell(
        &mut self,
        at: usize,
        told: &Told<'_>,
        note: &Note<'_>,
    ) -> Result<Result<(), Rejected>, Crashed> {
        let machine = self.sides[at].machine.as_ref().expect("there is a process");
        Ok(match machine.step(NAMES[1 - at], told, self.now) {
            Ok((next, effects)) => {
                self.commit(at, next, effects, note)?;
                Ok(())
            }
            Err(rejected) => Err(rejected),
        })
    }

    pub(super) fn decide(&mut self, at: usize, n: usize) -> Option<Result<(), Rejected>> {
        self.sides[at].machine.as_ref()?;
        self.tell(at, &Told::Decide(n), &Note::Nothing).ok()
    }

    fn decide_onward(&mut self, at: usize) {
        if let Some(onward) = self.machines()[at].and_then(Machine::onward) {
            self.decide(at, onward);
        }
    }

    /// The provider has lost that it sent an agreement that has arrived, and sends another one.
    fn redraw(&mut self) {
        if !self.is_agreement_to_come() {
            let drawn = self.sides[PROVIDER].machine.as_ref().and_then(Machine::redraw);
            if let Some((machine, effects)) = drawn {
                self.sides[PROVIDER].has_redrawn = true;
                let _ = self.commit(PROVIDER, machine, effects, &Note::Nothing);
            }
        }
    }

    /// Whether the consumer has still to take an agreement that was sent.
    fn is_agreement_to_come(&self) -> bool {
        let [provider, consumer] = &self.sides;
        let mut sent =
            provider.sent.iter().filter(|(_, it)| matches!(it, Message::ContractAgreement(_)));
        sent.any(|(id, _)| !consumer.disk.taken.contains(id))
    }

    /// Whether a verification comes before the provider is done with the agreement that it sends:
    /// it says so (409), which is no answer.
    fn is_too_early(&self, at: usize, message: &Message) -> bool {
        let verifies = matches!(message, Message::AgreementVerification(_));
        at == PROVIDER && verifies && self.is_agreement_to_come() && self.sides[at].has_redrawn
    }

    /// What the gateway does with a message: the answer, once what it says is committed.
    fn receive(
        &mut self,
        at: usize,
        message: &Message,
    ) -> Result<Result<Message, Status>, Crashed> {
        let (from, took) = (NAMES[1 - at], Note::Took(id_of(message)));
        let result = if self.sides[at].machine.is_some() {
            let told = self.tell(at, &Told::Received(message), &took)?;
            told.map_err(|rejected| rejected.status)
        } else if opening_key(from, message).is_none() {
            return Ok(Err(Status::NotFound));
        } else {
            match Machine::open(from, message, PIDS[at], self.now) {
                Some((machine, effects)) => Ok(self.commit(at, machine, effects, &took)?),
                None => Err(Status::BadRequest),
            }
        };
        self.sides[at].heard.insert(id_of(message).to_owned());
        Ok(result.map(|()| self.sides[at].machine.as_ref().unwrap().status()))
    }

    fn deliver(&mut self, packet: Packet) -> Result<(), Crashed> {
        match packet {
            Packet::Post { to, message } if self.is_too_early(to, &message) => {}
            Packet::Post { to, message } => {
                let id = id_of(&message).to_owned();
                let answer = self.receive(to, &message)?;
                self.network.push(Packet::Answer { to: 1 - to, id, answer });
            }
            Packet::Answer { to, id, answer } => self.answered(to, &id, &answer)?,
            Packet::Ask { to, id } => {
                let status = self.sides[to].machine.as_ref().map(Machine::status).ok_or(());
                self.network.push(Packet::Told { to: 1 - to, id, status });
            }
            Packet::Told { to, id, status } if self.is_first(to, &id) => {
                let note = Note::Arrived(&id);
                let known = match &status {
                    Ok(body) => self.tell(to, &Told::Status(body), &note)?.is_ok(),
                    Err(()) => false,
                };
                if !known {
                    self.tell(to, &Told::Undelivered(""), &note)?.unwrap();
                }
            }
            // The question was given up, or there is a newer one.
            Packet::Told { .. } => {}
        }
        Ok(())
    }

    /// Whether this is what a side is sending now: it does one thing after the other.
    fn is_first(&self, at: usize, id: &str) -> bool {
        self.sides[at].outbox.front().is_some_and(|first| first == id)
    }

    fn answered(
        &mut self,
        to: usize,
        id: &str,
        answer: &Result<Message, Status>,
    ) -> Result<(), Crashed> {
        if answer.is_ok() {
            let taken = self.sides[1 - to].disk.taken.contains(id);
            assert!(taken, "{id} was acknowledged and is lost");
        }
        if !self.is_first(to, id) || *answer == Err(Status::NotFound) {
            return Ok(());
        }
        match answer {
            Ok(body) => self.tell(to, &Told::Delivered(id, Some(body)), &Note::Arrived(id))?,
            Err(_) => self.tell(to, &Told::Undelivered(id), &Note::LetGo(id))?,
        }
        .unwrap();
        Ok(())
    }

    fn pump(&mut self, at: usize) {
        let (side, to) = (&self.sides[at], 1 - at);
        let Some(id) = side.outbox.front().cloned() else { return };
        self.network.push(match side.sent.get(&id).cloned() {
            Some(message) => Packet::Post { to, message },
            None => Packet::Ask { to, id },
        });
    }

    /// The outbox has tried for as long as it does, and tells so. Who draws an agreement up anew
    /// tries until it has arrived, since nobody else knows of it.
    fn give_up(&mut self, at: usize) -> Result<(), Crashed> {
        if at == PROVIDER && self.sides[at].has_redrawn && self.is_agreement_to_come() {
            return Ok(());
        }
        let Some(id) = self.sides[at].outbox.front().cloned() else { return Ok(()) };
        // The connection that failed does not deliver later what it never delivered.
        self.network.retain(|packet| packet.to() != (1 - at, &id));
        let (what, note) = match self.sides[at].sent.contains_key(&id) {
            true => (id.as_str(), Note::LetGo(&id)),
            false => ("", Note::Arrived(&id)),
        };
        self.tell(at, &Told::Undelivered(what), &note)?.unwrap();
        Ok(())
    }

    pub(super) fn pass_deadline(&mut self, at: usize) -> Result<(), Crashed> {
        let deadline = self.sides[at].machine.as_ref().and_then(Machine::deadline);
        if let Some(deadline) = deadline {
            self.now = self.now.max(deadline);
            self.tell(at, &Told::Deadline, &Note::Nothing)?.unwrap();
        }
        Ok(())
    }

    pub(super) fn event(&mut self, kind: u8, n: usize) {
        let at = n % 2;
        // Who crashes tells nobody, and goes on from its disk.
        let _ = match kind {
            0..=2 => {
                self.pump(at);
                Ok(())
            }
            3..=7 if !self.network.is_empty() => {
                let packet = self.network.remove(n % self.network.len());
                self.deliver(packet)
            }
            8 if !self.network.is_empty() => {
                self.network.remove(n % self.network.len());
                Ok(())
            }
            9 if !self.network.is_empty() => {
                let copy = self.network[n % self.network.len()].clone();
                self.network.push(copy);
                Ok(())
            }
            10..=13 => {
                self.decide(at, n / 2);
                Ok(())
            }
            14 => {
                self.decide_onward(at);
                Ok(())
            }
            15 => self.give_up(at),
            16 => self.pass_deadline(at),
            17 => {
                self.crash(at);
                Ok(())
            }
            18 => {
                self.cut_off(0, if at == PROVIDER { Cut::Before } else { Cut::After });
                Ok(())
            }
            19 => {
                self.redraw();
                Ok(())
            }
            _ => Ok(()),
        };
        self.check();
    }

    /// What holds after every event.
    fn check(&self) {
        for side in &self.sides {
            for (from, to) in &side.history {
                assert!(legal(from, to), "{from} -> {to}");
            }
            let Some(machine) = &side.machine else { continue };
            let text = machine.waiting_for();
            assert!(!text.is_empty());
            assert!(machine.is_final() || machine.deadline().is_some(), "{text}");
            let open = !machine.is_final() && machine.name() != "STARTED";
            assert!(!open || machine.turn() != Whose::Nobody, "{text}");
            // What may not have arrived is sent until it has, or the machine was told.
            if let Some(id) = machine.unacknowledged() {
                let waits = side.outbox.iter().any(|waits| waits == id);
                assert!(waits || side.disk.let_go.contains(id), "{id} is forgotten");
            }
        }
        self.check_pair();
    }

    /// The two states fit.
    fn check_pair(&self) {
        let names = self.names();
        assert_ne!(names, ["FINALIZED", "TERMINATED"], "one side is bound alone");
        if let [Some(provider), Some(consumer)] =
            self.machines().map(|it| it.and_then(Machine::concluded))
        {
            assert_eq!(provider, consumer, "each has another agreement");
        }
        for at in BOTH {
            if (names[at], names[1 - at]) == ("COMPLETED", "SUSPENDED") {
                let comes = self.sides[at].sent.iter().any(|(id, message)| {
                    let starts = matches!(message, Message::TransferStart(_));
                    starts && !self.sides[1 - at].heard.contains(id)
                });
                let crossed = self.has_crossed(at, COMPLETION, SUSPENSION);
                // Who was suspended by what the other side had taken back by its start.
                let late = self.has_crossed(at, SUSPENSION, "TransferStartMessage");
                assert!(comes || crossed || late, "{names:?} and nothing has crossed");
            }
        }
    }

    fn has_crossed(&self, at: usize, ours: &'static str, theirs: &'static str) -> bool {
        let pair = if at == PROVIDER { [ours, theirs] } else { [theirs, ours] };
        self.crossed.contains(&pair)
    }

    pub(super) fn machines(&self) -> [Option<&Machine>; 2] {
        BOTH.map(|at| self.sides[at].machine.as_ref())
    }

    pub(super) fn names(&self) -> [&'static str; 2] {
        self.machines().map(|it| it.map_or("", Machine::name))
    }

    pub(super) fn is_over(&self) -> bool {
        self.machines().into_iter().flatten().all(Machine::is_final)
    }

    pub(super) fn is_alike(&self) -> bool {
        self.names()[PROVIDER] == self.names()[CONSUMER]
    }

    /// They differ for good, and both know why not: the opening never came through and was given
    /// up; or one side's completion crossed the other's termination and neither was ever
    /// delivered, so that one says that it is not confirmed and the other that it was ended.
    pub(super) fn is_known_to_differ(&self) -> bool {
        let ended = |at: usize| self.machines()[at].and_then(Machine::ended).is_some();
        let names = self.names();
        let never = names == ["", "TERMINATED"] && ended(CONSUMER);
        never
            || BOTH.into_iter().any(|at| {
                let differs = (names[at], names[1 - at]) == ("COMPLETED", "TERMINATED");
                let says = self.machines()[at].is_some_and(Machine::is_unconfirmed);
                let crossed = self.has_crossed(at, COMPLETION, "TransferTerminationMessage");
                differs && says && ended(1 - at) && crossed
            })
    }

    /// The network is whole: everything that is to be sent is sent and arrives, in order.
    pub(super) fn settle(&mut self) {
        for round in 0..200 {
            for at in BOTH {
                if round == MAX_EARLY {
                    let _ = self.give_up(at);
                }
                self.pump(at);
            }
            if self.network.is_empty() {
                return;
            }
            while !self.network.is_empty() {
                let packet = self.network.remove(0);
                let _ = self.deliver(packet);
                self.check();
            }
        }
        panic!("the network does not come to rest: {:?}", self.network);
    }

    /// With a whole network, whoever still differs waits with a deadline, and asks then.
    pub(super) fn agree_in_time(&mut self) {
        self.settle();
        for _ in 0..12 {
            if self.is_alike() {
                return;
            }
            for at in BOTH {
                let _ = self.pass_deadline(at);
                self.settle();
            }
        }
        assert!(self.is_known_to_differ(), "{:?} {:?}", self.names(), self.sides[0].history);
    }

    /// With a whole network and good will it comes to its end; where a message was given up, after
    /// a deadline.
    pub(super) fn finish(&mut self) {
        for _ in 0..24 {
            if self.is_over() {
                return;
            }
            for at in BOTH {
                self.decide_onward(at);
                self.settle();
            }
            if !self.is_alike() || self.has_given_up() {
                let _ = BOTH.map(|at| self.pass_deadline(at));
                self.settle();
            }
        }
    }

    /// Whether a message was refused or given up.
    pub(super) fn has_let_go(&self) -> bool {
        self.sides.iter().any(|side| !side.disk.let_go.is_empty())
    }

    /// Whether a message that may not have arrived is not sent any more.
    fn has_given_up(&self) -> bool {
        self.sides.iter().any(|side| {
            let ours = side.machine.as_ref().and_then(Machine::unacknowledged);
            ours.is_some() && side.outbox.is_empty()
        })
    }
}

const COMPLETION: &str = "TransferCompletionMessage";
const SUSPENSION: &str = "TransferSuspensionMessage";

impl Disk {
    fn write(&mut self, machine: &Machine, effects: &[Effect], note: &Note<'_>) {
        let state = serde_json::to_string(machine).unwrap();
        assert!(!state.contains(SECRET), "{state}");
        self.state = Some(state);
        match note {
            Note::Nothing => {}
            Note::Took(id) => {
                self.taken.insert((*id).to_owned());
            }
            Note::Arrived(id) => self.outbox.retain(|waits| waits != id),
            Note::LetGo(id) => {
                self.outbox.retain(|waits| waits != id);
                self.let_go.insert((*id).to_owned());
            }
        }
        for effect in effects {
            match effect {
                Effect::Send(outgoing) => {
                    let (message, id) = (&outgoing.message, id_of(&outgoing.message).to_owned());
                    let starts = matches!(message, Message::TransferStart(_));
                    let text = (!starts).then(|| message.to_text());
                    assert!(!text.as_ref().is_some_and(|text| text.contains(SECRET)));
                    self.messages.insert(id.clone(), text);
                    self.outbox.push_back(id);
                }
                Effect::Resend { id } if !self.outbox.contains(id) => {
                    self.outbox.push_back(id.clone());
                }
                Effect::Ask { .. } => {
                    // One at a time; the newest knows best.
                    self.asked += 1;
                    self.outbox.retain(|id| !id.starts_with('?'));
                    self.outbox.push_back(format!("?{}", self.asked));
                }
                Effect::Resend { .. } | Effect::Record(_) | Effect::Schedule { .. } => {}
            }
        }
    }

    /// What a new life begins with.
    fn read(&self, life: usize) -> (Option<Machine>, VecDeque<String>, BTreeMap<String, Message>) {
        let machine: Option<Machine> =
            self.state.as_ref().map(|text| serde_json::from_str(text).unwrap());
        let message = |(id, text): (&String, &Option<String>)| {
            let party = machine.as_ref().unwrap().party();
            let message = match text {
                Some(text) => Message::parse_bytes(text.as_bytes()).unwrap(),
                // A token is made again.
                None => Message::TransferStart(TransferStart {
                    id: Some(id.clone()),
                    pids: party.pids(),
                    data_address: secret(party.role, life),
                }),
            };
            (id.clone(), message)
        };
        let sent: BTreeMap<String, Message> = self.messages.iter().map(message).collect();
        (machine, self.outbox.clone(), sent)
    }
}

impl Side {
    /// The same in memory, and the record.
    fn follow(&mut self, effects: Vec<Effect>, note: &Note<'_>) {
        self.outbox.clone_from(&self.disk.outbox);
        if let Note::Took(id) = note {
            self.heard.insert((*id).to_owned());
        }
        for effect in effects {
            match effect {
                Effect::Send(outgoing) => {
                    let message = outgoing.message;
                    self.sent.insert(id_of(&message).to_owned(), message);
                }
                Effect::Record(record) => {
                    let from = record.from.unwrap_or_default();
                    if from != record.to {
                        self.history.push((from, record.to));
                    }
                }
                Effect::Resend { .. } | Effect::Ask { .. } | Effect::Schedule { .. } => {}
            }
        }
    }
}

/// Steps that the figures allow, and ends. A transfer that crossed may go up in rank from a state
/// that was never acknowledged.
fn legal(from: &str, to: &str) -> bool {
    let pairs = " -REQUESTED REQUESTED-OFFERED REQUESTED-AGREED OFFERED-REQUESTED OFFERED-ACCEPTED \
                 ACCEPTED-AGREED AGREED-VERIFIED VERIFIED-FINALIZED \
                 REQUESTED-STARTED STARTED-SUSPENDED STARTED-COMPLETED SUSPENDED-STARTED \
                 SUSPENDED-COMPLETED ";
    let ends = to == "TERMINATED" && from != "FINALIZED" && from != "TERMINATED";
    ends || pairs.contains(&format!(" {from}-{to} "))
}
