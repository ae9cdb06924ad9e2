//! The transfer machine: every state × message × role, crossings, and what surrounds a step.

use crate::samples::{address, notice, pids, signal, transfer_request, transfer_start};
use twinpact_dsp::exchange::{MAX_RECEIVED, opening_key};
use twinpact_dsp::message::{Message, TransferStatus};
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{
    Decision, Input, State, Step, Transfer, open_as_consumer, open_as_provider, step,
};
use twinpact_dsp::{Effect, Rejected, Role, Status, Whose};
use twinpact_model::{Timestamp, WallTime};

const PEER: &str = "did:web:peer.example";

fn at(seconds: i64) -> WallTime {
    WallTime(Timestamp::from_seconds(1_000_000 + seconds))
}

fn opening(own_pid: &str) -> Opening<'_> {
    Opening {
        own_pid,
        peer: PEER,
        address: "https://peer.example/dsp",
        callback: "https://us.example/dsp/",
    }
}

fn transfer(role: Role, state: State) -> Transfer {
    let mut it = match role {
        Role::Provider => {
            let Message::TransferRequest(request) = transfer_request(None, None) else { panic!() };
            open_as_provider(PEER, &request, &pids().provider, at(0)).unwrap().next
        }
        Role::Consumer => {
            let own = pids().consumer;
            let step = open_as_consumer(opening(&own), "urn:uuid:a", "HttpData-PULL", None, at(0));
            let mut it = step.unwrap().next;
            it.party.peer_pid = Some(pids().provider);
            it
        }
    };
    it.state = state;
    it.post.unacknowledged = None;
    it
}

fn messages() -> Vec<(&'static str, Message)> {
    let id = Some("urn:uuid:m");
    vec![
        ("start", transfer_start(Some(address()), id)),
        ("completion", Message::TransferCompletion(signal(id))),
        ("suspension", Message::TransferSuspension(notice(id))),
        ("termination", Message::TransferTermination(notice(id))),
        ("error", Message::TransferError(notice(id))),
        ("verification", Message::AgreementVerification(signal(id))),
    ]
}

fn decisions() -> Vec<(&'static str, Decision)> {
    let (code, reason) = ("x".to_owned(), "why".to_owned());
    vec![
        ("start", Decision::Start { data_address: Some(address()) }),
        ("completion", Decision::Complete),
        ("suspension", Decision::Suspend { code: code.clone(), reason: reason.clone() }),
        ("termination", Decision::Terminate { code, reason }),
    ]
}

/// What the sender may send, and where it leads; everything else is refused.
const FIGURE: &str = "
    provider start REQUESTED STARTED
    either termination REQUESTED TERMINATED
    either completion STARTED COMPLETED
    either suspension STARTED SUSPENDED
    either termination STARTED TERMINATED
    either start SUSPENDED STARTED
    either termination SUSPENDED TERMINATED
";

fn figure(sender: Role, name: &str, state: State) -> Option<State> {
    ["either", sender.name()].iter().find_map(|who| {
        let key = format!("{who} {name} {} ", state.name());
        FIGURE.lines().find_map(|line| State::parse(line.trim().strip_prefix(&key)?))
    })
}

fn receive(state: &Transfer, message: &Message) -> Result<Step, Rejected> {
    step(state, Input::Received { from: PEER, message }, at(5))
}

#[test]
fn every_message_in_every_state() {
    let (mut ok, mut refused) = (0, 0);
    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            for (name, message) in messages() {
                let got = receive(&transfer(role, state), &message);
                let mut expect = figure(role.other(), name, state);
                if name == "termination" && state == State::Terminated {
                    // Both ended it at once.
                    expect = Some(State::Terminated);
                }
                match expect {
                    Some(to) => {
                        let step = got.unwrap_or_else(|e| panic!("{role:?} {state:?} {name}: {e}"));
                        assert_eq!(step.next.state, to, "{role:?} {state:?} {name}");
                        again(&step.next, &message);
                        ok += 1;
                    }
                    None => {
                        let error = got.expect_err(&format!("{role:?} {state:?} {name}"));
                        assert_eq!(error.status, Status::BadRequest);
                        assert_eq!(error.code.name, "dsp.transition");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert_eq!((ok, refused), (13 + 2, 2 * 5 * 6 - 15));
}

/// The same message again changes nothing, in memory and after a restart.
fn again(after: &Transfer, message: &Message) {
    let text = serde_json::to_string(after).unwrap();
    assert!(!text.contains("TOKEN"), "a token stands in the state: {text}");
    let stored: Transfer = serde_json::from_str(&text).unwrap();
    assert_eq!(&stored, after);
    let step = receive(&stored, message).unwrap();
    assert_eq!(&step.next, after);
    assert_eq!(step.effects, []);
}

#[test]
fn every_decision_in_every_state() {
    let mut ok = 0;
    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            for (name, decision) in decisions() {
                let before = transfer(role, state);
                let got = step(&before, Input::Decide(decision.clone()), at(5));
                let Some(to) = figure(role, name, state) else {
                    assert_eq!(got.unwrap_err().code.name, "dsp.decision");
                    continue;
                };
                let sent = got.unwrap();
                assert_eq!(sent.next.state, to);
                assert_eq!(sent.next.prior, Some(state));
                let [Effect::Send(out), ..] = sent.effects.as_slice() else { panic!() };
                let pid = before.party.peer_pid.clone().unwrap();
                assert_eq!(out.path, format!("/transfers/{pid}/{name}"));
                assert_eq!(Message::parse(&out.message.to_json()).as_ref(), Ok(&out.message));
                let text = serde_json::to_string(&sent.next).unwrap();
                assert!(!text.contains("TOKEN"), "{text}");
                assert!(!format!("{:?}", out.message).contains("TOKEN"));
                // Until it arrives nothing but an end is decided.
                for (next_name, next) in decisions() {
                    let result = step(&sent.next, Input::Decide(next), at(6));
                    assert_eq!(result.is_ok(), next_name == "termination" && !to.is_final());
                }
                ok += 1;
            }
        }
    }
    assert_eq!(ok, 13);
}

/// Two messages that crossed: both sides come to the same end, whichever arrives first.
#[test]
fn crossings_end_alike() {
    for state in [State::Requested, State::Started, State::Suspended] {
        for (ours, our_decision) in decisions() {
            for (theirs, their_decision) in decisions() {
                let legal = figure(Role::Provider, ours, state).is_some()
                    && figure(Role::Consumer, theirs, state).is_some();
                if !legal {
                    continue;
                }
                let decide = |role, decision: Decision| {
                    let step = step(&transfer(role, state), Input::Decide(decision), at(1));
                    let step = step.unwrap();
                    let Effect::Send(out) = step.effects[0].clone() else { panic!() };
                    (step.next, out.message)
                };
                let (provider, from_provider) = decide(Role::Provider, our_decision.clone());
                let (consumer, from_consumer) = decide(Role::Consumer, their_decision);
                let wins = provider.state.max(consumer.state);
                let end = |side: &Transfer, message: &Message| match receive(side, message) {
                    Ok(step) => step.next.state,
                    Err(error) => {
                        assert_eq!(error.code.name, "dsp.transition");
                        side.state
                    }
                };
                assert_eq!(end(&provider, &from_consumer), wins, "{state:?} {ours} {theirs}");
                assert_eq!(end(&consumer, &from_provider), wins, "{state:?} {ours} {theirs}");
            }
        }
    }
}

#[test]
fn once_ours_has_arrived_nothing_crosses() {
    let started = transfer(Role::Provider, State::Started);
    let suspend = decisions().remove(2).1;
    let suspended = step(&started, Input::Decide(suspend), at(1)).unwrap().next;
    let completion = &messages()[1].1;
    assert_eq!(receive(&suspended, completion).unwrap().next.state, State::Completed);
    let id = suspended.post.unacknowledged.clone().unwrap();
    let arrived = Input::Delivered { id: &id, answer: None };
    let settled = step(&suspended, arrived, at(2)).unwrap().next;
    assert_eq!(settled.prior, None);
    assert_eq!(receive(&settled, completion).unwrap_err().code.name, "dsp.transition");
    assert_eq!(settled.turn(), Whose::Ours);
    assert!(settled.waiting_for().starts_with("waiting for us, the provider, to resume"));
}

#[test]
fn a_request_opens_one_process() {
    let message = transfer_request(Some(address()), Some("urn:1"));
    let Message::TransferRequest(request) = &message else { panic!() };
    let opened = open_as_provider(PEER, request, "urn:uuid:p", at(0)).unwrap().next;
    again(&opened, &message);
    again(&opened, &transfer_request(Some(address()), Some("urn:2")));
    let other = transfer_request(None, None);
    assert_eq!(opening_key(PEER, &message), opening_key(PEER, &other));
    assert_eq!(receive(&opened, &other).unwrap_err().status, Status::Conflict);
    let stranger = Input::Received { from: "did:web:other", message: &message };
    assert_eq!(step(&opened, stranger, at(1)).unwrap_err(), Rejected::unknown());
    assert_eq!(
        receive(&transfer(Role::Consumer, State::Started), &message).unwrap_err(),
        Rejected::unknown()
    );
}

#[test]
fn a_start_can_overtake_the_answer() {
    let first = open_as_consumer(opening("urn:uuid:c"), "urn:a", "f", None, at(0)).unwrap();
    let [Effect::Send(out), ..] = first.effects.as_slice() else { panic!() };
    assert_eq!(out.path, "/transfers/request");
    assert_eq!(out.message.to_json()["callbackAddress"], "https://us.example/dsp");
    let started = receive(&first.next, &messages()[0].1).unwrap().next;
    assert_eq!(started.state, State::Started);
    assert_eq!(started.party.peer_pid.as_deref(), Some("urn:uuid:p"));
}

#[test]
fn the_other_side_is_asked() {
    // In REQUESTED a decision of ours is due, or theirs; later it is a look once a day.
    for (role, state, to, asks) in [
        (Role::Provider, State::Requested, State::Terminated, false),
        (Role::Consumer, State::Requested, State::Requested, true),
        (Role::Provider, State::Started, State::Started, true),
        (Role::Consumer, State::Suspended, State::Suspended, true),
        (Role::Consumer, State::Completed, State::Completed, false),
    ] {
        let mut it = transfer(role, state);
        it.deadline = (!state.is_final()).then_some(at(10));
        let due = step(&it, Input::Deadline, at(10)).unwrap();
        assert_eq!(due.next.state, to, "{role:?} {state:?}");
        let asked = due.effects.iter().any(|e| matches!(e, Effect::Ask { .. }));
        assert_eq!(asked, asks, "{role:?} {state:?}");
        assert_eq!(step(&it, Input::Deadline, at(9)).unwrap().next, it);
        // That they do not say where they stand is no harm while nothing is due.
        let silent = Input::Undelivered { id: "", reason: "status 404" };
        let after = step(&it, silent, at(11)).unwrap().next;
        assert_eq!(after.post.doubts > 0, state == State::Requested, "{role:?} {state:?}");
    }
    let status = |theirs| transfer(Role::Provider, theirs).status();
    for (ours, theirs, expect) in [
        (State::Started, State::Suspended, State::Suspended),
        (State::Started, State::Completed, State::Completed),
        (State::Started, State::Terminated, State::Terminated),
        (State::Suspended, State::Started, State::Suspended),
        (State::Completed, State::Started, State::Completed),
        (State::Requested, State::Started, State::Requested),
    ] {
        let it = transfer(Role::Consumer, ours);
        let after = step(&it, Input::Status(&status(theirs)), at(1)).unwrap().next;
        assert_eq!(after.state, expect, "{ours:?} {theirs:?}");
    }
    let started = transfer(Role::Consumer, State::Started);
    let suspend = decisions().remove(2).1;
    let suspended = step(&started, Input::Decide(suspend), at(1)).unwrap().next;
    let id = suspended.post.unacknowledged.clone().unwrap();
    let behind = step(&suspended, Input::Status(&status(State::Started)), at(2)).unwrap();
    assert_eq!(behind.effects, [Effect::Resend { id }]);
}

#[test]
fn messages_have_a_bound() {
    let mut it = transfer(Role::Provider, State::Started);
    let mut n = it.post.received.len();
    loop {
        let id = format!("urn:{n}");
        let message = match it.state {
            State::Started => Message::TransferSuspension(notice(Some(&id))),
            _ => transfer_start(None, Some(&id)),
        };
        match receive(&it, &message) {
            Ok(step) => it = step.next,
            Err(error) => break assert!(error.reason.contains("too many"), "{error}"),
        }
        n += 1;
    }
    assert_eq!(n, MAX_RECEIVED);
    assert!(receive(&it, &messages()[3].1).is_ok());
}

/// That they have suspended is learned by asking, and then the start comes that came before.
#[test]
fn what_was_learned_by_asking_counts_as_a_move() {
    let take = |state: &Transfer, message: &Message| {
        step(state, Input::Received { from: PEER, message }, at(1)).unwrap().next
    };
    let start = transfer_start(Some(address()), None);
    let started = take(&transfer(Role::Consumer, State::Requested), &start);
    let status = TransferStatus { pids: started.party.pids(), state: State::Suspended };
    let answer = Message::Transfer(status);
    let suspended = step(&started, Input::Status(&answer), at(2)).unwrap().next;
    assert_eq!(suspended.state, State::Suspended);
    assert_eq!(take(&suspended, &start).state, State::Started);
}

/// A message without an `@id` may say the same twice, and mean it: who suspends, resumes and
/// suspends again is suspended.
#[test]
fn the_same_words_at_another_time_are_another_message() {
    let take = |state: &Transfer, message: &Message| {
        step(state, Input::Received { from: PEER, message }, at(1)).unwrap().next
    };
    let suspension = Message::TransferSuspension(notice(None));
    let start = transfer_start(None, None);
    for role in [Role::Provider, Role::Consumer] {
        let started = transfer(role, State::Started);
        let suspended = take(&started, &suspension);
        assert_eq!(suspended.state, State::Suspended);
        assert_eq!(take(&suspended, &suspension), suspended, "a repeat");
        // They resume, and a copy of that comes.
        let resumed = take(&suspended, &start);
        assert_eq!((resumed.state, take(&resumed, &start)), (State::Started, resumed.clone()));
        let again = take(&resumed, &suspension);
        assert_eq!(again.state, State::Suspended, "{role:?}");
        assert_eq!(take(&again, &start).state, State::Started, "{role:?}");
        // We resume; until that is heard, it is a copy.
        let decision = Input::Decide(Decision::Start { data_address: None });
        let mut ours = step(&suspended, decision, at(2)).unwrap().next;
        assert_eq!(take(&ours, &suspension), ours);
        let id = ours.post.unacknowledged.clone().unwrap();
        assert!(ours.acknowledge(&id));
        assert_eq!(take(&ours, &suspension).state, State::Suspended, "{role:?}");
    }
}
