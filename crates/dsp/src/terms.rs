//! Names: bare (`offer`), prefixed (`dspace:offer`) and full
//! (`https://w3id.org/dspace/2025/1/offer`) mean the same.
//!
//! The table is our own and follows the JSON-LD context of the Dataspace Protocol 2025-1 and its
//! ODRL profile; a test holds it against the originals. A name that a context does not define is
//! never guessed: a bare one stays bare, a prefixed one becomes its full IRI.

use crate::rejected::Rejected;
use serde_json::{Map, Value};

/// The longest identifier, in bytes.
pub const MAX_ID_BYTES: usize = 2048;
/// The longest other text of a message, in bytes: room for a token, not for a document.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The namespaces that the context declares prefixes for.
const NAMESPACES: [(&str, &str); 5] = [
    ("dspace:", dspace!("")),
    ("odrl:", "http://www.w3.org/ns/odrl/2/"),
    ("dcat:", "http://www.w3.org/ns/dcat#"),
    ("dct:", "http://purl.org/dc/terms/"),
    ("xsd:", "http://www.w3.org/2001/XMLSchema#"),
];

/// The types and states of the protocol, whose names are defined everywhere.
const PROTOCOL_TERMS: [(&str, &[&str]); 2] = [
    (
        "dspace:",
        &[
            "DatasetRequestMessage",
            "CatalogRequestMessage",
            "CatalogError",
            "ContractRequestMessage",
            "ContractOfferMessage",
            "ContractAgreementMessage",
            "ContractAgreementVerificationMessage",
            "ContractNegotiationEventMessage",
            "ContractNegotiationTerminationMessage",
            "ContractNegotiation",
            "ContractNegotiationError",
            "TransferRequestMessage",
            "TransferStartMessage",
            "TransferCompletionMessage",
            "TransferTerminationMessage",
            "TransferSuspensionMessage",
            "TransferError",
            "TransferProcess",
            "DataAddress",
            "EndpointProperty",
            "VersionsError",
            "CatalogService",
            "ACCEPTED",
            "FINALIZED",
            "REQUESTED",
            "STARTED",
            "COMPLETED",
            "SUSPENDED",
            "TERMINATED",
            "OFFERED",
            "AGREED",
            "VERIFIED",
        ],
    ),
    ("dcat:", &["Catalog", "Dataset", "DataService", "Distribution"]),
];

/// What the ODRL profile of the protocol defines; nothing else of ODRL has a bare name there.
const ODRL_TERMS: [&str; 47] = [
    "Policy",
    "Rule",
    "profile",
    "prohibit",
    "Agreement",
    "Assertion",
    "Offer",
    "Set",
    "Asset",
    "hasPolicy",
    "target",
    "assignee",
    "assigner",
    "Action",
    "action",
    "Permission",
    "permission",
    "Prohibition",
    "prohibition",
    "obligation",
    "use",
    "Duty",
    "duty",
    "Constraint",
    "constraint",
    "Operator",
    "operator",
    "RightOperand",
    "rightOperand",
    "LeftOperand",
    "leftOperand",
    "eq",
    "gt",
    "gteq",
    "lt",
    "lteq",
    "neq",
    "isA",
    "hasPart",
    "isPartOf",
    "isAllOf",
    "isAnyOf",
    "isNoneOf",
    "or",
    "xone",
    "and",
    "andSequence",
];

/// The namespace prefix (with its colon) and the local name of a prefixed or full name.
fn split(name: &str) -> Option<(&'static str, &'static str, &str)> {
    NAMESPACES.iter().find_map(|(prefix, namespace)| {
        let local = name.strip_prefix(prefix).or_else(|| name.strip_prefix(namespace))?;
        Some((*prefix, *namespace, local))
    })
}

/// The one spelling of a type or state: bare when the protocol or its ODRL profile defines it, the
/// full IRI when its namespace is known, else as it is.
pub(crate) fn vocabulary(name: &str) -> String {
    let Some((prefix, namespace, local)) = split(name) else { return name.to_owned() };
    let protocol = PROTOCOL_TERMS.iter().any(|(p, names)| *p == prefix && names.contains(&local));
    if protocol || (prefix == "odrl:" && is_odrl(local)) {
        local.to_owned()
    } else {
        format!("{namespace}{local}")
    }
}

/// The one spelling of a name inside a policy: bare when the ODRL profile defines it.
pub(crate) fn odrl(name: &str) -> String {
    match split(name) {
        Some(("odrl:", _, local)) if is_odrl(local) => local.to_owned(),
        Some((_, namespace, local)) => format!("{namespace}{local}"),
        None => name.to_owned(),
    }
}

/// The full IRI of a prefixed name; anything else as it is.
pub(crate) fn full(name: &str) -> String {
    split(name)
        .map_or_else(|| name.to_owned(), |(_, namespace, local)| format!("{namespace}{local}"))
}

/// Whether the ODRL profile defines this bare name.
pub(crate) fn is_odrl(local: &str) -> bool {
    ODRL_TERMS.contains(&local)
}

/// The namespace of a prefix that the context declares, given without its colon.
pub(crate) fn namespace(prefix: &str) -> Option<&'static str> {
    NAMESPACES.iter().find(|(p, _)| p.strip_suffix(':') == Some(prefix)).map(|(_, iri)| *iri)
}

/// The full IRI of a type or state of the protocol, by its bare name.
pub(crate) fn protocol_term(name: &str) -> Option<String> {
    let (prefix, _) = PROTOCOL_TERMS.iter().find(|(_, names)| names.contains(&name))?;
    Some(full(&format!("{prefix}{name}")))
}

/// Whether a full or prefixed name lies in one of the namespaces of the context.
pub(crate) fn is_of_context(name: &str) -> bool {
    split(name).is_some()
}

/// A member of a message: its prefix with the colon, and its bare name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term(pub(crate) &'static str, pub(crate) &'static str);

/// A `dspace:` member.
pub(crate) const fn dspace(name: &'static str) -> Term {
    Term("dspace:", name)
}

/// A `dcat:` member.
pub(crate) const fn dcat(name: &'static str) -> Term {
    Term("dcat:", name)
}

/// A `dct:` member.
pub(crate) const fn dct(name: &'static str) -> Term {
    Term("dct:", name)
}

/// A member of the ODRL profile.
pub(crate) const fn odrl_term(name: &'static str) -> Term {
    Term("odrl:", name)
}

/// One object of a message, its members found under any spelling.
pub(crate) struct Node<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Node<'a> {
    /// The object in this value, one-element arrays seen through.
    pub(crate) fn of(value: &'a Value, what: &str) -> Result<Node<'a>, Rejected> {
        match single(value) {
            Some(Value::Object(members)) => Ok(Node(members)),
            _ => Err(Rejected::malformed(format!("{what} is not an object"))),
        }
    }

    /// The object inside a message, where no context of its own may stand: it would give the names
    /// below it another meaning.
    pub(crate) fn inside(value: &'a Value, what: &str) -> Result<Node<'a>, Rejected> {
        let node = Node::of(value, what)?;
        if node.0.contains_key("@context") {
            return Err(Rejected::malformed(format!("{what} has an @context of its own")));
        }
        Ok(node)
    }

    /// The value of a member; `null`, an empty array and absence are alike, as in JSON-LD.
    fn get(&self, term: Term) -> Result<Option<&'a Value>, Rejected> {
        let Term(prefix, name) = term;
        let full = NAMESPACES.iter().find(|(p, _)| *p == prefix).map_or("", |(_, iri)| iri);
        let spells = |key: &str| {
            let before = key.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before == prefix || before == full)
        };
        let mut found = self.0.iter().filter(|(key, _)| spells(key)).map(|(_, value)| value);
        let (first, second) = (found.next(), found.next());
        if second.is_some() {
            return Err(Rejected::malformed(format!("{name} stands twice, in two spellings")));
        }
        Ok(first.filter(|value| !is_nothing(value)))
    }

    /// A text member that may be absent.
    pub(crate) fn text(&self, term: Term) -> Result<Option<String>, Rejected> {
        let Some(value) = self.get(term)? else { return Ok(None) };
        as_text(value, term.1, MAX_TEXT_BYTES).map(Some)
    }

    /// An identifier that may be absent.
    pub(crate) fn id(&self, term: Term) -> Result<Option<String>, Rejected> {
        let Some(value) = self.get(term)? else { return Ok(None) };
        as_id(value, term.1).map(Some)
    }

    /// An identifier that must be there.
    pub(crate) fn need_id(&self, term: Term) -> Result<String, Rejected> {
        self.id(term)?.ok_or_else(|| missing(term.1))
    }

    /// A text that must be there.
    pub(crate) fn need_text(&self, term: Term) -> Result<String, Rejected> {
        self.text(term)?.ok_or_else(|| missing(term.1))
    }

    /// A member of the vocabulary (a state, an event) that must be there.
    pub(crate) fn need_word(&self, term: Term) -> Result<String, Rejected> {
        self.need_text(term).map(|text| vocabulary(&text))
    }

    /// An object that may be absent.
    pub(crate) fn node(&self, term: Term) -> Result<Option<Node<'a>>, Rejected> {
        self.get(term)?.map(|value| Node::inside(value, term.1)).transpose()
    }

    /// The items of a list; one item may stand alone.
    pub(crate) fn list(&self, term: Term, max: usize) -> Result<Vec<&'a Value>, Rejected> {
        let items: Vec<&Value> = match self.get(term)? {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
        };
        if items.len() > max {
            return Err(Rejected::too_large(format!("{} has more than {max} items", term.1)));
        }
        Ok(items)
    }

    /// The `@id`, when there is one.
    pub(crate) fn at_id(&self) -> Result<Option<String>, Rejected> {
        match self.0.get("@id") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => as_id(value, "@id").map(Some),
        }
    }

    /// The types, in their one spelling.
    pub(crate) fn types(&self) -> Result<Vec<String>, Rejected> {
        let word = |value: &Value| {
            let text = value.as_str().filter(|text| text.len() <= MAX_ID_BYTES);
            text.map(vocabulary).ok_or_else(|| Rejected::malformed("@type is not a text"))
        };
        match self.0.get("@type") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(word).collect(),
            Some(one) => word(one).map(|one| vec![one]),
        }
    }

    /// Refuses an object that says it is of another type. One that says nothing is taken.
    pub(crate) fn expect_type(&self, name: &str) -> Result<(), Rejected> {
        let types = self.types()?;
        if types.is_empty() || types.iter().any(|t| t == name) {
            return Ok(());
        }
        Err(Rejected::malformed(format!("@type is {:?} where {name} stands", types.join(" "))))
    }
}

/// The refusal of a message without this member.
pub(crate) fn missing(name: &str) -> Rejected {
    Rejected::malformed(format!("{name} is missing"))
}

/// `null` and `[]` say nothing.
pub(crate) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The one value: itself, or what a one-element array holds.
pub(crate) fn single(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [one] => single(one),
            _ => None,
        },
        other => Some(other),
    }
}

/// A text: `"x"`, `["x"]`, `{"@value": "x"}` or `{"@id": "x"}`.
pub(crate) fn as_text(value: &Value, name: &str, max: usize) -> Result<String, Rejected> {
    let text = match single(value) {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Object(members)) => {
            members.get("@value").or_else(|| members.get("@id")).and_then(Value::as_str)
        }
        _ => None,
    };
    let text = text.ok_or_else(|| Rejected::malformed(format!("{name} is not a text")))?;
    if text.len() > max {
        return Err(Rejected::too_large(format!("{name} is longer than {max} bytes")));
    }
    Ok(text.to_owned())
}

/// An identifier: opaque, not empty, without controls, and never a dot segment of a path.
pub(crate) fn as_id(value: &Value, name: &str) -> Result<String, Rejected> {
    let text = as_text(value, name, MAX_ID_BYTES)?;
    if is_id(&text) {
        Ok(text)
    } else {
        Err(Rejected::malformed(format!("{name} is not an identifier")))
    }
}

/// Whether this text can be an identifier.
pub(crate) fn is_id(text: &str) -> bool {
    let size = !text.is_empty() && text.len() <= MAX_ID_BYTES;
    size && text != "." && text != ".." && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::{Node, Term, dspace, odrl, vocabulary};
    use serde_json::{Value, json};

    #[test]
    fn names_have_one_spelling() {
        for (name, word, inside) in [
            ("use", "use", "use"),
            ("odrl:use", "use", "use"),
            ("http://www.w3.org/ns/odrl/2/use", "use", "use"),
            ("odrl:andSequence", "andSequence", "andSequence"),
            ("odrl:purpose", "http://www.w3.org/ns/odrl/2/purpose", "=odrl:purpose"),
            ("purpose", "purpose", "purpose"),
            ("dspace:AGREED", "AGREED", "https://w3id.org/dspace/2025/1/AGREED"),
            ("dspace:other", "https://w3id.org/dspace/2025/1/other", "=dspace:other"),
            ("http://www.w3.org/ns/dcat#Catalog", "Catalog", "=http://www.w3.org/ns/dcat#Catalog"),
            ("dspace:Catalog", "https://w3id.org/dspace/2025/1/Catalog", "=dspace:Catalog"),
            ("edc:x", "edc:x", "edc:x"),
            ("https://example.org/x", "https://example.org/x", "https://example.org/x"),
        ] {
            assert_eq!(vocabulary(name), word, "{name}");
            let inside = inside.strip_prefix('=').map_or(inside.to_owned(), super::full);
            assert_eq!(odrl(name), inside, "{name}");
        }
    }

    #[test]
    fn members_are_found_under_any_spelling() {
        let get = |value: Value| {
            let node = Node::of(&value, "it").unwrap();
            node.text(dspace("code")).map_err(|e| e.reason)
        };
        for value in [
            json!({"code": "x"}),
            json!({"dspace:code": ["x"]}),
            json!({"https://w3id.org/dspace/2025/1/code": [{"@value": "x"}]}),
            json!({"code": {"@id": "x"}}),
        ] {
            assert_eq!(get(value.clone()), Ok(Some("x".to_owned())), "{value}");
        }
        for value in
            [json!({}), json!({"code": null}), json!({"code": []}), json!({"odrl:code": 1})]
        {
            assert_eq!(get(value.clone()), Ok(None), "{value}");
        }
        for value in [
            json!({"code": "x", "dspace:code": "x"}),
            json!({"code": ["x", "y"]}),
            json!({"code": 1}),
            json!({"code": {"x": "y"}}),
            json!({"code": "x".repeat(super::MAX_TEXT_BYTES + 1)}),
        ] {
            assert!(get(value.clone()).is_err(), "{value}");
        }
        assert!(Node::of(&json!("x"), "it").is_err());
        assert!(matches!(dspace("x"), Term("dspace:", "x")));
    }

    #[test]
    fn identifiers_are_plain() {
        let id = |text: &str| super::as_id(&json!(text), "pid").is_ok();
        for (text, ok) in [
            ("urn:uuid:1", true),
            ("a b/c?d", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a\nb", false),
        ] {
            assert_eq!(id(text), ok, "{text:?}");
        }
        assert!(id(&"x".repeat(super::MAX_ID_BYTES)));
        assert!(!id(&"x".repeat(super::MAX_ID_BYTES + 1)));
    }
}
