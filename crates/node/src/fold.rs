//! The state of a node: a fold over its log. Deleting everything but the log changes nothing here.

use crate::agreements::Agreements;
use crate::behind::Behind;
use crate::contracts::Contracts;
use crate::copies::Copies;
use crate::cosignatures::Cosignatures;
use crate::countersignatures::Countersignatures;
use crate::decisions::Decisions;
use crate::deletions::Deletions;
use crate::divergence::Divergences;
use crate::erasures::Erasures;
use crate::incidents::Incidents;
use crate::invitations::Invitations;
use crate::kpis::Counted;
use crate::organisation::Organisation;
use crate::partners::PinnedPartners;
use crate::processes::Processes;
use crate::subscriptions::Subscriptions;
use crate::witness::Witnessing;
use twinpact_model::entry::{Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_policy::PERMIT;
use twinpact_store::Committed;
use twinpact_store::forest::{DECISIONS, EVENTS, LOCAL, TreeNo};
use twinpact_twin::Twins;

/// What the log says, taken together.
pub struct Fold {
    /// Models and twins.
    pub twins: Twins,
    /// Our own organisation record.
    pub organisation: Organisation,
    /// Contracts that were published.
    pub contracts: Contracts,
    /// Pinned partners.
    pub partners: PinnedPartners,
    /// Agreements.
    pub agreements: Agreements,
    /// Negotiations, transfers, tokens, outbox.
    pub processes: Processes,
    /// Decisions and their uses.
    pub decisions: Decisions,
    /// Copies from partners, their receipts and pins.
    pub copies: Copies,
    /// Streams of partners that we follow.
    pub subscriptions: Subscriptions,
    /// What both parties have signed.
    pub countersignatures: Countersignatures,
    /// Deletion receipts, and what is owed to us.
    pub deletions: Deletions,
    /// Duties to erase, and who has rows of what.
    pub erasures: Erasures,
    /// Invitations of ours.
    pub invitations: Invitations,
    /// Incidents and containments.
    pub incidents: Incidents,
    /// What is counted of the exchange.
    pub counted: Counted,
    /// Checkpoints of ours that our log does not contain.
    pub behind: Behind,
    /// What we have cosigned as a witness.
    pub witnessing: Witnessing,
    /// What witnesses have cosigned for us.
    pub cosignatures: Cosignatures,
    /// Logs of partners that have shown two histories, or may have.
    pub divergences: Divergences,
    pub(crate) first_recorded: Option<i64>,
    pub(crate) last_recorded: i64,
}

impl Fold {
    /// The state of an empty log; ids at sources are remembered under this key.
    #[must_use]
    pub fn new(idempotency_key: [u8; 32]) -> Fold {
        Fold {
            twins: Twins::new(idempotency_key),
            organisation: Organisation::default(),
            contracts: Contracts::default(),
            partners: PinnedPartners::default(),
            agreements: Agreements::default(),
            processes: Processes::default(),
            decisions: Decisions::default(),
            copies: Copies::default(),
            subscriptions: Subscriptions::default(),
            countersignatures: Countersignatures::default(),
            deletions: Deletions::default(),
            erasures: Erasures::default(),
            invitations: Invitations::default(),
            incidents: Incidents::default(),
            counted: Counted::default(),
            behind: Behind::default(),
            witnessing: Witnessing::default(),
            cosignatures: Cosignatures::default(),
            divergences: Divergences::default(),
            first_recorded: None,
            last_recorded: 0,
        }
    }

    /// Takes an entry into the state: the same at commit and at replay.
    ///
    /// # Errors
    /// `internal` when the log contradicts itself.
    pub fn apply(&mut self, logged: &Committed) -> Result<(), Problem> {
        let recorded = logged.entry.when.recorded.micros();
        self.first_recorded.get_or_insert(recorded);
        self.last_recorded = self.last_recorded.max(recorded);
        let entry = &logged.entry;
        match logged.tree {
            EVENTS => {
                self.twins.apply(entry, logged.index)?;
                self.organisation.apply(entry, logged.index)?;
                self.contracts.apply(entry)?;
                self.partners.apply(entry, logged.index)?;
                self.deletions.apply(entry, logged.index)?;
                self.erasures.apply(entry)?;
                self.agreements.apply(entry, logged.index)?;
                self.incidents.apply(entry, logged.index)
            }
            DECISIONS => {
                self.decisions.apply(entry, logged.index)?;
                self.met(entry);
                Ok(())
            }
            LOCAL => {
                self.processes.apply(entry, logged.index)?;
                self.copies.apply(entry)?;
                self.counted.apply(entry);
                self.subscriptions.apply(entry)?;
                self.invitations.apply(entry)?;
                self.countersignatures.apply(entry)?;
                self.erasures.apply(entry)?;
                self.countersigned(entry);
                self.behind.apply(entry)?;
                self.witnessing.apply(entry)?;
                self.cosignatures.apply(entry)?;
                self.divergences.apply(entry)
            }
            ledger => {
                self.deletions.delivered((ledger, logged.index), logged.leaf, entry);
                Ok(())
            }
        }
    }

    /// A request met a decision, or we read a copy of ours.
    fn met(&mut self, entry: &Entry) {
        let id = entry.get("decision").filter(|_| entry.who.kind == Kind::Used);
        let Some((agreement, code)) = id.and_then(|id| self.decisions.outcome(id)) else { return };
        self.counted.met(agreement, code, entry);
        let read = entry.get("copy").filter(|_| code == PERMIT);
        if let Some(bytes) = read.and_then(|receipt| self.copies.first_read(receipt)) {
            self.counted.used(agreement, bytes);
        }
    }

    /// A receipt of ours was countersigned by its consumer: the delivery is to be deleted in time.
    fn countersigned(&mut self, entry: &Entry) {
        let index = entry.get("index").filter(|_| entry.who.kind == Kind::Countersignature);
        let known = entry.get("agreement").and_then(|id| self.agreements.get(id).ok());
        let ledger = known.and_then(|known| known.ledger);
        if let (Some(ledger), Some(Ok(index))) = (ledger, index.map(str::parse)) {
            self.deletions.countersigned((ledger, index));
        }
    }

    /// An entry cannot be read, since its key was destroyed: what destroyed it is still to come.
    pub(crate) fn gone(&mut self, tree: TreeNo) {
        if tree == EVENTS {
            self.twins.gone();
        }
    }

    /// The smallest `recorded`, in microseconds since 1970.
    #[must_use]
    pub fn first_recorded(&self) -> Option<i64> {
        self.first_recorded
    }

    /// The largest `recorded` so far, in microseconds since 1970.
    #[must_use]
    pub fn last_recorded(&self) -> i64 {
        self.last_recorded
    }
}
