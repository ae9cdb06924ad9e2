//! Calls that messages of several processes share: what is to go to one partner at one time goes
//! with one call ([`crate::messages`]).
//!
//! Only the call is shared. Each message has its own answer, and what that means, its attempts and
//! its end are its own affair. One that has failed is tried again alone, so that what breaks a call
//! does not break the next.

use super::{Calls, Row, answer_in, base, call, message, settle_taken};
use crate::messages::{self, MAX_MESSAGES, MESSAGES_PATH};
use crate::open::Node;
use crate::outbound::Reply;
use crate::processes::{Pending, Waiting};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// How many bytes the messages of one call have at most.
const MAX_SHARED_BYTES: usize = 256 << 10;
/// For how long a partner that takes no messages together is sent them one by one.
const ONE_BY_ONE: Duration = Duration::from_secs(600);

/// A message that waits for a call.
struct Letter {
    row: Row,
    told: oneshot::Sender<Told>,
}

/// What became of a message.
#[derive(Clone)]
pub(super) enum Told {
    /// It was taken, and that is on record.
    Settled,
    /// What the partner said, or why it could not be asked.
    Answered(Result<Reply, Problem>),
    /// It is to be sent by itself.
    Alone,
}

/// What a call came to.
enum Called {
    /// An answer to each message.
    Each(Vec<Told>),
    /// The same for all of them: nothing that was said of one.
    All(Told),
}

impl Told {
    /// Whether the partner could not be asked, or can take nothing now: then it need not be asked
    /// for the rest.
    fn is_away(&self) -> bool {
        match self {
            Told::Answered(Err(problem)) => problem.code != codes::PEER_ANSWER,
            Told::Answered(Ok(reply)) => is_busy(reply.status),
            Told::Settled | Told::Alone => false,
        }
    }

    fn is_taken(&self) -> bool {
        matches!(self, Told::Answered(Ok(reply)) if (200..300).contains(&reply.status))
    }

    /// The row, when its message was taken, and what it was answered with. Some answer with what
    /// they were sent, and a start may hold a token.
    fn taken(&self, row: &Row) -> Option<(Row, Option<Box<Message>>)> {
        match self {
            Told::Answered(Ok(Reply { body, .. })) if self.is_taken() => {
                let looked_at = if row.1.what == Waiting::Start { &[][..] } else { body };
                Some((row.clone(), answer_in(&String::from_utf8_lossy(looked_at))))
            }
            _ => None,
        }
    }
}

/// The messages that wait, and the partners that have taken none together.
#[derive(Default)]
pub(super) struct Letters {
    waiting: Mutex<Bags>,
    one_by_one: Mutex<HashMap<String, Instant>>,
}

/// Bags of messages, each to one partner and with one who carries it.
#[derive(Default)]
struct Bags {
    bags: HashMap<u64, Vec<Letter>>,
    /// The bag of each partner that takes more.
    open: HashMap<String, u64>,
    last: u64,
}

impl Letters {
    fn waiting(&self) -> MutexGuard<'_, Bags> {
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

    /// Puts a message into the open bag for its partner. Who finds none carries the new one, with
    /// all that come into it until it is taken.
    fn put(&self, letter: Letter) -> Option<Carrier<'_>> {
        let mut waiting = self.waiting();
        let Bags { bags, open, last } = &mut *waiting;
        let peer = letter.row.1.peer.clone();
        let bag = open.get(&peer).and_then(|number| bags.get_mut(number));
        if let Some(bag) = bag.filter(|bag| bag.len() < MAX_MESSAGES) {
            bag.push(letter);
            return None;
        }
        *last += 1;
        bags.insert(*last, vec![letter]);
        open.insert(peer.clone(), *last);
        Some(Carrier { letters: self, peer, number: *last })
    }
}

/// Who carries a bag. Should it go away before, those who wait are told so.
struct Carrier<'a> {
    letters: &'a Letters,
    peer: String,
    number: u64,
}

impl Carrier<'_> {
    /// What is in the bag, into which nothing more comes.
    fn take(&self) -> Vec<Letter> {
        let mut waiting = self.letters.waiting();
        if waiting.open.get(&self.peer) == Some(&self.number) {
            waiting.open.remove(&self.peer);
        }
        waiting.bags.remove(&self.number).unwrap_or_default()
    }
}

impl Drop for Carrier<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Sends a message to its partner, with others if some are to be sent there now.
pub(super) async fn send(node: &Node, calls: &Calls, (number, row): (u64, &Pending)) -> Told {
    let letters = &calls.letters;
    if !letters.may_share(&row.peer) || !messages::is_path(&row.path) {
        return Told::Alone;
    }
    let (told, hears) = oneshot::channel();
    node.partition.between_frames().await;
    if let Some(carrier) = letters.put(Letter { row: (number, row.clone()), told }) {
        // One of many does it, and all would have room for it else.
        Box::pin(carry(node, calls, carrier)).await;
    }
    let gone = || Problem::new(codes::INTERNAL, "who was to send it has not");
    hears.await.unwrap_or_else(|_| Told::Answered(Err(gone())))
}

/// Sends what is in a bag: nearly always with one call.
async fn carry(node: &Node, calls: &Calls, carrier: Carrier<'_>) {
    let peer = carrier.peer.as_str();
    // Those that were written in one frame are sent at one time.
    yield_now().await;
    let turn = calls.turn(peer).await;
    let letters = carrier.take();
    let at_work: Vec<_> = letters.iter().map(|_| node.partition.at_work()).collect();
    // Not before they are sent: a token in one should be fresh.
    let bodies = join_all(letters.iter().map(|letter| message(node, &letter.row.1))).await;
    let (mut written, mut answered) = (Vec::new(), Vec::new());
    for (letter, body) in letters.into_iter().zip(bodies) {
        match body {
            Ok(body) => written.push((letter, body)),
            Err(problem) => answered.push((letter, Told::Answered(Err(problem)))),
        }
    }
    while !written.is_empty() {
        let mut rest = written.split_off(fitting(&written));
        let answers = match together(node, calls, peer, &written).await {
            Called::Each(answers) => answers,
            Called::All(told) => {
                if told.is_away() {
                    written.append(&mut rest);
                }
                vec![told; written.len()]
            }
        };
        answered.extend(written.into_iter().map(|(letter, _)| letter).zip(answers));
        written = rest;
    }
    drop((turn, at_work));
    settle(node, peer, answered).await;
}

/// Puts on record together which of these were taken, and tells each what became of it. What cannot
/// be put on record so is for each to try by itself.
async fn settle(node: &Node, peer: &str, mut answers: Vec<(Letter, Told)>) {
    let of = |(letter, told): &(Letter, Told)| told.taken(&letter.row);
    let taken: Vec<_> = answers.iter().filter_map(of).collect();
    taken.iter().for_each(|((_, row), _)| node.secrets.forget_message(&row.id));
    let settled = match taken.is_empty() {
        true => Vec::new(),
        false => settle_taken(node, peer, taken).await.unwrap_or_default(),
    };
    for (letter, told) in &mut answers {
        if settled.contains(&letter.row.0) {
            *told = Told::Settled;
        }
    }
    // Who has gone away needs no answer.
    answers.into_iter().for_each(|(letter, told)| drop(letter.told.send(told)));
}

/// How many of these fit into one call: at least one.
fn fitting(written: &[(Letter, Vec<u8>)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, body): &&(Letter, Vec<u8>)| {
        bytes += body.len();
        bytes <= MAX_SHARED_BYTES
    };
    written.iter().take_while(fits).count().max(1)
}

/// What each of these messages is answered with.
async fn together(node: &Node, calls: &Calls, peer: &str, written: &[(Letter, Vec<u8>)]) -> Called {
    let failed = |problem: Problem| Called::All(Told::Answered(Err(problem)));
    let place = |row: &Pending| format!("{}{}", row.to, row.path);
    if let [(letter, body)] = written {
        let (url, body) = (place(&letter.row.1), body.clone());
        return match call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES).await {
            Ok(answer) => Called::Each(vec![Told::Answered(Ok(answer))]),
            Err(problem) => failed(problem),
        };
    }
    let read = node.partition.read_between(|fold, _| fold.partners.get(peer).map(|p| base(p)));
    let base = match read.await {
        Ok(Ok(base)) => base,
        Ok(Err(problem)) | Err(problem) => return failed(problem),
    };
    let places: Vec<String> = written.iter().map(|(letter, _)| place(&letter.row.1)).collect();
    let below =
        |place: &String| place.strip_prefix(&base).is_some_and(|rest| rest.starts_with('/'));
    // The address of the partner has changed since one of them was written.
    if !places.iter().all(below) {
        return Called::All(Told::Alone);
    }
    let paths = places.iter().filter_map(|place| place.strip_prefix(&base));
    let bodies = written.iter().map(|(_, body)| body.as_slice());
    let body = messages::written(paths.zip(bodies));
    let url = format!("{base}{MESSAGES_PATH}");
    match call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES).await {
        Ok(reply) if reply.status == 200 => match messages::answers(&reply.body, written.len()) {
            Some(answers) => {
                Called::Each(answers.into_iter().map(|a| Told::Answered(Ok(a))).collect())
            }
            None => failed(unreadable()),
        },
        // This would be said to each of them. Some answer with what they were sent, and what is in
        // one message must not stand in the story of another process.
        Ok(Reply { status, .. }) if is_busy(status) => {
            Called::All(Told::Answered(Ok(Reply::whole(status, Vec::new()))))
        }
        // It takes none together, or not these: what is wrong with one must not be taken for an
        // answer to the others.
        Ok(_) => {
            calls.letters.one_by_one().insert(peer.to_owned(), Instant::now());
            Called::All(Told::Alone)
        }
        Err(problem) => failed(problem),
    }
}

/// Whether that is said by who is there and can take nothing now.
const fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=599)
}

fn unreadable() -> Problem {
    Problem::new(codes::PEER_ANSWER, "the answer does not say what became of each message")
}

#[cfg(test)]
mod tests {
    use super::{Letter, Letters, MAX_MESSAGES, MAX_SHARED_BYTES, fitting};
    use crate::processes::{Pending, Waiting};
    use tokio::sync::oneshot::{self, error::TryRecvError};
    use twinpact_model::Timestamp;

    fn letter(peer: &str) -> (Letter, oneshot::Receiver<super::Told>) {
        let (told, hears) = oneshot::channel();
        let row = Pending {
            pid: "urn:p".to_owned(),
            peer: peer.to_owned(),
            to: "https://maker.example/dsp".to_owned(),
            path: "/transfers/request".to_owned(),
            id: "urn:p#1".to_owned(),
            what: Waiting::Start,
            since: Timestamp::from_micros(0),
        };
        (Letter { row: (1, row), told }, hears)
    }

    #[test]
    fn each_bag_has_one_carrier_and_goes_to_one_partner() {
        let letters = Letters::default();
        let put = |peer: &str| letters.put(letter(peer).0);
        let first = put("a").unwrap();
        let other = put("b").unwrap();
        assert!((1..MAX_MESSAGES).all(|_| put("a").is_none()));
        // It is full: whoever comes now carries the next one.
        let second = put("a").unwrap();
        assert!(put("a").is_none());
        assert_eq!((first.take().len(), first.take().len()), (MAX_MESSAGES, 0));
        assert!(put("a").is_none(), "the second is open still");
        assert_eq!((second.take().len(), other.take().len()), (3, 1));
        // Nothing comes into one that was taken, and its carrier takes nothing of the next.
        let third = put("a").unwrap();
        drop((first, second, other));
        assert!(put("a").is_none());
        assert_eq!(third.take().len(), 2);
        drop(third);
        let waiting = letters.waiting();
        assert!(waiting.bags.is_empty() && waiting.open.is_empty());
    }

    #[test]
    fn those_whose_carrier_goes_away_are_told_so() {
        let letters = Letters::default();
        let ((first, mut hears), (second, mut hears_too)) = (letter("a"), letter("a"));
        let carrier = letters.put(first).unwrap();
        assert!(letters.put(second).is_none());
        assert_eq!(hears.try_recv().err(), Some(TryRecvError::Empty));
        drop(carrier);
        for hears in [&mut hears, &mut hears_too] {
            assert_eq!(hears.try_recv().err(), Some(TryRecvError::Closed));
        }
    }

    #[test]
    fn a_call_has_so_many_bytes_and_at_least_one_message() {
        let written = |sizes: &[usize]| {
            let one = |size: &usize| (letter("a").0, vec![0; *size]);
            sizes.iter().map(one).collect::<Vec<_>>()
        };
        let most = MAX_SHARED_BYTES;
        for (sizes, expect) in [
            (&[most][..], 1),
            (&[most + 1, 1], 1),
            (&[most - 1, 1], 2),
            (&[most - 1, 1, 1], 2),
            (&[1, most, 1], 1),
            (&[1; 64], 64),
        ] {
            assert_eq!(fitting(&written(sizes)), expect, "{sizes:?}");
        }
    }
}
