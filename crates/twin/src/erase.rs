//! Erasure of a twin: decided, folded, remembered.
//!
//! The event names the twin by a digest under a key of the node only: that it was erased is known
//! to whoever asks for it by name, and the name itself is kept nowhere. The entries about it cannot
//! be read any more when the log is folded again ([`Twins::gone`]), and the state is the same as if
//! they had been read first.

use crate::fold::{Twins, contradiction};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_proof::digest::{Digest, from_hex, to_hex};

/// The most bytes of the basis of an erasure.
pub const MAX_BASIS_BYTES: usize = 2_048;

/// That a twin was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The index of the event that says so.
    pub index: u64,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// On what basis.
    pub basis: String,
    /// How many entries there were about it.
    pub entries: u64,
}

impl Twins {
    /// The event that erases a twin. Whoever logs it has it destroy the twin's key.
    ///
    /// # Errors
    /// `twin.unknown`, `twin.erased` when it was erased before; `input.malformed` when there is no
    /// basis, `input.too_large` when it is longer than [`MAX_BASIS_BYTES`].
    pub fn erase(&self, twin: &str, basis: &str, actor: &str) -> Result<Entry, Problem> {
        let node = self.node(twin)?;
        if basis.trim().is_empty() {
            let why = "an erasure needs a basis: say on what ground the twin is erased";
            return Err(Problem::new(codes::INPUT_MALFORMED, why));
        }
        if basis.len() > MAX_BASIS_BYTES {
            let why = format!("a basis has at most {MAX_BASIS_BYTES} bytes");
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
        }
        Ok(Entry {
            who: Who::no_twin(Kind::TwinErased, actor),
            when: When::default(),
            why: Why::default(),
            what: vec![
                Attribute::new("subject", "text", to_hex(&self.pseudonym(twin))),
                Attribute::new("basis", "text", basis),
                Attribute::new("entries", "integer", node.seq.to_string()),
            ],
        })
    }

    /// That the twin of that id was erased, if it was.
    #[must_use]
    pub fn erased(&self, twin: &str) -> Option<&Erased> {
        // To make a digest for every twin that is new is work, so it is only done when it may tell.
        if self.erased.is_empty() { None } else { self.erased.get(&self.pseudonym(twin)) }
    }

    /// The twins that were erased, by what stands for them.
    pub fn erasures(&self) -> impl Iterator<Item = (&Digest, &Erased)> {
        self.erased.iter()
    }

    /// What stands for an erased twin: nobody without the node's key can tell whose it is.
    #[must_use]
    pub fn pseudonym(&self, twin: &str) -> Digest {
        // Sources and ids are JSON arrays: none of them begins so.
        self.idempotency_key.mac(format!("erased {twin}").as_bytes())
    }

    /// An entry of the tree of events cannot be read, since its key was destroyed.
    pub fn gone(&mut self) {
        self.gone += 1;
    }

    /// Refuses a twin that was erased, with when and on what basis.
    pub(crate) fn not_erased(&self, twin: &str) -> Result<(), Problem> {
        let Some(erased) = self.erased(twin) else { return Ok(()) };
        let (when, basis) = (erased.recorded, &erased.basis);
        let why = format!("the twin {twin:?} was erased at {when}: {basis}");
        Err(Problem::new(codes::TWIN_ERASED, why)
            .hint("what was erased does not come back, whatever source has it still"))
    }

    pub(crate) fn apply_erased(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let read = || {
            let entries = entry.get("entries")?.parse().ok()?;
            Some((from_hex::<32>(entry.get("subject")?)?, entry.get("basis")?, entries))
        };
        let (subject, basis, entries) =
            read().ok_or_else(|| contradiction("an erasure cannot be read"))?;
        let (basis, recorded) = (basis.to_owned(), entry.when.recorded);
        // After a restart the twin is not there any more, but links of others to it are.
        let named = |twin: &str| self.pseudonym(twin) == subject;
        let twin = self.nodes.keys().map(String::as_str).find(|twin| named(twin));
        let linked = || self.links.ends().find(|twin| named(twin));
        if let Some(twin) = twin.or_else(linked).map(str::to_owned) {
            if let Some(node) = self.nodes.remove(&twin) {
                self.seen.forget(node.number);
            }
            self.links.forget(&twin);
        }
        self.erased.insert(subject, Erased { index, recorded, basis, entries });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
