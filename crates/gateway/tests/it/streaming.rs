//! Streams over real sockets: many readers at once, slow ones, what ends them and how soon.

use crate::pair::{MAKER, OPERATOR, Pair, ROWS, fill_bound, ingest, pin, until, wanted};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State};
use twinpact_gateway::Running;
use twinpact_gateway::places::Bounds;
use twinpact_gateway::running::COUNTING;
use twinpact_identity::spiffe::TrustDomain;
use twinpact_identity::tls::{Clock, client_config};
use twinpact_identity::token::TokenDigest;
use twinpact_model::{Did, Timestamp};
use twinpact_node::fold::Fold;
use twinpact_node::formats::STREAM;
use twinpact_node::negotiate::opened_transfer;
use twinpact_node::streams::Streams;
use twinpact_node::transfers::{self, Wish};
use twinpact_node::{
    Node, PolicyClock, agreements, assertion, consumer, ids, open, receipts, removal,
};
use twinpact_proof::documents::Receipt;
use twinpact_proof::{Bundle, to_hex};

/// Who is revoked or removed is out within this time.
const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);
const READERS: usize = 200;
const SLOW: usize = 50;
const BATCHES: usize = 12;
/// Rows that together are more than the buffers of a socket hold, and less than a page.
const WIDE: usize = 3;
const WIDE_BYTES: usize = 1_000_000;

/// What a reader asks with.
#[derive(Clone)]
struct Pass {
    maker: Node,
    agreement: String,
    path: String,
    token: String,
    address: std::net::SocketAddr,
}

impl Pass {
    /// Of the transfer that the first pull opened.
    async fn of(pair: &Pair, agreement: &str) -> Pass {
        let maker = pair.maker().clone();
        consumer::pull(&maker, &wanted(agreement)).await.unwrap();
        let pid = |fold: &twinpact_node::fold::Fold| {
            fold.processes.transfers.keys().next().unwrap().clone()
        };
        let pid = maker.partition.read(|fold, _| pid(fold)).unwrap();
        Pass::told(pair, agreement, &pid, "")
    }

    /// What the maker was told of that transfer; the path that it was told ends so.
    fn told(pair: &Pair, agreement: &str, pid: &str, leaf: &str) -> Pass {
        let maker = pair.maker().clone();
        let (data, _) = maker.secrets.address(pid).unwrap();
        let url = data.endpoint.clone().unwrap();
        let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
        let path = path.strip_suffix(leaf).unwrap().to_owned();
        let token = data.property("authorization").unwrap().to_owned();
        let (agreement, address) = (agreement.to_owned(), pair.operator.federation.unwrap());
        Pass { maker, agreement, path, token, address }
    }

    /// Of a transfer that the maker asks for as a stream, and our id of it.
    async fn of_format(pair: &Pair, agreement: &str) -> (Pass, String) {
        let maker = pair.maker();
        let at_id = agreements::show(maker, agreement, None).unwrap().at_id;
        let pid = ids::urn().unwrap();
        let base = |node: &Node| {
            let own = |fold: &Fold| fold.organisation.current().unwrap().0.dsp.clone();
            node.partition.read(|fold, _| own(fold)).unwrap()
        };
        let (us, theirs) = (base(maker), base(pair.operator()));
        let opening = Opening { own_pid: &pid, peer: OPERATOR, address: &theirs, callback: &us };
        let now = maker.clocks.wall();
        let step = transfer::open_as_consumer(opening, &at_id, STREAM, None, now).unwrap();
        let entries = opened_transfer(&step).unwrap();
        maker.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
        until(maker, |fold| fold.processes.transfers[&pid].state == State::Started).await;
        (Pass::told(pair, agreement, &pid, "/stream"), pid)
    }

    /// Opens a stream with that query, over a socket that buffers so much.
    async fn open(&self, query: &str, buffer: Option<u32>) -> Reader {
        let domain = TrustDomain::of_did(&Did::new(OPERATOR).unwrap()).unwrap();
        let clocks = self.maker.clocks.clone();
        let clock: Clock = std::sync::Arc::new(move || clocks.wall());
        let (presented, partners) = (&self.maker.presented, &self.maker.tls_partners);
        let config = client_config(presented, partners, &domain, &clock).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let tcp = socket.connect(self.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
        let mut tls = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
        let signed =
            assertion::sign(&self.maker, OPERATOR, &self.agreement, purpose, "FR").unwrap();
        // HTTP/1.0 has no chunks: what comes are the events.
        let head = format!(
            "GET {}/stream{query} HTTP/1.0\r\nhost: o\r\nauthorization: Bearer {}\r\n\
             twinpact-assertion: {signed}\r\n\r\n",
            self.path, self.token
        );
        tls.write_all(head.as_bytes()).await.unwrap();
        tls.flush().await.unwrap();
        Reader { lines: BufReader::new(tls) }
    }
}

/// The answer to one request.
struct Reader {
    lines: BufReader<TlsStream<TcpStream>>,
}

/// Kind, position and data of an event.
#[derive(Debug)]
struct Event {
    kind: String,
    id: Option<u64>,
    data: Value,
}

impl Event {
    fn powers(&self) -> Vec<String> {
        let rows = self.data["rows"].as_array().unwrap().iter();
        rows.map(|row| row[2].as_str().unwrap().to_owned()).collect()
    }

    fn receipt(&self) -> Receipt {
        let bundle = Bundle::parse(self.data["proof"].as_str().unwrap().as_bytes()).unwrap();
        Receipt::from_envelope(bundle.receipt.as_ref().unwrap()).unwrap()
    }
}

impl Reader {
    /// The status of the answer and its content type.
    async fn head(&mut self) -> (String, String) {
        let (mut status, mut kind) = (String::new(), String::new());
        self.lines.read_line(&mut status).await.unwrap();
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).await.unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-type: ") {
                kind = value.trim().to_owned();
            }
            if line.trim().is_empty() {
                return (status.split(' ').nth(1).unwrap().to_owned(), kind);
            }
        }
    }

    async fn opened(&mut self) {
        assert_eq!(self.head().await, ("200".to_owned(), "text/event-stream".to_owned()));
    }

    /// The next event; `None` at the end of the connection.
    async fn event(&mut self) -> Option<Event> {
        let (mut kind, mut id, mut data) = (String::new(), None, Value::Null);
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                Some(("id", text)) => id = Some(text.parse().unwrap()),
                Some(("event", text)) => kind = text.to_owned(),
                Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
                _ if line.is_empty() && !kind.is_empty() => return Some(Event { kind, id, data }),
                _ => {}
            }
        }
    }

    async fn rows(&mut self) -> Event {
        let event = self.event().await.unwrap();
        assert_eq!(event.kind, "rows", "{event:?}");
        event
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_stream_ends_at_once_and_says_why() {
    let (pair, agreement) = Pair::concluded().await;
    let pass = Pass::of(&pair, &agreement).await;
    let mut reader = pass.open("?from=start", None).await;
    reader.opened().await;
    let first = reader.rows().await;
    assert_eq!(first.powers().len(), ROWS);
    ingest(pair.operator(), &[(9, "1".to_owned())]).await;
    let second = reader.rows().await;
    assert_eq!((second.powers(), second.id), (vec!["1".to_owned()], first.id.map(|id| id + 1)));
    let token = to_hex(&TokenDigest::of(&pass.token).unwrap().0);
    let known = |fold: &Fold| fold.processes.tokens.get(&token).is_some();
    assert!(pair.operator().partition.read(|fold, _| known(fold)).unwrap());
    let since = Instant::now();
    let name = agreement.clone();
    let revoked = agreements::revoke(pair.operator(), &name, "enough").await.unwrap();
    assert!(revoked.state.starts_with("revoked"));
    let end = timeout(SOON, reader.event()).await.unwrap().unwrap();
    println!("the end came {:?} after the revocation was asked for", since.elapsed());
    // The token is gone with its transfer, whatever the agreement says to whoever presents it.
    let is_gone = |fold: &Fold| fold.processes.tokens.get(&token).is_none();
    timeout(SOON, until(pair.operator(), is_gone)).await.unwrap();
    println!("and the token died {:?} after it", since.elapsed());
    assert_eq!((end.kind.as_str(), &end.data["code"]), ("end", &"policy.revoked".into()));
    assert!(reader.event().await.is_none());
    // The token is dead too.
    let mut again = pass.open("", None).await;
    let (status, kind) = again.head().await;
    assert_eq!((status.as_str(), kind.as_str()), ("403", "application/problem+json"));
    let mut body = String::new();
    again.lines.read_to_string(&mut body).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["code"], "policy.revoked");
    pair.stop().await;
}

/// A transfer of that format: what its consumer is told leads to the stream, each item has its
/// receipt, and the end of the transfer is the end of the stream and of the token.
#[tokio::test(flavor = "multi_thread")]
async fn a_partner_asks_for_a_stream_as_a_format() {
    let (pair, agreement) = Pair::concluded().await;
    let (pass, pid) = Pass::of_format(&pair, &agreement).await;
    let theirs = pair.maker().partition.read(|fold, _| {
        let transfer = &fold.processes.transfers[&pid];
        assert_eq!(transfer.format, STREAM);
        transfer.party.peer_pid.clone().unwrap()
    });
    let theirs = theirs.unwrap();
    let format = |fold: &Fold| fold.processes.transfers[&theirs].format.clone();
    assert_eq!(pair.operator().partition.read(|fold, _| format(fold)).unwrap(), STREAM);
    let mut reader = pass.open("?from=start", None).await;
    reader.opened().await;
    let first = reader.rows().await;
    assert_eq!(first.powers().len(), ROWS);
    ingest(pair.operator(), &[(9, "1".to_owned())]).await;
    let second = reader.rows().await;
    assert_eq!(second.powers(), ["1"]);
    for (event, rows) in [(&first, ROWS), (&second, 1)] {
        let receipt = event.receipt();
        assert_eq!((receipt.audience.as_str(), receipt.count), (MAKER, rows as u64));
    }
    transfers::decide(pair.maker(), &pid, Wish::Complete).await.unwrap();
    let end = timeout(SOON, reader.event()).await.unwrap().unwrap();
    assert_eq!(end.kind, "end", "{end:?}");
    assert!(reader.event().await.is_none());
    let mut again = pass.open("", None).await;
    assert_eq!(again.head().await.0, "404");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_a_removed_partner_and_of_a_node_that_stops_end() {
    let (pair, agreement) = Pair::concluded().await;
    let pass = Pass::of(&pair, &agreement).await;
    let mut reader = pass.open("", None).await;
    reader.opened().await;
    reader.rows().await;
    removal::remove(pair.operator(), MAKER, "enough").await.unwrap();
    // It is told, or only cut off: there is nobody any more who could be told.
    let ended = timeout(SOON, async { while reader.event().await.is_some() {} }).await;
    assert!(ended.is_ok());
    pair.stop().await;
    let (pair, agreement) = Pair::concluded().await;
    let pass = Pass::of(&pair, &agreement).await;
    let mut reader = pass.open("", None).await;
    reader.opened().await;
    reader.rows().await;
    let Pair { operator, maker, place } = pair;
    let (end, ()) = tokio::join!(reader.event(), operator.stop());
    assert_eq!(end.unwrap().data["code"], "stream.closed");
    maker.stop().await;
    drop(place);
}

/// Reported, not gated: when the last item came and went, against the instant of the boundary.
#[tokio::test(flavor = "multi_thread")]
async fn no_item_is_decided_at_or_after_a_term_by_the_wall_clock() {
    let pair = Pair::strangers().await;
    pin(pair.operator(), pair.maker()).await;
    pin(pair.maker(), pair.operator()).await;
    // Long enough for a negotiation on a busy machine; the clock of the wall decides.
    let boundary = Timestamp::from_seconds(pair.operator().clocks.wall().0.seconds() + 8);
    let bound = format!(
        "            - leftOperand: dateTime\n              operator: lt\n              \
         rightOperand: {{\"@value\": \"{boundary}\", \"@type\": xsd:dateTime}}\n"
    );
    fill_bound(pair.operator(), &bound).await;
    let agreement = pair.agreed().await;
    let pass = Pass::of(&pair, &agreement).await;
    let mut reader = pass.open("?from=start", None).await;
    reader.opened().await;
    let operator = pair.operator().clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    // Rows are recorded all the time: one after the other, so that the end finds some waiting.
    let writing = tokio::spawn(async move {
        let mut n = 10;
        while stopped.try_recv().is_err() && n < 40_000 {
            ingest(&operator, &[(n, (n % 1_000).to_string())]).await;
            n += 1;
        }
    });
    let (mut last, mut items) = (None, 0);
    let end = loop {
        let event = reader.event().await.unwrap();
        let now = pair.operator().clocks.wall().0;
        if event.kind == "end" {
            println!("the end came {} us after the boundary", now.micros() - boundary.micros());
            break event;
        }
        items += 1;
        last = Some((event.receipt().at, now));
        assert!(event.receipt().at < boundary.micros(), "{event:?}");
    };
    let _ = stop.send(());
    writing.await.unwrap();
    assert_eq!(end.data["code"], "policy.datetime");
    let (at, came) = last.unwrap();
    println!(
        "{items} items; the last was decided {} us before the boundary and came {} us after it",
        boundary.micros() - at,
        came.micros() - boundary.micros()
    );
    let given = receipts::list(pair.operator(), 1_000, None).unwrap();
    assert!(given.iter().all(|receipt| receipt.at < boundary), "an item at the boundary");
    pair.stop().await;
}

/// Follows until it has seen this many rows, and tells each.
async fn follow(
    mut reader: Reader,
    rows: usize,
    tell: mpsc::UnboundedSender<usize>,
) -> Vec<String> {
    reader.opened().await;
    let mut got = Vec::new();
    while got.len() < rows {
        got.extend(reader.rows().await.powers());
        let _ = tell.send(got.len());
    }
    got
}

fn wide(n: usize) -> String {
    format!("{n}.{}", "0".repeat(WIDE_BYTES))
}

/// The operator started again, with room for all readers of the test.
async fn with_room(pair: Pair) -> (Pair, std::sync::Arc<Streams>) {
    let Pair { operator, maker, place } = pair;
    operator.stop().await;
    let path = place.path().join("operator");
    let mut parts = open::open(&path, PolicyClock::System).await.unwrap();
    let streams = std::sync::Arc::new(Streams::within(READERS + SLOW, READERS + SLOW));
    parts.node.streams = streams.clone();
    let bounds = Bounds {
        per_partner: READERS + SLOW + 20,
        write_time: Duration::from_secs(15),
        ..Bounds::default()
    };
    let operator = Running::start_within(parts, bounds, COUNTING).await.unwrap();
    (Pair { place, operator, maker }, streams)
}

/// One process, 250 sockets: who reads gets everything in order, who does not costs one event and
/// its place for as long as the write time, and goes on later where it was.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_lose_nothing_and_slow_ones_are_cut_off() {
    let (pair, agreement) = Pair::concluded().await;
    let (pair, streams) = with_room(pair).await;
    let pass = Pass::of(&pair, &agreement).await;
    let rows: Vec<(usize, String)> = (0..WIDE).map(|n| (50 + n, wide(n))).collect();
    ingest(pair.operator(), &rows).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        // Who asks for everything and reads nothing, not even the head of the answer.
        slow.push(pass.open("?from=start", Some(4_096)).await);
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut following = Vec::new();
    for _ in 0..READERS {
        let reader = pass.open("", None).await;
        following.push(tokio::spawn(follow(reader, 2 * BATCHES, tell.clone())));
    }
    // Each is opened by a commit.
    until(pair.operator(), |_| streams.open() == READERS + SLOW).await;
    let mut refused = pass.open("", None).await;
    assert_eq!(refused.head().await.0, "429");
    for batch in 0..BATCHES {
        ingest(pair.operator(), &[(100 + batch, batch.to_string())]).await;
        let all = async {
            let mut have = 0;
            while have < READERS {
                have += usize::from(told.recv().await.unwrap() == batch + 1);
            }
        };
        timeout(PATIENCE, all).await.unwrap();
        assert!(streams.held() <= streams.open());
    }
    let number = |start: &str| -> usize {
        let page = twinpact_node::metrics::page(pair.operator());
        let line = page.lines().find(|line| line.starts_with(start));
        line.map_or(0, |line| line.split(' ').next_back().unwrap().parse().unwrap())
    };
    let built = number("twinpact_stream_events_total");
    // Who takes nothing has had one event built, whatever was recorded since: that is the bound.
    assert_eq!(built, READERS * (BATCHES + 1) + SLOW);
    // And all at once, faster than anybody reads: who is behind gets several rows in one event.
    for batch in BATCHES..2 * BATCHES {
        ingest(pair.operator(), &[(100 + batch, batch.to_string())]).await;
        assert!(streams.held() <= streams.open());
    }
    let expect: Vec<String> = (0..2 * BATCHES).map(|batch| batch.to_string()).collect();
    for reader in following {
        assert_eq!(timeout(PATIENCE, reader).await.unwrap().unwrap(), expect);
    }
    // All slow ones are cut off, each with its reason on record: each record is a commit.
    let mut changes = pair.operator().partition.changes();
    let cut = async {
        while number("twinpact_stream_ends_total{code=\"stream.slow\"}") < SLOW {
            changes.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, cut).await.unwrap();
    let unread = twinpact_node::strangers::Away::Unread;
    let mut strangers = pair.operator().strangers.changes();
    let counted = strangers.wait_for(|tally| tally.total.of(unread) == SLOW as u64);
    timeout(PATIENCE, counted).await.unwrap().unwrap();
    let built = number("twinpact_stream_events_total");
    // Had nobody been behind, it would be one for each batch.
    assert!(built < READERS * (2 * BATCHES + 1) + SLOW, "{built}");
    let memory = number("process_resident_memory_bytes");
    println!("{built} events; {memory} bytes of memory");
    drop(slow);
    let everything = ROWS + WIDE + 2 * BATCHES;
    let (tell, _told) = mpsc::unbounded_channel();
    let again = follow(pass.open("?from=start", None).await, everything, tell);
    let got = timeout(PATIENCE, again).await.unwrap();
    assert_eq!(got[ROWS + WIDE..], expect);
    pair.stop().await;
}
