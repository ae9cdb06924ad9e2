//! The bodies about how well the exchange does.

use super::schema::Kind::{Bool, Count, Hex, Integer, Many, Map, Named, Null, Number, Text};
use super::schema::Kind::{Time, Word};
use super::schema::{Object, must};

pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "Kpis",
        what: "How well the exchange does, by what the node knows; null is what it does not know.",
        closed: false,
        members: &[
            must("at", Time),
            must("driven", Bool),
            must("incidents", Many(&Named("IncidentKpi"))),
            must("freshness", Null(&Named("FreshnessKpi"))),
            must("values", Null(&Named("ValuesKpi"))),
            must("bytes", Null(&Named("BytesKpi"))),
            must("reconstruct_ms", Null(&Number)),
            must("reconstructed", Null(&Hex)),
            must("decisions", Named("OutcomesKpi")),
            must("given", Named("FlowKpi")),
            must("received", Named("FlowKpi")),
            must("deleted", Named("DeletedKpi")),
            must("agreements", Many(&Named("AgreementKpi"))),
        ],
    },
    Object {
        name: "IncidentKpi",
        what: "How long it took in an incident, in seconds of data time.",
        closed: false,
        members: &[
            must("incident", Text),
            must("name", Null(&Text)),
            must("role", Word(&["asker", "asked"])),
            must("twin", Null(&Text)),
            must("began", Null(&Time)),
            must("first", Null(&Time)),
            must("found", Null(&Time)),
            must("detect_since_began_s", Null(&Integer)),
            must("detect_since_visible_s", Null(&Integer)),
            must("price_of_policy_s", Null(&Integer)),
            must("contain_s", Null(&Integer)),
            must("automatic", Null(&Bool)),
            must("driven", Bool),
            must("containments", Many(&Named("ContainKpi"))),
        ],
    },
    Object {
        name: "ContainKpi",
        what: "How long a containment took, in seconds of data time.",
        closed: false,
        members: &[
            must("id", Hex),
            must("asked_of", Text),
            must("opened", Time),
            must("confirmed", Null(&Time)),
            must("contain_s", Null(&Integer)),
            must("automatic", Null(&Bool)),
        ],
    },
    Object {
        name: "FreshnessKpi",
        what: "How often a delivery was as fresh as promised.",
        closed: false,
        members: &[must("attained", Number), must("within", Count), must("of", Count)],
    },
    Object {
        name: "ValuesKpi",
        what: "How many of the values that were recorded have left.",
        closed: false,
        members: &[must("recorded", Count), must("delivered", Count), must("share_kept", Number)],
    },
    Object {
        name: "BytesKpi",
        what: "Bytes of rows that were delivered to us, and those of deliveries that were read.",
        closed: false,
        members: &[
            must("asked", Count),
            must("used", Count),
            must("share_used", Null(&Number)),
            must("deliveries_used", Count),
        ],
    },
    Object {
        name: "OutcomesKpi",
        what: "How often a request met a permit or a refusal.",
        closed: false,
        members: &[must("permit", Count), must("deny", Count), must("by_code", Map(&Count))],
    },
    Object {
        name: "FlowKpi",
        what: "Deliveries, their rows and the bytes of these.",
        closed: false,
        members: &[must("deliveries", Count), must("rows", Count), must("bytes", Count)],
    },
    Object {
        name: "DeletedKpi",
        what: "Deliveries whose copies are gone, ours and those to us.",
        closed: false,
        members: &[must("given", Count), must("received", Count)],
    },
    Object {
        name: "AgreementKpi",
        what: "The same of one agreement.",
        closed: false,
        members: &[
            must("agreement", Hex),
            must("role", Word(&["provider", "consumer"])),
            must("partner", Text),
            must("view", Text),
            must("flow", Named("FlowKpi")),
            must("decisions", Named("OutcomesKpi")),
            must("freshness", Null(&Named("FreshnessKpi"))),
            must("values", Null(&Named("ValuesKpi"))),
            must("bytes", Null(&Named("BytesKpi"))),
        ],
    },
];
