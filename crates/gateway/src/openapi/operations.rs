//! What each route takes and answers. A test holds this table against the routes of the admin door,
//! both ways, and real answers against the schemas that it names.

use super::schema::Kind::{self, Any, Count, Many, Named, Text, Time};

/// A body.
#[derive(Clone, Copy)]
pub(super) enum Body {
    None,
    Json(Kind),
    /// A batch of observations, or CloudEvents.
    Batch,
    /// Text of that media type.
    Text(&'static str),
    /// A file.
    Bytes,
}

/// One route.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// Name, kind, and whether it must be given.
    pub(super) query: &'static [(&'static str, Kind, bool)],
    pub(super) body: Body,
    pub(super) answer: Body,
}

/// An operation that takes nothing and answers JSON.
const fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answer: Kind,
) -> Operation {
    let (query, body) = (&[], Body::None);
    Operation { method: "GET", path, id, summary, query, body, answer: Body::Json(answer) }
}

/// An operation that takes JSON and answers JSON.
const fn post(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    (body, answer): (Kind, Kind),
) -> Operation {
    let body = Body::Json(body);
    Operation { method: "POST", path, id, summary, query: &[], body, answer: Body::Json(answer) }
}

impl Operation {
    const fn with(self, query: &'static [(&'static str, Kind, bool)]) -> Operation {
        Operation { query, ..self }
    }
}

const AS_OF: &[(&str, Kind, bool)] = &[("as-of", Time, false)];
const NEWEST: &[(&str, Kind, bool)] = &[("limit", Count, false), ("as-of", Time, false)];

/// Those of the admin door, in the order of its routes.
pub(super) const OPERATIONS: &[Operation] = &[
    get("/livez", "live", "Whether the process answers.", Named("Live")),
    get(
        "/readyz",
        "ready",
        "Whether the node does its work, and what its operator should know.",
        Named("Ready"),
    ),
    get("/version", "version", "What runs here.", Named("Version")),
    Operation {
        method: "GET",
        path: "/metrics",
        id: "metrics",
        summary: "How much the node does, in the Prometheus text format 0.0.4.",
        query: &[],
        body: Body::None,
        answer: Body::Text("text/plain"),
    },
    get("/openapi.json", "openapi", "This description.", Any),
    get("/models", "listModels", "The type models.", Many(&Named("TypeModel"))).with(AS_OF),
    Operation {
        method: "POST",
        path: "/models",
        id: "applyModel",
        summary: "Puts a version of a type model.",
        query: &[],
        body: Body::Text("application/toml"),
        answer: Body::Json(Named("ModelApplied")),
    },
    Operation {
        method: "POST",
        path: "/ingest",
        id: "ingest",
        summary: "Records observations and links; each row has its own outcome.",
        query: &[],
        body: Body::Batch,
        answer: Body::Json(Named("IngestReport")),
    },
    get("/twins", "listTwins", "The twins.", Many(&Named("TwinLine"))).with(AS_OF),
    get("/twins/{id}", "showTwin", "A twin with both heads of each attribute.", Named("TwinState"))
        .with(AS_OF),
    get("/twins/{id}/history", "twinHistory", "What was recorded about a twin.", Named("History"))
        .with(&[
            ("since", Time, false),
            ("until", Time, false),
            ("limit", Count, false),
            ("as-of", Time, false),
        ]),
    get("/erasures", "listErasures", "The erasures of twins.", Many(&Named("ErasureLine"))),
    post(
        "/erasures",
        "eraseTwin",
        "Erases a twin here and at all who have copies of it, or says what that would be.",
        (Named("EraseAsked"), Named("ErasureLine")),
    ),
    get("/erasures/{twin}", "showErasure", "The erasure of a twin.", Named("ErasureLine")),
    get("/links", "listLinks", "The links between twins, or those of one.", Named("LinkList"))
        .with(&[("twin", Text, false), ("as-of", Time, false)]),
    post("/links", "setLink", "Sets a link.", (Named("LinkAsked"), Named("LinkChanged"))),
    post(
        "/links/retract",
        "retractLink",
        "Retracts a link.",
        (Named("LinkAsked"), Named("LinkChanged")),
    ),
    post(
        "/graph/walk",
        "walkGraph",
        "Walks over links across organisations, each hop under our own agreement.",
        (Named("WalkAsked"), Named("Walked")),
    ),
    Operation {
        method: "GET",
        path: "/events/{index}/proof",
        id: "proveEvent",
        summary: "A bundle that proves an event and shows these attributes of it.",
        query: &[("attributes", Text, false)],
        body: Body::None,
        answer: Body::Bytes,
    },
    Operation {
        method: "GET",
        path: "/organisation",
        id: "showOrganisation",
        summary: "Our signed record.",
        query: AS_OF,
        body: Body::None,
        answer: Body::Bytes,
    },
    get(
        "/invitations",
        "listInvitations",
        "The invitations that we have made.",
        Many(&Named("InvitationLine")),
    )
    .with(AS_OF),
    post(
        "/invitations",
        "invite",
        "Makes an invitation; the answer holds its secret.",
        (Named("Invite"), Named("Invited")),
    ),
    Operation {
        method: "POST",
        path: "/invitations/{id}/withdraw",
        id: "withdrawInvitation",
        summary: "Withdraws an invitation.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("InvitationLine")),
    },
    post("/joins", "join", "Uses a partner's invitation.", (Named("Join"), Named("Joined"))),
    get("/trust", "showTrust", "Whom we trust, in the form of a trust file.", Any).with(AS_OF),
    get(
        "/doctor",
        "doctor",
        "What keeps the node from working, each with its remedy.",
        Many(&Named("Finding")),
    ),
    get("/keys", "listKeys", "Our document keys.", Many(&Named("KeyLine"))).with(AS_OF),
    post(
        "/keys",
        "rotateKey",
        "Makes a new document key.",
        (Named("RotateKey"), Many(&Named("KeyLine"))),
    ),
    Operation {
        method: "POST",
        path: "/ca/reload",
        id: "reloadCa",
        summary: "Reads the issuing CA again.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("CaReloaded")),
    },
    get("/contracts", "listContracts", "The published contracts.", Many(&Named("ContractLine")))
        .with(AS_OF),
    Operation {
        method: "POST",
        path: "/contracts",
        id: "publishContract",
        summary: "Publishes a contract.",
        query: &[],
        body: Body::Text("application/yaml"),
        answer: Body::Json(Named("Published")),
    },
    get("/partners", "listPartners", "The pinned partners.", Many(&Named("PartnerLine")))
        .with(AS_OF),
    post(
        "/partners",
        "addPartner",
        "Pins a partner by its signed record.",
        (Any, Named("PartnerLine")),
    ),
    post(
        "/partners/{did}/remove",
        "removePartner",
        "Takes a partner out; its connections close.",
        (Named("Reason"), Named("PartnerLine")),
    ),
    get("/catalog", "showCatalog", "What a partner offers us.", Many(&Named("DatasetLine")))
        .with(&[("partner", Text, true)]),
    get(
        "/negotiations",
        "listNegotiations",
        "The negotiations, those that wait for us first.",
        Many(&Named("NegotiationLine")),
    ),
    post(
        "/negotiations",
        "negotiate",
        "Negotiates for a dataset of a partner.",
        (Named("Negotiate"), Named("AgreementLine")),
    ),
    post(
        "/negotiations/offers",
        "offerUnasked",
        "Offers a dataset to a partner that has not asked for it.",
        (Named("OfferAsked"), Named("NegotiationShown")),
    ),
    get(
        "/negotiations/{id}",
        "showNegotiation",
        "A negotiation: what was asked or offered last, and what may be decided now.",
        Named("NegotiationShown"),
    ),
    Operation {
        method: "POST",
        path: "/negotiations/{id}/accept",
        id: "acceptNegotiation",
        summary: "Accepts what the other side offers, or agrees to what it asks for.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("NegotiationShown")),
    },
    post(
        "/negotiations/{id}/counter",
        "counterNegotiation",
        "Answers with other terms.",
        (Named("CounterAsked"), Named("NegotiationShown")),
    ),
    post(
        "/negotiations/{id}/terminate",
        "terminateNegotiation",
        "Ends a negotiation.",
        (Named("TerminateAsked"), Named("NegotiationShown")),
    ),
    get(
        "/transfers",
        "listTransfers",
        "The transfers, those that wait for us first.",
        Many(&Named("TransferLine")),
    ),
    get(
        "/transfers/{id}",
        "showTransfer",
        "A transfer: where it stands, and what may be decided now.",
        Named("TransferShown"),
    ),
    post(
        "/transfers/{id}/suspend",
        "suspendTransfer",
        "Pauses a transfer until a person resumes it.",
        (Named("TerminateAsked"), Named("TransferShown")),
    ),
    Operation {
        method: "POST",
        path: "/transfers/{id}/resume",
        id: "resumeTransfer",
        summary: "Lets data flow again.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("TransferShown")),
    },
    Operation {
        method: "POST",
        path: "/transfers/{id}/complete",
        id: "completeTransfer",
        summary: "Says that a transfer is done.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("TransferShown")),
    },
    post(
        "/transfers/{id}/terminate",
        "terminateTransfer",
        "Ends a transfer.",
        (Named("TerminateAsked"), Named("TransferShown")),
    ),
    get(
        "/processes/{id}/why",
        "whyProcess",
        "The story of a negotiation or transfer: messages, decisions, attempts, what is missing.",
        Named("WhyShown"),
    ),
    post(
        "/pushes",
        "push",
        "Asks a partner to send a view, verifies and stores what comes.",
        (Named("Pull"), Named("Pulled")),
    ),
    post(
        "/pulls",
        "pull",
        "Fetches a view under an agreement, verifies and stores it.",
        (Named("Pull"), Named("Pulled")),
    ),
    post(
        "/fetches",
        "fetch",
        "Fetches data of somebody else's connector under an agreement; they are not kept.",
        (Named("Fetch"), Named("Fetched")),
    ),
    get(
        "/subscriptions",
        "listSubscriptions",
        "The streams of partners that are followed, and those that have ended.",
        Many(&Named("SubscriptionLine")),
    ),
    post(
        "/subscriptions",
        "subscribe",
        "Follows the stream of a view from now on, and after every start.",
        (Named("Subscribe"), Named("SubscriptionLine")),
    ),
    get(
        "/subscriptions/{id}/receipts",
        "followReceipts",
        "The receipts of the events that were stored behind a position, as soon as there are any.",
        Named("Followed"),
    )
    .with(&[("after", Count, false)]),
    Operation {
        method: "POST",
        path: "/subscriptions/{id}/end",
        id: "endSubscription",
        summary: "Ends a subscription; what was stored stays.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Named("SubscriptionLine")),
    },
    Operation {
        method: "POST",
        path: "/learned",
        id: "signLearned",
        summary: "Our signature on the digest of what a program of ours has learned.",
        query: &[],
        body: Body::Json(Named("SignLearned")),
        answer: Body::Bytes,
    },
    get("/agreements", "listAgreements", "The agreements.", Many(&Named("AgreementLine")))
        .with(AS_OF),
    get("/agreements/{id}", "showAgreement", "An agreement.", Named("AgreementLine")).with(AS_OF),
    Operation {
        method: "GET",
        path: "/agreements/{id}/proof",
        id: "proveAgreement",
        summary: "The bundle that proves when an agreement was concluded.",
        query: &[],
        body: Body::None,
        answer: Body::Bytes,
    },
    post(
        "/agreements/{id}/revoke",
        "revokeAgreement",
        "Ends an agreement.",
        (Named("Reason"), Named("AgreementLine")),
    ),
    get("/incidents", "listIncidents", "The incidents.", Many(&Named("IncidentLine"))).with(AS_OF),
    post(
        "/incidents",
        "openIncident",
        "Opens an incident and asks the owners of twins to contain them.",
        (Named("OpenIncident"), Named("IncidentLine")),
    ),
    get(
        "/incidents/{id}",
        "showIncident",
        "An incident with its containments and their answers.",
        Named("IncidentShown"),
    )
    .with(AS_OF),
    post(
        "/containments/{id}/confirm",
        "confirmContainment",
        "Says that the twins of a containment are contained.",
        (Named("Respond"), Named("IncidentLine")),
    ),
    post(
        "/containments/{id}/refuse",
        "refuseContainment",
        "Says that they will not be.",
        (Named("Respond"), Named("IncidentLine")),
    ),
    post(
        "/containments/{id}/release",
        "releaseContainment",
        "Says that they are contained no more.",
        (Named("Respond"), Named("IncidentLine")),
    ),
    get("/copies", "listCopies", "What partners have delivered.", Many(&Named("CopyLine")))
        .with(&[("agreement", Text, false), ("limit", Count, false), ("after", Text, false)]),
    get(
        "/copies/{id}",
        "readCopy",
        "The rows of a copy, if the terms of its agreement permit this use of them.",
        Named("CopyRead"),
    )
    .with(&[("purpose", Text, false), ("place", Text, false)]),
    get("/receipts", "listReceipts", "The newest receipts.", Many(&Named("ReceiptLine")))
        .with(NEWEST),
    get("/receipts/{id}", "showReceipt", "A receipt.", Named("ReceiptLine")).with(AS_OF),
    Operation {
        method: "GET",
        path: "/receipts/{id}/proof",
        id: "proveReceipt",
        summary: "The bundle that proves a delivery.",
        query: &[],
        body: Body::None,
        answer: Body::Bytes,
    },
    Operation {
        method: "GET",
        path: "/receipts/{id}/deletion",
        id: "proveDeletion",
        summary: "The bundle that proves the deletion receipt of a delivery.",
        query: &[],
        body: Body::None,
        answer: Body::Bytes,
    },
    get("/decisions", "listDecisions", "The newest decisions.", Many(&Named("DecisionLine")))
        .with(NEWEST),
    get(
        "/decisions/{id}",
        "showDecision",
        "A decision with its signed record.",
        Named("DecisionShown"),
    )
    .with(AS_OF),
    Operation {
        method: "GET",
        path: "/decisions/{id}/proof",
        id: "proveDecision",
        summary: "The bundle that proves a decision.",
        query: &[],
        body: Body::None,
        answer: Body::Bytes,
    },
    get("/kpis", "showKpis", "How well the exchange does.", Named("Kpis")),
    get(
        "/log",
        "showLog",
        "Our log, its witnesses, and what was seen of the logs of partners.",
        Named("LogShown"),
    )
    .with(&[("after", Count, false)]),
    get(
        "/log/alerts/{id}",
        "showAlert",
        "An alert that a partner's log keeps two histories, with both notes.",
        Named("AlertShown"),
    ),
    get(
        "/log/inclusion",
        "proveTick",
        "That a tick is under our checkpoint.",
        Named("InclusionShown"),
    )
    .with(&[("tick", Count, true), ("size", Count, false)]),
    get(
        "/log/consistency",
        "proveConsistency",
        "That our checkpoint of one size continues that of another.",
        Named("ConsistencyShown"),
    )
    .with(&[("old", Count, true), ("new", Count, false)]),
    Operation {
        method: "GET",
        path: "/witness",
        id: "showWitness",
        summary: "Our signed statement that we are a witness.",
        query: &[],
        body: Body::None,
        answer: Body::Bytes,
    },
    get(
        "/strangers",
        "listStrangers",
        "Who was turned away before the federation door was asked.",
        Named("Strangers"),
    ),
    get("/clock", "showClock", "Both clocks.", Named("Clocks")),
    post("/clock", "setClock", "Sets a driven policy clock.", (Named("SetClock"), Named("Clocks"))),
];

/// Those of the data door.
pub(super) const DATA: &[Operation] = &[
    get(
        "/data/{transfer}",
        "fetchPage",
        "A page of the view of a transfer, with the bundle that proves it.",
        Named("Delivery"),
    )
    .with(&[
        ("since", Time, false),
        ("until", Time, false),
        ("after", Text, false),
        ("anchor", Count, false),
        ("ledger", Count, false),
    ]),
    Operation {
        method: "GET",
        path: "/data/{transfer}/stream",
        id: "streamView",
        summary: "The view of a transfer as server-sent events: each a page with the bundle that proves it.",
        query: &[
            ("after", Count, false),
            ("from", Text, false),
            ("anchor", Count, false),
            ("ledger", Count, false),
        ],
        body: Body::None,
        answer: Body::Text("text/event-stream"),
    },
    Operation {
        method: "POST",
        path: "/data/{transfer}/token",
        id: "refreshToken",
        summary: "A fresh access token, in a TransferStartMessage of the Dataspace Protocol.",
        query: &[],
        body: Body::None,
        answer: Body::Json(Any),
    },
];
