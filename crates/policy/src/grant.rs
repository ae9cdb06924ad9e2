//! The door: a [`Grant`] is what a permit gives, a [`Permitted`] value is what may leave.
//!
//! Neither can be made, cloned or changed elsewhere: their fields are private, [`crate::decide`] is
//! the only one to make a grant, and a grant the only one to make a permitted value: of a page with
//! [`Grant::apply`], of a part of a stream with [`Grant::apply_recorded`].
//!
//! ```compile_fail,E0451
//! // A permitted value cannot be written down.
//! use twinpact_policy::Permitted;
//! let (value, obligations, delete_by, decision) = ("rows", vec![], None, [0; 32]);
//! let forged = Permitted { value, obligations, delete_by, decision };
//! ```
//!
//! ```compile_fail,E0599
//! // It cannot be cloned.
//! fn twice(once: twinpact_policy::Permitted<u8>) {
//!     let _ = once.clone();
//! }
//! ```
//!
//! ```compile_fail,E0614
//! // It does not pass for what it holds.
//! fn open(permitted: twinpact_policy::Permitted<u8>) -> u8 {
//!     *permitted
//! }
//! ```
//!
//! ```compile_fail,E0277
//! // A value cannot be turned into a permitted one.
//! fn pass(rows: Vec<u8>) -> twinpact_policy::Permitted<Vec<u8>> {
//!     rows.into()
//! }
//! ```
//!
//! ```compile_fail,E0599
//! // A grant cannot be cloned either.
//! fn twice(once: twinpact_policy::Grant) {
//!     let _ = once.clone();
//! }
//! ```
//!
//! What can be done with one:
//!
//! ```
//! use twinpact_model::View;
//! use twinpact_policy::Permitted;
//!
//! fn write(permitted: &Permitted<View>) -> String {
//!     let rows = permitted.get().rows.len();
//!     format!("{rows} rows to delete by {:?}", permitted.delete_by())
//! }
//! ```

use crate::checks::Asked;
use std::fmt;
use twinpact_contract::Duty;
use twinpact_model::view::{Cursor, PageBounds, in_order};
use twinpact_model::{PolicyTime, Problem, Row, Selection, Timestamp, View, WallTime, codes};
use twinpact_proof::digest::Digest;

/// What a permit gives: these rows and columns of this view, from the instant of the decision until
/// a condition flips, in this epoch of the agreement.
#[derive(Debug)]
pub struct Grant {
    view: String,
    selection: Selection,
    obligations: Vec<Duty>,
    from: Timestamp,
    until: Option<Timestamp>,
    wall_until: Option<WallTime>,
    epoch: u64,
    decision: Digest,
}

impl Grant {
    pub(crate) fn new(
        asked: &Asked<'_>,
        until: Option<Timestamp>,
        wall_until: Option<WallTime>,
        obligations: Vec<Duty>,
        decision: Digest,
    ) -> Self {
        Grant {
            view: asked.agreement.target.clone(),
            selection: asked.agreement.selection.clone(),
            obligations,
            from: asked.now,
            until,
            wall_until,
            epoch: asked.agreement.epoch,
            decision,
        }
    }

    /// Which rows and columns it covers: to be pushed down into the query.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The decision that gave it.
    #[must_use]
    pub fn decision(&self) -> Digest {
        self.decision
    }

    /// Until when it is good by the policy clock; the instant itself is no longer covered.
    #[must_use]
    pub fn valid_until(&self) -> Option<PolicyTime> {
        self.until.map(PolicyTime)
    }

    /// Until when token and assertion are good by the wall clock. [`apply`](Self::apply) has no
    /// wall clock: who streams decides again at this instant.
    #[must_use]
    pub fn wall_until(&self) -> Option<WallTime> {
        self.wall_until
    }

    /// Holds a page of a view against the grant: its id, its columns, each row's twin, time and
    /// width, that it is the page that was asked for, the policy time and the epoch of the
    /// agreement as it is now.
    ///
    /// # Errors
    /// `policy.expired` when the grant is not, or no longer, good; `policy.rows` when the view
    /// holds anything that it does not cover. Then nothing of the view comes back.
    pub fn apply(
        &self,
        view: View,
        now: PolicyTime,
        epoch: u64,
    ) -> Result<Permitted<View>, Problem> {
        self.check_time(now.0, epoch)?;
        let other = self.beyond(&view).or_else(|| self.other_page(&view).map(str::to_owned));
        self.permitted(view, now, other)
    }

    /// Holds a part of a stream against the grant: all that a page is held against, but that its
    /// rows stand in the order in which they were recorded, and that it names no next page.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_recorded(
        &self,
        view: View,
        now: PolicyTime,
        epoch: u64,
    ) -> Result<Permitted<View>, Problem> {
        self.check_time(now.0, epoch)?;
        let next = || view.next.is_some().then(|| "a part of a stream names no page".to_owned());
        let other = self.beyond(&view).or_else(next);
        self.permitted(view, now, other)
    }

    /// What of a view the grant does not cover, if anything.
    fn beyond(&self, view: &View) -> Option<String> {
        let rows = |why: &str| Some(why.to_owned());
        if view.id != self.view {
            return rows("the view is another one than the permit's");
        }
        if view.columns != self.selection.columns {
            return rows("the columns are others than the permit's");
        }
        if let Some(i) = view.rows.iter().position(|row| !self.covers(row)) {
            return rows(&format!("row {i} is not covered by the permit"));
        }
        let bytes = view.rows.iter().map(Row::bytes).sum();
        let twins = view.rows.chunk_by(|a, b| a.twin == b.twin).count();
        let within = PageBounds::DELIVERY.hold(view.rows.len(), twins, bytes);
        (!within).then(|| "the page is beyond its bounds".to_owned())
    }

    /// The view, unless something speaks against it.
    fn permitted(
        &self,
        view: View,
        now: PolicyTime,
        against: Option<String>,
    ) -> Result<Permitted<View>, Problem> {
        if let Some(why) = against {
            return Err(Problem::new(codes::POLICY_ROWS, why));
        }
        let strictest = self.obligations.iter().map(|Duty::Delete { within_s }| *within_s).min();
        let delete_by = strictest.map(|within_s| {
            PolicyTime(now.0.plus_seconds(i64::try_from(within_s).unwrap_or(i64::MAX)))
        });
        let obligations = self.obligations.clone();
        Ok(Permitted { value: view, obligations, delete_by, decision: self.decision })
    }

    /// Why this is not a page that begins behind the cursor, if it is not.
    fn other_page(&self, view: &View) -> Option<&'static str> {
        let after = self.selection.after.as_ref();
        let places = || view.rows.iter().map(Row::place);
        if !in_order(after, places()) {
            return Some("the rows are out of order, or before the place that was asked for");
        }
        let ends = view.next.is_none() || view.next == Cursor::behind(after, places());
        (!ends).then_some("the next page would not go on where this one ends")
    }

    fn check_time(&self, now: Timestamp, epoch: u64) -> Result<(), Problem> {
        let expired = |why: String| {
            Err(Problem::new(codes::POLICY_EXPIRED, why).hint("ask again for a new decision"))
        };
        if epoch != self.epoch {
            return expired(format!("the permit is of epoch {} and it is {epoch} now", self.epoch));
        }
        if now < self.from {
            return expired(format!("the permit is good from {} and it is {now}", self.from));
        }
        match self.until {
            Some(until) if now >= until => {
                expired(format!("the permit was good until {until} and it is {now}"))
            }
            _ => Ok(()),
        }
    }

    fn covers(&self, row: &Row) -> bool {
        let selection = &self.selection;
        let at = row.phen_start;
        row.values.len() == selection.columns.len()
            && (selection.twins.is_empty() || selection.twins.contains(&row.twin))
            && selection.only.as_ref().is_none_or(|only| *only == row.twin)
            && selection.links.as_ref().is_none_or(|shown| shown.covers(&selection.columns, row))
            && selection.rows.as_ref().is_none_or(|hours| hours.contains(at))
            && selection.since.is_none_or(|since| at >= since)
            && selection.until.is_none_or(|until| at < until)
    }
}

/// A value that may leave, with what that obliges to.
pub struct Permitted<T> {
    value: T,
    obligations: Vec<Duty>,
    delete_by: Option<PolicyTime>,
    decision: Digest,
}

impl<T> Permitted<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// What its receiver must do.
    #[must_use]
    pub fn obligations(&self) -> &[Duty] {
        &self.obligations
    }

    /// By when its receiver must have deleted it, if at all.
    #[must_use]
    pub fn delete_by(&self) -> Option<PolicyTime> {
        self.delete_by
    }

    /// The decision under which it leaves.
    #[must_use]
    pub fn decision(&self) -> Digest {
        self.decision
    }
}

impl<T> fmt::Debug for Permitted<T> {
    /// Without the value: twin values never reach a log by way of a debug line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted").field("delete_by", &self.delete_by).finish_non_exhaustive()
    }
}
