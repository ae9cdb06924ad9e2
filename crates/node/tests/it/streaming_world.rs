//! An operator that records rows, and a reader of its stream, at the door of the node.

use crate::liveness::{MONDAY, Maker, fresh_token, signed, started};
use crate::operator::Operator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;
use twinpact_edge::batch::IngestBatch;
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::door::{Asked, Door, Way};
use twinpact_node::egress::{Egress, Item};
use twinpact_node::stream::Stream;
use twinpact_node::{Node, NodeParts, PolicyClock, open, outbox, record};
use twinpact_proof::Bundle;
use twinpact_store::vfs::RealDisk;

/// Monday 27 July 2015, 09:00 in Paris: in the hours of the view's rows.
const MORNING: i64 = 1_437_980_400;
/// The same day at 21:00: a row that the view does not show.
pub(crate) const EVENING: i64 = 12 * 3_600;

/// A transfer that has started, with its token.
pub(crate) struct World {
    pub(crate) operator: Operator,
    /// The maker's node, to sign with.
    signer: NodeParts,
    pub(crate) pid: String,
    pub(crate) token: String,
    /// How far the wall clock is ahead of the system's, in microseconds.
    pub(crate) ahead: Arc<AtomicI64>,
}

/// An event as a reader has it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) position: u64,
    /// The power of each row.
    pub(crate) values: Vec<String>,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn open() -> World {
        let operator = Operator::open().await;
        let (pid, maker) = (started(&operator).await, Maker::default());
        operator.parts.node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
        // The start of the transfer, and the last message of the negotiation, arrive.
        (0..2).for_each(|_| maker.answers(200, Value::Null));
        let node = operator.parts.node.clone();
        assert!(node.outbound.set(Arc::new(maker)).is_ok());
        let (stop, stopped) = watch::channel(false);
        let sender = tokio::spawn(outbox::run(node.clone(), stopped));
        crate::liveness::until(&operator, |fold| {
            fold.processes.outbox.is_empty()
                && crate::liveness::transfer_of(fold).post.unacknowledged.is_none()
        })
        .await;
        stop.send(true).unwrap();
        sender.await.unwrap();
        let token = fresh_token(&node, &operator, &pid).await;
        // A directory is free when nobody has its node any more.
        drop(node);
        let signer = open::open(&operator.place.path().join("maker"), PolicyClock::System).await;
        let (signer, ahead) = (signer.unwrap(), Arc::default());
        World { operator, signer, pid, token, ahead }.restarted().await
    }

    /// The operator after a stop.
    pub(crate) async fn restarted(mut self) -> World {
        let Operator { parts, maker, schemas, place } = self.operator;
        let policy = parts.node.clocks.policy().0;
        let path = place.path().join("operator");
        parts.stop();
        let ahead = self.ahead.clone();
        let clock: Clock = Arc::new(move || {
            let micros = system_clock()().0.micros() + ahead.load(Ordering::SeqCst);
            WallTime(Timestamp::from_micros(micros))
        });
        let disk = Arc::new(RealDisk);
        let parts = open::open_by(disk, &path, PolicyClock::Driven, clock).await.unwrap();
        parts.node.clocks.set_policy(policy).unwrap();
        self.operator = Operator { parts, maker, schemas, place };
        self
    }

    pub(crate) fn node(&self) -> &Node {
        &self.operator.parts.node
    }

    /// Stops both; where their directories are.
    pub(crate) fn stop(self) -> tempfile::TempDir {
        self.signer.stop();
        self.operator.parts.stop();
        self.operator.place
    }

    pub(crate) fn set_policy(&self, time: &str) {
        self.node().clocks.set_policy(Timestamp::parse(time).unwrap()).unwrap();
    }

    /// Records rows of (id, twin, second of the morning, value).
    pub(crate) async fn ingest(&self, rows: &[(u32, u8, i64, u32)]) {
        let observation = |(id, twin, second, value): &(u32, u8, i64, u32)| {
            let time = Timestamp::from_seconds(MORNING + second).to_string();
            let values = BTreeMap::from([("power", value.to_string())]);
            let twin = format!("urn:turbine:{twin}");
            json!({ "id": id.to_string(), "twin": twin, "time": time, "values": values })
        };
        let body = json!({
            "source": "urn:source:test",
            "model": "wind-turbine@1",
            "observations": rows.iter().map(observation).collect::<Vec<_>>(),
        });
        let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
        assert!(record::record(self.node(), batch, "local").await.unwrap().refused.is_empty());
    }

    /// Asks for the stream with that query and that last event; the code of the refusal.
    pub(crate) async fn ask(
        &self,
        query: &str,
        last_event: Option<&str>,
    ) -> Result<Box<Stream>, String> {
        let asked = self.asked("/stream", query, last_event);
        match self.node().answer(asked).await {
            Egress::Stream(stream) => Ok(stream),
            Egress::Fault(fault) => Err(fault.document["code"].as_str().unwrap().to_owned()),
            _ => panic!("another kind of answer"),
        }
    }

    /// Pulls a page; its index in the ledger.
    pub(crate) async fn pull(&self) -> u64 {
        let Egress::Permitted(page) = self.node().answer(self.asked("", "", None)).await else {
            panic!("no page")
        };
        Bundle::parse(page.proof.as_bytes()).unwrap().entry.index
    }

    pub(crate) fn asked(&self, leaf: &str, query: &str, last_event: Option<&str>) -> Asked {
        Asked {
            way: Way::Federation,
            peer: Some(self.operator.maker.clone()),
            method: "GET".to_owned(),
            path: format!("/data/{}{leaf}", self.pid),
            query: Some(query.to_owned()),
            bearer: Some(self.token.clone()),
            assertion: Some(signed(&self.operator, &self.signer)),
            checkpoint: None,
            last_event: last_event.map(str::to_owned),
            accept_encoding: None,
            if_none_match: None,
            body: Vec::new(),
            fault: None,
        }
    }
}

/// The next event of a stream.
pub(crate) async fn event(stream: &mut Stream) -> Event {
    loop {
        match stream.next().await.unwrap() {
            Item::Rows { position, delivered } => {
                let body = delivered.body();
                let bundle = Bundle::parse(delivered.proof.as_bytes()).unwrap();
                assert_eq!(bundle.entry.index, position);
                let rows = body["rows"].as_array().unwrap().iter();
                let values = rows.map(|row| row[2].as_str().unwrap().to_owned()).collect();
                return Event { position, values, body };
            }
            Item::Beat => {}
            Item::End(document) => panic!("it ended: {document}"),
        }
    }
}

/// How a stream ends: no event comes before.
pub(crate) async fn end(stream: &mut Stream) -> Value {
    loop {
        match stream.next().await.unwrap() {
            Item::Rows { .. } => panic!("an event instead of the end"),
            Item::Beat => {}
            Item::End(document) => return document,
        }
    }
}
