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
    // By name, so that what the fold gets next cannot be forgotten here.
    let Fold {
        twins,
        organisation,
        contracts,
        partners,
        agreements,
        processes,
        decisions,
        copies,
        subscriptions,
        countersignatures,
        deletions,
        erasures,
        invitations,
        incidents,
        counted,
        behind,
        witnessing,
        cosignatures,
        divergences,
        first_recorded,
        last_recorded,
    } = fold;
    let mut chain = Chain::default();
    chain.part("log", &forest.log_id());
    chain.part("trees", &forest.state());
    chain.part("twins", &twins.ordered());
    chain.part("organisation", organisation);
    chain.part("contracts", contracts);
    chain.part("partners", partners);
    chain.part("agreements", agreements);
    chain.part("processes", processes);
    chain.part("decisions", decisions);
    chain.part("copies", copies);
    chain.part("subscriptions", subscriptions);
    chain.part("countersignatures", countersignatures);
    chain.part("deletions", deletions);
    chain.part("erasures", erasures);
    chain.part("invitations", invitations);
    chain.part("incidents", incidents);
    chain.part("counted", counted);
    chain.part("behind", behind);
    chain.part("witnessing", witnessing);
    chain.part("cosignatures", cosignatures);
    chain.part("divergences", divergences);
    chain.part("recorded", &(first_recorded, last_recorded));
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

#[cfg(test)]
mod tests {
    use super::state;
    use crate::fold::Fold;
    use crate::processes::local;
    use twinpact_model::entry::{Attribute, Kind};
    use twinpact_proof::SecretKey;
    use twinpact_proof::note::Checkpoint;
    use twinpact_store::Forest;

    #[test]
    fn that_the_node_is_behind_is_part_of_the_state() {
        let (mut fold, forest) = (Fold::new([1; 32]), Forest::new([2; 32]));
        let before = state(&fold, &forest);
        assert_eq!(state(&fold, &forest), before);
        let origin = "operator.example/twinpact/0".to_owned();
        let note = Checkpoint { origin, size: 7, root: [3; 32] }.sign(&SecretKey::new(&[4; 32]));
        let shown = vec![Attribute::new("checkpoint", "text", note)];
        fold.behind.apply(&local(Kind::AnchorBehind, "did:web:a.example", shown).entry).unwrap();
        assert_ne!(state(&fold, &forest), before);
    }
}
