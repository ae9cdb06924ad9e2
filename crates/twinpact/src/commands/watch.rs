//! `watch`: runs the job of a rule, and tells what each finding led to.

use crate::cli::{Dir, Watch as Words};
use crate::output::{Output, count, front, internal, line};
use crate::session::{self, Session, read_text};
use crate::watch::{Led, NotAsked, Options, Step, Watch, Why};
use serde_json::json;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use twinpact_model::problem::Problem;

pub(crate) async fn watch(words: Words, out: Output) -> Result<ExitCode, Problem> {
    let no_signals = |e| internal(&format!("signals cannot be received: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let rule = read_text(&words.rule)?;
    // Whom a finding concerns is asked of partners, who call back.
    let session = Session::running(&words.dir.dir).await?;
    let options = Options {
        agreement: words.agreement,
        purpose: words.purpose,
        place: words.place,
        state: words.state,
    };
    let mut job = Watch::open(session.client.clone(), &rule, options).await?;
    if words.once {
        return once(&mut job, &words.dir, out).await;
    }
    let dir = words.dir.dir.clone();
    let running = job.run(
        async || session::running(&dir).await,
        |step| {
            for led in &step.led {
                let text = match out.is_json() {
                    true => json!(led).to_string(),
                    false => told(led),
                };
                out.data(format!("{text}\n").as_bytes());
            }
            tell(step, out);
        },
    );
    tokio::select! {
        ran = running => ran?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// One step; that copies may not be read now is its end too.
async fn once(job: &mut Watch, dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let step = job.step().await?;
    let refused = step.refused.as_ref().map(|problem| problem.code.name);
    let shown = json!({
        "found": step.led, "copies": step.copies, "rows": step.rows, "late": step.late,
        "ahead": step.ahead, "stuck": step.stuck, "gone": step.gone, "unread": step.unread, "refused": refused, "ended": step.ended,
    });
    out.result(&shown, |_| step.led.iter().map(told).collect::<Vec<_>>().join("\n"));
    tell(&step, out);
    if let Some(incident) = step.led.iter().find_map(|led| led.incident.as_ref()) {
        out.next(&format!("twinpact incident show {}{}", incident.id, dir.flag()));
    }
    step.refused.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// What a finding led to, as one line.
fn told(led: &Led) -> String {
    let then = match (&led.incident, &led.contained_by, &led.refused) {
        (Some(incident), ..) => format!("incident {} is open", incident.id),
        (None, Some(incident), _) => format!("its owner is asked already, in incident {incident}"),
        (None, None, Some(code)) => format!("no incident could be opened ({code})"),
        (None, None, None) => "nobody is asked: the rule names nobody who can be".to_owned(),
    };
    line(&format!("{} since {}, found {}: {then}", led.twin, led.first, led.found))
}

/// What a step did, for people.
fn tell(step: &Step, out: Output) {
    if step.copies > 0 {
        let (rows, copies) = (count(step.rows as u64), count(step.copies as u64));
        out.say(&format!("read {rows} rows of {copies} copies"));
    }
    if step.gone > 0 {
        out.say(&format!("{} copies were gone before they were read", step.gone));
    }
    if step.late > 0 {
        let late = count(step.late);
        out.say(&format!("{late} rows came again, or after rows of later, and were not looked at"));
    }
    if step.ahead > 0 {
        let ahead = count(step.ahead as u64);
        out.say(&format!("{ahead} rows are of a time to come and wait for it"));
    }
    for (twin, code) in &step.stuck {
        out.say(&line(&format!("no incident can be opened now for {twin}: {code}")));
    }
    if let Some(problem) = &step.away {
        out.say(&line(&format!("waits for its node: {}", problem.message)));
    }
    for (receipt, code) in &step.unread {
        out.say(&line(&format!("copy {} is put aside: {code}", front(receipt))));
    }
    for one in step.led.iter().flat_map(|led| &led.not_asked) {
        out.say(&line(&not_asked(one)));
    }
    if let Some(problem) = &step.refused {
        out.say(&line(&format!("what is left is not read now: {}", problem.message)));
    }
    if let Some(code) = &step.ended {
        out.say(&format!("the stream has ended: {code}"));
    }
}

/// Who is not asked, and why.
fn not_asked(one: &NotAsked) -> String {
    let NotAsked { owner, twins, why } = one;
    let owner = owner.as_deref().unwrap_or("an owner that is not shown");
    let why = match why {
        Why::NobodyToAsk => "nothing was shown under which it can be asked",
        Why::MayNotTell => "the terms of who has shown the way do not permit DefectContainment",
    };
    format!("{owner} is not asked about {twins} twins: {why}")
}
