//! Floor 3: whether a request may be answered, why, until when, and what it obliges to.
//!
//! [`decide`] is pure and denies by default. A permit carries a [`Grant`], which nothing else can
//! make, and [`Grant::apply`] is the only way to a [`Permitted`] view: it holds the rows against
//! the grant once more before they may leave.
//!
//! ```
//! use twinpact_policy::{Decision, Outcome, Permitted};
//! use twinpact_model::{PolicyTime, Problem, View};
//!
//! /// How a view leaves: through the grant of a decision, or not at all.
//! fn answer(
//!     decision: Decision,
//!     view: View,
//!     now: PolicyTime,
//!     epoch: u64,
//! ) -> Result<Permitted<View>, Problem> {
//!     match decision.outcome {
//!         Outcome::Permit(grant) => grant.apply(view, now, epoch),
//!         Outcome::Deny(code) => Err(Problem::new(code, decision.sentence)),
//!     }
//! }
//! ```

mod checks;
mod decide;
mod decision;
mod grant;
mod request;
mod sentence;
mod times;

pub use checks::Check;
pub use decide::decide;
pub use decision::{Decision, Outcome, PERMIT};
pub use grant::{Grant, Permitted};
pub use request::{
    AgreementFacts, Assertion, AssertionFault, Assurance, Caller, MAX_ASSERTION_S, MAX_SKEW_S,
    Recognised, Request, State, TokenFacts, TokenFault,
};
pub use twinpact_contract::{Action, Duty, Truth, Vocabulary};
