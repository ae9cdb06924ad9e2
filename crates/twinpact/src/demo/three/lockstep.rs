//! One recording at three nodes whose policy clocks are set together: what the
//! operator records goes to the maker as its contract allows, the maker's job looks at what came,
//! and what it finds is asked of who owns it and answered.

use super::answers::Answers;
use super::job::Job;
use super::recording::{Recording, moments};
use super::setup::Three;
use crate::output::internal;
use crate::watch::Led;
use indicatif::ProgressBar;
use serde::Serialize;
use std::time::Instant;
use twinpact_edge::batch::IngestReport;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Schedule, Timestamp};
use twinpact_node::api::{Followed, IncidentShown, SubscriptionLine};

/// How often the maker asks for what it was shown, each time for as long as its node holds such a
/// question open, before something is wrong.
const TRIES: usize = 4;

/// A run of a recording.
pub(crate) struct Run<'a> {
    pub(crate) three: &'a Three,
    pub(crate) recording: Recording,
    /// The hours in which the contract shows rows, and may be asked.
    pub(crate) hours: Schedule,
    pub(crate) job: Job<'a>,
    pub(crate) answers: Answers<'a>,
    pub(crate) bar: ProgressBar,
    pub(crate) went: Went,
}

/// How it went.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Went {
    /// Rows that the operator recorded.
    pub(crate) recorded: u64,
    /// Rows that the maker was shown, each once.
    pub(crate) shown: u64,
    /// How often the clocks were set.
    pub(crate) moments: u64,
    /// What the job found, in its order, and what that led to.
    pub(crate) findings: Vec<Led>,
    /// The incidents that it opened, as they stood when they were answered.
    pub(crate) incidents: Vec<IncidentShown>,
    /// What it took, by the wall clock.
    pub(crate) ms: u64,
}

impl Run<'_> {
    /// Everything until the recording is over.
    pub(crate) async fn whole(mut self) -> Result<Went, Problem> {
        let start = Instant::now();
        let span = self.recording.span().ok_or_else(|| internal("the recording has no rows"))?;
        self.bar.set_length(self.recording.remaining() as u64);
        self.job.begin().await?;
        for now in moments(&self.hours, span) {
            self.set_clocks(now).await?;
            self.feed(now).await?;
            if self.hours.contains(now) {
                self.shown().await?;
                for led in self.job.step().await? {
                    let answered = self.answers.give(self.three, &led).await?;
                    self.went.incidents.extend(answered);
                    self.went.findings.push(led);
                }
            }
            self.went.moments += 1;
        }
        // What is left is of hours that are not shown.
        self.feed(span.1.plus_seconds(86_400)).await?;
        self.bar.finish_and_clear();
        self.went.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(self.went)
    }

    /// The maker's last: its stream is asked for again when its clock comes to where it opens.
    async fn set_clocks(&self, now: Timestamp) -> Result<(), Problem> {
        let Three { operator, maker, supplier, .. } = self.three;
        let (first, second) = tokio::join!(operator.set_clock(now), supplier.set_clock(now));
        first.and(second)?;
        maker.set_clock(now).await
    }

    /// The operator records what is complete by now.
    async fn feed(&mut self, now: Timestamp) -> Result<(), Problem> {
        let fed = self.recording.until(now, &self.hours);
        for body in fed.bodies {
            let report: IngestReport = self.three.operator.post_bytes("/ingest", body).await?;
            // Known already when the answer to an earlier attempt was lost.
            self.went.recorded += report.new + report.duplicate;
        }
        self.went.shown += fed.shown;
        self.bar.inc(fed.rows);
        Ok(())
    }

    /// Waits until the maker has every row that the contract shows, and finds that it has no other.
    async fn shown(&self) -> Result<(), Problem> {
        let (maker, agreement) = (&self.three.maker, &self.three.rows);
        let mut tries = 0;
        loop {
            let all: Vec<SubscriptionLine> = maker.get("/subscriptions").await?;
            let one = all.iter().find(|one| &one.agreement == agreement);
            let one = one.ok_or_else(|| internal("the maker follows no stream"))?;
            if one.rows == self.went.shown {
                return Ok(());
            }
            if one.rows > self.went.shown || one.code.is_some() || tries == TRIES {
                let (rows, shown) = (one.rows, self.went.shown);
                let why = one.why.clone().unwrap_or_default();
                return Err(internal(&format!("the maker has {rows} rows, not {shown}: {why}")));
            }
            let after = one.position.map_or(String::new(), |at| format!("?after={at}"));
            let path = format!("/subscriptions/{}/receipts{after}", segment(agreement));
            let came: Followed = maker.get(&path).await?;
            tries = if came.position == one.position { tries + 1 } else { 0 };
        }
    }
}
