//! The bodies about our log, its witnesses and what was seen of partners' logs.

use super::schema::Kind::{Count, Hex, Integer, Many, Named, Null, Text, Time, Word};
use super::schema::{Object, must};

const GRADES: &[&str] = &["settled", "unproven", "proven"];
const SOURCES: &[&str] = &["witness", "gossip", "delivery"];

pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "LogShown",
        what: "Our log, its witnesses, and what was seen of the logs of partners.",
        closed: false,
        members: &[
            must("frames", Count),
            must("own", Named("CheckpointLine")),
            must("ticked", Null(&Time)),
            must("witness_key", Text),
            must("witnesses", Many(&Named("WitnessLine"))),
            must("partners", Many(&Named("SeenLine"))),
            must("alerts", Many(&Named("AlertLine"))),
        ],
    },
    Object {
        name: "CheckpointLine",
        what: "A checkpoint.",
        closed: false,
        members: &[must("origin", Text), must("size", Count), must("root", Hex)],
    },
    Object {
        name: "WitnessLine",
        what: "A witness of ours.",
        closed: false,
        members: &[
            must("witness", Text),
            must("key", Null(&Text)),
            must("size", Count),
            must("cosigned", Null(&Time)),
            must("lag_ticks", Count),
            must("lag_seconds", Integer),
            must("failed", Null(&Text)),
        ],
    },
    Object {
        name: "SeenLine",
        what: "What was seen of a partner's log.",
        closed: false,
        members: &[
            must("partner", Text),
            must("pinned", Null(&Named("CheckpointLine"))),
            must("cosigned", Null(&Named("CheckpointLine"))),
        ],
    },
    Object {
        name: "AlertLine",
        what: "A partner's log has shown two histories, or may have.",
        closed: false,
        members: &[
            must("id", Hex),
            must("partner", Text),
            must("origin", Text),
            must("grade", Word(GRADES)),
            must("sizes", Many(&Count)),
            must("source", Word(SOURCES)),
            must("recorded", Time),
        ],
    },
    Object {
        name: "AlertShown",
        what: "An alert with both notes as they were signed, and the evidence when it is proven.",
        closed: false,
        members: &[
            must("alert", Named("AlertLine")),
            must("notes", Many(&Text)),
            must("evidence", Null(&Text)),
        ],
    },
    Object {
        name: "InclusionShown",
        what: "A tick under our checkpoint.",
        closed: false,
        members: &[
            must("checkpoint", Text),
            must("tick", Count),
            must("time", Count),
            must("slots", Count),
            must("heads", Hex),
            must("path", Many(&Hex)),
        ],
    },
    Object {
        name: "ConsistencyShown",
        what: "That our checkpoint of one size continues that of another.",
        closed: false,
        members: &[must("old", Text), must("new", Text), must("hashes", Many(&Hex))],
    },
];
