//! What two nodes decide by themselves in a negotiation, what waits for a person, and what comes of
//! what that person decides.

use crate::forged::channels;
use crate::pair::{MAKER, OPERATOR, Pair, fill, make, pin, start, until};
use serde_json::{Value, json};
use std::io::Write as _;
use twinpact_contract::{Order, compare, odrl};
use twinpact_dsp::exchange::OWN_PATIENCE_S;
use twinpact_dsp::message::Offer;
use twinpact_dsp::negotiation::{self, Negotiation, Opening, State, Step};
use twinpact_model::{WallTime, codes};
use twinpact_node::api::{Negotiate, OfferAsked};
use twinpact_node::negotiate::opened_negotiation;
use twinpact_node::negotiations::{Wish, decide, list, offer, show};
use twinpact_node::why::{self, why};
use twinpact_node::{Node, consumer, contracts, deadlines, metrics, ready};
use twinpact_testkit::free_port;

/// Two that know each other and have agreed on nothing; the operator shows something, and decides
/// by hand about the maker if that is wanted.
async fn met(by_hand: bool) -> Pair {
    let more = format!("\n[negotiation]\nby_hand = [\"{MAKER}\"]");
    met_with(if by_hand { &more } else { "" }).await
}

/// The same, with that in the operator's configuration.
async fn met_with(more: &str) -> Pair {
    met_under(more, "").await
}

/// The same, with that in the configurations of the operator and of the maker.
async fn met_under(operators: &str, makers: &str) -> Pair {
    let place = tempfile::tempdir().unwrap();
    let (ours, theirs) = (free_port(), free_port());
    make(&place.path().join("operator"), OPERATOR, (ours, theirs));
    make(&place.path().join("maker"), MAKER, (theirs, ours));
    for (whose, more) in [("operator", operators), ("maker", makers)] {
        let path = place.path().join(whose).join("twinpact.toml");
        let mut config = std::fs::File::options().append(true).open(path).unwrap();
        writeln!(config, "{more}").unwrap();
    }
    let operator = start(&place.path().join("operator")).await;
    let maker = start(&place.path().join("maker")).await;
    let pair = Pair { place, operator, maker };
    pin(pair.operator(), pair.maker()).await;
    pin(pair.maker(), pair.operator()).await;
    fill(pair.operator()).await;
    pair
}

/// The operator's offer with its contract's terms.
fn own_offer(pair: &Pair) -> Offer {
    own_offer_of(pair.operator())
}

fn own_offer_of(node: &Node) -> Offer {
    let read = node.partition.read(|fold, _| {
        let contract = fold.contracts.iter().next().unwrap();
        Offer {
            id: contracts::offer_id(contract),
            target: Some(contract.view_id()),
            assigner: None,
            assignee: None,
            policy: Value::Object(contract.terms().to_odrl()).into(),
        }
    });
    read.unwrap()
}

/// Use without any bound: more than any contract of these tests grants.
fn wide() -> Value {
    json!({ "permission": [{ "action": "use" }] })
}

/// The contract's terms with one bound more.
fn narrow(pair: &Pair) -> Value {
    let bound = json!({ "leftOperand": "dateTime", "operator": "lt",
        "rightOperand": { "@value": "2030-01-01T00:00:00Z", "@type": "xsd:dateTime" } });
    let mut policy = Value::clone(&own_offer(pair).policy);
    let constraints = policy["permission"][0]["constraint"].as_array_mut().unwrap();
    constraints.push(bound);
    policy
}

async fn log(node: &Node, step: &Step) -> String {
    let entries = opened_negotiation(step).unwrap();
    node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
    step.next.party.own_pid.clone()
}

/// The maker asks for those terms; its pid.
async fn asked(pair: &Pair, policy: Value) -> String {
    asked_for(pair, Offer { policy: policy.into(), ..own_offer(pair) }).await
}

/// The operator offers its contract unasked; the pid at the maker.
pub(crate) async fn offered(pair: &Pair) -> String {
    // One on the same terms that is on its way to its end would be the answer.
    until(pair.operator(), |fold| {
        let mut all = fold.processes.negotiations.values();
        all.all(|n| n.state.is_final() || n.state == State::Offered)
    })
    .await;
    let shown = offer(pair.operator(), &unasked(pair, None)).await.unwrap();
    assert_eq!((shown.line.state.as_str(), shown.line.turn.as_str()), ("OFFERED", "peers"));
    other(pair.maker(), &shown.line.pid).await
}

/// The operator's view for the maker, on these terms.
fn unasked(pair: &Pair, policy: Option<Value>) -> OfferAsked {
    let dataset = own_offer(pair).target.unwrap();
    OfferAsked { partner: MAKER.to_owned(), dataset, policy }
}

fn address(node: &Node) -> String {
    let read =
        node.partition.read(|fold, _| fold.organisation.current().map(|(r, _)| r.dsp.clone()));
    read.unwrap().unwrap()
}

/// The pid here of the process with that pid there, as soon as it is known.
async fn other(node: &Node, theirs: &str) -> String {
    let named = |n: &&Negotiation| n.party.peer_pid.as_deref() == Some(theirs);
    until(node, |fold| fold.processes.negotiations.values().any(|n| named(&n))).await;
    let read = node.partition.read(|fold, _| {
        let found = fold.processes.negotiations.values().find(named).unwrap();
        found.party.own_pid.clone()
    });
    read.unwrap()
}

async fn comes_to(node: &Node, pid: &str, state: State) -> Negotiation {
    let at = |state: &State, of: &twinpact_node::fold::Fold| {
        of.processes.negotiations.get(pid).is_some_and(|n| n.state == *state)
    };
    until(node, |fold| at(&state, fold)).await;
    node.partition.read(|fold, _| fold.processes.negotiations.get(pid).cloned()).unwrap().unwrap()
}

/// That both have the same agreement, on terms that stand so to the contract's.
async fn agreed(pair: &Pair, pid: &str, order: Order) {
    let ours = comes_to(pair.maker(), pid, State::Finalized).await.agreement.unwrap();
    let theirs = other(pair.operator(), pid).await;
    let held = comes_to(pair.operator(), &theirs, State::Finalized).await.agreement.unwrap();
    assert_eq!(ours.id, held.id);
    let known = pair.maker().partition.read(|fold, _| fold.agreements.iter().count()).unwrap();
    assert_eq!(known, 1);
    let terms = |policy: &Value| odrl::read(policy).unwrap().terms;
    let contract = terms(&own_offer(pair).policy);
    let compared = compare(&terms(&ours.policy), &contract, &pair.maker().vocabulary);
    assert_eq!(compared.order, order, "{:?}", compared.differences);
}

/// That a decision is refused with that code, and nothing has changed at this node.
async fn refused(node: &Node, pid: &str, wish: Wish, code: &str) -> String {
    let known = |node: &Node| {
        let read = node.partition.read(|fold, _| fold.processes.negotiations.get(pid).cloned());
        read.unwrap()
    };
    // That our last message has arrived is noted a moment after it has.
    until(node, |fold| fold.processes.unacknowledged(pid).is_none()).await;
    let before = known(node);
    let problem = decide(node, pid, wish).await.unwrap_err();
    assert_eq!(problem.code.name, code, "{problem}");
    assert_eq!(known(node), before);
    problem.message
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_more_is_offered_the_contract_and_a_person_accepts_it() {
    let pair = met(false).await;
    let (maker, operator) = (pair.maker(), pair.operator());
    let pid = asked(&pair, wide()).await;
    comes_to(maker, &pid, State::Offered).await;
    let line = list(maker).unwrap().remove(0);
    assert_eq!((line.pid.as_str(), line.turn.as_str()), (pid.as_str(), "ours"));
    let shown = show(maker, &pid).unwrap();
    assert_eq!(shown.choices, ["accept", "counter", "terminate"]);
    assert!(shown.asked.is_some() && !shown.differences.is_empty(), "{shown:?}");
    assert!(shown.terms.contains("predictive maintenance"), "{}", shown.terms);
    // Who asks for the same dataset meanwhile learns at once that a person has to decide.
    let wish = Negotiate { partner: OPERATOR.to_owned(), dataset: None, another: false };
    let waiting = consumer::negotiate(maker, &wish).await.unwrap_err();
    assert_eq!(waiting.code, codes::EXCHANGE_WAITING);
    assert!(waiting.message.starts_with("the partner offers other terms"), "{waiting}");
    assert!(waiting.hint.unwrap().contains(&pid));
    // The provider waits for it, and has nothing to decide but the end.
    let theirs = other(operator, &pid).await;
    assert_eq!(show(operator, &theirs).unwrap().choices, ["terminate"]);
    refused(operator, &theirs, Wish::Accept, "dsp.decision").await;
    let accepted = decide(maker, &pid, Wish::Accept).await.unwrap();
    assert_ne!(accepted.line.state, "OFFERED");
    agreed(&pair, &pid, Order::Equal).await;
    let shown = show(maker, &pid).unwrap();
    assert!(shown.choices.is_empty() && shown.agreement.is_some(), "{shown:?}");
    // The story tells the person's decision from those of the node.
    let steps = told(maker, &pid);
    for step in ["ACCEPTED: a person of ours decided to accept", "VERIFIED: we decided to verify"] {
        assert!(steps.contains(&format!("state: {step}")), "{step}: {steps:?}");
    }
    for wish in [Wish::Accept, Wish::Counter(Some(wide())), Wish::Terminate("no".to_owned())] {
        refused(maker, &pid, wish, "dsp.decision").await;
    }
    pair.stop().await;
}

/// More than the contract in one thing, and less in another: what is offered is less in both.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_more_is_offered_what_of_it_the_contract_grants() {
    let pair = met(false).await;
    let bound = narrow(&pair)["permission"][0]["constraint"].as_array().unwrap().last().cloned();
    let asked_for = json!({ "permission": [{ "action": "use", "constraint": [bound] }] });
    let pid = asked(&pair, asked_for).await;
    let offered = comes_to(pair.maker(), &pid, State::Offered).await.offer;
    let terms = |policy: &Value| odrl::read(policy).unwrap().terms;
    let got = compare(&terms(&offered.policy), &terms(&narrow(&pair)), &pair.maker().vocabulary);
    assert_eq!(got.order, Order::Equal, "{:?}", got.differences);
    decide(pair.maker(), &pid, Wish::Accept).await.unwrap();
    agreed(&pair, &pid, Order::Narrower).await;
    pair.stop().await;
}

/// No person is asked where a rule says that less is enough of this partner.
#[tokio::test(flavor = "multi_thread")]
async fn less_than_was_asked_for_is_accepted_of_whom_a_rule_names() {
    let rule = |whom: &str| format!("[negotiation]\naccept_less = [\"{whom}\"]");
    let pair = met_under("", &rule(OPERATOR)).await;
    let pid = asked(&pair, wide()).await;
    agreed(&pair, &pid, Order::Equal).await;
    pair.stop().await;
    let pair = met_under("", &rule("did:web:other.example")).await;
    let pid = asked(&pair, wide()).await;
    comes_to(pair.maker(), &pid, State::Offered).await;
    // What nobody asked for is no answer with less.
    let unasked = offered(&pair).await;
    comes_to(pair.maker(), &unasked, State::Offered).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn less_is_agreed_and_more_for_the_second_time_is_refused() {
    let pair = met(false).await;
    let maker = pair.maker();
    for (terms, state) in [(wide(), State::Terminated), (narrow(&pair), State::Finalized)] {
        let pid = asked(&pair, wide()).await;
        comes_to(maker, &pid, State::Offered).await;
        decide(maker, &pid, Wish::Counter(Some(terms))).await.unwrap();
        let end = comes_to(maker, &pid, state).await;
        match end.ended {
            Some(ended) => assert!(ended.reason[0].starts_with("it asks for more: "), "{ended:?}"),
            None => agreed(&pair, &pid, Order::Narrower).await,
        }
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_asked_for_waits_for_a_person() {
    let pair = met(false).await;
    let maker = pair.maker();
    let pid = offered(&pair).await;
    let shown = show(maker, &pid).unwrap();
    assert_eq!((shown.line.state.as_str(), shown.line.turn.as_str()), ("OFFERED", "ours"));
    assert_eq!((shown.asked, shown.differences.len()), (None, 0));
    refused(maker, &pid, Wish::Counter(None), "input.malformed").await;
    refused(maker, &pid, Wish::Counter(Some(json!({ "permission": 7 }))), "contract.odrl").await;
    for reason in [String::new(), " ".to_owned(), "x".repeat(1_001)] {
        refused(maker, &pid, Wish::Terminate(reason), "input.malformed").await;
    }
    refused(maker, "urn:uuid:nobody", Wish::Accept, "dsp.unknown").await;
    decide(maker, &pid, Wish::Accept).await.unwrap();
    agreed(&pair, &pid, Order::Equal).await;
    pair.stop().await;
}

/// A person asks for something else than was offered unasked: what lies within the contract is
/// agreed, by a person where one decides; who asks for more is offered the contract once more.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_offered_something_unasked_may_ask_for_something_else() {
    for by_hand in [false, true] {
        let pair = met(by_hand).await;
        let pid = offered(&pair).await;
        let first = show(pair.maker(), &pid).unwrap();
        let wish = Wish::Counter(Some(narrow(&pair)));
        let shown = decide(pair.maker(), &pid, wish).await.unwrap();
        assert_eq!(shown.asked, None, "what is asked for now is the offer itself");
        if by_hand {
            let theirs = other(pair.operator(), &pid).await;
            comes_to(pair.operator(), &theirs, State::Requested).await;
            let shown = show(pair.operator(), &theirs).unwrap();
            assert_eq!(shown.line.turn, "ours");
            assert_ne!(shown.terms, first.terms);
            decide(pair.operator(), &theirs, Wish::Accept).await.unwrap();
        }
        agreed(&pair, &pid, Order::Narrower).await;
        let decided = "state: REQUESTED: a person of ours decided to counter".to_owned();
        assert!(told(pair.maker(), &pid).contains(&decided));
        pair.stop().await;
    }
    let pair = met(false).await;
    let pid = offered(&pair).await;
    let more = |pid| decide(pair.maker(), pid, Wish::Counter(Some(wide())));
    more(&pid).await.unwrap();
    comes_to(pair.maker(), &pid, State::Offered).await;
    let shown = show(pair.maker(), &pid).unwrap();
    assert!(shown.asked.is_some() && !shown.differences.is_empty(), "{shown:?}");
    let theirs = other(pair.operator(), &pid).await;
    assert_eq!(show(pair.operator(), &theirs).unwrap().choices, ["terminate"]);
    decide(pair.maker(), &pid, Wish::Accept).await.unwrap();
    agreed(&pair, &pid, Order::Equal).await;
    // Another one, in which it asks for more again.
    let shown = offer(pair.operator(), &unasked(&pair, None)).await.unwrap();
    let pid = other(pair.maker(), &shown.line.pid).await;
    more(&pid).await.unwrap();
    comes_to(pair.maker(), &pid, State::Offered).await;
    more(&pid).await.unwrap();
    let ended = comes_to(pair.maker(), &pid, State::Terminated).await.ended.unwrap();
    assert!(ended.reason[0].starts_with("it asks for more: "), "{ended:?}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_offers_on_its_own_account_what_its_contract_grants_and_once() {
    let pair = met(false).await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let refused = async |change: &dyn Fn(&mut OfferAsked), code: &str| {
        let mut asked = unasked(&pair, None);
        change(&mut asked);
        let problem = offer(operator, &asked).await.unwrap_err();
        assert_eq!(problem.code.name, code, "{problem}");
    };
    refused(&|asked| asked.partner = "did:web:nobody.example".to_owned(), "partner.unknown").await;
    refused(&|asked| asked.dataset.push('x'), "contract.unknown").await;
    refused(&|asked| asked.policy = Some(wide()), "exchange.refused").await;
    refused(&|asked| asked.policy = Some(json!({ "permission": 7 })), "contract.odrl").await;
    assert!(list(operator).unwrap().is_empty() && list(maker).unwrap().is_empty());
    let less = unasked(&pair, Some(narrow(&pair)));
    let first = offer(operator, &less).await.unwrap();
    // Who does not know what became of a command gives it again; other terms are another offer.
    assert_eq!(offer(operator, &less).await.unwrap().line.pid, first.line.pid);
    let whole = offer(operator, &unasked(&pair, None)).await.unwrap();
    assert_ne!(whole.line.pid, first.line.pid);
    let (pid, left) = (other(maker, &first.line.pid).await, other(maker, &whole.line.pid).await);
    decide(maker, &left, Wish::Terminate("one is enough".to_owned())).await.unwrap();
    decide(maker, &pid, Wish::Accept).await.unwrap();
    agreed(&pair, &pid, Order::Narrower).await;
    comes_to(operator, &whole.line.pid, State::Terminated).await;
    pair.stop().await;
}

/// The last agreement that there is room for can be had in every way that one comes about.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_agreement_can_be_had_by_an_offer_and_by_a_person() {
    for by_hand in [false, true] {
        let quota = "\n[quotas]\nagreements = 1\n";
        let hand = format!("[negotiation]\nby_hand = [\"{MAKER}\"]\n");
        let pair = met_with(&format!("{quota}{}", if by_hand { &hand } else { "" })).await;
        let (operator, maker) = (pair.operator(), pair.maker());
        let pid = match by_hand {
            false => offered(&pair).await,
            true => asked(&pair, narrow(&pair)).await,
        };
        let theirs = other(operator, &pid).await;
        match by_hand {
            false => {
                let again = offer(operator, &unasked(&pair, None)).await.unwrap();
                assert_eq!(again.line.pid, theirs);
                decide(maker, &pid, Wish::Accept).await.unwrap();
            }
            // What waits for a person as well takes nobody's place.
            true => {
                let waits = asked(&pair, narrow(&pair)).await;
                other(operator, &waits).await;
                decide(operator, &theirs, Wish::Accept).await.unwrap();
            }
        }
        agreed(&pair, &pid, if by_hand { Order::Narrower } else { Order::Equal }).await;
        let more = offer(operator, &unasked(&pair, Some(narrow(&pair)))).await.unwrap_err();
        assert_eq!(more.code.name, "exchange.too_many", "{more}");
        pair.stop().await;
    }
}

/// A hidden contract and one that is not there are the same to who asks, whatever waits for a
/// person: requests for that contract, or those of this partner.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_rules_hide_is_as_one_that_is_not_there() {
    let hidden = "[[negotiation.contracts]]\nname = \"turbine-maintenance\"\n\
        only = [\"did:web:other.example\"]\n";
    let by_contract = format!("\n{hidden}by_hand = true\n");
    let by_partner = format!("\n[negotiation]\nby_hand = [\"{MAKER}\"]\n{hidden}");
    for (rules, state) in [(by_contract, State::Terminated), (by_partner, State::Requested)] {
        let pair = met_with(&rules).await;
        let nobodys = Offer { id: "urn:twinpact:offer:none".to_owned(), ..own_offer(&pair) };
        let nobodys = Offer { target: Some("https://operator.example/none".to_owned()), ..nobodys };
        for offer in [own_offer(&pair), nobodys] {
            let pid = asked_for(&pair, offer).await;
            let theirs = other(pair.operator(), &pid).await;
            let known = comes_to(pair.operator(), &theirs, state).await;
            let code = known.ended.and_then(|ended| ended.code);
            let expect = (state == State::Terminated).then_some("agreement.unknown");
            assert_eq!(code.as_deref(), expect);
        }
        let problem = offer(pair.operator(), &unasked(&pair, None)).await.unwrap_err();
        assert_eq!(problem.code.name, "exchange.refused", "{problem}");
        assert!(problem.message.contains("not shown to this partner"), "{problem}");
        pair.stop().await;
    }
}

/// The maker asks for that offer; its pid.
async fn asked_for(pair: &Pair, offer: Offer) -> String {
    let (us, peer) = (address(pair.maker()), address(pair.operator()));
    let pid = twinpact_node::ids::urn().unwrap();
    let opening = Opening { own_pid: &pid, peer: OPERATOR, address: &peer, callback: &us };
    let now = pair.maker().clocks.wall();
    log(pair.maker(), &negotiation::open_as_consumer(opening, offer, now).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_an_offer_wait_is_warned_before_it_ends_and_counted_when_it_does() {
    let pair = met(false).await;
    let maker = pair.maker();
    let pid = offered(&pair).await;
    let since = show(maker, &pid).unwrap().line.since;
    let after = |seconds: i64| WallTime(since.plus_seconds(seconds));
    let warned = |now: WallTime| {
        let warnings = ready::warnings(maker, now);
        warnings.iter().any(|warning| warning.code == "exchange.undecided")
    };
    assert!(!warned(after(OWN_PATIENCE_S / 2)) && warned(after(OWN_PATIENCE_S / 2 + 1)));
    // Half of the time is put on record once, and changes nothing else.
    let told = || {
        let steps = why::why(maker, &pid).unwrap().steps;
        steps.iter().filter(|step| step.what == "escalated").map(|step| step.text.clone()).collect()
    };
    for (after, expect) in [(after(OWN_PATIENCE_S / 2 - 1), 0), (after(OWN_PATIENCE_S / 2), 1)] {
        for _ in 0..2 {
            deadlines::fire(maker, after).await.unwrap();
            let told: Vec<String> = told();
            assert_eq!(told.len(), expect, "{told:?}");
            assert!(told.iter().all(|text| text.contains("waiting for us")), "{told:?}");
        }
    }
    assert_eq!(show(maker, &pid).unwrap().line.since, since);
    let escalated = "twinpact_processes_escalated_total{process=\"negotiation\"} 1";
    assert!(metrics::page(maker).contains(escalated));
    let count = "twinpact_processes_overdue_total{process=\"negotiation\"} 1";
    assert!(!metrics::page(maker).contains(count));
    deadlines::fire(maker, after(OWN_PATIENCE_S)).await.unwrap();
    let ended = show(maker, &pid).unwrap().ended.unwrap();
    assert_eq!((ended.by.as_str(), ended.code.as_deref()), ("nobody", Some("dsp.overdue")));
    assert!(metrics::page(maker).contains(count));
    assert!(!warned(after(OWN_PATIENCE_S)));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_nothing_is_agreed_without_a_person_and_nothing_beyond_the_contract_with_one() {
    let pair = met(true).await;
    let (maker, operator) = (pair.maker(), pair.operator());
    // More than the contract: the person cannot agree to it, nor offer it.
    let pid = asked(&pair, wide()).await;
    let theirs = other(operator, &pid).await;
    let shown = show(operator, &theirs).unwrap();
    assert_eq!((shown.line.state.as_str(), shown.line.turn.as_str()), ("REQUESTED", "ours"));
    let why = refused(operator, &theirs, Wish::Accept, "exchange.refused").await;
    assert!(why.starts_with("it asks for more: "), "{why}");
    refused(operator, &theirs, Wish::Counter(Some(wide())), "exchange.refused").await;
    decide(operator, &theirs, Wish::Counter(None)).await.unwrap();
    comes_to(maker, &pid, State::Offered).await;
    decide(maker, &pid, Wish::Terminate("too little".to_owned())).await.unwrap();
    let ended = comes_to(operator, &theirs, State::Terminated).await.ended.unwrap();
    assert_eq!(ended.reason, ["too little"]);
    let shown = show(operator, &theirs).unwrap().ended.unwrap();
    assert_eq!((shown.by.as_str(), shown.reasons.len()), ("peers", 1));
    // Less than the contract, which is offered instead: that is more than was asked for, and needs
    // no person on the other side.
    let pid = asked(&pair, narrow(&pair)).await;
    let theirs = other(operator, &pid).await;
    decide(operator, &theirs, Wish::Counter(None)).await.unwrap();
    agreed(&pair, &pid, Order::Equal).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_what_lies_within_the_contract_is_agreed_by_a_person() {
    let pair = met(true).await;
    let pid = asked(&pair, narrow(&pair)).await;
    let theirs = other(pair.operator(), &pid).await;
    decide(pair.operator(), &theirs, Wish::Accept).await.unwrap();
    agreed(&pair, &pid, Order::Narrower).await;
    pair.stop().await;
}

/// What has happened in a process, each step as `what: text` without the delays, which are drawn.
fn told(node: &Node, pid: &str) -> Vec<String> {
    let steps = why(node, pid).unwrap().steps;
    let text = |text: &str| text.split("; again after").next().unwrap().to_owned();
    steps.iter().map(|step| format!("{}: {}", step.what, text(&step.text))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_each_attempt_while_the_other_side_is_down_and_each_step_after_it() {
    let Pair { place, operator, maker } = met(false).await;
    let peer = address(&operator.parts.node);
    let offer = own_offer_of(&operator.parts.node);
    operator.stop().await;
    let node = &maker.parts.node;
    let pid = twinpact_node::ids::urn().unwrap();
    let us = address(node);
    let opening = Opening { own_pid: &pid, peer: OPERATOR, address: &peer, callback: &us };
    let step = negotiation::open_as_consumer(opening, offer, node.clocks.wall()).unwrap();
    log(node, &step).await;
    let tried = || told(node, &pid).iter().filter(|step| step.starts_with("attempt: ")).count();
    until(node, |fold| fold.processes.negotiations.contains_key(&pid)).await;
    let mut changes = node.partition.changes();
    while tried() < 2 {
        changes.changed().await.unwrap();
    }
    let shown = why(node, &pid).unwrap();
    assert_eq!((shown.state.as_str(), shown.turn.as_str()), ("REQUESTED", "peers"));
    assert!(shown.missing[0].starts_with("ContractRequestMessage has not been taken, since "));
    assert_eq!(shown.missing[1..], ["a message of the other side"]);
    let steps = told(node, &pid);
    assert_eq!(steps[0], "state: REQUESTED: the negotiation opens");
    assert_eq!(steps[1], "out: ContractRequestMessage waits to be sent");
    let attempt = "attempt: ContractRequestMessage, attempt ";
    assert!(steps[2].starts_with(&format!("{attempt}1: no answer: ")), "{steps:?}");
    assert!(steps[3].starts_with(&format!("{attempt}2: no answer: ")), "{steps:?}");
    let operator = start(&place.path().join("operator")).await;
    comes_to(node, &pid, State::Finalized).await;
    until(node, |fold| fold.processes.outbox.is_empty()).await;
    let steps = told(node, &pid);
    let of = |what: &str| -> Vec<&str> {
        steps.iter().filter_map(|step| step.strip_prefix(what)?.strip_prefix(": ")).collect()
    };
    // What comes may overtake the answer to what was sent.
    assert_eq!(
        of("state"),
        [
            "REQUESTED: the negotiation opens",
            "AGREED: received ContractAgreementMessage",
            "VERIFIED: we decided to verify",
            "FINALIZED: received ContractNegotiationEventMessage",
        ]
    );
    let sent = ["ContractRequestMessage", "ContractAgreementVerificationMessage"];
    assert_eq!(of("delivered"), sent);
    assert_eq!(of("out"), sent.map(|name| format!("{name} waits to be sent")));
    let shown = why(node, &pid).unwrap();
    assert!(shown.missing.is_empty() && shown.until.is_none() && shown.forgotten == 0);
    assert_eq!(why(node, "urn:uuid:nobody").unwrap_err().code, codes::DSP_UNKNOWN);
    maker.stop().await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_story_holds_a_token() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    let tokens: Vec<String> = channels(pair.maker()).into_iter().map(|(_, token)| token).collect();
    assert!(!tokens.is_empty());
    let mut transfers = 0;
    for node in [pair.maker(), pair.operator()] {
        let pids = node.partition.read(|fold, _| {
            let processes = &fold.processes;
            let all = processes.negotiations.keys().chain(processes.transfers.keys());
            all.cloned().collect::<Vec<_>>()
        });
        for pid in pids.unwrap() {
            let shown = why(node, &pid).unwrap();
            transfers += usize::from(shown.process == "transfer");
            let text = serde_json::to_string(&shown).unwrap();
            assert!(shown.steps.len() > 2, "{text}");
            assert!(tokens.iter().all(|token| !text.contains(token)), "{text}");
        }
    }
    assert_eq!(transfers, 2);
    pair.stop().await;
}
