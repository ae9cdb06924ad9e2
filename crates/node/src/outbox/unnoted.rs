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
use crate::processes::{Pending, Waiting, outbox_noted};
use crate::why;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_store::Store;

/// How long after it was taken a message goes again, and how long after that: beyond what they rest
/// between two looks at their processes, 50 ms when they are set to be quick, and usually a second.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(2_250)];

/// Where first messages go.
const FIRST: [&str; 3] = ["/negotiations/request", "/negotiations/offers", "/transfers/request"];

/// How many messages wait to go again, at most; beyond that one that was taken is left at that.
pub(crate) const MAX_REPEATS: usize = 256;

/// What goes again later. It ends with the sender.
#[derive(Clone, Default)]
pub(super) struct Repeats(Arc<Mutex<JoinSet<()>>>);

/// A message to one of them, as it was sent, and where its process stood then.
pub(super) struct Copy {
    body: Vec<u8>,
    stands: Place,
}

/// Where a process stands: its state, and how many messages we have sent in it.
type Place = (&'static str, u32);

/// Whether such a connector might take this and forget it. The first message of a process is taken
/// together with the answer that names the process; a script says itself what is sent.
pub(super) fn may_forget(node: &Node, row: &Pending) -> bool {
    node.conformance.is_none()
        && node.connectors.knows(&row.peer)
        && !FIRST.contains(&row.path.as_str())
}

/// A copy of what it might forget.
pub(super) async fn copy(node: &Node, row: &Pending) -> Option<Copy> {
    let body = match &row.what {
        Waiting::Message(_) => message(node, row).await.ok()?,
        // One whose token is too old is not made anew for this.
        Waiting::Start => node.secrets.message(&row.id, node.clocks.wall())?.to_text().into_bytes(),
        _ => return None,
    };
    let stands = place(node, row, Some(&row.id)).await?;
    Some(Copy { body, stands })
}

impl Repeats {
    /// Has a message that was taken sent again.
    pub(super) fn add(&self, node: &Node, calls: &Calls, row: &Pending, copy: Copy) {
        let (node, calls, row) = (node.clone(), calls.clone(), row.clone());
        self.begin(async move { repeat(&node, &calls, &row, &copy).await });
    }

    /// Begins it if there is room; whether there is.
    fn begin(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let room = tasks.len() < MAX_REPEATS;
        if room {
            tasks.spawn(task);
        }
        room
    }

    /// Ends all of it.
    pub(super) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

async fn repeat(node: &Node, calls: &Calls, row: &Pending, copy: &Copy) {
    for rest in AGAIN {
        tokio::time::sleep(rest).await;
        let url = format!("{}{}", row.to, row.path);
        let body = copy.body.clone();
        let sending = async {
            // Looked at when it is its turn to be sent, and not before it has waited for that.
            if place(node, row, None).await != Some(copy.stands) {
                return false;
            }
            note(node, row);
            // Whatever is answered: it was taken before, and can be no more than taken again.
            let call = call(node, &row.peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES);
            let _ = Box::pin(call).await;
            true
        };
        if !calls.call(node, &row.peer, sending).await {
            return;
        }
    }
}

/// Leaves it for the story that a message goes once more.
fn note(node: &Node, row: &Pending) {
    let why = "once more, in case it was forgotten";
    let entry = outbox_noted(&row.peer, &row.pid, (why::name(&row.what), why));
    node.partition.leave(vec![entry]);
}

/// Where the process of a row stands, as long as this message of it is under way, or nothing is,
/// and we may speak.
async fn place(node: &Node, row: &Pending, under_way: Option<&str>) -> Option<Place> {
    let (pid, under_way) = (row.pid.clone(), under_way.map(str::to_owned));
    let look = move |fold: &Fold, store: &Store| {
        fold.behind.check(store.forest()).ok()?;
        if fold.processes.unacknowledged(&pid) != under_way.as_deref() {
            return None;
        }
        find(fold, &pid).map(|process| match process {
            Process::Negotiation(it) => (it.state.name(), it.post.sent),
            Process::Transfer(it) => (it.state.name(), it.post.sent),
        })
    };
    node.partition.read_between(look).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::{MAX_REPEATS, Repeats};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_waits_to_go_again_has_a_bound() {
        let repeats = Repeats::default();
        let (end, ended) = oneshot::channel::<()>();
        let first = async move { drop(ended.await) };
        assert!(repeats.begin(first));
        assert!((1..MAX_REPEATS).all(|_| repeats.begin(std::future::pending())));
        assert!(!repeats.begin(std::future::pending()), "one more");
        // Where one has ended there is room for another.
        end.send(()).unwrap();
        tokio::task::yield_now().await;
        assert!(repeats.begin(std::future::pending()));
        repeats.stop().await;
        assert!(repeats.begin(std::future::pending()), "all have ended");
    }
}
