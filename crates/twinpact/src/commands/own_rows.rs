//! Our own rows of a span, twin by twin, each page by page until all are there.

use std::collections::BTreeMap;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{History, HistoryLine};
use twinpact_node::read::MAX_HISTORY;

/// The most rows of one reading, of all twins together: of more none is judged.
const MAX_OWN_ROWS: usize = 1_000_000;

/// A reading of the rows of a span.
pub(super) struct OwnRows<'a> {
    client: &'a AdminClient,
    span: (Timestamp, Timestamp),
    /// How many rows a page has.
    page: usize,
    /// How many rows may still come.
    left: usize,
}

impl OwnRows<'_> {
    /// Of rows that were true from a time on, and before another.
    pub(super) fn new(client: &AdminClient, span: (Timestamp, Timestamp)) -> OwnRows<'_> {
        OwnRows { client, span, page: MAX_HISTORY, left: MAX_OWN_ROWS }
    }

    /// Every row of a twin that stands, by time and then by event.
    ///
    /// # Errors
    /// `input.too_large` when they are more than may still come, or those of one instant fill a
    /// page; `twin.unknown`.
    pub(super) async fn of(&mut self, twin: &str) -> Result<Vec<HistoryLine>, Problem> {
        let ((mut since, until), limit) = (self.span, self.page);
        let mut rows: BTreeMap<(Timestamp, u64), HistoryLine> = BTreeMap::new();
        loop {
            let span = format!("since={since}&until={until}&limit={limit}");
            let path = format!("/twins/{}/history?{span}", segment(twin));
            let page: History = self.client.get(&path).await?;
            let (known, whole) = (rows.len(), page.rows.len() >= page.total);
            rows.extend(page.rows.into_iter().map(|row| ((row.time, row.event), row)));
            if rows.len().max(page.total) > self.left {
                return Err(too_many(&format!("more than {MAX_OWN_ROWS} rows of our own")));
            }
            // A page may end within an instant: the next one begins with all of that again.
            match rows.last_key_value() {
                _ if whole => break,
                Some(((last, _), _)) if rows.len() > known => since = *last,
                _ => return Err(too_many(&format!("{limit} rows of one instant"))),
            }
        }
        self.left = self.left.saturating_sub(rows.len());
        Ok(rows.into_values().filter(|row| row.corrected_by.is_none()).collect())
    }
}

fn too_many(what: &str) -> Problem {
    Problem::new(codes::INPUT_TOO_LARGE, format!("there are {what} in the time that is looked at"))
}

#[cfg(test)]
mod tests {
    use super::OwnRows;
    use crate::session::url;
    use serde_json::{Value, json};
    use std::path::Path;
    use twinpact_edge::batch::IngestBatch;
    use twinpact_edge::model_file;
    use twinpact_gateway::{AdminClient, Running};
    use twinpact_model::{Did, Timestamp};
    use twinpact_node::{PolicyClock, open, record};

    const MODEL: &str = "model = \"pump\"\nversion = 1\nretention_class = \"operational\"\n\n\
                         [[attribute]]\nname = \"name\"\ndatatype = \"string\"\n";

    async fn node(path: &Path) -> Running {
        open::init(path, &Did::new("did:web:test.example").unwrap(), "Test").unwrap();
        let parts = open::open(path, PolicyClock::Driven).await.unwrap();
        let model = model_file::parse(MODEL).unwrap();
        record::apply_model(&parts.node, model, "local").await.unwrap();
        Running::start(parts).await.unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    /// A row of that twin: its name at its source, when, and what it says.
    fn row(twin: &str, (id, second, name): (&str, i64, &str)) -> Value {
        json!({ "id": id, "twin": twin, "time": at(second), "values": { "name": name } })
    }

    async fn ingest(running: &Running, rows: Vec<Value>) {
        let body = json!({
            "source": "urn:source:test", "model": "pump@1", "observations": rows,
        });
        let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
        let done = record::record(&running.parts.node, batch, "local").await.unwrap();
        assert!(done.refused.is_empty());
    }

    #[tokio::test]
    async fn all_rows_come_however_many_are_on_a_page() {
        let place = tempfile::tempdir().unwrap();
        let running = node(&place.path().join("node")).await;
        // Ten seconds, of which the fifth has two rows, and one of them was corrected.
        let names: Vec<String> = (0..10).map(|second| second.to_string()).collect();
        let each = names.iter().zip(0..).map(|(name, second)| row("urn:a", (name, second, name)));
        ingest(&running, each.collect()).await;
        ingest(&running, vec![row("urn:a", ("x", 5, "x")), row("urn:b", ("y", 5, "y"))]).await;
        ingest(&running, vec![row("urn:a", ("5", 5, "five"))]).await;
        let client = AdminClient::new(url(&running.admin), running.admin.token.clone());
        let read = async |page: usize, left: usize, twins: &[&str]| {
            let mut own = OwnRows { page, left, ..OwnRows::new(&client, (at(1), at(9))) };
            let mut all = Vec::new();
            for twin in twins {
                match own.of(twin).await {
                    Ok(rows) => all.extend(rows.into_iter().map(|row| row.values["name"].clone())),
                    Err(problem) => return Err(problem.code.name),
                }
            }
            Ok(all)
        };
        let all = ["1", "2", "3", "4", "x", "five", "6", "7", "8"].map(str::to_owned);
        for page in [4, 5, 9, 10, 11, 10_000] {
            assert_eq!(read(page, 10, &["urn:a"]).await, Ok(all.to_vec()), "{page}");
        }
        // Three rows of one instant fill a page of three: nobody can say what comes behind it.
        assert_eq!(read(3, 10, &["urn:a"]).await, Err("input.too_large"));
        // The bound is one for all twins.
        assert_eq!(read(4, 11, &["urn:a", "urn:b"]).await.map(|rows| rows.len()), Ok(10));
        for (page, left) in [(4, 9), (10_000, 9), (4, 10)] {
            let got = read(page, left, &["urn:a", "urn:b"]).await;
            assert_eq!(got, Err("input.too_large"), "{page} {left}");
        }
        assert_eq!(read(4, 11, &["urn:c"]).await, Err("twin.unknown"));
        running.stop().await;
    }
}
