//! CloudEvents on their way into the spine [`crate::record`]: events of one source and model are a
//! batch of it.

use crate::open::Node;
use crate::record::record;
use twinpact_edge::batch::{IngestReport, Refused};
use twinpact_edge::cloud_events::{EventBatch, Events};
use twinpact_model::problem::{Fault, Problem};

/// Records the events of a body. What is refused is in the report, by its index in the body; when
/// this fails, the body may be sent again, since what was recorded is known then.
///
/// # Errors
/// What is no fault of an event: `store.stopped` and the like.
pub async fn record_events(
    node: &Node,
    events: Events,
    actor: &str,
) -> Result<IngestReport, Problem> {
    let mut all = IngestReport { refused: events.refused, ..IngestReport::default() };
    for EventBatch { batch, places } in events.batches {
        let ids: Vec<String> = batch.observations.iter().map(|row| row.id.clone()).collect();
        let report = match record(node, batch, actor).await {
            Ok(report) => report,
            // The model is not there: that is said of each event.
            Err(problem) if problem.code.fault == Fault::Caller => refused(ids, &problem),
            Err(problem) => return Err(problem),
        };
        all.new += report.new;
        all.duplicate += report.duplicate;
        all.corrected += report.corrected;
        let place = |refused: Refused| {
            let index = refused.index.and_then(|index| usize::try_from(index).ok());
            Refused { index: index.and_then(|index| places.get(index).copied()), ..refused }
        };
        all.refused.extend(report.refused.into_iter().map(place));
    }
    all.refused.sort_by_key(|refused| refused.index);
    Ok(all)
}

fn refused(ids: Vec<String>, problem: &Problem) -> IngestReport {
    let refused = |(index, id): (u64, String)| Refused {
        line: None,
        index: Some(index),
        id,
        code: problem.code.name.to_owned(),
        reason: problem.message.clone(),
    };
    IngestReport { refused: (0..).zip(ids).map(refused).collect(), ..IngestReport::default() }
}
