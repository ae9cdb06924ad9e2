//! MET, CAT, CN and CN_C: the version document, the catalogue, and negotiations in which the
//! connector under test is the provider (CN) and the consumer (CN_C).

use super::scenario::Message::{
    Accepted, Agreement, Counter, Finalized, Offer, Request, Termination, Verification,
};
use super::scenario::Step::{
    Catalog, Dataset, Initiate, NoDataset, Receive, Refused, Send, State, Versions,
};
use super::scenario::{Scenario, row};

pub(crate) const METADATA: &[Scenario] = &[row("MET:01-01", &[Versions])];

pub(crate) const CATALOGUE: &[Scenario] =
    &[row("CAT:01-01", &[Catalog]), row("CAT:01-02", &[Dataset]), row("CAT:01-03", &[NoDataset])];

pub(crate) const PROVIDER: &[Scenario] = &[
    row("CN:01-01", &[Send(Request), Receive(Offer), Send(Termination), State("TERMINATED")]),
    row(
        "CN:01-02",
        &[Send(Request), Receive(Offer), Send(Counter), Receive(Termination), State("TERMINATED")],
    ),
    row(
        "CN:01-03",
        &[
            Send(Request),
            Receive(Offer),
            Send(Accepted),
            Receive(Agreement),
            Send(Verification),
            Receive(Finalized),
            State("FINALIZED"),
        ],
    ),
    row(
        "CN:01-04",
        &[
            Send(Request),
            Receive(Agreement),
            Send(Verification),
            Receive(Finalized),
            State("FINALIZED"),
        ],
    ),
    row("CN:02-01", &[Send(Request), Receive(Termination), State("TERMINATED")]),
    row("CN:02-02", &[Send(Request), State("REQUESTED"), Send(Termination), State("TERMINATED")]),
    row("CN:02-03", &[Send(Request), Receive(Agreement), Send(Termination), State("TERMINATED")]),
    row("CN:02-04", &[Send(Request), Receive(Offer), Send(Termination), State("TERMINATED")]),
    row("CN:02-05", &[Send(Request), Receive(Offer), Receive(Termination), State("TERMINATED")]),
    row(
        "CN:02-06",
        &[Send(Request), Receive(Offer), Send(Accepted), Receive(Termination), State("TERMINATED")],
    ),
    row(
        "CN:02-07",
        &[
            Send(Request),
            Receive(Agreement),
            Send(Verification),
            Receive(Termination),
            State("TERMINATED"),
        ],
    ),
    row(
        "CN:03-01",
        &[
            Send(Request),
            Receive(Agreement),
            Send(Verification),
            Receive(Finalized),
            State("FINALIZED"),
            Refused(Termination),
            State("FINALIZED"),
        ],
    ),
    row("CN:03-02", &[Send(Request), Receive(Offer), Refused(Verification), State("OFFERED")]),
    row(
        "CN:03-03",
        &[Send(Request), Receive(Offer), Send(Accepted), Refused(Verification), State("ACCEPTED")],
    ),
    row(
        "CN:03-04",
        &[Send(Request), Receive(Offer), Send(Counter), Refused(Counter), State("REQUESTED")],
    ),
];

pub(crate) const CONSUMER: &[Scenario] = &[
    row(
        "CN_C:01-01",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Accepted),
            Send(Agreement),
            Receive(Verification),
            Send(Finalized),
            State("FINALIZED"),
        ],
    ),
    row(
        "CN_C:01-02",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Counter),
            Send(Termination),
            State("TERMINATED"),
        ],
    ),
    row(
        "CN_C:01-03",
        &[Initiate, Receive(Request), Send(Offer), Receive(Termination), State("TERMINATED")],
    ),
    row(
        "CN_C:01-04",
        &[
            Initiate,
            Receive(Request),
            Send(Agreement),
            Receive(Verification),
            Send(Finalized),
            State("FINALIZED"),
        ],
    ),
    row("CN_C:02-01", &[Initiate, Receive(Request), Send(Termination), State("TERMINATED")]),
    row("CN_C:02-02", &[Initiate, Receive(Request), Receive(Termination), State("TERMINATED")]),
    row(
        "CN_C:02-03",
        &[Initiate, Receive(Request), Send(Agreement), Receive(Termination), State("TERMINATED")],
    ),
    row(
        "CN_C:02-04",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            State("OFFERED"),
            Send(Termination),
            State("TERMINATED"),
        ],
    ),
    row(
        "CN_C:02-05",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Accepted),
            Send(Termination),
            State("TERMINATED"),
        ],
    ),
    row(
        "CN_C:02-06",
        &[
            Initiate,
            Receive(Request),
            Send(Agreement),
            Receive(Verification),
            Send(Termination),
            State("TERMINATED"),
        ],
    ),
    row("CN_C:03-01", &[Initiate, Receive(Request), Refused(Finalized), State("REQUESTED")]),
    row(
        "CN_C:03-02",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            State("OFFERED"),
            Refused(Agreement),
            State("OFFERED"),
        ],
    ),
    row(
        "CN_C:03-03",
        &[Initiate, Receive(Request), Send(Offer), Refused(Finalized), State("OFFERED")],
    ),
    row(
        "CN_C:03-04",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Accepted),
            Refused(Finalized),
            State("ACCEPTED"),
        ],
    ),
    row(
        "CN_C:03-05",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Accepted),
            Refused(Offer),
            State("ACCEPTED"),
        ],
    ),
    row(
        "CN_C:03-06",
        &[
            Initiate,
            Receive(Request),
            Send(Offer),
            Receive(Accepted),
            Send(Agreement),
            Refused(Finalized),
            State("AGREED"),
        ],
    ),
];
