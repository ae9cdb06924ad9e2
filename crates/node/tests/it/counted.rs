//! The counts of an operator against a plain recount of what it has answered, over a long walk with
//! restarts: pages and events of streams, hours in which the view is closed, rows that are old.

use crate::streaming_world::{World, event};
use serde_json::Value;
use std::collections::BTreeMap;
use twinpact_model::{Schedule, Timestamp};
use twinpact_node::api::{FlowKpi, FreshnessKpi};
use twinpact_node::door::Door as _;
use twinpact_node::egress::Egress;
use twinpact_node::kpis;
use twinpact_proof::Bundle;
use twinpact_proof::documents::Receipt;
use twinpact_testkit::Dice;

const HOURS: &str = "Mo-Fr 07:00-19:00 [Europe/Paris]";
const STEPS: usize = 160;

/// What has happened, as its reader has seen it.
#[derive(Default)]
struct Seen {
    recorded: u64,
    delivered: u64,
    flow: FlowKpi,
    within: u64,
    of: u64,
    codes: BTreeMap<String, u64>,
}

impl Seen {
    fn met(&mut self, code: &str) {
        *self.codes.entry(code.to_owned()).or_default() += 1;
    }

    /// A delivery that was decided then.
    fn delivery(&mut self, body: &Value, decided: Timestamp) {
        self.met("policy.permit");
        let rows = body["rows"].as_array().unwrap();
        let bundle = Bundle::parse(body["proof"].as_str().unwrap().as_bytes()).unwrap();
        self.flow.deliveries += 1;
        self.flow.rows += rows.len() as u64;
        self.flow.bytes += Receipt::from_envelope(&bundle.receipt.unwrap()).unwrap().bytes;
        let cells = rows.iter().flat_map(|row| row.as_array().unwrap().iter().skip(2));
        self.delivered += cells.filter(|cell| !cell.is_null()).count() as u64;
        let times = rows.iter().map(|row| Timestamp::parse(row[1].as_str().unwrap()).unwrap());
        if let Some(newest) = times.max() {
            self.of += 1;
            self.within += u64::from(open_minutes(newest, decided) <= 60);
        }
    }
}

/// For how many minutes the view was open, looked at one by one.
fn open_minutes(from: Timestamp, to: Timestamp) -> usize {
    let hours = Schedule::parse(HOURS).unwrap();
    let minutes = std::iter::successors(Some(from), |at| Some(at.plus_seconds(60)));
    minutes.take_while(|at| *at < to).filter(|at| hours.contains(*at)).count()
}

/// How many minutes go by: a few, or many, or those until the view opens again and a little more.
fn later(now: Timestamp, dice: &mut Dice) -> i64 {
    let hours = Schedule::parse(HOURS).unwrap();
    if dice.one_in(2) {
        return 1 + dice.below(2_000) as i64;
    }
    let opens = hours.next_change(now).filter(|_| !hours.contains(now));
    let wait = opens.map_or(0, |opens| (opens.micros() - now.micros()) / 60_000_000);
    wait + 1 + dice.below(90) as i64
}

async fn same(world: &World, seen: &Seen) {
    let said = kpis::show(world.node()).await.unwrap();
    assert_eq!(said.given, seen.flow);
    let values = said.values.map(|values| (values.recorded, values.delivered));
    assert_eq!(values, (seen.recorded > 0).then_some((seen.recorded, seen.delivered)));
    let fresh = said.freshness.map(|FreshnessKpi { within, of, .. }| (within, of));
    assert_eq!(fresh, (seen.of > 0).then_some((seen.within, seen.of)));
    let mut codes = said.decisions.by_code;
    codes.insert("policy.permit".to_owned(), said.decisions.permit);
    codes.retain(|_, count| *count > 0);
    assert_eq!(codes, seen.codes);
}

/// One answer of either kind.
async fn ask(world: &World, stream: bool, seen: &mut Seen) {
    let decided = world.node().clocks.policy().0;
    if stream {
        return match world.ask("from=start", None).await {
            Ok(mut stream) => seen.delivery(&event(&mut stream).await.body, decided),
            Err(code) => seen.met(&code),
        };
    }
    match world.node().answer(world.asked("", "", None)).await {
        Egress::Permitted(page) => seen.delivery(&page.body(), decided),
        Egress::Fault(fault) => seen.met(fault.document["code"].as_str().unwrap()),
        _ => panic!("another kind of answer"),
    }
}

#[tokio::test]
async fn running_counts_are_those_of_a_plain_recount() {
    let (mut world, mut seen, mut dice) = (World::open().await, Seen::default(), Dice::new(10));
    let start = world.node().clocks.policy().0;
    let (mut minute, mut id) = (0_i64, 0_u32);
    for step in 0..STEPS {
        match dice.below(8) {
            0 | 1 => {
                minute += later(start.plus_seconds(minute * 60), &mut dice);
                world.node().clocks.set_policy(start.plus_seconds(minute * 60)).unwrap();
            }
            2..4 => {
                // An hour before the clock's time begins what counts from the world's morning.
                let age = dice.below(150) as i64;
                let second = (60 + minute - age) * 60;
                // Now and then a correction of the row before.
                id += u32::from(id == 0 || !dice.one_in(5));
                let value = u32::try_from(step).unwrap();
                world.ingest(&[(id, (id % 3) as u8, second, value)]).await;
                seen.recorded += 1;
            }
            kind => ask(&world, kind < 6, &mut seen).await,
        }
        same(&world, &seen).await;
        if step % 50 == 49 {
            world = world.restarted().await;
            same(&world, &seen).await;
        }
    }
    // The walk has been everywhere.
    assert!(seen.within > 5 && seen.of > seen.within + 5, "{} of {}", seen.within, seen.of);
    assert!(
        seen.codes["policy.schedule"] > 5 && seen.delivered > seen.recorded,
        "{:?}",
        seen.codes
    );
    world.stop();
}
