//! Floor 2: what an agreement says.
//!
//! ODRL terms are read from any JSON form that a peer's processor may have made of them ([`odrl`])
//! into one normal form ([`terms`]), which is hashed, decided, compared ([`compare`]) and put into
//! plain English ([`text`]). The contract document itself is ODCS v3.2.0 in YAML ([`document`]).
//! The invariant: what we do not know is refused when it is written; what we know and cannot decide
//! ([`catenax`]) is carried and denies; nothing is ignored when it is used.

pub mod catenax;
pub mod compare;
pub mod diagnostic;
pub mod document;
pub mod intersection;
mod lint;
mod odcs;
pub mod odrl;
mod odrl_read;
mod read_document;
mod row_schema;
pub mod scaffold;
pub mod situation;
pub mod terms;
pub mod text;
pub mod vocabulary;
mod yaml;

pub use catenax::{SetTest, Undecided};
pub use compare::{Comparison, Order, compare};
pub use diagnostic::{Diagnostic, Severity};
pub use document::Contract;
pub use intersection::intersection;
pub use situation::{Situation, Truth};
pub use terms::agreement_id;
pub use terms::{Action, Constraint, Duty, PlaceTest, PurposeTest, Rule, Terms, TimeTest};
pub use vocabulary::Vocabulary;
