//! `explain CODE`: the page of an error code, from inside the binary.

use crate::cli::Explain;
use crate::output::Output;
use serde_json::json;
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_model::suggest::nearest;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

pub(crate) fn explain(arguments: &Explain, out: Output) -> Result<ExitCode, Problem> {
    let wanted = arguments.code.as_str();
    let Some((name, page)) = PAGES.iter().find(|(name, _)| *name == wanted) else {
        let problem =
            Problem::new(codes::INPUT_UNKNOWN_KEY, format!("there is no code {wanted:?}"));
        return Err(match nearest(wanted, PAGES.iter().map(|(name, _)| *name)) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("a code stands in brackets after the word error"),
        });
    };
    let code = codes::find(name);
    let shown = json!({
        "code": name,
        "title": code.map(|c| c.title),
        "fault": code.map(|c| c.fault.to_string()),
        "page": page,
    });
    out.result(&shown, |_| (*page).to_owned());
    Ok(ExitCode::SUCCESS)
}
