//! The spine of everything that comes in: edge → check → twin decides → log → twin applies.
//!
//! Read this first. Each function is a list of calls; what they do stands where they lead.

use crate::api::ModelApplied;
use crate::links;
use crate::open::Node;
use crate::partition::NewEntry;
use crate::trace::{self, Step};
use twinpact_edge::batch::{Collision, IngestBatch, IngestObservation, IngestReport, Refused};
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_twin::{Meetings, Observation, Outcome, Report, RowOutcome, Source};

/// Records a batch of observations. When it returns, what it counts as new or corrected is durable.
///
/// # Errors
/// When the batch as a whole is refused; a single bad row is in the report.
pub async fn record(node: &Node, batch: IngestBatch, actor: &str) -> Result<IngestReport, Problem> {
    let checking = trace::step(Step::Check);
    batch.check()?;
    drop(checking);
    let IngestBatch { source, model, observations, links } = batch;
    let observations: Vec<Observation> = observations.into_iter().map(observation).collect();
    let meetings = Meetings::of(&observations);
    let changes = links::changes(&links);
    let actor = actor.to_owned();
    let outcome = node
        .partition
        .turn(move |turn| {
            let source = Source { source: source.as_str(), model: &model, actor: &actor };
            let deciding = trace::step(Step::Decide);
            let Outcome { mut events, rows } = turn.fold().twins.observe(&source, observations)?;
            let (linking, linked) = turn.fold().twins.link(&changes, &events, &actor);
            events.extend(linking);
            drop(deciding);
            turn.log(events.into_iter().map(NewEntry::event).collect())?;
            Ok((rows, linked))
        })
        .await?;
    let (rows, linked) = outcome;
    let links = (!linked.is_empty()).then(|| links::report(linked));
    let report = IngestReport { links, ..report(rows, &meetings) };
    node.metrics.ingested(&report);
    let refused = report.refused.len() as u64;
    trace::recorded(report.new, report.duplicate, report.corrected, refused);
    Ok(report)
}

/// Puts a version of a type model.
///
/// # Errors
/// `model.invalid`, `model.version`; what the log refuses.
pub async fn apply_model(
    node: &Node,
    model: TypeModel,
    actor: &str,
) -> Result<ModelApplied, Problem> {
    let reference = model.reference();
    let actor = actor.to_owned();
    let new = node
        .partition
        .turn(move |turn| match turn.fold().twins.put_model(&model, &actor)? {
            None => Ok(false),
            Some(event) => turn.log(vec![NewEntry::event(event)]).map(|_| true),
        })
        .await?;
    Ok(ModelApplied { model: reference, new })
}

fn observation(row: IngestObservation) -> Observation {
    Observation {
        id: row.id,
        twin: row.twin.as_str().into(),
        phen_start: row.time,
        values: row.values,
    }
}

fn report(rows: Vec<RowOutcome>, meetings: &Meetings) -> IngestReport {
    let counts = Report::of(&rows);
    let collisions: Vec<Collision> =
        meetings.collisions(&rows).into_iter().map(collision).collect();
    let refused = (0u64..).zip(rows).filter_map(|(index, row)| match row {
        RowOutcome::Refused { id, problem } => Some(Refused {
            line: None,
            index: Some(index),
            id,
            code: problem.code.name.to_owned(),
            reason: problem.message,
        }),
        _ => None,
    });
    IngestReport {
        new: counts.new,
        duplicate: counts.duplicate,
        corrected: counts.corrected,
        refused: refused.collect(),
        colliding: collisions.len() as u64,
        collisions,
        links: None,
    }
}

fn collision(found: twinpact_twin::Collision) -> Collision {
    Collision { twin: found.twin, time: found.phen_start, rows: found.rows }
}
