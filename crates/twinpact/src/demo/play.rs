//! What the demo on a user's own recordings is about: these, their map and model, a contract, and
//! the moments to show.
//!
//! What it shows follows from the data (the first twin, the last time) and from the contract's
//! terms (when it is open, what is refused), so that nothing in the path knows a domain.

use crate::cli::Demo;
use crate::output::internal;
use crate::session::{read_file, read_text};
use std::path::Path;
use twinpact_contract::scaffold::{self, Draft};
use twinpact_contract::vocabulary::{PURPOSE, REGION, purpose_names, region_codes};
use twinpact_contract::{Constraint, Contract, PurposeTest, Truth, Vocabulary, document, text};
use twinpact_edge::{Map, Observation, Reading, Rows, model_file};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Schedule, Timestamp, TypeModel, codes};

/// A file of the play.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// A refusal to show: at which policy time, for what, where.
pub(crate) struct Refusal {
    pub(crate) name: String,
    pub(crate) at: String,
    pub(crate) purpose: String,
    pub(crate) place: String,
}

/// All that the scenes need to know.
pub(crate) struct Play {
    pub(crate) data: File,
    pub(crate) model: File,
    pub(crate) map: File,
    pub(crate) contract: File,
    /// The DID of the provider: the contract's owner.
    pub(crate) owner: String,
    pub(crate) title: String,
    /// The twin whose history is shown, from when on, and what is to be seen.
    pub(crate) twin: String,
    pub(crate) since: String,
    pub(crate) story: String,
    pub(crate) offer: String,
    /// The policy time at which the view may be asked for, and the same in words.
    pub(crate) open: String,
    pub(crate) open_words: String,
    pub(crate) purpose: String,
    pub(crate) place: String,
    pub(crate) refusals: Vec<Refusal>,
}

impl Play {
    /// The play of a user's own recordings.
    pub(crate) fn own(data: &Path, map_path: &Path, arguments: &Demo) -> Result<Play, Problem> {
        let map_text = read_text(map_path)?;
        let map = Map::parse(&map_text)?;
        let model_text = model_text(&map, map_path, arguments.model.as_deref())?;
        let model = model_file::parse(&model_text)?;
        map.check_model(&model)?;
        let seen = Seen::read(data, &map, &model)?;
        let contract_text = match &arguments.contract {
            Some(path) => read_text(path)?,
            None => contract_text(&model)?,
        };
        let contract = Contract::parse(contract_text.as_bytes()).map_err(|found| {
            let shown = document::render(&found, "the contract", &contract_text);
            Problem::new(codes::CONTRACT_MALFORMED, shown)
                .hint("check it with: twinpact contract lint FILE")
        })?;
        let terms = Asking::of(&contract, seen.last)?;
        let packed = data.extension().is_some_and(|end| end == "gz");
        let columns: Vec<&str> =
            contract.object.properties.iter().map(|p| p.name.as_str()).collect();
        Ok(Play {
            data: File {
                name: if packed { "data.csv.gz" } else { "data.csv" },
                bytes: read_file(data)?,
            },
            model: File { name: "model.toml", bytes: model_text.into_bytes() },
            map: File { name: "map.toml", bytes: map_text.into_bytes() },
            contract: File { name: "contract.odcs.yaml", bytes: contract_text.into_bytes() },
            owner: contract.tenant.to_string(),
            title: format!("An operator records {}", data.display()),
            story: format!("The history of {}, from {} on", seen.first.twin, seen.first.phen_start),
            twin: seen.first.twin.to_string(),
            since: seen.first.phen_start.to_string(),
            offer: format!("The operator offers {}, on its terms", columns.join(", ")),
            open: terms.open.to_string(),
            open_words: terms.words,
            purpose: terms.purpose,
            place: terms.place,
            refusals: terms.refusals,
        })
    }
}

/// The model: the file that was named, or the one that `model guess` puts beside the map.
fn model_text(map: &Map, map_path: &Path, named: Option<&Path>) -> Result<String, Problem> {
    if let Some(path) = named {
        return read_text(path);
    }
    let beside = map_path.with_file_name(format!("{}.toml", map.model.name));
    match beside.is_file() {
        true => read_text(&beside),
        false => Err(Problem::new(
            codes::MODEL_UNKNOWN,
            format!("the map is for {}, and there is no {}", map.model, beside.display()),
        )
        .hint("name the type model with --model FILE.toml")),
    }
}

/// A contract with terms of every kind, so that there is something to refuse.
fn contract_text(model: &TypeModel) -> Result<String, Problem> {
    let draft = Draft {
        tenant: Did::new("did:web:operator.example")?,
        name: format!("{}-view", model.model),
        purposes: vec![scaffold::purpose("PredictiveMaintenance")?],
        places: vec![scaffold::place("EU")?],
        schedule: Some(Schedule::parse("Mo-Fr 07:00-19:00 [UTC]")?),
        delete_after_s: Some(14 * 86_400),
        columns: Vec::new(),
    };
    scaffold::write(&draft, model)
}

/// What the recordings hold, as far as the play needs it.
struct Seen {
    /// The first row that fits the model.
    first: Observation,
    /// The latest time of all rows.
    last: Timestamp,
}

impl Seen {
    fn read(data: &Path, map: &Map, model: &TypeModel) -> Result<Seen, Problem> {
        let mut seen: Option<Seen> = None;
        for reading in Rows::open(data, map, |_| ())? {
            let Reading::Observation(row) = reading? else { continue };
            if row.values.iter().any(|(name, value)| model.check_value(name, value).is_err()) {
                continue;
            }
            let last = row.phen_start;
            match &mut seen {
                Some(seen) => seen.last = seen.last.max(last),
                None => seen = Some(Seen { first: row, last }),
            }
        }
        seen.ok_or_else(|| {
            Problem::new(codes::INGEST_MAP, "no row of the file fits its map and its model")
                .hint("see why with: twinpact ingest FILE --map MAP --dir DIR")
        })
    }
}

/// How a partner may ask under the terms of a contract, and how it may not.
struct Asking {
    open: Timestamp,
    words: String,
    purpose: String,
    place: String,
    refusals: Vec<Refusal>,
}

impl Asking {
    /// From the first permission: what it allows, from the end of the recordings on.
    fn of(contract: &Contract, last: Timestamp) -> Result<Asking, Problem> {
        let rule = contract.terms().permissions().first();
        let rule = rule.ok_or_else(|| internal("the contract permits nothing"))?;
        let (mut purposes, mut regions, mut schedule) = (Vec::new(), Vec::new(), None);
        for constraint in &rule.constraints {
            match constraint {
                // All purposes but these: what is allowed is not named.
                Constraint::Purpose { test: PurposeTest::NoneOf, .. } => {}
                Constraint::Purpose { purposes: named, .. } => purposes.extend(named.clone()),
                Constraint::Place { regions: named, .. } => regions.extend(named.clone()),
                Constraint::Schedule(hours) => schedule = Some(hours.clone()),
                Constraint::Time { .. } | Constraint::Undecided(_) => {}
            }
        }
        let (open, words, closed) = moments(schedule.as_ref(), last);
        let or = |all: &[String], other: String| all.first().cloned().unwrap_or(other);
        let purpose = or(&purposes, format!("{PURPOSE}PredictiveMaintenance"));
        let place = or(&regions, format!("{REGION}EU"));
        let refusal = |name: &str, at: Timestamp, purpose: &str, place: &str| Refusal {
            name: name.to_owned(),
            at: at.to_string(),
            purpose: purpose.to_owned(),
            place: place.to_owned(),
        };
        let mut refusals = Vec::new();
        refusals.extend(closed.map(|at| refusal("when it is closed", at, &purpose, &place)));
        let outside = |known: Truth| known == Truth::False;
        let words_of = Vocabulary::standard();
        let other = purpose_names().map(|name| format!("{PURPOSE}{name}")).find(|name| {
            !purposes.is_empty()
                && purposes.iter().all(|p| outside(words_of.purpose_within(name, p)))
        });
        refusals.extend(other.map(|other| refusal("for another purpose", open, &other, &place)));
        let other = region_codes().map(|code| format!("{REGION}{code}")).find(|code| {
            !regions.is_empty() && regions.iter().all(|r| outside(words_of.place_within(code, r)))
        });
        refusals.extend(other.map(|other| refusal("from another place", open, &purpose, &other)));
        Ok(Asking { open, words, purpose, place, refusals })
    }
}

/// The first moment from then on at which it is open, the same in words, and one when it is closed.
fn moments(schedule: Option<&Schedule>, last: Timestamp) -> (Timestamp, String, Option<Timestamp>) {
    let Some(schedule) = schedule else { return (last, last.to_string(), None) };
    let open = match schedule.contains(last) {
        true => last,
        false => schedule.next_change(last).unwrap_or(last),
    };
    let (day, clock) = text::local(schedule, open);
    let words = format!("{day}, {clock} in {}", schedule.zone());
    (open, words, schedule.next_change(open))
}
