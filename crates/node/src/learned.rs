//! Our signature on what a program of ours has learned, so that it knows its own work again. It is
//! of its own type and names its digest alone: it serves nothing else.

use crate::api::SignLearned;
use crate::open::Node;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::Envelope;
use twinpact_proof::digest::{Digest, from_hex};
use twinpact_proof::learned::Learned;

/// Signs it.
///
/// # Errors
/// `agreement.unknown`; `input.malformed` when a digest is none; `store.stopped`.
pub fn sign(node: &Node, asked: &SignLearned) -> Result<Envelope, Problem> {
    let agreement = node
        .partition
        .read(|fold, _| fold.agreements.get(&asked.agreement).map(|one| one.id))??;
    let learned = Learned {
        issuer: node.config.organisation.to_string(),
        agreement,
        rule: digest("rule", &asked.rule)?,
        state: digest("state", &asked.state)?,
        at: node.clocks.wall().0.micros(),
    };
    Ok(learned.sign(node.signer().key()))
}

fn digest(what: &str, hex: &str) -> Result<Digest, Problem> {
    from_hex(hex).ok_or_else(|| {
        Problem::new(codes::INPUT_MALFORMED, format!("{what} is no SHA-256 digest in hex"))
    })
}
