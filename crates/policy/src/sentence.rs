//! One plain sentence for a decision: what, why, and when or how it would be allowed.

use crate::checks::{Asked, Judged};
use twinpact_contract::{Constraint, Rule, Situation, Truth, Undecided, text};
use twinpact_model::{Code, Schedule, Timestamp, codes};

/// What there was, for the row of a condition.
pub(crate) fn actual(constraint: &Constraint, situation: &Situation<'_>) -> String {
    match constraint {
        Constraint::Purpose { .. } => {
            situation.purpose.map_or("no purpose".to_owned(), text::purpose_name)
        }
        Constraint::Place { .. } => situation.place.map_or("no place".to_owned(), text::place_name),
        Constraint::Schedule(schedule) => {
            let (day, clock) = text::local(schedule, situation.now);
            format!("{day} {clock} in {}", schedule.zone())
        }
        Constraint::Time { .. } => situation.now.to_string(),
        Constraint::Undecided(_) => "nobody here can tell".to_owned(),
    }
}

impl Asked<'_> {
    /// Why it is permitted, and until when.
    pub(crate) fn permitted(&self, permission: &Rule, until: Option<Timestamp>) -> String {
        let (purpose, place) = match &self.request.assertion {
            Some(assertion) => (
                text::purpose_name(&assertion.purpose),
                text::place_name(&self.place().unwrap_or_default()),
            ),
            None => ("no purpose".to_owned(), "no place".to_owned()),
        };
        let until = match until {
            Some(until) => format!("until {}", moment(schedule_of(permission), until)),
            None => "as long as the agreement stands".to_owned(),
        };
        format!("permitted: the agreement allows use for {purpose} in {place}; this holds {until}")
    }

    /// Why a prohibition refuses.
    pub(crate) fn forbidden(
        &self,
        judged: &Judged<'_>,
        opens: Option<Timestamp>,
    ) -> (Code, String) {
        let rule = text::rule(judged.rule);
        if judged.certain() {
            let how = self.how(schedule_of(judged.rule), opens, "ask for what it does not forbid");
            return (codes::POLICY_PROHIBITED, format!("the agreement forbids use {rule}; {how}"));
        }
        if judged.rule.undecided().next().is_some() {
            return undecided(judged.rule.undecided());
        }
        let unknown: Vec<&str> = judged
            .rows
            .iter()
            .filter(|row| row.outcome == Truth::Unknown)
            .map(|row| row.actual.as_str())
            .collect();
        let why = format!(
            "the agreement forbids use {rule}, and with {} it cannot be computed whether that is \
             so; ask with a purpose and a place that the vocabulary knows exactly",
            unknown.join(" and ")
        );
        (codes::POLICY_UNDEFINED, why)
    }

    /// Why no permission grants: the reason of the one that comes nearest.
    pub(crate) fn not_granted(
        &self,
        permissions: &[Judged<'_>],
        opens: Option<Timestamp>,
    ) -> (Code, String) {
        let timed = |c: &Constraint| matches!(c, Constraint::Schedule(_) | Constraint::Time { .. });
        let nearest = permissions.iter().min_by_key(|judged| {
            let lasting = judged.failures().filter(|(c, _)| !timed(c)).count();
            (lasting, judged.failures().count())
        });
        // Nothing helps against what nobody can tell: it comes before what waiting helps against.
        let rank = |c: &Constraint| (timed(c), text::rank(c));
        let first = nearest.and_then(|j| j.failures().min_by_key(|(c, _)| rank(c)));
        let Some((constraint, row)) = first else {
            let why = "the agreement grants nothing of that kind; negotiate one that does";
            return (codes::POLICY_UNDEFINED, why.to_owned());
        };
        let (actual, expected) = (&row.actual, &row.expected);
        let other = "ask for what it allows, or negotiate another agreement";
        match constraint {
            Constraint::Purpose { .. } => (
                codes::POLICY_PURPOSE,
                format!("the purpose is {actual} and the agreement allows use {expected}; {other}"),
            ),
            Constraint::Place { .. } => (
                codes::POLICY_PLACE,
                format!(
                    "the place of use is {actual} and the agreement allows use {expected}; {other}"
                ),
            ),
            Constraint::Schedule(schedule) => {
                let how = self.how(Some(schedule), opens, "no later hour is allowed either");
                let hours = text::hours(schedule);
                (
                    codes::POLICY_SCHEDULE,
                    format!("it is {actual} and the agreement allows use {hours}; {how}"),
                )
            }
            Constraint::Time { .. } => {
                let schedule = nearest.and_then(|j| schedule_of(j.rule));
                let how = self.how(schedule, opens, "negotiate another agreement");
                (
                    codes::POLICY_DATETIME,
                    format!("it is {actual} and the agreement allows use {expected}; {how}"),
                )
            }
            Constraint::Undecided(term) => {
                let rule = nearest.map(|judged| judged.rule);
                match rule {
                    Some(rule) => undecided(rule.undecided()),
                    None => undecided(std::iter::once(term)),
                }
            }
        }
    }

    fn how(
        &self,
        schedule: Option<&Schedule>,
        opens: Option<Timestamp>,
        otherwise: &str,
    ) -> String {
        match opens {
            Some(at) => format!("the door opens on {}", moment(schedule, at)),
            None => otherwise.to_owned(),
        }
    }
}

/// Why conditions that nobody here can decide refuse.
pub(crate) fn undecided<'a>(terms: impl Iterator<Item = &'a Undecided>) -> (Code, String) {
    let why = format!(
        "nobody here can tell whether {}; negotiate an agreement without that",
        text::whether_they_hold(terms)
    );
    (codes::POLICY_UNDECIDED, why)
}

fn schedule_of(rule: &Rule) -> Option<&Schedule> {
    rule.constraints.iter().find_map(|c| match c {
        Constraint::Schedule(schedule) => Some(schedule),
        _ => None,
    })
}

/// An instant on the clock of the schedule, or in UTC when there is none.
fn moment(schedule: Option<&Schedule>, at: Timestamp) -> String {
    match schedule {
        Some(schedule) => {
            let (day, clock) = text::local(schedule, at);
            format!("{day} at {clock} ({})", schedule.zone())
        }
        None => at.to_string(),
    }
}
