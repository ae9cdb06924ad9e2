//! What a reviewer would find: whether the contract fits the owner's type model and itself.
//!
//! Errors are what would fail or mislead at run time; the contract is refused with them. Warnings
//! and notes leave it to its author.

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::document::{Contract, LogicalType, Promise, Property, no_attribute};
use crate::terms::{Constraint, Duty, Rule};
use crate::text;
use std::collections::BTreeSet;
use twinpact_model::{AttributeModel, Code, Datatype, Timestamp, TypeModel, codes};

impl Contract {
    /// The findings, in the order of the document: what reading remarked, ids, words, dates,
    /// retention against the duty to delete, freshness against frequency, hours of use against
    /// hours of rows and, when the owner's type model is given, attributes, datatypes and units.
    #[must_use]
    pub fn lint(&self, model: Option<&TypeModel>) -> Vec<Diagnostic> {
        let mut found = self.remarks.clone();
        self.lint_ids(&mut found);
        self.lint_words(&mut found);
        self.lint_dates(&mut found);
        self.lint_retention(&mut found);
        self.lint_freshness(&mut found);
        self.lint_hours(&mut found);
        self.lint_undecided(&mut found);
        if let Some(model) = model {
            self.lint_model(model, &mut found);
        }
        found.sort_by_key(|d| (d.line, d.column));
        found
    }

    /// Ids let a property be renamed without becoming another one.
    fn lint_ids(&self, found: &mut Vec<Diagnostic>) {
        let mut seen = BTreeSet::new();
        let object = (&self.object.id, &self.object.name, self.object.at);
        let properties = self.object.properties.iter().map(|p| (&p.id, &p.name, p.at));
        for (id, name, at) in std::iter::once(object).chain(properties) {
            match id {
                None => found.push(
                    error(codes::CONTRACT_IDENTITY, at, format!("{name:?} has no id"))
                        .hint(format!("add: id: {name}; it stays when the name changes")),
                ),
                Some(id) if !seen.insert(id) => {
                    let why = format!("the id {id:?} of {name:?} is taken");
                    found.push(error(codes::CONTRACT_IDENTITY, at, why));
                }
                Some(_) => {}
            }
        }
    }

    /// Terms are for machines; people sign what they can read.
    fn lint_words(&self, found: &mut Vec<Diagnostic>) {
        if self.description.purpose.is_none() {
            let why = "the terms have no description.purpose in words beside them";
            found.push(
                error(codes::CONTRACT_MISSING, self.places.description, why)
                    .hint(format!("the terms say: {}", text::terms(&self.terms))),
            );
        }
    }

    fn lint_dates(&self, found: &mut Vec<Diagnostic>) {
        let date = |name: &str| match self.service_level(name).map(|l| (&l.value, l.at)) {
            Some((Promise::From(date), at)) => Some((*date, at)),
            _ => None,
        };
        let created = self.created.map(|t| (t, self.places.created));
        let dates = [
            ("contractCreatedTs", created),
            ("endOfSupport", date("endOfSupport")),
            ("endOfLife", date("endOfLife")),
        ];
        let mut before: Option<(&str, Timestamp)> = None;
        for (name, date) in dates {
            let Some((date, at)) = date else { continue };
            if let Some((earlier, first)) = before
                && date < first
            {
                let why = format!("{name} ({date}) is before {earlier} ({first})");
                found.push(error(codes::CONTRACT_DATES, at, why));
            }
            before = Some((name, date));
        }
    }

    /// `retention` is how long the owner keeps rows; the duty is how long a partner keeps copies.
    fn lint_retention(&self, found: &mut Vec<Diagnostic>) {
        let Some(level) = self.service_level("retention") else { return };
        let Promise::Milliseconds(kept) = level.value else { return };
        let why = match self.terms.obligations().first() {
            Some(Duty::Delete { within_s }) if within_s.saturating_mul(1000) > kept => format!(
                "partners may keep copies for {}, longer than the owner's own retention",
                text::duration(*within_s)
            ),
            None => {
                "rows expire here, and the terms do not oblige partners to delete copies".to_owned()
            }
            Some(_) => return,
        };
        found.push(
            Diagnostic::new(Severity::Warning, codes::CONTRACT_RETENTION, level.at, why)
                .hint("add or shorten the obligation to delete in odrlOffer"),
        );
    }

    /// Between two rows the newest is as old as they are apart.
    fn lint_freshness(&self, found: &mut Vec<Diagnostic>) {
        let promise = |name: &str| match self.service_level(name) {
            Some(level) => match level.value {
                Promise::Milliseconds(millis) => Some((millis, level.at)),
                Promise::From(_) | Promise::Kept(_) => None,
            },
            None => None,
        };
        let (Some((fresh, at)), Some((every, _))) = (promise("freshness"), promise("frequency"))
        else {
            return;
        };
        if fresh < every {
            let why = "rows are promised to be fresher than they are recorded";
            let hint = format!("freshness can be kept from {} on", text::duration(every / 1_000));
            let code = codes::CONTRACT_FRESHNESS;
            found.push(Diagnostic::new(Severity::Warning, code, at, why).hint(hint));
        }
    }

    /// Hours in the terms say when the view may be asked, not which rows it shows.
    fn lint_hours(&self, found: &mut Vec<Diagnostic>) {
        let timed = |rule: &Rule| {
            rule.constraints.iter().find_map(|c| match c {
                Constraint::Schedule(schedule) => Some(schedule.clone()),
                _ => None,
            })
        };
        let schedule = self.terms.permissions().iter().find_map(timed);
        if let (Some(schedule), None) = (schedule, &self.row_filter) {
            let why = "the hours in the terms limit when it may be used, not which rows are shown";
            let hint = format!(
                "to hold back rows of other hours too, add rowFilter: \
                 {{localSchedule: \"{schedule}\"}}"
            );
            found.push(
                Diagnostic::new(Severity::Note, codes::CONTRACT_ROW_FILTER, self.places.offer, why)
                    .hint(hint),
            );
        }
    }

    /// Terms that nobody here can decide permit nothing, and the partner gets no data.
    fn lint_undecided(&self, found: &mut Vec<Diagnostic>) {
        if self.terms.undecided().next().is_none() {
            return;
        }
        let hold = text::whether_they_hold(self.terms.undecided());
        let effect = match self.terms.permits_nothing_yet() {
            true => "no request is permitted under this contract yet",
            false => "no request that depends on it is permitted yet",
        };
        let why = format!("{effect}: nobody here can tell whether {hold}");
        let (code, at) = (codes::CONTRACT_UNDECIDED, self.places.offer);
        found.push(
            Diagnostic::new(Severity::Warning, code, at, why)
                .hint("it can be offered and agreed; for data to flow offer terms without them"),
        );
    }

    fn lint_model(&self, model: &TypeModel, found: &mut Vec<Diagnostic>) {
        if model.reference() != self.model {
            let why = format!("the contract pins {}, not {}", self.model, model.reference());
            found.push(error(codes::CONTRACT_MODEL, self.places.model, why));
            return;
        }
        // Links have columns of their own, which reading has checked.
        let properties = self.object.properties.iter().filter(|_| self.links.is_none());
        for property in properties {
            match model.attribute(&property.attribute) {
                None => {
                    found.push(Diagnostic::of(
                        no_attribute(&property.attribute, model),
                        property.at,
                    ));
                }
                Some(attribute) => lint_column(property, attribute, found),
            }
        }
    }
}

fn lint_column(property: &Property, attribute: &AttributeModel, found: &mut Vec<Diagnostic>) {
    let (name, datatype) = (&property.name, attribute.datatype);
    if !fits(property.logical_type, datatype) {
        let (logical, datatype) = (property.logical_type.name(), datatype.name());
        let why = format!("{name:?} is {logical} here and {datatype} in the type model");
        let fit: Vec<&str> = LogicalType::ALL
            .iter()
            .filter(|(_, t)| fits(*t, attribute.datatype))
            .map(|(name, _)| *name)
            .collect();
        found.push(
            error(codes::CONTRACT_MODEL, property.type_at, why)
                .hint(format!("logicalType: {}", fit.join(" or "))),
        );
    }
    match (&property.unit, &attribute.unit) {
        (Some(here), Some(there)) if here != there => {
            let why = format!("{name:?} is in {here:?} here and in {there:?} in the type model");
            found.push(error(codes::CONTRACT_MODEL, property.at, why));
        }
        (Some(here), None) => {
            let why = format!("{name:?} is in {here:?} here and has no unit in the type model");
            found.push(error(codes::CONTRACT_MODEL, property.at, why));
        }
        (None, Some(there)) => {
            let why =
                format!("{name:?} is in {there:?} in the type model, and the contract is silent");
            found.push(
                Diagnostic::new(Severity::Warning, codes::CONTRACT_MODEL, property.at, why).hint(
                    format!(
                        "add customProperties: [{{property: unit, vendor: twinpact, \
                         value: {there:?}}}]"
                    ),
                ),
            );
        }
        _ => {}
    }
}

/// Whether every value of the datatype can be read as the logical type.
pub(crate) fn fits(logical: LogicalType, datatype: Datatype) -> bool {
    match datatype {
        Datatype::Double | Datatype::Decimal => logical == LogicalType::Number,
        Datatype::Integer => matches!(logical, LogicalType::Integer | LogicalType::Number),
        Datatype::Boolean => logical == LogicalType::Boolean,
        Datatype::String => logical == LogicalType::String,
        Datatype::DateTime => logical == LogicalType::Timestamp,
    }
}

fn error(code: Code, at: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, at, message)
}
