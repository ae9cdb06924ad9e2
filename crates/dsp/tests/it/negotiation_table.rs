//! The negotiation machine: every state × message × role, and what surrounds a step.

use crate::samples::{
    agreement, all, continues, contract_agreement, contract_offer, contract_request, event, notice,
    offer, opens, pids, signal,
};
use twinpact_dsp::exchange::{
    MAX_DENIALS, MAX_DOUBTS, MAX_RECEIVED, OWN_PATIENCE_S, PEER_PATIENCE_S, opening_key,
};
use twinpact_dsp::message::{Event, Message, NegotiationStatus, Offer};
use twinpact_dsp::negotiation::{
    Decision, Input, Negotiation, Opening, State, Step, offer_as_provider, offered_as_consumer,
    open_as_consumer, open_as_provider, step,
};
use twinpact_dsp::{Effect, Expect, Role, Status, Whose};
use twinpact_model::{Timestamp, WallTime};

const PEER: &str = "did:web:peer.example";

fn at(seconds: i64) -> WallTime {
    WallTime(Timestamp::from_seconds(1_000_000 + seconds))
}

fn opening(own_pid: &str) -> Opening<'_> {
    Opening {
        own_pid,
        peer: PEER,
        address: "https://peer.example/dsp/",
        callback: "https://us.example/dsp/",
    }
}

/// A negotiation of that role in that state, both process ids known.
fn negotiation(role: Role, state: State) -> Negotiation {
    let own = match role {
        Role::Provider => pids().provider,
        Role::Consumer => pids().consumer,
    };
    let mut it = match role {
        Role::Provider => offer_as_provider(opening(&own), offer(), at(0)),
        Role::Consumer => open_as_consumer(opening(&own), offer(), at(0)),
    }
    .unwrap()
    .next;
    it.party.peer_pid = Some(match role {
        Role::Provider => pids().consumer,
        Role::Consumer => pids().provider,
    });
    it.state = state;
    it.post.unacknowledged = None;
    it
}

fn messages() -> Vec<(&'static str, Message)> {
    let id = Some("urn:uuid:m");
    vec![
        ("request", contract_request(continues("urn:uuid:p"), id)),
        ("offer", contract_offer(continues("urn:uuid:c"), id)),
        ("agreement", contract_agreement(id)),
        ("verification", Message::AgreementVerification(signal(id))),
        ("accepted", event(Event::Accepted, id)),
        ("finalized", event(Event::Finalized, id)),
        ("termination", Message::NegotiationTermination(notice(id))),
        ("error", Message::NegotiationError(notice(id))),
        ("transfer", Message::TransferCompletion(signal(id))),
    ]
}

/// What is taken, the last three as what is known; everything else is refused.
const TAKEN: &str = "
    provider request OFFERED REQUESTED
    provider accepted OFFERED ACCEPTED
    provider verification AGREED VERIFIED
    consumer offer REQUESTED OFFERED
    consumer agreement REQUESTED AGREED
    consumer agreement ACCEPTED AGREED
    consumer finalized VERIFIED FINALIZED
    provider verification VERIFIED VERIFIED
    provider verification FINALIZED FINALIZED
    consumer finalized FINALIZED FINALIZED
";

fn taken(role: Role, name: &str, state: State) -> Option<State> {
    if name == "termination" && state != State::Finalized {
        return Some(State::Terminated);
    }
    let key = format!("{} {name} {} ", role.name(), state.name());
    TAKEN.lines().find_map(|line| State::parse(line.trim().strip_prefix(&key)?))
}

#[test]
fn every_message_in_every_state() {
    let (mut ok, mut refused) = (0, 0);
    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            for (name, message) in messages() {
                let before = negotiation(role, state);
                let got = step(&before, Input::Received { from: PEER, message: &message }, at(5));
                match taken(role, name, state) {
                    Some(to) => {
                        let step = got.unwrap_or_else(|e| panic!("{role:?} {state:?} {name}: {e}"));
                        assert_eq!(step.next.state, to, "{role:?} {state:?} {name}");
                        assert_eq!(step.effects.is_empty(), to == state, "{role:?} {state:?}");
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
    assert_eq!((ok, refused), (10 + 12, 2 * 7 * 9 - 22));
}

/// The same message again changes nothing, in memory and after a restart.
fn again(after: &Negotiation, message: &Message) {
    let stored: Negotiation = serde_json::from_str(&serde_json::to_string(after).unwrap()).unwrap();
    assert_eq!(&stored, after);
    let step = step(&stored, Input::Received { from: PEER, message }, at(9)).unwrap();
    assert_eq!(&step.next, after);
    assert_eq!(step.effects, []);
}

fn decisions() -> Vec<(&'static str, Decision)> {
    vec![
        ("offer", Decision::Offer(offer())),
        ("agree", Decision::Agree(agreement())),
        ("accept", Decision::Accept),
        ("verify", Decision::Verify),
        ("finalize", Decision::Finalize),
        ("counter", Decision::Counter(offer())),
        ("terminate", Decision::Terminate { code: "x".into(), reason: "why".into() }),
    ]
}

/// What we may decide, and what is sent where.
const DECIDED: &str = "
    provider offer REQUESTED OFFERED ContractOfferMessage offers
    provider agree REQUESTED AGREED ContractAgreementMessage agreement
    provider agree ACCEPTED AGREED ContractAgreementMessage agreement
    provider finalize VERIFIED FINALIZED ContractNegotiationEventMessage events
    provider terminate REQUESTED TERMINATED ContractNegotiationTerminationMessage termination
    provider terminate OFFERED TERMINATED ContractNegotiationTerminationMessage termination
    provider terminate ACCEPTED TERMINATED ContractNegotiationTerminationMessage termination
    provider terminate VERIFIED TERMINATED ContractNegotiationTerminationMessage termination
    consumer counter OFFERED REQUESTED ContractRequestMessage request
    consumer accept OFFERED ACCEPTED ContractNegotiationEventMessage events
    consumer verify AGREED VERIFIED ContractAgreementVerificationMessage agreement/verification
    consumer terminate REQUESTED TERMINATED ContractNegotiationTerminationMessage termination
    consumer terminate OFFERED TERMINATED ContractNegotiationTerminationMessage termination
    consumer terminate AGREED TERMINATED ContractNegotiationTerminationMessage termination
";

#[test]
fn every_decision_in_every_state() {
    let mut ok = 0;
    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            for (name, decision) in decisions() {
                let key = format!("{} {name} {} ", role.name(), state.name());
                let expect = DECIDED.lines().find_map(|line| line.trim().strip_prefix(&key));
                let got = step(&negotiation(role, state), Input::Decide(decision), at(5));
                let Some(expect) = expect else {
                    let error = got.expect_err(&key);
                    assert_eq!(error.code.name, "dsp.decision");
                    assert!(error.reason.contains("cannot"), "{}", error.reason);
                    continue;
                };
                let step = got.unwrap_or_else(|e| panic!("{key}: {e}"));
                let words: Vec<&str> = expect.split(' ').collect();
                assert_eq!(step.next.state.name(), words[0], "{key}");
                let [Effect::Send(out), Effect::Record(_), ..] = step.effects.as_slice() else {
                    panic!("{key}: {:?}", step.effects)
                };
                assert_eq!(out.message.name(), words[1]);
                let pid = step.next.party.peer_pid.as_deref().unwrap();
                assert_eq!(out.path, format!("/negotiations/{pid}/{}", words[2]));
                assert_eq!(out.to, "https://peer.example/dsp");
                assert_eq!(out.message.id(), step.next.post.unacknowledged.as_deref());
                assert_eq!(Message::parse(&out.message.to_json()).as_ref(), Ok(&out.message));
                ok += 1;
            }
        }
    }
    assert_eq!(ok, DECIDED.trim().lines().count());
}

#[test]
fn strangers_learn_nothing() {
    let unknown = |result: Result<Step, twinpact_dsp::Rejected>| {
        let error = result.unwrap_err();
        assert_eq!(error.status, Status::NotFound);
        assert_eq!(error, twinpact_dsp::Rejected::unknown());
    };
    let before = negotiation(Role::Provider, State::Offered);
    let good = event(Event::Accepted, None);
    unknown(step(&before, Input::Received { from: "did:web:other", message: &good }, at(1)));
    for (provider, consumer) in
        [("urn:uuid:p", "x"), ("x", "urn:uuid:c"), ("urn:uuid:c", "urn:uuid:p")]
    {
        let Message::NegotiationEvent(mut bad) = good.clone() else { panic!() };
        bad.pids.provider = provider.to_owned();
        bad.pids.consumer = consumer.to_owned();
        let message = Message::NegotiationEvent(bad);
        unknown(step(&before, Input::Received { from: PEER, message: &message }, at(1)));
    }
    // Messages of no process, and an opening of another participant.
    for message in all() {
        if message.pids() == (None, None) {
            unknown(step(&before, Input::Received { from: PEER, message: &message }, at(1)));
        }
    }
    let first = contract_request(opens(), None);
    unknown(step(&before, Input::Received { from: "did:web:other", message: &first }, at(1)));
}

fn opened(message: &Message) -> Step {
    match message {
        Message::ContractRequest(m) => open_as_provider(PEER, m, "urn:uuid:p", at(0)).unwrap(),
        Message::ContractOffer(m) => offered_as_consumer(PEER, m, "urn:uuid:c", at(0)).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_first_message_opens_one_process() {
    for message in [contract_request(opens(), None), contract_offer(opens(), Some("urn:m"))] {
        let opened = opened(&message);
        let key = opening_key(PEER, &message).unwrap();
        assert_ne!(opening_key("did:web:other", &message), Some(key));
        again(&opened.next, &message);
        assert_eq!(opened.next.party.address, "https://peer.example/dsp");
        // A new `@id` on the same content is still the same request.
        let mut json = message.to_json();
        json["@id"] = "urn:uuid:new".into();
        again(&opened.next, &Message::parse(&json).unwrap());
        json["offer"]["@id"] = "urn:uuid:another".into();
        let other = Message::parse(&json).unwrap();
        let error =
            step(&opened.next, Input::Received { from: PEER, message: &other }, at(1)).unwrap_err();
        assert_eq!((error.status, error.code.name), (Status::Conflict, "dsp.conflict"));
    }
    let Message::ContractRequest(counter) = contract_request(continues("urn:uuid:p"), None) else {
        panic!()
    };
    assert_eq!(
        open_as_provider(PEER, &counter, "urn:uuid:p", at(0)).unwrap_err().status,
        Status::NotFound
    );
}

#[test]
fn we_open_with_our_address() {
    let step = open_as_consumer(opening("urn:uuid:c"), offer(), at(0)).unwrap();
    let [Effect::Send(out), Effect::Record(record), Effect::Schedule { deadline }] =
        step.effects.as_slice()
    else {
        panic!()
    };
    assert_eq!(out.path, "/negotiations/request");
    assert_eq!(out.expect, Expect::Process);
    assert_eq!(out.message.to_json()["callbackAddress"], "https://us.example/dsp");
    assert_eq!((record.from.as_deref(), record.to.as_str()), (None, "REQUESTED"));
    assert_eq!(*deadline, at(PEER_PATIENCE_S));
    let step = offer_as_provider(opening("urn:uuid:p"), offer(), at(0)).unwrap();
    let [Effect::Send(out), ..] = step.effects.as_slice() else { panic!() };
    assert_eq!(out.path, "/negotiations/offers");
    let aimless = Offer { target: None, ..offer() };
    assert!(offer_as_provider(opening("urn:uuid:p"), aimless, at(0)).is_err());
    for bad in [
        Opening { own_pid: "", ..opening("x") },
        Opening { address: "ftp://x", ..opening("x") },
        Opening { callback: "x", ..opening("x") },
        Opening { peer: "", ..opening("x") },
    ] {
        assert!(open_as_consumer(bad, offer(), at(0)).is_err(), "{bad:?}");
    }
}

#[test]
fn their_first_message_can_overtake_their_answer() {
    let first = open_as_consumer(opening("urn:uuid:c"), offer(), at(0)).unwrap().next;
    let nothing_yet = step(&first, Input::Decide(decisions().remove(6).1), at(1)).unwrap_err();
    assert!(nothing_yet.reason.contains("not answered"), "{}", nothing_yet.reason);
    let message = contract_agreement(Some("urn:m"));
    let agreed = step(&first, Input::Received { from: PEER, message: &message }, at(1)).unwrap();
    assert_eq!(agreed.next.state, State::Agreed);
    assert_eq!(agreed.next.party.peer_pid.as_deref(), Some("urn:uuid:p"));
    // The answer is no news then, whatever it says.
    let mut other = negotiation(Role::Provider, State::Requested);
    for pid in ["urn:uuid:p", "urn:uuid:other"] {
        other.party.own_pid = pid.to_owned();
        let answer = other.status();
        let late = Input::Delivered { id: "urn:uuid:c#1", answer: Some(&answer) };
        assert_eq!(step(&agreed.next, late, at(2)).unwrap().next, agreed.next);
    }
    // An answer for another process of ours is a contradiction.
    other.party.peer_pid = Some("urn:uuid:not-ours".to_owned());
    let answer = other.status();
    let wrong = Input::Delivered { id: "urn:uuid:c#1", answer: Some(&answer) };
    assert_eq!(step(&first, wrong, at(2)).unwrap_err().code.name, "dsp.conflict");
}

#[test]
fn a_repeat_is_told_by_its_id() {
    let before = negotiation(Role::Provider, State::Offered);
    let counter = |id| contract_request(continues("urn:uuid:p"), id);
    let take = |state: &Negotiation, message: &Message| {
        step(state, Input::Received { from: PEER, message }, at(1))
    };
    let after = take(&before, &counter(Some("urn:1"))).unwrap().next;
    assert_eq!(take(&after, &counter(Some("urn:1"))).unwrap().effects, []);
    // Equal content under another id is a second counter-offer, which the state does not allow.
    assert_eq!(take(&after, &counter(Some("urn:2"))).unwrap_err().code.name, "dsp.transition");
    // A repeat is known for ever, also when the state has moved on.
    let offered = step(&after, Input::Decide(Decision::Offer(offer())), at(2)).unwrap().next;
    assert_eq!(take(&offered, &counter(Some("urn:1"))).unwrap().next, offered);
    // Without an id it is the content.
    let after = take(&before, &counter(None)).unwrap().next;
    assert_eq!(take(&after, &counter(None)).unwrap().effects, []);
    // Also while our answer is on its way; once that was heard, the same is asked a second time.
    let mut offered = step(&after, Input::Decide(Decision::Offer(offer())), at(2)).unwrap().next;
    assert_eq!(take(&offered, &counter(None)).unwrap().next, offered);
    let id = offered.post.unacknowledged.clone().unwrap();
    assert!(offered.acknowledge(&id));
    assert_eq!(take(&offered, &counter(None)).unwrap().next.state, State::Requested);
}

/// Some connectors send an agreement again under a new `@id` when the answer was late, and end the
/// negotiation when it is refused.
#[test]
fn the_same_agreement_under_another_message_id_is_known() {
    let mut state = agreed();
    let again = contract_agreement(Some("urn:uuid:2"));
    for now in [State::Agreed, State::Verified, State::Finalized] {
        state.state = now;
        let again = take(&state, &again).unwrap();
        assert_eq!((again.next, again.effects), (state.clone(), Vec::new()), "{now:?}");
    }
}

/// A consumer that has gone on from an offer knows it when it comes again.
#[test]
fn an_offer_that_was_answered_is_known_when_it_comes_again() {
    let offer = |id: &str| contract_offer(continues("urn:uuid:c"), Some(id));
    let offered =
        take(&negotiation(Role::Consumer, State::Requested), &offer("urn:1")).unwrap().next;
    let mut accepted = step(&offered, Input::Decide(Decision::Accept), at(2)).unwrap().next;
    for (state, known) in [
        (State::Requested, None),
        (State::Accepted, Some(false)),
        (State::Agreed, Some(true)),
        (State::Verified, Some(true)),
        (State::Finalized, Some(true)),
        (State::Terminated, Some(false)),
    ] {
        accepted.state = state;
        let again = take(&accepted, &offer("urn:2"));
        let got = again.map(|step| step.next == accepted);
        match known {
            // Asked again, the same may be offered again.
            None => assert_eq!(got, Ok(false), "{state:?}"),
            Some(true) => assert_eq!(got, Ok(true), "{state:?}"),
            Some(false) => assert!(got.is_err(), "{state:?}"),
        }
    }
}

/// Yesterday's logs have what a displaced agreement says without a word before it.
#[test]
fn what_older_logs_remember_is_known() {
    let anew = agreement_with("urn:uuid:2", |sent| sent.id = "urn:agreement:new".to_owned());
    let mut second = take(&agreed(), &anew).unwrap().next;
    for digest in &mut second.post.received {
        *digest = digest.strip_prefix("said:").unwrap_or(digest).to_owned();
    }
    let late = take(&second, &contract_agreement(Some("urn:uuid:3"))).unwrap();
    assert_eq!((late.next, late.effects), (second, Vec::new()));
}

/// What an agreement came of comes late under another `@id`: it is known, where it was said; what
/// was not said is refused.
#[test]
fn what_was_agreed_to_is_known_when_it_comes_again() {
    let offered = negotiation(Role::Provider, State::Offered);
    let counter = |id: &str| contract_request(continues("urn:uuid:p"), Some(id));
    let accepted = |id: &str| event(Event::Accepted, Some(id));
    for said in [counter("urn:1"), accepted("urn:1")] {
        let taken = take(&offered, &said).unwrap().next;
        let mut agreed = step(&taken, Input::Decide(Decision::Agree(agreement())), at(2));
        for state in [State::Agreed, State::Verified, State::Finalized] {
            let known = &mut agreed.as_mut().unwrap().next;
            known.state = state;
            for late in [counter("urn:2"), accepted("urn:2")] {
                let same = std::mem::discriminant(&late) == std::mem::discriminant(&said);
                let again = take(known, &late).map(|step| step.effects);
                assert_eq!(again.ok(), same.then(Vec::new), "{state:?} {late:?}");
            }
        }
    }
}

/// A consumer that has an agreement, which its provider sent as the message `urn:uuid:1`.
fn agreed() -> Negotiation {
    let requested = negotiation(Role::Consumer, State::Requested);
    take(&requested, &contract_agreement(Some("urn:uuid:1"))).unwrap().next
}

fn take(state: &Negotiation, message: &Message) -> Result<Step, twinpact_dsp::Rejected> {
    step(state, Input::Received { from: PEER, message }, at(1))
}

/// The agreement, changed, in a message of that `@id`.
fn agreement_with(id: &str, change: fn(&mut twinpact_dsp::message::Agreement)) -> Message {
    let Message::ContractAgreement(mut sent) = contract_agreement(Some(id)) else { panic!() };
    change(&mut sent.agreement);
    Message::ContractAgreement(sent)
}

/// An agreement that is drawn up anew takes the place of the first as long as the provider has not
/// finalized; what its provider knows it by is the new id. It is verified once.
#[test]
fn an_agreement_that_is_drawn_up_anew_takes_the_place_of_the_first() {
    let decide = |state: &Negotiation| step(state, Input::Decide(Decision::Verify), at(2)).unwrap();
    let sends = |step: &Step| step.effects.iter().filter(|e| matches!(e, Effect::Send(_))).count();
    for message_id in ["urn:uuid:1", "urn:uuid:2"] {
        let anew = agreement_with(message_id, |sent| {
            sent.id = "urn:agreement:new".to_owned();
            sent.timestamp = None;
        });
        for (heard, more) in [(false, 0), (true, 1)] {
            let verified = decide(&agreed());
            assert_eq!(sends(&verified), 1);
            let mut state = verified.next;
            let id = state.post.unacknowledged.clone().unwrap();
            if heard {
                assert!(state.acknowledge(&id));
            }
            // It stays verified: by the verification that is on its way, which goes once more
            // should it have been given up, or by another one.
            let again = take(&state, &anew).unwrap();
            assert_eq!((again.next.state, sends(&again)), (State::Verified, more));
            assert_eq!(again.next.agreement.as_ref().unwrap().id, "urn:agreement:new");
            let resent = again.effects.contains(&Effect::Resend { id: id.clone() });
            let under_way = again.next.post.unacknowledged.clone().unwrap();
            assert_eq!((resent, under_way == id), (!heard, !heard));
            // That the first one arrives does not say which of them it verified.
            let input = Input::Delivered { id: &under_way, answer: None };
            let arrived = step(&again.next, input, at(3)).unwrap();
            let asks = arrived.effects.iter().any(|e| matches!(e, Effect::Ask { .. }));
            assert_eq!((asks, arrived.next.is_acknowledged_by(&under_way)), (!heard, false));
            assert_eq!(arrived.next.post.unacknowledged, None);
            // The same once more is known.
            assert_eq!(take(&again.next, &anew).unwrap().effects, []);
        }
    }
    let mut over = agreed();
    over.state = State::Finalized;
    let late = agreement_with("urn:uuid:2", |sent| sent.id = "urn:agreement:new".to_owned());
    assert_eq!(take(&over, &late).unwrap_err().code.name, "dsp.transition");
}

/// A provider that says that it waits for a verification which it has taken has lost it.
#[test]
fn a_verification_that_was_lost_is_sent_again() {
    let verified = step(&agreed(), Input::Decide(Decision::Verify), at(2)).unwrap().next;
    let id = verified.post.unacknowledged.clone().unwrap();
    let mut heard = verified.clone();
    assert!(heard.acknowledge(&id));
    let ask = |state: &Negotiation, theirs: State| {
        let status = NegotiationStatus { pids: state.party.pids(), state: theirs };
        let answer = Message::Negotiation(status);
        step(state, Input::Status(&answer), at(3)).unwrap()
    };
    let sends = |step: &Step| match step.effects.as_slice() {
        [] => "nothing",
        [Effect::Resend { .. }] => "the same",
        // With its reason, for the story.
        [Effect::Send(sent), Effect::Record(_), ..]
            if matches!(sent.message, Message::AgreementVerification(_)) =>
        {
            "another"
        }
        other => panic!("{other:?}"),
    };
    for (state, theirs, expect) in [
        (&verified, State::Agreed, "the same"),
        (&heard, State::Agreed, "another"),
        (&heard, State::Verified, "nothing"),
        (&heard, State::Requested, "nothing"),
        (&agreed(), State::Agreed, "nothing"),
    ] {
        let step = ask(state, theirs);
        assert_eq!((sends(&step), step.next.state), (expect, state.state), "{theirs:?}");
    }
}

/// A copy of the first that comes late undoes nothing, under whichever `@id`, and is acknowledged:
/// its provider knows the agreement by the new id alone.
#[test]
fn a_late_copy_of_the_first_agreement_is_known() {
    let anew = agreement_with("urn:uuid:2", |sent| sent.id = "urn:agreement:new".to_owned());
    let second = take(&agreed(), &anew).unwrap().next;
    let verified = step(&second, Input::Decide(Decision::Verify), at(2)).unwrap().next;
    for state in [second, verified] {
        for id in [Some("urn:uuid:1"), Some("urn:uuid:3"), None] {
            let late = take(&state, &contract_agreement(id)).unwrap();
            assert_eq!((late.next, late.effects), (state.clone(), Vec::new()), "{id:?}");
        }
        // And yet a third takes the place of the second.
        let third = agreement_with("urn:uuid:4", |sent| sent.id = "urn:agreement:third".to_owned());
        let third = take(&state, &third).unwrap().next;
        assert_eq!(third.agreement.as_ref().unwrap().id, "urn:agreement:third");
        assert_eq!(take(&third, &anew).unwrap().next, third);
    }
}

/// Nothing but its id and its time may be other.
#[test]
fn another_agreement_is_refused_when_there_is_one() {
    for change in [
        |sent: &mut twinpact_dsp::message::Agreement| sent.target.push('x'),
        |sent: &mut twinpact_dsp::message::Agreement| sent.assigner.push('x'),
        |sent: &mut twinpact_dsp::message::Agreement| sent.assignee.push('x'),
        |sent: &mut twinpact_dsp::message::Agreement| {
            sent.policy = serde_json::json!({ "permission": [] }).into();
        },
    ] {
        for now in [State::Agreed, State::Verified, State::Finalized] {
            let state = Negotiation { state: now, ..agreed() };
            let other = agreement_with("urn:uuid:2", change);
            assert_eq!(take(&state, &other).unwrap_err().code.name, "dsp.transition", "{now:?}");
        }
    }
}

#[test]
fn rounds_have_a_bound() {
    let mut it = negotiation(Role::Provider, State::Offered);
    let mut n = 0;
    loop {
        let id = format!("urn:{n}");
        let message = contract_request(continues("urn:uuid:p"), Some(&id));
        match step(&it, Input::Received { from: PEER, message: &message }, at(1)) {
            Ok(step) => it = step.next,
            Err(error) => break assert!(error.reason.contains("too many"), "{error}"),
        }
        it = step(&it, Input::Decide(Decision::Offer(offer())), at(1)).unwrap().next;
        n += 1;
    }
    assert_eq!(n, MAX_RECEIVED);
    let end = Message::NegotiationTermination(notice(None));
    let ended = step(&it, Input::Received { from: PEER, message: &end }, at(1)).unwrap();
    assert_eq!(ended.next.state, State::Terminated);
    assert_eq!(ended.next.ended.unwrap().code.as_deref(), Some("dsp.overdue"));
}

#[test]
fn a_deadline_says_whose_turn_it_is() {
    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            let mut it = negotiation(role, state);
            it.deadline = (!state.is_final()).then_some(at(10));
            let early = step(&it, Input::Deadline, at(9)).unwrap();
            assert_eq!((early.next, early.effects), (it.clone(), vec![]));
            let step = step(&it, Input::Deadline, at(10)).unwrap();
            let text = it.waiting_for();
            match it.turn() {
                Whose::Nobody => {
                    assert!(state.is_final() && step.effects.is_empty());
                    assert!(text.starts_with("nothing"), "{text}");
                }
                Whose::Ours => {
                    assert_eq!(step.next.state, State::Terminated);
                    assert!(text.contains("waiting for us") && text.contains("until"), "{text}");
                }
                Whose::Peers => {
                    assert_eq!(step.next.state, state);
                    assert_eq!(step.next.deadline, Some(at(10 + PEER_PATIENCE_S)));
                    assert!(step.effects.iter().any(|e| matches!(e, Effect::Ask { .. })));
                    assert!(text.contains(PEER), "{text}");
                }
            }
        }
    }
    let ours = open_as_provider(
        PEER,
        match &contract_request(opens(), None) {
            Message::ContractRequest(m) => m,
            _ => panic!(),
        },
        "urn:uuid:p",
        at(0),
    )
    .unwrap()
    .next;
    assert_eq!(ours.deadline, Some(at(OWN_PATIENCE_S)));
}

#[test]
fn who_was_asked_in_vain_is_left_unless_we_are_bound() {
    for (role, state, ends) in [
        (Role::Provider, State::Offered, true),
        (Role::Provider, State::Agreed, true),
        (Role::Consumer, State::Requested, true),
        (Role::Consumer, State::Accepted, true),
        (Role::Consumer, State::Verified, false),
    ] {
        let mut it = negotiation(role, state);
        for round in 0..MAX_DOUBTS {
            it.deadline = Some(at(1));
            it = step(&it, Input::Deadline, at(1)).unwrap().next;
            assert_eq!((it.state, it.post.doubts), (state, round + 1));
        }
        it.deadline = Some(at(1));
        let last = step(&it, Input::Deadline, at(1)).unwrap();
        assert_eq!(last.next.state == State::Terminated, ends, "{role:?} {state:?}");
        let told = last.effects.iter().any(|e| matches!(e, Effect::Send(_)));
        assert_eq!(told, ends);
        // An operator may end it as soon as the other side was asked in vain, by the same rule.
        let end = Decision::Terminate { code: "x".into(), reason: "y".into() };
        assert_eq!(step(&it, Input::Decide(end), at(1)).is_ok(), ends, "{role:?} {state:?}");
    }
}

#[test]
fn who_is_bound_gives_up_what_the_other_side_does_not_know_or_who_is_gone() {
    let bound = negotiation(Role::Consumer, State::Verified);
    let unknown = |it: &Negotiation, id| {
        step(it, Input::Unknown { id, reason: "status 404" }, at(1)).unwrap()
    };
    // What became of another message says nothing.
    assert_eq!(unknown(&bound, "urn:other").next, bound);
    let mut it = bound.clone();
    for round in 1..MAX_DENIALS {
        let denied = unknown(&it, "");
        assert_eq!((denied.next.post.denials, &denied.effects[..]), (round, &[][..]));
        assert_eq!((denied.next.state, denied.next.deadline), (State::Verified, bound.deadline));
        it = denied.next;
    }
    // That it does know it after all makes them forgotten.
    let still = negotiation(Role::Provider, State::Verified).status();
    assert_eq!(step(&it, Input::Status(&still), at(2)).unwrap().next.post.denials, 0);
    let over = unknown(&it, "");
    assert_eq!(over.next.state, State::Terminated);
    assert_eq!(over.next.ended.unwrap().code.as_deref(), Some("dsp.unknown"));
    assert!(matches!(over.effects[0], Effect::Send(_)), "it is told");
    // Who is not bound asks at once, as after any other refusal.
    let free = negotiation(Role::Consumer, State::Accepted);
    let lost = Input::Undelivered { id: "", reason: "status 404" };
    assert_eq!(unknown(&free, ""), step(&free, lost, at(1)).unwrap());

    for role in [Role::Provider, Role::Consumer] {
        for state in State::ALL {
            let it = negotiation(role, state);
            let gone = step(&it, Input::Gone { reason: "removed" }, at(1)).unwrap();
            assert!(!gone.effects.iter().any(|e| !matches!(e, Effect::Record(_))));
            match state.is_final() {
                true => assert_eq!(gone.next, it),
                false => {
                    assert_eq!((gone.next.state, gone.next.deadline), (State::Terminated, None));
                    assert_eq!(gone.next.ended.unwrap().code.as_deref(), Some("policy.revoked"));
                }
            }
        }
    }
}

#[test]
fn what_is_not_taken_is_asked_about() {
    let offered = negotiation(Role::Consumer, State::Offered);
    let accepted = step(&offered, Input::Decide(Decision::Accept), at(1)).unwrap().next;
    let id = accepted.post.unacknowledged.clone().unwrap();
    let other = Input::Undelivered { id: "urn:other", reason: "status 400" };
    assert_eq!(step(&accepted, other, at(2)).unwrap().next, accepted);
    let lost = Input::Undelivered { id: &id, reason: "status 400" };
    let asked = step(&accepted, lost, at(2)).unwrap();
    assert!(asked.effects.contains(&Effect::Ask {
        to: "https://peer.example/dsp".into(),
        path: "/negotiations/urn:uuid:p".into()
    }));
    let answer = |state| {
        let status = negotiation(Role::Provider, state).status();
        step(&asked.next, Input::Status(&status), at(3)).unwrap()
    };
    // They have it: settled. They are behind: again. They ended it: so do we.
    assert_eq!(answer(State::Accepted).next.post.unacknowledged, None);
    assert_eq!(answer(State::Offered).effects, [Effect::Resend { id: id.clone() }]);
    assert_eq!(answer(State::Terminated).next.state, State::Terminated);
    // A status of something else is no answer.
    let wrong = Message::NegotiationError(notice(None));
    assert!(step(&asked.next, Input::Status(&wrong), at(3)).is_err());

    let verified = negotiation(Role::Consumer, State::Verified);
    let finalized = negotiation(Role::Provider, State::Finalized).status();
    let step = step(&verified, Input::Status(&finalized), at(3)).unwrap();
    assert_eq!(step.next.state, State::Finalized);
}

#[test]
fn an_opening_that_nobody_takes_ends() {
    let first = open_as_consumer(opening("urn:uuid:c"), offer(), at(0)).unwrap().next;
    let id = first.post.unacknowledged.clone().unwrap();
    let lost = Input::Undelivered { id: &id, reason: "no answer after 40 attempts" };
    let ended = step(&first, lost, at(2)).unwrap();
    assert_eq!(ended.next.state, State::Terminated);
    assert_eq!(ended.next.ended.unwrap().reason, ["no answer after 40 attempts"]);
    assert!(!ended.effects.iter().any(|e| matches!(e, Effect::Send(_))));
    // Taken without a process id: it cannot be continued either.
    let bare = Input::Delivered { id: &id, answer: None };
    assert_eq!(step(&first, bare, at(2)).unwrap().next.state, State::Terminated);
    let answer = negotiation(Role::Provider, State::Requested).status();
    let good = Input::Delivered { id: &id, answer: Some(&answer) };
    let known = step(&first, good, at(2)).unwrap().next;
    assert_eq!(known.party.peer_pid.as_deref(), Some("urn:uuid:p"));
    assert_eq!(known.post.unacknowledged, None);
}
