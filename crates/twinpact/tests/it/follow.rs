//! A stream that is followed by commands: what comes, what is said of it, and its end.

use crate::federation::{PURPOSE, Pair, ok, shown};
use crate::world::{Begun, World};
use serde_json::{Value, json};

/// The receipts of all rows that are shown, once they have come.
fn receipts(pair: &Pair) -> Vec<String> {
    let (mut after, mut all, mut rows) = (String::new(), Vec::new(), 0);
    while rows < shown().len() {
        let line = format!("subscription receipts {}{after} --dir maker", pair.agreement);
        let came = pair.world.json(&line);
        let new: Vec<String> = serde_json::from_value(came["receipts"].clone()).unwrap();
        assert!(!new.is_empty(), "nothing has come within its patience: {came}");
        for receipt in new {
            let copy = format!("copy show {receipt} --purpose {PURPOSE} --place FR --dir maker");
            rows += pair.world.json(&copy)["rows"].as_array().unwrap().len();
            all.push(receipt);
        }
        after = format!(" --after {}", came["position"]);
    }
    all
}

const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");

#[test]
fn a_job_takes_what_has_come_remembers_it_and_ends_with_the_stream() {
    let pair = Pair::concluded();
    let world = &pair.world;
    world.write("rule.toml", RULE.as_bytes());
    let follow = format!("follow {} --purpose {PURPOSE} --place FR", pair.agreement);
    world.json(&format!("{follow} --from-start --dir maker"));
    receipts(&pair);
    let watch = |words: &str| {
        let asked = format!("--agreement {} {words} --state job.state", pair.agreement);
        world.run(&format!("watch rule.toml {asked} --dir maker"))
    };
    let once = |purpose: &str| {
        let done = watch(&format!("--purpose {purpose} --place FR --once --json"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        (serde_json::from_str::<Value>(&done.stdout).unwrap(), done.stderr)
    };
    // For another purpose nothing is read, and nothing is forgotten.
    let done = watch("--purpose marketing --place FR --once --json");
    assert_eq!((done.code, done.error()), (20, "policy.purpose"), "{}", done.stderr);
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let nothing = json!({
        "found": [], "copies": 0, "rows": 0, "late": 0, "ahead": 0, "gone": 0, "unread": [],
        "stuck": [], "refused": "policy.purpose", "ended": null,
    });
    assert_eq!(said, nothing);
    assert!(done.stderr.contains("what is left is not read now: "), "{}", done.stderr);
    let (all, _) = once(PURPOSE);
    assert_eq!((&all["found"], &all["rows"]), (&json!([]), &json!(shown().len())));
    // What was learned is nowhere but in the copies: they are read again, and find nothing.
    let (again, _) = once(PURPOSE);
    assert_eq!(again, all);
    // Without end it ends with the stream.
    world.json(&format!("subscription end {} --dir maker", pair.agreement));
    let ended = watch(&format!("--purpose {PURPOSE} --place FR"));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("the stream has ended: left"), "{}", ended.stderr);
    // What may not be read, and will not be by waiting, ends it too.
    std::fs::remove_file(world.path("job.state")).unwrap();
    let refused = watch("--purpose marketing --place FR");
    assert_eq!((refused.code, refused.error()), (20, "policy.purpose"), "{}", refused.stderr);
    // What another has written is not gone on with.
    world.write("job.state", b"{}\n{}");
    let foreign = watch(&format!("--purpose {PURPOSE} --place FR --once"));
    assert_eq!((foreign.code, foreign.error()), (11, "rule.learned"), "{}", foreign.stderr);
}

/// Rows of three turbines in one wind, five minutes apart, from the `from`-th on; that in `still`
/// gives nothing.
fn fleet(world: &World, from: u32, still: &[Option<&str>]) {
    let mut csv = "name,time,power,pitch,wind,note\n".to_owned();
    for (step, still) in (from..).zip(still) {
        let minutes = 10 + 5 * step;
        let time = format!("2015-07-27T{:02}:{:02}:00Z", 5 + minutes / 60, minutes % 60);
        for name in ["A", "B", "C"] {
            let power = if *still == Some(name) { 0 } else { 600 };
            csv.push_str(&format!("{name},{time},{power},1.5,8,x\n"));
        }
    }
    world.write("fleet.csv", csv.as_bytes());
    ok(world, "ingest fleet.csv --map map.toml --dir operator");
}

#[test]
fn a_job_goes_on_when_it_or_its_node_was_killed() {
    let mut pair = Pair::concluded();
    pair.world.write("rule.toml", RULE.as_bytes());
    let line = format!(
        "watch rule.toml --agreement {} --purpose {PURPOSE} --place FR --state job.state \
         --json --dir maker",
        pair.agreement
    );
    let found = |job: &mut Begun, turbine: &str| {
        let led: Value = serde_json::from_str(&job.line()).unwrap();
        assert_eq!(led["twin"], format!("urn:turbine:{turbine}"), "{led}");
        assert_ne!(led["incident"], Value::Null, "{led}");
    };
    let mut job = pair.world.begin(&line);
    // A learns, stands still, and one instant more says that no more rows come.
    let a = [None, None, None, None, Some("A"), Some("A"), Some("A"), None];
    fleet(&pair.world, 0, &a);
    found(&mut job, "A");
    job.kill();
    // Neither what it has found is found again, nor what was learned is lost.
    let mut job = pair.world.begin(&line);
    fleet(&pair.world, 8, &[Some("B"), Some("B"), Some("B"), None]);
    found(&mut job, "B");
    pair.restart_maker();
    fleet(&pair.world, 12, &[Some("C"), Some("C"), Some("C"), None]);
    found(&mut job, "C");
    assert_eq!(job.stop(), 0);
    let incidents = pair.world.json("incident list --dir maker");
    assert_eq!(incidents.as_array().unwrap().len(), 3, "{incidents}");
}

/// Follows the stream, unless it is followed, and waits until all rows of the pair that are shown
/// have come, and so many more.
fn followed(pair: &Pair, more: usize) {
    let follow = format!("follow {} --purpose {PURPOSE} --place FR", pair.agreement);
    pair.world.json(&format!("{follow} --from-start --dir maker"));
    loop {
        let one = pair.world.json("subscription list --dir maker")[0].clone();
        if one["rows"] == shown().len() + more {
            return;
        }
        let after = one["position"].as_u64().map_or(String::new(), |at| format!("--after {at}"));
        pair.world.json(&format!("subscription receipts {} {after} --dir maker", pair.agreement));
    }
}

/// One step of the job.
fn once(pair: &Pair) -> Value {
    let line = format!(
        "watch rule.toml --agreement {} --purpose {PURPOSE} --place FR --state job.state --once \
         --dir maker",
        pair.agreement
    );
    pair.world.json(&line)
}

#[test]
fn a_row_that_came_twice_is_one_and_one_of_a_time_to_come_is_none() {
    let pair = Pair::concluded();
    pair.world.write("rule.toml", RULE.as_bytes());
    // It is ten in the morning; a clock that goes wrong says half past three.
    fleet(&pair.world, 100, &[None]);
    fleet(&pair.world, 0, &[None, None, None, None, Some("A"), Some("A"), None]);
    // All of it comes with the stream, and is pulled once more.
    followed(&pair, 24);
    pair.pull();
    let all = once(&pair);
    let rows = 2 * (shown().len() + 24);
    assert_eq!((&all["found"], &all["rows"], &all["ahead"]), (&json!([]), &json!(rows), &json!(6)));
    fleet(&pair.world, 7, &[Some("A"), None]);
    followed(&pair, 30);
    let found = once(&pair)["found"].clone();
    let times = (&found[0]["twin"], &found[0]["first"], &found[0]["found"]);
    let expect =
        (&json!("urn:turbine:A"), &json!("2015-07-27T05:30:00Z"), &json!("2015-07-27T05:45:00Z"));
    assert_eq!((found.as_array().unwrap().len(), times), (1, expect), "{found}");
}

#[test]
fn a_loss_that_goes_on_is_opened_again_when_its_owner_has_answered() {
    let pair = Pair::concluded();
    pair.world.write("rule.toml", RULE.as_bytes());
    pair.set_clock("2015-07-27T14:30:00+02:00");
    // It stops, runs for more than six hours, and stops again: its owner has not answered yet.
    let stops = [[None; 4].as_slice(), &[Some("A"); 3], &[None; 76], &[Some("A"); 4]].concat();
    fleet(&pair.world, 0, &stops);
    followed(&pair, 3 * stops.len());
    let found = once(&pair)["found"].clone();
    let (first, then) = (&found[0]["incident"]["id"], &found[1]);
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!((&then["incident"], &then["contained_by"]), (&Value::Null, first));
    assert_eq!(once(&pair)["found"], json!([]));
    let shown = pair.world.json(&format!("incident show {} --dir maker", first.as_str().unwrap()));
    let containment = shown["containments"][0]["id"].as_str().unwrap();
    ok(&pair.world, &format!("incident refuse {containment} --by somebody --dir operator"));
    // Whether what was done helps is not known yet; then it is known that it does not.
    assert_eq!(once(&pair)["found"], json!([]));
    pair.set_clock("2015-07-27T15:00:00+02:00");
    fleet(&pair.world, 90, &[Some("A"), Some("A")]);
    followed(&pair, 3 * (stops.len() + 2));
    let again = once(&pair)["found"].clone();
    assert_eq!((again.as_array().unwrap().len(), &again[0]["found"]), (1, &then["found"]));
    assert!(again[0]["incident"].is_object() && again[0]["incident"]["id"] != *first, "{again}");
    assert_eq!(once(&pair)["found"], json!([]));
}

#[test]
fn a_stream_is_followed_listed_and_ended() {
    let pair = Pair::concluded();
    let world = &pair.world;
    assert_eq!(world.json("subscription list --dir maker"), json!([]));
    let unknown = world.run(&format!("subscription end {} --dir maker", pair.agreement));
    assert_eq!((unknown.code, unknown.error()), (11, "agreement.unknown"));
    let follow = format!("follow {} --place FR --from-start --dir maker", pair.agreement);
    let without = world.run(&follow);
    assert_eq!((without.code, without.error()), (11, "exchange.purpose"), "{}", without.stderr);
    assert!(without.stderr.contains("hint: give --purpose"), "{}", without.stderr);
    let front = &pair.agreement[..12];
    let done = world.run(&format!("{follow} --purpose {PURPOSE}"));
    let next = format!("next: twinpact subscription receipts {front} --dir maker");
    assert_eq!((done.code, done.stderr.trim()), (0, next.as_str()));
    let before = receipts(&pair);
    let one = |key: &str| -> Value {
        let all = world.json("subscription list --dir maker");
        assert_eq!(all.as_array().unwrap().len(), 1);
        all[0][key].clone()
    };
    assert_eq!((one("rows"), one("code")), (json!(shown().len()), json!(null)));
    let ended = world.json(&format!("subscription end {front} --dir maker"));
    assert_eq!((&ended["code"], one("code")), (&json!("left"), json!("left")));
    // What has come stays, and whoever asks for more hears at once that no more will come.
    let came = world.json(&format!("subscription receipts {front} --after 999 --dir maker"));
    assert_eq!((&came["receipts"], &came["code"]), (&json!([]), &json!("left")));
    assert_eq!(receipts(&pair), before);
}
