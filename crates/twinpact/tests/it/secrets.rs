//! Canaries of every class of secret, and every surface on which one might come to light: what two
//! nodes log at their most talkative, print, answer and write while they exchange. Each class has a
//! home, or none, and is nowhere else.

use crate::canaries::{NUMBER, TEXT};
use crate::federation::{MONDAY, OPERATOR, PURPOSE, Pair, shown};
use crate::reads::{self, Kind};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use twinpact_gateway::Running;
use twinpact_gateway::federation::ASSERTION_HEADER;
use twinpact_model::Timestamp;
use twinpact_node::api::Pull;
use twinpact_node::ask::JOIN_PATH;
use twinpact_node::outbound::FirstCall;
use twinpact_node::outbox::call;
use twinpact_node::trace::TARGET;
use twinpact_node::{Node, PolicyClock, assertion, consumer, open};
use twinpact_proof::digest::{from_hex, sha256};
use twinpact_proof::{text64, to_hex};
use twinpact_store::keystore::Keystore;
use twinpact_store::vfs::RealDisk;

const ADMIN_TOKEN: &str = "admin token";
const ROOT_KEY: &str = "key of the root";
const ISSUING_KEY: &str = "key of the issuing CA";
const DOCUMENT_KEY: &str = "document key";
const CLAIMS_KEY: &str = "key of our claims";
const KEY_OF_KEYS: &str = "key over the keys";
const DATA_KEY: &str = "key of the keystore";
const ANY_KEY: &str = "private key, by its form";
const DATA_TOKEN: &str = "data token";
const ASSERTION: &str = "assertion";
const INVITATION: &str = "invitation";
const VALUE: &str = "value of a twin";
const STRANGE: &str = "what a stranger wrote";

/// Every class, and the file of a node's directory in which it is at home.
const CLASSES: [(&str, Option<&str>); 13] = [
    (ADMIN_TOKEN, Some("admin.json")),
    (ROOT_KEY, Some("identity/root.key")),
    (ISSUING_KEY, Some("identity/issuing.pem")),
    (DOCUMENT_KEY, Some("identity/document.key")),
    (CLAIMS_KEY, Some("identity/claims.key")),
    (KEY_OF_KEYS, Some("keys/kek")),
    (DATA_KEY, None),
    (ANY_KEY, None),
    (DATA_TOKEN, None),
    (ASSERTION, None),
    (INVITATION, None),
    (VALUE, None),
    (STRANGE, None),
];

/// Whether a class may be on a surface that is not its home.
fn may(class: &str, surface: &str) -> bool {
    match class {
        // Commands whose use it is to show it.
        VALUE => {
            ["twinpact twin ", "twinpact copy show"].iter().any(|one| surface.starts_with(one))
        }
        INVITATION => surface == "twinpact invite",
        ANY_KEY => {
            ["/root.key", "/issuing.pem", "/claims.key"].iter().any(|at| surface.ends_with(at))
        }
        _ => false,
    }
}

/// How many bytes of a needle are looked up first.
const FRONT: usize = 8;

/// What is looked for, by its first bytes.
#[derive(Default)]
struct Needles(HashMap<[u8; FRONT], Vec<(&'static str, Vec<u8>)>>);

impl Needles {
    fn add(&mut self, class: &'static str, needle: &[u8]) {
        let front = needle.first_chunk::<FRONT>().copied().unwrap();
        self.0.entry(front).or_default().push((class, needle.to_vec()));
    }

    /// Bytes in each form in which they could be written.
    fn add_bytes(&mut self, class: &'static str, secret: &[u8]) {
        let (hex, base64) = (to_hex(secret), text64::encode(secret));
        let base64 = base64.trim_end_matches('=');
        self.add(class, secret);
        self.add(class, hex.as_bytes());
        self.add(class, hex.to_ascii_uppercase().as_bytes());
        self.add(class, base64.as_bytes());
        self.add(class, base64.replace('+', "-").replace('/', "_").as_bytes());
    }

    /// The classes of which something is in these bytes.
    fn found(&self, bytes: &[u8]) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        for (at, window) in bytes.windows(FRONT).enumerate() {
            let front = window.first_chunk::<FRONT>().unwrap();
            let Some(needles) = self.0.get(front) else { continue };
            let here = needles.iter().filter(|(_, needle)| bytes[at..].starts_with(needle));
            found.extend(here.map(|(class, _)| *class));
        }
        found
    }

    fn all(&self) -> impl Iterator<Item = &(&'static str, Vec<u8>)> {
        self.0.values().flatten()
    }
}

/// Names of surfaces, and what was seen on each.
#[derive(Default)]
struct Surfaces(Vec<(String, Vec<u8>)>);

impl Surfaces {
    fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.into(), bytes.into()));
    }

    /// Every file of both directories.
    fn add_files(&mut self, world: &World) {
        for file in ["operator", "maker"].into_iter().flat_map(|dir| world.files(dir)) {
            let name = file.strip_prefix(world.path("")).unwrap().display().to_string();
            self.add(name, std::fs::read(&file).unwrap());
        }
    }

    fn add_command(&mut self, world: &World, line: &str) {
        let done = world.run(line);
        let words: Vec<&str> = line.split(' ').take(2).collect();
        let name = match words[0] {
            "invite" | "join" => words[0].to_owned(),
            _ => words.join(" "),
        };
        self.add(format!("twinpact {name}"), format!("{}{}", done.stdout, done.stderr));
    }
}

/// What the nodes of this process say, as a subscriber gets it.
static SAID: Mutex<String> = Mutex::new(String::new());

struct Ear;

impl<S: Subscriber> Layer<S> for Ear {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if span.metadata().target() == TARGET {
            span.record(&mut Hearing);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            event.record(&mut Hearing);
        }
    }
}

struct Hearing;

impl Visit for Hearing {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        SAID.lock().unwrap().push_str(&format!("{}={value:?}\n", field.name()));
    }
}

#[test]
fn a_secret_of_any_class_is_at_home_and_nowhere_else() {
    let (mut needles, mut surfaces) = (Needles::default(), Surfaces::default());
    let _ = tracing::subscriber::set_global_default(Registry::default().with(Ear));
    let mut pair = Pair::concluded();
    at_rest(&pair.world, &mut needles);
    for (class, text) in [(VALUE, TEXT), (VALUE, NUMBER)] {
        needles.add(class, text.as_bytes());
    }
    say_commands(&pair, &mut needles, &mut surfaces);
    ask_admin(&pair.world, &mut needles, &mut surfaces);
    admin_tokens(&pair.world, &["operator", "maker"], &mut needles);
    for pid in pair.processes() {
        for of in ["cmdline", "environ"] {
            surfaces.add(
                format!("{of} of a node"),
                std::fs::read(format!("/proc/{pid}/{of}")).unwrap(),
            );
        }
    }
    surfaces.add_files(&pair.world);
    for said in pair.stop_and_tell() {
        surfaces.add("stdout of a node", said);
    }
    for form in ["json", "text"] {
        pair.serve_operator(form);
        admin_tokens(&pair.world, &["operator"], &mut needles);
        exchange(&pair, &mut needles, &mut surfaces);
        for path in ["/metrics", "/readyz"] {
            surfaces.add(path, request(&pair.world, "GET", path, "", b""));
        }
        pair.stop_operator();
        surfaces.add_files(&pair.world);
    }
    surfaces.add_command(&pair.world, "check --dir operator");
    surfaces.add_command(&pair.world, "check --dir maker --json");
    for log in ["operator.log", "operator.text", "maker.log"] {
        surfaces.add(log, std::fs::read(pair.world.path(log)).unwrap());
    }
    surfaces.add("events of this process", SAID.lock().unwrap().clone());
    sealed(&pair.world, &mut needles);
    hold(&needles, &surfaces);
}

/// Holds every surface against every needle, after a look at whether it can see at all.
fn hold(needles: &Needles, surfaces: &Surfaces) {
    for (class, needle) in needles.all() {
        let planted = [b"before", needle.as_slice(), b"behind"].concat();
        assert!(needles.found(&planted).contains(class), "{class} is not seen: {needle:?}");
    }
    let classes: BTreeSet<&str> = needles.all().map(|(class, _)| *class).collect();
    assert_eq!(classes, CLASSES.map(|(class, _)| class).into_iter().collect());
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (surface, bytes) in &surfaces.0 {
        for class in needles.found(bytes) {
            let home = CLASSES.iter().find(|(known, _)| *known == class).unwrap().1;
            let at_home = home.is_some_and(|home| {
                ["operator", "maker"].iter().any(|dir| *surface == format!("{dir}/{home}"))
            });
            assert!(at_home || may(class, surface), "{class} on the surface {surface:?}");
            homes.entry(class).or_default().insert(surface);
        }
    }
    for (class, home) in CLASSES {
        let Some(home) = home else { continue };
        let both = ["operator", "maker"].map(|dir| format!("{dir}/{home}"));
        let both: BTreeSet<&str> = both.iter().map(String::as_str).collect();
        assert_eq!(homes.get(class), Some(&both), "{class} is to be found at home");
    }
    for class in [VALUE, INVITATION, ANY_KEY] {
        assert!(homes.contains_key(class), "{class} was shown by no command and is in no file");
    }
}

/// The secrets that lie in files, whose files nobody else may read.
fn at_rest(world: &World, needles: &mut Needles) {
    for dir in ["operator", "maker"] {
        // The key of claims is made when it is first asked for.
        assert_eq!(world.run(&format!("key claims --dir {dir}")).code, 0);
        let read = |name: &str| {
            let path = world.path(dir).join(name);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            std::fs::read(path).unwrap()
        };
        for (class, home) in CLASSES {
            let Some(home) = home else { continue };
            let bytes = read(home);
            match class {
                ROOT_KEY | ISSUING_KEY | CLAIMS_KEY => {
                    add_pem(needles, class, &String::from_utf8(bytes).unwrap())
                }
                DOCUMENT_KEY => {
                    for line in String::from_utf8(bytes).unwrap().lines() {
                        needles.add_bytes(class, &from_hex::<32>(line).unwrap());
                    }
                }
                // Magic, version and epoch before it, a check sum behind.
                KEY_OF_KEYS => needles.add_bytes(class, &bytes[14..46]),
                _ => {}
            }
        }
    }
    needles.add(ANY_KEY, b"PRIVATE KEY");
}

/// A key in PEM: the number that is the secret, and the lines and forms of the whole.
fn add_pem(needles: &mut Needles, class: &'static str, text: &str) {
    let (_, key) = text.split_once("-----BEGIN PRIVATE KEY-----\n").unwrap();
    let lines: Vec<&str> = key.lines().take_while(|line| !line.starts_with('-')).collect();
    let der = text64::decode(&lines.concat()).unwrap();
    // What stands before the secret is the same in every key of the kind, as is the first line.
    let at = der.windows(2).position(|pair| pair == [0x04, 0x20]).unwrap() + 2;
    needles.add_bytes(class, &der[at..at + 32]);
    needles.add_bytes(class, &der);
    needles.add(class, lines[1].as_bytes());
}

fn admin_tokens(world: &World, dirs: &[&str], needles: &mut Needles) {
    for dir in dirs {
        let file = std::fs::read(world.path(dir).join("admin.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let token = file["token"].as_str().unwrap();
        needles.add(ADMIN_TOKEN, token.as_bytes());
        needles.add_bytes(ADMIN_TOKEN, &from_hex::<32>(token).unwrap());
    }
}

/// Every command that reads, in both forms, and some that fail or handle a secret.
fn say_commands(pair: &Pair, needles: &mut Needles, surfaces: &mut Surfaces) {
    let world = &pair.world;
    for (words, kind) in reads::commands(pair) {
        let Kind::Read(arguments) = kind else { continue };
        for json in ["", " --json"] {
            surfaces.add_command(world, &format!("{words} {arguments}{json}"));
        }
    }
    let invited = world.json("invite --dir operator --name canary");
    let invitation = invited["invitation"].as_str().unwrap();
    needles.add(INVITATION, invitation.as_bytes());
    let base64 = invitation.strip_prefix("twinpact1_").unwrap().replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - base64.len() % 4) % 4);
    let bytes = text64::decode(&format!("{base64}{padding}")).unwrap();
    // The fingerprint before it is public.
    needles.add_bytes(INVITATION, &bytes[32..48]);
    surfaces.add("twinpact invite", invited.to_string());
    surfaces.add_command(world, &format!("join {invitation}A --dir maker"));
    let joined = world.run_reading("join - --dir maker", &format!("{invitation}\n"));
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    surfaces.add("twinpact join", format!("{}{}", joined.stdout, joined.stderr));
    surfaces.add_command(world, "invitation list --dir operator");
    for line in [
        "twin show urn:none --dir maker",
        "pull 00000000 --dir maker",
        "proof export 999999 --out x.twinproof --dir operator",
        "ca renew --root-key operator/identity/document.key --dir operator",
        "trust add operator/identity/document.key --trust trust.toml",
        "verify operator/identity/document.key",
        "key rotate --dir operator",
    ] {
        surfaces.add_command(world, line);
    }
    at_rest(world, needles);
}

/// A request at the admin door of the operator, and the whole answer.
fn request(world: &World, method: &str, path: &str, bearer: &str, body: &[u8]) -> Vec<u8> {
    let admin = std::fs::read(world.path("operator/admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&admin).unwrap();
    let address = admin["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let token = match bearer {
        "" => admin["token"].as_str().unwrap(),
        other => other,
    };
    let mut tcp = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        tcp,
        "{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    tcp.write_all(body).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{method} {path}");
    answer
}

/// What the admin door tells anybody, and what comes of requests that are refused.
fn ask_admin(world: &World, needles: &mut Needles, surfaces: &mut Surfaces) {
    for path in ["/livez", "/readyz", "/version", "/metrics", "/openapi.json"] {
        surfaces.add(path, request(world, "GET", path, "", b""));
    }
    let wrong = "canary-of-a-wrong-admin-token";
    needles.add(STRANGE, wrong.as_bytes());
    surfaces.add("a wrong admin token", request(world, "GET", "/twins", wrong, b""));
    // The one who asked may read again what was wrong with it, so these answers are no surface.
    for (method, path, body) in [
        ("GET", "/twins?as-of=canary-in-an-admin-query", ""),
        ("GET", "/twins?canary-in-an-admin-name=1", ""),
        ("GET", "/canary-in-an-admin-path", ""),
        ("POST", "/ingest", "canary-in-an-admin-body"),
        ("POST", "/models", "canary-in-a-bad-model"),
        ("POST", "/partners", "{\"payload\": \"canary-in-a-bad-record\"}"),
    ] {
        let canary =
            [path, body].into_iter().find_map(|text| text.find("canary").map(|at| &text[at..]));
        needles.add(STRANGE, canary.unwrap().split(['"', '=']).next().unwrap().as_bytes());
        let answer = request(world, method, path, "", body.as_bytes());
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{method} {path}");
    }
}

/// The maker in this process, so that what it holds in memory is known: tokens and assertions.
fn exchange(pair: &Pair, needles: &mut Needles, surfaces: &mut Surfaces) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let parts = open::open(&pair.world.path("maker"), PolicyClock::Driven).await.unwrap();
        let running = Running::start(parts).await.unwrap();
        let node = running.parts.node.clone();
        node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
        needles.add_bytes(ADMIN_TOKEN, &from_hex::<32>(&running.admin.token).unwrap());
        let asked = Pull {
            agreement: pair.agreement.clone(),
            purpose: Some(PURPOSE.to_owned()),
            place: Some("FR".to_owned()),
            since: None,
            until: None,
            twin: None,
            after: None,
        };
        let pulled = consumer::pull(&node, &asked).await.unwrap();
        assert_eq!(pulled.rows, shown().len());
        bad_requests(&node, &pair.agreement, needles, surfaces).await;
        running.stop().await;
    });
}

/// A token and an assertion that are good, and requests with these, or with others, that are not.
async fn bad_requests(
    node: &Node,
    agreement: &str,
    needles: &mut Needles,
    surfaces: &mut Surfaces,
) {
    let transfers = node
        .partition
        .read(|fold, _| fold.processes.transfers.keys().cloned().collect::<Vec<String>>());
    let transfers = transfers.unwrap();
    let (address, _) = transfers.iter().find_map(|pid| node.secrets.address(pid)).unwrap();
    let (token, url) =
        (address.property("authorization").unwrap(), address.endpoint.clone().unwrap());
    needles.add(DATA_TOKEN, token.as_bytes());
    let signed = assertion::sign(node, OPERATOR, agreement, PURPOSE, "FR").unwrap();
    needles.add(ASSERTION, signed.as_bytes());
    // Its signature, wherever it may stand.
    let envelope = text64::decode(&signed).unwrap();
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    needles.add(ASSERTION, envelope["signatures"][0]["sig"].as_str().unwrap().as_bytes());
    let ask = async |method, url: &str, token: &str, assertion: &str, body: &str| {
        let bearer = ("authorization", format!("Bearer {token}"));
        let headers = vec![bearer, (ASSERTION_HEADER, assertion.to_owned())];
        let body = body.as_bytes().to_vec();
        call(node, OPERATOR, method, url.to_owned(), headers, body, 1 << 20).await.unwrap()
    };
    assert_eq!(ask("GET", &url, token, &signed, "").await.status, 200);
    let (base, _) = url.split_once("/data/").unwrap();
    let (catalog, nowhere) =
        (format!("{base}/dsp/catalog/request"), format!("{base}/canary-path-1"));
    let query = format!("{url}?since=canary-in-a-query");
    for (method, url, token, assertion, body) in [
        ("GET", url.as_str(), token, signed.as_str(), ""),
        ("GET", &url, "canary-in-authorization", &signed, ""),
        ("GET", &url, token, "canary-in-an-assertion", ""),
        ("GET", &query, token, &signed, ""),
        ("GET", &nowhere, token, &signed, ""),
        ("POST", &catalog, token, &signed, "canary-in-a-message"),
        ("POST", &catalog, token, &signed, "{\"@type\": \"canary-in-a-type\"}"),
    ] {
        let reply = ask(method, url, token, assertion, body).await;
        assert!(reply.status >= 400, "{method} {url}: {}", reply.status);
        surfaces.add(format!("refusal of {method} {url}"), reply.body);
    }
    let first = FirstCall {
        root: None,
        base: base.to_owned(),
        method: "POST",
        url: format!("{base}{JOIN_PATH}"),
        body: b"canary-of-who-has-no-name".to_vec(),
        max_bytes: 1 << 20,
    };
    let reply = node.outbound.get().unwrap().first(first).await.unwrap();
    assert!(reply.status >= 400, "{}", reply.status);
    surfaces.add("refusal of who has no name", reply.body);
    for canary in [
        "canary-in-authorization",
        "canary-in-an-assertion",
        "canary-in-a-query",
        "canary-path-1",
        "canary-in-a-message",
        "canary-in-a-type",
        "canary-of-who-has-no-name",
    ] {
        needles.add(STRANGE, canary.as_bytes());
    }
}

/// The keys in the keystores, which a node that has stopped lets us read.
fn sealed(world: &World, needles: &mut Needles) {
    for (dir, did) in [("operator", OPERATOR), ("maker", "did:web:maker.example")] {
        let keys = world.path(dir).join("keys");
        let keys = Keystore::open(&RealDisk, Path::new(&keys), &sha256(did.as_bytes())).unwrap();
        let all = (1..).map_while(|number| keys.get(number));
        let before = needles.all().count();
        all.for_each(|(key, _)| needles.add_bytes(DATA_KEY, key));
        assert!(needles.all().count() >= before + 3 * 5, "{dir} has few keys");
    }
}
