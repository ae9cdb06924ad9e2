//! `follow` and `subscription list|receipts|end`: streams of partners, followed until they end.

use super::exchange::body;
use crate::cli::{Follow, Subscription};
use crate::output::{Output, count, front, line, table};
use crate::session::{Session, get};
use std::process::ExitCode;
use twinpact_contract::scaffold;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Followed, Subscribe, SubscriptionLine};

pub(crate) async fn follow(words: Follow, out: Output) -> Result<ExitCode, Problem> {
    let asked = body(&Subscribe {
        agreement: words.agreement,
        purpose: words.purpose.as_deref().map(scaffold::purpose).transpose()?,
        place: words.place,
        from_start: words.from_start,
    })?;
    let session = Session::running(&words.dir.dir).await?;
    let one: SubscriptionLine =
        session.client.post("/subscriptions", "application/json", asked).await?;
    out.result(&one, |one| {
        format!("the stream of {} is followed since {}", line(&one.partner), one.since)
    });
    let flag = words.dir.flag();
    out.next(&format!("twinpact subscription receipts {}{flag}", front(&one.agreement)));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(command: Subscription, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Subscription::List { dir } => {
            let all: Vec<SubscriptionLine> = get(&dir.dir, "/subscriptions").await?;
            out.result(&all, |all| list(all));
            out.next("twinpact subscription receipts AGREEMENT");
        }
        Subscription::Receipts { dir, agreement, after } => {
            let after = after.map_or(String::new(), |after| format!("?after={after}"));
            let path = format!("/subscriptions/{}/receipts{after}", segment(&agreement));
            let came: Followed = get(&dir.dir, &path).await?;
            out.result(&came, |came| {
                came.receipts.iter().map(|one| front(one)).collect::<Vec<_>>().join("\n")
            });
            out.say(&line(&stands(&came)));
            if let Some(receipt) = came.receipts.first() {
                let (receipt, flag) = (front(receipt), dir.flag());
                out.next(&format!("twinpact copy show {receipt} --purpose PURPOSE{flag}"));
            }
        }
        Subscription::End { dir, agreement } => {
            let path = format!("/subscriptions/{}/end", segment(&agreement));
            let session = Session::open(&dir.dir).await?;
            let got = session.client.post(&path, "application/json", Vec::new()).await;
            session.close().await;
            let one: SubscriptionLine = got?;
            out.result(&one, state);
            out.next(&format!("twinpact follow {}{}", front(&one.agreement), dir.flag()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[SubscriptionLine]) -> String {
    let row = |one: &SubscriptionLine| {
        let (agreement, partner) = (front(&one.agreement), line(&one.partner));
        vec![agreement, partner, one.since.to_string(), count(one.rows), state(one)]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&["agreement", "from", "since", "rows", "state"], &rows)
}

fn state(one: &SubscriptionLine) -> String {
    match (&one.code, &one.why) {
        (Some(code), Some(why)) => format!("ended: {why} ({code})"),
        (Some(code), None) => format!("ended ({code})"),
        (None, _) => "followed".to_owned(),
    }
}

/// How far the stream has come.
fn stands(came: &Followed) -> String {
    let position = came.position.map_or("nothing has come".to_owned(), |position| {
        format!("it has come to position {position}")
    });
    match &came.code {
        Some(code) => format!("{position}; it has ended ({code})"),
        None => position,
    }
}
