//! Reads as of a time: what this node had recorded by then, for its own people.

use crate::fold::Fold;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// The time, once it is known that the log had begun by then; `None` asks for the present.
///
/// # Errors
/// `asof.early` when nothing was recorded by then.
pub(crate) fn begun(fold: &Fold, as_of: Option<Timestamp>) -> Result<(), Problem> {
    let Some(time) = as_of else { return Ok(()) };
    let first = fold.first_recorded().map(Timestamp::from_micros);
    if first.is_some_and(|first| first <= time) {
        return Ok(());
    }
    let why = format!("nothing was recorded by {time}");
    Err(match first {
        Some(first) => Problem::new(codes::ASOF_EARLY, format!("{why}; our log begins at {first}"))
            .hint(format!("ask for {first} or later")),
        None => Problem::new(codes::ASOF_EARLY, format!("{why}; our log is empty")),
    })
}

/// Whether what was recorded at a time was known by another; `None` is the present.
pub(crate) fn known(recorded: Timestamp, as_of: Option<Timestamp>) -> bool {
    as_of.is_none_or(|time| recorded <= time)
}
