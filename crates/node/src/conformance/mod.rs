//! Conformance mode: our side of the Dataspace Protocol by a script, for tests of other connectors
//! and for the official test kit.
//!
//! Everything but the decisions is what any node does: the door, the machines, the log, the outbox.
//! The script takes the place of rules and people. It answers in the turn in which a process comes
//! into a state ([`Conformance::negotiation`], [`Conformance::transfer`]), but not before our last
//! message has arrived; a pause is kept by [`run`]. Nothing of a script outlives its node, which
//! has no twins and no partners.

mod door;
mod script;

pub use script::{MAX_PAUSE_MS, Script};

pub use door::{NEGOTIATIONS_PATH, OFFERS_PATH, TRANSFERS_PATH};

pub(crate) use door::answer;

use crate::bargain;
use crate::connectors::{Connectors, data_address};
use crate::ids;
use crate::negotiate::find;
use crate::open::Node;
use script::{Item, Lists, Planned, Word, good_transfer, good_wish};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use twinpact_dsp::catalog::DatasetOffer;
use twinpact_dsp::exchange::Post;
use twinpact_dsp::message::{Agreement as Wire, DataAddress, Offer};
use twinpact_dsp::negotiation::{self, Negotiation};
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Role, route};
use twinpact_model::WallTime;
use twinpact_model::problem::Problem;

/// The code of an end that the script wants.
const CODE: &str = "script";

/// A script that is played.
pub struct Conformance {
    script: Script,
    /// How far each process has come, by our process id.
    progress: Mutex<HashMap<String, Progress>>,
    /// The agreements that were concluded since the start, each with its dataset.
    concluded: Mutex<HashMap<String, String>>,
    /// The tokens that were given out, each with what there is for it.
    data: Mutex<HashMap<String, String>>,
    pauses: mpsc::UnboundedSender<Pause>,
    paused: Mutex<Option<mpsc::UnboundedReceiver<Pause>>>,
}

/// A decision that waits for its pause to end.
struct Pause {
    pid: String,
    visit: usize,
}

/// Where a process is in its lists.
#[derive(Default)]
struct Progress {
    /// The state that it is in.
    at: &'static str,
    /// How many states it has come into.
    visit: usize,
    /// How often it has been in each state.
    visits: BTreeMap<&'static str, usize>,
    next: Option<Planned>,
    /// Whether the pause before the next decision has begun.
    pausing: bool,
}

impl Conformance {
    /// A script that nobody has played yet.
    #[must_use]
    pub fn new(script: Script) -> Conformance {
        let (pauses, paused) = mpsc::unbounded_channel();
        Conformance {
            script,
            progress: Mutex::default(),
            concluded: Mutex::default(),
            data: Mutex::default(),
            pauses,
            paused: Mutex::new(Some(paused)),
        }
    }

    /// The door at which its participant comes in.
    #[must_use]
    pub fn connectors(&self) -> Connectors {
        Connectors::of_anybody(self.script.listen, &self.script.peer)
    }

    /// The catalogue, to be negotiated at that address.
    pub(crate) fn offers(&self, endpoint: &str) -> Vec<DatasetOffer> {
        let offer = |item: &Item| DatasetOffer {
            id: item.id.clone(),
            title: item.title.clone(),
            description: None,
            conforms_to: Vec::new(),
            offer_id: item.offer.clone(),
            policy: item.policy.clone(),
            endpoint: endpoint.to_owned(),
            formats: vec![crate::formats::PULL.to_owned()],
        };
        self.script.datasets.iter().map(offer).collect()
    }

    /// What our side does now in a negotiation; `None` while it is the other's turn, or time.
    ///
    /// # Errors
    /// `internal` without randomness.
    pub(crate) fn negotiation(
        &self,
        node: &Node,
        state: &Negotiation,
    ) -> Result<Option<negotiation::Decision>, Problem> {
        let (pid, at) = (&state.party.own_pid, state.state.name());
        let word = match self.dataset(state) {
            Some(item) if state.party.role == Role::Provider => {
                self.due((pid, at), &state.post, &item.lists, state.party.peer_pid.is_some())
            }
            None if state.party.role == Role::Provider => {
                let unknown = "the script has no such dataset";
                let first = state.state == negotiation::State::Requested;
                return Ok(first.then(|| negotiation_end(unknown)));
            }
            _ => {
                let wanted = self.script.wanted.iter();
                let named = state.offer.target.as_deref();
                let lists = wanted
                    .filter(|item| Some(item.id.as_str()) == named)
                    .map(|item| item.lists.clone())
                    .next()
                    .unwrap_or_else(good_wish);
                self.due((pid, at), &state.post, &lists, state.party.peer_pid.is_some())
            }
        };
        word.map(|word| self.decision(node, state, word)).transpose()
    }

    /// The dataset that a negotiation of ours as provider is about.
    fn dataset(&self, state: &Negotiation) -> Option<&Item> {
        self.script.dataset(&state.offer.id, state.offer.target.as_deref())
    }

    fn decision(
        &self,
        node: &Node,
        state: &Negotiation,
        word: Word,
    ) -> Result<negotiation::Decision, Problem> {
        // What we offer is ours, whatever was asked for.
        let offer = match self.dataset(state).filter(|_| state.party.role == Role::Provider) {
            Some(item) => item.as_offer(),
            None => state.offer.clone(),
        };
        Ok(match word {
            Word::Offer => negotiation::Decision::Offer(offer),
            Word::Counter => negotiation::Decision::Counter(offer),
            Word::Agree => {
                let (us, now) = (node.config.organisation.as_str(), node.clocks.wall().0);
                let wire = Wire::of(&offer, &ids::urn()?, us, &state.party.peer, now)?;
                negotiation::Decision::Agree(wire)
            }
            Word::Accept => negotiation::Decision::Accept,
            Word::Verify => negotiation::Decision::Verify,
            Word::Finalize => negotiation::Decision::Finalize,
            _ => negotiation_end("the script ends it here"),
        })
    }

    /// What the script offers of that dataset.
    pub(crate) fn offer_of(&self, dataset: &str) -> Option<Offer> {
        self.script.datasets.iter().find(|item| item.id == dataset).map(Item::as_offer)
    }

    /// An agreement was concluded: transfers may follow.
    pub(crate) fn concluded(&self, state: &Negotiation) {
        if let Some(wire) = &state.agreement {
            lock(&self.concluded).insert(wire.id.clone(), wire.target.clone());
        }
    }

    /// What our side does now in a transfer; `None` while it is the other's turn, or time.
    ///
    /// # Errors
    /// `internal` without randomness.
    pub(crate) fn transfer(
        &self,
        node: &Node,
        state: &Transfer,
    ) -> Result<Option<transfer::Decision>, Problem> {
        let (pid, at) = (&state.party.own_pid, state.state.name());
        let agreement = self.script.agreements.iter().find(|item| item.id == state.agreement_id);
        let dataset = || lock(&self.concluded).get(&state.agreement_id).cloned();
        let (lists, data) = match (agreement, dataset()) {
            (Some(item), _) => (item.lists.clone(), item.data.clone()),
            (None, Some(id)) => {
                let of = self.script.dataset("", Some(&id)).map(|item| item.data.clone());
                (good_transfer(), of.unwrap_or_default())
            }
            (None, None) => {
                let asked = (state.party.role, state.state);
                let first = asked == (Role::Provider, transfer::State::Requested);
                return Ok(first.then(|| transfer_end("the script has no such agreement")));
            }
        };
        // A provider alone starts what was requested.
        let waits = (state.party.role, state.state) == (Role::Consumer, transfer::State::Requested);
        let starts = |planned: &Planned| planned.word == Word::Start;
        let lists = match lists.get("requested") {
            Some(first) if waits && first.iter().any(starts) => Lists::new(),
            _ => lists,
        };
        let known = state.party.peer_pid.is_some();
        let Some(word) = self.due((pid, at), &state.post, &lists, known) else { return Ok(None) };
        Ok(Some(match word {
            Word::Start => {
                let provides = state.party.role == Role::Provider;
                let address = provides.then(|| self.address(node, pid, data)).transpose()?;
                transfer::Decision::Start { data_address: address }
            }
            Word::Complete => transfer::Decision::Complete,
            Word::Suspend => transfer::Decision::Suspend {
                code: CODE.to_owned(),
                reason: "the script pauses it here".to_owned(),
            },
            _ => transfer_end("the script ends it here"),
        }))
    }

    /// Where a transfer of ours finds its data.
    fn address(&self, node: &Node, pid: &str, data: String) -> Result<DataAddress, Problem> {
        let token = twinpact_proof::to_hex(&ids::random_bytes::<32>()?);
        lock(&self.data).insert(token.clone(), data);
        let root = node.connectors.root()?;
        let endpoint = format!("{root}{}/{}", door::DATA_PATH, route::segment(pid));
        Ok(data_address(endpoint, &token))
    }

    /// What there is for a token.
    fn data(&self, token: &str) -> Option<String> {
        lock(&self.data).get(token).cloned()
    }

    /// The decision whose time has come, if there is one; it is taken then.
    fn due(
        &self,
        (pid, at): (&str, &'static str),
        post: &Post,
        lists: &Lists,
        known: bool,
    ) -> Option<Word> {
        let mut progress = lock(&self.progress);
        let progress = progress.entry(pid.to_owned()).or_default();
        // An agreement that takes the place of another leaves the process where it is.
        if progress.at != at {
            let nth = progress.visits.entry(at).or_default();
            let planned = lists.get(&at.to_ascii_lowercase()).and_then(|list| list.get(*nth));
            *nth += 1;
            (progress.at, progress.next, progress.pausing) = (at, planned.copied(), false);
            progress.visit += 1;
        }
        let visit = progress.visit;
        // The other side may not have our last message yet, or not have told us its process id.
        let planned = progress.next.filter(|_| known && post.unacknowledged.is_none())?;
        if planned.pause && self.script.pause_ms > 0 {
            if !progress.pausing {
                progress.pausing = true;
                let _ = self.pauses.send(Pause { pid: pid.to_owned(), visit });
            }
            return None;
        }
        progress.next.take().map(|planned| planned.word)
    }

    /// A pause is over, unless the process has gone on without it.
    fn resume(&self, pause: &Pause) {
        let mut progress = lock(&self.progress);
        let waiting = progress.get_mut(&pause.pid).filter(|known| known.visit == pause.visit);
        if let Some(next) = waiting.and_then(|known| known.next.as_mut()) {
            next.pause = false;
        }
    }
}

fn negotiation_end(reason: &str) -> negotiation::Decision {
    negotiation::Decision::Terminate { code: CODE.to_owned(), reason: reason.to_owned() }
}

fn transfer_end(reason: &str) -> transfer::Decision {
    transfer::Decision::Terminate { code: CODE.to_owned(), reason: reason.to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the pauses of a script until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let Some(conformance) = node.conformance.clone() else { return };
    let Some(mut paused) = lock(&conformance.paused).take() else { return };
    let pause = Duration::from_millis(conformance.script.pause_ms);
    let mut waiting = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = paused.recv() => next,
            Some(_) = waiting.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some(next) = next else { return };
        let node = node.clone();
        waiting.spawn(async move {
            tokio::time::sleep(pause).await;
            go_on(&node, next).await;
        });
    }
}

/// Takes the decision that has waited. What the log refuses has stopped the node.
async fn go_on(node: &Node, pause: Pause) {
    let ours = node.clone();
    let turn = node.partition.turn(move |mut turn| {
        if let Some(conformance) = &ours.conformance {
            conformance.resume(&pause);
        }
        let now: WallTime = ours.clocks.wall();
        let Some(process) = find(turn.fold(), &pause.pid) else { return Ok(()) };
        let entries = bargain::nudged(&ours, &mut turn, process, now)?;
        match entries.is_empty() {
            true => Ok(()),
            false => turn.log(entries).map(|_| ()),
        }
    });
    let _ = turn.await;
}
