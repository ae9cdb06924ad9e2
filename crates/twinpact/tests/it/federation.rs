//! Two nodes on loopback, as two organisations have them: what is delivered, what is refused and
//! why, and what a kill, a revocation or an impostor changes.

use crate::canaries::{self, NUMBER, TEXT, TWIN};
use crate::world::{Done, Serving, World};
use serde_json::Value;
use twinpact_model::Timestamp;
pub(crate) use twinpact_testkit::free_port;

const CONTRACT: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
pub(crate) const OPERATOR: &str = "did:web:operator.example";
pub(crate) const PURPOSE: &str = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
const BENCHMARKING: &str = "https://w3id.org/twinpact/purpose/Benchmarking";
pub(crate) const MONDAY: &str = "2015-07-27T10:00:00+02:00";
const SUNDAY: &str = "2015-07-26T14:10:00+02:00";

const MODEL: &str = r#"
model = "wind-turbine"
version = 1
retention_class = "operational"
[[attribute]]
name = "power"
datatype = "double"
unit = "kW"
[[attribute]]
name = "pitch"
datatype = "double"
unit = "deg"
[[attribute]]
name = "wind_speed"
datatype = "double"
unit = "m/s"
[[attribute]]
name = "note"
datatype = "string"
"#;

const MAP: &str = r#"
source = "urn:source:test"
model = "wind-turbine@1"
twin = "urn:turbine:{name}"
time = { column = "time" }
key = ["name", "time"]
[columns]
power = "power"
pitch = "pitch"
wind = "wind_speed"
note = "note"
"#;

/// Times in UTC, and whether the row filter shows them: Mo-Fr 07:00-19:00 in Paris, which is two
/// hours ahead of UTC in July and one in January. The end of the hours is outside.
const ROWS: &[(&str, bool)] = &[
    ("2015-01-12T05:59:59Z", false),
    ("2015-01-12T06:00:00Z", true),
    ("2015-01-12T17:59:59Z", true),
    ("2015-01-12T18:00:00Z", false),
    ("2015-07-20T04:59:59Z", false),
    ("2015-07-20T05:00:00Z", true),
    ("2015-07-20T16:59:59Z", true),
    ("2015-07-20T17:00:00Z", false),
    ("2015-07-21T00:00:00Z", false),
    ("2015-07-21T10:00:00Z", true),
    ("2015-07-22T10:00:00Z", true),
    ("2015-07-23T10:00:00Z", true),
    ("2015-07-23T22:30:00Z", false),
    ("2015-07-24T10:00:00Z", true),
    ("2015-07-24T16:50:00Z", true),
    ("2015-07-24T17:00:00Z", false),
    ("2015-07-25T10:00:00Z", false),
    ("2015-07-26T10:00:00Z", false),
    ("2015-07-26T22:30:00Z", false),
    ("2015-07-27T05:00:00Z", true),
];

pub(crate) fn shown() -> Vec<&'static str> {
    ROWS.iter().filter(|(_, shown)| *shown).map(|(time, _)| *time).collect()
}

/// An operator that shows its turbine to the maker, both nodes running, and an agreement between
/// them; it is Monday, 10:00 in Paris.
pub(crate) struct Pair {
    pub(crate) world: World,
    operator: Option<Serving>,
    maker: Option<Serving>,
    ports: (u16, u16),
    pub(crate) agreement: String,
}

impl Pair {
    pub(crate) fn concluded() -> Pair {
        let world = World::empty();
        let ports = (free_port(), free_port());
        make(&world, "operator", OPERATOR, ports.0, ports.1);
        make(&world, "maker", "did:web:maker.example", ports.1, ports.0);
        fill(&world);
        let (operator, maker) = (world.serve_driven("operator"), world.serve_driven("maker"));
        for (us, other) in [("operator", "maker"), ("maker", "operator")] {
            let record = ok(&world, &format!("trust export --dir {other}"));
            world.write(&format!("{other}.json"), record.stdout.as_bytes());
            ok(&world, &format!("partner add {other}.json --dir {us}"));
        }
        let agreed = world.json(&format!("negotiate {OPERATOR} --dir maker"));
        let agreement = agreed["id"].as_str().unwrap().to_owned();
        let (operator, maker) = (Some(operator), Some(maker));
        let pair = Pair { world, operator, maker, ports, agreement };
        pair.set_clock(MONDAY);
        pair
    }

    /// In lockstep: the same policy time at both nodes.
    pub(crate) fn set_clock(&self, time: &str) {
        for node in ["operator", "maker"] {
            ok(&self.world, &format!("clock set {time} --dir {node}"));
        }
    }

    fn line(&self, purpose: &str, place: &str) -> String {
        let agreement = &self.agreement;
        format!("pull {agreement} --purpose {purpose} --place {place} --dir maker")
    }

    /// A pull that must succeed.
    pub(crate) fn pull(&self) -> Value {
        self.world.json(&self.line(PURPOSE, "FR"))
    }

    /// A pull that must fail.
    fn refused(&self, purpose: &str, place: &str) -> Done {
        let done = self.world.run(&self.line(purpose, place));
        assert_ne!(done.code, 0, "{purpose} {place}: {}", done.stdout);
        done
    }

    fn decisions(&self) -> Vec<Value> {
        self.world.json("decision list --dir operator").as_array().unwrap().clone()
    }

    /// SIGKILL, and the same directory again.
    fn restart_operator(&mut self) {
        self.operator.take().unwrap().kill();
        self.operator = Some(self.world.serve_driven("operator"));
        self.set_clock(MONDAY);
    }

    pub(crate) fn stop_maker(&mut self) {
        assert_eq!(self.maker.take().unwrap().stop(), 0);
    }

    /// The processes of both nodes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        [&self.operator, &self.maker].into_iter().flatten().map(Serving::pid).collect()
    }

    /// Stops both, and gives what each has said on stdout.
    pub(crate) fn stop_and_tell(&mut self) -> Vec<String> {
        let running = [self.operator.take(), self.maker.take()].into_iter().flatten();
        let told = running.map(Serving::stop_and_tell);
        told.inspect(|(code, _)| assert_eq!(*code, 0)).map(|(_, said)| said).collect()
    }

    /// The operator alone, stopped before, with its log in that form; at the same policy time.
    pub(crate) fn serve_operator(&mut self, form: &str) {
        self.operator = Some(self.world.serve_driven_logging("operator", form));
        ok(&self.world, &format!("clock set {MONDAY} --dir operator"));
    }

    pub(crate) fn stop_operator(&mut self) {
        assert_eq!(self.operator.take().unwrap().stop(), 0);
    }

    /// Another node takes name and port of the operator, and would let the maker in.
    pub(crate) fn replace_operator(&mut self) {
        make(&self.world, "impostor", OPERATOR, self.ports.0, self.ports.1);
        self.stop_operator();
        self.operator = Some(self.world.serve_driven("impostor"));
        ok(&self.world, "partner add maker.json --dir impostor");
    }

    pub(crate) fn restart_maker(&mut self) {
        self.maker.take().unwrap().kill();
        self.maker = Some(self.world.serve_driven("maker"));
        self.set_clock(MONDAY);
    }
}

pub(crate) fn ok(world: &World, line: &str) -> Done {
    let done = world.run(line);
    assert_eq!(done.code, 0, "{line}: {}", done.stderr);
    done
}

pub(crate) fn make(world: &World, dir: &str, did: &str, port: u16, partner: u16) {
    ok(world, &format!("init --dir {dir} --org {did} --name {dir}"));
    let config = format!(
        "organisation = \"{did}\"\nname = \"{dir}\"\n[federation]\n\
         listen = \"127.0.0.1:{port}\"\nallow_private = [\"https://127.0.0.1:{partner}\"]\n"
    );
    world.write(&format!("{dir}/twinpact.toml"), config.as_bytes());
}

/// Model, rows and contract of the operator: the example's, with a text beside the numbers.
fn fill(world: &World) {
    prepare(world);
    let report = world.json(INGEST);
    assert_eq!(report["new"], ROWS.len());
    ok(world, PUBLISH);
}

pub(crate) const INGEST: &str = "ingest rows.csv --map map.toml --dir operator";
pub(crate) const PUBLISH: &str = "contract publish contract.odcs.yaml --dir operator";

/// The model of the operator, and the files of its rows and its contract.
pub(crate) fn prepare(world: &World) {
    let mut csv = "name,time,power,pitch,wind,note\n".to_owned();
    for (time, _) in ROWS {
        csv.push_str(&format!("{TWIN},{time},{NUMBER},1.5,8,{TEXT}\n"));
    }
    let note = "      - {id: note, name: note, logicalType: string}\nslaProperties:";
    let contract = CONTRACT.replacen("slaProperties:", note, 1);
    world.write("model.toml", MODEL.as_bytes());
    world.write("map.toml", MAP.as_bytes());
    world.write("rows.csv", csv.as_bytes());
    world.write("contract.odcs.yaml", contract.as_bytes());
    ok(world, "model apply model.toml --dir operator");
}

#[test]
fn exactly_the_rows_inside_the_hours_are_delivered() {
    let pair = Pair::concluded();
    let pulled = pair.pull();
    let inside = shown();
    assert_eq!(pulled["rows"], inside.len());
    assert_eq!(
        (&pulled["first"], &pulled["last"]),
        (&inside[0].into(), &(*inside.last().unwrap()).into())
    );
    // Row by row: each span of one second holds its row or none.
    for (time, shown) in ROWS {
        let until = time.replace('Z', ".5Z");
        let line = format!("{} --since {time} --until {until}", pair.line(PURPOSE, "FR"));
        assert_eq!(pair.world.json(&line)["rows"], usize::from(*shown), "{time}");
    }
}

#[test]
fn a_receipt_holds_for_who_trusts_the_operator_and_the_next_one_continues_it() {
    let pair = Pair::concluded();
    let world = &pair.world;
    ok(world, "trust add operator.json --trust trust.toml");
    let receipts: Vec<String> =
        (0..2).map(|_| pair.pull()["receipts"][0].as_str().unwrap().to_owned()).collect();
    assert_ne!(receipts[0], receipts[1]);
    for receipt in receipts {
        ok(world, &format!("receipt export {receipt} --out r.twinproof --dir maker"));
        // The provider makes its receipt again, from its log.
        ok(world, &format!("receipt export {receipt} --out again.twinproof --dir operator"));
        for file in ["r.twinproof", "again.twinproof"] {
            let verdict = world.json(&format!("verify {file} --trust trust.toml"));
            assert_eq!(
                (&verdict["issuer"], &verdict["level"]),
                (&OPERATOR.into(), &"signed".into())
            );
            assert_eq!(verdict["audience"], "did:web:maker.example");
            assert!(verdict["notes"].to_string().contains("driven"), "{verdict}");
        }
        let untrusted = world.run("verify r.twinproof");
        assert_eq!((untrusted.code, untrusted.error()), (23, "proof.unanchored"));
    }
}

#[test]
fn what_both_have_signed_is_countersigned_for_who_trusts_both() {
    let pair = Pair::concluded();
    let world = &pair.world;
    let pulled = pair.pull();
    assert_eq!(pulled["level"], "countersigned");
    let receipt = pulled["receipts"][0].as_str().unwrap();
    let mut shown = world.json(&format!("receipt show {receipt} --dir maker"));
    let mut list = world.json("receipt list --dir maker");
    // Whether it was taken by the provider in between is no matter of this test.
    shown["waits"] = Value::Null;
    list[0]["waits"] = Value::Null;
    assert_eq!(list.as_array().unwrap().as_slice(), std::slice::from_ref(&shown));
    for (name, expect) in [
        ("level", Value::from("countersigned")),
        ("why", Value::Null),
        ("role", "consumer".into()),
        ("partner", OPERATOR.into()),
        ("agreement", pair.agreement.clone().into()),
        ("rows", self::shown().len().into()),
        ("driven", true.into()),
    ] {
        assert_eq!(shown[name], expect, "{name}: {shown}");
    }
    for (line, said) in [
        (format!("receipt show {receipt} --dir maker"), "  level: countersigned"),
        ("receipt list --dir maker".to_owned(), "countersigned"),
        (format!("agreement show {} --dir maker", pair.agreement), "  level: countersigned"),
        ("decision list --dir operator".to_owned(), "signed"),
        (format!("receipt export {receipt} --out r.twinproof --dir maker"), "level: countersigned"),
        ("proof export 5 --out fact.twinproof --dir operator".to_owned(), "level: signed"),
    ] {
        let done = ok(world, &line);
        assert!(done.stdout.contains(said), "{line}: {}", done.stdout);
    }
    let decision = world.json("decision list --dir operator")[0]["id"].clone();
    let line = format!("decision show {} --dir operator", decision.as_str().unwrap());
    assert_eq!(world.json(&line)["decision"]["level"], "signed");
    // The provider has delivered it, whether or not the signature is there already.
    let given = world.json(&format!("receipt show {receipt} --dir operator"));
    assert_eq!((&given["id"], &given["role"]), (&receipt.into(), &"provider".into()));
    let verify = "verify r.twinproof --trust trust.toml --require countersigned";
    ok(world, "trust add operator.json --trust trust.toml");
    let less = world.run(verify);
    assert_eq!((less.code, less.error()), (23, "proof.level"));
    let why = "did:web:maker.example is nobody whom you named";
    assert!(less.stderr.contains(why), "{}", less.stderr);
    ok(world, "trust add maker.json --trust trust.toml");
    assert_eq!(world.json(verify)["level"], "countersigned");
    let unknown = world.run("receipt show 00000000 --dir maker");
    assert_eq!((unknown.code, unknown.error()), (11, "receipt.unknown"));
}

#[test]
fn a_view_of_two_pages_has_two_receipts() {
    let pair = Pair::concluded();
    let world = &pair.world;
    // A row a second from Tuesday morning on, of a twin that comes before the other: one row more
    // than a page.
    let first = Timestamp::parse("2015-07-21T05:00:00Z").unwrap();
    let mut csv = "name,time,power,pitch,wind,note\n".to_owned();
    for second in 0..=20_000 {
        csv.push_str(&format!("a,{},{second},1.5,8,x\n", first.plus_seconds(second)));
    }
    world.write("more.csv", csv.as_bytes());
    assert_eq!(world.json("ingest more.csv --map map.toml --dir operator")["new"], 20_001);
    let done = ok(world, &pair.line(PURPOSE, "FR"));
    let said = format!(" rows in 2 pages, {} to", shown()[0]);
    assert!(done.stdout.contains(&said), "{}", done.stdout);
    assert!(done.stdout.contains("the 2 receipts are verified: countersigned"), "{}", done.stdout);
    let pulled = pair.pull();
    assert_eq!(pulled["rows"], 20_001 + shown().len());
    ok(world, "trust add operator.json --trust trust.toml");
    let receipts = pulled["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 2);
    for (receipt, rows) in receipts.iter().zip([20_000, 1 + shown().len()]) {
        let receipt = receipt.as_str().unwrap();
        ok(world, &format!("receipt export {receipt} --out r.twinproof --dir maker"));
        let verdict = ok(world, "verify r.twinproof --trust trust.toml");
        assert!(verdict.stdout.contains(&format!("delivered {rows} items")), "{}", verdict.stdout);
    }
    let end = first.plus_seconds(19_999);
    let rest = format!("{} --after {end}~1~urn:turbine:a", pair.line(PURPOSE, "FR"));
    assert_eq!(world.json(&rest)["rows"], 1 + shown().len());
    let wrong = world.run(&format!("{} --after yesterday", pair.line(PURPOSE, "FR")));
    assert_eq!((wrong.code, wrong.error()), (11, "input.malformed"), "{}", wrong.stderr);
    // Every page of every pull was a delivery under one decision.
    let decisions = pair.decisions();
    assert_eq!((decisions.len(), &decisions[0]["used"]), (1, &5.into()), "{decisions:?}");
}

#[test]
fn refusals_name_their_reason() {
    let pair = Pair::concluded();
    for (purpose, place, code) in
        [(BENCHMARKING, "FR", "policy.purpose"), (PURPOSE, "US", "policy.place")]
    {
        let done = pair.refused(purpose, place);
        assert_eq!((done.code, done.error()), (20, code), "{}", done.stderr);
    }
    pair.set_clock(SUNDAY);
    for _ in 0..2 {
        let done = pair.refused(PURPOSE, "FR");
        assert_eq!((done.code, done.error()), (20, "policy.schedule"), "{}", done.stderr);
    }
    // Each is on record at the provider once, with how often it was met.
    let line = |d: &Value| (d["code"].as_str().unwrap().to_owned(), d["used"].as_u64().unwrap());
    let mut lines: Vec<(String, u64)> = pair.decisions().iter().map(line).collect();
    lines.sort();
    let expect = [("policy.place", 1), ("policy.purpose", 1), ("policy.schedule", 2)];
    assert_eq!(lines, expect.map(|(code, used)| (code.to_owned(), used)));
}

#[test]
fn without_a_purpose_nothing_is_sent() {
    let pair = Pair::concluded();
    let done = pair.world.run(&format!("pull {} --place FR --dir maker", pair.agreement));
    // A malformed request of our own and no denial: exit code 11, not 20.
    assert_eq!((done.code, done.error()), (11, "exchange.purpose"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: give --purpose"), "{}", done.stderr);
    assert!(pair.decisions().is_empty());
}

#[test]
fn a_revoked_agreement_gives_nothing() {
    let pair = Pair::concluded();
    pair.pull();
    let revoke = format!("agreement revoke {} --reason over --dir operator", pair.agreement);
    ok(&pair.world, &revoke);
    // Whether the end of the transfer or the next request is there first.
    let done = pair.refused(PURPOSE, "FR");
    assert_eq!((done.code, done.error()), (20, "policy.revoked"), "{}", done.stderr);
    let permits = pair.decisions().into_iter().filter(|d| d["code"] == "policy.permit");
    assert_eq!(permits.map(|d| d["used"].as_u64().unwrap()).sum::<u64>(), 1);
    for (dir, state) in [("operator", "revoked at "), ("maker", "revoked by the partner, ")] {
        let shown = pair.world.json(&format!("agreement show {} --dir {dir}", pair.agreement));
        assert!(shown["state"].as_str().unwrap().starts_with(state), "{dir}: {shown}");
    }
    let again = pair.world.run(&revoke);
    assert_eq!((again.code, again.error()), (11, "agreement.ended"));
}

#[test]
fn nothing_delivered_is_readable_in_any_file_of_either_side() {
    let mut pair = Pair::concluded();
    assert_eq!(pair.pull()["rows"], shown().len());
    for dir in ["operator", "maker"] {
        canaries::search(&pair.world, dir, "while both nodes run");
    }
    canaries::search_admin_token(&pair.world, "operator", &["maker"]);
    canaries::search_admin_token(&pair.world, "maker", &["operator"]);
    pair.operator.take().unwrap().kill();
    pair.maker.take().unwrap().kill();
    for dir in ["operator", "maker"] {
        canaries::search(&pair.world, dir, "after a kill");
    }
}

/// A pull for a purpose that the agreement does not permit.
pub(crate) fn refused_for_benchmarking(pair: &Pair) {
    let done = pair.refused(BENCHMARKING, "FR");
    assert_eq!(done.error(), "policy.purpose");
}

/// The contract of the operator in the page of metrics.
const CONTRACT_LABEL: &str = "contract=\"turbine-maintenance\"";

#[test]
fn metrics_count_an_exchange_and_name_nobody() {
    let pair = Pair::concluded();
    pair.pull();
    pair.refused(BENCHMARKING, "FR");
    let rows = shown().len();
    for (dir, counted) in [
        (
            "operator",
            vec![
                "twinpact_deliveries_total 1".to_owned(),
                format!("twinpact_delivered_rows_total {rows}"),
                "twinpact_decisions_total{code=\"policy.permit\"} 1".to_owned(),
                "twinpact_decisions_total{code=\"policy.purpose\"} 1".to_owned(),
                "twinpact_federation_requests_total{part=\"data\",code=\"ok\"} 1".to_owned(),
                "twinpact_federation_connections{caller=\"nameless\"} 0".to_owned(),
                "twinpact_agreements{role=\"provider\",state=\"active\"} 1".to_owned(),
                "twinpact_policy_clock_driven 1".to_owned(),
                format!("twinpact_contract_request_seconds_count{{{CONTRACT_LABEL}}} 2"),
                format!(
                    "twinpact_contract_decisions_total{{{CONTRACT_LABEL},code=\"policy.permit\"}} 1"
                ),
                format!(
                    "twinpact_contract_decisions_total{{{CONTRACT_LABEL},code=\"policy.purpose\"}} 1"
                ),
                format!("twinpact_contract_errors_total{{{CONTRACT_LABEL},class=\"denied\"}} 1"),
            ],
        ),
        (
            "maker",
            vec![
                "twinpact_pulled_pages_total 1".to_owned(),
                format!("twinpact_pulled_rows_total {rows}"),
                "twinpact_deliveries_total 0".to_owned(),
                "twinpact_partners 1".to_owned(),
            ],
        ),
    ] {
        let page = canaries::page(&pair.world, dir, "/metrics");
        for line in counted {
            assert!(page.lines().any(|has| has == line), "{dir}: {line} is not in\n{page}");
        }
        let names = ["did:", "urn:", "twinpact/purpose", pair.agreement.as_str()];
        canaries::search_text(&page, &names, dir);
    }
}

#[test]
fn a_killed_provider_delivers_again() {
    let mut pair = Pair::concluded();
    pair.restart_operator();
    assert_eq!(pair.pull()["rows"], shown().len());
    // With a token and pins from before the kill too.
    pair.restart_operator();
    assert_eq!(pair.pull()["rows"], shown().len());
}

#[test]
fn a_killed_consumer_keeps_receipts_and_pins() {
    let mut pair = Pair::concluded();
    let before = pair.pull()["receipts"][0].as_str().unwrap().to_owned();
    pair.restart_maker();
    assert_eq!(pair.pull()["rows"], shown().len());
    ok(&pair.world, &format!("receipt export {before} --out r.twinproof --dir maker"));
    ok(&pair.world, "trust add operator.json --trust trust.toml");
    ok(&pair.world, "verify r.twinproof --trust trust.toml");
}

#[test]
fn a_provider_that_went_back_is_noticed_by_a_killed_consumer() {
    let mut pair = Pair::concluded();
    pair.operator.take().unwrap().kill();
    pair.world.copy("operator", "older");
    pair.operator = Some(pair.world.serve_driven("operator"));
    pair.set_clock(MONDAY);
    pair.pull();
    // The consumer has only what it wrote; the provider has forgotten the delivery.
    pair.maker.take().unwrap().kill();
    pair.operator.take().unwrap().kill();
    std::fs::remove_dir_all(pair.world.path("operator")).unwrap();
    pair.world.copy("older", "operator");
    pair.operator = Some(pair.world.serve_driven("operator"));
    pair.maker = Some(pair.world.serve_driven("maker"));
    pair.set_clock(MONDAY);
    let done = pair.refused(PURPOSE, "FR");
    assert_eq!((done.code, done.error()), (30, "partner.behind"), "{}", done.stderr);
    assert!(
        done.stderr.contains("hint: tell the partner; when it has opened a successor"),
        "{}",
        done.stderr
    );
    restored(&mut pair);
    assert_eq!(pair.pull()["rows"], shown().len());
}

/// The operator's directory is an older copy, and its node has stopped: what its people see, and
/// what they do.
fn restored(pair: &mut Pair) {
    let world = &pair.world;
    let ingest = world.run("ingest rows.csv --map map.toml --dir operator");
    assert_eq!((ingest.code, ingest.error()), (10, "anchor.behind"), "{}", ingest.stderr);
    assert!(ingest.stderr.contains("hint: stop the node, then: twinpact restore --successor"));
    assert_eq!(world.json("twin list --dir operator").as_array().unwrap().len(), 1);
    let restore = "restore --successor --dir operator";
    let running = world.run(restore);
    assert_eq!((running.code, running.error()), (11, "store.locked"), "{}", running.stderr);
    assert_eq!(world.run("restore --dir operator").code, 2);
    pair.operator.take().unwrap().kill();
    let file = world.run("restore --successor --checkpoint rows.csv --dir operator");
    assert_eq!((file.code, file.error()), (11, "input.malformed"), "{}", file.stderr);
    let done = ok(world, restore);
    assert!(
        done.stdout.starts_with("the log is now operator.example/twinpact/"),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("next: twinpact serve --dir operator"), "{}", done.stderr);
    let again = world.run(restore);
    assert_eq!((again.code, again.error()), (11, "anchor.current"), "{}", again.stderr);
    pair.operator = Some(pair.world.serve_driven("operator"));
    pair.set_clock(MONDAY);
}

#[test]
fn an_impostor_with_the_name_and_port_of_a_partner_is_not_believed() {
    let mut pair = Pair::concluded();
    let before = pair.world.json("agreement list --dir maker");
    // It is the maker who refuses.
    pair.replace_operator();
    for line in ["catalog", "negotiate"] {
        let done = pair.world.run(&format!("{line} {OPERATOR} --dir maker"));
        assert_eq!((done.code, done.error()), (30, "tls.refused"), "{}", done.stderr);
    }
    assert_eq!(pair.world.json("agreement list --dir maker"), before);
    assert_eq!(pair.world.json("agreement list --dir impostor"), Value::Array(Vec::new()));
    pair.stop_operator();
    // The real one is believed as before.
    pair.operator = Some(pair.world.serve_driven("operator"));
    ok(&pair.world, &format!("catalog {OPERATOR} --dir maker"));
}

#[test]
fn strangers_are_not_dialled_and_unknown_datasets_are_named() {
    let pair = Pair::concluded();
    let stranger = pair.world.run("catalog did:web:stranger.example --dir maker");
    assert_eq!((stranger.code, stranger.error()), (11, "partner.unknown"), "{}", stranger.stderr);
    assert!(stranger.stderr.contains("hint: join it"), "{}", stranger.stderr);
    let line = format!("negotiate {OPERATOR} --dataset urn:none --dir maker");
    let unknown = pair.world.run(&line);
    assert_eq!((unknown.code, unknown.error()), (11, "agreement.unknown"), "{}", unknown.stderr);
    let catalogue = pair.world.json(&format!("catalog {OPERATOR} --dir maker"));
    let known = format!("hint: it has: {}", catalogue[0]["id"].as_str().unwrap());
    assert!(unknown.stderr.contains(&known), "{}", unknown.stderr);
}

#[test]
fn who_negotiates_again_has_one_agreement_unless_another_is_wanted() {
    let pair = Pair::concluded();
    let negotiate = format!("negotiate {OPERATOR} --dir maker");
    let agreements = || {
        let of = |dir: &str| pair.world.json(&format!("agreement list --dir {dir}"));
        ["operator", "maker"].map(|dir| of(dir).as_array().unwrap().len())
    };
    assert_eq!(pair.world.json(&negotiate)["id"], pair.agreement.as_str());
    assert_eq!(agreements(), [1, 1]);
    let second = pair.world.json(&format!("{negotiate} --another"))["id"].clone();
    assert_ne!(second, pair.agreement.as_str());
    // One that has ended is none; the other one still stands.
    ok(&pair.world, &format!("agreement revoke {} --reason over --dir maker", pair.agreement));
    assert_eq!(pair.world.json(&negotiate)["id"], second);
    let second = second.as_str().unwrap();
    ok(&pair.world, &format!("agreement revoke {second} --reason over --dir maker"));
    let third = pair.world.json(&negotiate)["id"].clone();
    assert!(third != second && third != pair.agreement.as_str());
    assert_eq!(agreements(), [3, 3]);
}

#[test]
fn equal_pulls_share_one_decision() {
    let pair = Pair::concluded();
    pair.pull();
    pair.pull();
    let decisions = pair.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    let decision = &decisions[0];
    assert_eq!((&decision["code"], &decision["used"]), (&"policy.permit".into(), &2.into()));
    let id = decision["id"].as_str().unwrap();
    let shown = pair.world.json(&format!("decision show {id} --dir operator"));
    assert_eq!(&shown["decision"], decision);
    assert_eq!(shown["payload"]["core"]["clock"], "driven");
}

#[test]
fn one_command_a_side_makes_partners_and_one_parts_them() {
    let world = World::empty();
    let ports = (free_port(), free_port());
    make(&world, "operator", OPERATOR, ports.0, ports.1);
    make(&world, "maker", "did:web:maker.example", ports.1, ports.0);
    let alone = world.run("invite --dir operator");
    assert_eq!(alone.error(), "node.unreachable", "{}", alone.stderr);
    let _serving = (world.serve_driven("operator"), world.serve_driven("maker"));
    let invited = ok(&world, "invite --name maker --valid 1d --dir operator");
    let line = invited.stdout.trim_end();
    assert_eq!(line.lines().count(), 1);
    let joined = ok(&world, &format!("join {line} --dir maker"));
    for said in [&invited.stderr, &joined.stderr] {
        assert!(said.contains("compare both fingerprints over another channel"), "{said}");
        assert!(said.contains("next: twinpact "), "{said}");
    }
    // The same fingerprint is read out on both sides.
    let theirs = joined.stderr.lines().find_map(|line| line.strip_prefix("their fingerprint  "));
    assert!(invited.stderr.contains(theirs.unwrap()), "{}", invited.stderr);
    let list = world.json("invitation list --dir operator");
    assert_eq!((&list[0]["state"], &list[0]["name"]), (&"used".into(), &"maker".into()));
    ok(&world, &format!("catalog {OPERATOR} --dir maker"));
    ok(&world, "partner remove did:web:maker.example --dir operator");
    let out = world.run(&format!("catalog {OPERATOR} --dir maker"));
    assert_eq!(out.error(), "tls.refused", "{}", out.stderr);
    let used = world.run(&format!("join {line} --dir maker"));
    assert_eq!((used.code, used.error()), (11, "invitation.used"), "{}", used.stderr);
    let id = world.json("invite --dir operator")["id"].as_str().unwrap().to_owned();
    ok(&world, &format!("invitation withdraw {id} --dir operator"));
    // The secret is in no file of either side.
    for file in ["operator", "maker"].into_iter().flat_map(|node| world.files(node)) {
        let bytes = std::fs::read(&file).unwrap();
        let holds = bytes.windows(line.len()).any(|window| window == line.as_bytes());
        assert!(!holds, "{}", file.display());
    }
}

/// Everything that is derived is thrown away at both nodes after an exchange; both come back with
/// the state digest that they had, receipts and copies hold, and `check` has changed nothing.
#[test]
fn what_is_derived_comes_back_equal() {
    let mut pair = Pair::concluded();
    pair.pull();
    for node in ["operator", "maker"] {
        let refused = pair.world.run(&format!("check --dir {node}"));
        assert_eq!((refused.code, refused.error()), (11, "store.locked"), "{}", refused.stderr);
        assert!(refused.stderr.contains("stop the node first"), "{}", refused.stderr);
    }
    let stop = |serving: &mut Option<Serving>| assert_eq!(serving.take().unwrap().stop(), 0);
    stop(&mut pair.operator);
    stop(&mut pair.maker);
    let check = |pair: &Pair, node: &str| {
        let before = pair.world.bytes(node);
        let report = pair.world.json(&format!("check --dir {node}"));
        assert_eq!(pair.world.bytes(node), before, "check changed something");
        assert_eq!((&report["wrong"], &report["torn"]), (&0.into(), &Value::Null), "{report}");
        report
    };
    let before = ["operator", "maker"].map(|node| check(&pair, node));
    let counted = |report: &Value, what: &str| report["counts"][what].as_u64().unwrap();
    assert_eq!((counted(&before[0], "receipts"), counted(&before[0], "deliveries")), (1, 1));
    assert_eq!((counted(&before[1], "copies"), counted(&before[1], "agreements")), (1, 1));
    for node in ["operator", "maker"] {
        for derived in ["admin.json", "lock"] {
            let path = pair.world.path(&format!("{node}/{derived}"));
            // A clean stop leaves no admin.json.
            assert_eq!(std::fs::remove_file(path).is_ok(), derived == "lock");
        }
    }
    pair.operator = Some(pair.world.serve_driven("operator"));
    pair.maker = Some(pair.world.serve_driven("maker"));
    stop(&mut pair.operator);
    stop(&mut pair.maker);
    assert_eq!(["operator", "maker"].map(|node| check(&pair, node)), before);
}

/// The invitation comes from stdin, so that it stands on no command line.
#[test]
fn an_invitation_may_come_from_stdin() {
    let world = World::with_node();
    let serving = world.serve();
    let check = |input: &str, why: &str| {
        let done = world.run_reading("join - --dir node", input);
        assert_eq!(done.error(), "invitation.malformed", "{}", done.stderr);
        assert!(done.stderr.contains(why), "{input}: {}", done.stderr);
    };
    check("twinpact2_AAAA\n", "another version");
    check("twinpact1_AAAA", "typo");
    check("", "begins with twinpact1_");
    check(&"x".repeat(100_000), "too long");
    drop(serving);
}
