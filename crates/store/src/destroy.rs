//! Destruction of keys, and of what is sealed under them.
//!
//! An entry that has the attribute `destroys` names the numbers of keys. It is durable first; then
//! the keystore is replaced by one without them, and then every payload that they sealed is taken
//! out of the segments. Whatever is cut short is finished at the next start, before anything is
//! served. Tree, index and commitment of each entry stay, and so do all leaves, roots and proofs.
//! A key that is missing without such an entry is damage. Bytes: docs/format.md, "Destruction".

use crate::frame::{Frame, SealedEntry};
use crate::keystore::Keystore;
use crate::log::{Log, Place};
use crate::vfs::Vfs;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry};
use twinpact_model::problem::Problem;

const PATH: &str = "destroys";
const DATATYPE: &str = "keys";

/// The attribute of an entry that destroys these keys, once the entry is durable.
#[must_use]
pub fn attribute(keys: &[u64]) -> Attribute {
    let numbers: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Attribute::new(PATH, DATATYPE, numbers.join(","))
}

/// The keys that an entry destroys; `None` when what it says cannot be read.
pub(crate) fn destroyed_by(entry: &Entry) -> Option<Vec<u64>> {
    let named = entry.what.iter().find(|a| a.path == PATH && a.datatype == DATATYPE);
    match named.map(|a| a.lexical.as_str()) {
        None | Some("") => Some(Vec::new()),
        Some(text) => text.split(',').map(|number| number.parse().ok()).collect(),
    }
}

/// Which keys are used where, which are destroyed, and what is left to be done.
#[derive(Debug, Default)]
pub(crate) struct Destruction {
    /// The first and the last place at which a key is used.
    spans: HashMap<u64, (Place, Place)>,
    /// Keys that an entry of the log destroys.
    destroyed: BTreeSet<u64>,
    /// Keys that the log needs and the keystore does not have.
    missing: BTreeSet<u64>,
    /// The segments with payloads of destroyed keys, and the offsets of the first and the last
    /// frame in them that may have some.
    dirty: BTreeMap<u64, (u64, u64)>,
    /// The destroyed keys of the frame under way, and then those that are still there.
    owed: BTreeSet<u64>,
}

impl Destruction {
    /// Takes note of an entry that lies in the frame at that place.
    pub(crate) fn uses(&mut self, entry: &SealedEntry, place: Place) {
        for key in [entry.subject, u64::from(entry.bucket)] {
            let span = self.spans.entry(key).or_insert((place, place));
            span.1 = span.1.max(place);
        }
    }

    /// An entry was read whose keys are gone.
    pub(crate) fn gone(&mut self, keys: &Keystore, entry: &SealedEntry, place: Place) {
        let both = [entry.subject, u64::from(entry.bucket)];
        self.missing.extend(both.into_iter().filter(|key| keys.get(*key).is_none()));
        if !entry.is_taken_out() {
            self.soil(place.segment, (place.offset, place.offset));
        }
    }

    /// There may be payloads of destroyed keys in these frames of a segment.
    fn soil(&mut self, segment: u64, (first, last): (u64, u64)) {
        let span = self.dirty.entry(segment).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }

    /// An entry that is durable, or will be with the frame under way, destroys these keys.
    pub(crate) fn order(&mut self, keys: &[u64]) {
        self.destroyed.extend(keys);
        self.owed.extend(keys);
    }

    /// Whether every key that is missing was destroyed by an entry.
    pub(crate) fn explains_all(&self) -> bool {
        self.missing.is_subset(&self.destroyed)
    }

    /// The largest number of a key that was ever used or destroyed.
    pub(crate) fn last_key(&self) -> u64 {
        let used = self.spans.keys().max().copied().unwrap_or(0);
        used.max(self.destroyed.last().copied().unwrap_or(0))
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_done(&self) -> bool {
        self.owed.is_empty() && self.dirty.is_empty()
    }

    /// Destroys what is owed: the keys, then what they sealed.
    ///
    /// # Errors
    /// `store.io`: it is finished at the next start.
    pub(crate) fn finish(
        &mut self,
        vfs: &dyn Vfs,
        dir: &Path,
        keys: &mut Keystore,
        log: &mut Log,
    ) -> Result<(), Problem> {
        self.owed.retain(|key| keys.get(*key).is_some());
        let spans = self.owed.iter().filter_map(|key| self.spans.get(key).copied());
        for (first, last) in spans.collect::<Vec<_>>() {
            for segment in first.segment..=last.segment {
                let from = if segment == first.segment { first.offset } else { 0 };
                let to = if segment == last.segment { last.offset } else { u64::MAX };
                self.soil(segment, (from, to));
            }
        }
        if !self.owed.is_empty() {
            keys.destroy(vfs, dir, &self.owed)?;
            self.owed.clear();
        }
        let gone = |entry: &SealedEntry| !opens(keys, entry);
        let mut changed = false;
        while let Some((segment, span)) = self.dirty.first_key_value().map(|(s, span)| (*s, *span))
        {
            changed |= log.take_out(segment, span, gone)?;
            self.dirty.remove(&segment);
        }
        if changed { log.sweep() } else { Ok(()) }
    }
}

/// Whether both keys of an entry are there.
pub(crate) fn opens(keys: &Keystore, entry: &SealedEntry) -> bool {
    keys.get(entry.subject).is_some() && keys.get(u64::from(entry.bucket)).is_some()
}

/// Refuses what may not be destroyed: a key that is not there, or one that the log cannot be read
/// without; and an entry that would destroy itself.
pub(crate) fn check(keys: &Keystore, wanted: &[u64], own: (u64, u32)) -> Result<(), Problem> {
    let mortal = |number: &u64| {
        let known = keys.get(*number).is_some_and(|(_, meaning)| meaning.is_mortal());
        known && *number != own.0 && *number != u64::from(own.1)
    };
    match wanted.iter().all(mortal) {
        true => Ok(()),
        false => Err(Problem::new(codes::INTERNAL, "a key was to be destroyed that must stay")),
    }
}

/// The keys that a frame's entries name, as a reader of the log meets them.
pub(crate) fn note(destruction: &mut Destruction, frame: &Frame, place: Place) {
    frame.entries.iter().for_each(|entry| destruction.uses(entry, place));
}
