//! `check`: every invariant of a directory, offline. It changes nothing: a torn tail is reported
//! here, and cut by the next start.

use super::ingest::bar;
use crate::cli::Dir;
use crate::output::{Output, count, line};
use indicatif::ProgressBar;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::check::{self, Counts, Report};

/// So many steps are shown as one.
const STRIDE: u64 = 256;

pub(crate) fn check(dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let mut shown: Option<(&'static str, ProgressBar)> = None;
    let checked = check::check(&dir.dir, &mut |what, done, total| {
        let (_, bar) = match shown.take() {
            Some(same) if same.0 == what => shown.insert(same),
            other => {
                other.inspect(|(_, bar)| bar.finish_and_clear());
                shown.insert((what, started(what, total)))
            }
        };
        if done.is_multiple_of(STRIDE) || Some(done) == total {
            bar.set_position(done);
        }
    });
    shown.inspect(|(_, bar)| bar.finish_and_clear());
    let report = checked?;
    out.result(&report, text);
    if let Some(torn) = &report.torn {
        out.say(&format!(
            "a torn tail of {} bytes is at offset {} of segment {}: the next start cuts it and \
             puts that on record",
            torn.bytes, torn.offset, torn.segment
        ));
    }
    let Some(problem) = report.problem() else {
        out.next(&format!("twinpact serve --dir {}", dir.dir.display()));
        return Ok(ExitCode::SUCCESS);
    };
    report.findings.iter().for_each(|finding| out.say(&format!("  wrong: {}", line(finding))));
    Ok(out.fail(&problem))
}

/// A bar, or a counter when nobody knows how much there is.
fn started(what: &str, total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => bar(total, what),
        None => ProgressBar::new_spinner().with_message(what.to_owned()),
    }
}

fn text(report: &Report) -> String {
    let Counts { entries, events, decisions, deliveries, local, trees, .. } = report.counts;
    let Counts { twins, facts, agreements, receipts, copies, destroyed, .. } = report.counts;
    let [entries, events, decisions, deliveries, local] =
        [entries, events, decisions, deliveries, local].map(count);
    let destroyed = match destroyed {
        0 => String::new(),
        some => format!(", {} of them destroyed with their key", count(some)),
    };
    let found = match report.wrong {
        0 if report.behind.is_some() => "an older copy of itself, in which all holds".to_owned(),
        0 => "everything holds".to_owned(),
        wrong => format!("{} findings", count(wrong)),
    };
    let anchor = &report.anchor;
    format!(
        "{}: {found}\n\
         entries     {entries}: {events} events, {decisions} decisions, {deliveries} deliveries, \
         {local} local{destroyed}\n\
         trees       {}\n\
         twins       {} with {} facts\n\
         agreements  {}, {} receipts made again, {} copies\n\
         anchor      {} size {} root {}\n\
         state       {}",
        report.organisation,
        count(trees),
        count(twins),
        count(facts),
        count(agreements),
        count(receipts),
        count(copies),
        anchor.origin,
        anchor.size,
        anchor.root,
        report.state,
    )
}
