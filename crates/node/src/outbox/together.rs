//! Documents that go to one partner together: of agreements and receipts there can be hundreds a
//! second, nobody waits for any of them, and a call costs both sides more than what it carries.
//!
//! Who signs one now and then has it sent at once. While more come, lists of them go out [`GAP`]
//! apart, and each is taken whole or not at all. What is refused as part of a list is sent by
//! itself, with its own attempts, and keeps back none of the others.

use super::{Calls, NEEDLESS, REST, Row, base, call, deliver_or_rest, is_gone, is_wanted};
use crate::documents;
use crate::open::Node;
use crate::processes::{DOCUMENTS_PATH, Paper, Waiting, outbox_done};
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_model::problem::Problem;

/// The least time between two lists to one partner.
const GAP: Duration = Duration::from_millis(50);
/// How many bytes a list has at most.
const MAX_LIST_BYTES: usize = 256 << 10;

/// When a list went to each partner last.
#[derive(Default)]
pub(super) struct Posts(HashMap<String, Instant>);

impl Posts {
    /// When the next list may go to a partner, when that is not now.
    pub(super) fn next(&self, peer: &str) -> Option<Instant> {
        self.0.get(peer).map(|last| *last + GAP)
    }

    pub(super) fn begun(&mut self, peer: &str) {
        self.0.insert(peer.to_owned(), Instant::now());
    }

    /// Forgets those to whom one may go.
    pub(super) fn forget(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, last| *last + GAP > now);
    }
}

/// Sends these documents to the partner of all of them; the numbers of those that are to be sent
/// one by one from now on. While the partner is out of reach the first is tried again and again,
/// and the others wait for that.
pub(super) async fn send(node: &Node, calls: &Calls, peer: &str, mut rows: Vec<Row>) -> Vec<u64> {
    let looked = node.partition.read_between(|fold, store| {
        let wanted = |(number, row): &mut Row| is_wanted(fold, store, *number, row);
        rows.extract_if(.., |row| !wanted(row)).collect::<Vec<Row>>()
    });
    let needless = looked.await.unwrap_or_default();
    let settled = match needless.is_empty() {
        true => Ok(()),
        false => settle(node, peer, &needless, Some(NEEDLESS)).await,
    };
    let Some(first) = rows.first().cloned() else {
        return or_rest(settled).await;
    };
    let Ok(Written { url, body, count: count @ 1.. }) = written(node, peer, &rows).await else {
        // What is not there any more, and who is gone, is for its own attempt to find.
        return vec![first.0];
    };
    // The others are part of the next list.
    rows.truncate(count);
    let sending = pin!(call(node, peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES));
    match calls.call(node, peer, sending).await.map(|reply| reply.status) {
        Ok(200..300) => or_rest(settle(node, peer, &rows, None).await).await,
        Ok(408 | 425 | 429 | 503) => Box::pin(probed(node, calls, &first)).await,
        Err(problem) if !is_gone(&first.1, &problem) => Box::pin(probed(node, calls, &first)).await,
        _ => rows.iter().map(|(number, _)| *number).collect(),
    }
}

async fn probed(node: &Node, calls: &Calls, first: &Row) -> Vec<u64> {
    deliver_or_rest(node, calls, first).await;
    Vec::new()
}

/// What cannot be put on record is tried again after a rest.
async fn or_rest(settled: Result<(), Problem>) -> Vec<u64> {
    if settled.is_err() {
        tokio::time::sleep(REST).await;
    }
    Vec::new()
}

/// Whether a document may be part of a list.
pub(super) const fn goes_with_others(what: &Waiting) -> bool {
    matches!(what, Waiting::Paper(Paper::Agreement(_) | Paper::Receipt(_)))
}

/// The first documents as they are sent: one as it is, several as a list.
struct Written {
    url: String,
    body: Vec<u8>,
    count: usize,
}

async fn written(node: &Node, peer: &str, rows: &[Row]) -> Result<Written, Problem> {
    let read = node.partition.read_between(|fold, _| {
        let url = format!("{}{DOCUMENTS_PATH}", base(fold.partners.get(peer)?));
        let source = |(_, row): &Row| match &row.what {
            Waiting::Paper(paper) => documents::source(fold, paper).ok(),
            _ => None,
        };
        Ok::<_, Problem>((url, rows.iter().map_while(source).collect::<Vec<_>>()))
    });
    let (url, sources) = read.await??;
    let (mut body, mut count) = (Vec::new(), 0);
    for document in sources.iter().map_while(documents::Source::bytes) {
        if count > 0 && body.len() + document.len() + 2 > MAX_LIST_BYTES {
            break;
        }
        body.push(if count == 0 { b'[' } else { b',' });
        body.extend(document);
        count += 1;
    }
    match count {
        1 => drop(body.remove(0)),
        _ => body.push(b']'),
    }
    Ok(Written { url, body, count })
}

/// Puts on record that these were taken, or why they are not sent.
async fn settle(
    node: &Node,
    peer: &str,
    rows: &[Row],
    why: Option<&'static str>,
) -> Result<(), Problem> {
    let done = |(number, _): &Row| outbox_done(peer, *number, false, why);
    let entries = rows.iter().map(done).collect();
    node.partition.turn_soon(move |turn| turn.log(entries).map(|_| ())).await
}
