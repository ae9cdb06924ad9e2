//! The reading half of [`crate::document`]: from a tree with places to a typed contract, collecting
//! everything that is wrong instead of stopping at the first.

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::document::{
    Contract, Description, GrantedLinks, LinkEnds, LogicalType, MAX_PROPERTIES, MAX_TWINS, Object,
    OnViolation, Places, Promise, Property, ServiceLevel, Status, view_id,
};
use crate::odcs::check_keys;
use crate::odrl::{Policy, Step, read_at};
use crate::yaml::{self, Node, Value};
use twinpact_model::link_row::LINK_COLUMNS;
use twinpact_model::suggest::nearest;
use twinpact_model::time::parse_duration;
use twinpact_model::type_model::is_name;
use twinpact_model::{Code, Did, Iri, ModelRef, Predicate, Problem, Schedule, Timestamp, codes};
use twinpact_proof::digest::sha256;

/// Our vendor name in `customProperties`.
const VENDOR: &str = "twinpact";
/// Our custom properties of a contract.
const CONTRACT_PROPERTIES: &[&str] =
    &["model", "twins", "rowFilter", "links", "odrlOffer", "onShapeViolation"];
/// What a links view says of its links.
const LINK_KEYS: [(&str, ()); 2] = [("predicates", ()), ("ends", ())];
/// Our custom properties of a property.
const COLUMN_PROPERTIES: &[&str] = &["attribute", "unit"];
/// What we keep as it is.
const KEPT: &[&str] = &[
    "servers",
    "support",
    "team",
    "price",
    "tags",
    "roles",
    "domain",
    "dataProduct",
    "context",
    "authoritativeDefinitions",
];
const DURATIONS: &[&str] = &["frequency", "freshness", "retention", "latency"];
const DATES: &[&str] = &["endOfSupport", "endOfLife"];

pub(crate) fn read(bytes: &[u8]) -> Result<Contract, Vec<Diagnostic>> {
    let root = yaml::parse(bytes).map_err(|e| vec![e])?;
    let mut reader = Reader { found: Vec::new() };
    if !matches!(root.value, Value::Map(_)) {
        reader.error(codes::CONTRACT_MALFORMED, root.at, "a contract is a map of keys and values");
        return Err(reader.found);
    }
    check_keys(&root, "contract", &mut reader.found);
    let contract = reader.contract(&root, bytes);
    reader.found.sort_by_key(|d| (d.line, d.column));
    let refused = reader.found.iter().any(|d| d.severity == Severity::Error);
    match contract {
        Some(mut contract) if !refused => {
            contract.remarks = reader.found;
            Ok(contract)
        }
        _ => Err(reader.found),
    }
}

struct Reader {
    found: Vec<Diagnostic>,
}

/// Our own custom properties of one place.
struct Ours<'a>(Vec<(&'a str, &'a Node)>);

impl<'a> Ours<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, node)| *node)
    }
}

impl Reader {
    fn error(&mut self, code: Code, at: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::new(Severity::Error, code, at, message));
    }

    fn refuse(&mut self, problem: Problem, at: Span) {
        self.found.push(Diagnostic::of(problem, at));
    }

    /// The value, or `None` and an error at that place.
    fn take<T>(&mut self, result: Result<T, Problem>, at: Span) -> Option<T> {
        result.map_err(|problem| self.refuse(problem, at)).ok()
    }

    fn contract(&mut self, root: &Node, bytes: &[u8]) -> Option<Contract> {
        self.constant(root, "kind", "DataContract");
        self.constant(root, "apiVersion", "v3.2.0");
        let id = self.need_text(root, "id");
        let name = self.name(root);
        let version = self.version(root);
        let status = self.status(root);
        let tenant = self.tenant(root);
        let created = self.created(root);
        let description = self.description(root);
        let object = self.object(root);
        let service_levels = self.service_levels(root);
        let ours = self.ours(root, CONTRACT_PROPERTIES);
        let model = self.model(root, &ours);
        let twins = self.twins(&ours);
        let row_filter = self.row_filter(&ours);
        let links = self.links(&ours, object.as_ref());
        let on_violation = self.on_violation(&ours);
        let offer = self.offer(root, &ours);
        let (name, version, tenant) = (name?, version?, tenant?);
        let policy = offer?;
        let view = view_id(&tenant, &name, &version, ours.get("links").is_some());
        self.parties(&policy, &ours, &tenant, &view);
        let place = |node: Option<&Node>| node.map_or(root.at, |node| node.at);
        let places = Places {
            description: place(root.get("description")),
            model: place(ours.get("model")),
            offer: place(ours.get("odrlOffer")),
            created: place(root.get("contractCreatedTs")),
        };
        let kept = root.members().iter().filter(|m| KEPT.contains(&m.key.as_str()));
        Some(Contract {
            id: id?,
            name,
            version,
            status: status?,
            tenant,
            created,
            description,
            object: object?,
            service_levels,
            model: model?,
            twins: twins?,
            row_filter,
            links,
            on_violation,
            kept: kept.map(|m| (m.key.clone(), m.node.to_json())).collect(),
            digest: sha256(bytes),
            terms: policy.terms,
            remarks: Vec::new(),
            places,
        })
    }

    fn constant(&mut self, node: &Node, key: &str, only: &str) {
        if let Some(text) = self.need_text(node, key)
            && text != only
        {
            let at = node.get(key).map_or(node.at, |n| n.at);
            self.error(codes::CONTRACT_VALUE, at, format!("{key} must be {only}, not {text:?}"));
        }
    }

    /// A text that must be there.
    fn need_text(&mut self, node: &Node, key: &str) -> Option<String> {
        match node.get(key) {
            Some(_) => self.text(node, key),
            None => {
                self.error(codes::CONTRACT_MISSING, node.at, format!("{key:?} is missing"));
                None
            }
        }
    }

    /// A text that may be there. Empty is not a text.
    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key)?;
        match value.as_text() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                let what = format!("{key:?} must be a text, not {}", value.kind());
                let quoted = match &value.value {
                    Value::Number(text) => Some(format!("write it in quotes: \"{text}\"")),
                    _ => None,
                };
                let mut found =
                    Diagnostic::new(Severity::Error, codes::CONTRACT_VALUE, value.at, what);
                found.hint = quoted;
                self.found.push(found);
                None
            }
        }
    }

    fn flag(&mut self, node: &Node, key: &str) -> bool {
        match node.get(key).map(|n| (&n.value, n.at)) {
            None => false,
            Some((Value::Bool(yes), _)) => *yes,
            Some((_, at)) => {
                let why = format!("{key:?} must be true or false");
                self.error(codes::CONTRACT_VALUE, at, why);
                false
            }
        }
    }

    /// The items of a list that may be there.
    fn list<'a>(&mut self, node: &'a Node, key: &str) -> &'a [Node] {
        let Some(value) = node.get(key) else { return &[] };
        if !matches!(value.value, Value::List(_)) {
            let why = format!("{key:?} must be a list, not {}", value.kind());
            self.error(codes::CONTRACT_VALUE, value.at, why);
        }
        value.items()
    }

    /// One of a closed set of words.
    fn word<T: Copy>(
        &mut self,
        text: &str,
        at: Span,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if names.is_empty() => "there is none at this place".to_owned(),
            None => format!("possible: {}", names.join(", ")),
        };
        let shown: String = text.chars().take(80).collect();
        let problem = Problem::new(codes::CONTRACT_VALUE, format!("unknown {what} {shown:?}"));
        self.refuse(problem.hint(hint), at);
        None
    }

    fn name(&mut self, root: &Node) -> Option<String> {
        let name = self.need_text(root, "name")?;
        if !is_name(&name) {
            let problem = Problem::new(codes::CONTRACT_VALUE, format!("{name:?} cannot be a name"))
                .hint("it stands in the view's IRI: a letter, then letters, digits, -, _ or .");
            self.refuse(problem, place(root, "name"));
            return None;
        }
        Some(name)
    }

    fn version(&mut self, root: &Node) -> Option<String> {
        let version = self.need_text(root, "version")?;
        if !is_semver(&version) {
            let problem =
                Problem::new(codes::CONTRACT_VALUE, format!("{version:?} is not a version"))
                    .hint("write three numbers like 1.0.0 (semantic versioning)");
            self.refuse(problem, place(root, "version"));
            return None;
        }
        Some(version)
    }

    fn status(&mut self, root: &Node) -> Option<Status> {
        let text = self.need_text(root, "status")?;
        self.word(&text, place(root, "status"), "status", &Status::ALL)
    }

    fn tenant(&mut self, root: &Node) -> Option<Did> {
        let text = self.need_text(root, "tenant")?;
        let at = place(root, "tenant");
        let did = self.take(Did::new(text), at)?;
        if did.web_host().is_none_or(|host| host.is_empty()) {
            let problem = Problem::new(
                codes::CONTRACT_VALUE,
                "the tenant must be a did:web, because the view's IRI has its host",
            );
            self.refuse(problem.hint("write it like did:web:operator.example"), at);
            return None;
        }
        Some(did)
    }

    fn created(&mut self, root: &Node) -> Option<Timestamp> {
        let text = self.text(root, "contractCreatedTs")?;
        self.take(Timestamp::parse(&text), place(root, "contractCreatedTs"))
    }

    fn description(&mut self, root: &Node) -> Description {
        let Some(node) = root.get("description") else { return Description::default() };
        if !matches!(node.value, Value::Map(_)) {
            let why = "\"description\" must be a map of purpose, usage and limitations";
            self.error(codes::CONTRACT_VALUE, node.at, why);
        }
        Description {
            purpose: self.text(node, "purpose"),
            usage: self.text(node, "usage"),
            limitations: self.text(node, "limitations"),
        }
    }

    fn object(&mut self, root: &Node) -> Option<Object> {
        let objects = self.list(root, "schema");
        let [object] = objects else {
            let why = format!("a contract has one object in its schema, not {}", objects.len());
            let code = match objects.is_empty() {
                true => codes::CONTRACT_MISSING,
                false => codes::CONTRACT_VALUE,
            };
            self.error(code, place(root, "schema"), why);
            return None;
        };
        if let Some(text) = self.text(object, "logicalType")
            && text != "object"
        {
            let why = "the schema of a view is of logicalType object";
            self.error(codes::CONTRACT_VALUE, place(object, "logicalType"), why);
        }
        self.ours(object, &[]);
        let items = self.list(object, "properties");
        if items.is_empty() || items.len() > MAX_PROPERTIES {
            let why = format!("{} properties; 1 to {MAX_PROPERTIES} are possible", items.len());
            let code = match items.is_empty() {
                true => codes::CONTRACT_MISSING,
                false => codes::CONTRACT_TOO_LARGE,
            };
            self.error(code, place(object, "properties"), why);
            return None;
        }
        let mut properties: Vec<Property> = Vec::new();
        for item in items {
            let Some(property) = self.property(item) else { continue };
            if properties.iter().any(|other| other.name == property.name) {
                let why = format!("the property {:?} stands twice", property.name);
                self.error(codes::CONTRACT_VALUE, place(item, "name"), why);
            }
            properties.push(property);
        }
        let (id, name) = (self.text(object, "id"), self.need_text(object, "name"));
        Some(Object { id, name: name?, properties, at: object.at })
    }

    fn property(&mut self, node: &Node) -> Option<Property> {
        let name = self.need_text(node, "name");
        let logical = self.need_text(node, "logicalType");
        let type_at = place(node, "logicalType");
        let logical_type = logical.and_then(|text| match text.as_str() {
            "object" | "array" | "map" | "vector" => {
                let problem = Problem::new(
                    codes::CONTRACT_VALUE,
                    format!("a column holds one value; {text:?} holds several"),
                );
                self.refuse(problem.hint("make each part a property of its own"), type_at);
                None
            }
            text => self.word(text, type_at, "logical type", &LogicalType::ALL),
        });
        let ours = self.ours(node, COLUMN_PROPERTIES);
        let attribute = ours.get("attribute").and_then(|n| self.custom_text(n, "attribute"));
        let unit = ours.get("unit").and_then(|n| self.custom_text(n, "unit"));
        let (id, physical_type) = (self.text(node, "id"), self.text(node, "physicalType"));
        let required = self.flag(node, "required");
        let primary_key = self.flag(node, "primaryKey");
        let deprecated = self.flag(node, "deprecated");
        let name = name?;
        if !is_name(&name) {
            let why = format!("{name:?} cannot be the name of a column");
            self.error(codes::CONTRACT_VALUE, place(node, "name"), why);
        }
        Some(Property {
            id,
            attribute: attribute.unwrap_or_else(|| name.clone()),
            name,
            logical_type: logical_type?,
            physical_type,
            unit,
            required,
            primary_key,
            deprecated,
            at: node.get("name").map_or(node.at, |n| n.at),
            type_at,
        })
    }

    fn service_levels(&mut self, root: &Node) -> Vec<ServiceLevel> {
        let mut levels: Vec<ServiceLevel> = Vec::new();
        for node in self.list(root, "slaProperties") {
            let Some(property) = self.need_text(node, "property") else { continue };
            let Some(value) = node.get("value") else {
                self.error(codes::CONTRACT_MISSING, node.at, "\"value\" is missing");
                continue;
            };
            let known =
                DURATIONS.contains(&property.as_str()) || DATES.contains(&property.as_str());
            let read = match value.as_text() {
                Some(text) if DURATIONS.contains(&property.as_str()) => {
                    duration(text).map(Promise::Milliseconds)
                }
                Some(text) if DATES.contains(&property.as_str()) => date(text).map(Promise::From),
                _ if known => Err(Problem::new(
                    codes::CONTRACT_VALUE,
                    format!("{property} must be an ISO 8601 text, not {}", value.kind()),
                )
                .hint("write durations like P14D or PT10M and dates like 2027-12-31")),
                _ => Ok(Promise::Kept(value.to_json())),
            };
            self.ours(node, &[]);
            let again = levels.iter().any(|l| l.property == property);
            let element = self.text(node, "element");
            if again && known {
                let why = format!("the service level {property:?} stands twice");
                self.error(codes::CONTRACT_VALUE, place(node, "property"), why);
            }
            if let Some(value_read) = self.take(read, value.at) {
                levels.push(ServiceLevel { property, value: value_read, element, at: value.at });
            }
        }
        levels
    }

    /// Our custom properties of a node, each known and each once.
    fn ours<'a>(&mut self, node: &'a Node, known: &[&str]) -> Ours<'a> {
        let mut out = Ours(Vec::new());
        for item in self.list(node, "customProperties") {
            let Some(name) = self.need_text(item, "property").and(item.get("property")) else {
                continue;
            };
            let (text, at) = (name.as_text().unwrap_or_default(), name.at);
            match item.get("vendor").and_then(Node::as_text) {
                Some(VENDOR) => {}
                None if known.contains(&text) => {
                    let why =
                        format!("the custom property {text:?} names no vendor and is ignored");
                    self.found.push(
                        Diagnostic::new(Severity::Warning, codes::CONTRACT_VALUE, at, why)
                            .hint("if it is meant for Twinpact, add: vendor: twinpact"),
                    );
                    continue;
                }
                _ => continue,
            }
            if !known.contains(&text) {
                let pairs: Vec<(&str, ())> = known.iter().map(|name| (*name, ())).collect();
                self.word(text, at, "custom property of twinpact", &pairs);
            } else if out.get(text).is_some() {
                let why = format!("the custom property {text:?} stands twice");
                self.error(codes::CONTRACT_VALUE, at, why);
            } else if let Some(value) = item.get("value") {
                out.0.push((text, value));
            } else {
                self.error(codes::CONTRACT_MISSING, item.at, "\"value\" is missing");
            }
        }
        out
    }

    /// The value of a custom property that must be a text.
    fn custom_text(&mut self, node: &Node, name: &str) -> Option<String> {
        match node.as_text() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                let why = format!("{name} must be a text, not {}", node.kind());
                self.error(codes::CONTRACT_VALUE, node.at, why);
                None
            }
        }
    }

    fn model(&mut self, root: &Node, ours: &Ours<'_>) -> Option<ModelRef> {
        let Some(node) = ours.get("model") else {
            let problem = Problem::new(codes::CONTRACT_MISSING, "the contract pins no type model")
                .hint(
                    "add to customProperties: {property: model, vendor: twinpact, value: NAME@1}",
                );
            self.refuse(problem, place(root, "customProperties"));
            return None;
        };
        let text = self.custom_text(node, "model")?;
        let read = ModelRef::try_from(text)
            .map_err(|problem| Problem { code: codes::CONTRACT_VALUE, ..problem });
        self.take(read, node.at)
    }

    /// The twins; none for all.
    fn twins(&mut self, ours: &Ours<'_>) -> Option<Vec<Iri>> {
        let Some(node) = ours.get("twins") else { return Some(Vec::new()) };
        if node.as_text() == Some("all") {
            return Some(Vec::new());
        }
        let items = node.items();
        if items.is_empty() || items.len() > MAX_TWINS {
            let why = format!("twins must be \"all\" or a list of 1 to {MAX_TWINS} IRIs");
            self.error(codes::CONTRACT_VALUE, node.at, why);
            return None;
        }
        let mut twins: Vec<Iri> = Vec::new();
        for item in items {
            let Some(text) = self.custom_text(item, "a twin") else { continue };
            let Some(iri) = self.take(Iri::new(text), item.at) else { continue };
            twins.push(iri);
        }
        twins.sort_unstable();
        twins.dedup();
        Some(twins)
    }

    fn row_filter(&mut self, ours: &Ours<'_>) -> Option<Schedule> {
        let node = ours.get("rowFilter")?;
        let [member] = node.members() else {
            let problem = Problem::new(codes::CONTRACT_VALUE, "rowFilter must have one key")
                .hint("write it like {localSchedule: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"}");
            self.refuse(problem, node.at);
            return None;
        };
        let known = [("localSchedule", ())];
        self.word(&member.key, member.key_at, "row filter", &known)?;
        let text = self.custom_text(&member.node, "localSchedule")?;
        self.take(Schedule::parse(&text), member.node.at)
    }

    /// Which links are shown, when the rows are links.
    fn links(&mut self, ours: &Ours<'_>, object: Option<&Object>) -> Option<GrantedLinks> {
        let node = ours.get("links")?;
        if let Some(object) = object {
            self.link_columns(object);
        }
        for member in node.members() {
            self.word(&member.key, member.key_at, "key of links", &LINK_KEYS);
        }
        let (Some(predicates), Some(ends)) = (node.get("predicates"), node.get("ends")) else {
            let problem =
                Problem::new(codes::CONTRACT_MISSING, "links must have predicates and ends").hint(
                    "write it like {predicates: [part-of], ends: asker}; ends: all shows links to \
                     twins of other partners too",
                );
            self.refuse(problem, node.at);
            return None;
        };
        let text = self.custom_text(ends, "ends");
        let known = [("asker", LinkEnds::Asker), ("all", LinkEnds::All)];
        let ends = text.and_then(|text| self.word(&text, ends.at, "kind of ends", &known));
        Some(GrantedLinks { predicates: self.predicates(predicates)?, ends: ends? })
    }

    /// Predicates, each once; `all` for all of them.
    fn predicates(&mut self, node: &Node) -> Option<Vec<Predicate>> {
        if node.as_text() == Some("all") {
            return Some(Predicate::ALL.to_vec());
        }
        let known: Vec<(&str, Predicate)> =
            Predicate::ALL.iter().map(|predicate| (predicate.name(), *predicate)).collect();
        let items = node.items();
        if items.is_empty() || items.len() > known.len() {
            let why = "predicates must be \"all\" or a list of them, each once";
            self.error(codes::CONTRACT_VALUE, node.at, why);
            return None;
        }
        let mut predicates = Vec::new();
        for item in items {
            let text = self.custom_text(item, "a predicate")?;
            predicates.push(self.word(&text, item.at, "predicate", &known)?);
        }
        predicates.sort_unstable();
        predicates.dedup();
        Some(predicates)
    }

    /// A links view has the columns that every links view has, so that anybody can walk on it.
    fn link_columns(&mut self, object: &Object) {
        let names: Vec<&str> = object.properties.iter().map(|p| p.name.as_str()).collect();
        let plain = |p: &Property| {
            p.attribute == p.name && p.unit.is_none() && p.logical_type == LogicalType::String
        };
        let fits = LINK_COLUMNS.starts_with(&names) && names.len() + 1 >= LINK_COLUMNS.len();
        if fits && object.properties.iter().all(plain) {
            return;
        }
        let problem = Problem::new(codes::CONTRACT_VALUE, "these are not the columns of links")
            .hint(format!(
                "they are {}, in this order, all of logicalType string; without the last one a \
                 partner is not told whose the other end is",
                LINK_COLUMNS.join(", ")
            ));
        self.refuse(problem, object.at);
    }

    fn on_violation(&mut self, ours: &Ours<'_>) -> OnViolation {
        let known = [
            ("reject", OnViolation::Reject),
            ("quarantine", OnViolation::Quarantine),
            ("flag", OnViolation::Flag),
        ];
        let Some(node) = ours.get("onShapeViolation") else { return OnViolation::default() };
        let text = self.custom_text(node, "onShapeViolation");
        text.and_then(|text| self.word(&text, node.at, "answer to a violation", &known))
            .unwrap_or_default()
    }

    /// The offer; an error in it stands where its cause stands.
    fn offer(&mut self, root: &Node, ours: &Ours<'_>) -> Option<Policy> {
        let Some(node) = ours.get("odrlOffer") else {
            let problem = Problem::new(codes::CONTRACT_MISSING, "the contract has no terms of use")
                .hint(
                    "add to customProperties: {property: odrlOffer, vendor: twinpact, value: {…}}",
                );
            self.refuse(problem, place(root, "customProperties"));
            return None;
        };
        match read_at(&node.to_json()) {
            Ok(policy) => Some(policy),
            Err(refused) => {
                let at = below(node, &refused.path);
                self.refuse(refused.problem, at);
                None
            }
        }
    }

    /// An offer may repeat whose it is and what it is about, and may not contradict the contract.
    fn parties(&mut self, policy: &Policy, ours: &Ours<'_>, tenant: &Did, view: &str) {
        let Some(node) = ours.get("odrlOffer") else { return };
        let facts = [
            ("target", policy.target.as_deref(), Some(view)),
            ("assigner", policy.assigner.as_deref(), Some(tenant.as_str())),
            ("assignee", policy.assignee.as_deref(), None),
        ];
        for (key, said, must) in facts {
            if said.is_some() && said != must {
                let why = match must {
                    Some(must) => format!("the {key} of the offer must be {must}"),
                    None => format!("an offer to everybody has no {key}"),
                };
                self.error(codes::CONTRACT_VALUE, place(node, key), why);
            }
        }
    }
}

/// Where the value of a key stands; where the map stands, when it has no such key.
fn place(node: &Node, key: &str) -> Span {
    node.get(key).map_or(node.at, |n| n.at)
}

/// Where a path below a node ends: at the value, or at its key when the value spans lines.
fn below(node: &Node, path: &[Step]) -> Span {
    let (mut node, mut at) = (node, node.at);
    for step in path {
        let next = match step {
            Step::Key(key) => node.members().iter().find(|m| m.key == *key).map(|m| {
                let scalar = !matches!(m.node.value, Value::List(_) | Value::Map(_));
                (&m.node, if scalar { m.node.at } else { m.key_at })
            }),
            Step::Index(i) => node.items().get(*i).map(|item| (item, item.at)),
        };
        match next {
            Some((inner, place)) => (node, at) = (inner, place),
            None => break,
        }
    }
    at
}

/// Milliseconds of an ISO 8601 duration of fixed length; seconds may have up to three decimals.
fn duration(text: &str) -> Result<u64, Problem> {
    let whole =
        |text: &str| parse_duration(text).map_err(|p| Problem { code: codes::CONTRACT_VALUE, ..p });
    let Some((before, after)) = text.split_once('.') else {
        return whole(text).map(|seconds| seconds * 1000);
    };
    let digits = after.strip_suffix('S').unwrap_or_default();
    let fits = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    match format!("{digits:0<3}").parse::<u64>() {
        Ok(millis) if fits => whole(&format!("{before}S")).map(|seconds| seconds * 1000 + millis),
        _ => whole(text).map(|_| 0),
    }
}

/// A day, read as its first instant in UTC, or an instant with offset.
fn date(text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).or_else(|_| {
        Timestamp::parse(text).map_err(|p| {
            Problem { code: codes::CONTRACT_VALUE, ..p }.hint("write a date like 2027-12-31")
        })
    })
}

/// Semantic Versioning 2.0.0 §2, §9, §10.
fn is_semver(text: &str) -> bool {
    let (rest, build) = match text.split_once('+') {
        Some((rest, build)) => (rest, Some(build)),
        None => (text, None),
    };
    let (numbers, pre) = match rest.split_once('-') {
        Some((numbers, pre)) => (numbers, Some(pre)),
        None => (rest, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let words = |part: &str| {
        part.split('.').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    text.len() <= 64
        && numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && pre.is_none_or(|pre| words(pre) && pre.split('.').all(|w| !digits(w) || number(w)))
        && build.is_none_or(words)
}

#[cfg(test)]
mod tests {
    use super::{date, duration, is_semver};

    #[test]
    fn versions() {
        for (text, ok) in [
            ("1.0.0", true),
            ("0.10.2", true),
            ("1.0.0-rc.1", true),
            ("1.0.0-0a+build.7", true),
            ("1.0", false),
            ("1.0.0.0", false),
            ("01.0.0", false),
            ("1.0.0-01", false),
            ("1.0.0-", false),
            ("1.0.0+", false),
            ("v1.0.0", false),
            ("1.0.x", false),
        ] {
            assert_eq!(is_semver(text), ok, "{text}");
        }
    }

    #[test]
    fn durations_and_dates() {
        for (text, expect) in [
            ("PT10M", Some(600_000)),
            ("PT0.2S", Some(200)),
            ("PT1.005S", Some(1_005)),
            ("P14D", Some(1_209_600_000)),
            ("PT1.2345S", None),
            ("PT.5M", None),
            ("P1M", None),
            ("14", None),
        ] {
            assert_eq!(duration(text).ok(), expect, "{text}");
        }
        for (text, expect) in [
            ("2027-12-31", Some("2027-12-31T00:00:00Z")),
            ("2027-12-31T10:00:00+01:00", Some("2027-12-31T09:00:00Z")),
            ("2027-02-30", None),
            ("2027", None),
        ] {
            assert_eq!(date(text).ok().map(|t| t.to_string()).as_deref(), expect, "{text}");
        }
    }
}
