//! The pinned context of the protocol as JSON-LD has it: which terms it defines everywhere, and
//! which only at and below a node of some type (JSON-LD 1.1 §4.1.5 type-scoped contexts, §4.1.6
//! protected terms). Needed only where a sender defines names of its own ([`crate::contexts`]); a
//! message in the compact form is read by [`crate::terms`] alone.

use crate::terms;

/// How the text of a member is read (JSON-LD 1.1 §4.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coercion {
    /// As a literal.
    Plain,
    /// As an identifier (`@id`).
    Id,
    /// As a name of the vocabulary (`@vocab`).
    Vocab,
    /// As a literal of that datatype.
    Typed(String),
}

/// What a term means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The full IRI, or the keyword that it is another name of.
    pub(crate) iri: String,
    /// Whether `term:rest` means its IRI and the rest.
    pub(crate) prefix: bool,
    /// How its texts are read.
    pub(crate) coercion: Coercion,
    /// `@container: @set`.
    pub(crate) set: bool,
    /// `@container: @list`.
    pub(crate) list: bool,
}

impl Definition {
    fn pinned(iri: String, coercion: Coercion, set: bool) -> Self {
        Definition { iri, prefix: false, coercion, set, list: false }
    }
}

/// A member that is defined at nodes of some type: name, prefix, how it is read, whether a set.
type Scoped = (&'static str, &'static str, Coercion, bool);

const PIDS: &[Scoped] = &[
    ("providerPid", "dspace:", Coercion::Id, false),
    ("consumerPid", "dspace:", Coercion::Id, false),
];
const PLAIN_PIDS: &[Scoped] = &[
    ("providerPid", "dspace:", Coercion::Plain, false),
    ("consumerPid", "dspace:", Coercion::Plain, false),
];
const REASON: &[Scoped] =
    &[("code", "dspace:", Coercion::Plain, false), ("reason", "dspace:", Coercion::Plain, true)];
const OFFER: &[Scoped] = &[
    ("callbackAddress", "dspace:", Coercion::Plain, false),
    ("offer", "dspace:", Coercion::Id, false),
];
const STATE: &[Scoped] = &[("state", "dspace:", Coercion::Vocab, false)];

/// What the nodes of one type define.
#[derive(Debug)]
pub(crate) struct Scope {
    name: &'static str,
    terms: &'static [&'static [Scoped]],
    /// Whether the ODRL profile belongs to it; such a scope reaches down into inner nodes.
    pub(crate) odrl: bool,
}

const fn scope(name: &'static str, terms: &'static [&'static [Scoped]]) -> Scope {
    Scope { name, terms, odrl: false }
}

const fn policies(name: &'static str, terms: &'static [&'static [Scoped]]) -> Scope {
    Scope { name, terms, odrl: true }
}

static SCOPES: [Scope; 25] = [
    scope("DatasetRequestMessage", &[&[("dataset", "dspace:", Coercion::Plain, false)]]),
    scope("CatalogRequestMessage", &[&[("filter", "dspace:", Coercion::Plain, true)]]),
    scope("CatalogError", &[REASON]),
    scope("VersionsError", &[REASON]),
    policies("ContractRequestMessage", &[PIDS, OFFER]),
    policies("ContractOfferMessage", &[PIDS, OFFER]),
    policies(
        "ContractAgreementMessage",
        &[
            PIDS,
            &[
                ("agreement", "dspace:", Coercion::Id, false),
                ("timestamp", "dspace:", Coercion::Plain, false),
            ],
        ],
    ),
    scope("ContractAgreementVerificationMessage", &[PIDS]),
    scope(
        "ContractNegotiationEventMessage",
        &[PIDS, &[("eventType", "dspace:", Coercion::Vocab, false)]],
    ),
    scope("ContractNegotiationTerminationMessage", &[PIDS, REASON]),
    scope("ContractNegotiation", &[PIDS, STATE]),
    scope("ContractNegotiationError", &[PIDS, REASON]),
    scope(
        "TransferRequestMessage",
        &[&[
            ("callbackAddress", "dspace:", Coercion::Plain, false),
            ("dataAddress", "dspace:", Coercion::Plain, false),
            ("consumerPid", "dspace:", Coercion::Id, false),
            ("format", "dct:", Coercion::Vocab, false),
            ("agreementId", "dspace:", Coercion::Id, false),
        ]],
    ),
    scope("TransferStartMessage", &[PIDS, &[("dataAddress", "dspace:", Coercion::Plain, false)]]),
    scope("TransferCompletionMessage", &[PIDS]),
    scope("TransferTerminationMessage", &[PIDS, REASON]),
    scope("TransferSuspensionMessage", &[PIDS, REASON]),
    scope("TransferError", &[PLAIN_PIDS, REASON]),
    scope(
        "DataAddress",
        &[&[
            ("endpointType", "dspace:", Coercion::Vocab, false),
            ("endpointProperties", "dspace:", Coercion::Plain, true),
            ("endpoint", "dspace:", Coercion::Plain, false),
        ]],
    ),
    scope(
        "EndpointProperty",
        &[&[
            ("name", "dspace:", Coercion::Plain, false),
            ("value", "dspace:", Coercion::Plain, false),
        ]],
    ),
    scope("TransferProcess", &[PIDS, STATE]),
    scope(
        "Catalog",
        &[&[
            ("service", "dcat:", Coercion::Plain, true),
            ("participantId", "dspace:", Coercion::Id, false),
            ("catalog", "dcat:", Coercion::Plain, true),
            ("dataset", "dcat:", Coercion::Plain, true),
            ("distribution", "dcat:", Coercion::Plain, true),
        ]],
    ),
    policies(
        "Dataset",
        &[&[
            ("distribution", "dcat:", Coercion::Plain, true),
            ("hasPolicy", "odrl:", Coercion::Plain, true),
        ]],
    ),
    scope(
        "DataService",
        &[&[
            ("endpointDescription", "dcat:", Coercion::Plain, false),
            ("endpointURL", "dcat:", Coercion::Plain, false),
        ]],
    ),
    scope(
        "Distribution",
        &[&[
            ("format", "dct:", Coercion::Vocab, false),
            ("accessService", "dcat:", Coercion::Plain, false),
        ]],
    ),
];

/// The scope of a type, by the bare name of the type.
pub(crate) fn of_type(name: &str) -> Option<&'static Scope> {
    SCOPES.iter().find(|scope| scope.name == name)
}

/// What the context defines everywhere under that name: its prefixes, types and states.
pub(crate) fn everywhere(term: &str) -> Option<Definition> {
    if let Some(namespace) = terms::namespace(term) {
        let whole = Definition::pinned(namespace.to_owned(), Coercion::Plain, false);
        return Some(Definition { prefix: true, ..whole });
    }
    terms::protocol_term(term).map(|iri| Definition::pinned(iri, Coercion::Plain, false))
}

/// There is one scope of each type.
impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        self.name == other.name
    }
}

impl Scope {
    /// What it defines under that name.
    pub(crate) fn find(&self, term: &str) -> Option<Definition> {
        let own = self.terms.iter().flat_map(|group| group.iter()).find(|(n, ..)| *n == term);
        if let Some((name, prefix, coercion, set)) = own {
            let iri = terms::full(&format!("{prefix}{name}"));
            return Some(Definition::pinned(iri, coercion.clone(), *set));
        }
        if !self.odrl || !terms::is_odrl(term) {
            return None;
        }
        let rules =
            matches!(term, "permission" | "prohibition" | "obligation" | "duty" | "constraint");
        let coercion = match term {
            "action" | "operator" | "leftOperand" => Coercion::Vocab,
            "profile" | "hasPolicy" | "target" | "assignee" | "assigner" => Coercion::Id,
            _ if rules => Coercion::Id,
            _ => Coercion::Plain,
        };
        Some(Definition::pinned(terms::full(&format!("odrl:{term}")), coercion, rules))
    }
}
