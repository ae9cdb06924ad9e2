//! An operator with a contract and one partner, the maker, whose messages a test writes itself.

use crate::outside::{Schemas, project, shared};
use serde_json::{Value, json};
use std::sync::Arc;
use twinpact_edge::model_file;
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_node::door::{Asked, Door};
use twinpact_node::egress::Egress;
use twinpact_node::{NodeParts, PolicyClock, contracts, open, partners, prove, record};
use twinpact_store::vfs::RealDisk;

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
pub(crate) const CALLBACK: &str = "https://maker.example/dsp";

/// An operator with a contract, and the partner whose record it has pinned.
pub(crate) struct Operator {
    pub(crate) parts: NodeParts,
    pub(crate) maker: PeerIdentity,
    pub(crate) schemas: Option<Schemas>,
    pub(crate) place: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Operator {
    pub(crate) async fn open() -> Operator {
        Operator::by(system_clock()).await
    }

    /// The same by that wall clock.
    pub(crate) async fn by(wall: Clock) -> Operator {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let maker = Did::new("did:web:maker.example").unwrap();
        open::init(&path("maker"), &maker, "maker").unwrap();
        let other = open::open(&path("maker"), PolicyClock::System).await.unwrap();
        let pinned = prove::own_record(&other.node).unwrap().to_json().canonical();
        other.stop();
        let did = Did::new("did:web:operator.example").unwrap();
        open::init(&path("operator"), &did, "operator").unwrap();
        let (disk, path) = (Arc::new(RealDisk), path("operator"));
        let parts = open::open_by(disk, &path, PolicyClock::Driven, wall).await.unwrap();
        partners::add(&parts.node, pinned.as_bytes()).await.unwrap();
        let example = |name: &str| {
            std::fs::read_to_string(project().join("examples/wind").join(name)).unwrap()
        };
        let model = model_file::parse(&example("wind-turbine.toml")).unwrap();
        record::apply_model(&parts.node, model, "x").await.unwrap();
        let contract = example("turbine-maintenance.odcs.yaml");
        contracts::publish(&parts.node, contract).await.unwrap();
        let schemas = shared("the protocol's schemas").map(|shared| Schemas::load(&shared));
        Operator { parts, maker: peer(maker), schemas, place }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let peer = Some(self.maker.clone());
        let asked = Asked::posted(peer, &format!("/dsp{path}"), body.to_vec());
        let asked = Asked { method: method.to_owned(), ..asked };
        let (status, body) = match self.parts.node.answer(asked).await {
            Egress::Protocol { status, message } => {
                (status, message.map_or(Value::Null, |message| message.to_json()))
            }
            Egress::Fault(fault) => (fault.status, fault.document),
            Egress::Catalog(document) => {
                (document.status(), serde_json::from_slice(&document.body()).unwrap())
            }
            Egress::Permitted(_)
            | Egress::Public(_)
            | Egress::Together(_)
            | Egress::Schema(_)
            | Egress::Stream(_)
            | Egress::Log(_) => panic!("{path} gave something away"),
        };
        Answer { status, body }
    }

    /// A request that is refused with that status and code, in the protocol's form, and leaves
    /// every process as it is.
    pub(crate) async fn refuses(&self, path: &str, body: &[u8], status: u16, code: &str) {
        let before = self.processes();
        let answer = self.ask("POST", path, body).await;
        let start = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {start} {answer:?}");
        self.is_an_error(path, &answer);
        assert!(self.processes() == before, "{path} {start} changed a process");
    }

    pub(crate) fn is_an_error(&self, path: &str, answer: &Answer) {
        let name = match path.split('/').nth(1) {
            Some("catalog") => "CatalogError",
            Some("negotiations") => "ContractNegotiationError",
            _ => "TransferError",
        };
        assert_eq!(answer.body["@type"], name, "{path}: {:#}", answer.body);
        assert!(answer.body.to_string().len() < 4_096, "{path} repeats what it was sent");
        if let Some(schemas) = &self.schemas {
            let errors: Vec<String> =
                schemas.of(name).iter_errors(&answer.body).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{path}: {:#} {errors:?}", answer.body);
        }
    }

    /// Negotiations, transfers, outbox and tokens.
    pub(crate) fn processes(&self) -> String {
        self.parts.node.partition.read(|fold, _| format!("{:?}", fold.processes)).unwrap()
    }

    pub(crate) async fn offer(&self) -> Value {
        let request = message("CatalogRequestMessage", json!({}));
        let catalog = self.ask("POST", "/catalog/request", request.to_string().as_bytes()).await;
        let dataset = catalog.body["dataset"][0].clone();
        let mut offer = dataset["hasPolicy"][0].clone();
        offer["target"] = dataset["@id"].clone();
        offer
    }
}

pub(crate) fn peer(did: Did) -> PeerIdentity {
    let trust_domain = TrustDomain::of_did(&did).unwrap();
    PeerIdentity {
        spiffe_id: SpiffeId::of_node(&trust_domain, "node").unwrap(),
        did,
        trust_domain,
        leaf_sha256: [1; 32],
        root_sha256: [2; 32],
        not_after: WallTime(Timestamp::from_seconds(4_000_000_000)),
    }
}

pub(crate) fn message(kind: &str, members: Value) -> Value {
    let mut message = json!({"@context": [CONTEXT], "@type": kind});
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    message
}

pub(crate) fn contract_request(pid: &str, callback: &str, offer: &Value) -> Value {
    let members = json!({"consumerPid": pid, "callbackAddress": callback, "offer": offer});
    message("ContractRequestMessage", members)
}

pub(crate) fn transfer_request(pid: &str, callback: &str, format: &str) -> Value {
    let members = json!({
        "consumerPid": pid, "callbackAddress": callback, "agreementId": "urn:a", "format": format
    });
    message("TransferRequestMessage", members)
}
