//! Documents that go to one partner together: agreements and receipts are signed by the hundred,
//! nobody waits for any of them, and a call costs both sides more than what it carries.
//!
//! Who signs one now and then has it sent at once. While more come, lists of them go out [`GAP`]
//! apart, and each is taken whole or not at all. What a list could not bring is sent one by one,
//! with its own attempts: one that is refused keeps back none of the others.

use super::{Calls, NEEDLESS, Row, base, call, is_wanted};
use crate::documents;
use crate::open::Node;
use crate::processes::{DOCUMENTS_PATH, Paper, Waiting, outbox_done};
use std::collections::HashMap;
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

/// Sends these documents to the partner of all of them; those that are to be sent one by one.
pub(super) async fn send(node: &Node, calls: &Calls, peer: &str, mut rows: Vec<Row>) -> Vec<Row> {
    let mut left: Vec<Row> = rows.extract_if(.., |(_, row)| !goes_with_others(&row.what)).collect();
    let needless: Vec<Row> = {
        let looked = node.partition.read_between(|fold, store| {
            let wanted = |(number, row): &mut Row| is_wanted(fold, store, *number, row);
            rows.extract_if(.., |row| !wanted(row)).collect()
        });
        looked.await.unwrap_or_default()
    };
    if !needless.is_empty() && settle(node, peer, &needless, Some(NEEDLESS)).await.is_err() {
        left.extend(needless);
    }
    match written(node, peer, &rows) {
        Ok((url, list, count)) if count > 1 => {
            // The others are part of the next one.
            rows.truncate(count);
            let sending = call(node, peer, "POST", url, Vec::new(), list, MAX_MESSAGE_BYTES);
            let taken = calls.call(node, peer, sending).await;
            let taken = taken.is_ok_and(|reply| (200..300).contains(&reply.status));
            if !taken || settle(node, peer, &rows, None).await.is_err() {
                left.append(&mut rows);
            }
        }
        // There is nothing to put beside the first.
        Ok(_) => left.extend(rows.into_iter().next()),
        Err(_) => left.append(&mut rows),
    }
    left
}

/// Whether a document may be part of a list.
const fn goes_with_others(what: &Waiting) -> bool {
    matches!(what, Waiting::Paper(Paper::Agreement(_) | Paper::Receipt(_)))
}

/// Where the list goes, its bytes, and how many of the rows are in it: the first ones.
fn written(node: &Node, peer: &str, rows: &[Row]) -> Result<(String, Vec<u8>, usize), Problem> {
    node.partition.read(|fold, _| {
        let url = format!("{}{DOCUMENTS_PATH}", base(fold.partners.get(peer)?));
        let (mut list, mut count) = (vec![b'['], 0);
        for (_, row) in rows {
            let Waiting::Paper(paper) = &row.what else { break };
            // What is not there any more is for its own attempt to find.
            let Ok(document) = documents::body(fold, paper) else { break };
            if list.len() + document.len() >= MAX_LIST_BYTES {
                break;
            }
            if count > 0 {
                list.push(b',');
            }
            list.extend(document);
            count += 1;
        }
        list.push(b']');
        Ok((url, list, count))
    })?
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
