//! The rows that the picture of an incident is drawn from: an organisation's own, or what is left
//! of the copies that the owner of the twin has delivered to it.
//!
//! Copies are read as `copy show` reads them, decided and on record each time. What is drawn from
//! them is a copy too: it may be kept as long as the one of them that dies first.

use super::copies;
use super::own_rows::OwnRows;
use crate::watch::rows;
use std::collections::BTreeMap;
use twinpact_detect::{Milli, Rule, RuleFile, Sample};
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{CopyLine, CopyRead, TwinLine, TwinState};

/// The most copies that a picture is drawn from, the latest.
const MAX_COPIES_DRAWN: usize = 4_096;

/// Rows to be drawn.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Of the twin and its siblings, by time.
    pub(super) samples: Vec<Sample>,
    /// What drives and what follows, with their units.
    pub(super) axes: (String, String),
    /// What the reader has to know of them.
    pub(super) notices: Vec<String>,
    /// The copies that they are of.
    pub(super) drawn: Drawn,
}

/// Copies of what partners have shown that a page is drawn from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawn {
    copies: usize,
    /// The earliest time by which one of them is to be deleted.
    until: Option<Timestamp>,
}

impl Drawn {
    /// One more.
    pub(super) fn took(&mut self, until: Option<Timestamp>) {
        self.copies += 1;
        self.until = self.until.into_iter().chain(until).min();
    }

    /// These and others.
    pub(super) fn and(self, other: Drawn) -> Drawn {
        let until = self.until.into_iter().chain(other.until).min();
        Drawn { copies: self.copies + other.copies, until }
    }

    /// Until when the page may be kept, when it is drawn from any.
    pub(super) fn notice(self) -> Option<String> {
        let copies = copies::so_many(self.copies);
        let until = self.until.map_or(String::new(), |until| {
            format!(" Delete it by {until}, when the first of them is to be deleted.")
        });
        let notice =
            format!("This page is drawn from {copies} of what partners have shown.{until}");
        (self.copies > 0).then_some(notice)
    }
}

/// For what, and where, copies are read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadFor<'a> {
    /// The purpose; the configured one when it is left out.
    pub(crate) purpose: Option<&'a str>,
    /// The place; the configured one when it is left out.
    pub(crate) place: Option<&'a str>,
}

fn with_unit(column: &str, unit: Option<&str>) -> String {
    unit.map_or_else(|| column.to_owned(), |unit| format!("{column}, {unit}"))
}

/// Our own rows of a twin and of all others of its model; `None` when it is not ours.
///
/// # Errors
/// `input.too_large` when they are more than one reading takes.
pub(super) async fn own(
    client: &AdminClient,
    twin: &str,
    rule: &Rule,
    span: (Timestamp, Timestamp),
) -> Result<Option<Rows>, Problem> {
    let twin = match client.get::<TwinState>(&format!("/twins/{}", segment(twin))).await {
        Ok(twin) => twin,
        Err(problem) if problem.code == codes::TWIN_UNKNOWN => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let (drive, output) = rule.columns();
    let axis = |column: &str| {
        let unit = twin.attributes.get(column).and_then(|attribute| attribute.unit.as_deref());
        with_unit(column, unit)
    };
    let twins: Vec<TwinLine> = client.get("/twins").await?;
    let (mut samples, mut rows) = (Vec::new(), OwnRows::new(client, span));
    for one in twins.iter().filter(|one| one.model == twin.model) {
        samples.extend(rows.of(&one.id).await?.into_iter().filter_map(|row| {
            let number = |column: &str| Milli::parse(row.values.get(column)?);
            let (drive, output) = (number(drive)?, number(output)?);
            Some(Sample { twin: one.id.clone(), at: row.time, drive, output, keep_until: None })
        }));
    }
    samples.sort_by_key(|sample| sample.at);
    Ok(Some(Rows { samples, axes: (axis(drive), axis(output)), ..Rows::default() }))
}

/// What the copies under an agreement hold. When none may be read, the notices say why.
pub(super) async fn copied(
    client: &AdminClient,
    agreement: &str,
    file: &RuleFile,
    asked: ReadFor<'_>,
) -> Result<Rows, Problem> {
    let all = copies::all_of(client, agreement).await?;
    let held: Vec<&CopyLine> = all.iter().filter(|copy| copy.deleted.is_none()).collect();
    let mut rows = Rows::default();
    let mut read = Reading::default();
    for copy in held.iter().take(MAX_COPIES_DRAWN) {
        match read.take(client, &copy.receipt, file, asked).await {
            // Its time has come in between.
            Err(problem) if problem.code == codes::COPY_DELETED => {}
            Err(problem) if is_no(&problem) => {
                let why = problem.message;
                rows.notices.push(format!("The copies of the rows were not read: {why}."));
                return Ok(rows);
            }
            other => other?,
        }
    }
    let gone = all.iter().filter_map(|copy| copy.deleted).max();
    if let (0, Some(at)) = (read.drawn.copies, gone) {
        rows.notices.push(format!(
            "The rows are not held any more: their copies were deleted, the last at {at}, as the \
             agreement wants. Curve and days cannot be drawn."
        ));
    }
    if held.len() > MAX_COPIES_DRAWN {
        rows.notices.push(format!("Only the latest {MAX_COPIES_DRAWN} copies are drawn."));
    }
    (rows.axes, rows.drawn) = (read.axes, read.drawn);
    rows.samples = read.samples.into_values().collect();
    rows.samples.sort_by_key(|sample| sample.at);
    Ok(rows)
}

/// Whether it is the answer to this read, which the rest of the picture does without.
pub(super) fn is_no(problem: &Problem) -> bool {
    problem.code == codes::EXCHANGE_PURPOSE || problem.code.name.starts_with("policy.")
}

/// Copies that were read.
#[derive(Debug, Default)]
struct Reading {
    drawn: Drawn,
    axes: (String, String),
    /// By time and twin: what was delivered twice is one row.
    samples: BTreeMap<(Timestamp, String), Sample>,
}

impl Reading {
    async fn take(
        &mut self,
        client: &AdminClient,
        receipt: &str,
        file: &RuleFile,
        asked: ReadFor<'_>,
    ) -> Result<(), Problem> {
        let read: CopyRead =
            client.get(&copies::read_path(receipt, asked.purpose, asked.place)).await?;
        for sample in rows::samples(&read, file)? {
            // Copies come the latest first.
            self.samples.entry((sample.at, sample.twin.clone())).or_insert(sample);
        }
        let axis = |name: &str| {
            let column = read.columns.iter().find(|column| column.name == name);
            with_unit(name, column.and_then(|column| column.unit.as_deref()))
        };
        self.axes = (axis(&file.drive), axis(&file.output));
        self.drawn.took(read.copy.delete_by);
        Ok(())
    }
}
