//! `log watch`: what changes of logs, as JSON lines. The node says when something has changed; what
//! is printed is what is new against the answer before.

use crate::output::{Output, internal};
use crate::session::Session;
use serde_json::{Value, json};
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};
use twinpact_model::problem::Problem;
use twinpact_node::api::{CheckpointLine, LogShown};

/// Prints until it is interrupted.
pub(crate) async fn watch(dir: &Path, partner: Option<&str>, out: Output) -> Result<(), Problem> {
    let no_signals = |e| internal(&format!("signals cannot be received: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let session = Session::running(dir).await?;
    let told = tokio::select! {
        told = tell(&session, partner, out) => told,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    session.close().await;
    told
}

async fn tell(session: &Session, partner: Option<&str>, out: Output) -> Result<(), Problem> {
    let mut last: LogShown = session.client.get("/log").await?;
    for line in news(None, &last, partner) {
        out.data(format!("{line}\n").as_bytes());
    }
    loop {
        let next: LogShown = session.client.get(&format!("/log?after={}", last.frames)).await?;
        for line in news(Some(&last), &next, partner) {
            out.data(format!("{line}\n").as_bytes());
        }
        last = next;
    }
}

/// What is new, one line each.
fn news(before: Option<&LogShown>, now: &LogShown, partner: Option<&str>) -> Vec<Value> {
    let about = |did: &str| partner.is_none_or(|wanted| wanted == did);
    let mut lines = Vec::new();
    if partner.is_none() && before.is_none_or(|before| before.own != now.own) {
        lines.push(json!({ "event": "checkpoint", "log": now.own, "time": now.ticked }));
    }
    for one in now.witnesses.iter().filter(|one| about(&one.witness)) {
        let known = before.and_then(|b| b.witnesses.iter().find(|w| w.witness == one.witness));
        if one.size > known.map_or(0, |known| known.size) {
            lines.push(json!({ "event": "cosignature", "witness": one }));
        }
        if one.failed.is_some() && known.is_none_or(|known| known.failed != one.failed) {
            lines.push(json!({ "event": "witness failed", "witness": one }));
        }
    }
    for one in now.partners.iter().filter(|one| about(&one.partner)) {
        let known = before.and_then(|b| b.partners.iter().find(|p| p.partner == one.partner));
        let mut seen = |event: &str, log: &Option<CheckpointLine>, was: Option<&CheckpointLine>| {
            if let Some(log) = log.as_ref().filter(|log| was != Some(*log)) {
                lines.push(json!({ "event": event, "partner": one.partner, "log": log }));
            }
        };
        seen("seen", &one.pinned, known.and_then(|known| known.pinned.as_ref()));
        seen("cosigned", &one.cosigned, known.and_then(|known| known.cosigned.as_ref()));
    }
    for alert in now.alerts.iter().filter(|alert| about(&alert.partner)) {
        let known = before.and_then(|b| b.alerts.iter().find(|known| known.id == alert.id));
        if known != Some(alert) {
            lines.push(json!({ "event": "alert", "alert": alert }));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::news;
    use twinpact_model::Timestamp;
    use twinpact_node::api::{AlertLine, CheckpointLine, LogShown, SeenLine, WitnessLine};

    fn checkpoint(size: u64) -> CheckpointLine {
        CheckpointLine { origin: "a/twinpact/1".into(), size, root: "00".into() }
    }

    fn shown() -> LogShown {
        let witness = WitnessLine {
            witness: "did:web:w".into(),
            key: None,
            size: 3,
            cosigned: None,
            lag_ticks: 0,
            lag_seconds: 0,
            failed: None,
        };
        LogShown {
            frames: 1,
            own: checkpoint(3),
            ticked: None,
            witness_key: String::new(),
            witnesses: vec![witness],
            partners: vec![SeenLine { partner: "did:web:p".into(), pinned: None, cosigned: None }],
            alerts: Vec::new(),
        }
    }

    #[test]
    fn what_is_new_is_told_once_and_of_whom_it_was_asked() {
        let check = |change: &dyn Fn(&mut LogShown), partner: Option<&str>, expect: &[&str]| {
            let mut now = shown();
            change(&mut now);
            let lines = news(Some(&shown()), &now, partner);
            let events: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
            assert_eq!(events, expect, "{partner:?}");
        };
        check(&|_| {}, None, &[]);
        check(&|now| now.own.size = 4, None, &["checkpoint"]);
        check(&|now| now.own.size = 4, Some("did:web:w"), &[]);
        check(&|now| now.witnesses[0].size = 4, None, &["cosignature"]);
        check(&|now| now.witnesses[0].size = 4, Some("did:web:w"), &["cosignature"]);
        check(&|now| now.witnesses[0].size = 4, Some("did:web:p"), &[]);
        let failed = |now: &mut LogShown| now.witnesses[0].failed = Some("witness.late".into());
        check(&failed, None, &["witness failed"]);
        check(&|now| now.partners[0].pinned = Some(checkpoint(1)), None, &["seen"]);
        check(
            &|now| now.partners[0].cosigned = Some(checkpoint(1)),
            Some("did:web:p"),
            &["cosigned"],
        );
        let alert = |now: &mut LogShown| {
            now.alerts.push(AlertLine {
                id: "00".into(),
                partner: "did:web:p".into(),
                origin: String::new(),
                grade: "proven".into(),
                sizes: [1, 1],
                source: "gossip".into(),
                recorded: Timestamp::default(),
            });
        };
        check(&alert, None, &["alert"]);
        check(&alert, Some("did:web:x"), &[]);
        // What there is at the beginning is told too.
        assert_eq!(news(None, &shown(), None).len(), 2);
    }
}
