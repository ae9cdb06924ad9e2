//! The bodies of incidents and containments.

use super::schema::Kind::{Any, Bool, Count, Hex, Many, Named, Null, Text, Time, Word};
use super::schema::{Object, may, must};

const STATES: &[&str] = &["open", "confirmed", "refused", "released"];

pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "OpenIncident",
        what: "An incident to be opened.",
        closed: true,
        members: &[
            must("name", Text),
            must("story", Any),
            must("containments", Many(&Named("Contain"))),
            may("key", Text),
        ],
    },
    Object {
        name: "Contain",
        what: "Whom to ask for what: the owner who shows us something under the agreement.",
        closed: true,
        members: &[
            must("agreement", Text),
            must("twins", Many(&Text)),
            must("measure", Text),
            must("reason", Text),
            may("receipts", Many(&Text)),
            may("seen", Null(&Named("SeenAt"))),
        ],
    },
    Object {
        name: "SeenAt",
        what: "Where and when something was seen.",
        closed: true,
        members: &[must("twin", Text), must("first", Time), must("found", Time)],
    },
    Object {
        name: "Respond",
        what: "An answer to a containment.",
        closed: true,
        members: &[
            must("by", Text),
            may("note", Text),
            may("automatic", Bool),
            may("began", Null(&Time)),
        ],
    },
    Object {
        name: "IncidentLine",
        what: "An incident in a list.",
        closed: false,
        members: &[
            must("id", Text),
            must("name", Null(&Text)),
            must("key", Null(&Text)),
            must("recorded", Time),
            must("event", Null(&Count)),
            must("containments", Count),
            must("states", Many(&Word(STATES))),
        ],
    },
    Object {
        name: "IncidentShown",
        what: "An incident with all that we know of it.",
        closed: false,
        members: &[
            must("incident", Named("IncidentLine")),
            must("story", Null(&Any)),
            must("containments", Many(&Named("ContainmentLine"))),
        ],
    },
    Object {
        name: "ContainmentLine",
        what: "One organisation asks another to contain some of its twins.",
        closed: false,
        members: &[
            must("id", Hex),
            must("asked_by", Text),
            must("asked_of", Text),
            must("ours", Bool),
            must("agreement", Hex),
            must("twins", Many(&Text)),
            must("measure", Text),
            must("reason", Text),
            must("evidence", Many(&Hex)),
            must("seen", Null(&Named("SeenAt"))),
            must("opened", Time),
            must("driven", Bool),
            must("recorded", Time),
            must("event", Count),
            must("state", Word(STATES)),
            must("waits", Null(&Time)),
            must("not_taken", Null(&Text)),
            must("answers", Many(&Named("AnswerLine"))),
        ],
    },
    Object {
        name: "AnswerLine",
        what: "An answer to a containment.",
        closed: false,
        members: &[
            must("answer", Word(STATES)),
            must("by", Text),
            must("automatic", Bool),
            must("note", Text),
            must("began", Null(&Time)),
            must("at", Time),
            must("driven", Bool),
            must("recorded", Time),
            must("event", Count),
        ],
    },
];
