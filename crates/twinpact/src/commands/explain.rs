//! `explain CODE`: the page of an error code, from inside the binary; `--list` names them all.

use crate::cli::Explain;
use crate::output::{Output, table};
use serde_json::{Value, json};
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::{Code, Problem};
use twinpact_model::suggest::nearest;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

pub(crate) fn explain(arguments: &Explain, out: Output) -> Result<ExitCode, Problem> {
    match arguments.code.as_deref() {
        Some(code) => page(code, out)?,
        None => list(out),
    }
    Ok(ExitCode::SUCCESS)
}

fn page(wanted: &str, out: Output) -> Result<(), Problem> {
    let Some((name, page)) = PAGES.iter().find(|(name, _)| *name == wanted) else {
        let problem =
            Problem::new(codes::INPUT_UNKNOWN_KEY, format!("there is no code {wanted:?}"));
        return Err(match nearest(wanted, PAGES.iter().map(|(name, _)| *name)) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("all codes: twinpact explain --list"),
        });
    };
    let mut shown = codes::find(name).map_or_else(|| json!({ "code": name }), |code| facts(&code));
    if let Value::Object(shown) = &mut shown {
        shown.insert("page".to_owned(), (*page).into());
    }
    out.result(&shown, |_| (*page).to_owned());
    Ok(())
}

fn list(out: Output) {
    let all: Vec<Value> = codes::ALL.iter().map(facts).collect();
    out.result(&all, |_| {
        let row = |code: &Code| {
            let exit = code.class.exit_code().to_string();
            vec![code.name.to_owned(), code.fault.to_string(), exit, code.title.to_owned()]
        };
        let rows: Vec<_> = codes::ALL.iter().map(row).collect();
        table(&["code", "fault", "exit", "what happened"], &rows)
    });
    out.next("twinpact explain CODE");
}

fn facts(code: &Code) -> Value {
    json!({
        "code": code.name,
        "title": code.title,
        "fault": code.fault.to_string(),
        "exit": code.class.exit_code(),
    })
}
