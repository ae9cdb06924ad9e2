//! Reads as of a time: each says what had been recorded by then, and never what came later.

use crate::admin::{Office, send};
use crate::pair::{MAKER, OPERATOR, Pair, until};
use serde_json::Value;
use twinpact_gateway::Running;
use twinpact_gateway::admin::ROUTES;
use twinpact_model::Timestamp;
use twinpact_node::api::{Invite, Invited};
use twinpact_node::{decisions, invitations, keys, prove, removal};

/// The reads that take no `as-of`, with the reason. `docs/twins.md` names them.
const WITHOUT: &[(&str, &str)] = &[
    ("/livez", "about the process"),
    ("/readyz", "about the process and its disk"),
    ("/version", "about the program"),
    ("/metrics", "counts since the start"),
    ("/openapi.json", "about the program"),
    ("/doctor", "looks at the machine and calls the partners"),
    ("/clock", "about now"),
    ("/strangers", "counts since the start"),
    ("/catalog", "asks the partner"),
    ("/kpis", "counts that run along with the log, as they are now"),
    ("/log", "about now: what a witness had cosigned when is in its cosignatures"),
    ("/log/alerts/{id}", "an alert has its time"),
    ("/log/inclusion", "of the size that is asked for"),
    ("/log/consistency", "of the sizes that are asked for"),
    ("/witness", "about now"),
    (
        "/events/{index}/proof",
        "an event does not change, and its proof is made when it is asked for",
    ),
    ("/agreements/{id}/proof", "as above"),
    ("/decisions/{id}/proof", "as above"),
    ("/receipts/{id}/proof", "as above, with all that was signed since"),
    ("/receipts/{id}/deletion", "as above"),
    ("/negotiations", "about now: each says since when it is so"),
    ("/negotiations/{id}", "as above"),
    ("/transfers", "about now: each says since when it is so"),
    ("/transfers/{id}", "as above"),
    ("/processes/{id}/why", "each step has its time"),
    ("/copies", "of what may be read now"),
    ("/copies/{id}", "as above"),
    ("/subscriptions", "about now"),
    ("/subscriptions/{id}/receipts", "waits for what is to come"),
    ("/erasures", "what was erased is so for every time"),
    ("/erasures/{twin}", "as above"),
];

#[tokio::test]
async fn every_read_takes_a_time_or_is_on_the_list() {
    let office = Office::open().await;
    let docs = include_str!("../../../../docs/twins.md");
    let mut met = 0;
    for route in ROUTES.iter().filter(|route| route.method() == "GET") {
        let without = WITHOUT.iter().any(|(path, _)| *path == route.path);
        met += usize::from(without);
        assert_eq!(docs.contains(&format!("`{}`", route.path)), without, "{}", route.path);
        let path = crate::admin::filled(route.path);
        let sign = if route.path == "/catalog" { "?partner=x&" } else { "?" };
        for (query, code) in [
            ("as-of=yesterday", if without { "input.malformed" } else { "input.time" }),
            ("as_of=2099-01-01T00:00:00Z", "input.malformed"),
            ("as-of=2001-01-01T00:00:00Z", if without { "input.malformed" } else { "asof.early" }),
        ] {
            let answer = office.ask("GET", &format!("{path}{sign}{query}"), b"").await;
            assert_eq!(answer.code(), code, "{path}{sign}{query}: {}", answer.text());
        }
    }
    assert_eq!(met, WITHOUT.len(), "a route of the list is gone");
    office.close().await;
}

/// What a node says at its admin door: the status, and the body without what is about now alone.
async fn said(of: &Running, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", of.admin.token);
    let answer = send(of.admin.address, "GET", path, Some(&bearer), b"").await;
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
    if path.starts_with("/keys") {
        for key in body.as_array_mut().unwrap() {
            key["held"] = Value::Null;
        }
    }
    // A refusal says in other words why it is not there.
    (answer.status, if answer.status == 200 { body } else { body["code"].clone() })
}

/// The last time that a node has recorded.
fn last(of: &Running) -> Timestamp {
    let last = of.parts.node.partition.read(|fold, _| fold.last_recorded()).unwrap();
    Timestamp::from_micros(last)
}

/// Waits until both know what the other has sent.
async fn settled(pair: &Pair, agreement: &str, deliveries: u64) {
    let signed = |fold: &twinpact_node::fold::Fold| {
        let held = &fold.countersignatures;
        held.agreement(agreement).is_some()
            && (0..deliveries).all(|index| held.receipt(agreement, index).is_some())
    };
    until(pair.operator(), signed).await;
    let own = prove::own_record(pair.operator()).unwrap().fingerprint();
    until(pair.maker(), |fold| {
        let pinned = fold.partners.get(OPERATOR).unwrap().envelope.fingerprint();
        pinned == own && fold.processes.outbox.is_empty()
    })
    .await;
}

async fn invited(pair: &Pair, name: &str) -> Invited {
    let asked = Invite { name: Some(name.to_owned()), valid_seconds: None };
    invitations::invite(pair.operator(), &asked).await.unwrap()
}

/// Before, between and after two changes of everything, each read is asked what it says. After all
/// of it, as of each of the three times, it has to say the same again.
#[tokio::test(flavor = "multi_thread")]
async fn each_read_says_again_what_it_said_then() {
    let (pair, agreement) = Pair::concluded().await;
    settled(&pair, &agreement, 0).await;
    let (operator, maker) = (&pair.operator, &pair.maker);
    let mut times = vec![(last(operator), last(maker))];
    let fixed = ["/receipts", "/decisions", "/keys", "/invitations", "/organisation", "/trust"];
    let mut said_then = Vec::new();
    let mut first = Vec::new();
    for path in fixed {
        first.push(said(operator, path).await);
    }
    said_then.push(first);
    let (got_none, trusted) = (said(maker, "/receipts").await, said(maker, "/trust").await);
    let mut maker_said = vec![(got_none, trusted)];
    // The first change.
    let receipt = pair.pull(&agreement).await.unwrap().receipts.remove(0);
    let decision = decisions::list(pair.operator(), 1, None).unwrap().remove(0).id;
    keys::rotate(pair.operator(), keys::MIN_OVERLAP_SECONDS).await.unwrap();
    let invitation = invited(&pair, "first").await;
    // The second change comes when all of the first is there; then the maker is taken out.
    for change in [1, 2] {
        if change == 2 {
            pair.pull(&agreement).await.unwrap();
            keys::rotate(pair.operator(), keys::MIN_OVERLAP_SECONDS).await.unwrap();
            invitations::withdraw(pair.operator(), &invitation.id).await.unwrap();
            invited(&pair, "second").await;
        }
        settled(&pair, &agreement, change).await;
        if change == 2 {
            removal::remove(pair.operator(), MAKER, "over").await.unwrap();
        }
        times.push((last(operator), last(maker)));
        let mut all = Vec::new();
        for path in fixed {
            all.push(said(operator, path).await);
        }
        all.push(said(operator, &format!("/receipts/{receipt}")).await);
        all.push(said(operator, &format!("/decisions/{decision}")).await);
        said_then.push(all);
        maker_said.push((said(maker, "/receipts").await, said(maker, "/trust").await));
    }
    let unknown = |code: &str| (404, Value::from(code));
    said_then[0].extend([unknown("receipt.unknown"), unknown("decision.unknown")]);
    let (receipt, decision) = (format!("/receipts/{receipt}"), format!("/decisions/{decision}"));
    let paths = fixed.into_iter().chain([receipt.as_str(), &decision]);
    for (number, path) in paths.enumerate() {
        let then: Vec<_> = said_then.iter().map(|all| &all[number]).collect();
        assert!(then[0] != then[1] && then[1] != then[2], "{path} has not changed: {then:#?}");
        for (then, (time, _)) in then.into_iter().zip(&times) {
            assert_eq!(said(operator, &format!("{path}?as-of={time}")).await, *then, "{path}");
        }
    }
    for (then, (_, time)) in maker_said.iter().zip(&times) {
        assert_eq!(said(maker, &format!("/receipts?as-of={time}")).await, then.0);
        assert_eq!(said(maker, &format!("/trust?as-of={time}")).await, then.1);
    }
    let latest = said(operator, &format!("/receipts?limit=1&as-of={}", times[2].0)).await.1;
    assert_eq!(latest[0], said_then[2][0].1[0]);
    assert_eq!(latest.as_array().unwrap().len(), 1);
    pair.stop().await;
}
