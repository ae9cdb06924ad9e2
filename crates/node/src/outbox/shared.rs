//! Calls that messages of several processes share: what is to go to one partner at one time goes
//! with one call ([`crate::messages`]).
//!
//! Only the call is shared. Each message has its own answer, and what that means, its attempts and
//! its end are its own affair. A message that has to be sent again goes alone, so that one that
//! breaks a call takes no attempts of others.

use super::{Calls, base, call};
use crate::messages::{self, MAX_MESSAGES, MESSAGES_PATH};
use crate::open::Node;
use crate::outbound::Reply;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// How many bytes the messages of one call have at most.
const MAX_SHARED_BYTES: usize = 256 << 10;
/// For how long a partner that takes no messages together is sent them one by one.
const ONE_BY_ONE: Duration = Duration::from_secs(600);

/// A message that waits for a call.
struct Letter {
    url: String,
    body: Vec<u8>,
    told: oneshot::Sender<Told>,
}

/// What the partner said; `None` when the message is to be sent by itself.
type Told = Option<Result<Reply, Problem>>;

/// The messages that wait, by partner; and since when one has taken none together.
#[derive(Default)]
pub(super) struct Letters {
    waiting: Mutex<HashMap<String, Vec<Letter>>>,
    one_by_one: Mutex<HashMap<String, Instant>>,
}

impl Letters {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Vec<Letter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_by_one(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.one_by_one.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether messages to that partner may share calls.
    fn may_share(&self, peer: &str) -> bool {
        let mut since = self.one_by_one();
        since.retain(|_, since| since.elapsed() < ONE_BY_ONE);
        !since.contains_key(peer)
    }

    /// Puts a message to those that wait. Whether it is the first: who has brought it sends it, and
    /// all that have come until then.
    fn put(&self, peer: &str, letter: Letter) -> bool {
        let mut waiting = self.waiting();
        let of = waiting.entry(peer.to_owned()).or_default();
        of.push(letter);
        of.len() == 1
    }
}

/// Whoever sends what waits for a partner. Should it go away before, the others are told so.
struct Postman<'a> {
    letters: &'a Letters,
    peer: &'a str,
}

impl Postman<'_> {
    fn take(self) -> Vec<Letter> {
        self.letters.waiting().remove(self.peer).unwrap_or_default()
    }
}

impl Drop for Postman<'_> {
    fn drop(&mut self) {
        drop(self.letters.waiting().remove(self.peer));
    }
}

/// Sends a message to a partner, with others if some are to be sent there now.
pub(super) async fn send(
    node: &Node,
    calls: &Calls,
    peer: &str,
    (url, body): (String, Vec<u8>),
) -> Result<Reply, Problem> {
    let letters = &calls.letters;
    if letters.may_share(peer) {
        let (told, hears) = oneshot::channel();
        let _at_work = node.partition.at_work();
        node.partition.between_frames().await;
        if letters.put(peer, Letter { url: url.clone(), body: body.clone(), told }) {
            let postman = Postman { letters, peer };
            // One of many does it, and all would have room for it else.
            Box::pin(carry(node, calls, postman)).await;
        }
        let gone = || Problem::new(codes::INTERNAL, "who was to send it has not");
        if let Some(answer) = hears.await.map_err(|_| gone())? {
            return answer;
        }
    }
    let by_itself = call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES);
    Box::pin(calls.call(node, peer, by_itself)).await
}

/// Sends all that waits for a partner, in as many calls as it takes.
async fn carry(node: &Node, calls: &Calls, postman: Postman<'_>) {
    let peer = postman.peer;
    // Those that were written in one frame are sent at one time.
    yield_now().await;
    let _turn = calls.turn(peer).await;
    let mut letters = postman.take();
    while !letters.is_empty() {
        let rest = letters.split_off(fitting(&letters));
        deliver(node, calls, peer, letters).await;
        letters = rest;
    }
}

/// How many of these fit into one call: at least one.
fn fitting(letters: &[Letter]) -> usize {
    let mut bytes = 0;
    let fits = |letter: &&Letter| {
        bytes += letter.body.len();
        bytes <= MAX_SHARED_BYTES
    };
    letters.iter().take(MAX_MESSAGES).take_while(fits).count().max(1)
}

async fn deliver(node: &Node, calls: &Calls, peer: &str, letters: Vec<Letter>) {
    if let [_] = letters[..] {
        for Letter { url, body, told } in letters {
            let answer = call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES).await;
            let _ = told.send(Some(answer));
        }
        return;
    }
    let answers = together(node, calls, peer, &letters).await;
    for (Letter { told, .. }, answer) in letters.into_iter().zip(answers) {
        // Who has gone away needs no answer.
        let _ = told.send(answer);
    }
}

/// What each of these messages is answered with.
async fn together(node: &Node, calls: &Calls, peer: &str, letters: &[Letter]) -> Vec<Told> {
    let all = |told: Told| letters.iter().map(|_| told.clone()).collect();
    let read = node.partition.read_between(|fold, _| fold.partners.get(peer).map(|p| base(p)));
    let base = match read.await {
        Ok(Ok(base)) => base,
        Ok(Err(problem)) | Err(problem) => return all(Some(Err(problem))),
    };
    let paths: Option<Vec<&str>> =
        letters.iter().map(|letter| letter.url.strip_prefix(&base)).collect();
    let Some(paths) = paths else { return all(None) };
    let bodies = letters.iter().map(|letter| letter.body.as_slice());
    let body = messages::written(paths.into_iter().zip(bodies));
    let url = format!("{base}{MESSAGES_PATH}");
    let answer = call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES).await;
    match answer {
        Ok(reply) if reply.status == 200 => match messages::answers(&reply.body, letters.len()) {
            Some(answers) => answers.into_iter().map(|answer| Some(Ok(answer))).collect(),
            None => all(Some(Err(unreadable()))),
        },
        // These would be said to each of them.
        Ok(Reply { status: 408 | 425 | 429 | 503, .. }) | Err(_) => all(Some(answer)),
        // What is wrong with one must not be taken for an answer to the others.
        Ok(reply) => {
            if matches!(reply.status, 404 | 405 | 501) {
                calls.letters.one_by_one().insert(peer.to_owned(), Instant::now());
            }
            all(None)
        }
    }
}

fn unreadable() -> Problem {
    Problem::new(codes::PEER_ANSWER, "the answer does not say what became of each message")
}
