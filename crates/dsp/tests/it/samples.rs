//! One or more of every message that we can produce.

use serde_json::{Value, json};
use twinpact_dsp::message::{
    Access, Agreement, Auth, Catalog, CatalogRequest, ContractAgreement, ContractOffer,
    ContractRequest, DataAddress, DataService, Dataset, DatasetRequest, Distribution, ErrorBody,
    Event, Message, NegotiationEvent, NegotiationStatus, Notice, Offer, Pids, Signal, Thread,
    TransferRequest, TransferStart, TransferStatus, Versions,
};
use twinpact_dsp::{Rejected, Subject, negotiation, transfer};

pub(crate) fn pids() -> Pids {
    Pids { provider: "urn:uuid:p".to_owned(), consumer: "urn:uuid:c".to_owned() }
}

/// The policy of the demo: purpose, place, hours, and a duty to delete.
pub(crate) fn policy() -> Value {
    json!({
        "permission": [{
            "action": "use",
            "constraint": [
                {
                    "leftOperand": "http://www.w3.org/ns/odrl/2/purpose",
                    "operator": "isAnyOf",
                    "rightOperand": [
                        "https://w3id.org/twinpact/purpose/Maintenance",
                        "https://w3id.org/twinpact/purpose/Benchmarking"
                    ]
                },
                {
                    "leftOperand": "http://www.w3.org/ns/odrl/2/spatial",
                    "operator": "isPartOf",
                    "rightOperand": "https://w3id.org/twinpact/region/EU"
                },
                {
                    "leftOperand": "https://w3id.org/twinpact/odrl/localSchedule",
                    "operator": "isPartOf",
                    "rightOperand": "Mo-Fr 07:00-19:00 [Europe/Paris]"
                }
            ]
        }],
        "prohibition": [{
            "action": "http://www.w3.org/ns/odrl/2/distribute"
        }],
        "obligation": [{
            "action": "http://www.w3.org/ns/odrl/2/delete",
            "constraint": [{
                "leftOperand": "http://www.w3.org/ns/odrl/2/delayPeriod",
                "operator": "lteq",
                "rightOperand": "P14D"
            }]
        }]
    })
}

pub(crate) fn offer() -> Offer {
    Offer {
        id: "https://operator.example/id/offers/1".to_owned(),
        target: Some("https://operator.example/id/views/turbine-maintenance/1.0.0".to_owned()),
        assigner: Some("did:web:operator.example".to_owned()),
        assignee: None,
        policy: policy().into(),
    }
}

pub(crate) fn agreement() -> Agreement {
    let at = twinpact_model::Timestamp::parse("2026-11-23T09:00:00Z").unwrap();
    let (assigner, assignee) = ("did:web:operator.example", "did:web:maker.example");
    Agreement::of(&offer(), "urn:uuid:a", assigner, assignee, at).unwrap()
}

pub(crate) fn address() -> DataAddress {
    DataAddress {
        endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".to_owned(),
        endpoint: Some("https://operator.example/data".to_owned()),
        properties: vec![
            ("authorization".to_owned(), "TOKEN".to_owned()),
            ("authType".to_owned(), "bearer".to_owned()),
        ],
    }
}

pub(crate) fn event(event: Event, id: Option<&str>) -> Message {
    let id = id.map(str::to_owned);
    Message::NegotiationEvent(NegotiationEvent { id, pids: pids(), event })
}

pub(crate) fn signal(id: Option<&str>) -> Signal {
    Signal { id: id.map(str::to_owned), pids: pids() }
}

pub(crate) fn notice(id: Option<&str>) -> Notice {
    Notice {
        id: id.map(str::to_owned),
        pids: pids(),
        code: Some("dsp.overdue".to_owned()),
        reason: vec!["there was no decision in time".to_owned()],
    }
}

pub(crate) fn contract_request(thread: Thread, id: Option<&str>) -> Message {
    let (id, consumer_pid) = (id.map(str::to_owned), pids().consumer);
    Message::ContractRequest(ContractRequest { id, consumer_pid, thread, offer: offer() })
}

pub(crate) fn contract_offer(thread: Thread, id: Option<&str>) -> Message {
    let (id, provider_pid) = (id.map(str::to_owned), pids().provider);
    Message::ContractOffer(ContractOffer { id, provider_pid, thread, offer: offer() })
}

pub(crate) fn contract_agreement(id: Option<&str>) -> Message {
    let id = id.map(str::to_owned);
    Message::ContractAgreement(ContractAgreement { id, pids: pids(), agreement: agreement() })
}

pub(crate) fn opens() -> Thread {
    Thread::Opens { callback: "https://peer.example/dsp".to_owned() }
}

pub(crate) fn continues(pid: &str) -> Thread {
    Thread::Continues { pid: pid.to_owned() }
}

pub(crate) fn transfer_request(data_address: Option<DataAddress>, id: Option<&str>) -> Message {
    Message::TransferRequest(TransferRequest {
        id: id.map(str::to_owned),
        consumer_pid: pids().consumer,
        agreement_id: "urn:uuid:a".to_owned(),
        format: "HttpData-PULL".to_owned(),
        data_address,
        callback: "https://peer.example/dsp".to_owned(),
    })
}

pub(crate) fn transfer_start(data_address: Option<DataAddress>, id: Option<&str>) -> Message {
    let id = id.map(str::to_owned);
    Message::TransferStart(TransferStart { id, pids: pids(), data_address })
}

fn service() -> DataService {
    DataService {
        id: "urn:uuid:s".to_owned(),
        endpoint_url: "https://operator.example/dsp".to_owned(),
        endpoint_description: Some("dspace:connector".to_owned()),
    }
}

fn dataset(access: Access) -> Dataset {
    Dataset {
        id: "https://operator.example/id/views/turbine-maintenance/1.0.0".to_owned(),
        title: Some("Turbines".to_owned()),
        description: Some("For maintenance.".to_owned()),
        conforms_to: vec!["https://operator.example/schemas/turbine/1.0.0".to_owned()],
        offers: vec![Offer { target: None, ..offer() }],
        distributions: vec![Distribution {
            format: "HttpData-PULL".to_owned(),
            access,
            offers: Vec::new(),
        }],
    }
}

fn catalog() -> Catalog {
    let inner = Catalog {
        id: "urn:uuid:inner".to_owned(),
        services: vec![service()],
        distributions: vec![Distribution {
            format: "Catalog".to_owned(),
            access: Access::Id("urn:uuid:s".to_owned()),
            offers: Vec::new(),
        }],
        ..Catalog::default()
    };
    Catalog {
        id: "urn:uuid:catalog".to_owned(),
        participant_id: Some("did:web:operator.example".to_owned()),
        datasets: vec![dataset(Access::Service(service()))],
        catalogs: vec![inner],
        services: vec![service()],
        distributions: Vec::new(),
    }
}

/// What nobody has to send, and may: filters, offers for one way of getting a dataset, catalogues
/// inside one another, and an end without a reason.
pub(crate) fn rare() -> Vec<Message> {
    let filter = vec![json!({"@type": "QuerySpec", "limit": 50, "filterExpression": []})];
    let mut own = dataset(Access::Service(service()));
    let offers = vec![Offer { target: None, ..offer() }];
    own.distributions.push(Distribution {
        format: "HttpData-PUSH".to_owned(),
        access: Access::Id("urn:uuid:s".to_owned()),
        offers,
    });
    let mut whole = catalog();
    for level in 0..2 {
        let inner = Catalog { id: format!("urn:uuid:inner-{level}"), ..whole.clone() };
        whole = Catalog { catalogs: vec![inner], datasets: vec![own.clone()], ..catalog() };
    }
    let silent = Notice { code: None, reason: Vec::new(), ..notice(None) };
    vec![
        Message::CatalogRequest(CatalogRequest { id: Some("urn:uuid:r".to_owned()), filter }),
        Message::Dataset(own),
        Message::Catalog(whole),
        Message::NegotiationTermination(silent.clone()),
        Message::NegotiationError(silent.clone()),
        Message::TransferSuspension(silent.clone()),
        Message::TransferTermination(silent.clone()),
        Message::TransferError(silent),
    ]
}

fn versions() -> Versions {
    let mut versions = Versions::ours("/dsp/2025-1");
    versions.versions[0].service_id = Some("urn:uuid:s".to_owned());
    versions.versions[0].identifier_type = Some("did:web".to_owned());
    versions.versions[0].auth = Some(Auth {
        protocol: "DCP".to_owned(),
        version: "1.0".to_owned(),
        profile: vec!["vc20-bssl/jwt".to_owned()],
    });
    versions
}

/// Everything we can send or answer.
pub(crate) fn all() -> Vec<Message> {
    let body = ErrorBody { code: Some("x".to_owned()), reason: vec!["why".to_owned()] };
    let empty = Catalog {
        id: "urn:uuid:empty".to_owned(),
        participant_id: Some("did:web:operator.example".to_owned()),
        ..Catalog::default()
    };
    let id = Some("urn:uuid:c#1");
    let mut all = vec![
        Message::Versions(Versions::ours("/dsp/2025-1")),
        Message::Versions(versions()),
        Message::VersionsError(body.clone()),
        Message::CatalogRequest(CatalogRequest { id: None, filter: Vec::new() }),
        Message::DatasetRequest(DatasetRequest { id: None, dataset: "urn:uuid:d".to_owned() }),
        Message::Catalog(empty),
        Message::Catalog(catalog()),
        Message::Dataset(dataset(Access::Id("urn:uuid:s".to_owned()))),
        Message::CatalogError(body),
        Message::CatalogError(ErrorBody { code: None, reason: Vec::new() }),
        contract_request(opens(), id),
        contract_request(continues("urn:uuid:p"), None),
        contract_offer(opens(), id),
        contract_offer(continues("urn:uuid:c"), None),
        contract_agreement(id),
        Message::AgreementVerification(signal(id)),
        event(Event::Accepted, id),
        event(Event::Finalized, None),
        Message::NegotiationTermination(notice(id)),
        Message::NegotiationError(notice(None)),
        transfer_request(Some(address()), id),
        transfer_request(None, None),
        transfer_start(Some(address()), id),
        transfer_start(None, None),
        Message::TransferCompletion(signal(id)),
        Message::TransferSuspension(notice(id)),
        Message::TransferTermination(notice(id)),
        Message::TransferError(notice(None)),
    ];
    for state in negotiation::State::ALL {
        all.push(Message::Negotiation(NegotiationStatus { pids: pids(), state }));
    }
    for state in transfer::State::ALL {
        all.push(Message::Transfer(TransferStatus { pids: pids(), state }));
    }
    let (provider, consumer) = ("urn:uuid:p", "");
    for subject in [
        Subject::Versions,
        Subject::Catalog,
        Subject::Negotiation { provider, consumer },
        Subject::Transfer { provider, consumer },
    ] {
        all.push(Rejected::unknown().to_error_message(subject));
    }
    all
}
