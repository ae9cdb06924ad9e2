//! Every error code there is. A test holds this list against the pages in `docs/errors/`.
//!
//! Codes are added, never renamed and never given another meaning. A code with two dots is one
//! cause out of the family before its last dot; what an older release recorded or says has the
//! family only.

use crate::problem::{Class, Code, Fault};

macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $ident:ident = $name:literal, $fault:ident, $class:ident, $title:literal;
    )*) => {
        $(
            $(#[$doc])*
            #[doc = $title]
            pub const $ident: Code =
                Code { name: $name, fault: Fault::$fault, class: Class::$class, title: $title };
        )*
        /// All of them, in the order of this file.
        pub const ALL: &[Code] = &[$($ident),*];
    };
}

codes! {
    // Values.
    INPUT_MALFORMED = "input.malformed", Caller, Invalid, "the input cannot be read";
    INPUT_HEADER = "input.header", Caller, Invalid, "a header of the request cannot be read, or is there twice";
    INPUT_TOO_LARGE = "input.too_large", Caller, TooLarge, "the input passes a documented bound";
    INPUT_UNKNOWN_KEY = "input.unknown_key", Caller, Invalid, "the input has a key that we do not know";
    INPUT_IRI = "input.iri", Caller, Invalid, "an identifier is not an absolute IRI";
    INPUT_TIME = "input.time", Caller, Invalid, "a time cannot be read";
    INPUT_SCHEDULE = "input.schedule", Caller, Invalid, "a schedule cannot be read";
    FILE_EXISTS = "file.exists", Caller, Conflict, "a file would be overwritten";
    FILE_UNREADABLE = "file.unreadable", Caller, Invalid, "a file cannot be read or written";
    // Type models and twins.
    MODEL_INVALID = "model.invalid", Caller, Invalid, "the type model breaks a rule";
    MODEL_VERSION = "model.version", Caller, Conflict, "this version of the type model is taken";
    MODEL_UNKNOWN = "model.unknown", Caller, NotFound, "there is no such type model";
    TWIN_UNKNOWN = "twin.unknown", Caller, NotFound, "there is no such twin";
    TWIN_MODEL = "twin.model", Caller, Conflict, "the twin has another type model";
    TWIN_ATTRIBUTE = "twin.attribute", Caller, Invalid, "the type model has no such attribute";
    TWIN_EVENT = "twin.event", Caller, NotFound, "there is no such event";
    TWIN_ERASED = "twin.erased", Caller, NotFound, "the twin was erased";
    ERASURE_UNCONFIRMED = "erasure.unconfirmed", Caller, Invalid, "an erasure was not confirmed";
    TWIN_VALUE = "twin.value", Caller, Invalid, "a value does not fit its attribute";
    // Links between twins, and what was known at a moment.
    LINK_PREDICATE = "link.predicate", Caller, Invalid, "there is no such predicate";
    LINK_CYCLE = "link.cycle", Caller, Conflict, "the link would close a cycle";
    LINK_OWNER = "link.owner", Caller, Conflict, "the other end is not of that organisation";
    LINK_NOT_GRANTED = "link.not_granted", Caller, NotFound, "no agreement shows us these links";
    LINK_NOT_SHOWN = "link.not_shown", Caller, NotFound, "the contract does not show whose it is";
    ASOF_EARLY = "asof.early", Caller, NotFound, "nothing was recorded by then";
    ASOF_FORGOTTEN = "asof.forgotten", Caller, NotFound, "what was known then is forgotten";
    // Ingest.
    INGEST_MAP = "ingest.map", Caller, Invalid, "the map does not fit the file";
    INGEST_ROW = "ingest.row", Caller, Invalid, "a row was refused";
    INGEST_GUESS = "ingest.guess", Caller, Invalid, "no map could be guessed from the file";
    INGEST_EVENT = "ingest.event", Caller, Invalid, "a CloudEvent was refused";
    INGEST_FILE = "ingest.file", Caller, Invalid, "the file cannot be read";
    // Rules that look for losses.
    RULE_INVALID = "rule.invalid", Caller, Invalid, "the rule cannot be run";
    RULE_LEARNED = "rule.learned", Caller, Invalid, "what was learned cannot be gone on with";
    // Incidents.
    INCIDENT_UNKNOWN = "incident.unknown", Caller, NotFound, "there is no such incident or containment";
    INCIDENT_INVALID = "incident.invalid", Caller, Conflict, "an incident or an answer is not taken";
    // Store.
    STORE_LOCKED = "store.locked", Caller, Conflict, "another process has this directory";
    STORE_DAMAGED = "store.damaged", Us, Damaged, "durable data is damaged";
    STORE_VERSION = "store.version", Us, Damaged, "the directory was written by a newer release";
    STORE_FOREIGN = "store.foreign", Us, Damaged, "a file belongs to another node or another time";
    STORE_IO = "store.io", Us, Unavailable, "the disk refused";
    STORE_FULL = "store.full", Us, Unavailable, "the disk is full or nearly so";
    STORE_READONLY = "store.readonly", Us, Config, "the directory cannot be written";
    STORE_TORN = "store.torn", Us, Unavailable, "the end of the log was not written whole";
    STORE_STOPPED = "store.stopped", Us, Unavailable, "the log has stopped after a failed write";
    STORE_MISSING = "store.missing", Caller, NotFound, "this is not a Twinpact directory";
    STORE_EXISTS = "store.exists", Caller, Conflict, "the directory already holds a node";
    // The anchor.
    ANCHOR_BEHIND = "anchor.behind", Us, Damaged, "the node is an older copy of itself";
    ANCHOR_CLAIMED = "anchor.claimed", Us, Conflict, "a key that we do not know has signed more of our log";
    ANCHOR_CURRENT = "anchor.current", Caller, Conflict, "nothing shows that the directory is an older copy";
    // Witnesses, and logs that keep two histories.
    WITNESS_UNKNOWN = "witness.unknown", Caller, NotFound, "we do not witness this log";
    WITNESS_SIGNATURE = "witness.signature", Caller, Denied, "no key of the log has signed the checkpoint";
    WITNESS_PROOF = "witness.proof", Caller, Unproven, "the checkpoint does not continue the one that we cosigned";
    WITNESS_FALSE = "witness.false", Peer, Unproven, "a witness sent a cosignature that does not hold";
    WITNESS_REFUSED = "witness.refused", Peer, Peer, "a witness did not cosign";
    WITNESS_LATE = "witness.late", Peer, Unavailable, "a witness has not cosigned for some time";
    LOG_FORKED = "log.forked", Peer, Unproven, "a partner's log keeps two histories";
    LOG_DOUBTED = "log.doubted", Peer, Unproven, "a partner's log may keep two histories";
    LOG_SIZE = "log.size", Caller, NotFound, "the log has no checkpoint of this size";
    LOG_ALERT = "log.alert", Caller, NotFound, "there is no such alert";
    // Proofs and trust.
    PROOF_BROKEN = "proof.broken", Caller, Unproven, "the proof does not hold";
    PROOF_UNANCHORED = "proof.unanchored", Caller, Unproven, "the proof is signed by nobody you named";
    PROOF_NONE = "proof.none", Caller, Invalid, "there is no proof where one was looked for";
    PROOF_MISSING = "proof.missing", Us, NotFound, "part of what happened cannot be proven here";
    PROOF_LEVEL = "proof.level", Caller, Unproven, "the proof holds, but at a lower level than required";
    TRUST_RECORD = "trust.record", Caller, Invalid, "this is not a signed organisation record";
    TRUST_CONFLICT = "trust.conflict", Caller, Conflict, "another record is pinned for this organisation";
    TRUST_CONFLICT_OWNER = "trust.conflict.owner", Caller, Conflict, "the record is another organisation's";
    TRUST_CONFLICT_OWN = "trust.conflict.own", Caller, Conflict, "the record is our own";
    TRUST_CONFLICT_KEYS = "trust.conflict.keys", Caller, Conflict, "no pinned key has signed the other record";
    TRUST_CONFLICT_ENDED = "trust.conflict.ended", Caller, Conflict, "the pinned key that signed the record has ended";
    TRUST_CONFLICT_OLDER = "trust.conflict.older", Caller, Conflict, "a newer record is pinned";
    TRUST_CONFLICT_DOMAIN = "trust.conflict.domain", Caller, Conflict, "two organisations share a trust domain";
    // Invitations.
    INVITATION_MALFORMED = "invitation.malformed", Caller, Invalid, "this is not an invitation";
    INVITATION_UNKNOWN = "invitation.unknown", Caller, NotFound, "there is no such invitation";
    INVITATION_USED = "invitation.used", Caller, Conflict, "the invitation was used before";
    INVITATION_EXPIRED = "invitation.expired", Caller, Denied, "the invitation is not good any more";
    INVITATION_WITHDRAWN = "invitation.withdrawn", Caller, Denied, "the invitation was withdrawn";
    INVITATION_RECORD = "invitation.record", Caller, Denied, "a record is not the one that was invited";
    INVITATION_RECORD_MALFORMED = "invitation.record.malformed", Caller, Denied, "there is no record at the invitation's address";
    INVITATION_RECORD_FINGERPRINT = "invitation.record.fingerprint", Caller, Denied, "the record is not the one that the invitation names";
    INVITATION_RECORD_SIGNATURE = "invitation.record.signature", Caller, Denied, "no key of the record that is brought has signed the request";
    INVITATION_RECORD_TYPE = "invitation.record.type", Caller, Denied, "what is signed is no request to join";
    INVITATION_RECORD_INVITER = "invitation.record.inviter", Caller, Denied, "the request is for another record of ours";
    INVITATION_RECORD_JOINER = "invitation.record.joiner", Caller, Denied, "the request is for another record than it brings";
    INVITATION_OWN = "invitation.own", Caller, Invalid, "an organisation cannot join itself";
    INVITATION_TOO_MANY = "invitation.too_many", Caller, Conflict, "too many invitations are open";
    // Partners, agreements, exchanges.
    PARTNER_KNOWN = "partner.known", Caller, Conflict, "the organisation is a partner already";
    CONTRACT_OWNER = "contract.owner", Caller, Contract, "the contract is another organisation's";
    CONTRACT_CONFLICT = "contract.conflict", Caller, Conflict, "this version of the contract is published with another content";
    PARTNER_BEHIND = "partner.behind", Peer, Peer, "the partner's node is an older copy of itself";
    PARTNER_UNKNOWN = "partner.unknown", Caller, NotFound, "this organisation is no partner";
    AGREEMENT_UNKNOWN = "agreement.unknown", Caller, NotFound, "there is no such agreement";
    AGREEMENT_ENDED = "agreement.ended", Caller, Conflict, "the agreement does not hold any more";
    EXCHANGE_REFUSED = "exchange.refused", Peer, Peer, "the partner ended the negotiation or transfer";
    EXCHANGE_WAITING = "exchange.waiting", Peer, Unavailable, "the partner has not answered yet";
    EXCHANGE_UNDECIDED = "exchange.undecided", Us, Unavailable, "a negotiation waits for a decision of ours";
    EXCHANGE_TOO_MANY = "exchange.too_many", Caller, TooMany, "more was asked for than one asker may have";
    EXCHANGE_PROOF = "exchange.proof", Peer, Unproven, "the partner's delivery does not prove what it must";
    EXCHANGE_PURPOSE = "exchange.purpose", Caller, Invalid, "no purpose or place to assert";
    STREAM_POSITION = "stream.position", Caller, Invalid, "the position is none of this stream";
    STREAM_TOO_MANY = "stream.too_many", Caller, TooMany, "too many streams are open";
    STREAM_SLOW = "stream.slow", Caller, TooMany, "the reader of a stream did not keep up";
    STREAM_CLOSED = "stream.closed", Us, Unavailable, "the node that streams is stopping";
    COPY_DELETED = "copy.deleted", Caller, NotFound, "the copy was deleted";
    RECEIPT_UNKNOWN = "receipt.unknown", Caller, NotFound, "there is no such receipt";
    RECEIPT_UNPROVEN = "receipt.unproven", Caller, NotFound, "the receipt is for somebody who has no DID";
    DECISION_UNKNOWN = "decision.unknown", Caller, NotFound, "there is no such decision";
    DOCUMENT_EARLY = "document.early", Caller, Unavailable, "a signed document is of a time to come";
    DOCUMENT_REFUSED = "document.refused", Caller, Invalid, "a signed document is not what it must be";
    // Clocks.
    CLOCK_NOT_DRIVEN = "clock.not_driven", Caller, Conflict, "the policy clock is the system's";
    CLOCK_BEHIND = "clock.behind", Us, Config, "the clock is behind the log";
    CLOCK_SKEW = "clock.skew", Peer, Peer, "our clock and the partner's differ";
    // Contracts and their terms.
    CONTRACT_MALFORMED = "contract.malformed", Caller, Contract, "the contract cannot be read";
    CONTRACT_TOO_LARGE = "contract.too_large", Caller, TooLarge, "the contract passes a documented bound";
    CONTRACT_UNKNOWN = "contract.unknown", Caller, NotFound, "we publish no such contract";
    CONTRACT_UNKNOWN_KEY = "contract.unknown_key", Caller, Contract, "the contract has a key that ODCS does not know";
    CONTRACT_MISSING = "contract.missing", Caller, Contract, "the contract lacks something that it must have";
    CONTRACT_VALUE = "contract.value", Caller, Contract, "a value of the contract is not what it must be";
    CONTRACT_ODRL = "contract.odrl", Caller, Contract, "this is not an ODRL offer or agreement";
    CONTRACT_TERM_UNKNOWN = "contract.term_unknown", Caller, Contract, "the terms have a name that we do not know";
    CONTRACT_TERM_SHAPE = "contract.term_shape", Caller, Contract, "the terms have a rule that could not be decided";
    CONTRACT_VOCABULARY = "contract.vocabulary", Caller, Config, "the vocabulary of purposes and regions is not acyclic or too large";
    CONTRACT_MODEL = "contract.model", Caller, Contract, "the contract does not fit the type model that it pins";
    CONTRACT_IDENTITY = "contract.identity", Caller, Contract, "an object or property has no id of its own";
    CONTRACT_DATES = "contract.dates", Caller, Contract, "the dates of the contract are not in order";
    CONTRACT_FRESHNESS = "contract.freshness", Caller, Contract, "rows are promised to be fresher than they are recorded";
    CONTRACT_RETENTION = "contract.retention", Caller, Contract, "a partner may keep copies longer than the owner keeps the originals";
    CONTRACT_UNDECIDED = "contract.undecided", Caller, Contract, "the terms have conditions that nobody here can decide";
    CONTRACT_ROW_FILTER = "contract.row_filter", Caller, Contract, "the hours limit use and not rows";
    // Decisions.
    POLICY_CALLER = "policy.caller", Caller, Denied, "the caller is not the assignee of the agreement";
    POLICY_AGREEMENT = "policy.agreement", Caller, Denied, "the agreement does not cover this request";
    POLICY_REVOKED = "policy.revoked", Caller, Denied, "the agreement was revoked";
    POLICY_TERMINATED = "policy.terminated", Caller, Denied, "the agreement was terminated";
    POLICY_SUSPENDED = "policy.suspended", Caller, Denied, "the agreement or the transfer is suspended";
    POLICY_TOKEN = "policy.token", Caller, Denied, "the access token does not cover this request";
    POLICY_TOKEN_MISSING = "policy.token.missing", Caller, Denied, "there is no access token";
    POLICY_TOKEN_SCHEME = "policy.token.scheme", Caller, Denied, "the access token is not shown as a bearer token";
    POLICY_TOKEN_UNKNOWN = "policy.token.unknown", Caller, Denied, "the access token is not known";
    POLICY_TOKEN_RETIRED = "policy.token.retired", Caller, Denied, "the access token was replaced by a newer one";
    POLICY_TOKEN_AGREEMENT = "policy.token.agreement", Caller, Denied, "the access token is for another agreement";
    POLICY_TOKEN_TRANSFER = "policy.token.transfer", Caller, Denied, "the access token is for another transfer";
    POLICY_TOKEN_VIEW = "policy.token.view", Caller, Denied, "the access token is for another view";
    POLICY_TOKEN_CALLER = "policy.token.caller", Caller, Denied, "the access token is another program's";
    POLICY_TOKEN_EPOCH = "policy.token.epoch", Caller, Denied, "the agreement has changed since the access token was issued";
    POLICY_TOKEN_EXPIRED = "policy.token.expired", Caller, Denied, "the access token has run out";
    POLICY_ASSERTION = "policy.assertion", Caller, Denied, "the assertion of purpose and place does not cover this request";
    POLICY_ASSERTION_MISSING = "policy.assertion.missing", Caller, Denied, "purpose and place are not signed for";
    POLICY_ASSERTION_SIZE = "policy.assertion.size", Caller, Denied, "the assertion is too long";
    POLICY_ASSERTION_ENCODING = "policy.assertion.encoding", Caller, Denied, "the assertion is not base64";
    POLICY_ASSERTION_ENVELOPE = "policy.assertion.envelope", Caller, Denied, "the assertion is no signed envelope";
    POLICY_ASSERTION_TYPE = "policy.assertion.type", Caller, Denied, "what is signed is another kind of document";
    POLICY_ASSERTION_SIGNATURE = "policy.assertion.signature", Caller, Denied, "the assertion is not signed by a key of the caller's record";
    POLICY_ASSERTION_PAYLOAD = "policy.assertion.payload", Caller, Denied, "what is signed cannot be read";
    POLICY_ASSERTION_VERSION = "policy.assertion.version", Caller, Denied, "the assertion is of another form";
    POLICY_ASSERTION_MEMBERS = "policy.assertion.members", Caller, Denied, "the assertion does not have the members of its form";
    POLICY_ASSERTION_ASSURANCE = "policy.assertion.assurance", Caller, Denied, "the assertion has an assurance that we do not know";
    POLICY_ASSERTION_PARTY = "policy.assertion.party", Caller, Denied, "the assertion is in another party's name";
    POLICY_ASSERTION_AUDIENCE = "policy.assertion.audience", Caller, Denied, "the assertion is for another provider";
    POLICY_ASSERTION_AGREEMENT = "policy.assertion.agreement", Caller, Denied, "the assertion is about another agreement";
    POLICY_ASSERTION_ORDER = "policy.assertion.order", Caller, Denied, "the assertion ends before it begins";
    POLICY_ASSERTION_SPAN = "policy.assertion.span", Caller, Denied, "the assertion is good for too long";
    POLICY_ASSERTION_EARLY = "policy.assertion.early", Caller, Denied, "the assertion is signed in the future";
    POLICY_ASSERTION_EXPIRED = "policy.assertion.expired", Caller, Denied, "the assertion has run out";
    POLICY_ASSERTION_REPLAYED = "policy.assertion.replayed", Caller, Denied, "the assertion was used before";
    POLICY_PROHIBITED = "policy.prohibited", Caller, Denied, "the agreement forbids it";
    POLICY_PURPOSE = "policy.purpose", Caller, Denied, "the agreement does not allow this purpose";
    POLICY_PLACE = "policy.place", Caller, Denied, "the agreement does not allow this place";
    POLICY_SCHEDULE = "policy.schedule", Caller, Denied, "the agreement does not allow use at this hour";
    POLICY_DATETIME = "policy.datetime", Caller, Denied, "the agreement does not allow use at this date";
    POLICY_UNDECIDED = "policy.undecided", Caller, Denied, "the agreement has conditions that nobody here can decide";
    POLICY_UNDEFINED = "policy.undefined", Caller, Denied, "the decision cannot be computed";
    POLICY_EXPIRED = "policy.expired", Caller, Denied, "the permit has run out";
    POLICY_ROWS = "policy.rows", Us, Internal, "rows were to leave that the permit does not cover";
    // Dataspace Protocol.
    DSP_MALFORMED = "dsp.malformed", Peer, Invalid, "a protocol message cannot be read";
    DSP_TOO_LARGE = "dsp.too_large", Peer, TooLarge, "a protocol message passes a documented bound";
    DSP_UNKNOWN = "dsp.unknown", Peer, NotFound, "there is no such process or dataset";
    DSP_TRANSITION = "dsp.transition", Peer, Invalid, "the message does not fit the state of its process";
    DSP_CONFLICT = "dsp.conflict", Peer, Invalid, "the message contradicts an earlier one";
    DSP_FILTER = "dsp.filter", Peer, Invalid, "the catalogue filter is not supported";
    DSP_DECISION = "dsp.decision", Caller, Conflict, "the process is not in a state for this step";
    DSP_UNDELIVERED = "dsp.undelivered", Peer, Peer, "the other side does not take our message";
    DSP_OVERDUE = "dsp.overdue", Peer, Peer, "a process waited longer than its deadline";
    // Configuration, node, doors.
    CONFIG_INVALID = "config.invalid", Caller, Config, "the configuration is wrong";
    CONFIG_ENDPOINT = "config.endpoint", Us, Config, "the address that partners are told does not lead to this node";
    CONFIG_PORT = "config.port", Us, Config, "a port cannot be bound";
    ADMIN_TOKEN = "admin.token", Caller, Unauthenticated, "the admin token is missing or wrong";
    NODE_UNREACHABLE = "node.unreachable", Us, Unavailable, "the node does not answer";
    FEDERATION_BUSY = "federation.busy", Caller, Unavailable, "too many connections are open";
    ROUTE_UNKNOWN = "route.unknown", Caller, NotFound, "there is no such route";
    // Identity: names, keys and certificates, TLS, tokens, outgoing connections.
    IDENTITY_NAME = "identity.name", Caller, Invalid, "a name of an organisation or a node cannot be used";
    IDENTITY_CERTIFICATE = "identity.certificate", Caller, Invalid, "this is not the certificate of an organisation's root";
    IDENTITY_EXISTS = "identity.exists", Caller, Conflict, "there are keys here already";
    IDENTITY_MISSING = "identity.missing", Us, Config, "a key or certificate file is missing";
    IDENTITY_FILE = "identity.file", Us, Damaged, "a key or certificate file cannot be used";
    IDENTITY_EXPOSED = "identity.exposed", Us, Config, "a key file can be read by others";
    IDENTITY_MISMATCH = "identity.mismatch", Us, Config, "a key and a certificate do not belong together";
    CONNECTOR_CERTIFICATE = "connector.certificate", Us, Unavailable, "the certificate of the door for connectors runs out";
    IDENTITY_EXPIRED = "identity.expired", Us, Unavailable, "our certificate has run out";
    IDENTITY_EXPIRING = "identity.expiring", Us, Unavailable, "our certificate runs out soon";
    TLS_REFUSED = "tls.refused", Peer, Peer, "no trusted connection to the partner";
    TOKEN_INVALID = "token.invalid", Caller, Unauthenticated, "the access token is not valid for this";
    TOKEN_EXPIRED = "token.expired", Caller, Unauthenticated, "the access token has expired";
    OUTGOING_URL = "outgoing.url", Caller, Invalid, "the address cannot be used";
    OUTGOING_ENDPOINT = "outgoing.endpoint", Peer, Denied, "the address is in no pinned record and no list";
    OUTGOING_ADDRESS = "outgoing.address", Us, Denied, "the address leads into a private network";
    // Partners, as far as HTTP goes.
    PEER_UNREACHABLE = "peer.unreachable", Peer, Peer, "the partner's node does not answer";
    PEER_LATE = "peer.late", Peer, Peer, "the partner's answer takes too long";
    PEER_ANSWER = "peer.answer", Peer, Peer, "the partner's answer is not what it must be";
    INTERNAL = "internal", Us, Internal, "a bug of ours";
}

/// The code of that name.
#[must_use]
pub fn find(name: &str) -> Option<Code> {
    ALL.iter().copied().find(|code| code.name == name)
}

/// The code of that name, or of the family of it: a newer release may tell more causes apart.
#[must_use]
pub fn nearest(name: &str) -> Option<Code> {
    let family = || name.rsplit_once('.').and_then(|(family, _)| find(family));
    find(name).or_else(family)
}
