//! What a scenario of the kit is, as data: who begins, which messages go where, what is refused,
//! and which state the connector under test shows afterwards.

/// One scenario: a name of the kit, and what is done in it from the side of the kit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// As the kit writes it, `CN_C:01-02`: area, group and number.
    pub(crate) id: &'static str,
    pub(crate) steps: &'static [Step],
}

pub(crate) const fn row(id: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario { id, steps }
}

/// What is done, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The version document names 2025-1 and where it lies.
    Versions,
    /// The catalogue has the dataset of the scenario.
    Catalog,
    /// That dataset is shown alone.
    Dataset,
    /// It is not, and the answer is an error of the protocol.
    NoDataset,
    /// The connector is told to begin.
    Initiate,
    /// We send this, and it is taken.
    Send(Message),
    /// We send this out of order, and it is refused.
    Refused(Message),
    /// The next message that we get is this.
    Receive(Message),
    /// The connector shows this state of the process at once.
    State(&'static str),
}

/// A message of a process, whoever sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// The first one of a process.
    Request,
    /// A consumer's other request within a negotiation.
    Counter,
    Offer,
    Accepted,
    Agreement,
    Verification,
    Finalized,
    Start,
    Suspension,
    Completion,
    Termination,
}

/// What a scenario is about, and which role the connector under test has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Metadata,
    Catalog,
    Negotiation(Role),
    Transfer(Role),
}

/// The role of the connector under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Provider,
    Consumer,
}

impl Scenario {
    pub(crate) fn area(&self) -> Area {
        match self.id.split(':').next().unwrap() {
            "MET" => Area::Metadata,
            "CAT" => Area::Catalog,
            "CN" => Area::Negotiation(Role::Provider),
            "CN_C" => Area::Negotiation(Role::Consumer),
            "TP" => Area::Transfer(Role::Provider),
            "TP_C" => Area::Transfer(Role::Consumer),
            other => panic!("{other} is no area"),
        }
    }

    /// The role of the connector; of what has no process it is the provider.
    pub(crate) fn role(&self) -> Role {
        match self.area() {
            Area::Negotiation(role) | Area::Transfer(role) => role,
            Area::Metadata | Area::Catalog => Role::Provider,
        }
    }

    /// The dataset or the agreement by which the connector knows what it has to do: `ACNC0102`.
    pub(crate) fn subject(&self) -> String {
        let (area, number) = self.id.split_once(':').unwrap();
        let process = if area == "CAT" { "" } else { "A" };
        format!("{process}{area}{number}").replace(['_', '-'], "")
    }

    /// The offer that is asked for: of the connector's catalogue, or of ours when it is told to.
    pub(crate) fn offer(&self) -> String {
        match self.role() {
            Role::Provider => format!("CD123:{}:456", self.subject()),
            Role::Consumer => format!("offer{}", self.subject()),
        }
    }

    /// Our process id in it, which is a segment of a path as it stands.
    pub(crate) fn pid(&self) -> String {
        format!("kit-{}", self.id.replace([':', '_'], "-").to_lowercase())
    }

    /// The first segment of the paths of its process.
    pub(crate) fn folder(&self) -> &'static str {
        match self.area() {
            Area::Transfer(_) => "transfers",
            _ => "negotiations",
        }
    }

    /// The `@type` in which the state of its process is shown.
    pub(crate) fn status(&self) -> &'static str {
        match self.area() {
            Area::Transfer(_) => "TransferProcess",
            _ => "ContractNegotiation",
        }
    }

    /// The `@type` of a refusal.
    pub(crate) fn error(&self) -> &'static str {
        match self.area() {
            Area::Metadata | Area::Catalog => "CatalogError",
            Area::Negotiation(_) => "ContractNegotiationError",
            Area::Transfer(_) => "TransferError",
        }
    }

    /// The `@type` of a message in it.
    pub(crate) fn kind(&self, message: Message) -> &'static str {
        let transfer = matches!(self.area(), Area::Transfer(_));
        match message {
            Message::Request if transfer => "TransferRequestMessage",
            Message::Request | Message::Counter => "ContractRequestMessage",
            Message::Offer => "ContractOfferMessage",
            Message::Accepted | Message::Finalized => "ContractNegotiationEventMessage",
            Message::Agreement => "ContractAgreementMessage",
            Message::Verification => "ContractAgreementVerificationMessage",
            Message::Start => "TransferStartMessage",
            Message::Suspension => "TransferSuspensionMessage",
            Message::Completion => "TransferCompletionMessage",
            Message::Termination if transfer => "TransferTerminationMessage",
            Message::Termination => "ContractNegotiationTerminationMessage",
        }
    }

    /// The path at which one who calls the process `pid` posts a message.
    pub(crate) fn path(&self, message: Message, pid: &str) -> String {
        let last = match message {
            Message::Request => return format!("/{}/request", self.folder()),
            Message::Counter => "request",
            Message::Offer => "offers",
            Message::Accepted | Message::Finalized => "events",
            Message::Agreement => "agreement",
            Message::Verification => "agreement/verification",
            Message::Start => "start",
            Message::Suspension => "suspension",
            Message::Completion => "completion",
            Message::Termination => "termination",
        };
        format!("/{}/{pid}/{last}", self.folder())
    }
}
