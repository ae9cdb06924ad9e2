//! Bad messages of a pinned partner at the door of a node: each is refused with a stable code and
//! an error body of the protocol, and no process opens or moves.

use crate::outside::{Schemas, project, shared};
use serde_json::{Value, json};
use twinpact_dsp::message::MAX_REASONS;
use twinpact_dsp::route::{Method, ROWS};
use twinpact_dsp::terms::MAX_TEXT_BYTES;
use twinpact_dsp::{MAX_DEPTH, MAX_MESSAGE_BYTES};
use twinpact_edge::model_file;
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_node::door::{Asked, Door};
use twinpact_node::egress::Egress;
use twinpact_node::{NodeParts, PolicyClock, contracts, open, partners, prove, record};

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
const CALLBACK: &str = "https://maker.example/dsp";

/// An operator with a contract, and the partner whose record it has pinned.
struct Operator {
    parts: NodeParts,
    maker: PeerIdentity,
    schemas: Option<Schemas>,
    _place: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Operator {
    async fn open() -> Operator {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let maker = Did::new("did:web:maker.example").unwrap();
        open::init(&path("maker"), &maker, "maker").unwrap();
        let other = open::open(&path("maker"), PolicyClock::System).await.unwrap();
        let pinned = prove::own_record(&other.node).unwrap().to_json().canonical();
        other.stop();
        let did = Did::new("did:web:operator.example").unwrap();
        open::init(&path("operator"), &did, "operator").unwrap();
        let parts = open::open(&path("operator"), PolicyClock::System).await.unwrap();
        partners::add(&parts.node, pinned.as_bytes()).await.unwrap();
        let example = |name: &str| {
            std::fs::read_to_string(project().join("examples/wind").join(name)).unwrap()
        };
        let model = model_file::parse(&example("wind-turbine.toml")).unwrap();
        record::apply_model(&parts.node, model, "x").await.unwrap();
        let contract = example("turbine-maintenance.odcs.yaml");
        contracts::publish(&parts.node, contract).await.unwrap();
        let schemas = shared("the protocol's schemas").map(|shared| Schemas::load(&shared));
        Operator { parts, maker: peer(maker), schemas, _place: place }
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let asked = Asked {
            peer: Some(self.maker.clone()),
            method: method.to_owned(),
            path: format!("/dsp{path}"),
            query: None,
            bearer: None,
            assertion: None,
            body: body.to_vec(),
        };
        let (status, body) = match self.parts.node.answer(asked).await {
            Egress::Protocol { status, message } => {
                (status, message.map_or(Value::Null, |message| message.to_json()))
            }
            Egress::Fault(fault) => (fault.status, fault.document),
            Egress::Permitted(_) | Egress::Public(_) => panic!("{path} gave something away"),
        };
        Answer { status, body }
    }

    /// A request that is refused with that status and code, in the protocol's form, and leaves
    /// every process as it is.
    async fn refuses(&self, path: &str, body: &[u8], status: u16, code: &str) {
        let before = self.processes();
        let answer = self.ask("POST", path, body).await;
        let start = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {start} {answer:?}");
        self.is_an_error(path, &answer);
        assert!(self.processes() == before, "{path} {start} changed a process");
    }

    fn is_an_error(&self, path: &str, answer: &Answer) {
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
    fn processes(&self) -> String {
        self.parts.node.partition.read(|fold, _| format!("{:?}", fold.processes)).unwrap()
    }

    async fn offer(&self) -> Value {
        let request = message("CatalogRequestMessage", json!({}));
        let catalog = self.ask("POST", "/catalog/request", request.to_string().as_bytes()).await;
        let dataset = catalog.body["dataset"][0].clone();
        let mut offer = dataset["hasPolicy"][0].clone();
        offer["target"] = dataset["@id"].clone();
        offer
    }
}

fn peer(did: Did) -> PeerIdentity {
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

fn message(kind: &str, members: Value) -> Value {
    let mut message = json!({"@context": [CONTEXT], "@type": kind});
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    message
}

fn contract_request(pid: &str, callback: &str, offer: &Value) -> Value {
    let members = json!({"consumerPid": pid, "callbackAddress": callback, "offer": offer});
    message("ContractRequestMessage", members)
}

fn transfer_request(pid: &str, callback: &str, format: &str) -> Value {
    let members = json!({
        "consumerPid": pid, "callbackAddress": callback, "agreementId": "urn:a", "format": format
    });
    message("TransferRequestMessage", members)
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused_at_every_endpoint() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    let good = contract_request("urn:c:1", CALLBACK, &offer).to_string();
    let twice = good.replacen('{', r#"{"@type":"ContractRequestMessage","#, 1);
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    let inside = good.replacen('{', &format!(r#"{{"x":{deep},"#), 1);
    let deepest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut not_utf8 = good.clone().into_bytes();
    let at = good.find("urn:c:1").unwrap();
    not_utf8[at] = 0xff;
    let large = format!("{good}{}", " ".repeat(MAX_MESSAGE_BYTES + 1 - good.len()));
    let bodies: [(&[u8], &str); 11] = [
        (b"", "dsp.malformed"),
        (b"\0", "dsp.malformed"),
        (b"null", "dsp.malformed"),
        (b"{}", "dsp.malformed"),
        (b"\xef\xbb\xbf{}", "dsp.malformed"),
        (&not_utf8, "dsp.malformed"),
        (twice.as_bytes(), "dsp.malformed"),
        (deep.as_bytes(), "dsp.malformed"),
        (inside.as_bytes(), "dsp.malformed"),
        (deepest.as_bytes(), "dsp.malformed"),
        (large.as_bytes(), "dsp.too_large"),
    ];
    for row in ROWS.iter().filter(|row| row.method == Method::Post) {
        let path = row.pattern.replace(":id", "urn:uuid:1");
        for (body, code) in bodies {
            operator.refuses(&path, body, 400, code).await;
        }
    }
    // A message that is none of this endpoint's, and one of a process that is not there.
    let transfer = transfer_request("urn:c:1", CALLBACK, "x").to_string();
    operator.refuses("/negotiations/request", transfer.as_bytes(), 400, "dsp.malformed").await;
    operator.refuses("/transfers/request", good.as_bytes(), 400, "dsp.malformed").await;
    let pids = json!({"providerPid": "urn:p:1", "consumerPid": "urn:c:1"});
    let end = message("ContractNegotiationTerminationMessage", pids).to_string();
    let path = "/negotiations/urn:p:1/termination";
    operator.refuses(path, end.as_bytes(), 404, "dsp.unknown").await;
    operator.parts.stop();
}

#[tokio::test]
async fn only_addresses_in_the_pinned_record_are_called_back() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    for (callback, code) in [
        ("https://other.example/dsp", "outgoing.endpoint"),
        ("https://maker.example:8443/dsp", "outgoing.endpoint"),
        ("https://maker.example.evil.example/dsp", "outgoing.endpoint"),
        ("https://maker.example/dspx", "outgoing.endpoint"),
        ("https://maker.example/", "outgoing.endpoint"),
        ("https://maker.example/dsp@other.example/", "outgoing.endpoint"),
        ("http://maker.example/dsp", "outgoing.endpoint"),
        ("https://10.0.0.1/dsp", "outgoing.endpoint"),
        ("https://127.0.0.1:8443/dsp", "outgoing.endpoint"),
        ("https://[::1]/dsp", "outgoing.endpoint"),
        ("https://169.254.169.254/dsp", "outgoing.endpoint"),
        ("https://user@maker.example/dsp", "dsp.malformed"),
        ("https://maker.example@other.example/dsp", "dsp.malformed"),
        ("https://maker.example/dsp/../admin", "dsp.malformed"),
        ("https://maker.example/dsp/%2E%2e/admin", "dsp.malformed"),
        ("https://maker.example/dsp/./x", "dsp.malformed"),
        ("ftp://maker.example/dsp", "dsp.malformed"),
        ("file:///etc/passwd", "dsp.malformed"),
        ("HTTPS://maker.example/dsp", "dsp.malformed"),
        ("//maker.example/dsp", "dsp.malformed"),
        ("https:///dsp", "dsp.malformed"),
        ("https://maker.example/dsp?x", "dsp.malformed"),
        ("", "dsp.malformed"),
    ] {
        let request = contract_request("urn:c:1", callback, &offer).to_string();
        operator.refuses("/negotiations/request", request.as_bytes(), 400, code).await;
        let request = transfer_request("urn:c:1", callback, "x").to_string();
        operator.refuses("/transfers/request", request.as_bytes(), 400, code).await;
    }
    let below = contract_request("urn:c:1", &format!("{CALLBACK}/v1/"), &offer).to_string();
    let answer = operator.ask("POST", "/negotiations/request", below.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    operator.parts.stop();
}

#[tokio::test]
async fn texts_have_a_longest_length() {
    let operator = Operator::open().await;
    let long = |n: usize| "x".repeat(n);
    let request = transfer_request("urn:c:1", CALLBACK, &long(MAX_TEXT_BYTES + 1)).to_string();
    operator.refuses("/transfers/request", request.as_bytes(), 400, "dsp.too_large").await;
    let request = transfer_request("urn:c:1", CALLBACK, &long(MAX_TEXT_BYTES)).to_string();
    let answer = operator.ask("POST", "/transfers/request", request.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    // The offer is taken, and then the consumer ends the negotiation with many words.
    let request = contract_request("urn:c:2", CALLBACK, &operator.offer().await).to_string();
    let opened = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    let pid = opened.body["providerPid"].as_str().unwrap().to_owned();
    let path = format!("/negotiations/{pid}/termination");
    let end = |reason: Value| {
        let pids = json!({"providerPid": pid, "consumerPid": "urn:c:2", "reason": reason});
        message("ContractNegotiationTerminationMessage", pids).to_string()
    };
    for reason in [json!([long(MAX_TEXT_BYTES + 1)]), json!(vec!["x"; MAX_REASONS + 1])] {
        operator.refuses(&path, end(reason).as_bytes(), 400, "dsp.too_large").await;
    }
    let answer = operator.ask("POST", &path, end(json!([long(MAX_TEXT_BYTES)])).as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let state = operator.ask("GET", &format!("/negotiations/{pid}"), b"").await;
    assert_eq!(state.body["state"], "TERMINATED", "{state:?}");
    // Ended is ended, and said once.
    let verification = message(
        "ContractAgreementVerificationMessage",
        json!({"providerPid": pid, "consumerPid": "urn:c:2"}),
    );
    let path = format!("/negotiations/{pid}/agreement/verification");
    operator.refuses(&path, verification.to_string().as_bytes(), 400, "dsp.transition").await;
    operator.parts.stop();
}

/// The code with which an offer was refused: in the answer, or by a process that has ended at once.
async fn refused_offer(operator: &Operator, pid: &str, offer: &Value) -> String {
    let request = contract_request(pid, CALLBACK, offer).to_string();
    let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    if answer.status != 201 {
        operator.is_an_error("/negotiations/request", &answer);
        return answer.code().to_owned();
    }
    let ours = answer.body["providerPid"].as_str().unwrap();
    let look = |negotiation: &twinpact_dsp::negotiation::Negotiation| {
        assert!(negotiation.agreement.is_none(), "{offer:#}");
        assert_eq!(negotiation.state.name(), "TERMINATED", "{offer:#}");
        let ended = negotiation.ended.clone().unwrap();
        assert!(ended.reason.iter().all(|reason| reason.len() <= 4_096));
        ended.code.unwrap()
    };
    let read = |fold: &twinpact_node::fold::Fold| look(&fold.processes.negotiations[ours]);
    operator.parts.node.partition.read(|fold, _| read(fold)).unwrap()
}

#[tokio::test]
async fn offers_with_words_that_nobody_knows_are_refused() {
    let operator = Operator::open().await;
    let good = operator.offer().await;
    let constraints = good["permission"][0]["constraint"].as_array().unwrap().clone();
    let at = |operand: &str| {
        let ends = |c: &Value| c["leftOperand"].as_str().unwrap().ends_with(operand);
        let found = constraints.iter().position(ends).unwrap();
        format!("/permission/0/constraint/{found}")
    };
    let (purpose, place) = (at("purpose"), at("spatial"));
    let schedule = at("localSchedule");
    let long = "x".repeat(MAX_TEXT_BYTES);
    let cases = [
        ("/permission/0/action".to_owned(), json!("lease"), "contract.term_unknown"),
        (format!("{purpose}/leftOperand"), json!("porpoise"), "contract.term_unknown"),
        (format!("{purpose}/leftOperand"), json!(long), "contract.term_unknown"),
        (format!("{purpose}/operator"), json!("isAny"), "contract.term_unknown"),
        (
            format!("{purpose}/rightOperand"),
            json!("https://w3id.org/twinpact/purpose/Predictive"),
            "contract.term_unknown",
        ),
        (
            format!("{place}/rightOperand"),
            json!("https://w3id.org/twinpact/region/Europe"),
            "contract.term_unknown",
        ),
        (
            format!("{schedule}/rightOperand"),
            json!("Mo-Fr 07:00-19:00 [Europe/Pariss]"),
            "contract.term_shape",
        ),
        (
            format!("{schedule}/rightOperand"),
            json!("Mo-Fr 07:00-19:00 [Mars/Base]"),
            "contract.term_shape",
        ),
        ("/@id".to_owned(), json!("urn:twinpact:offer:none"), "agreement.unknown"),
    ];
    for (n, (place, value, code)) in cases.into_iter().enumerate() {
        let mut offer = good.clone();
        let Some(slot) = offer.pointer_mut(&place) else { panic!("{place} in {good:#}") };
        *slot = value;
        let got = refused_offer(&operator, &format!("urn:c:{n}"), &offer).await;
        assert_eq!(got, code, "{place}");
    }
    let agreements = operator.parts.node.partition.read(|fold, _| fold.agreements.iter().count());
    assert_eq!(agreements.unwrap(), 0);
    operator.parts.stop();
}
