//! Partners: organisations whose signed record was pinned.

use crate::api::{GivenUp, PartnerLine};
use crate::as_of::{begun, known};
use crate::fold::Fold;
use crate::open::Node;
use crate::organisation::logged_record;
use crate::partition::NewEntry;
use crate::prove;
use std::collections::BTreeMap;
use std::sync::Arc;
use twinpact_identity::certificate::RootCertificate;
use twinpact_identity::partners::{Partner as TlsPartner, PartnerSet};
use twinpact_identity::spiffe::TrustDomain;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime, codes};
use twinpact_proof::successor::Predecessor;
use twinpact_proof::trust::{DECIDED, Refused};
use twinpact_proof::{Envelope, Json, Record, Trust, to_hex};
use twinpact_store::Store;
use twinpact_store::forest::EVENTS;

/// A pinned partner.
#[derive(Debug, Clone)]
pub struct Partner {
    /// What its record says.
    pub record: Record,
    /// The signed record.
    pub envelope: Envelope,
}

/// Partners by DID, and the trust that their records make.
#[derive(Debug, Clone, Default)]
pub struct PinnedPartners {
    by_did: BTreeMap<String, Arc<Partner>>,
    trust: Trust,
    /// Every pin and removal.
    past: Vec<Past>,
}

/// A pin or a removal of a partner.
#[derive(Debug, Clone)]
struct Past {
    recorded: Timestamp,
    /// The event: it holds the signed record, which is not kept here.
    index: u64,
    did: String,
    /// The partner from then on; `None` for a removal.
    line: Option<PartnerLine>,
}

impl PinnedPartners {
    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when a logged record cannot be read.
    pub fn apply(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let bad = || Problem::new(codes::INTERNAL, "a pinned record cannot be read");
        match entry.who.kind {
            Kind::PartnerPinned => {}
            Kind::PartnerRemoved => {
                let did = entry.get("organisation").ok_or_else(bad)?;
                self.take_out(did);
                let (recorded, did) = (entry.when.recorded, did.to_owned());
                self.past.push(Past { recorded, index, did, line: None });
                return Ok(());
            }
            _ => return Ok(()),
        }
        let envelope = logged_record(entry).ok_or_else(bad)?;
        let record = Record::from_envelope(&envelope).map_err(|_| bad())?;
        self.trust.add(&envelope, DECIDED).map_err(|_| bad())?;
        let partner = Partner { record, envelope };
        let did = partner.record.did.clone();
        let (recorded, line) = (entry.when.recorded, Some(line(&partner)));
        self.past.push(Past { recorded, index, did: did.clone(), line });
        self.by_did.insert(did, Arc::new(partner));
        Ok(())
    }

    /// Those that were partners at a time, as they were known then.
    fn by(&self, time: Timestamp) -> Vec<PartnerLine> {
        let mut then: BTreeMap<&str, &Option<PartnerLine>> = BTreeMap::new();
        for past in self.past.iter().filter(|past| past.recorded <= time) {
            then.insert(&past.did, &past.line);
        }
        then.into_values().flatten().cloned().collect()
    }

    /// Whom proofs of partners were verified against at a time, or are now. Of another time it is
    /// made again from the log, pin by pin, as it came about.
    ///
    /// # Errors
    /// `store.*`; `internal` when the log contradicts itself.
    pub(crate) fn trust_by(
        &self,
        store: &Store,
        as_of: Option<Timestamp>,
    ) -> Result<Trust, Problem> {
        if as_of.is_none() {
            return Ok(self.trust.clone());
        }
        let bad = || Problem::new(codes::INTERNAL, "a pinned record cannot be read");
        let mut trust = Trust::default();
        for past in self.past.iter().filter(|past| known(past.recorded, as_of)) {
            if past.line.is_none() {
                trust.organisations.retain(|pin| pin.did != past.did);
                continue;
            }
            let entry = store.entry(EVENTS, past.index)?.entry;
            trust.add(&logged_record(&entry).ok_or_else(bad)?, DECIDED).map_err(|_| bad())?;
        }
        Ok(trust)
    }

    /// Whoever pins it again decides anew whether to believe its record, as for the first time.
    fn take_out(&mut self, did: &str) {
        self.by_did.remove(did);
        self.trust.organisations.retain(|pin| pin.did != did);
    }

    /// The partner of that DID.
    ///
    /// # Errors
    /// `partner.unknown`.
    pub fn get(&self, did: &str) -> Result<&Arc<Partner>, Problem> {
        self.by_did.get(did).ok_or_else(|| {
            Problem::new(codes::PARTNER_UNKNOWN, format!("{did} is no partner"))
                .hint("join it with an invitation of its: twinpact join INVITATION")
        })
    }

    /// All partners.
    pub fn iter(&self) -> impl Iterator<Item = &Partner> {
        self.by_did.values().map(|partner| &**partner)
    }

    /// Whom proofs of partners are verified against.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The roots that TLS accepts, each for its own trust domain.
    ///
    /// # Errors
    /// `trust.conflict` when two partners share a trust domain.
    pub fn tls(&self) -> Result<PartnerSet, Problem> {
        tls_set(self.iter().map(|partner| &partner.record))
    }
}

fn tls_set<'r>(records: impl Iterator<Item = &'r Record>) -> Result<PartnerSet, Problem> {
    let partner = |record: &Record| {
        Ok(TlsPartner {
            did: Did::new(record.did.as_str())?,
            root: RootCertificate::from_der(&record.root_certificate)?,
        })
    };
    PartnerSet::new(records.map(partner).collect::<Result<Vec<_>, Problem>>()?)
}

/// Pins a partner's record. From now on its node is let in, and may be dialled.
///
/// # Errors
/// `trust.record` when it is none, `trust.conflict` when it contradicts what is pinned.
pub async fn add(node: &Node, record: &[u8]) -> Result<PartnerLine, Problem> {
    let (record, envelope) = read_record(record)?;
    if record.did == node.config.organisation.as_str() {
        return Err(Problem::new(codes::TRUST_CONFLICT_OWN, "this is our own record"));
    }
    let line = line(&Partner { record: record.clone(), envelope: envelope.clone() });
    let now = node.clocks.wall();
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| {
        match pinning(&ours, turn.fold(), &record, &envelope, now)? {
            Some(entry) => turn.log(vec![entry]).map(|_| ()),
            None => Ok(()),
        }
    });
    turn.await?;
    let_in(node)?;
    Ok(line)
}

/// The signed record in these bytes.
///
/// # Errors
/// `trust.record` when it is none.
pub(crate) fn read_record(bytes: &[u8]) -> Result<(Record, Envelope), Problem> {
    let envelope =
        Json::parse(bytes).ok().and_then(|json| Envelope::from_json(&json)).ok_or_else(|| {
            Problem::new(codes::TRUST_RECORD, "this is no signed organisation record")
        })?;
    let record = Record::from_envelope(&envelope)
        .map_err(|why| Problem::new(codes::TRUST_RECORD, why.to_string()))?;
    Ok((record, envelope))
}

/// The event that this record is pinned now; `None` when it is already.
///
/// # Errors
/// `trust.record` when it names the trust domain of another; `trust.conflict` when it contradicts
/// what is pinned, or TLS could not take it.
pub(crate) fn pinning(
    node: &Node,
    fold: &Fold,
    record: &Record,
    envelope: &Envelope,
    now: WallTime,
) -> Result<Option<NewEntry>, Problem> {
    if node.connectors.knows(&record.did) {
        // Who is known by certificate and signature must not be taken for one that is not.
        let why = format!("{} is a connector of the configuration", record.did);
        return Err(Problem::new(codes::TRUST_CONFLICT, why)
            .hint("take it out of connectors.peers in twinpact.toml and start again"));
    }
    let domain = domain_of(record)?;
    if record.trust_domain != domain.as_str() {
        let (did, named) = (&record.did, &record.trust_domain);
        let why = format!("the record of {did} names the trust domain {named}, and not {domain}");
        return Err(Problem::new(codes::TRUST_RECORD, why));
    }
    // A successor goes back behind nothing that we were shown.
    let next = fold.partners.trust.next(envelope, &fold.copies.seen(), now.0.micros());
    let next = next.map_err(|refused| match refused {
        Refused::Record(why) => Problem::new(codes::TRUST_RECORD, why.to_string()),
        Refused::Unsigned(why) => Problem::new(codes::TRUST_CONFLICT_KEYS, why),
        Refused::Ended(why) => Problem::new(codes::TRUST_CONFLICT_ENDED, why),
        Refused::Older(why) => Problem::new(codes::TRUST_CONFLICT_OLDER, why),
        Refused::Conflict(why) => Problem::new(codes::TRUST_CONFLICT, why),
    })?;
    if next.is_none() {
        return Ok(None);
    }
    // What TLS could not take is not pinned.
    let others = fold.partners.iter().filter(|other| other.record.did != record.did);
    tls_set(others.map(|other| &other.record).chain([record]))?;
    Ok(Some(NewEntry::event(entry(envelope))))
}

/// Lets in by TLS who is a partner now, and nobody else. From the state and while it stands still:
/// of two at once neither takes the other's away.
///
/// # Errors
/// `store.stopped`; `trust.conflict`, which pinning excludes.
pub(crate) fn let_in(node: &Node) -> Result<(), Problem> {
    node.partition.read(|fold, _| fold.partners.tls().map(|set| node.tls_partners.replace(set)))?
}

/// All partners, as they were known at a time or are known now.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<PartnerLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        Ok(match as_of {
            Some(time) => fold.partners.by(time),
            None => fold.partners.iter().map(|partner| seen(fold, line(partner))).collect(),
        })
    })?
}

/// Whom this organisation trusts: itself and its partners, as their records were pinned at a time
/// or are now.
///
/// # Errors
/// `asof.early`, `store.*`; `internal` when our own record cannot be pinned.
pub fn trust(node: &Node, as_of: Option<Timestamp>) -> Result<Trust, Problem> {
    node.partition.read(|fold, store| {
        begun(fold, as_of)?;
        let (_, own) = fold.organisation.by(store, as_of)?;
        prove::with_own(fold.partners.trust_by(store, as_of)?, &own)
    })?
}

/// A partner in a list.
pub(crate) fn line(partner: &Partner) -> PartnerLine {
    PartnerLine {
        organisation: partner.record.did.clone(),
        name: partner.record.name.clone(),
        endpoint: partner.record.dsp.clone(),
        fingerprint: to_hex(&partner.envelope.fingerprint()),
        given_up: partner.record.predecessors.iter().map(given_up).collect(),
    }
}

fn given_up(before: &Predecessor) -> GivenUp {
    let Predecessor { origin, size, root: _, reason } = before.clone();
    GivenUp { origin, size, seen: None, reason }
}

/// The line with what we have seen of the logs that were given up.
fn seen(fold: &Fold, mut line: PartnerLine) -> PartnerLine {
    for log in &mut line.given_up {
        log.seen = fold.copies.anchor(&log.origin).map(|seen| seen.size);
    }
    line
}

/// The trust domain of a partner: that of its DID, whatever the record says, so that a call to one
/// partner never reaches another.
///
/// # Errors
/// `identity.name` when the DID has none, which pinning excludes.
pub fn trust_domain(partner: &Partner) -> Result<TrustDomain, Problem> {
    domain_of(&partner.record)
}

fn domain_of(record: &Record) -> Result<TrustDomain, Problem> {
    TrustDomain::of_did(&Did::new(record.did.as_str())?)
}

fn entry(envelope: &Envelope) -> Entry {
    Entry {
        who: Who::no_twin(Kind::PartnerPinned, "local"),
        when: When::default(),
        why: Why::default(),
        what: vec![Attribute::new("record", "json", envelope.to_json().canonical())],
    }
}
