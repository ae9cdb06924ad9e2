//! Whether a constraint holds, in three values (Kleene's strong logic).
//!
//! What cannot be computed is [`Truth::Unknown`], never quietly true or false: the decision then
//! makes of it a refusal, in permissions and prohibitions alike. Times flip in closed form
//! ([`Constraint::next_change`]), so that nobody has to poll.

use crate::terms::{Constraint, PlaceTest, PurposeTest, TimeTest};
use crate::vocabulary::Vocabulary;
use twinpact_model::Timestamp;

/// True, false, or not to be known. Ordered so that `and` is the least and `or` the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be computed.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    /// True of yes.
    #[must_use]
    pub fn of(yes: bool) -> Self {
        if yes { Truth::True } else { Truth::False }
    }

    /// All hold; true of none.
    pub fn all(parts: impl IntoIterator<Item = Truth>) -> Self {
        parts.into_iter().min().unwrap_or(Truth::True)
    }

    /// One holds; false of none.
    pub fn any(parts: impl IntoIterator<Item = Truth>) -> Self {
        parts.into_iter().max().unwrap_or(Truth::False)
    }

    /// The opposite; unknown stays unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
            Truth::True => Truth::False,
        }
    }

    /// Its name in a decision record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Truth::False => "false",
            Truth::Unknown => "unknown",
            Truth::True => "true",
        }
    }
}

/// What is known when a constraint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation<'a> {
    /// The purpose that the asker has signed, as a full IRI.
    pub purpose: Option<&'a str>,
    /// The place of use that the asker has signed, as a full IRI.
    pub place: Option<&'a str>,
    /// What the policy clock says.
    pub now: Timestamp,
}

impl Constraint {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, situation: &Situation<'_>, vocabulary: &Vocabulary) -> Truth {
        match self {
            Constraint::Purpose { test, purposes } => match situation.purpose {
                Some(purpose) => purpose_holds(*test, purposes, purpose, vocabulary),
                None => Truth::Unknown,
            },
            Constraint::Place { test, regions } => match situation.place {
                Some(place) => place_holds(*test, regions, place, vocabulary),
                None => Truth::Unknown,
            },
            Constraint::Schedule(schedule) => Truth::of(schedule.contains(situation.now)),
            Constraint::Undecided(_) => Truth::Unknown,
            Constraint::Time { test, at } => Truth::of(match test {
                TimeTest::Lt => situation.now < *at,
                TimeTest::Lteq => situation.now <= *at,
                TimeTest::Gt => situation.now > *at,
                TimeTest::Gteq => situation.now >= *at,
                TimeTest::Eq => situation.now == *at,
            }),
        }
    }

    /// The first instant after `at` from which it holds or no longer holds by the clock alone;
    /// `None` when the clock will never change it.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Constraint::Purpose { .. } | Constraint::Place { .. } | Constraint::Undecided(_) => {
                None
            }
            Constraint::Schedule(schedule) => schedule.next_change(at),
            Constraint::Time { test, at: bound } => {
                // The last microsecond of the year 9999 has none after it.
                let after = Timestamp::from_micros(bound.micros().saturating_add(1));
                let flips = match test {
                    TimeTest::Lt | TimeTest::Gteq => [*bound, *bound],
                    TimeTest::Lteq | TimeTest::Gt => [after, after],
                    TimeTest::Eq => [*bound, after],
                };
                flips.into_iter().find(|flip| *flip > at)
            }
        }
    }
}

fn purpose_holds(test: PurposeTest, set: &[String], purpose: &str, v: &Vocabulary) -> Truth {
    let within = || set.iter().map(|of| v.purpose_within(purpose, of));
    match test {
        PurposeTest::AnyOf => Truth::any(within()),
        PurposeTest::AllOf => Truth::all(within()),
        PurposeTest::NoneOf => Truth::any(within()).negated(),
        PurposeTest::Eq => {
            Truth::any(set.iter().map(|of| exactly(purpose == of, v.purpose_within(purpose, of))))
        }
    }
}

fn place_holds(test: PlaceTest, set: &[String], place: &str, v: &Vocabulary) -> Truth {
    Truth::any(set.iter().map(|of| match test {
        PlaceTest::Within => v.place_within(place, of),
        PlaceTest::Exactly => exactly(place == of, v.place_within(place, of)),
    }))
}

/// Whether a name is exactly another: a kind of it is not, a broader one may be.
fn exactly(same: bool, inside: Truth) -> Truth {
    match (same, inside) {
        (true, _) => Truth::True,
        (_, Truth::Unknown) => Truth::Unknown,
        _ => Truth::False,
    }
}
