//! From messages to JSON, in the form of the protocol's schemas.

use super::catalog::{Access, Catalog, DataService, Dataset, Distribution};
use super::{
    Agreement, ContractOffer, ContractRequest, DataAddress, ErrorBody, Event, Message, Notice,
    Offer, Pids, Signal, Thread, TransferRequest, TransferStart, Versions,
};
use crate::CONTEXT;
use serde::Serialize;
use serde_json::Value;

/// An object under construction, as text: a value that is built to be written once costs more than
/// the writing. Absent members and empty lists are left out.
struct Object {
    text: Vec<u8>,
    /// The members that are there.
    names: Vec<&'static str>,
}

impl Object {
    fn new() -> Self {
        Object { text: vec![b'{'], names: Vec::new() }
    }

    fn of(kind: &str) -> Self {
        Object::new().set("@type", kind)
    }

    /// A message of that type with our context.
    fn message(kind: &str, id: Option<&str>) -> Self {
        Object::new().set("@context", &[CONTEXT][..]).set("@type", kind).maybe("@id", id)
    }

    fn set<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.names.push(name);
        self.key(name);
        write(value, &mut self.text);
        self
    }

    /// A member whose value is text of JSON already.
    fn inner(mut self, name: &'static str, value: &str) -> Self {
        self.names.push(name);
        self.key(name);
        self.text.extend_from_slice(value.as_bytes());
        self
    }

    fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    fn list<T>(self, name: &'static str, items: &[T], of: impl Fn(&T) -> String) -> Self {
        if items.is_empty() {
            return self;
        }
        let items: Vec<String> = items.iter().map(of).collect();
        self.inner(name, &format!("[{}]", items.join(",")))
    }

    fn pids(self, pids: &Pids) -> Self {
        self.set("providerPid", &pids.provider).set("consumerPid", &pids.consumer)
    }

    /// The members of a policy that are not fields of ours.
    fn policy(mut self, policy: &Value) -> Self {
        for (key, value) in policy.as_object().into_iter().flatten() {
            if !self.names.contains(&key.as_str()) {
                self.key(key);
                write(value, &mut self.text);
            }
        }
        self
    }

    fn key(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        write(name, &mut self.text);
        self.text.push(b':');
    }

    fn done(mut self) -> String {
        self.text.push(b'}');
        // What was written is text.
        String::from_utf8(self.text).unwrap_or_default()
    }
}

fn write<T: Serialize + ?Sized>(value: &T, to: &mut Vec<u8>) {
    // A value in memory can always be written.
    let _ = serde_json::to_writer(to, value);
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn message(message: &Message) -> String {
    let kind = message.name();
    match message {
        Message::Versions(m) => versions(m),
        Message::VersionsError(m) | Message::CatalogError(m) => error_body(kind, m),
        Message::CatalogRequest(m) => {
            Object::message(kind, m.id.as_deref()).list("filter", &m.filter, text).done()
        }
        Message::DatasetRequest(m) => {
            Object::message(kind, m.id.as_deref()).set("dataset", &m.dataset).done()
        }
        Message::Catalog(m) => catalog(Object::message(kind, None), m),
        Message::Dataset(m) => dataset(Object::message(kind, None), m),
        Message::ContractRequest(m) => contract_request(kind, m),
        Message::ContractOffer(m) => contract_offer(kind, m),
        Message::ContractAgreement(m) => Object::message(kind, m.id.as_deref())
            .pids(&m.pids)
            .inner("agreement", &agreement(&m.agreement))
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

fn signal(kind: &str, m: &Signal) -> String {
    Object::message(kind, m.id.as_deref()).pids(&m.pids).done()
}

fn notice(kind: &str, m: &Notice) -> String {
    Object::message(kind, m.id.as_deref())
        .pids(&m.pids)
        .maybe("code", m.code.as_deref())
        .list("reason", &m.reason, text)
        .done()
}

fn error_body(kind: &str, m: &ErrorBody) -> String {
    Object::message(kind, None)
        .maybe("code", m.code.as_deref())
        .list("reason", &m.reason, text)
        .done()
}

fn contract_request(kind: &str, m: &ContractRequest) -> String {
    let object = Object::message(kind, m.id.as_deref());
    let object = match &m.thread {
        Thread::Opens { callback } => object.set("callbackAddress", callback),
        Thread::Continues { pid } => object.set("providerPid", pid),
    };
    object.set("consumerPid", &m.consumer_pid).inner("offer", &offer(&m.offer)).done()
}

fn contract_offer(kind: &str, m: &ContractOffer) -> String {
    let object = Object::message(kind, m.id.as_deref());
    let object = match &m.thread {
        Thread::Opens { callback } => object.set("callbackAddress", callback),
        Thread::Continues { pid } => object.set("consumerPid", pid),
    };
    object.set("providerPid", &m.provider_pid).inner("offer", &offer(&m.offer)).done()
}

fn offer(m: &Offer) -> String {
    Object::of("Offer")
        .set("@id", &m.id)
        .maybe("target", m.target.as_deref())
        .maybe("assigner", m.assigner.as_deref())
        .maybe("assignee", m.assignee.as_deref())
        .policy(&m.policy)
        .done()
}

fn agreement(m: &Agreement) -> String {
    Object::of("Agreement")
        .set("@id", &m.id)
        .set("target", &m.target)
        .set("assigner", &m.assigner)
        .set("assignee", &m.assignee)
        .maybe("timestamp", m.timestamp.as_deref())
        .policy(&m.policy)
        .done()
}

fn transfer_request(kind: &str, m: &TransferRequest) -> String {
    let object = Object::message(kind, m.id.as_deref())
        .set("consumerPid", &m.consumer_pid)
        .set("agreementId", &m.agreement_id)
        .set("format", &m.format);
    let object = match &m.data_address {
        Some(address) => object.inner("dataAddress", &data_address(address)),
        None => object,
    };
    object.set("callbackAddress", &m.callback).done()
}

fn transfer_start(kind: &str, m: &TransferStart) -> String {
    let object = Object::message(kind, m.id.as_deref()).pids(&m.pids);
    match &m.data_address {
        Some(address) => object.inner("dataAddress", &data_address(address)).done(),
        None => object.done(),
    }
}

fn data_address(m: &DataAddress) -> String {
    Object::of("DataAddress")
        .set("endpointType", &m.endpoint_type)
        .maybe("endpoint", m.endpoint.as_deref())
        .list("endpointProperties", &m.properties, |(name, value)| {
            let property = Object::of("EndpointProperty");
            property.set("name", name).set("value", value).done()
        })
        .done()
}

fn catalog(object: Object, m: &Catalog) -> String {
    object
        .set("@id", &m.id)
        .maybe("participantId", m.participant_id.as_deref())
        .list("service", &m.services, service)
        .list("dataset", &m.datasets, inner_dataset)
        .list("catalog", &m.catalogs, |item| catalog(Object::of("Catalog"), item))
        .list("distribution", &m.distributions, distribution)
        .done()
}

/// A dataset inside a catalogue.
pub(super) fn inner_dataset(m: &Dataset) -> String {
    dataset(Object::of("Dataset"), m)
}

/// What the context defines no bare names for is written with its prefix: a JSON-LD processor would
/// drop what it does not know.
fn dataset(object: Object, m: &Dataset) -> String {
    object
        .set("@id", &m.id)
        .maybe("dct:title", m.title.as_deref())
        .maybe("dct:description", m.description.as_deref())
        .list("dct:conformsTo", &m.conforms_to, |id| Object::new().set("@id", id).done())
        .list("hasPolicy", &m.offers, offer)
        .list("distribution", &m.distributions, distribution)
        .done()
}

fn distribution(m: &Distribution) -> String {
    let access = match &m.access {
        Access::Id(id) => text(id),
        Access::Service(inner) => service(inner),
    };
    Object::of("Distribution")
        .set("format", &m.format)
        .inner("accessService", &access)
        .list("hasPolicy", &m.offers, offer)
        .done()
}

fn service(m: &DataService) -> String {
    Object::of("DataService")
        .set("@id", &m.id)
        .set("endpointURL", &m.endpoint_url)
        .maybe("endpointDescription", m.endpoint_description.as_deref())
        .done()
}

fn versions(m: &Versions) -> String {
    let version = |v: &super::Version| {
        let object = Object::new()
            .set("version", &v.version)
            .set("path", &v.path)
            .set("binding", &v.binding)
            .maybe("serviceId", v.service_id.as_deref())
            .maybe("identifierType", v.identifier_type.as_deref());
        match &v.auth {
            None => object.done(),
            Some(auth) => {
                let auth = Object::new()
                    .set("protocol", &auth.protocol)
                    .set("version", &auth.version)
                    .list("profile", &auth.profile, text);
                object.inner("auth", &auth.done()).done()
            }
        }
    };
    Object::new().list("protocolVersions", &m.versions, version).done()
}

#[cfg(test)]
mod tests {
    use super::{Object, offer};
    use crate::message::Offer;
    use serde_json::{Value, json};

    #[test]
    fn any_text_is_written_so_that_it_reads_back() {
        let text = "a\"b\\c/\u{1}\u{7f}\n\u{2028}\u{fb33}\u{1f600}";
        let written = Object::message(text, Some(text))
            .maybe("none", None)
            .list("empty", &[] as &[&str], super::text)
            .list("two", &[text, ""], super::text)
            .inner("inner", &Object::of(text).done())
            .done();
        let expect = json!({
            "@context": [crate::CONTEXT], "@type": text, "@id": text,
            "two": [text, ""], "inner": { "@type": text },
        });
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expect);
    }

    #[test]
    fn what_is_a_field_of_ours_is_not_taken_from_a_policy() {
        let policy = json!({ "@id": "theirs", "@type": "Set", "target": "theirs",
            "permission": [{ "action": "use", "constraint": 0.1 }] });
        let check = |target: Option<&str>, expect: &str| {
            let (id, target) = ("ours".to_owned(), target.map(str::to_owned));
            let spelled = policy.clone().into();
            let written =
                offer(&Offer { id, target, assigner: None, assignee: None, policy: spelled });
            assert_eq!(written.matches("\"target\"").count(), 1, "{written}");
            let read: Value = serde_json::from_str(&written).unwrap();
            assert_eq!((&read["@id"], &read["@type"]), (&json!("ours"), &json!("Offer")));
            assert_eq!(
                (&read["target"], &read["permission"]),
                (&json!(expect), &policy["permission"])
            );
        };
        check(Some("urn:x"), "urn:x");
        check(None, "theirs");
    }
}
