//! A maker asks an operator to contain turbines, and the operator answers: what both have on record
//! then, and what neither takes.

use crate::pair::{MAKER, OPERATOR, Pair, start};
use serde_json::{Map, Value, json};
use twinpact_model::{Iri, Timestamp};
use twinpact_node::api::{Contain, ContainmentLine, OpenIncident, Respond, SeenAt};
use twinpact_node::incidents::{self, MAX_ASKED, MAX_KEY_BYTES, MAX_STORY_BYTES, MAX_UNANSWERED};
use twinpact_node::outbox::call;
use twinpact_node::processes::DOCUMENTS_PATH;
use twinpact_node::{Node, prove};
use twinpact_proof::containment::{
    Answer, Containment, ContainmentAnswer, Evidence, MAX_MEASURE_BYTES, Seen,
};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::Clock;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Envelope, Level, SecretKey, Trust, verify};

const TURBINE: &str = "urn:turbine:a";

/// Waits for commits until it is as wanted.
async fn until(node: &Node, wanted: impl Fn(&Node) -> bool) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        if wanted(node) {
            return;
        }
        changes.changed().await.unwrap();
    }
}

fn asked(agreement: &str, receipts: &[String]) -> OpenIncident {
    OpenIncident {
        name: "power-loss".to_owned(),
        story: Map::from_iter([("rule".to_owned(), json!("power-loss"))]),
        containments: vec![Contain {
            agreement: agreement.to_owned(),
            twins: vec![Iri::new(TURBINE).unwrap()],
            measure: "inspect the main bearing".to_owned(),
            reason: "a bearing of the same lot has failed".to_owned(),
            receipts: receipts.to_vec(),
            seen: Some(SeenAt {
                twin: Iri::new(TURBINE).unwrap(),
                first: Timestamp::from_seconds(7),
                found: Timestamp::from_seconds(9),
            }),
        }],
        key: None,
    }
}

fn by(person: &str) -> Respond {
    let began = Some(Timestamp::from_seconds(3));
    Respond { by: person.to_owned(), note: String::new(), automatic: false, began }
}

/// The one containment that a node knows of an incident.
fn only(node: &Node, incident: &str) -> Option<ContainmentLine> {
    let mut all = incidents::show(node, incident, None).ok()?.containments;
    assert!(all.len() <= 1, "{all:?}");
    all.pop()
}

fn state(node: &Node, incident: &str) -> String {
    only(node, incident).map(|one| one.state).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_asks_and_the_other_answers_is_on_record_at_both() {
    let (pair, agreement) = Pair::concluded().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let pulled = pair.pull(&agreement).await.unwrap();
    let opened = incidents::open(maker, asked(&agreement, &pulled.receipts)).await.unwrap();
    let id = opened.id.as_str();
    until(operator, |node| state(node, id) == "open").await;
    let (ours, theirs) = (only(maker, id).unwrap(), only(operator, id).unwrap());
    assert_eq!((ours.ours, theirs.ours), (true, false));
    assert_eq!((ours.id.as_str(), &ours.evidence), (theirs.id.as_str(), &pulled.receipts));
    assert_eq!((theirs.asked_by.as_str(), theirs.asked_of.as_str()), (MAKER, OPERATOR));
    assert_eq!(
        (theirs.twins.as_slice(), theirs.not_taken),
        ([TURBINE.to_owned()].as_slice(), None)
    );
    // How it was found stays with who found it.
    let story = |node: &Node| incidents::show(node, id, None).unwrap().story;
    assert_eq!((story(maker), story(operator)), (json!({ "rule": "power-loss" }), json!(null)));
    let front = &ours.id[..12];
    for (answer, expect) in [
        (Answer::Released, Err("incident.invalid")),
        (Answer::Confirmed, Ok("confirmed")),
        (Answer::Confirmed, Err("incident.invalid")),
        (Answer::Refused, Err("incident.invalid")),
        (Answer::Released, Ok("released")),
        (Answer::Confirmed, Err("incident.invalid")),
    ] {
        let said = incidents::respond(operator, front, answer, by("the shift engineer")).await;
        let said = said.map(|_| ()).map_err(|problem| problem.code.name);
        assert_eq!(said, expect.map(|_| ()), "{answer:?}");
        if let Ok(expect) = expect {
            until(maker, |node| state(node, id) == expect).await;
            assert_eq!(state(operator, id), expect);
        }
    }
    let (ours, theirs) = (only(maker, id).unwrap(), only(operator, id).unwrap());
    let said = |one: &ContainmentLine| -> Vec<(String, String, bool)> {
        let line = one.answers.iter();
        line.map(|one| (one.answer.clone(), one.by.clone(), one.automatic)).collect()
    };
    assert_eq!(said(&ours), said(&theirs));
    assert_eq!(ours.answers.len(), 2);
    assert_eq!(ours.answers[0].began, Some(Timestamp::from_seconds(3)));
    assert_eq!(theirs.seen.as_ref().map(|seen| seen.found), Some(Timestamp::from_seconds(9)));
    // What was known at a time: before anything was asked, and before it was answered.
    let then = Some(ours.recorded);
    let shown = incidents::show(maker, id, then).unwrap().containments.remove(0);
    assert_eq!((shown.state.as_str(), shown.answers), ("open", vec![]));
    assert_eq!(incidents::list(maker, then).unwrap().len(), 1);
    // It is the partner's to answer.
    let own = incidents::respond(maker, front, Answer::Confirmed, by("me")).await;
    assert_eq!(own.unwrap_err().code.name, "incident.invalid");
    proven(maker, &ours).await;
    proven(operator, &theirs).await;
    pair.stop().await;
}

/// That a stranger who trusts the node can check that it was asked, and each answer.
async fn proven(node: &Node, one: &ContainmentLine) {
    let mut trust = Trust::default();
    assert!(trust.add(&prove::own_record(node).unwrap(), DECIDED).is_ok());
    let answers = one.answers.iter().map(|answer| answer.event);
    for event in [one.event].into_iter().chain(answers) {
        let bundle = prove::fact(node, event, &["document".to_owned()]).await.unwrap();
        assert_eq!(verify(&bundle.to_bytes(), Some(&trust)).unwrap().level, Level::Signed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_know_it_after_a_restart() {
    let (pair, agreement) = Pair::concluded().await;
    let opened = incidents::open(pair.maker(), asked(&agreement, &[])).await.unwrap();
    until(pair.operator(), |node| state(node, &opened.id) == "open").await;
    let front = only(pair.operator(), &opened.id).unwrap().id;
    let respond = incidents::respond(pair.operator(), &front, Answer::Refused, by("me"));
    respond.await.unwrap();
    until(pair.maker(), |node| state(node, &opened.id) == "refused").await;
    let before = [pair.operator(), pair.maker()].map(|node| {
        let shown = incidents::show(node, &opened.id, None).unwrap();
        assert_eq!(shown.containments.len(), 1);
        shown
    });
    let Pair { place, operator, maker } = pair;
    operator.stop().await;
    maker.stop().await;
    let operator = crate::pair::start(&place.path().join("operator")).await;
    let maker = crate::pair::start(&place.path().join("maker")).await;
    let pair = Pair { place, operator, maker };
    let after = [pair.operator(), pair.maker()]
        .map(|node| incidents::show(node, &opened.id, None).unwrap());
    assert_eq!(after, before);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_cannot_be_is_not_opened() {
    let (pair, agreement) = Pair::concluded().await;
    let maker = pair.maker();
    let check = async |change: &dyn Fn(&mut OpenIncident), code: &str| {
        let mut one = asked(&agreement, &[]);
        change(&mut one);
        let said = incidents::open(maker, one).await.map(|_| ());
        assert_eq!(said.unwrap_err().code.name, code);
        assert!(incidents::list(maker, None).unwrap().is_empty(), "{code}");
    };
    check(&|one| one.containments.clear(), "incident.invalid").await;
    check(&|one| one.name.clear(), "incident.invalid").await;
    check(&|one| one.name = "x".repeat(MAX_MEASURE_BYTES + 1), "incident.invalid").await;
    let many = |one: &mut OpenIncident| {
        one.containments = vec![one.containments[0].clone(); MAX_ASKED + 1];
    };
    check(&many, "incident.invalid").await;
    let long = |one: &mut OpenIncident| {
        one.story.insert("long".to_owned(), json!("x".repeat(MAX_STORY_BYTES)));
    };
    check(&long, "incident.invalid").await;
    check(&|one| one.key = Some(String::new()), "incident.invalid").await;
    check(&|one| one.key = Some("x".repeat(MAX_KEY_BYTES + 1)), "incident.invalid").await;
    check(&|one| one.containments[0].twins.clear(), "incident.invalid").await;
    check(&|one| one.containments[0].measure.clear(), "incident.invalid").await;
    check(&|one| one.containments[0].agreement = "no".to_owned(), "agreement.unknown").await;
    let other = |one: &mut OpenIncident| one.containments[0].receipts = vec!["12345678".to_owned()];
    check(&other, "receipt.unknown").await;
    // The operator shows, and is shown nothing: it has nothing to ask for.
    let asks = incidents::open(pair.operator(), asked(&agreement, &[])).await;
    assert_eq!(asks.unwrap_err().code.name, "incident.invalid");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_finding_is_one_incident_however_often_it_is_opened() {
    let (pair, agreement) = Pair::concluded().await;
    let receipts = pair.pull(&agreement).await.unwrap().receipts;
    let of = |key: &str| OpenIncident {
        key: Some(key.repeat(MAX_KEY_BYTES)),
        ..asked(&agreement, &receipts)
    };
    let first = incidents::open(pair.maker(), of("a")).await.unwrap();
    // Whoever did not hear that it is open opens it again, also after a restart.
    assert_eq!(incidents::open(pair.maker(), of("a")).await.unwrap().id, first.id);
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    let maker = start(&place.path().join("maker")).await;
    let pair = Pair { place, operator, maker };
    let again = incidents::open(pair.maker(), of("a")).await.unwrap();
    assert_eq!((&again.id, again.key), (&first.id, of("a").key));
    assert_ne!(incidents::open(pair.maker(), of("b")).await.unwrap().id, first.id);
    assert_eq!(incidents::list(pair.maker(), None).unwrap().len(), 2);
    pair.stop().await;
}

/// What the maker might send.
fn containment(agreement: &str, evidence: Vec<Evidence>) -> Containment {
    Containment {
        issuer: MAKER.to_owned(),
        audience: OPERATOR.to_owned(),
        incident: "urn:uuid:1".to_owned(),
        agreement: from_hex(agreement).unwrap(),
        evidence,
        twins: vec![TURBINE.to_owned()],
        measure: "inspect".to_owned(),
        reason: "it may fail".to_owned(),
        seen: None,
        opened: 7,
        clock: Clock::System,
    }
}

/// Status and code of the operator's answer to a document that the maker sends.
async fn send(pair: &Pair, envelope: &Envelope) -> (u16, String) {
    let url = format!("https://{}{DOCUMENTS_PATH}", pair.operator.federation.unwrap());
    let body = envelope.to_json().canonical().into_bytes();
    let sent = call(pair.maker(), OPERATOR, "POST", url, Vec::new(), body, 1 << 20).await.unwrap();
    let said: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
    (sent.status, said["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_nothing_of_ours_is_refused() {
    let (pair, agreement) = Pair::concluded().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let pulled = pair.pull(&agreement).await.unwrap();
    let leaf = from_hex(&pulled.receipts[0]).unwrap();
    let evidence = vec![Evidence { index: 0, leaf }];
    let signer = maker.signer();
    let refused = (400, "document.refused".to_owned());
    let check = async |change: &dyn Fn(&mut Containment), expect: (u16, &str)| {
        let mut one = containment(&agreement, evidence.clone());
        change(&mut one);
        let answer = send(&pair, &one.sign(signer.key())).await;
        assert_eq!((answer.0, answer.1.as_str()), expect, "{one:?}");
    };
    let none = (400, "document.refused");
    check(&|one| one.issuer = OPERATOR.to_owned(), none).await;
    check(&|one| one.audience = MAKER.to_owned(), none).await;
    check(&|one| one.agreement = [7; 32], (404, "agreement.unknown")).await;
    check(&|one| one.evidence[0].leaf = [7; 32], none).await;
    check(&|one| one.evidence[0].index = 1, none).await;
    check(&|one| one.measure.clear(), none).await;
    // Hidden, absent, and somebody else's are one answer.
    for twin in ["urn:turbine:z", "urn:lot:7", "did:web:x"] {
        check(&|one| one.twins.push(twin.to_owned()), none).await;
        let seen = || Some(Seen { twin: twin.to_owned(), first: 1, found: 2 });
        check(&|one| one.seen = seen(), none).await;
    }
    // Signed by somebody else, or by somebody else too.
    let one = containment(&agreement, evidence.clone());
    let stranger = SecretKey::new(&[9; 32]);
    assert_eq!(send(&pair, &one.sign(&stranger)).await, refused);
    let mut both = one.sign(signer.key());
    both.add_signature(&stranger);
    assert_eq!(send(&pair, &both).await, refused);
    assert!(incidents::list(operator, None).unwrap().is_empty());
    // As it is, it is taken; and once.
    for _ in 0..2 {
        check(&|_| {}, (200, "")).await;
        assert_eq!(incidents::list(operator, None).unwrap().len(), 1);
    }
    // So many may wait, and no more.
    for n in 1..=MAX_UNANSWERED as i64 {
        let expect = if n < MAX_UNANSWERED as i64 { (200, "") } else { none };
        check(&|one| one.opened += n, expect).await;
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_nothing_is_refused() {
    let (pair, agreement) = Pair::concluded().await;
    // Here the operator asked nobody, and the maker answers.
    let answer = ContainmentAnswer {
        issuer: MAKER.to_owned(),
        audience: OPERATOR.to_owned(),
        containment: [7; 32],
        answer: Answer::Confirmed,
        by: "me".to_owned(),
        automatic: true,
        note: String::new(),
        began: None,
        at: 7,
        clock: Clock::System,
    };
    let signer = pair.maker().signer();
    let refused = (400, "document.refused".to_owned());
    assert_eq!(send(&pair, &answer.sign(signer.key())).await, refused);
    // Nor does it answer what it was asked itself, in the name of the operator.
    let asked = containment(&agreement, Vec::new()).sign(signer.key());
    assert_eq!(send(&pair, &asked).await.0, 200);
    let own = ContainmentAnswer { containment: asked.fingerprint(), ..answer };
    assert_eq!(send(&pair, &own.sign(signer.key())).await, refused);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_learns_why_it_was_not_taken() {
    let (pair, agreement) = Pair::concluded().await;
    let mut one = asked(&agreement, &[]);
    one.containments[0].twins = vec![Iri::new("urn:turbine:z").unwrap()];
    let opened = incidents::open(pair.maker(), one).await.unwrap();
    let why = |node: &Node| only(node, &opened.id).and_then(|one| one.not_taken);
    until(pair.maker(), |node| why(node).is_some()).await;
    let why = why(pair.maker()).unwrap();
    assert!(why.contains("document.refused"), "{why}");
    pair.stop().await;
}
