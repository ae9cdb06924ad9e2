//! `watch`: the job that joins what there is. Rows of a stream that is followed are read for a
//! purpose, a rule looks for losses in them, a finding is traced over links, and the owners of what
//! was reached are asked to contain it.
//!
//! It is a client of the admin API and nothing more: what it may read is decided by the node, each
//! time, and is on record there. Turbines, times and columns stand in the rule's file, not here.
//!
//! What it learns of rows is kept in memory alone, and forgotten when the copies that taught it are
//! to be deleted; a job that begins again reads the copies that are held, and goes on behind what
//! it had judged.
//!
//! One finding is one incident. What was judged and found is put away before anything is opened,
//! and what is opened has a name that follows from rule, agreement, twin and first row
//! (`OpenIncident::key`): whoever dies between the two opens the same one again, which is the one
//! that is there.

mod asking;
pub(crate) mod rows;
mod state;
pub(crate) mod trace;

use crate::commands::copies::{all_of, read_path};
use crate::commands::exchange::body;
use crate::output::internal;
use crate::session::own_record;
use asking::Asking;
pub(crate) use asking::{NotAsked, Why};
use serde::Serialize;
use state::{Found, State};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use trace::{AskFor, Traced};
use twinpact_contract::scaffold;
use twinpact_detect::{Detector, Finding, Judged, Rule, RuleFile, Sample};
use twinpact_edge::toml_file::TomlFile;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::{Class, Problem};
use twinpact_model::{Schedule, Timestamp, codes};
use twinpact_node::api::{
    AgreementLine, CopyRead, Followed, IncidentLine, IncidentShown, OpenIncident, Subscribe,
    SubscriptionLine,
};
use twinpact_proof::containment::{MAX_MEASURE_BYTES, MAX_REASON_BYTES};

/// How many copies are read before what they say is judged and put away.
const BATCH: usize = 64;
/// How long it rests at most when the node may not read now.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// How long it rests when nobody says how long that is so.
const REST: Duration = Duration::from_secs(300);
/// How far the clocks of two organisations may differ, in seconds: a row of later has not been yet.
const AHEAD_S: i64 = 600;
/// The most rows ahead of the clock that are held until their time comes.
pub(crate) const MAX_AHEAD: usize = 100_000;
/// How long until it looks again for a node that is away: first, and at most.
const AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What a job is told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The agreement whose stream it reads: its identity or the front of it.
    pub(crate) agreement: String,
    /// The purpose of every read, an IRI or a short name; the configured one when it is left out.
    pub(crate) purpose: Option<String>,
    /// The place of every read; the configured one when it is left out.
    pub(crate) place: Option<String>,
    /// Where what was learned is kept; nowhere when it is left out.
    pub(crate) state: Option<PathBuf>,
}

/// Under what it reads and asks.
#[derive(Debug)]
struct Under {
    /// Ourselves.
    us: String,
    agreement: AgreementLine,
    purpose: Option<String>,
    place: Option<String>,
}

impl Under {
    /// For what, and where.
    fn asked(&self) -> AskFor<'_> {
        (self.purpose.as_deref(), self.place.as_deref())
    }
}

/// What a finding led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Led {
    /// The twin.
    pub(crate) twin: String,
    /// The first row that says so.
    pub(crate) first: Timestamp,
    /// The row by which it was found.
    pub(crate) found: Timestamp,
    /// The incident that is open for it; none when the rule asks nobody, or nobody can be asked.
    pub(crate) incident: Option<IncidentLine>,
    /// The incident in which the owner is asked about a loss at that twin already, and has not
    /// answered: when it has, and the twin is still losing, another one is opened.
    pub(crate) contained_by: Option<String>,
    /// The code by which the incident was refused, when it was for good.
    pub(crate) refused: Option<String>,
    /// Twins that it comes to and that nobody is asked about.
    pub(crate) not_asked: Vec<NotAsked>,
}

impl Led {
    fn new(twin: String, (first, found): (Timestamp, Timestamp)) -> Led {
        let (incident, contained_by, refused) = (None, None, None);
        Led { twin, first, found, incident, contained_by, refused, not_asked: Vec::new() }
    }
}

/// A copy that could not be read, and the code that says why.
pub(crate) type Unread = (String, String);

/// Whether what was refused would be refused again, by a fault of what was asked.
fn is_for_good(problem: &Problem) -> bool {
    matches!(problem.code.class, Class::Invalid | Class::NotFound | Class::TooLarge)
}

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many copies were read, and how many rows they have.
    pub(crate) copies: usize,
    pub(crate) rows: usize,
    /// Copies that were gone before they were read.
    pub(crate) gone: usize,
    /// Copies that were put aside.
    pub(crate) unread: Vec<Unread>,
    /// Rows that came again, or after rows of later had been judged: they were not looked at.
    pub(crate) late: u64,
    /// Rows of a time to come: they are looked at when it has.
    pub(crate) ahead: usize,
    /// Findings of which no incident could be opened now, and the code that says why.
    pub(crate) stuck: Vec<(String, String)>,
    /// What each finding led to.
    pub(crate) led: Vec<Led>,
    /// Why the rest may not be read now.
    pub(crate) refused: Option<Problem>,
    /// Why no more will come: the code with which the subscription has ended.
    pub(crate) ended: Option<String>,
    /// That its node is not there: it waits for it.
    pub(crate) away: Option<Problem>,
}

/// A rule that is run on a stream.
pub(crate) struct Watch {
    client: AdminClient,
    file: RuleFile,
    under: Under,
    rule: Rule,
    detector: Detector,
    state: State,
    path: Option<PathBuf>,
    /// The position behind which the stream is read on, in this run.
    place: Option<u64>,
    /// Copies that are to be read, the oldest first.
    queue: VecDeque<String>,
    /// Copies that were in the queue, and by when each that was read is to be deleted.
    queued: BTreeMap<String, Option<Timestamp>>,
    /// Rows ahead of the clock, with their copies.
    ahead: BTreeMap<Timestamp, Vec<(Sample, String)>>,
    /// When each finding that could not be opened is tried again, and after which pause.
    retries: BTreeMap<String, (Instant, Duration)>,
    /// Of which copy each row is that was not judged yet.
    fresh: BTreeMap<(Timestamp, String), String>,
    /// What the detector was given, for the tests.
    #[cfg(test)]
    given: Vec<Sample>,
}

/// The rule of a file.
///
/// # Errors
/// `input.*`.
pub(crate) fn rule_file(text: &str) -> Result<RuleFile, Problem> {
    TomlFile::parse(text)?.read()
}

/// That the words of a rule fit into what is asked of an owner.
fn words(file: &RuleFile) -> Result<(), Problem> {
    let fits = |words: &str, most: usize| (1..=most).contains(&words.len());
    let asked = file.contain.iter();
    let mut said = asked
        .map(|one| fits(&one.measure, MAX_MEASURE_BYTES) && fits(&one.reason, MAX_REASON_BYTES));
    match fits(&file.name, MAX_MEASURE_BYTES) && said.all(|fits| fits) {
        true => Ok(()),
        false => Err(Problem::new(
            codes::RULE_INVALID,
            format!(
                "name and measure of a rule have 1 to {MAX_MEASURE_BYTES} bytes, a reason 1 to \
                 {MAX_REASON_BYTES}"
            ),
        )),
    }
}

impl Watch {
    /// The job of that rule, which goes on from where its state says. The stream of the agreement
    /// is followed from its start when it is not yet.
    ///
    /// # Errors
    /// `input.*` and `rule.invalid`; `rule.learned` when the state is not of this rule, agreement
    /// and organisation; what the node refuses.
    pub(crate) async fn open(
        client: AdminClient,
        rule: &str,
        options: Options,
    ) -> Result<Watch, Problem> {
        let file = rule_file(rule)?;
        let rule = Rule::new(&file)?;
        words(&file)?;
        let purpose = options.purpose.as_deref().map(scaffold::purpose).transpose()?;
        let path = format!("/agreements/{}", segment(&options.agreement));
        let agreement: AgreementLine = client.get(&path).await?;
        let record = own_record(&client).await?;
        let new = State::new(&file, &record.did, &agreement.id)?;
        let state = match &options.state {
            Some(path) => State::read(path, new, |at| record.unended_keys(at))?,
            None => new,
        };
        let under = Under { us: record.did, agreement, purpose, place: options.place };
        let detector = Detector::resume(rule.clone(), state.judged.clone())?;
        followed(&client, &under).await?;
        Ok(Watch {
            client,
            file,
            under,
            rule,
            detector,
            state,
            path: options.state,
            place: None,
            queue: VecDeque::new(),
            queued: BTreeMap::new(),
            ahead: BTreeMap::new(),
            retries: BTreeMap::new(),
            fresh: BTreeMap::new(),
            #[cfg(test)]
            given: Vec::new(),
        })
    }

    /// Takes everything that has come since, without waiting for more.
    ///
    /// # Errors
    /// What the node refuses but reads: what was found until then is kept and opened by the next
    /// step. `rule.invalid` when the view has not the columns of the rule; `input.too_large` when
    /// the fleet is.
    pub(crate) async fn step(&mut self) -> Result<Step, Problem> {
        let mut step = Step::default();
        self.advance(&mut step).await?;
        Ok(step)
    }

    /// The same; what was done before an error is in the step.
    async fn advance(&mut self, step: &mut Step) -> Result<(), Problem> {
        let subscriptions: Vec<SubscriptionLine> = self.client.get("/subscriptions").await?;
        let of = |one: &&SubscriptionLine| one.agreement == self.under.agreement.id;
        let Some(one) = subscriptions.iter().find(of) else {
            // A node that is an older copy of itself does not follow yet.
            return followed(&self.client, &self.under).await;
        };
        step.ended = one.code.clone();
        if one.position > self.place {
            self.take_in().await?;
        }
        let now = self.now().await?;
        self.forget(now);
        if self.judge_due(step, now)? {
            self.keep().await?;
        }
        while self.read_some(step, now).await? {
            self.keep().await?;
            if !self.detector.learns_again() {
                self.open_found(step).await?;
            }
        }
        // Which twins the stream shows is known when it has read again what is held.
        match step.refused.is_some() && self.detector.learns_again() {
            true => Ok(()),
            false => self.open_found(step).await,
        }
    }

    /// What may not be known any more is not.
    fn forget(&mut self, now: Timestamp) {
        self.detector.forget(now);
        self.queued.retain(|_, until| until.is_none_or(|until| until > now));
        let kept = |(row, _): &(Sample, String)| row.keep_until.is_none_or(|until| until > now);
        self.ahead.retain(|_, rows| {
            rows.retain(kept);
            !rows.is_empty()
        });
    }

    /// Takes what comes for as long as the stream is followed, and tells what each step did. While
    /// its node is away it knows of no row, and waits: `find` looks for the door.
    ///
    /// # Errors
    /// As [`step`](Self::step); why copies may not be read, unless that passes.
    pub(crate) async fn run(
        &mut self,
        find: impl AsyncFn() -> Option<AdminClient>,
        mut tell: impl FnMut(&Step),
    ) -> Result<(), Problem> {
        let mut pause = AWAY.0;
        loop {
            match self.turn(&mut tell).await {
                Ok(true) => pause = AWAY.0,
                Ok(false) => return Ok(()),
                Err(problem) if is_away(&problem) => {
                    if pause == AWAY.0 {
                        tell(&Step { away: Some(problem), ..Step::default() });
                    }
                    self.begin_again()?;
                    self.client = found_again(&find, &mut pause).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    /// Goes on from what was judged, as if it had just begun.
    fn begin_again(&mut self) -> Result<(), Problem> {
        self.detector = Detector::resume(self.rule.clone(), self.state.judged.clone())?;
        self.place = None;
        self.queue.clear();
        self.queued.clear();
        self.ahead.clear();
        self.fresh.clear();
        Ok(())
    }

    /// One step, and the rest after it; whether there may be another.
    async fn turn(&mut self, tell: &mut impl FnMut(&Step)) -> Result<bool, Problem> {
        let mut step = Step::default();
        let done = self.advance(&mut step).await;
        tell(&step);
        done?;
        match (step.refused, step.ended) {
            (Some(problem), None) if passes(&problem) => self.wait().await?,
            (Some(problem), Some(_)) if problem.code == codes::POLICY_SCHEDULE => {
                tokio::time::sleep(self.rest().await?).await;
            }
            (Some(problem), _) => return Err(problem),
            (None, Some(_)) => return Ok(false),
            // Its answer comes when there is something, or after a while.
            (None, None) => self.came().await.map(|_| ())?,
        }
        Ok(true)
    }

    /// Rests until copies may be read again; what comes ends it early.
    async fn wait(&self) -> Result<(), Problem> {
        let more = async {
            loop {
                let came = self.came().await?;
                if came.position > self.place || came.code.is_some() {
                    return Ok(());
                }
            }
        };
        // When the time is over it is tried again, whatever came.
        tokio::time::timeout(self.rest().await?, more).await.unwrap_or(Ok(()))
    }

    /// Notes which copies have come since, or are there when it begins.
    async fn take_in(&mut self) -> Result<(), Problem> {
        let came = self.came().await?;
        let new = match self.place.is_none() || came.skipped {
            true => self.held().await?,
            false => came.receipts,
        };
        for receipt in new {
            if !self.queued.contains_key(&receipt) {
                self.queued.insert(receipt.clone(), None);
                self.queue.push_back(receipt);
            }
        }
        self.place = came.position;
        Ok(())
    }

    /// Every copy that is held under the agreement, the oldest first. What was judged before
    /// teaches, and finds nothing when it is read again.
    async fn held(&self) -> Result<Vec<String>, Problem> {
        let all = all_of(&self.client, &self.under.agreement.id).await?;
        let held = all.into_iter().rev().filter(|one| one.deleted.is_none());
        Ok(held.map(|one| one.receipt).collect())
    }

    async fn came(&self) -> Result<Followed, Problem> {
        let after = self.place.map_or(String::new(), |place| format!("?after={place}"));
        let agreement = segment(&self.under.agreement.id);
        self.client.get(&format!("/subscriptions/{agreement}/receipts{after}")).await
    }

    /// The time of the policy clock.
    async fn now(&self) -> Result<Timestamp, Problem> {
        let clock: serde_json::Value = self.client.get("/clock").await?;
        let now = clock.get("policy").and_then(|now| now.as_str()).map(Timestamp::parse);
        now.unwrap_or_else(|| Err(internal("the clock of the node cannot be read")))
    }

    /// Until when nothing may be read, by the hours of the agreement.
    async fn rest(&self) -> Result<Duration, Problem> {
        Ok(until_open(self.under.agreement.hours.as_ref(), self.now().await?))
    }

    /// Reads some of the copies that were not read yet and judges the rows of each; whether there
    /// were any.
    async fn read_some(&mut self, step: &mut Step, now: Timestamp) -> Result<bool, Problem> {
        if self.queue.is_empty() || step.refused.is_some() {
            return Ok(false);
        }
        for _ in 0..BATCH {
            let Some(receipt) = self.queue.front().cloned() else { break };
            match self.copy(&receipt).await {
                Ok(copy) => self.take(step, &copy, now)?,
                Err(problem) if problem.code == codes::COPY_DELETED => {
                    step.gone += 1;
                    self.queued.remove(&receipt);
                }
                Err(problem) if problem.code.class == Class::Denied => {
                    step.refused = Some(problem);
                    break;
                }
                Err(problem) if is_away(&problem) => return Err(problem),
                Err(problem) => step.unread.push((receipt, problem.code.name.to_owned())),
            }
            self.queue.pop_front();
        }
        Ok(true)
    }

    /// Judges the rows of a copy; one that cannot be read is put aside.
    fn take(&mut self, step: &mut Step, copy: &CopyRead, now: Timestamp) -> Result<(), Problem> {
        let receipt = &copy.copy.receipt;
        let rows = match rows::samples(copy, &self.file) {
            Ok(rows) => rows,
            // Of such a view no copy can be read.
            Err(problem) if problem.code == codes::RULE_INVALID => return Err(problem),
            Err(problem) => {
                step.unread.push((receipt.clone(), problem.code.name.to_owned()));
                return Ok(());
            }
        };
        self.queued.insert(receipt.clone(), copy.copy.delete_by);
        (step.copies, step.rows) = (step.copies + 1, step.rows + rows.len());
        let (rows, ahead): (Vec<Sample>, Vec<Sample>) =
            rows.into_iter().partition(|row| row.at <= now.plus_seconds(AHEAD_S));
        step.ahead += ahead.len();
        let held: usize = self.ahead.values().map(Vec::len).sum();
        for row in ahead.into_iter().take(MAX_AHEAD.saturating_sub(held)) {
            self.ahead.entry(row.at).or_default().push((row, receipt.clone()));
        }
        self.look_at(step, rows.into_iter().map(|row| (row, receipt.clone())).collect())
    }

    /// Judges the rows whose time has come; whether there were any.
    fn judge_due(&mut self, step: &mut Step, now: Timestamp) -> Result<bool, Problem> {
        let later = self.ahead.split_off(&now.plus_seconds(AHEAD_S + 1));
        let due = std::mem::replace(&mut self.ahead, later);
        let any = !due.is_empty();
        self.look_at(step, due.into_values().flatten().collect())?;
        Ok(any)
    }

    /// Judges rows, each with the copy that it is of.
    fn look_at(&mut self, step: &mut Step, rows: Vec<(Sample, String)>) -> Result<(), Problem> {
        let late = self.detector.late();
        let new = rows.iter().filter(|(row, _)| Some(row.at) > self.state.judged.until);
        self.fresh.extend(new.map(|(row, receipt)| ((row.at, row.twin.clone()), receipt.clone())));
        self.judge(rows.into_iter().map(|(row, _)| row).collect())?;
        step.late += self.detector.late() - late;
        Ok(())
    }

    /// A copy, when the node lets us read it.
    async fn copy(&self, receipt: &str) -> Result<CopyRead, Problem> {
        let (purpose, place) = (self.under.purpose.as_deref(), self.under.place.as_deref());
        self.client.get(&read_path(receipt, purpose, place)).await
    }

    /// Gives the rows to the detector, and notes what it finds.
    fn judge(&mut self, samples: Vec<Sample>) -> Result<(), Problem> {
        #[cfg(test)]
        self.given.extend(samples.iter().cloned());
        let findings = self.detector.take(samples)?;
        let found: Vec<Found> = findings.iter().map(|finding| self.found(finding)).collect();
        self.state.found.extend(found);
        self.state.judged = self.detector.judged().clone();
        let judged = &self.state.judged;
        let losses = judged.losses.iter().flat_map(|(twin, losses)| {
            losses.iter().map(|at| (*at, twin.clone())).collect::<Vec<_>>()
        });
        let of = |key: (Timestamp, String)| Some((key.clone(), self.receipt_of(&key)?));
        let sources = losses.filter_map(of).collect();
        let last = self.detector.last();
        self.state.sources = sources;
        self.fresh.retain(|(at, _), _| Some(*at) > last);
        Ok(())
    }

    /// The copy in which a row came.
    fn receipt_of(&self, key: &(Timestamp, String)) -> Option<String> {
        self.fresh.get(key).or_else(|| self.state.sources.get(key)).cloned()
    }

    fn found(&self, finding: &Finding) -> Found {
        let Finding { twin, since, rows } = finding;
        let receipts = rows.iter().filter_map(|at| self.receipt_of(&(*at, twin.clone())));
        let receipts: BTreeSet<String> = receipts.collect();
        Found {
            twin: twin.clone(),
            first: *since,
            found: finding.at(),
            receipts: receipts.into_iter().collect(),
        }
    }

    /// Opens an incident for each finding that has none yet.
    async fn open_found(&mut self, step: &mut Step) -> Result<(), Problem> {
        self.open_covered(step).await?;
        let mut at = 0;
        while let Some(found) = self.state.found.get(at).cloned() {
            let Some(led) = self.tried(&found, step).await? else {
                at += 1;
                continue;
            };
            self.state.found.remove(at);
            if led.contained_by.is_some() {
                self.state.covered.insert(found.twin.clone(), found);
            }
            step.led.push(led);
            self.keep().await?;
        }
        Ok(())
    }

    /// And for each that an incident stood in the way of which is answered by now, when the twin
    /// has lost since.
    async fn open_covered(&mut self, step: &mut Step) -> Result<(), Problem> {
        let Judged { losing, quiet, .. } = &self.state.judged;
        self.state.covered.retain(|twin, _| losing.contains_key(twin) || quiet.contains_key(twin));
        let lost: Vec<Found> = self.state.covered.values().cloned().collect();
        for found in lost {
            let last =
                self.state.judged.losses.get(&found.twin).and_then(|all| all.back().copied());
            let losing = self.state.judged.losing.contains_key(&found.twin);
            let Some(last) = last.filter(|_| losing) else { continue };
            if self.answered(&found.twin).await?.is_none_or(|answered| last <= answered) {
                continue;
            }
            if let Some(led) = self.tried(&found, step).await? {
                self.state.covered.remove(&found.twin);
                step.led.push(led);
                self.keep().await?;
            }
        }
        Ok(())
    }

    /// When the partner has answered the last time that it was asked about a loss at that twin;
    /// nothing while it has not.
    async fn answered(&self, twin: &str) -> Result<Option<Timestamp>, Problem> {
        let all: Vec<IncidentLine> = self.client.get("/incidents").await?;
        if self.contained_by(&all, twin).await?.is_some() {
            return Ok(None);
        }
        let mut last = None;
        for one in all.iter().filter(|one| self.is_of_rule(one)) {
            let path = format!("/incidents/{}", segment(&one.id));
            let shown: IncidentShown = self.client.get(&path).await?;
            let of = shown
                .containments
                .iter()
                .filter(|asked| asked.seen.as_ref().is_some_and(|seen| seen.twin.as_str() == twin));
            let answers = of.flat_map(|asked| asked.answers.iter().map(|answer| answer.at));
            last = last.into_iter().chain(answers).max();
        }
        Ok(last)
    }

    /// Whether an incident was opened by this rule.
    fn is_of_rule(&self, one: &IncidentLine) -> bool {
        one.name.as_deref() == Some(self.file.name.as_str())
    }

    /// What a finding leads to; nothing when it can lead to nothing now, which is told. It is tried
    /// again less and less often: each time partners are asked for links.
    async fn tried(&mut self, found: &Found, step: &mut Step) -> Result<Option<Led>, Problem> {
        let key = self.state.key(&self.file, found);
        let before = self.retries.get(&key).copied();
        if before.is_some_and(|(at, _)| Instant::now() < at) {
            return Ok(None);
        }
        match self.lead(found).await {
            Ok(led) => {
                self.retries.remove(&key);
                Ok(Some(led))
            }
            Err(problem) if is_away(&problem) => Err(problem),
            Err(problem) => {
                let pause = before.map_or(AWAY.0, |(_, pause)| (pause * 2).min(LONGEST_REST));
                self.retries.insert(key, (Instant::now() + pause, pause));
                step.stuck.push((found.twin.clone(), problem.code.name.to_owned()));
                Ok(None)
            }
        }
    }

    /// Opens the incident of a finding, unless one stands.
    async fn lead(&self, found: &Found) -> Result<Led, Problem> {
        let key = self.state.key(&self.file, found);
        let mut led = Led::new(found.twin.clone(), (found.first, found.found));
        let all: Vec<IncidentLine> = self.client.get("/incidents").await?;
        if let Some(known) = all.iter().find(|one| one.key.as_ref() == Some(&key)) {
            led.incident = Some(known.clone());
            return Ok(led);
        }
        led.contained_by = self.contained_by(&all, &found.twin).await?;
        if led.contained_by.is_some() {
            return Ok(led);
        }
        let traced = Traced::of(&self.client, &self.file.walk, found, &self.under).await?;
        let shown = self.detector.twins().chain([found.twin.as_str()]);
        let shown = shown.map(str::to_owned).collect();
        let (file, under, traced, shown) = (&self.file, &self.under, &traced, &shown);
        let asking = Asking { file, under, found, traced, shown };
        let opened = match asking.incident(key) {
            Ok((incident, not_asked)) => {
                led.not_asked = not_asked;
                self.open_incident(&incident).await
            }
            Err(problem) => Err(problem),
        };
        match opened {
            Ok(incident) => led.incident = incident,
            // It would be refused again: it is told, and the rest goes on.
            Err(problem) if is_for_good(&problem) => {
                led.refused = Some(problem.code.name.to_owned());
            }
            Err(problem) => return Err(problem),
        }
        Ok(led)
    }

    /// Opens it, when it asks anybody.
    async fn open_incident(&self, asked: &OpenIncident) -> Result<Option<IncidentLine>, Problem> {
        if asked.containments.is_empty() {
            return Ok(None);
        }
        self.client.post("/incidents", "application/json", body(asked)?).await.map(Some)
    }

    /// The incident of this rule by which the partner is asked about that twin, and has not
    /// answered.
    async fn contained_by(
        &self,
        all: &[IncidentLine],
        twin: &str,
    ) -> Result<Option<String>, Problem> {
        let open = |one: &&IncidentLine| {
            self.is_of_rule(one) && one.states.iter().any(|state| state == "open")
        };
        for one in all.iter().filter(open) {
            let path = format!("/incidents/{}", segment(&one.id));
            let shown: IncidentShown = self.client.get(&path).await?;
            if waits_for(&shown, &self.under.agreement.partner, twin) {
                return Ok(Some(one.id.clone()));
            }
        }
        Ok(None)
    }

    /// Puts the state away, with our node's signature.
    async fn keep(&self) -> Result<(), Problem> {
        let Some(path) = &self.path else { return Ok(()) };
        let (asked, state) = self.state.to_sign()?;
        let envelope: serde_json::Value =
            self.client.post("/learned", "application/json", body(&asked)?).await?;
        state::write(path, &envelope.to_string(), &state)
    }
}

/// Whether the node is not there, stops, or was started again with another token.
pub(crate) fn is_away(problem: &Problem) -> bool {
    [codes::NODE_UNREACHABLE, codes::STORE_STOPPED, codes::ADMIN_TOKEN].contains(&problem.code)
}

/// The node, once it is there again; it is looked for less and less often.
async fn found_again(
    find: &impl AsyncFn() -> Option<AdminClient>,
    pause: &mut Duration,
) -> AdminClient {
    loop {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(AWAY.1);
        if let Some(client) = find().await {
            return client;
        }
    }
}

/// Whether a refusal may be over by itself.
fn passes(problem: &Problem) -> bool {
    [codes::POLICY_SCHEDULE, codes::POLICY_DATETIME, codes::POLICY_SUSPENDED]
        .contains(&problem.code)
}

/// For how long it is closed; a while when the hours do not say.
fn until_open(hours: Option<&Schedule>, now: Timestamp) -> Duration {
    let opens = hours.filter(|hours| !hours.contains(now)).and_then(|one| one.next_change(now));
    let micros = opens.map(|opens| opens.micros().saturating_sub(now.micros()));
    let rest = micros.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros);
    rest.unwrap_or(REST).min(LONGEST_REST)
}

/// Whether that owner is asked in this incident of ours about a loss at that twin, and has not
/// answered.
fn waits_for(shown: &IncidentShown, owner: &str, twin: &str) -> bool {
    shown.containments.iter().any(|asked| {
        let waits = asked.ours && asked.state == "open" && asked.not_taken.is_none();
        let seen = asked.seen.as_ref().is_some_and(|seen| seen.twin.as_str() == twin);
        waits && seen && asked.asked_of == owner
    })
}

/// Sees to it that the stream is followed. One that has ended is left so: its copies are read.
async fn followed(client: &AdminClient, under: &Under) -> Result<(), Problem> {
    let all: Vec<SubscriptionLine> = client.get("/subscriptions").await?;
    if all.iter().any(|one| one.agreement == under.agreement.id) {
        return Ok(());
    }
    let asked = Subscribe {
        agreement: under.agreement.id.clone(),
        purpose: under.purpose.clone(),
        place: under.place.clone(),
        from_start: true,
    };
    let path = "/subscriptions";
    let _: SubscriptionLine = client.post(path, "application/json", body(&asked)?).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
