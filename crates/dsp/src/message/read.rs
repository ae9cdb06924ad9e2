//! From JSON to messages.

use super::catalog::{Access, Catalog, DataService, Dataset, Distribution};
use super::{
    Agreement, Auth, CatalogRequest, ContractAgreement, ContractOffer, ContractRequest,
    DataAddress, DatasetRequest, ErrorBody, Event, MAX_DATASETS, MAX_ITEMS, MAX_NESTING, Message,
    NegotiationEvent, NegotiationStatus, Notice, Offer, Pids, Policy, Signal, Thread,
    TransferRequest, TransferStart, TransferStatus, Version, Versions,
};
use crate::rejected::Rejected;
use crate::terms::{
    MAX_ID_BYTES, MAX_TEXT_BYTES, Node, Term, as_id, as_text, dcat, dct, dspace, is_nothing,
    missing, odrl_term, single,
};
use crate::{CONTEXT, bytes, expansion, negotiation, policy_form, transfer};
use serde_json::{Map, Value, json};
use twinpact_model::Timestamp;

/// The most bytes of one policy, without its target and parties.
pub const MAX_POLICY_BYTES: usize = 65_536;
/// The most reasons of one message.
pub const MAX_REASONS: usize = 64;
/// The most properties of a data address.
pub const MAX_PROPERTIES: usize = 64;
/// The most versions of a version document, and profiles of one.
const MAX_VERSIONS: usize = 64;
/// The most filters of a catalogue request.
const MAX_FILTERS: usize = 64;

pub(super) fn message(value: &Value) -> Result<Message, Rejected> {
    if !bytes::shallow(value) {
        let reason = format!("nested deeper than {} levels", bytes::MAX_DEPTH);
        return Err(Rejected::malformed(reason));
    }
    let node = Node::of(value, "the message")?;
    if node.0.contains_key("protocolVersions") {
        return versions(&node).map(Message::Versions);
    }
    if expansion::is_needed(node.0) {
        let full = expansion::rewritten(node.0)?;
        return of_type(&Node(&full));
    }
    context(&node)?;
    of_type(&node)
}

/// The agreement of a document: one that stands alone, in its own context, or the message that
/// carries one.
pub(super) fn agreement(document: &Value) -> Result<Agreement, Rejected> {
    let carried = Node::of(document, "the agreement")?.types()?;
    let read = match carried.iter().any(|name| name.ends_with("Message")) {
        true => message(document)?,
        false => message(&in_a_message(document))?,
    };
    match read {
        Message::ContractAgreement(read) => Ok(read.agreement),
        _ => Err(Rejected::malformed("the message carries no agreement")),
    }
}

/// The message that would carry this agreement, in the protocol's context and then in its own.
fn in_a_message(agreement: &Value) -> Value {
    let mut agreement = agreement.clone();
    let own = agreement.as_object_mut().and_then(|members| members.remove("@context"));
    let mut contexts = vec![Value::from(CONTEXT)];
    match own {
        Some(Value::Array(several)) => contexts.extend(several),
        Some(one) => contexts.push(one),
        None => {}
    }
    json!({
        "@context": contexts, "@type": "ContractAgreementMessage",
        "providerPid": "urn:none", "consumerPid": "urn:none", "agreement": agreement,
    })
}

/// The message that its type says it is.
fn of_type(node: &Node<'_>) -> Result<Message, Rejected> {
    let types = node.types()?;
    let known = types.iter().find_map(|name| typed(name, node));
    known.unwrap_or_else(|| {
        Err(Rejected::malformed(format!(
            "@type {:?} is no message of this protocol",
            types.join(" ")
        )))
    })
}

/// The message of that type; `None` for a type that is none.
fn typed(name: &str, node: &Node<'_>) -> Option<Result<Message, Rejected>> {
    Some(match name {
        "VersionsError" => error_body(node).map(Message::VersionsError),
        "CatalogRequestMessage" => catalog_request(node),
        "DatasetRequestMessage" => dataset_request(node),
        "Catalog" => root_catalog(node).map(Message::Catalog),
        "Dataset" => dataset(node).map(Message::Dataset),
        "CatalogError" => error_body(node).map(Message::CatalogError),
        "ContractRequestMessage" => contract_request(node),
        "ContractOfferMessage" => contract_offer(node),
        "ContractAgreementMessage" => contract_agreement(node),
        "ContractAgreementVerificationMessage" => signal(node).map(Message::AgreementVerification),
        "ContractNegotiationEventMessage" => negotiation_event(node),
        "ContractNegotiationTerminationMessage" => {
            notice(node).map(Message::NegotiationTermination)
        }
        "ContractNegotiation" => negotiation_status(node),
        "ContractNegotiationError" => error_notice(node).map(Message::NegotiationError),
        "TransferRequestMessage" => transfer_request(node),
        "TransferStartMessage" => transfer_start(node),
        "TransferCompletionMessage" => signal(node).map(Message::TransferCompletion),
        "TransferSuspensionMessage" => notice(node).map(Message::TransferSuspension),
        "TransferTerminationMessage" => notice(node).map(Message::TransferTermination),
        "TransferProcess" => transfer_status(node),
        "TransferError" => error_notice(node).map(Message::TransferError),
        _ => return None,
    })
}

/// The context names the protocol, and is made of names only; one that is written out goes another
/// way. A message that spells its type in full needs none.
fn context(node: &Node<'_>) -> Result<(), Rejected> {
    let names = match node.0.get("@context") {
        None | Some(Value::Null) => {
            let full = |t: &Value| t.as_str().is_some_and(|t| t.contains("://"));
            let spelled = match node.0.get("@type") {
                Some(Value::Array(types)) => types.iter().any(full),
                Some(one) => full(one),
                None => false,
            };
            return if spelled { Ok(()) } else { Err(missing("@context")) };
        }
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
    };
    if !names.iter().all(|name| name.is_string()) {
        return Err(Rejected::malformed("@context has an entry that is not a text"));
    }
    if names.iter().any(|name| name.as_str() == Some(CONTEXT)) {
        Ok(())
    } else {
        Err(Rejected::malformed(format!("@context does not name {CONTEXT}")))
    }
}

fn pids(node: &Node<'_>) -> Result<Pids, Rejected> {
    Ok(Pids {
        provider: node.need_id(dspace("providerPid"))?,
        consumer: node.need_id(dspace("consumerPid"))?,
    })
}

fn signal(node: &Node<'_>) -> Result<Signal, Rejected> {
    Ok(Signal { id: node.at_id()?, pids: pids(node)? })
}

fn reasons(node: &Node<'_>) -> Result<Vec<String>, Rejected> {
    let items = node.list(dspace("reason"), MAX_REASONS)?;
    let text = |value: &Value| {
        let plain =
            matches!(value, Value::String(_)) || value.get("@value").is_some_and(Value::is_string);
        let text = if plain { value.clone() } else { Value::String(value.to_string()) };
        as_text(&text, "reason", MAX_TEXT_BYTES)
    };
    items.into_iter().map(text).collect()
}

fn notice(node: &Node<'_>) -> Result<Notice, Rejected> {
    let (code, reason) = (node.text(dspace("code"))?, reasons(node)?);
    Ok(Notice { id: node.at_id()?, pids: pids(node)?, code, reason })
}

/// The ids of an answer, whose sender may not know one of them: absent or empty.
fn known_pids(node: &Node<'_>) -> Result<Pids, Rejected> {
    let pid = |term: Term| match node.text(term)? {
        Some(text) if !text.is_empty() => node.need_id(term),
        _ => Ok(String::new()),
    };
    Ok(Pids { provider: pid(dspace("providerPid"))?, consumer: pid(dspace("consumerPid"))? })
}

/// The ids of a state: both members are there, one may be empty.
fn status_pids(node: &Node<'_>) -> Result<Pids, Rejected> {
    node.need_text(dspace("providerPid"))?;
    node.need_text(dspace("consumerPid"))?;
    known_pids(node)
}

fn error_notice(node: &Node<'_>) -> Result<Notice, Rejected> {
    let pids = known_pids(node)?;
    let (code, reason) = (node.text(dspace("code"))?, reasons(node)?);
    Ok(Notice { id: node.at_id()?, pids, code, reason })
}

fn error_body(node: &Node<'_>) -> Result<ErrorBody, Rejected> {
    Ok(ErrorBody { code: node.text(dspace("code"))?, reason: reasons(node)? })
}

/// An address to send to: HTTP, no query, no fragment, the trailing slash taken off.
pub(crate) fn address(text: &str, name: &str) -> Result<String, Rejected> {
    let plain = text.len() <= MAX_ID_BYTES
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "?#\\".contains(c));
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    // A dot segment leads out of the place that it seems to be in.
    let dots = rest.is_some_and(|rest| rest.split('/').any(is_dots));
    if plain && !dots && !host.is_empty() && !host.contains('@') {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(Rejected::malformed(format!("{name} is not an HTTP address")))
    }
}

/// Whether a segment of a path is `.` or `..`, written out or percent-encoded (RFC 3986 §6.2.2.3).
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Exactly one of the receiver's pid and a callback address.
fn thread(node: &Node<'_>, receiver: &'static str) -> Result<Thread, Rejected> {
    let callback = node.text(dspace("callbackAddress"))?;
    match (callback, node.id(dspace(receiver))?) {
        (Some(callback), None) => {
            Ok(Thread::Opens { callback: address(&callback, "callbackAddress")? })
        }
        (None, Some(pid)) => Ok(Thread::Continues { pid }),
        (Some(_), Some(_)) => Err(Rejected::malformed(format!(
            "callbackAddress and {receiver} are both there, and only one may be"
        ))),
        (None, None) => Err(missing(receiver)),
    }
}

fn contract_request(node: &Node<'_>) -> Result<Message, Rejected> {
    let offer = node.node(dspace("offer"))?.ok_or_else(|| missing("offer"))?;
    Ok(Message::ContractRequest(ContractRequest {
        id: node.at_id()?,
        consumer_pid: node.need_id(dspace("consumerPid"))?,
        thread: thread(node, "providerPid")?,
        offer: policy_offer(&offer)?,
    }))
}

fn contract_offer(node: &Node<'_>) -> Result<Message, Rejected> {
    let offer = node.node(dspace("offer"))?.ok_or_else(|| missing("offer"))?;
    let offer = policy_offer(&offer)?;
    if offer.target.is_none() {
        return Err(missing("target"));
    }
    Ok(Message::ContractOffer(ContractOffer {
        id: node.at_id()?,
        provider_pid: node.need_id(dspace("providerPid"))?,
        thread: thread(node, "consumerPid")?,
        offer,
    }))
}

fn contract_agreement(node: &Node<'_>) -> Result<Message, Rejected> {
    let body = node.node(dspace("agreement"))?.ok_or_else(|| missing("agreement"))?;
    body.expect_type("Agreement")?;
    let timestamp = body.text(dspace("timestamp"))?;
    if let Some(text) = &timestamp
        && Timestamp::parse(text).is_err()
    {
        return Err(Rejected::malformed("timestamp is not a time with its zone"));
    }
    let agreement = Agreement {
        id: body.at_id()?.ok_or_else(|| missing("@id"))?,
        target: body.need_id(odrl_term("target"))?,
        assigner: body.need_id(odrl_term("assigner"))?,
        assignee: body.need_id(odrl_term("assignee"))?,
        timestamp,
        policy: policy(&body, &TIMESTAMP)?,
    };
    let (id, pids) = (node.at_id()?, pids(node)?);
    Ok(Message::ContractAgreement(ContractAgreement { id, pids, agreement }))
}

/// Members of an offer or agreement that are fields of ours and not part of the policy.
const OWN: [&str; 5] = ["@id", "@type", "target", "assigner", "assignee"];
/// One more of an agreement. It is no term of ODRL, so [`policy_form`] spells it in full.
const TIMESTAMP: [&str; 2] = ["timestamp", dspace!("timestamp")];

fn policy_offer(body: &Node<'_>) -> Result<Offer, Rejected> {
    body.expect_type("Offer")?;
    Ok(Offer {
        id: body.at_id()?.ok_or_else(|| missing("@id"))?,
        target: body.id(odrl_term("target"))?,
        assigner: body.id(odrl_term("assigner"))?,
        assignee: body.id(odrl_term("assignee"))?,
        policy: policy(body, &[])?,
    })
}

/// The rest of the members in their one spelling; there is a permission or a prohibition.
fn policy(body: &Node<'_>, also: &[&str]) -> Result<Policy, Rejected> {
    let mut members = policy_form::normalise(body.0)?;
    members.retain(|key, _| !OWN.contains(&key.as_str()) && !also.contains(&key.as_str()));
    let ruled = |key: &str| members.get(key).is_some_and(|rules| !is_nothing(rules));
    if ruled("permission") || ruled("prohibition") {
        members.sort_keys();
        let policy = Policy::from(Value::Object(members));
        // It is kept with its process, so it has a bound of its own.
        match policy.text().map_or(usize::MAX, str::len) {
            0..=MAX_POLICY_BYTES => Ok(policy),
            _ => Err(Rejected::too_large(format!("a policy has at most {MAX_POLICY_BYTES} bytes"))),
        }
    } else {
        Err(Rejected::malformed("the policy has neither a permission nor a prohibition"))
    }
}

fn negotiation_event(node: &Node<'_>) -> Result<Message, Rejected> {
    let event = match node.need_word(dspace("eventType"))?.as_str() {
        "ACCEPTED" => Event::Accepted,
        "FINALIZED" => Event::Finalized,
        other => return Err(Rejected::malformed(format!("eventType {other:?} is unknown"))),
    };
    let (id, pids) = (node.at_id()?, pids(node)?);
    Ok(Message::NegotiationEvent(NegotiationEvent { id, pids, event }))
}

fn negotiation_status(node: &Node<'_>) -> Result<Message, Rejected> {
    let word = node.need_word(dspace("state"))?;
    let state = negotiation::State::parse(&word)
        .ok_or_else(|| Rejected::malformed(format!("state {word:?} is unknown")))?;
    Ok(Message::Negotiation(NegotiationStatus { pids: status_pids(node)?, state }))
}

fn transfer_status(node: &Node<'_>) -> Result<Message, Rejected> {
    let word = node.need_word(dspace("state"))?;
    let state = transfer::State::parse(&word)
        .ok_or_else(|| Rejected::malformed(format!("state {word:?} is unknown")))?;
    Ok(Message::Transfer(TransferStatus { pids: status_pids(node)?, state }))
}

fn transfer_request(node: &Node<'_>) -> Result<Message, Rejected> {
    let callback = node.need_text(dspace("callbackAddress"))?;
    Ok(Message::TransferRequest(TransferRequest {
        id: node.at_id()?,
        consumer_pid: node.need_id(dspace("consumerPid"))?,
        agreement_id: node.need_id(dspace("agreementId"))?,
        format: node.need_word(dct("format"))?,
        data_address: data_address(node)?,
        callback: address(&callback, "callbackAddress")?,
    }))
}

fn transfer_start(node: &Node<'_>) -> Result<Message, Rejected> {
    let (id, pids) = (node.at_id()?, pids(node)?);
    Ok(Message::TransferStart(TransferStart { id, pids, data_address: data_address(node)? }))
}

fn data_address(node: &Node<'_>) -> Result<Option<DataAddress>, Rejected> {
    let Some(node) = node.node(dspace("dataAddress"))? else { return Ok(None) };
    node.expect_type("DataAddress")?;
    let property = |value: &Value| {
        let node = Node::inside(value, "endpointProperties")?;
        node.expect_type("EndpointProperty")?;
        Ok((node.need_text(dspace("name"))?, node.need_text(dspace("value"))?))
    };
    let properties = node.list(dspace("endpointProperties"), MAX_PROPERTIES)?;
    Ok(Some(DataAddress {
        endpoint_type: node.need_text(dspace("endpointType"))?,
        endpoint: node.text(dspace("endpoint"))?,
        properties: properties.into_iter().map(property).collect::<Result<_, Rejected>>()?,
    }))
}

fn catalog_request(node: &Node<'_>) -> Result<Message, Rejected> {
    let filter = node.list(dspace("filter"), MAX_FILTERS)?.into_iter().cloned().collect();
    Ok(Message::CatalogRequest(CatalogRequest { id: node.at_id()?, filter }))
}

fn dataset_request(node: &Node<'_>) -> Result<Message, Rejected> {
    let dataset = node.need_id(dspace("dataset"))?;
    Ok(Message::DatasetRequest(DatasetRequest { id: node.at_id()?, dataset }))
}

fn root_catalog(node: &Node<'_>) -> Result<Catalog, Rejected> {
    let catalog = catalog(node, MAX_NESTING)?;
    if catalog.participant_id.is_none() {
        return Err(missing("participantId"));
    }
    Ok(catalog)
}

fn catalog(node: &Node<'_>, levels: usize) -> Result<Catalog, Rejected> {
    node.expect_type("Catalog")?;
    let Some(left) = levels.checked_sub(1) else {
        let reason = format!("catalogues nest deeper than {MAX_NESTING} levels");
        return Err(Rejected::too_large(reason));
    };
    let datasets = node.list(dcat("dataset"), MAX_DATASETS)?;
    let catalogs = node.list(dcat("catalog"), MAX_ITEMS)?;
    let services = node.list(dcat("service"), MAX_ITEMS)?;
    let inner = |value: &Value| Node::inside(value, "catalog").and_then(|n| catalog(&n, left));
    Ok(Catalog {
        id: node.at_id()?.ok_or_else(|| missing("@id"))?,
        participant_id: node.id(dspace("participantId"))?,
        datasets: datasets
            .into_iter()
            .map(|value| Node::inside(value, "dataset").and_then(|n| dataset(&n)))
            .collect::<Result<_, _>>()?,
        catalogs: catalogs.into_iter().map(inner).collect::<Result<_, _>>()?,
        services: services
            .into_iter()
            .map(|value| Node::inside(value, "service").and_then(|n| service(&n)))
            .collect::<Result<_, _>>()?,
        distributions: distributions(node)?,
    })
}

fn dataset(node: &Node<'_>) -> Result<Dataset, Rejected> {
    node.expect_type("Dataset")?;
    let id = node.at_id()?.ok_or_else(|| missing("@id"))?;
    let offers = offers(node, Some(&id))?;
    let distributions = distributions(node)?;
    if offers.is_empty() {
        return Err(missing("hasPolicy"));
    }
    if distributions.is_empty() {
        return Err(missing("distribution"));
    }
    let (title, description) = (node.text(dct("title"))?, node.text(dct("description"))?);
    // What is said of it in a form that we do not know keeps nobody from negotiating.
    let conforms_to = node.list(dct("conformsTo"), MAX_ITEMS)?;
    let conforms_to = conforms_to.into_iter().filter_map(|value| as_id(value, "conformsTo").ok());
    Ok(Dataset {
        id,
        title,
        description,
        conforms_to: conforms_to.collect(),
        offers,
        distributions,
    })
}

/// Offers of a catalogue: their target is the dataset around them, so one of their own must be that
/// dataset and is not kept.
fn offers(node: &Node<'_>, dataset: Option<&str>) -> Result<Vec<Offer>, Rejected> {
    let offer = |value: &Value| {
        let mut offer = policy_offer(&Node::inside(value, "hasPolicy")?)?;
        match offer.target.take() {
            Some(target) if Some(target.as_str()) != dataset => {
                Err(Rejected::malformed("an offer in the catalogue has another target"))
            }
            _ => Ok(offer),
        }
    };
    node.list(odrl_term("hasPolicy"), MAX_ITEMS)?.into_iter().map(offer).collect()
}

fn distributions(node: &Node<'_>) -> Result<Vec<Distribution>, Rejected> {
    let distribution = |value: &Value| {
        let node = Node::inside(value, "distribution")?;
        node.expect_type("Distribution")?;
        let access = node.list(dcat("accessService"), 1)?;
        let access = access.into_iter().next().and_then(single);
        Ok(Distribution {
            format: node.need_word(dct("format"))?,
            access: access.map_or_else(|| Err(missing("accessService")), access_service)?,
            offers: offers(&node, None)?,
        })
    };
    node.list(dcat("distribution"), MAX_ITEMS)?.into_iter().map(distribution).collect()
}

fn access_service(value: &Value) -> Result<Access, Rejected> {
    match value {
        Value::Object(members) if !is_reference(members) => {
            service(&Node::inside(value, "accessService")?).map(Access::Service)
        }
        other => as_id(other, "accessService").map(Access::Id),
    }
}

fn is_reference(members: &Map<String, Value>) -> bool {
    members.len() == 1 && (members.contains_key("@id") || members.contains_key("@value"))
}

fn service(node: &Node<'_>) -> Result<DataService, Rejected> {
    node.expect_type("DataService")?;
    Ok(DataService {
        id: node.at_id()?.ok_or_else(|| missing("@id"))?,
        endpoint_url: node.need_text(dcat("endpointURL"))?,
        endpoint_description: node.text(dcat("endpointDescription"))?,
    })
}

/// The version document is plain JSON: it has no context, and its names are bare.
fn versions(node: &Node<'_>) -> Result<Versions, Rejected> {
    let version = |value: &Value| {
        let node = Node::inside(value, "protocolVersions")?;
        let auth = node.node(dspace("auth"))?.map(|auth| {
            let profile = auth.list(dspace("profile"), MAX_VERSIONS)?;
            let profile = profile.into_iter().map(|p| as_text(p, "profile", MAX_ID_BYTES));
            Ok::<_, Rejected>(Auth {
                protocol: auth.need_text(dspace("protocol"))?,
                version: auth.need_text(dspace("version"))?,
                profile: profile.collect::<Result<_, _>>()?,
            })
        });
        Ok(Version {
            version: node.need_text(dspace("version"))?,
            path: node.need_text(dspace("path"))?,
            binding: node.need_text(dspace("binding"))?,
            service_id: node.text(dspace("serviceId"))?,
            identifier_type: node.text(dspace("identifierType"))?,
            auth: auth.transpose()?,
        })
    };
    let entries = node.list(dspace("protocolVersions"), MAX_VERSIONS)?;
    if entries.is_empty() {
        return Err(missing("protocolVersions"));
    }
    let versions = entries.into_iter().map(version).collect::<Result<_, Rejected>>()?;
    Ok(Versions { versions })
}
