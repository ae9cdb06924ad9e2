//! The door: the closed set of what can leave to another organisation.
//!
//! A twin value leaves only inside [`Delivered`], whose view is a `Permitted<View>` that nothing
//! but a `Grant` makes. Whoever answers partners can write an [`Egress`] and nothing else.

use crate::stream::Stream;
use serde_json::{Value, json};
use std::sync::Arc;
use twinpact_dsp::Message;
use twinpact_model::View;
use twinpact_model::problem::{Fault, Problem};
use twinpact_policy::Permitted;
use twinpact_proof::{Digest, to_hex};

/// What can leave.
pub enum Egress {
    /// A view under a permit, with its receipt.
    Permitted(Box<Delivered>),
    /// A message of the Dataspace Protocol, or the bare acknowledgement of one or of a signed
    /// document.
    Protocol {
        /// The HTTP status.
        status: u16,
        /// The body, if there is one.
        message: Option<Box<Message>>,
    },
    /// What messages that came together are answered with, one by one.
    Together(Vec<Told>),
    /// A part of our catalogue.
    Catalog(Box<CatalogDoc>),
    /// The JSON Schema of the rows of a view: names, types and units.
    Schema(String),
    /// The stream of a view: each of its events is a view under a permit of its own.
    Stream(Box<Stream>),
    /// One of the documents that everybody may read.
    Public(PublicDoc),
    /// What partners tell each other of logs.
    Log(LogDoc),
    /// A refusal.
    Fault(PublicFault),
}

/// What one of several messages is answered with: what it would be answered with alone.
pub struct Told {
    status: u16,
    body: String,
}

impl Told {
    /// Only a message of the protocol and a refusal have a body here.
    #[must_use]
    pub fn of(egress: Egress) -> Told {
        match egress {
            Egress::Protocol { status, message } => {
                Told { status, body: message.map_or_else(String::new, |message| message.to_text()) }
            }
            Egress::Fault(fault) => Told { status: fault.status, body: fault.document.to_string() },
            _ => Told { status: 500, body: String::new() },
        }
    }

    /// These answers as they are sent: a list of status and body in the order of the messages.
    #[must_use]
    pub fn written(all: &[Told]) -> String {
        let mut text = String::from("[");
        for (number, Told { status, body }) in all.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            text.push_str(&format!("{comma}{{\"status\":{status}"));
            if !body.is_empty() {
                text.push_str(",\"body\":");
                text.push_str(body);
            }
            text.push('}');
        }
        text.push(']');
        text
    }
}

/// What a stream brings.
pub enum Item {
    /// Rows under a permit.
    Rows {
        /// The index of the delivery in the agreement's ledger, behind which the stream can be
        /// gone on with.
        position: u64,
        /// The delivery.
        delivered: Box<Delivered>,
    },
    /// That the stream is still there.
    Beat,
    /// The public half of the reason for which it ends; and when it would be permitted again.
    End(Value),
}

/// A delivery: what the grant let through, and the bundle that proves it.
pub struct Delivered {
    /// The view.
    pub view: Permitted<View>,
    /// The freshness that the contract promises, in seconds.
    pub promised: Option<u64>,
    /// The bundle, as text.
    pub proof: String,
    /// The seed of the ledger entry, so that the receiver checks every row.
    pub seed: [u8; 32],
    /// That anchor and ledger continue what the receiver saw last.
    pub consistency: Consistency,
}

/// Consistency proofs from the sizes that the receiver named; absent when it named none, or one
/// that we never had.
pub struct Consistency {
    /// Of the anchor.
    pub anchor: Option<Vec<Digest>>,
    /// Of the agreement's ledger.
    pub ledger: Option<Vec<Digest>>,
}

/// A document that everybody may read.
pub enum PublicDoc {
    /// Our signed organisation record.
    Organisation(String),
    /// That somebody has joined: both fingerprints.
    Joined(String),
    /// The version document of the Dataspace Protocol.
    Versions(Value),
    /// What a conformance script says, or what is answered to who directs it: JSON. A node with a
    /// script has no twins.
    Scripted(String),
}

/// A part of our catalogue as it is sent: offers of contracts, and no value of a twin.
pub struct CatalogDoc {
    etag: String,
    location: String,
    links: Vec<String>,
    /// The message and whether it is compressed; `None` when the asker has it.
    body: Option<(Arc<[u8]>, bool)>,
}

impl CatalogDoc {
    pub(crate) const fn new(
        etag: String,
        location: String,
        links: Vec<String>,
        body: Option<(Arc<[u8]>, bool)>,
    ) -> CatalogDoc {
        CatalogDoc { etag, location, links, body }
    }

    /// 304 when the asker has it, else 200.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if self.body.is_some() { 200 } else { 304 }
    }

    /// The message as JSON, compressed with gzip when the header fields say so; empty for 304.
    #[must_use]
    pub fn body(&self) -> Arc<[u8]> {
        self.body.as_ref().map_or_else(|| Arc::from([]), |(body, _)| Arc::clone(body))
    }

    /// The header fields that it is sent with: `ETag` and `Content-Location` (RFC 9110), at which
    /// it can be had again with GET; `Link` (RFC 8288) to the parts around it.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("etag", self.etag.clone()),
            ("content-location", self.location.clone()),
            ("vary", "Accept-Encoding".to_owned()),
            ("cache-control", "private, no-cache".to_owned()),
        ];
        headers.extend(self.links.iter().map(|link| ("link", link.clone())));
        if matches!(self.body, Some((_, true))) {
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        headers
    }
}

/// What partners tell each other of logs: signed checkpoints, cosignatures and hashes, and no value
/// of a twin.
pub enum LogDoc {
    /// The lines of a witness under a checkpoint.
    Cosignature(String),
    /// The size that a witness has cosigned last, of who sent an older one (C2SP tlog-witness).
    WitnessSize(u64),
    /// Our signed statement that we are a witness.
    Witness(String),
    /// A signed checkpoint: one of ours, or one of the asker's that we have cosigned.
    Checkpoint(String),
    /// Hashes that lead from one of our checkpoints to another.
    Hashes(Vec<Digest>),
    /// The signed checkpoints that we have seen of logs that the asker has seen too.
    Seen(Vec<String>),
}

impl LogDoc {
    /// Status, media type and body.
    #[must_use]
    pub fn parts(&self) -> (u16, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        const JSON: &str = "application/json";
        match self {
            LogDoc::Cosignature(text) | LogDoc::Checkpoint(text) => (200, TEXT, text.clone()),
            LogDoc::WitnessSize(size) => (409, "text/x.tlog.size", format!("{size}\n")),
            LogDoc::Witness(text) => (200, JSON, text.clone()),
            LogDoc::Hashes(hashes) => {
                (200, JSON, json!({ "hashes": self::hashes(Some(hashes)) }).to_string())
            }
            LogDoc::Seen(notes) => (200, JSON, json!({ "notes": notes }).to_string()),
        }
    }
}

/// The public half of a refusal: our own faults cross the boundary as their title only.
pub struct PublicFault {
    /// The HTTP status.
    pub status: u16,
    /// The problem document (RFC 9457).
    pub document: Value,
}

impl PublicFault {
    /// The public half of a problem.
    #[must_use]
    pub fn of(problem: &Problem) -> PublicFault {
        let code = problem.code;
        let status = code.class.http_status();
        let mut document = json!({
            "type": format!("https://w3id.org/twinpact/errors/{}", code.name),
            "title": code.title,
            "status": status,
            "code": code.name,
            "fault": match code.fault {
                // Seen from the other side of the wire.
                Fault::Us => "peer",
                Fault::Peer | Fault::Caller => "caller",
            },
        });
        if code.public()
            && let Some(members) = document.as_object_mut()
        {
            members.insert("detail".to_owned(), Value::from(problem.message.as_str()));
        }
        PublicFault { status, document }
    }

    /// The same with another status, where a protocol of others asks for it.
    #[must_use]
    pub fn with_status(problem: &Problem, status: u16) -> PublicFault {
        let mut fault = PublicFault::of(problem);
        fault.status = status;
        if let Some(members) = fault.document.as_object_mut() {
            members.insert("status".to_owned(), Value::from(status));
        }
        fault
    }

    /// The same for what is sent by an outbox: 409 would be read as "too early, come again", which
    /// never helps here.
    #[must_use]
    pub fn for_good(problem: &Problem) -> PublicFault {
        match problem.code.class.http_status() {
            409 => PublicFault::with_status(problem, 400),
            _ => PublicFault::of(problem),
        }
    }
}

impl From<Problem> for Egress {
    fn from(problem: Problem) -> Self {
        Egress::Fault(PublicFault::of(&problem))
    }
}

impl Delivered {
    /// The body of a delivery: the rows of this page as the contract names them, where the next
    /// page goes on (null when there is none), how fresh they are promised to be (null when nothing
    /// is promised), by when they are to be deleted, and the proof. The only place where a twin
    /// value becomes a partner's bytes.
    #[must_use]
    pub fn body(&self) -> Value {
        let view = self.view.get();
        let columns: Vec<Value> = view
            .columns
            .iter()
            .map(|c| json!({ "name": c.name, "datatype": c.datatype, "unit": c.unit }))
            .collect();
        let rows: Vec<Value> = view.rows.iter().map(|row| Value::from(item(row))).collect();
        json!({
            "view": view.id,
            "columns": columns,
            "rows": rows,
            "next": view.next.as_ref().map(ToString::to_string),
            "freshness": self.promised,
            "deleteBy": self.view.delete_by().map(|t| t.0.to_string()),
            "seed": to_hex(&self.seed),
            "proof": self.proof,
            "consistency": {
                "anchor": hashes(self.consistency.anchor.as_deref()),
                "ledger": hashes(self.consistency.ledger.as_deref()),
            },
        })
    }
}

fn hashes(proof: Option<&[Digest]>) -> Value {
    proof.map_or(Value::Null, |hashes| hashes.iter().map(|h| Value::from(to_hex(h))).collect())
}

/// One delivered item as the ledger commits to it and as it stands in the body: `[twin, time,
/// values …]`, all text or null. As text it has [`Row::bytes`](twinpact_model::Row::bytes) bytes.
#[must_use]
pub fn item(row: &twinpact_model::Row) -> Vec<Value> {
    let mut cells = vec![Value::from(row.twin.as_str()), Value::from(row.phen_start.to_string())];
    cells.extend(row.values.iter().map(|v| v.as_deref().map_or(Value::Null, Value::from)));
    cells
}

#[cfg(test)]
mod tests {
    use super::item;
    use serde_json::Value;
    use twinpact_model::{Row, Timestamp};

    #[test]
    fn a_page_is_bound_by_the_bytes_that_leave() {
        for (micros, value) in [
            (0, None),
            (1, Some("514.24")),
            (-1, Some("")),
            (1_437_757_190_500_000, Some("a \"quoted\" \\ text\n\u{1}\u{7f} é 風")),
        ] {
            let values = vec![value.map(str::to_owned), None];
            let phen_start = Timestamp::from_micros(micros);
            let row = Row { twin: "urn:turbine:é".to_owned(), phen_start, values };
            assert_eq!(Value::from(item(&row)).to_string().len(), row.bytes(), "{row:?}");
        }
    }
}
