//! The spine of everything that comes in: edge → check → twin decides → log → twin applies.
//!
//! Read this first. Each function is a list of calls; what they do stands where they lead.

use crate::api::ModelApplied;
use crate::links;
use crate::open::Node;
use crate::partition::NewEntry;
use twinpact_edge::batch::{Collision, IngestBatch, IngestReport, Refused};
use twinpact_model::entry::Entry;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_twin::{Meetings, Observation, Outcome, RowOutcome, Source};

/// Records a batch of observations. When it returns, what it counts as new or corrected is durable.
///
/// # Errors
/// When the batch as a whole is refused; a single bad row is in the report.
pub async fn record(node: &Node, batch: IngestBatch, actor: &str) -> Result<IngestReport, Problem> {
    batch.check()?;
    let observations = observations(&batch);
    let meetings = Meetings::of(&observations);
    let changes = links::changes(&batch.links);
    let actor = actor.to_owned();
    let outcome = node
        .partition
        .turn(move |turn| {
            let source =
                Source { source: batch.source.as_str(), model: &batch.model, actor: &actor };
            let outcome = turn.fold().twins.observe(&source, &observations)?;
            let (linking, linked) = turn.fold().twins.link(&changes, &outcome.events, &actor);
            turn.log(events(&[outcome.events.as_slice(), &linking].concat()))?;
            Ok((outcome, observations, linked))
        })
        .await?;
    let (outcome, observations, linked) = outcome;
    let links = (!linked.is_empty()).then(|| links::report(linked));
    Ok(IngestReport { links, ..report(&outcome, &observations, &meetings) })
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
            Some(event) => turn.log(events(&[event])).map(|_| true),
        })
        .await?;
    Ok(ModelApplied { model: reference, new })
}

fn observations(batch: &IngestBatch) -> Vec<Observation> {
    let observation = |row: &twinpact_edge::batch::IngestObservation| Observation {
        id: row.id.clone(),
        twin: row.twin.to_string(),
        phen_start: row.time,
        values: row.values.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    };
    batch.observations.iter().map(observation).collect()
}

fn events(events: &[Entry]) -> Vec<NewEntry> {
    events.iter().cloned().map(NewEntry::event).collect()
}

fn report(outcome: &Outcome, observations: &[Observation], meetings: &Meetings) -> IngestReport {
    let counts = outcome.report();
    let rows = (0u64..).zip(outcome.rows.iter().zip(observations));
    let refused = rows.filter_map(|(index, (row, observation))| match row {
        RowOutcome::Refused(problem) => Some(Refused {
            line: None,
            index: Some(index),
            id: observation.id.clone(),
            code: problem.code.name.to_owned(),
            reason: problem.message.clone(),
        }),
        _ => None,
    });
    let collisions: Vec<Collision> =
        meetings.collisions(&outcome.rows).into_iter().map(collision).collect();
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
