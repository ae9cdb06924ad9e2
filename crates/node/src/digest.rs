//! The state digest: one number for all that a node knows. Two starts from one log give the same.
//!
//! It is over what the log was folded into and over the trees, so it tells whether state that was
//! thrown away has come back equal. It is for comparing what one release says; it is not signed,
//! and another release may keep its state in another form.

use crate::fold::Fold;
use std::fmt::{self, Debug, Write};
use twinpact_proof::digest::{Digest, sha256_parts};
use twinpact_store::Forest;

/// Text is hashed in pieces of this many bytes, so that the whole of it is never in memory.
const PIECE: usize = 1 << 16;

/// The digest over the state and the trees.
#[must_use]
pub fn state(fold: &Fold, forest: &Forest) -> Digest {
    let mut chain = Chain::default();
    chain.part("log", &forest.log_id());
    chain.part("trees", &forest.state());
    chain.part("twins", &fold.twins.ordered());
    chain.part("organisation", &fold.organisation);
    chain.part("contracts", &fold.contracts);
    chain.part("partners", &fold.partners);
    chain.part("agreements", &fold.agreements);
    chain.part("processes", &fold.processes);
    chain.part("decisions", &fold.decisions);
    chain.part("copies", &fold.copies);
    chain.part("countersignatures", &fold.countersignatures);
    chain.part("recorded", &(fold.first_recorded(), fold.last_recorded()));
    chain.done()
}

/// Each digest is over the one before and a piece of text.
#[derive(Default)]
struct Chain {
    digest: Digest,
    pending: String,
}

impl Chain {
    fn part(&mut self, name: &str, value: &dyn Debug) {
        // Writing to memory does not fail.
        let _ = writeln!(self, "{name} {value:?}");
    }

    fn fold(&mut self) {
        self.digest = sha256_parts(&[&self.digest, self.pending.as_bytes()]);
        self.pending.clear();
    }

    fn done(mut self) -> Digest {
        self.fold();
        self.digest
    }
}

impl Write for Chain {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.pending.push_str(text);
        if self.pending.len() >= PIECE {
            self.fold();
        }
        Ok(())
    }
}
