//! `ready`: whether the node that runs in a directory does its work, for a supervisor that has no
//! shell. Exit codes: 0 it does, else the code of what is wrong.

use crate::cli::Dir;
use crate::output::{Output, line};
use crate::session::Session;
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::ready::{Ready, Status, Warning};

pub(crate) async fn ready(dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let session = Session::running(&dir.dir).await?;
    let ready: Ready = session.client.get("/readyz").await?;
    out.result(&ready, text);
    match ready.status {
        Status::Ready | Status::Warning => Ok(ExitCode::SUCCESS),
        Status::Behind | Status::FederationRefused => Ok(out.fail(&problem(&ready.warnings))),
    }
}

fn text(ready: &Ready) -> String {
    let status = match ready.status {
        Status::Ready => "ready",
        Status::Warning => "ready, with a warning",
        Status::Behind => "behind",
        Status::FederationRefused => "federation refused",
    };
    let warnings = ready.warnings.iter().map(|w| format!("{}: {}", w.code, line(&w.message)));
    std::iter::once(status.to_owned()).chain(warnings).collect::<Vec<_>>().join("\n")
}

/// The first warning, which is why the node does not do all of its work.
fn problem(warnings: &[Warning]) -> Problem {
    let first = warnings.first();
    let code = first.and_then(|warning| codes::find(&warning.code)).unwrap_or(codes::INTERNAL);
    Problem::new(code, first.map_or(String::new(), |warning| warning.message.clone()))
}

#[cfg(test)]
mod tests {
    use super::{problem, text};
    use twinpact_node::ready::{LogLine, Ready, Status, Warning};

    #[test]
    fn what_is_wrong_is_the_first_warning() {
        let warn = |code: &str| Warning { code: code.to_owned(), message: format!("{code}!") };
        for (status, warnings, shown, code) in [
            (Status::Ready, vec![], "ready", "internal"),
            (
                Status::Warning,
                vec![warn("identity.expiring")],
                "ready, with a warning\nidentity.expiring: identity.expiring!",
                "identity.expiring",
            ),
            (
                Status::Behind,
                vec![warn("anchor.behind"), warn("identity.expired")],
                "behind\nanchor.behind: anchor.behind!\nidentity.expired: identity.expired!",
                "anchor.behind",
            ),
            (
                Status::FederationRefused,
                vec![warn("identity.expired")],
                "federation refused\nidentity.expired: identity.expired!",
                "identity.expired",
            ),
        ] {
            assert_eq!(problem(&warnings).code.name, code);
            let ready = Ready { status, warnings, log: LogLine { ticks: 1 } };
            assert_eq!(text(&ready), shown);
        }
    }
}
