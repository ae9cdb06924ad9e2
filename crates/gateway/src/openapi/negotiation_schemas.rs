//! The bodies about negotiations and what a person decides in them.

use super::schema::Kind::{Any, Bool, Count, Many, Named, Null, Text, Time, Word};
use super::schema::{Object, may, must};

const WHOSE: &[&str] = &["ours", "peers", "nobody"];
const STATES: &[&str] =
    &["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"];
const STEPS: &[&str] = &["state", "out", "attempt", "delivered", "undelivered", "escalated"];
const TRANSFER_STATES: &[&str] = &["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"];

pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "NegotiationLine",
        what: "A negotiation; `turn` is whose turn it is, and `until` how long that may take.",
        closed: false,
        members: &[
            must("pid", Text),
            must("role", Word(&["provider", "consumer"])),
            must("partner", Text),
            must("dataset", Null(&Text)),
            must("offer", Text),
            must("state", Word(STATES)),
            must("turn", Word(WHOSE)),
            must("since", Time),
            must("until", Null(&Time)),
        ],
    },
    Object {
        name: "NegotiationShown",
        what: "A negotiation with what was asked or offered last, in words and as a policy.",
        closed: false,
        members: &[
            must("line", Named("NegotiationLine")),
            must("peer_pid", Null(&Text)),
            must("waiting_for", Text),
            must("terms", Text),
            must("policy", Any),
            must("asked", Null(&Text)),
            must("differences", Many(&Text)),
            must("agreement", Null(&Text)),
            must("ended", Null(&Named("EndedLine"))),
            must("choices", Many(&Word(&["accept", "counter", "terminate"]))),
        ],
    },
    Object {
        name: "EndedLine",
        what: "How a negotiation ended without an agreement, or a transfer without completion.",
        closed: false,
        members: &[
            must("by", Word(WHOSE)),
            must("code", Null(&Text)),
            must("reasons", Many(&Text)),
        ],
    },
    Object {
        name: "OfferAsked",
        what: "An offer to a partner that has not asked; without a policy on the contract's terms.",
        closed: true,
        members: &[must("partner", Text), must("dataset", Text), may("policy", Any)],
    },
    Object {
        name: "CounterAsked",
        what: "Other terms, as an ODRL policy; without one a provider offers its contract's.",
        closed: true,
        members: &[may("policy", Any)],
    },
    Object {
        name: "TerminateAsked",
        what: "Why a negotiation or transfer ends or pauses; the other side is told.",
        closed: true,
        members: &[must("reason", Text)],
    },
    Object {
        name: "TransferLine",
        what: "A transfer; `turn` is whose turn it is.",
        closed: false,
        members: &[
            must("pid", Text),
            must("role", Word(&["provider", "consumer"])),
            must("partner", Text),
            must("agreement", Null(&Text)),
            must("at_id", Text),
            must("format", Text),
            must("state", Word(TRANSFER_STATES)),
            must("turn", Word(WHOSE)),
            must("since", Time),
            must("until", Null(&Time)),
        ],
    },
    Object {
        name: "TransferShown",
        what: "A transfer; what a person has suspended (`by_hand`), the node does not resume.",
        closed: false,
        members: &[
            must("line", Named("TransferLine")),
            must("peer_pid", Null(&Text)),
            must("waiting_for", Text),
            must("by_hand", Bool),
            must("ended", Null(&Named("EndedLine"))),
            must("choices", Many(&Word(&["suspend", "resume", "complete", "terminate"]))),
        ],
    },
    Object {
        name: "WhyShown",
        what: "What has happened in a negotiation or transfer, and what is missing.",
        closed: false,
        members: &[
            must("pid", Text),
            must("process", Word(&["negotiation", "transfer"])),
            must("role", Word(&["provider", "consumer"])),
            must("partner", Text),
            must("state", Text),
            must("turn", Word(WHOSE)),
            must("waiting_for", Text),
            must("until", Null(&Time)),
            must("missing", Many(&Text)),
            must("ended", Null(&Named("EndedLine"))),
            must("steps", Many(&Named("WhyStep"))),
            must("forgotten", Count),
        ],
    },
    Object {
        name: "WhyStep",
        what: "Something that has happened; `state` is a message that came or a decision of ours.",
        closed: false,
        members: &[must("at", Time), must("what", Word(STEPS)), must("text", Text)],
    },
];
