//! A node that follows a partner's stream: every row once and proven, over restarts, lost
//! connections and pulls in between; and what ends it for good.

use crate::pair::{Pair, ROWS, ingest, start, until, wanted, way_out};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_model::entry::{Attribute, Kind};
use twinpact_node::api::{ListCopies, Subscribe};
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Flow, Flowing, Opening, Outbound, Pending, Piece};
use twinpact_node::processes::local;
use twinpact_node::{Node, PolicyClock, agreements, consumer, open, own_reads, subscriptions};
use twinpact_proof::{Bundle, verify};

/// What happens to the next stream that a node opens.
#[derive(Debug, Clone, Copy)]
enum Trick {
    /// It is cut off after so many bytes.
    Cut(usize),
    /// A value is another one.
    Forge,
}

/// A way out with tricks.
struct Odd {
    inner: HttpsOutbound,
    tricks: Mutex<VecDeque<Trick>>,
}

impl Outbound for Odd {
    fn call(&self, call: Call) -> Pending<'_> {
        self.inner.call(call)
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.inner.first(call)
    }

    fn flow(&self, call: Call) -> Opening<'_> {
        Box::pin(async move {
            let Flowing { status, body } = self.inner.flow(call).await?;
            let trick = self.tricks.lock().unwrap().pop_front();
            Ok(Flowing { status, body: Box::new(Tricked { body, trick, came: 0 }) })
        })
    }
}

struct Tricked {
    body: Box<dyn Flow>,
    trick: Option<Trick>,
    came: usize,
}

impl Flow for Tricked {
    fn next(&mut self) -> Piece<'_> {
        Box::pin(async move {
            let Some(piece) = self.body.next().await? else { return Ok(None) };
            let before = self.came;
            self.came += piece.len();
            Ok(match self.trick {
                Some(Trick::Cut(bytes)) if before >= bytes => None,
                Some(Trick::Cut(bytes)) => Some(piece[..piece.len().min(bytes - before)].to_vec()),
                Some(Trick::Forge) => {
                    let text = String::from_utf8(piece).unwrap();
                    Some(text.replacen("514.24", "514.25", 1).into_bytes())
                }
                None => Some(piece),
            })
        })
    }
}

/// Two of which the maker's way out has these tricks.
async fn pair_with(tricks: Vec<Trick>) -> (Pair, String) {
    let (pair, agreement) = Pair::concluded().await;
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    let path = place.path().join("maker");
    let parts = open::open(&path, PolicyClock::System).await.unwrap();
    let (inner, tricks) = (way_out(&parts.node), Mutex::new(tricks.into()));
    assert!(parts.node.outbound.set(Arc::new(Odd { inner, tricks })).is_ok());
    let maker = Running::start(parts).await.unwrap();
    (Pair { place, operator, maker }, agreement)
}

async fn follow(pair: &Pair, agreement: &str) {
    let pull = wanted(agreement);
    let asked = Subscribe {
        agreement: agreement.to_owned(),
        purpose: pull.purpose,
        place: pull.place,
        from_start: true,
    };
    let line = subscriptions::subscribe(pair.maker(), &asked).await.unwrap();
    assert_eq!((line.agreement.as_str(), line.code), (agreement, None));
    // Once is enough.
    assert_eq!(subscriptions::subscribe(pair.maker(), &asked).await.unwrap().since, line.since);
}

/// Waits until so many rows of streams are stored.
async fn stored(node: &Node, rows: usize) {
    until(node, |fold| fold.subscriptions.iter().any(|(_, one)| one.rows == rows as u64)).await;
}

/// Waits for the end of the subscription; its code.
async fn over(node: &Node) -> String {
    until(node, |fold| fold.subscriptions.iter().any(|(_, one)| one.ended.is_some())).await;
    subscriptions::list(node).unwrap()[0].code.clone().unwrap()
}

/// The powers of all copies, in the order of the ledger. Every proof must hold.
fn powers(node: &Node) -> Vec<String> {
    let mut copies: Vec<(u64, Vec<String>)> = node
        .partition
        .read(|fold, _| {
            let trust = fold.partners.trust();
            let copy = |(_, copy): (&str, &twinpact_node::copies::Copy)| {
                verify(copy.proof.as_bytes(), Some(trust)).unwrap();
                let index = Bundle::parse(copy.proof.as_bytes()).unwrap().entry.index;
                let rows = copy.parts.iter();
                let rows = rows.flat_map(|p| serde_json::from_str::<Vec<Value>>(&p.rows).unwrap());
                (index, rows.map(|row| row[2].as_str().unwrap().to_owned()).collect())
            };
            fold.copies.iter().map(copy).collect()
        })
        .unwrap();
    copies.sort();
    copies.into_iter().flat_map(|(_, powers)| powers).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_followed_is_stored_once_over_restarts_until_it_is_revoked() {
    let (pair, agreement) = Pair::concluded().await;
    follow(&pair, &agreement).await;
    stored(pair.maker(), ROWS).await;
    ingest(pair.operator(), &[(10, "1".to_owned())]).await;
    stored(pair.maker(), ROWS + 1).await;
    // A node that was away finds what came meanwhile.
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    ingest(&operator.parts.node, &[(11, "2".to_owned()), (12, "3".to_owned())]).await;
    let maker = start(&place.path().join("maker")).await;
    let pair = Pair { place, operator, maker };
    stored(pair.maker(), ROWS + 3).await;
    // So does one whose partner was away.
    let Pair { place, operator, maker } = pair;
    operator.stop().await;
    let operator = start(&place.path().join("operator")).await;
    let pair = Pair { place, operator, maker };
    ingest(pair.operator(), &[(13, "4".to_owned())]).await;
    stored(pair.maker(), ROWS + 4).await;
    let mut expect = vec!["514.24".to_owned(); ROWS];
    expect.extend(["1", "2", "3", "4"].map(str::to_owned));
    assert_eq!(powers(pair.maker()), expect);
    agreements::revoke(pair.operator(), &agreement, "enough").await.unwrap();
    assert_eq!(over(pair.maker()).await, "policy.revoked");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_in_between_does_not_stop_what_is_followed() {
    let (pair, agreement) = Pair::concluded().await;
    follow(&pair, &agreement).await;
    stored(pair.maker(), ROWS).await;
    for n in 1..4 {
        consumer::pull(pair.maker(), &wanted(&agreement)).await.unwrap();
        ingest(pair.operator(), &[(10 + n, n.to_string())]).await;
        stored(pair.maker(), ROWS + n).await;
    }
    let line = subscriptions::end(pair.maker(), &agreement).await.unwrap();
    assert_eq!((line.code.as_deref(), line.rows), (Some("left"), ROWS as u64 + 3));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_followed_each_ends_alone() {
    let (pair, first) = Pair::concluded().await;
    let second = pair.agreed().await;
    follow(&pair, &first).await;
    follow(&pair, &second).await;
    let both = |rows: usize| {
        until(pair.maker(), move |fold| {
            fold.subscriptions.iter().all(|(_, one)| one.rows == rows as u64)
        })
    };
    both(ROWS).await;
    ingest(pair.operator(), &[(10, "1".to_owned())]).await;
    both(ROWS + 1).await;
    agreements::revoke(pair.operator(), &first, "enough").await.unwrap();
    until(pair.maker(), |fold| fold.subscriptions.get(&first).unwrap().ended.is_some()).await;
    ingest(pair.operator(), &[(11, "2".to_owned())]).await;
    let goes_on = |fold: &Fold| fold.subscriptions.get(&second).unwrap().rows == ROWS as u64 + 2;
    until(pair.maker(), goes_on).await;
    let lines = subscriptions::list(pair.maker()).unwrap();
    let of = |agreement: &str| lines.iter().find(|one| one.agreement == agreement).unwrap();
    let ended = (of(&first).rows, of(&first).code.as_deref());
    assert_eq!(ended, (ROWS as u64 + 1, Some("policy.revoked")));
    assert_eq!(of(&second).code, None);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_an_event_loses_nothing() {
    let cuts = [0, 1, 40, 3_000].map(Trick::Cut).to_vec();
    let (pair, agreement) = pair_with(cuts).await;
    follow(&pair, &agreement).await;
    stored(pair.maker(), ROWS).await;
    ingest(pair.operator(), &[(10, "1".to_owned())]).await;
    stored(pair.maker(), ROWS + 1).await;
    assert_eq!(powers(pair.maker()), ["514.24", "514.24", "514.24", "1"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_verify_ends_it_and_nothing_is_stored() {
    let (pair, agreement) = pair_with(vec![Trick::Forge]).await;
    follow(&pair, &agreement).await;
    assert_eq!(over(pair.maker()).await, "exchange.proof");
    assert!(powers(pair.maker()).is_empty());
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_partner_does_not_know_ends_it() {
    let (pair, agreement) = Pair::concluded().await;
    follow(&pair, &agreement).await;
    stored(pair.maker(), ROWS).await;
    subscriptions::end(pair.maker(), &agreement).await.unwrap();
    let what = ["agreement", "position", "rows"].into_iter().zip([agreement.as_str(), "99", "0"]);
    let what = what.map(|(name, text)| Attribute::new(name, "text", text)).collect();
    let entry = local(Kind::Subscription, crate::pair::OPERATOR, what);
    pair.maker().partition.turn(|turn| turn.log(vec![entry]).map(|_| ())).await.unwrap();
    follow(&pair, &agreement).await;
    assert_eq!(over(pair.maker()).await, "stream.position");
    // Whoever follows again begins anew.
    follow(&pair, &agreement).await;
    stored(pair.maker(), 2 * ROWS).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_listed_in_parts_by_agreement() {
    let (pair, agreement) = Pair::concluded().await;
    let maker = pair.maker();
    for n in 0..3 {
        ingest(pair.operator(), &[(20 + n, "1".to_owned())]).await;
        pair.pull(&agreement).await.unwrap();
    }
    let list = |agreement: Option<&str>, limit: Option<usize>, after: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let asked = ListCopies { agreement: text(agreement), limit, after: text(after) };
        let listed = own_reads::list(maker, &asked).map_err(|problem| problem.code.name);
        listed.map(|all| all.into_iter().map(|one| one.receipt).collect::<Vec<_>>())
    };
    let all = list(None, None, None).unwrap();
    assert_eq!(all.len(), 3);
    let (mut parts, mut after) = (Vec::new(), None::<String>);
    while let Some(last) = list(None, Some(2), after.as_deref()).unwrap().last().cloned() {
        parts.extend(list(None, Some(2), after.as_deref()).unwrap());
        after = Some(last);
    }
    assert_eq!(parts, all);
    assert_eq!(list(None, Some(1), Some(&all[0][..12])).unwrap(), all[1..2]);
    assert_eq!(list(None, Some(0), None).unwrap(), Vec::<String>::new());
    let other = pair.agreed().await;
    assert_eq!(list(Some(&other), None, None).unwrap(), Vec::<String>::new());
    assert_eq!(list(Some(&agreement[..12]), None, None).unwrap(), all);
    assert_eq!(list(Some("none"), None, None).unwrap_err(), "agreement.unknown");
    assert_eq!(list(None, None, Some("00000000")).unwrap_err(), "receipt.unknown");
    pair.stop().await;
}
