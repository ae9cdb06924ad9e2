//! Contexts that a sender writes out: names of its own mean what it says, and can never make a term
//! of the protocol mean something else. A foreign JSON-LD processor gives the second opinion: what
//! it reads out of a message, ours reads too or refuses, and what it refuses, ours refuses.

use crate::outside::{shared, through};
use crate::samples::{self, all};
use serde_json::{Map, Value, json};
use twinpact_dsp::{MAX_CONTEXT_TERMS, MAX_CONTEXTS, MAX_TERM_BYTES, Message, Rejected};

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
const NAMESPACES: [(&str, &str); 4] = [
    ("dspace", "https://w3id.org/dspace/2025/1/"),
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("dcat", "http://www.w3.org/ns/dcat#"),
    ("dct", "http://purl.org/dc/terms/"),
];

/// The namespace of a member or type of our messages.
pub(crate) fn namespace(name: &str) -> &'static str {
    let of = match name {
        "service"
        | "dataset"
        | "catalog"
        | "distribution"
        | "accessService"
        | "endpointURL"
        | "endpointDescription"
        | "Catalog"
        | "Dataset"
        | "DataService"
        | "Distribution" => "dcat",
        "format" | "title" | "description" | "conformsTo" => "dct",
        "hasPolicy" | "target" | "assigner" | "assignee" | "permission" | "prohibition"
        | "obligation" | "action" | "constraint" | "leftOperand" | "operator" | "rightOperand"
        | "Offer" | "Agreement" => "odrl",
        _ => "dspace",
    };
    NAMESPACES.iter().find(|(prefix, _)| *prefix == of).unwrap().1
}

/// Small and repeatable: splitmix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
}

/// One message spelled anew, and the context that says how.
struct Speller {
    dice: Dice,
    /// Whether the protocol's context stands beside ours.
    pinned: bool,
    /// The type of the message.
    kind: String,
    terms: Map<String, Value>,
}

impl Speller {
    fn message(seed: u64, message: &Value) -> Value {
        let mut dice = Dice(seed);
        let pinned = dice.roll(2) == 0;
        let mut terms = Map::new();
        for (i, (_, iri)) in NAMESPACES.iter().enumerate() {
            let whole = json!({"@id": iri, "@prefix": true});
            terms.insert(format!("p{i}"), dice.pick(&[json!(iri), whole]).clone());
        }
        if dice.roll(3) == 0 {
            terms.insert("kind".to_owned(), json!("@type"));
            terms.insert("name-of".to_owned(), json!("@id"));
            terms.insert("text".to_owned(), json!("@value"));
        }
        // A name of the vocabulary that nothing defines would be another one by this.
        if pinned && dice.roll(2) == 0 && !message.to_string().contains("\"format\"") {
            terms.insert("@vocab".to_owned(), json!("https://example.org/vocabulary#"));
        }
        let kind = message["@type"].as_str().unwrap().to_owned();
        let mut speller = Speller { dice, pinned, kind, terms };
        let mut inner = message.clone();
        inner.as_object_mut().unwrap().shift_remove("@context");
        let mut out = speller.spell(&inner);
        let written = Value::Object(speller.terms.clone());
        let context = match (pinned, speller.dice.roll(2)) {
            (false, _) => written,
            (true, 0) => json!([CONTEXT, written]),
            (true, _) => json!([written, CONTEXT]),
        };
        if speller.dice.roll(5) == 0 {
            return json!({"@context": context, "@graph": [out]});
        }
        out["@context"] = context;
        out
    }

    fn keyword(&self, key: &str) -> String {
        let other = self.terms.iter().find(|(_, value)| value.as_str() == Some(key));
        other.map_or_else(|| key.to_owned(), |(name, _)| name.clone())
    }

    /// A name of a namespace: full, with a prefix, or a term that is made for it.
    fn name(&mut self, name: &str, value: bool) -> String {
        // Which a request for a dataset has under another vocabulary than a catalogue.
        let asked = name == "dataset" && self.kind == "DatasetRequestMessage";
        let namespace = if asked { NAMESPACES[0].1 } else { namespace(name) };
        let iri = format!("{namespace}{name}");
        let index = NAMESPACES.iter().position(|(_, n)| *n == namespace).unwrap();
        match self.dice.roll(if value { 2 } else { 4 }) {
            0 => iri,
            1 => format!("p{index}:{name}"),
            _ => {
                let term = format!("term-{}", name.to_lowercase());
                let kind = match name {
                    "action" | "operator" | "leftOperand" | "eventType" | "state" => "@vocab",
                    "providerPid" | "consumerPid" | "target" | "assigner" | "assignee"
                    | "agreementId" | "participantId" => "@id",
                    _ => "",
                };
                let mut made = json!({"@id": self.dice.pick(&[iri, format!("p{index}:{name}")])});
                if !kind.is_empty() && self.dice.roll(2) == 0 {
                    made["@type"] = json!(kind);
                }
                match self.dice.roll(4) {
                    0 => made["@container"] = json!("@set"),
                    1 if name == "rightOperand" => made["@container"] = json!("@list"),
                    _ => {}
                }
                self.terms.entry(term.clone()).or_insert(made);
                term
            }
        }
    }

    fn spell(&mut self, value: &Value) -> Value {
        let Value::Object(members) = value else { return value.clone() };
        let mut out = Map::new();
        for (key, value) in members {
            let (name, value) = match key.as_str() {
                "@id" => (self.keyword(key), value.clone()),
                "@type" if self.pinned => (self.keyword(key), value.clone()),
                "@type" => {
                    let name = self.name(value.as_str().unwrap(), true);
                    (self.keyword(key), json!(name))
                }
                _ => {
                    let bare = key.strip_prefix("dct:").unwrap_or(key);
                    let own = !self.pinned || self.dice.roll(2) == 0;
                    let name = if own { self.name(bare, false) } else { key.clone() };
                    (name, self.value(value))
                }
            };
            assert!(out.insert(name, value).is_none());
        }
        Value::Object(out)
    }

    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(_) => self.spell(value),
            plain => match self.dice.roll(6) {
                0 => json!([plain]),
                1 => json!({ self.keyword("@value"): plain }),
                2 => json!({ "@set": [plain] }),
                _ => plain.clone(),
            },
        }
    }
}

/// The messages that have a context, each once.
fn samples() -> Vec<Message> {
    all().into_iter().filter(|m| m.name() != "VersionResponse").collect()
}

fn reads(message: &Value) -> Result<Message, Rejected> {
    let read = Message::parse(message);
    assert_eq!(Message::parse_bytes(message.to_string().as_bytes()), read);
    read
}

#[test]
fn a_senders_own_names_mean_what_it_says() {
    let mut spelled = Vec::new();
    for (n, message) in samples().iter().enumerate() {
        for round in 0..6 {
            let seed = u64::try_from(n * 1000 + round).unwrap();
            spelled.push((message.clone(), Speller::message(seed, &message.to_json())));
        }
    }
    for (message, value) in &spelled {
        assert_eq!(reads(value).as_ref(), Ok(message), "{value:#}");
    }
    assert!(spelled.len() > 200, "{}", spelled.len());
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    let values: Vec<Value> = spelled.iter().map(|(_, value)| value.clone()).collect();
    let Some(results) = through(&shared, &values) else { return };
    for ((message, value), result) in spelled.iter().zip(results) {
        let theirs = Message::parse(&result["expanded"]);
        assert_eq!(theirs.as_ref(), Ok(message), "{value:#} {result:#}");
    }
}

/// Names that matter.
const NAMES: [&str; 33] = [
    "permission",
    "prohibition",
    "obligation",
    "constraint",
    "action",
    "use",
    "eq",
    "neq",
    "operator",
    "leftOperand",
    "rightOperand",
    "isAnyOf",
    "target",
    "offer",
    "agreement",
    "Offer",
    "ContractRequestMessage",
    "ContractAgreementMessage",
    "state",
    "REQUESTED",
    "AGREED",
    "providerPid",
    "odrl",
    "dspace",
    "dcat",
    "x",
    "y",
    "odrl:permission",
    "dspace:offer",
    "https://w3id.org/dspace/2025/1/offer",
    "type",
    "endpoint",
    "format",
];
/// What they may not come to mean.
const IRIS: [&str; 20] = [
    "odrl:prohibition",
    "odrl:permission",
    "odrl:neq",
    "odrl:eq",
    "odrl:constraint",
    "dspace:offer",
    "dspace:providerPid",
    "dspace:REQUESTED",
    "dspace:AGREED",
    "x:y",
    "x",
    "y",
    "http://www.w3.org/ns/odrl/2/",
    "https://w3id.org/dspace/2025/1/",
    "urn:x:y",
    "nothing",
    "https://example.org/ns#",
    "http://www.w3.org/ns/odrl/2/permission",
    "@id",
    "@type",
];

/// Every member of every message has the same meaning on this way as on the plain one.
#[test]
fn a_context_that_says_nothing_of_a_message_changes_nothing_in_it() {
    for message in samples().into_iter().chain(samples::rare()) {
        let mut json = message.to_json();
        for other in [json!({}), json!({"edc": "https://w3id.org/edc/v0.0.1/ns/"})] {
            for context in [json!([CONTEXT, other]), json!([other, CONTEXT])] {
                json["@context"] = context;
                assert_eq!(reads(&json).as_ref(), Ok(&message), "{json:#}");
            }
        }
    }
}

/// What someone might try to define.
fn hostile(dice: &mut Dice) -> Value {
    let mut out = Map::new();
    for _ in 0..=dice.roll(3) {
        let iri = *dice.pick(&IRIS);
        let value = match dice.roll(9) {
            0 => json!(null),
            1 => json!({"@id": iri, "@type": "@id"}),
            2 => json!({"@id": iri, "@type": "@vocab"}),
            3 => json!({"@id": iri, "@protected": true}),
            4 => json!({"@id": iri, "@prefix": true}),
            5 => json!({"@id": iri, "@container": *dice.pick(&["@set", "@list"])}),
            _ => json!(iri),
        };
        out.insert((*dice.pick(&NAMES)).to_owned(), value);
    }
    if dice.roll(5) == 0 {
        let vocab = [NAMESPACES[0].1, NAMESPACES[1].1, "https://example.org/ns#", "odrl:"];
        out.insert("@vocab".to_owned(), json!(dice.pick(&vocab)));
    }
    if dice.roll(4) == 0 {
        out.insert("@protected".to_owned(), json!(true));
    }
    Value::Object(out)
}

#[test]
fn no_context_gives_a_message_another_meaning() {
    let prefixed = |message: &Value| {
        let text = message.to_string();
        let text = text.replace("\"ContractRequestMessage\"", "\"dspace:ContractRequestMessage\"");
        let text = text.replace("\"providerPid\"", "\"dspace:providerPid\"");
        serde_json::from_str(&text.replace("\"permission\"", "\"odrl:permission\"")).unwrap()
    };
    let bases: Vec<Value> = [
        samples::contract_request(samples::opens(), None),
        samples::contract_agreement(Some("urn:uuid:m")),
        samples::transfer_start(Some(samples::address()), None),
        samples::contract_offer(samples::continues("urn:uuid:c"), None),
    ]
    .iter()
    .map(Message::to_json)
    .chain(samples().iter().filter(|m| m.name() == "ContractNegotiation").map(Message::to_json))
    .flat_map(|message| [prefixed(&message), message])
    .collect();
    let mut dice = Dice(7);
    let mut values = Vec::new();
    for _ in 0..400 {
        let mut value = dice.pick(&bases).clone();
        let (one, two) = (hostile(&mut dice), hostile(&mut dice));
        value["@context"] = match dice.roll(6) {
            0 => json!([one, CONTEXT]),
            1 => json!([one, CONTEXT, two]),
            2 => json!([CONTEXT, one, two]),
            3 => json!([one, two]),
            _ => json!([CONTEXT, one]),
        };
        values.push(value);
    }
    let ours: Vec<_> = values.iter().map(reads).collect();
    let read = ours.iter().filter(|m| m.is_ok()).count();
    assert!(read > 40 && read < 360, "{read}");
    for refused in ours.iter().filter_map(|m| m.as_ref().err()) {
        assert_eq!(refused.code.name, "dsp.malformed");
        assert!(refused.reason.len() < 400, "{refused}");
    }
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    let Some(results) = through(&shared, &values) else { return };
    let mut errors = 0;
    for ((value, ours), result) in values.iter().zip(ours).zip(results) {
        errors += usize::from(result.get("error").is_some());
        if let (Ok(message), None) = (ours, result.get("crash")) {
            let theirs = Message::parse(&result["expanded"]);
            assert_eq!(theirs, Ok(message), "{value:#} {result:#}");
        }
    }
    assert!(errors > 40, "{errors}");
}

/// The request of the samples with that context, and the one text in place of the other.
fn request(context: Value, change: &[(&str, &str)]) -> Result<Message, Rejected> {
    let message = samples::contract_request(samples::opens(), None).to_json().to_string();
    let text = change.iter().fold(message, |text, (was, now)| {
        assert!(text.contains(was), "{was}");
        text.replace(was, now)
    });
    let mut message: Value = serde_json::from_str(&text).unwrap();
    message["@context"] = context;
    reads(&message)
}

/// Whether it reads as without that context, or the sentence in which it is refused.
fn check(context: Value, change: &[(&str, &str)], expect: &str) {
    let plain = samples::contract_request(samples::opens(), None);
    match (request(context.clone(), change), expect) {
        (got, "") => assert_eq!(got, Ok(plain), "{context} {change:?}"),
        (Ok(got), expect) => panic!("{got:?} and not {expect}: {context}"),
        (Err(refused), expect) => {
            assert!(refused.reason.contains(expect), "{refused}: {context}");
        }
    }
}

/// The protocol's context and another.
fn with(more: Value) -> Value {
    json!([CONTEXT, more])
}

const EDC: &str = "https://w3id.org/edc/dspace/v0.0.1";

#[test]
fn a_context_of_the_senders_changes_no_term_of_the_protocol() {
    let ds = json!({"ds": "https://w3id.org/dspace/2025/1/"});
    // Prefixes and terms of the sender's beside the protocol's context, before it and after it.
    check(with(json!({"edc": "https://w3id.org/edc/v0.0.1/ns/"})), &[], "");
    check(with(json!({})), &[], "");
    check(json!([CONTEXT, EDC]), &[], "");
    check(json!([CONTEXT, EDC, ds]), &[("\"offer\"", "\"ds:offer\"")], "");
    check(json!([ds, CONTEXT]), &[("\"offer\"", "\"ds:offer\"")], "");
    let own = json!({"mine": {"@id": "dspace:offer", "@type": "@id"}, "@version": 1.1});
    check(with(own), &[("\"offer\"", "\"mine\"")], "");
    check(with(json!({"odrl": "http://www.w3.org/ns/odrl/2/"})), &[], "");
    check(with(json!({"kind": "@type", "id": "@id"})), &[("\"@type\"", "\"kind\"")], "");
    check(with(json!({"@base": null, "@language": null, "@vocab": "urn:x:"})), &[], "");
    // Terms that the protocol defines by type hold whatever the sender says of them.
    check(with(json!({"permission": "odrl:prohibition"})), &[], "");
    check(with(json!({"isAnyOf": "odrl:isNoneOf", "use": null})), &[], "");
    check(json!([{"odrl": "urn:x:"}, CONTEXT]), &[], "");
    // Protected ones it may not touch.
    let protected = "another meaning";
    for term in ["odrl", "dspace", "ContractRequestMessage", "AGREED"] {
        check(with(json!({term: "https://example.org/ns/"})), &[], protected);
        check(with(json!({term: null})), &[], protected);
        let first = json!([{term: {"@id": "urn:x", "@protected": true}}, CONTEXT]);
        check(first, &[], protected);
    }
    let own = json!({"@protected": true, "permission": "odrl:prohibition"});
    check(with(own.clone()), &[], protected);
    check(json!([own, CONTEXT]), &[], protected);
    let twice = json!([CONTEXT, {"x": {"@id": "urn:x", "@protected": true}}, {"x": "urn:y"}]);
    check(twice, &[], protected);
    // A name that is an IRI cannot mean another.
    check(with(json!({"odrl:permission": "odrl:prohibition"})), &[], "another IRI");
    check(json!([{"odrl:permission": null}, CONTEXT]), &[], "another IRI");
    let offer = "https://w3id.org/dspace/2025/1/offer";
    check(with(json!({offer: "https://w3id.org/dspace/2025/1/x"})), &[], "another IRI");
}

#[test]
fn what_is_not_read_of_a_context_is_refused_with_its_reason() {
    for (context, expect) in [
        (json!({"@base": "https://example.org/"}), "\"@base\" in a context"),
        (json!({"@import": EDC}), "\"@import\" in a context"),
        (json!({"@propagate": false}), "\"@propagate\" in a context"),
        (json!({"@language": "en"}), "\"@language\" in a context"),
        (json!({"@version": 1.0}), "\"@version\" in a context"),
        (json!({"@vocab": "nothing"}), "@vocab is not a full IRI"),
        (json!({"@protected": "yes"}), "\"@protected\" in a context"),
        (json!({"@type": {"@container": "@set"}}), "\"@type\" in a context"),
        (json!({"x": {"@id": "urn:x", "@context": {}}}), "\"@context\" in the term \"x\""),
        (json!({"x": {"@reverse": "urn:x"}}), "\"@reverse\" in the term \"x\""),
        (json!({"x": {"@id": "urn:x", "@nest": "@nest"}}), "\"@nest\" in the term \"x\""),
        (json!({"x": {"@id": "urn:x", "@container": "@index"}}), "@container of \"x\""),
        (json!({"x": {"@id": "urn:x", "@container": ["@set", "@list"]}}), "@container of \"x\""),
        (json!({"x": {"@id": "urn:x", "@type": "@json"}}), "\"@json\""),
        (json!({"x": {"@id": "urn:x", "@type": 1}}), "@type of \"x\""),
        (json!({"x": {"@id": "urn:x", "@prefix": 1}}), "@prefix of the term \"x\""),
        (json!({"a:x": {"@id": "a:x", "@prefix": true}}), "cannot be a prefix"),
        (json!({"x": 1}), "\"x\" has no definition"),
        (json!({"x": "nothing"}), "\"x\" stands for no full IRI"),
        (json!({"x": {"@type": "@id"}}), "\"x\" stands for no IRI"),
        (json!({"x": "@context"}), "\"x\" stands for no full IRI"),
        (json!({"x": "@reverse"}), "\"x\" stands for no full IRI"),
        (json!({"x": {"@id": "@type", "@container": "@set"}}), "another name of @type"),
        (json!({"": "urn:x"}), "cannot be a term"),
        (json!({"x": "y:a", "y": "x:b"}), "made of itself"),
        (json!({"x": "urn:".to_owned() + &"x".repeat(MAX_TERM_BYTES)}), "longer than"),
        (json!({"x".repeat(MAX_TERM_BYTES + 1): "urn:x"}), "cannot be a term"),
    ] {
        check(with(context), &[], expect);
    }
    check(json!([CONTEXT, null]), &[], "an entry that is not a text");
    check(json!([CONTEXT, null, {}]), &[], "neither a name nor an object");
    check(json!([CONTEXT, [{}]]), &[], "an entry that is not a text");
    check(json!([CONTEXT, {}, EDC]), &[], "comes after one that is written out");
    check(json!([EDC, {}]), &[], "does not name");
    check(json!({}), &[], "no context defines");
    check(json!([EDC]), &[], "does not name");
}

/// In a policy nothing is dropped: a rule with less in it would allow more.
#[test]
fn a_name_that_means_nothing_refuses_a_policy_and_no_message() {
    let offer = "\"offer\":{";
    for (change, ok) in [
        ((offer, "\"extra\":{\"x\":{\"@reverse\":1}},\"offer\":{"), true),
        ((offer, "\"edc:extra\":1,\"offer\":{"), true),
        ((offer, "\"offer\":{\"refinement\":1,"), false),
        ((offer, "\"offer\":{\"nothing\":1,"), false),
        ((offer, "\"offer\":{\"@context\":{},"), false),
        ((offer, "\"offer\":{\"@included\":[],"), false),
        (("{\"action\":\"use\"", "{\"@context\":{},\"action\":\"use\""), false),
        (("\"constraint\"", "\"nothing\""), false),
        (("\"constraint\"", "\"limit\""), false),
        (("\"leftOperand\"", "\"operand\""), false),
        (("\"action\":\"use\"", "\"action\":\"nothing\""), false),
    ] {
        let context = json!([CONTEXT, {"nothing": null, "edc": "urn:edc:"}]);
        let got = request(context, &[change]);
        assert_eq!(got.is_ok(), ok, "{change:?} {got:?}");
    }
    // What has a name in full is kept, so that whoever decides on the policy sees it.
    let context = json!([CONTEXT, {"edc": "urn:edc:"}]);
    let got = request(context, &[(offer, "\"offer\":{\"edc:limit\":[1],")]).unwrap();
    let Message::ContractRequest(request) = got else { panic!("{got:?}") };
    assert_eq!(request.offer.policy["urn:edc:limit"], json!(1));
}

/// Not even in a message of the compact form: it would change the names below it.
#[test]
fn a_context_inside_a_message_is_refused_wherever_something_is_read() {
    let catalog = samples().into_iter().rfind(|m| matches!(m, Message::Catalog(_))).unwrap();
    let start = samples::transfer_start(Some(samples::address()), None);
    for (message, place, name) in [
        (&catalog, "/dataset/0", "dataset"),
        (&catalog, "/dataset/0/hasPolicy/0", "hasPolicy"),
        (&catalog, "/dataset/0/distribution/0", "distribution"),
        (&catalog, "/dataset/0/distribution/0/accessService", "accessService"),
        (&catalog, "/service/0", "service"),
        (&catalog, "/catalog/0", "catalog"),
        (&start, "/dataAddress", "dataAddress"),
        (&start, "/dataAddress/endpointProperties/0", "endpointProperties"),
    ] {
        let mut json = message.to_json();
        json.pointer_mut(place).unwrap()["@context"] = json!({"format": "urn:x"});
        let refused = reads(&json).unwrap_err();
        assert_eq!(refused.reason, format!("{name} has an @context of its own"));
    }
}

#[test]
fn graphs_and_lists_of_one_node_are_read() {
    let message = samples::contract_request(samples::opens(), None).to_json();
    let mut node = message.clone();
    node.as_object_mut().unwrap().shift_remove("@context");
    let plain = Message::parse(&message);
    for (value, ok) in [
        (json!([message]), true),
        (json!({"@context": [CONTEXT], "@graph": [node]}), true),
        (json!({"@context": CONTEXT, "@graph": node}), true),
        (json!([{"@context": [CONTEXT, {"all": "@graph"}], "all": [node]}]), true),
        (json!({"@context": CONTEXT, "@graph": [node, node]}), false),
        (json!({"@context": CONTEXT, "@graph": []}), false),
        (json!({"@context": CONTEXT, "@graph": [node], "@id": "urn:x"}), false),
        (json!({"@context": CONTEXT, "@graph": [message]}), false),
        (json!({"@context": [], "@graph": [node]}), false),
        (json!({"@graph": [node]}), false),
        (json!([message, message]), false),
    ] {
        let got = Message::parse(&value);
        assert_eq!(got.is_ok(), ok, "{value:#} {got:?}");
        assert!(!ok || got == plain);
    }
}

#[test]
fn contexts_have_bounds() {
    let terms = |n: usize| {
        let terms = (0..n).map(|i| (format!("t{i}"), json!(format!("urn:x:{i}"))));
        Value::Object(terms.collect())
    };
    let chain = |n: usize| {
        let links = (1..n).map(|i| (format!("t{i}"), json!(format!("t{}:x", i - 1))));
        let first = ("t0".to_owned(), json!("urn:x:"));
        Value::Object(links.chain([first]).collect())
    };
    let check = |context: Value, ok: bool| {
        let got = request(context, &[]);
        assert_eq!(got.is_ok(), ok, "{:?}", got.err());
    };
    check(json!([CONTEXT, terms(MAX_CONTEXT_TERMS)]), true);
    check(json!([CONTEXT, terms(MAX_CONTEXT_TERMS + 1)]), false);
    check(json!([CONTEXT, chain(200)]), true);
    check(json!([CONTEXT, chain(2_000)]), false);
    check(Value::Array(vec![json!(CONTEXT); MAX_CONTEXTS]), true);
    let mut many = vec![json!({}); MAX_CONTEXTS];
    many.push(json!(CONTEXT));
    check(Value::Array(many), false);
    // Nor do many types make each name of a message a long search.
    let mut message = samples::contract_request(samples::opens(), None).to_json();
    let plain = Message::parse(&message);
    message["@context"] = json!([CONTEXT, terms(MAX_CONTEXT_TERMS)]);
    message["@type"] = json!(vec!["ContractRequestMessage"; 20_000]);
    for i in 0..40_000 {
        message[format!("more-{i}")] = json!({"@type": "Dataset"});
    }
    assert_eq!(Message::parse(&message), plain);
    // A long prefix cannot make a small message a huge one.
    let long = "urn:".to_owned() + &"x".repeat(MAX_TERM_BYTES - 5) + ":";
    let mut message = samples::contract_request(samples::opens(), None).to_json();
    message["@context"] = json!([CONTEXT, {"p": long}]);
    let kinds: Vec<String> = (0..100_000).map(|i| format!("p:{i}")).collect();
    message["offer"]["@type"] = json!(kinds);
    let refused = Message::parse(&message).unwrap_err();
    assert_eq!(refused.code.name, "dsp.too_large");
}
