//! The bodies of copies and erasures.

use super::schema::Kind::{Bool, Count, Many, Named, Null, Text, Time};
use super::schema::{Object, may, must};

pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "CopyLine",
        what: "A copy of what a partner has delivered.",
        closed: false,
        members: &[
            must("receipt", Text),
            must("partner", Text),
            must("agreement", Text),
            must("view", Text),
            must("terms", Text),
            must("rows", Count),
            must("stored", Time),
            must("delete_by", Null(&Time)),
            must("deleted", Null(&Time)),
            must("erased", Bool),
        ],
    },
    Object {
        name: "Heading",
        what: "What a value is called, and its unit.",
        closed: false,
        members: &[must("name", Text), must("unit", Null(&Text))],
    },
    Object {
        name: "CopyRead",
        what: "The rows of a copy, and the decision that permits to read them.",
        closed: false,
        members: &[
            must("copy", Named("CopyLine")),
            must("decision", Text),
            must("sentence", Text),
            must("columns", Many(&Named("Heading"))),
            must("rows", Many(&Many(&Null(&Text)))),
        ],
    },
    Object {
        name: "EraseAsked",
        what: "A twin to be erased.",
        closed: true,
        members: &[
            must("twin", Text),
            must("basis", Text),
            may("dry_run", Bool),
            may("confirmed", Bool),
        ],
    },
    Object {
        name: "ErasureLine",
        what: "An erasure, or what one would be. It does not name the twin.",
        closed: false,
        members: &[
            must("subject", Text),
            must("basis", Text),
            must("entries", Count),
            must("erased", Null(&Time)),
            must("event", Null(&Count)),
            must("holders", Many(&Named("HolderLine"))),
        ],
    },
    Object {
        name: "HolderLine",
        what: "A partner that has, or had, rows of an erased twin.",
        closed: false,
        members: &[
            must("partner", Text),
            must("agreement", Text),
            must("deliveries", Count),
            must("duty", Null(&Text)),
            must("deleted", Null(&Time)),
            must("waits", Bool),
        ],
    },
];
