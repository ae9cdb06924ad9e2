//! Instants at which a source says several things of one twin under one id.
//!
//! Such an id is no key: a clock that was set back, or a zone that was taken for another, makes two
//! rows of one hour. Each row is a fact of its own (see [`crate::decide`]), so nothing is lost;
//! what collides is said, since one of the two is probably true of another time.

use crate::decide::{Observation, RowOutcome};
use std::collections::{BTreeMap, HashMap};
use twinpact_model::time::Timestamp;

/// An instant of a twin for which a batch has several rows of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The twin.
    pub twin: String,
    /// The instant.
    pub phen_start: Timestamp,
    /// How many rows there are, 2 at least.
    pub rows: u64,
}

/// The places at which the rows of a batch meet: taken before it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meetings(Vec<Meeting>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Meeting {
    twin: String,
    phen_start: Timestamp,
    /// The numbers of the rows, two at least.
    rows: Vec<usize>,
}

impl Meetings {
    /// Where several of these rows have one id, twin and instant.
    #[must_use]
    pub fn of(rows: &[Observation]) -> Meetings {
        let mut firsts = HashMap::with_capacity(rows.len());
        let mut found: BTreeMap<usize, Meeting> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            let place = (row.id.as_str(), row.twin.as_str(), row.phen_start);
            let first = *firsts.entry(place).or_insert(number);
            if first < number {
                let meeting = found.entry(first).or_insert_with(|| Meeting {
                    twin: row.twin.to_string(),
                    phen_start: row.phen_start,
                    rows: vec![first],
                });
                meeting.rows.push(number);
            }
        }
        Meetings(found.into_values().collect())
    }

    /// The colliding instants among the rows that were not refused, by their first row.
    #[must_use]
    pub fn collisions(&self, outcomes: &[RowOutcome]) -> Vec<Collision> {
        let taken = |row: &&usize| {
            outcomes.get(**row).is_some_and(|o| !matches!(o, RowOutcome::Refused { .. }))
        };
        let collision = |meeting: &Meeting| Collision {
            twin: meeting.twin.clone(),
            phen_start: meeting.phen_start,
            rows: meeting.rows.iter().filter(taken).count() as u64,
        };
        self.0.iter().map(collision).filter(|collision| collision.rows > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Meetings;
    use crate::decide::{Observation, RowOutcome};
    use twinpact_model::problem::Problem;
    use twinpact_model::{Timestamp, codes};

    fn row(id: &str, twin: &str, second: i64) -> Observation {
        let phen_start = Timestamp::from_seconds(second);
        Observation { id: id.into(), twin: twin.into(), phen_start, values: Vec::new() }
    }

    #[test]
    fn only_what_shares_id_twin_and_instant_collides() {
        let check = |rows: &[Observation], refused: &[usize], expect: &[(&str, i64, u64)]| {
            let outcome = |i: usize| match refused.contains(&i) {
                true => RowOutcome::Refused {
                    id: String::new(),
                    problem: Problem::new(codes::TWIN_VALUE, "no"),
                },
                false => RowOutcome::Duplicate,
            };
            let outcomes: Vec<RowOutcome> = (0..rows.len()).map(outcome).collect();
            let found = Meetings::of(rows).collisions(&outcomes);
            let found: Vec<(&str, i64, u64)> =
                found.iter().map(|c| (c.twin.as_str(), c.phen_start.seconds(), c.rows)).collect();
            assert_eq!(found, expect);
        };
        check(&[], &[], &[]);
        check(&[row("a", "t", 1), row("b", "t", 1)], &[], &[]);
        check(&[row("a", "t", 1), row("a", "t", 2), row("a", "u", 1)], &[], &[]);
        let rows = [
            row("b", "t", 2),
            row("a", "t", 1),
            row("a", "t", 1),
            row("b", "t", 2),
            row("a", "t", 1),
        ];
        check(&rows, &[], &[("t", 2, 2), ("t", 1, 3)]);
        check(&rows, &[0, 4], &[("t", 1, 2)]);
    }
}
