//! Tests of what is kept of processes that are over, and of what enters the log of a message.

use super::{MAX_ENDED, Processes, entries, outbox_done, outbox_taken};
use twinpact_dsp::message::{DataAddress, TransferRequest};
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, Decision, Input, open_as_consumer, open_as_provider};
use twinpact_model::{Timestamp, WallTime};

/// The end of a transfer of ours, which the other side still has to be told.
fn ended(n: usize) -> transfer::Step {
    let (pid, now) = (format!("urn:p:{n}"), WallTime(Timestamp::from_seconds(0)));
    let request = TransferRequest {
        id: None,
        consumer_pid: format!("urn:theirs:{n}"),
        agreement_id: "urn:a".to_owned(),
        format: "HttpData-PULL".to_owned(),
        data_address: None,
        callback: "https://maker.example/dsp".to_owned(),
    };
    let asked = open_as_provider("urn:maker", &request, &pid, now).unwrap().next;
    let decision = Decision::Terminate { code: "no".to_owned(), reason: "not now".to_owned() };
    transfer::step(&asked, Input::Decide(decision), now).unwrap()
}

/// More processes of this partner that are over than are kept, each with something to say: the
/// numbers of their rows.
fn all_with_something_to_say(more: usize, peer: &str) -> (Processes, Vec<(usize, u64)>) {
    let (mut all, mut rows) = (Processes::default(), Vec::new());
    for n in 0..MAX_ENDED + more {
        let (pid, step) = (format!("urn:p:{n}"), ended(n));
        let new = entries("transfer", &step.next, (&pid, peer), None, &step.effects);
        for (at, new) in new.unwrap().iter().enumerate() {
            let number = (10 * n + at) as u64;
            all.apply(&new.entry, number).unwrap();
            rows.extend(all.outbox.contains_key(&number).then_some((n, number)));
        }
    }
    assert_eq!((all.transfers.len(), rows.len()), (MAX_ENDED + more, MAX_ENDED + more));
    assert_eq!(all.under_way(peer), (0, more));
    assert_eq!(all.open(peer), (0, 0));
    (all, rows)
}

#[test]
fn what_has_something_to_say_is_not_forgotten() {
    let (more, peer) = (10, "urn:maker");
    let (mut all, rows) = all_with_something_to_say(more, peer);
    // Each that is told goes with the frame that says so, as long as there are too many, and
    // does not come back with it.
    for (told, (n, number)) in rows.iter().rev().enumerate() {
        let (pid, id) = (format!("urn:p:{n}"), all.outbox[number].id.clone());
        all.apply(&outbox_done(peer, *number, false, None).entry, 1).unwrap();
        assert!(all.transfers.contains_key(&pid), "its frame is not over");
        let step = Input::Delivered { id: &id, answer: None };
        let now = WallTime(Timestamp::from_seconds(1));
        let step = transfer::step(&all.transfers[&pid], step, now).unwrap();
        let new = entries("transfer", &step.next, (&pid, peer), None, &step.effects).unwrap();
        new.iter().for_each(|new| all.apply(&new.entry, 2).unwrap());
        let left = (MAX_ENDED + more - 1).saturating_sub(told).max(MAX_ENDED);
        assert_eq!((all.transfers.len(), all.ended[peer].len()), (left, left), "{told}");
        assert_eq!(all.transfers.contains_key(&pid), told >= more, "{told}");
    }
    assert_eq!(all.under_way(peer), (0, 0));
    assert!(all.unsent.is_empty());
}

#[test]
fn that_a_message_was_taken_says_what_a_whole_state_would() {
    let (more, peer) = (10, "urn:maker");
    let (mut all, rows) = all_with_something_to_say(more, peer);
    for (told, (n, number)) in rows.iter().rev().enumerate() {
        let pid = format!("urn:p:{n}");
        let (row, before) = (all.outbox[number].clone(), all.transfers[&pid].clone());
        assert!(all.is_acknowledged_by(&row));
        all.apply(&outbox_taken(peer, &[*number]).entry, 1).unwrap();
        let left = (MAX_ENDED + more - 1).saturating_sub(told).max(MAX_ENDED);
        assert_eq!((all.transfers.len(), all.ended[peer].len()), (left, left), "{told}");
        assert_eq!(all.transfers.contains_key(&pid), told >= more, "{told}");
        if let Some(known) = all.transfers.get(&pid) {
            let now = WallTime(Timestamp::from_seconds(1));
            let step = Input::Delivered { id: &row.id, answer: None };
            assert_eq!(*known, transfer::step(&before, step, now).unwrap().next);
            assert!(!all.is_acknowledged_by(&row), "once");
        }
    }
    assert_eq!(all.under_way(peer), (0, 0));
    assert!(all.unsent.is_empty() && all.outbox.is_empty() && all.next_deadline().is_none());
}

#[test]
fn what_is_said_of_many_at_once_is_what_is_said_of_each() {
    let (more, peer) = (10, "urn:maker");
    let (mut together, rows) = all_with_something_to_say(more, peer);
    let mut alone = together.clone();
    let numbers: Vec<u64> = rows.iter().rev().map(|(_, number)| *number).collect();
    for some in numbers.chunks(7) {
        together.apply(&outbox_taken(peer, some).entry, u64::MAX).unwrap();
        for number in some {
            // Of one it is written as it was before many could be.
            let one = outbox_taken(peer, &[*number]).entry;
            assert_eq!(one.what[0].datatype, "integer");
            alone.apply(&one, u64::MAX).unwrap();
        }
        assert!(format!("{together:?}") == format!("{alone:?}"), "{some:?}");
    }
    assert!(together.outbox.is_empty());
    assert!(together.apply(&outbox_taken(peer, &[]).entry, 1).is_err(), "of none nothing is said");
}

#[test]
fn where_to_send_is_logged_without_its_key() {
    let address = DataAddress {
        endpoint_type: "urn:http".to_owned(),
        endpoint: Some("https://maker.example/in".to_owned()),
        properties: vec![("authorization".to_owned(), "the-key".to_owned())],
    };
    let at = "https://maker.example/dsp";
    let opening = Opening { own_pid: "urn:p", peer: "urn:o", address: at, callback: at };
    let now = WallTime(Timestamp::from_seconds(0));
    let step = open_as_consumer(opening, "urn:a", "HttpData-PUSH", Some(address), now).unwrap();
    let logged = entries("transfer", &step.next, ("urn:p", "urn:o"), None, &step.effects);
    let text: String = logged.unwrap().iter().map(|new| format!("{:?}", new.entry)).collect();
    assert!(text.contains("https://maker.example/in"), "{text}");
    assert!(!text.contains("the-key"), "{text}");
}
