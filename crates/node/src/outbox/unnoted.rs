//! Connectors that note the answer to a message of theirs some time after they have got it, over
//! whatever we have sent them in between (those of the Eclipse family; seen with 0.15.1, in one of
//! 240 negotiations): they take our message, forget it, and wait for it for ever. So what they have
//! taken goes to them again after a while, as long as nothing has moved since. To a connector that
//! has noted it, it is the same message once more, by its `@id`.

use super::{Calls, message};
use crate::fold::Fold;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::outbox::call;
use crate::processes::{Pending, Waiting};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use twinpact_dsp::MAX_MESSAGE_BYTES;

/// How long after it was taken a message goes again, and how long after that: beyond what they rest
/// between two looks at their processes, 50 ms when they are set to be quick, and usually a second.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(2_250)];

/// Where first messages go.
const FIRST: [&str; 3] = ["/negotiations/request", "/negotiations/offers", "/transfers/request"];

/// What goes again later. It holds up nothing, and ends with the sender.
#[derive(Clone, Default)]
pub(super) struct Repeats(Arc<Mutex<JoinSet<()>>>);

/// A message to one of them, as it was sent.
pub(super) struct Copy(Vec<u8>);

/// A copy of what such a connector might take and forget. The first message of a process is none:
/// it is taken together with the answer that names the process.
pub(super) async fn copy(node: &Node, row: &Pending) -> Option<Copy> {
    let is_message = matches!(row.what, Waiting::Message(_) | Waiting::Start);
    let is_first = FIRST.contains(&row.path.as_str());
    // A script says itself what is sent.
    let is_to_one = node.conformance.is_none() && node.connectors.knows(&row.peer);
    match is_message && !is_first && is_to_one {
        true => message(node, row).await.ok().map(Copy),
        false => None,
    }
}

impl Repeats {
    /// Has a message that was taken sent again.
    pub(super) fn add(&self, node: &Node, calls: &Calls, row: &Pending, copy: Copy) {
        let (node, calls, row) = (node.clone(), calls.clone(), row.clone());
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { repeat(&node, &calls, &row, &copy).await });
    }

    /// Ends all of it.
    pub(super) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

async fn repeat(node: &Node, calls: &Calls, row: &Pending, copy: &Copy) {
    let Some(stands) = place(node, row).await else { return };
    for rest in AGAIN {
        tokio::time::sleep(rest).await;
        if place(node, row).await != Some(stands) {
            return;
        }
        let url = format!("{}{}", row.to, row.path);
        let body = copy.0.clone();
        let sending = call(node, &row.peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES);
        // Whatever is answered: it was taken before, and can be no more than taken again.
        let _ = calls.call(node, &row.peer, Box::pin(sending)).await;
    }
}

/// Where a process stands: its state, and how many messages we have sent in it.
type Place = (&'static str, u32);

/// Where the process of a row stands, unless something else of it is under way.
async fn place(node: &Node, row: &Pending) -> Option<Place> {
    let pid = row.pid.clone();
    let look = move |fold: &Fold| match fold.processes.unacknowledged(&pid) {
        Some(_) => None,
        None => find(fold, &pid).map(|process| match process {
            Process::Negotiation(it) => (it.state.name(), it.post.sent),
            Process::Transfer(it) => (it.state.name(), it.post.sent),
        }),
    };
    node.partition.read_between(move |fold, _| look(fold)).await.ok().flatten()
}
