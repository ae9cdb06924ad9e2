//! The job on real recordings, between three whole nodes: what it was given, what it found, whom it
//! asked, and what a job that dies or is fooled does.

mod recording;
mod world;

use super::{
    LONGEST_REST, Led, NotAsked, Options, REST, Step, Watch, Why, rule_file, until_open, waits_for,
};
use crate::commands::incident_began::look;
use crate::session::url;
use recording::{Row, rows};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use twinpact_detect::{Milli, Rule, RuleFile, Sample};
use twinpact_gateway::{AdminClient, Running};
use twinpact_model::{Schedule, Timestamp};
use twinpact_node::api::IncidentShown;
use twinpact_node::incidents;
use world::{HOUR, World};

const RULE: &str = include_str!("../../../../../examples/wind/power-loss.rule.toml");
/// Monday, so that there is something to learn from before the stops.
const FROM: &str = "2015-07-20T00:00:00+02:00";
/// The Monday after, by when the stop of the weekend must have been found.
const UNTIL: &str = "2015-07-27T09:00:00+02:00";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn client(node: &Running) -> AdminClient {
    let admin = &node.admin;
    AdminClient::new(url(admin), admin.token.clone())
}

fn options(world: &World, state: Option<&Path>) -> Options {
    Options {
        agreement: world.stream.clone(),
        purpose: Some("predictive-maintenance".to_owned()),
        place: Some("FR".to_owned()),
        state: state.map(Path::to_owned),
    }
}

async fn job(world: &World, state: Option<&Path>) -> Watch {
    Watch::open(client(&world.maker), RULE, options(world, state)).await.unwrap()
}

/// What the rule reads of a row.
fn sample(rule: &RuleFile, row: &Row) -> Option<Sample> {
    let number = |name: &str| row.values.iter().find(|(column, _)| column == name);
    let milli = |name: &str| Milli::parse(&number(name)?.1);
    Some(Sample {
        twin: row.twin.clone(),
        at: row.at,
        drive: milli(&rule.drive)?,
        output: milli(&rule.output)?,
        keep_until: None,
    })
}

fn sorted(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by(|a, b| (a.at, &a.twin, a.drive).cmp(&(b.at, &b.twin, b.drive)));
    samples
}

/// The job and the world at its time.
struct Played {
    world: World,
    watch: Watch,
    state: PathBuf,
    /// What each finding led to, and at which time of the policy clock.
    led: Vec<(Timestamp, Led)>,
    /// What is permitted by now.
    permitted: Vec<Row>,
}

impl Played {
    async fn new() -> Played {
        let world = World::new(at(FROM)).await;
        let state = world.path("job.state");
        let watch = job(&world, Some(&state)).await;
        Played { world, watch, state, led: Vec::new(), permitted: Vec::new() }
    }

    /// Plays rows hour by hour: they are recorded when the hour is over, and the job takes a step
    /// whenever it is open.
    async fn play(&mut self, rows: &[Row], open: &Schedule) {
        for hour in rows.chunk_by(|a, b| a.at.seconds() / HOUR == b.at.seconds() / HOUR) {
            let now = Timestamp::from_seconds((hour[0].at.seconds() / HOUR + 1) * HOUR);
            self.world.set(now).await;
            self.world.ingest(hour).await;
            self.permitted.extend(hour.iter().filter(|row| open.contains(row.at)).cloned());
            if !open.contains(now) {
                continue;
            }
            self.world.delivered(self.permitted.len()).await;
            let before = self.world.keep(&self.state);
            let step = self.watch.step().await.unwrap();
            assert_eq!((step.gone, &step.refused, &step.ended), (0, &None, &None));
            assert_eq!(
                (step.late, step.ahead, &step.unread, &step.stuck),
                (0, 0, &vec![], &vec![])
            );
            if !step.led.is_empty() {
                self.again(&before, &step).await;
            }
            for led in step.led {
                self.world.confirm(led.incident.as_ref().unwrap()).await;
                self.led.push((now, led));
            }
        }
    }

    /// A job that was killed before it could remember: it finds the same, and opens nothing twice.
    async fn again(&self, before: &Path, step: &Step) {
        let opened = || incidents::list(self.world.maker_node(), None).unwrap().len();
        let (count, mut killed) = (opened(), job(&self.world, Some(before)).await);
        let again = killed.step().await.unwrap();
        let names = |step: &Step| -> Vec<_> {
            let led = step.led.iter();
            led.map(|one| (one.twin.clone(), one.first, one.incident.clone())).collect()
        };
        assert_eq!((names(&again), opened()), (names(step), count));
        // And one that could has nothing to do.
        let mut next = job(&self.world, Some(&self.state)).await;
        assert_eq!(next.step().await.unwrap().led, []);
    }
}

/// How many numbers stand in a document.
fn numbers(value: &Value) -> usize {
    match value {
        Value::Number(_) => 1,
        Value::Array(all) => all.iter().map(numbers).sum(),
        Value::Object(all) => all.values().map(numbers).sum(),
        _ => 0,
    }
}

/// Nothing of a row but the time of a loss outlives its copy in what the job remembers.
fn without_values(state: &Path) {
    let written = std::fs::read_to_string(state).unwrap();
    let (_, body) = written.split_once('\n').unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    // That of the version.
    assert_eq!(numbers(&body), 1, "{body}");
    assert!(body["judged"]["losses"].as_object().is_some_and(|losses| !losses.is_empty()));
}

/// A job is not given a past that is not its own, and leaves the evidence where it is.
async fn fooled(played: &Played) {
    let (world, state) = (&played.world, &played.state);
    let written = std::fs::read_to_string(state).unwrap();
    let changed = written.replacen("\"quiet\":{", "\"quiet\":{\"urn:turbine:R80721\":1,", 1);
    assert_ne!(changed, written);
    std::fs::write(state, &changed).unwrap();
    let opened = Watch::open(client(&world.maker), RULE, options(world, Some(state))).await;
    let problem = opened.err().unwrap();
    assert_eq!(problem.code.name, "rule.learned", "{problem}");
    assert_eq!(std::fs::read_to_string(state).unwrap(), changed);
    // As it was, it is its own.
    std::fs::write(state, &written).unwrap();
    assert_eq!(job(world, Some(state)).await.step().await.unwrap().led, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_of_the_weekend_is_contained_on_monday_by_what_was_permitted_and_nothing_else() {
    let all = rows(at(FROM), at(UNTIL));
    let open = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
    let mut played = Played::new().await;
    let weekend = at("2015-07-25T00:00:00+02:00");
    let (week, rest): (Vec<Row>, Vec<Row>) = all.into_iter().partition(|row| row.at < weekend);
    played.play(&week, &open).await;
    // Thursday's stop of the same turbine was traced to the turbines with a part of its lot.
    let thursday =
        played.led.iter().find(|(_, led)| led.twin.ends_with("R80711")).unwrap().1.clone();
    played.world.traced(&thursday);
    // At night the job may not read; what it has learned stays.
    let mut curious = job(&played.world, None).await;
    let step = curious.step().await.unwrap();
    assert_eq!(step.refused.map(|problem| problem.code.name), Some("policy.schedule"));
    assert_eq!((step.rows, step.led), (0, vec![]));
    // The supplier is away: the walk ends there, and the turbine is contained all the same.
    played.world.supplier_leaves().await;
    let known = played.led.len();
    played.play(&rest, &open).await;
    let stop = at("2015-07-26T04:00:00+02:00");
    let monday = played.led[known..]
        .iter()
        .find(|(_, led)| led.twin.ends_with("R80711") && led.first > stop);
    let (when, led) = monday.unwrap();
    assert!(*when <= at(UNTIL), "{when}");
    played.world.traced_no_further(led, at(UNTIL));
    // Its owner sees the weekend too, and that it began then.
    let containment = played.world.asked_of_operator(led);
    let rule = Rule::new(&rule_file(RULE).unwrap()).unwrap();
    let began = look(&client(&played.world.operator), &containment, &rule).await.unwrap();
    let began = began.began.unwrap();
    assert!(began > stop && began < led.first && !open.contains(began), "{began}");

    let rule = rule_file(RULE).unwrap();
    let expect: Vec<Sample> =
        played.permitted.iter().filter_map(|row| sample(&rule, row)).collect();
    assert!(expect.len() > 1_000);
    let given = std::mem::take(&mut played.watch.given);
    assert!(given.iter().all(|sample| sample.keep_until.is_some()), "some may be kept for ever");
    let given = given.into_iter().map(|sample| Sample { keep_until: None, ..sample }).collect();
    // Too much to be printed.
    assert!(sorted(given) == sorted(expect), "what was given is not what is permitted");
    without_values(&played.state);
    fooled(&played).await;
    played.world.stop().await;
}

#[test]
fn a_job_rests_until_it_is_open() {
    let hours = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
    let check = |now: &str, seconds: u64| {
        assert_eq!(until_open(Some(&hours), at(now)).as_secs(), seconds, "{now}");
    };
    check("2015-07-27T06:59:00+02:00", 60);
    check("2015-07-27T06:00:00+02:00", 3_600);
    check("2015-07-25T06:00:00+02:00", LONGEST_REST.as_secs());
    // It is open: what refuses is something else.
    check("2015-07-27T07:00:00+02:00", REST.as_secs());
    assert_eq!(until_open(None, at(FROM)), REST);
}

#[test]
fn a_twin_is_asked_about_once_until_its_owner_answers() {
    let operator = "did:web:operator.example";
    let shown = |ours: bool, state: &str, not_taken: Option<&str>| -> IncidentShown {
        let containment = json!({
            "id": "c", "asked_by": "did:web:maker.example", "asked_of": operator, "ours": ours,
            "agreement": "a", "twins": ["urn:a", "urn:b"], "measure": "m", "reason": "r",
            "evidence": [], "seen": { "twin": "urn:a", "first": FROM, "found": FROM }, "opened": FROM, "driven": false, "recorded": FROM,
            "event": 1, "state": state, "waits": null, "not_taken": not_taken, "answers": [],
        });
        let incident = json!({
            "id": "i", "name": "power-loss", "key": null, "recorded": FROM, "event": 1,
            "containments": 1, "states": [state],
        });
        let shown = json!({ "incident": incident, "story": null, "containments": [containment] });
        serde_json::from_value(shown).unwrap()
    };
    let open = shown(true, "open", None);
    for (incident, owner, twin, expect) in [
        (&open, operator, "urn:a", true),
        // About that one it is asked as about a sibling, not for a loss of its own.
        (&open, operator, "urn:b", false),
        (&open, operator, "urn:c", false),
        (&open, "did:web:supplier.example", "urn:a", false),
        (&shown(false, "open", None), operator, "urn:a", false),
        (&shown(true, "confirmed", None), operator, "urn:a", false),
        (&shown(true, "released", None), operator, "urn:a", false),
        (&shown(true, "open", Some("document.refused")), operator, "urn:a", false),
    ] {
        assert_eq!(waits_for(incident, owner, twin), expect, "{incident:?} {owner} {twin}");
    }
}
