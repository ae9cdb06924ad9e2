//! From messages to JSON, in the form of the protocol's schemas.

use super::catalog::{Access, Catalog, DataService, Dataset, Distribution};
use super::{
    Agreement, ContractOffer, ContractRequest, DataAddress, ErrorBody, Event, Message, Notice,
    Offer, Pids, Signal, Thread, TransferRequest, TransferStart, Versions,
};
use crate::CONTEXT;
use serde_json::{Map, Value, json};

/// An object under construction; absent members and empty lists are left out.
struct Object(Map<String, Value>);

impl Object {
    fn of(kind: &str) -> Self {
        Object(Map::from_iter([("@type".to_owned(), Value::from(kind))]))
    }

    /// A message of that type with our context.
    fn message(kind: &str, id: Option<&str>) -> Self {
        let mut object = Object(Map::new());
        object.0.insert("@context".to_owned(), json!([CONTEXT]));
        object.0.insert("@type".to_owned(), Value::from(kind));
        object.maybe("@id", id)
    }

    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    fn list<T>(self, name: &str, items: &[T], write: impl Fn(&T) -> Value) -> Self {
        if items.is_empty() {
            return self;
        }
        self.set(name, items.iter().map(write).collect::<Vec<Value>>())
    }

    fn pids(self, pids: &Pids) -> Self {
        self.set("providerPid", pids.provider.as_str()).set("consumerPid", pids.consumer.as_str())
    }

    /// The members of a policy that are not fields of ours.
    fn policy(mut self, policy: &Value) -> Self {
        for (key, value) in policy.as_object().into_iter().flatten() {
            self.0.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

pub(super) fn message(message: &Message) -> Value {
    let kind = message.name();
    match message {
        Message::Versions(m) => versions(m),
        Message::VersionsError(m) | Message::CatalogError(m) => error_body(kind, m),
        Message::CatalogRequest(m) => {
            Object::message(kind, m.id.as_deref()).list("filter", &m.filter, Value::clone).done()
        }
        Message::DatasetRequest(m) => {
            Object::message(kind, m.id.as_deref()).set("dataset", m.dataset.as_str()).done()
        }
        Message::Catalog(m) => catalog(Object::message(kind, None), m),
        Message::Dataset(m) => dataset(Object::message(kind, None), m),
        Message::ContractRequest(m) => contract_request(kind, m),
        Message::ContractOffer(m) => contract_offer(kind, m),
        Message::ContractAgreement(m) => Object::message(kind, m.id.as_deref())
            .pids(&m.pids)
            .set("agreement", agreement(&m.agreement))
            .done(),
        Message::AgreementVerification(m) | Message::TransferCompletion(m) => signal(kind, m),
        Message::NegotiationEvent(m) => {
            let event = match m.event {
                Event::Accepted => "ACCEPTED",
                Event::Finalized => "FINALIZED",
            };
            Object::message(kind, m.id.as_deref()).pids(&m.pids).set("eventType", event).done()
        }
        Message::NegotiationTermination(m)
        | Message::NegotiationError(m)
        | Message::TransferSuspension(m)
        | Message::TransferTermination(m)
        | Message::TransferError(m) => notice(kind, m),
        Message::Negotiation(m) => {
            Object::message(kind, None).pids(&m.pids).set("state", m.state.name()).done()
        }
        Message::Transfer(m) => {
            Object::message(kind, None).pids(&m.pids).set("state", m.state.name()).done()
        }
        Message::TransferRequest(m) => transfer_request(kind, m),
        Message::TransferStart(m) => transfer_start(kind, m),
    }
}

fn signal(kind: &str, m: &Signal) -> Value {
    Object::message(kind, m.id.as_deref()).pids(&m.pids).done()
}

fn notice(kind: &str, m: &Notice) -> Value {
    Object::message(kind, m.id.as_deref())
        .pids(&m.pids)
        .maybe("code", m.code.as_deref())
        .list("reason", &m.reason, |text| Value::from(text.as_str()))
        .done()
}

fn error_body(kind: &str, m: &ErrorBody) -> Value {
    Object::message(kind, None)
        .maybe("code", m.code.as_deref())
        .list("reason", &m.reason, |text| Value::from(text.as_str()))
        .done()
}

fn contract_request(kind: &str, m: &ContractRequest) -> Value {
    let object = Object::message(kind, m.id.as_deref());
    let object = match &m.thread {
        Thread::Opens { callback } => object.set("callbackAddress", callback.as_str()),
        Thread::Continues { pid } => object.set("providerPid", pid.as_str()),
    };
    object.set("consumerPid", m.consumer_pid.as_str()).set("offer", offer(&m.offer)).done()
}

fn contract_offer(kind: &str, m: &ContractOffer) -> Value {
    let object = Object::message(kind, m.id.as_deref());
    let object = match &m.thread {
        Thread::Opens { callback } => object.set("callbackAddress", callback.as_str()),
        Thread::Continues { pid } => object.set("consumerPid", pid.as_str()),
    };
    object.set("providerPid", m.provider_pid.as_str()).set("offer", offer(&m.offer)).done()
}

fn offer(m: &Offer) -> Value {
    Object::of("Offer")
        .set("@id", m.id.as_str())
        .maybe("target", m.target.as_deref())
        .maybe("assigner", m.assigner.as_deref())
        .maybe("assignee", m.assignee.as_deref())
        .policy(&m.policy)
        .done()
}

fn agreement(m: &Agreement) -> Value {
    Object::of("Agreement")
        .set("@id", m.id.as_str())
        .set("target", m.target.as_str())
        .set("assigner", m.assigner.as_str())
        .set("assignee", m.assignee.as_str())
        .maybe("timestamp", m.timestamp.as_deref())
        .policy(&m.policy)
        .done()
}

fn transfer_request(kind: &str, m: &TransferRequest) -> Value {
    let object = Object::message(kind, m.id.as_deref())
        .set("consumerPid", m.consumer_pid.as_str())
        .set("agreementId", m.agreement_id.as_str())
        .set("format", m.format.as_str());
    let object = match &m.data_address {
        Some(address) => object.set("dataAddress", data_address(address)),
        None => object,
    };
    object.set("callbackAddress", m.callback.as_str()).done()
}

fn transfer_start(kind: &str, m: &TransferStart) -> Value {
    let object = Object::message(kind, m.id.as_deref()).pids(&m.pids);
    match &m.data_address {
        Some(address) => object.set("dataAddress", data_address(address)).done(),
        None => object.done(),
    }
}

fn data_address(m: &DataAddress) -> Value {
    Object::of("DataAddress")
        .set("endpointType", m.endpoint_type.as_str())
        .maybe("endpoint", m.endpoint.as_deref())
        .list("endpointProperties", &m.properties, |(name, value)| {
            let property = Object::of("EndpointProperty");
            property.set("name", name.as_str()).set("value", value.as_str()).done()
        })
        .done()
}

fn catalog(object: Object, m: &Catalog) -> Value {
    object
        .set("@id", m.id.as_str())
        .maybe("participantId", m.participant_id.as_deref())
        .list("service", &m.services, service)
        .list("dataset", &m.datasets, inner_dataset)
        .list("catalog", &m.catalogs, |item| catalog(Object::of("Catalog"), item))
        .list("distribution", &m.distributions, distribution)
        .done()
}

/// A dataset inside a catalogue.
pub(super) fn inner_dataset(m: &Dataset) -> Value {
    dataset(Object::of("Dataset"), m)
}

/// What the context defines no bare names for is written with its prefix: a JSON-LD processor would
/// drop what it does not know.
fn dataset(object: Object, m: &Dataset) -> Value {
    object
        .set("@id", m.id.as_str())
        .maybe("dct:title", m.title.as_deref())
        .maybe("dct:description", m.description.as_deref())
        .list("dct:conformsTo", &m.conforms_to, |id| json!({ "@id": id }))
        .list("hasPolicy", &m.offers, offer)
        .list("distribution", &m.distributions, distribution)
        .done()
}

fn distribution(m: &Distribution) -> Value {
    let access = match &m.access {
        Access::Id(id) => Value::from(id.as_str()),
        Access::Service(inner) => service(inner),
    };
    Object::of("Distribution")
        .set("format", m.format.as_str())
        .set("accessService", access)
        .list("hasPolicy", &m.offers, offer)
        .done()
}

fn service(m: &DataService) -> Value {
    Object::of("DataService")
        .set("@id", m.id.as_str())
        .set("endpointURL", m.endpoint_url.as_str())
        .maybe("endpointDescription", m.endpoint_description.as_deref())
        .done()
}

fn versions(m: &Versions) -> Value {
    let version = |v: &super::Version| {
        let object = Object(Map::new())
            .set("version", v.version.as_str())
            .set("path", v.path.as_str())
            .set("binding", v.binding.as_str())
            .maybe("serviceId", v.service_id.as_deref())
            .maybe("identifierType", v.identifier_type.as_deref());
        match &v.auth {
            None => object.done(),
            Some(auth) => {
                let auth = Object(Map::new())
                    .set("protocol", auth.protocol.as_str())
                    .set("version", auth.version.as_str())
                    .list("profile", &auth.profile, |p| Value::from(p.as_str()));
                object.set("auth", auth.done()).done()
            }
        }
    };
    Object(Map::new()).list("protocolVersions", &m.versions, version).done()
}
