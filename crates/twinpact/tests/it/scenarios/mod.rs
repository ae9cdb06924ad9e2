//! The scenarios of the Eclipse Dataspace TCK for the Dataspace Protocol 2025-1, played by a runner
//! of our own against the binary in conformance mode: one process, all scenarios beside each other,
//! and no pause.
//!
//! What is done in each scenario is the kit's (dsp-tck, `dsp/*/verification`): which messages go
//! where, which answers count, which state is asked for. Here it is data, and held more strictly:
//! the statuses and bodies of the specification, a state that shows at once, nothing sent that
//! nobody asked for, and every body valid against the protocol's JSON Schemas.

mod bodies;
mod http;
mod kit;
mod negotiations;
mod offers;
mod play;
mod redrawn;
mod scenario;
mod transfers;

use crate::world::{Begun, World};
use kit::{Forms, Kit};
use play::{Addresses, play};
use scenario::Message::{Accepted, Offer, Request, Verification};
use scenario::Step::{Receive, Refused, Send, State};
use scenario::{Scenario, Step, row};
use serde_json::Value;
use std::sync::Mutex;

/// What our side does, as it is published.
const SCRIPT: &str = include_str!("../../../../../examples/conformance/dsp-tck.toml");
/// How many scenarios are played at a time: a participant has a bound of connections.
const AT_A_TIME: usize = 32;

/// The areas of the kit, each with how many scenarios its groups have.
const AREAS: [(&str, &[usize], &[Scenario]); 6] = [
    ("MET", &[1], negotiations::METADATA),
    ("CAT", &[3], negotiations::CATALOGUE),
    ("CN", &[4, 7, 4], negotiations::PROVIDER),
    ("CN_C", &[4, 6, 6], negotiations::CONSUMER),
    ("TP", &[5, 5, 6], transfers::PROVIDER),
    ("TP_C", &[5, 5, 6], transfers::CONSUMER),
];
/// What of them is switched off in the kit. We play it all the same.
const SWITCHED_OFF: [&str; 2] = ["TP:02-04", "TP_C:02-04"];

fn all() -> Vec<Scenario> {
    AREAS.iter().flat_map(|(_, _, rows)| rows.iter().copied()).collect()
}

/// The published script on any free port and without pauses.
fn script() -> String {
    let mut script: toml::Table = SCRIPT.parse().unwrap();
    for (key, here) in [("listen", "127.0.0.1:0".into()), ("pause_ms", 0.into())] {
        assert!(script.insert(key.to_owned(), here).is_some(), "{key}");
    }
    script.to_string()
}

/// This build's binary with a script, until it is dropped.
struct Connector {
    addresses: Addresses,
    begun: Begun,
    _world: World,
}

impl Connector {
    fn start(script: &str) -> Connector {
        let world = World::empty();
        world.write("script.toml", script.as_bytes());
        let mut begun = world.begin("--json serve --conformance script.toml");
        let mut said = String::new();
        let ready: Value = loop {
            let line = begun.line();
            assert!(!line.is_empty(), "it ended before it was ready: {said}");
            said.push_str(&line);
            if let Ok(ready) = serde_json::from_str(&said) {
                break ready;
            }
        };
        let address = |name: &str| {
            let found = ready["conformance"][name].as_str();
            found.unwrap_or_else(|| panic!("no {name} in {ready}")).to_owned()
        };
        let script: toml::Table = script.parse().unwrap();
        let addresses = Addresses {
            dsp: address("dsp"),
            root: address("root"),
            negotiations: address("negotiations"),
            transfers: address("transfers"),
            offers: address("offers"),
            organisation: script["organisation"].as_str().unwrap().to_owned(),
        };
        Connector { addresses, begun, _world: world }
    }

    /// Plays these rows; what failed, in their order.
    fn play(&self, rows: &[Scenario]) -> Vec<String> {
        let (kit, forms) = (Kit::start(), Forms::load());
        let next = Mutex::new(rows.iter().enumerate());
        let failed = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..rows.len().min(AT_A_TIME) {
                scope.spawn(|| {
                    loop {
                        let Some((n, row)) = next.lock().unwrap().next() else { return };
                        if let Err(why) = play(row, &self.addresses, &kit, &forms) {
                            failed.lock().unwrap().push((n, why));
                        }
                    }
                });
            }
        });
        let mut failed = failed.into_inner().unwrap();
        failed.sort();
        let strays = kit.strays().into_iter().map(|stray| format!("for no scenario: {stray}"));
        failed.into_iter().map(|(_, why)| why).chain(strays).collect()
    }

    /// A clean stop.
    fn stop(self) {
        assert_eq!(self.begun.stop(), 0);
    }
}

#[test]
fn the_scenarios_of_the_kit_pass() {
    let connector = Connector::start(&script());
    let rows = all();
    let failed = connector.play(&rows);
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), rows.len(), failed.join("\n"));
    connector.stop();
}

/// The rows are the kit's scenarios, in its order: 65 that it runs and two that it does not.
#[test]
fn there_is_a_row_for_every_scenario_of_the_kit() {
    let number = |area: &str, group: usize, n: usize| format!("{area}:{group:02}-{n:02}");
    let mut run = Vec::new();
    for (area, groups, rows) in AREAS {
        let ids = groups.iter().zip(1..);
        let ids = ids.flat_map(|(count, group)| (1..=*count).map(move |n| number(area, group, n)));
        let ids: Vec<String> = ids.collect();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
        let on = ids.iter().filter(|id| !SWITCHED_OFF.contains(&id.as_str()));
        run.push((area, on.count()));
    }
    let counts = [("MET", 1), ("CAT", 3), ("CN", 15), ("CN_C", 16), ("TP", 15), ("TP_C", 15)];
    assert_eq!(run, counts);
    assert_eq!(run.iter().map(|(_, count)| count).sum::<usize>(), 65);
}

/// A connector that decides otherwise than the scenarios say, and a good one's dataset.
const OTHERWISE: &str = r#"
listen = "127.0.0.1:0"
peer = "TCK_PARTICIPANT"
organisation = "did:web:connector.example"
pause_ms = 0
[[dataset]]
id = "CAT0103"
[[dataset]]
id = "ACN0101"
offer = "CD123:ACN0101:456"
requested = ["terminate"]
[[dataset]]
id = "ACN0103"
offer = "CD123:ACN0103:456"
requested = ["offer"]
accepted = ["agree"]
verified = ["terminate"]
[[dataset]]
id = "ACN0204"
offer = "CD123:ACN0204:456"
requested = ["offer"]
[[wanted]]
id = "ACNC0101"
offered = ["counter"]
[[agreement]]
id = "ATP0102"
requested = ["start"]
started = ["pause, terminate"]
[[agreement]]
id = "ATPC0202"
started = ["suspend"]
"#;

/// The runner can fail: what a connector decides otherwise is named with the scenario and the step.
#[test]
fn a_connector_that_decides_otherwise_is_found_out() {
    let named = [
        ("CAT:01-01", "expected CAT0101 in it, came"),
        ("CAT:01-03", "step 1, NoDataset: expected status 404, came Answer { status: 200"),
        ("CN:01-01", "step 2, Receive(Offer): expected POST /negotiations/kit-cn-01-01/offers"),
        ("CN:01-03", "step 6, Receive(Finalized): expected POST"),
        ("CN_C:01-01", "step 4, Receive(Accepted): expected POST"),
        ("TP:01-02", "step 3, Receive(Completion): expected POST"),
        ("TP_C:02-02", "step 4, Receive(Completion): expected POST"),
    ];
    let good = ["MET:01-01", "CN:02-04"];
    let played = |row: &Scenario| good.contains(&row.id) || named.iter().any(|n| n.0 == row.id);
    let rows: Vec<Scenario> = all().into_iter().filter(played).collect();
    assert_eq!(rows.len(), good.len() + named.len());
    finds(&rows, &named);
}

/// The same for what a good connector does, when a row says that it does otherwise.
#[test]
fn a_row_that_expects_otherwise_fails() {
    const TAKEN: &[Step] = &[Send(Request), Receive(Offer), Send(Verification)];
    const NOT_TAKEN: &[Step] = &[Send(Request), Receive(Offer), Refused(Accepted)];
    const ELSEWHERE: &[Step] = &[Send(Request), Receive(Offer), State("ACCEPTED")];
    for (steps, says) in [
        (TAKEN, "step 3, Send(Verification): expected status 200, came Answer { status: 400"),
        (NOT_TAKEN, "step 3, Refused(Accepted): expected a refusal, came Answer { status: 200"),
        (ELSEWHERE, r#"step 3, State("ACCEPTED"): expected {"state":"ACCEPTED"}, came"#),
    ] {
        finds(&[row("CN:02-04", steps)], &[("CN:02-04", says)]);
    }
}

/// Plays these rows against the connector that decides otherwise: what is found is this.
fn finds(rows: &[Scenario], named: &[(&str, &str)]) {
    let connector = Connector::start(OTHERWISE);
    let failed = connector.play(rows);
    assert_eq!(failed.len(), named.len(), "{failed:#?}");
    for (why, (id, says)) in failed.iter().zip(named) {
        assert!(why.starts_with(&format!("{id}, ")) && why.contains(says), "{why}");
    }
    connector.stop();
}
