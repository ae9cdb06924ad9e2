//! `incident report`: all that this node knows of an incident, as one picture.
//!
//! It is drawn from the organisation's own log and nothing else: its own rows where the twin is its
//! own, copies of them where they were delivered to it and are not deleted yet, what was decided
//! and delivered, who asked and who answered.

use super::incident_figures;
use super::incident_rows::{self, Drawn, ReadFor, Rows};
use super::incident_walk::walk;
use crate::output::{Output, front, shell};
use crate::report::{CurvePicture, DaysPicture, Moment, Picture, page};
use crate::session::{Session, read_text, write_file};
use crate::watch::rule_file;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use twinpact_detect::{Compared, Detector, Milli, Rule, RuleFile, Sample, compare, median};
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Schedule, Timestamp, codes};
use twinpact_node::api::{
    AgreementLine, ContainmentLine, DecisionLine, IncidentShown, Kpis, ReceiptLine, SeenAt,
};
use twinpact_node::kpis::MAX_INCIDENTS;

/// How many days of rows teach the curve, and how many stand around the finding.
const LEARN_DAYS: i64 = 30;
const BEFORE_DAYS: i64 = 3;
const AFTER_DAYS: i64 = 2;
const DAY_S: i64 = 86_400;
/// The outcome of a decision that lets somebody in.
pub(super) const PERMIT: &str = "policy.permit";
/// The most decisions and receipts that are looked at.
const LATEST: usize = 1_000;

/// What is to be drawn, and from what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw<'a> {
    /// The incident.
    pub(crate) incident: &'a str,
    /// The rule by which it was found, when its story does not tell.
    pub(crate) rule: Option<&'a Path>,
    /// For what copies of a partner's rows are read.
    pub(crate) copies: ReadFor<'a>,
}

/// Writes the picture of an incident to a file.
pub(crate) async fn report(
    dir: &Path,
    asked: Draw<'_>,
    file: &Path,
    out: Output,
) -> Result<(), Problem> {
    let session = Session::open(dir).await?;
    let gathered = gather(&session.client, asked).await;
    session.close().await;
    let picture = gathered?;
    let bytes = page(&picture).into_bytes();
    write_file(file, &bytes)?;
    let made = json!({
        "file": file,
        "incident": asked.incident,
        "bytes": bytes.len(),
        "notices": picture.notices,
    });
    out.result(&made, |_| format!("the report is in {} ({} bytes)", shell(file), bytes.len()));
    Ok(())
}

/// All that the page shows.
///
/// # Errors
/// `incident.unknown`, `rule.invalid`, and what the node refuses; that a copy may not be read now
/// is a notice of the page.
pub(crate) async fn gather(client: &AdminClient, asked: Draw<'_>) -> Result<Picture, Problem> {
    let incident = segment(asked.incident);
    let shown: IncidentShown = client.get(&format!("/incidents/{incident}")).await?;
    let rule = match (asked.rule, shown.story.get("rule")) {
        (Some(path), _) => Some(rule_file(&read_text(path)?)?),
        (None, Some(told)) => serde_json::from_value(told.clone()).ok(),
        (None, None) => None,
    };
    let seen = shown.seen();
    let mut picture = Picture {
        title: title(&shown),
        notices: notices(&shown),
        facts: facts(&shown),
        ..Picture::default()
    };
    let mut drawn = Drawn::default();
    if let Some(us) = shown.containments.iter().find(|one| one.ours) {
        let start = seen.map(|(one, at)| (at.twin.to_string(), Some(one.asked_of.clone())));
        let hops = rule.as_ref().map(|rule| rule.walk.as_slice()).unwrap_or_default();
        let by = (us.asked_by.as_str(), shown.incident.recorded);
        let walk = walk(client, by, (start, hops), &shown.story, asked.copies).await?;
        picture.notices.splice(0..0, walk.notices);
        (picture.walk, drawn) = (walk.hops, walk.drawn);
    }
    let first = seen.map(|(one, _)| one).or(shown.containments.first());
    let agreement = first.map(|one| one.agreement.clone());
    let Some(agreement) = agreement else { return Ok(picture) };
    let agreement: AgreementLine =
        client.get(&format!("/agreements/{}", segment(&agreement))).await?;
    if let (Some(rule), Some((_, seen))) = (rule, seen) {
        let moments = Moments { seen, began: shown.began(), hours: agreement.hours.as_ref() };
        let from = (agreement.id.as_str(), asked.copies);
        drawn = drawn.and(draw_rows(client, &mut picture, &rule, &moments, from).await?);
        if let Some(days) = &mut picture.days {
            days.marks = marks(&shown, &moments);
        }
    }
    picture.notices.splice(0..0, drawn.notice());
    // Behind the rows: that they were read for this counts as use.
    let kpis: Kpis = client.get("/kpis").await?;
    picture.figures = incident_figures::figures(&shown, &kpis, &agreement.id);
    let decisions: Vec<DecisionLine> = client.get(&format!("/decisions?limit={LATEST}")).await?;
    let receipts: Vec<ReceiptLine> = client.get(&format!("/receipts?limit={LATEST}")).await?;
    let counted = kpis.incidents.iter().any(|one| one.incident == shown.incident.id);
    picture.notices.extend(left_out(counted, [decisions.len(), receipts.len()]));
    picture.timeline = timeline(&shown, &decisions, &receipts);
    Ok(picture)
}

fn title(shown: &IncidentShown) -> String {
    let name = shown.incident.name.as_deref().unwrap_or("incident");
    match shown.seen() {
        Some((_, seen)) => format!("{name} at {}", seen.twin),
        None => format!("{name} {}", shown.incident.id),
    }
}

fn notices(shown: &IncidentShown) -> Vec<String> {
    let mut notices = Vec::new();
    if shown.is_driven() {
        notices.push("A policy clock was driven: its times are no evidence.".to_owned());
    }
    let automatic = |one: &ContainmentLine| one.answers.iter().any(|answer| answer.automatic);
    if shown.containments.iter().any(automatic) {
        notices.push("An answer was given by a program: nobody has looked.".to_owned());
    }
    notices
}

fn facts(shown: &IncidentShown) -> Vec<(String, String)> {
    let mut facts = vec![("incident".to_owned(), shown.incident.id.clone())];
    if let Some((one, at)) = shown.seen() {
        facts.push(("seen at".to_owned(), at.twin.to_string()));
        facts.push(("owner".to_owned(), one.asked_of.clone()));
        let began = shown.began().map(|began| ("began, as its owner says", began));
        let times = [
            ("first loss that was shown", at.first),
            ("found by the row of", at.found),
            ("opened", one.opened),
        ];
        let times = began.into_iter().chain(times);
        facts.extend(times.map(|(name, time)| (name.to_owned(), time.to_string())));
    }
    for one in &shown.containments {
        let name = format!("asked of {}", one.asked_of);
        facts.push((name, format!("{}: {}", one.measure, one.state)));
    }
    facts
}

/// What is not there because only the latest is looked at: whether the incident is among those of
/// which times are counted, and how many decisions and deliveries came.
fn left_out(counted: bool, came: [usize; 2]) -> Vec<String> {
    let old = format!(
        "How long each step took is not said: times are of the latest {MAX_INCIDENTS} incidents."
    );
    let cut = format!(
        "Only the latest {LATEST} decisions and deliveries are looked at: what was decided or \
         delivered before is left out of what happened."
    );
    let cut = came.iter().any(|count| *count >= LATEST).then_some(cut);
    (!counted).then_some(old).into_iter().chain(cut).collect()
}

/// When it was seen, when it began as far as that is known, and when one may look.
struct Moments<'a> {
    seen: &'a SeenAt,
    began: Option<Timestamp>,
    hours: Option<&'a Schedule>,
}

impl Moments<'_> {
    /// Until when rows teach what is usual: a day before anything began.
    fn usual_until(&self) -> Timestamp {
        self.began.unwrap_or(self.seen.first).min(self.seen.first).plus_seconds(-DAY_S)
    }
}

fn marks(shown: &IncidentShown, moments: &Moments<'_>) -> Vec<(Timestamp, String)> {
    let opened = shown.containments.iter().map(|one| one.opened).min();
    let mut marks = Vec::new();
    marks.extend(moments.began.map(|at| (at, "began".to_owned())));
    marks.push((moments.seen.found, "found".to_owned()));
    marks.extend(opened.map(|at| (at, "containment opened".to_owned())));
    marks
}

/// Curve and days, from our own rows when the twin is ours, else from copies of its owner's, which
/// are returned.
async fn draw_rows(
    client: &AdminClient,
    picture: &mut Picture,
    file: &RuleFile,
    moments: &Moments<'_>,
    (agreement, asked): (&str, ReadFor<'_>),
) -> Result<Drawn, Problem> {
    let (rule, seen, hours) = (Rule::new(file)?, moments.seen, moments.hours);
    let around = (
        seen.first.plus_seconds(-BEFORE_DAYS * DAY_S),
        seen.found.plus_seconds(AFTER_DAYS * DAY_S),
    );
    let since = seen.found.plus_seconds(-LEARN_DAYS * DAY_S);
    let own = incident_rows::own(client, seen.twin.as_str(), &rule, (since, around.1)).await;
    let rows = match own {
        Ok(Some(rows)) => rows,
        Ok(None) => incident_rows::copied(client, agreement, file, asked).await?,
        Err(problem) => not_drawn(problem)?,
    };
    picture.notices.splice(0..0, rows.notices);
    let (samples, axes, drawn) = (rows.samples, rows.axes, rows.drawn);
    let own = || samples.iter().filter(|sample| sample.twin == seen.twin.as_str());
    if own().next().is_none() {
        return Ok(drawn);
    }
    let stood_out = losses(&rule, &samples, moments)?;
    let point = |sample: &Sample| (sample.drive.to_f64(), sample.output.to_f64());
    picture.curve = Some(CurvePicture {
        axes: axes.clone(),
        rows: own().map(point).collect(),
        learned: stood_out.learned,
        stood_out: stood_out.rows,
    });
    let within = |sample: &&Sample| (around.0..around.1).contains(&sample.at);
    picture.days = Some(DaysPicture {
        axis: axes.1,
        span: around,
        midnights: midnights(hours, around)?,
        twin: own().filter(within).map(|one| (one.at, one.output.to_f64())).collect(),
        siblings: siblings(&samples, seen.twin.as_str(), around),
        closed: closed(hours, around),
        marks: Vec::new(),
    });
    Ok(drawn)
}

/// Nothing, and why: there is too much to be read, and a part of it would be another picture; or
/// our twin was erased. All else of the page is there.
fn not_drawn(problem: Problem) -> Result<Rows, Problem> {
    if ![codes::INPUT_TOO_LARGE, codes::TWIN_ERASED].contains(&problem.code) {
        return Err(problem);
    }
    let why = format!("Curve and days are not drawn: {}.", problem.message);
    Ok(Rows { notices: vec![why], ..Rows::default() })
}

/// What was learned of a twin, and its rows that stand out.
struct StoodOut {
    learned: Vec<(f64, f64)>,
    rows: Vec<(f64, f64)>,
}

fn losses(rule: &Rule, samples: &[Sample], moments: &Moments<'_>) -> Result<StoodOut, Problem> {
    let mut detector = Detector::new(rule.clone());
    let end = moments.usual_until();
    detector.take(samples.iter().filter(|one| one.at < end).cloned())?;
    detector.close();
    let twin = moments.seen.twin.as_str();
    let curve = detector.curve(twin).cloned().unwrap_or_default();
    let level = |bin: i64| rule.level(bin).to_f64();
    let learned = curve.medians().map(|(bin, median)| (level(bin), median.to_f64())).collect();
    let mut instants: BTreeMap<Timestamp, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|one| instants.entry(one.at).or_default().push(one));
    let rows = samples.iter().filter(|one| one.twin == twin).filter_map(|one| {
        let others = instants.get(&one.at)?.iter().filter(|other| other.twin != twin);
        match compare(rule, one, others.map(|other| other.output).collect(), &curve) {
            Compared::Loss(dip) => Some((dip.drive.to_f64(), dip.output.to_f64())),
            _ => None,
        }
    });
    let rows = rows.collect();
    Ok(StoodOut { learned, rows })
}

/// The median of what the others gave at each instant.
fn siblings(
    samples: &[Sample],
    twin: &str,
    (from, until): (Timestamp, Timestamp),
) -> Vec<(Timestamp, f64)> {
    let mut instants: BTreeMap<Timestamp, Vec<Milli>> = BTreeMap::new();
    let others = samples.iter().filter(|one| one.twin != twin && (from..until).contains(&one.at));
    others.for_each(|one| instants.entry(one.at).or_default().push(one.output));
    let middle = |(at, values)| median(values).map(|value| (at, value.to_f64()));
    instants.into_iter().filter_map(middle).collect()
}

/// The spans in which nothing may be asked for.
fn closed(
    hours: Option<&Schedule>,
    (from, until): (Timestamp, Timestamp),
) -> Vec<(Timestamp, Timestamp)> {
    let Some(hours) = hours else { return Vec::new() };
    let (mut spans, mut at) = (Vec::new(), from);
    while at < until {
        let next = hours.next_change(at).unwrap_or(until).min(until);
        if !hours.contains(at) {
            spans.push((at, next));
        }
        at = next;
    }
    spans
}

/// The midnights of a span by the clock of the hours, or of UTC.
fn midnights(
    hours: Option<&Schedule>,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<(Timestamp, String)>, Problem> {
    let utc;
    let clock = match hours {
        Some(hours) => hours,
        None => {
            utc = Schedule::parse("Mo-Su 00:00-24:00 [UTC]")?;
            &utc
        }
    };
    let mut all = Vec::new();
    // Every zone of today is a whole number of quarters of an hour from UTC.
    let mut at = Timestamp::from_seconds(from.seconds().div_euclid(900) * 900);
    while at < until {
        let local = clock.local(at);
        if at >= from && local.ends_with(" 00:00") {
            all.push((at, local.trim_end_matches(" 00:00").to_owned()));
        }
        at = at.plus_seconds(900);
    }
    Ok(all)
}

fn timeline(
    shown: &IncidentShown,
    decisions: &[DecisionLine],
    receipts: &[ReceiptLine],
) -> Vec<Moment> {
    let signed = "signed".to_owned();
    let mut moments = Vec::new();
    let own = shown.containments.first().map(|one| match one.ours {
        true => one.asked_by.clone(),
        false => one.asked_of.clone(),
    });
    let own = own.unwrap_or_default();
    for one in &shown.containments {
        let what = format!("asks {} to {}: {}", one.asked_of, one.measure, one.reason);
        moments.push(Moment {
            at: one.opened,
            organisation: one.asked_by.clone(),
            what,
            level: signed.clone(),
            proof: format!("event {}", one.event),
        });
        for answer in &one.answers {
            let by = if answer.automatic { "a program for " } else { "" };
            moments.push(Moment {
                at: answer.at,
                organisation: one.asked_of.clone(),
                what: format!("{} by {by}{}", answer.answer, answer.by),
                level: signed.clone(),
                proof: format!("event {}", answer.event),
            });
        }
    }
    let under = |agreement: &str| shown.containments.iter().any(|one| one.agreement == agreement);
    let rests = |id: &String| shown.containments.iter().any(|one| one.evidence.contains(id));
    for receipt in receipts.iter().filter(|one| under(&one.agreement) && rests(&one.id)) {
        let (from, to) = match receipt.role.as_str() {
            "provider" => (own.clone(), receipt.partner.clone()),
            _ => (receipt.partner.clone(), own.clone()),
        };
        moments.push(Moment {
            at: receipt.at,
            organisation: from,
            what: format!("delivered {} rows to {to}", receipt.rows),
            level: receipt.level.clone(),
            proof: format!("receipt {}", front(&receipt.id)),
        });
    }
    for decision in decisions.iter().filter(|one| under(&one.agreement)) {
        if decision.code == PERMIT {
            continue;
        }
        moments.push(Moment {
            at: decision.from,
            organisation: own.clone(),
            what: format!("{} {}", decision.caller, decision.sentence),
            level: decision.level.clone(),
            proof: format!("decision {}", front(&decision.id)),
        });
    }
    moments.sort_by_key(|moment| moment.at);
    moments
}

#[cfg(test)]
mod tests {
    use super::{LATEST, closed, left_out, midnights, not_drawn};
    use twinpact_model::problem::Problem;
    use twinpact_model::{Schedule, Timestamp, codes};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn what_is_too_much_or_erased_is_said_and_what_is_wrong_is_not_passed_over() {
        for code in [codes::INPUT_TOO_LARGE, codes::TWIN_ERASED] {
            let rows = not_drawn(Problem::new(code, "it is so")).unwrap();
            assert_eq!(rows.notices, ["Curve and days are not drawn: it is so."]);
            assert!(rows.samples.is_empty());
        }
        let other = not_drawn(Problem::new(codes::STORE_STOPPED, "the log has stopped"));
        assert_eq!(other.unwrap_err().code, codes::STORE_STOPPED);
    }

    #[test]
    fn what_is_left_out_is_said() {
        for (counted, came, expect) in [
            (true, [0, LATEST - 1], [false, false]),
            (true, [LATEST, 0], [false, true]),
            (true, [0, LATEST], [false, true]),
            (false, [0, 0], [true, false]),
            (false, [LATEST, LATEST], [true, true]),
        ] {
            let said = left_out(counted, came).join(" ");
            let has = ["latest 100 incidents", "latest 1000 decisions"].map(|it| said.contains(it));
            assert_eq!(has, expect, "{counted} {came:?}: {said}");
        }
    }

    #[test]
    fn what_is_closed_is_what_is_not_open() {
        let hours = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
        let week = (at("2015-07-24T12:00:00+02:00"), at("2015-07-28T00:00:00+02:00"));
        let spans = closed(Some(&hours), week);
        let expect = [
            ("2015-07-24T19:00:00+02:00", "2015-07-27T07:00:00+02:00"),
            ("2015-07-27T19:00:00+02:00", "2015-07-28T00:00:00+02:00"),
        ];
        assert_eq!(spans, expect.map(|(from, until)| (at(from), at(until))));
        assert!(closed(None, week).is_empty());
        let nights = midnights(Some(&hours), week).unwrap();
        let names: Vec<&str> = nights.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["Sat 2015-07-25", "Sun 2015-07-26", "Mon 2015-07-27"]);
        assert_eq!(nights[0].0, at("2015-07-25T00:00:00+02:00"));
        assert_eq!(midnights(None, week).unwrap().len(), 3);
    }
}
