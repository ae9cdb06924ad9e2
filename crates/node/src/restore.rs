//! Opening a successor log over a directory that is an older copy of itself: offline, and one
//! frame. What is torn at the end of the log is cut once that is decided, and is on record in that
//! frame. The trees stay as they are; the anchor begins again under another origin, so that
//! nothing is ever signed twice (docs/format.md, "Successor").

use crate::behind::own_note;
use crate::clock::{Clocks, PolicyClock};
use crate::fold::Fold;
use crate::open::{cut_entry, read_config, replay};
use crate::organisation::origin;
use crate::partition::draft;
use std::path::Path;
use std::sync::Arc;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp};
use twinpact_proof::note::Checkpoint;
use twinpact_proof::successor::{MAX_PREDECESSORS, Predecessor};
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Bundle, Envelope, PublicKey, Record, Trust};
use twinpact_store::Cut;
use twinpact_store::directory::Directory;
use twinpact_store::forest::Forest;
use twinpact_store::vfs::{RealDisk, Vfs};

/// Why a log is given up, as it stands in the record.
const REASON: &str = "restored from an older copy";

/// A successor log that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its origin.
    pub origin: String,
    /// The logs before it, the newest last.
    pub predecessors: Vec<Predecessor>,
    /// What was torn at the end of the log, and is cut.
    pub cut: Option<Cut>,
}

/// A checkpoint that somebody kept of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The signed note.
    checkpoint: String,
    /// The records that came with it: ours names the key that has signed it.
    records: Vec<Envelope>,
}

impl Given {
    /// That of a proof, with the records in it, or a bare one.
    ///
    /// # Errors
    /// `input.malformed` when it is neither, since it is not UTF-8.
    pub fn read(bytes: &[u8]) -> Result<Given, Problem> {
        if let Ok(Bundle { checkpoint, records, .. }) = Bundle::parse(bytes) {
            return Ok(Given { checkpoint, records });
        }
        let bad = |_| Problem::new(codes::INPUT_MALFORMED, "the checkpoint is not UTF-8");
        let checkpoint = String::from_utf8(bytes.to_vec()).map_err(bad)?;
        Ok(Given { checkpoint, records: Vec::new() })
    }

    /// The checkpoint, when it is ours: signed by a key of the record that this copy has, or of a
    /// later one that such a key has signed.
    fn note(&self, organisation: &Did, fold: &Fold) -> Result<Checkpoint, Problem> {
        let keys = all_keys(organisation, fold, &self.records);
        own_note(&self.checkpoint, organisation, &keys).map_err(|problem| {
            problem.hint(
                "a copy that is older than the last change of the document key needs a proof, \
                 which has the record of the new key: twinpact receipt export at the partner",
            )
        })
    }
}

/// Our keys, past ones included, and those of the records of ours that follow on the one we have.
fn all_keys(organisation: &Did, fold: &Fold, records: &[Envelope]) -> Vec<PublicKey> {
    let ours = |one: &&Envelope| {
        Record::from_envelope(one).is_ok_and(|record| record.did == organisation.as_str())
    };
    let mut trust = Trust::default();
    let own = fold.organisation.current().ok().map(|(_, envelope)| envelope);
    if let Some(own) = own {
        for record in std::iter::once(own).chain(records.iter().filter(ours)) {
            // One that does not follow says nothing about us.
            let _ = trust.add(record, DECIDED);
        }
    }
    let pin = trust.organisation(organisation.as_str());
    pin.map(|pin| pin.keys.iter().map(|key| key.key.0).collect()).unwrap_or_default()
}

/// Opens a successor log in that directory, whose node must not run, on what a partner has shown or
/// on the signed checkpoint that is given.
///
/// # Errors
/// `anchor.current` when nothing shows that the directory is behind, `input.malformed` when the
/// checkpoint is none of ours, `input.too_large` after too many successors: nothing has changed
/// then. `store.*`, after which a torn end may have been cut.
pub fn successor(path: &Path, given: Option<&Given>) -> Result<Restored, Problem> {
    successor_on(Arc::new(RealDisk), path, given)
}

/// The same on that disk. What a failing disk refuses may be tried again: the log has its successor
/// then (`anchor.current`), or gets it.
///
/// # Errors
/// As [`successor`].
pub fn successor_on(
    disk: Arc<dyn Vfs>,
    path: &Path,
    given: Option<&Given>,
) -> Result<Restored, Problem> {
    let directory = Directory::open(disk.clone(), path)?;
    let organisation = read_config(disk.as_ref(), path)?.organisation;
    let (mut store, fold, cut) = replay(directory, &organisation)?;
    let given = given.map(|given| given.note(&organisation, &fold)).transpose()?;
    let forest = store.forest();
    let ahead = fold.behind.ahead_of(forest).chain(&given);
    let ahead: Vec<&Checkpoint> =
        ahead.filter(|shown| !crate::behind::contains(forest, shown)).collect();
    if ahead.is_empty() {
        let why = "nothing shows that this directory is an older copy of itself";
        return Err(Problem::new(codes::ANCHOR_CURRENT, why).hint(
            "a partner that was shown more says so with its next request to the running node; a \
             checkpoint or proof of ours that is newer is taken with --checkpoint FILE",
        ));
    }
    let predecessors = predecessors(&organisation, forest, &ahead)?;
    // Up to here nothing has changed.
    store.mend()?;
    let now = Clocks::new(PolicyClock::System).wall().0;
    let recorded = Timestamp::from_micros(now.micros().max(fold.last_recorded() + 1));
    let cuts = cut.map(|cut| draft(cut_entry(&organisation, cut), recorded, now.day()));
    store.succeed(predecessors.clone(), cuts.into_iter().collect(), now)?;
    Ok(Restored { origin: origin(&organisation, store.forest())?, predecessors, cut })
}

/// The logs before the new one, each at the largest size that is known of it: those of the record,
/// this one, and those that this copy has never heard of.
fn predecessors(
    organisation: &Did,
    forest: &Forest,
    ahead: &[&Checkpoint],
) -> Result<Vec<Predecessor>, Problem> {
    let mut all = forest.predecessors().to_vec();
    let last = forest.ticks().checked_sub(1);
    let this = origin(organisation, forest)?;
    let own = last.and_then(|tick| forest.checkpoint(&this, tick));
    for found in own.iter().chain(ahead.iter().copied()) {
        match all.iter_mut().find(|one| one.origin == found.origin) {
            // Of two roots at one size, the one that a partner was shown.
            Some(one) if found.size >= one.size => (one.size, one.root) = (found.size, found.root),
            Some(_) => {}
            None => all.push(Predecessor {
                origin: found.origin.clone(),
                size: found.size,
                root: found.root,
                reason: REASON.to_owned(),
            }),
        }
    }
    if all.len() > MAX_PREDECESSORS {
        let why = format!("a record names {MAX_PREDECESSORS} logs before this one, and no more");
        return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
    }
    Ok(all)
}
