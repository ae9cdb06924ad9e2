//! A new contract: a document that lint and the catalogue take as it is, with a comment beside each
//! part that its owner may want to change.
//!
//! What is not given is not limited, and the document says so where the limit would stand. What
//! people write short (`predictive-maintenance`, `FR`, `Mon-Fri 07:00-19:00 Europe/Paris`) becomes
//! the one form that the document has.

use crate::document::{LogicalType, no_attribute};
use crate::lint::fits;
use crate::terms::{Constraint, Duty, PlaceTest, PurposeTest};
use crate::text;
use crate::vocabulary::{PURPOSE, REGION, purpose_names, region_codes};
use std::fmt::Write as _;
use twinpact_model::suggest::nearest;
use twinpact_model::time::format_duration;
use twinpact_model::type_model::is_name;
use twinpact_model::{AttributeModel, Did, Iri, Problem, Schedule, TypeModel, codes};
use twinpact_proof::digest::sha256;

/// What the owner said of a new contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The owner.
    pub tenant: Did,
    /// The contract's name.
    pub name: String,
    /// For what it may be used, as IRIs; empty for anything.
    pub purposes: Vec<String>,
    /// Where it may be used, as IRIs; empty for anywhere.
    pub places: Vec<String>,
    /// When it may be used; at any time when there is none.
    pub schedule: Option<Schedule>,
    /// Within how many seconds copies are to be deleted; never when there is none.
    pub delete_after_s: Option<u64>,
    /// The attributes that are shown, in this order; empty for all.
    pub columns: Vec<String>,
}

/// The IRI of a purpose that was given as an IRI or as a short name of ours, however it is written:
/// `predictive-maintenance`, `PredictiveMaintenance`.
///
/// # Errors
/// `contract.term_unknown` with the name that was meant, or all of them.
pub fn purpose(text: &str) -> Result<String, Problem> {
    let name = text.strip_prefix(PURPOSE).unwrap_or(text);
    if name.contains(':') {
        return Iri::new(text).map(|iri| iri.as_str().to_owned());
    }
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let wanted = letters(name);
    match purpose_names().find(|known| letters(known) == wanted) {
        Some(known) => Ok(format!("{PURPOSE}{known}")),
        None => {
            let known: Vec<String> = purpose_names().map(kebab).collect();
            Err(unknown("purpose", text, &kebab(name), &known))
        }
    }
}

/// The IRI of a place that was given as an IRI of ours or as its code: `FR`, `eu`.
///
/// # Errors
/// `contract.term_unknown`.
pub fn place(text: &str) -> Result<String, Problem> {
    let code = text.strip_prefix(REGION).unwrap_or(text).to_ascii_uppercase();
    match region_codes().find(|known| *known == code) {
        Some(known) => Ok(format!("{REGION}{known}")),
        None => {
            let known: Vec<String> = region_codes().map(str::to_owned).collect();
            let hint = "a place is EU, EEA or a country code of ISO 3166-1 alpha-2, like FR";
            Err(unknown("place", text, &code, &known).hint(hint))
        }
    }
}

/// A schedule in the form of the document or as people write it:
/// `Mon-Fri 07:00-19:00 Europe/Paris`.
///
/// # Errors
/// `input.schedule`.
pub fn schedule(text: &str) -> Result<Schedule, Problem> {
    let mut words: Vec<String> = text.split_whitespace().map(days).collect();
    if let Some(last) = words.last_mut()
        && !last.contains(['[', ':'])
    {
        *last = format!("[{last}]");
    }
    Schedule::parse(text).or_else(|_| Schedule::parse(&words.join(" ")))
}

/// `Mon-Friday` as `Mo-Fr`; a word that names no days as it is.
fn days(word: &str) -> String {
    const DAYS: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let day = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let found = DAYS.iter().find(|day| lower.len() >= 2 && day.starts_with(&lower))?;
        let mut letters = found.chars().take(2);
        let first = letters.next()?.to_ascii_uppercase();
        Some(std::iter::once(first).chain(letters).collect::<String>())
    };
    let range = |part: &str| {
        let ends: Option<Vec<String>> = part.split('-').map(day).collect();
        ends.map(|ends| ends.join("-"))
    };
    let all: Option<Vec<String>> = word.split(',').map(range).collect();
    all.map_or_else(|| word.to_owned(), |all| all.join(","))
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn unknown(what: &str, text: &str, word: &str, known: &[String]) -> Problem {
    let shown: String = text.chars().take(64).collect();
    let problem = Problem::new(codes::CONTRACT_TERM_UNKNOWN, format!("unknown {what} {shown:?}"));
    // The distance costs the product of the lengths.
    let short = Some(word).filter(|word| word.len() <= 64);
    match short.and_then(|word| nearest(word, known.iter().map(String::as_str))) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None if known.len() <= 32 => problem.hint(format!("ours are {}", known.join(", "))),
        None => problem,
    }
}

/// The document.
///
/// # Errors
/// `contract.value` when the name is none; `contract.model` for a column that the model lacks.
pub fn write(draft: &Draft, model: &TypeModel) -> Result<String, Problem> {
    if !is_name(&draft.name) {
        let why = format!("{:?} is not a contract name", draft.name);
        return Err(Problem::new(codes::CONTRACT_VALUE, why)
            .hint("a name has letters, digits, \"_\", \"-\" and \".\", 64 at most"));
    }
    let mut out = head(draft, model);
    out.push_str(
        "schema:\n  # What a partner sees: one object, whose properties are the columns. ",
    );
    out.push_str("The ids\n  # stay when a name changes. Take out what is not to be shown.\n");
    let object = quoted(&model.model);
    let _ = writeln!(out, "  - id: {object}\n    name: {object}\n    logicalType: object");
    out.push_str("    properties:\n");
    for attribute in columns(draft, model)? {
        property(attribute, &mut out);
    }
    out.push_str("customProperties:\n  # Your type model, which this contract cannot change.\n");
    let reference = quoted(&model.reference().to_string());
    ours("model", &reference, &mut out);
    out.push_str("  # Whose rows: all twins of the model, or a list of their IRIs.\n");
    ours("twins", "all", &mut out);
    row_filter(draft, &mut out);
    out.push_str(
        "  # A row that does not fit: reject the answer, quarantine the row, or flag it.\n",
    );
    ours("onShapeViolation", "reject", &mut out);
    offer(draft, &mut out);
    Ok(out)
}

fn head(draft: &Draft, model: &TypeModel) -> String {
    let tenant = draft.tenant.as_str();
    let digest = sha256(format!("twinpact contract\n{tenant}\n{}", draft.name).as_bytes());
    let words = words(draft);
    let purpose = quoted(&format!("Attributes of {}, {words}.", model.reference()));
    format!(
        "# What you show of {model}, to whom a partner becomes by agreeing, and under which terms.\n\
         # ODCS v3.2.0; check it with: twinpact contract lint FILE\n\
         apiVersion: v3.2.0\n\
         kind: DataContract\n\
         id: urn:uuid:{id}\n\
         name: {name}\n\
         # Raise it with every change: a version that was published stays as it is.\n\
         version: 1.0.0\n\
         status: active\n\
         tenant: {tenant}\n\
         description:\n  \
           # For people, in your own words; the terms below are what counts.\n  \
           purpose: {purpose}\n",
        model = model.reference(),
        id = uuid(&digest),
        name = quoted(&draft.name),
        tenant = quoted(tenant),
    )
}

/// The terms in plain English, as far as they are limited.
fn words(draft: &Draft) -> String {
    let mut constraints = Vec::new();
    if !draft.purposes.is_empty() {
        let (test, purposes) = (PurposeTest::AnyOf, draft.purposes.clone());
        constraints.push(Constraint::Purpose { test, purposes });
    }
    if !draft.places.is_empty() {
        let (test, regions) = (PlaceTest::Within, draft.places.clone());
        constraints.push(Constraint::Place { test, regions });
    }
    constraints.extend(draft.schedule.clone().map(Constraint::Schedule));
    let mut words: Vec<String> = constraints.iter().map(text::constraint).collect();
    if words.is_empty() {
        words.push("for any purpose, in any place, at any time".to_owned());
    }
    let duty = draft.delete_after_s.map(|within_s| text::duty(Duty::Delete { within_s }));
    [words.join(", ")].into_iter().chain(duty).collect::<Vec<_>>().join("; ")
}

/// A UUID whose bits are those of a digest (RFC 9562 §5.8, version 8).
fn uuid(digest: &[u8; 32]) -> String {
    let mut hex = String::new();
    for (at, byte) in digest.iter().take(16).enumerate() {
        let byte = match at {
            6 => 0x80 | (byte & 0x0f),
            8 => 0x80 | (byte & 0x3f),
            _ => *byte,
        };
        if [4, 6, 8, 10].contains(&at) {
            hex.push('-');
        }
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn columns<'m>(draft: &Draft, model: &'m TypeModel) -> Result<Vec<&'m AttributeModel>, Problem> {
    if draft.columns.is_empty() {
        return Ok(model.attributes.iter().collect());
    }
    let find = |name: &String| model.attribute(name).ok_or_else(|| no_attribute(name, model));
    draft.columns.iter().map(find).collect()
}

fn property(attribute: &AttributeModel, out: &mut String) {
    let name = quoted(&attribute.name);
    let logical = LogicalType::ALL.iter().rev().find(|(_, t)| fits(*t, attribute.datatype));
    let logical = logical.map_or("string", |(name, _)| name);
    let _ =
        writeln!(out, "      - id: {name}\n        name: {name}\n        logicalType: {logical}");
    if let Some(description) = &attribute.description {
        let _ = writeln!(out, "        description: {}", quoted(description));
    }
    if let Some(unit) = &attribute.unit {
        let unit = quoted(unit);
        out.push_str("        customProperties:\n");
        let _ = writeln!(out, "          - {{property: unit, vendor: twinpact, value: {unit}}}");
    }
}

fn ours(property: &str, value: &str, out: &mut String) {
    let _ = writeln!(out, "  - {{property: {property}, vendor: twinpact, value: {value}}}");
}

/// Hours of use are no hours of rows: the filter stands there to be switched on.
fn row_filter(draft: &Draft, out: &mut String) {
    let example = draft
        .schedule
        .as_ref()
        .map_or_else(|| "Mo-Fr 07:00-19:00 [Europe/Paris]".to_owned(), Schedule::to_string);
    let _ = write!(
        out,
        "  # Which rows: all, or only those whose own time lies in a schedule. Switch it on with:\n  \
         # - {{property: rowFilter, vendor: twinpact, value: {{localSchedule: {example:?}}}}}\n"
    );
}

fn offer(draft: &Draft, out: &mut String) {
    out.push_str(
        "  # For what, where and when it may be used, and what must be done afterwards (ODRL 2.2).\n  \
         - property: odrlOffer\n    vendor: twinpact\n    value:\n      \"@type\": Offer\n      \
         permission:\n        - action: use\n",
    );
    let mut constraints = String::new();
    let list = |values: &[String]| {
        let quoted: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        format!("[{}]", quoted.join(", "))
    };
    let odrl = |name: &str| format!("http://www.w3.org/ns/odrl/2/{name}");
    if !draft.purposes.is_empty() {
        let right = list(&draft.purposes);
        constraint("one of these purposes", &odrl("purpose"), "isAnyOf", &right, &mut constraints);
    }
    match draft.places.as_slice() {
        [] => {}
        [one] => {
            let right = quoted(one);
            constraint("within", &odrl("spatial"), "isPartOf", &right, &mut constraints);
        }
        several => {
            let right = list(several);
            constraint("within one of", &odrl("spatial"), "isAnyOf", &right, &mut constraints);
        }
    }
    if let Some(schedule) = &draft.schedule {
        let (left, right) =
            ("https://w3id.org/twinpact/odrl/localSchedule", quoted(&schedule.to_string()));
        constraint("asked for at these hours", left, "isPartOf", &right, &mut constraints);
    }
    match constraints.is_empty() {
        true => {
            out.push_str("          # No constraint: for any purpose, anywhere, at any time.\n")
        }
        false => {
            let _ = write!(out, "          constraint:\n{constraints}");
        }
    }
    match draft.delete_after_s {
        None => out.push_str("      # No obligation: a partner may keep its copies.\n"),
        Some(seconds) => {
            let period = format_duration(seconds);
            out.push_str("      obligation:\n        # Copies are deleted within this time.\n");
            let _ = write!(
                out,
                "        - action: http://www.w3.org/ns/odrl/2/delete\n          constraint:\n            \
                 - leftOperand: http://www.w3.org/ns/odrl/2/delayPeriod\n              operator: lteq\n              \
                 rightOperand: {period}\n"
            );
        }
    }
}

fn constraint(comment: &str, left: &str, operator: &str, right: &str, out: &mut String) {
    let _ = write!(
        out,
        "            # {comment}\n            - leftOperand: {left}\n              \
         operator: {operator}\n              rightOperand: {right}\n"
    );
}

/// A text as YAML 1.2 takes it in double quotes: the form of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Draft, place, purpose, schedule, write};
    use crate::document::Contract;
    use crate::{Severity, text};
    use proptest::prelude::*;
    use twinpact_model::{AttributeModel, Datatype, Did, Merge, Schedule, TypeModel};

    fn model() -> TypeModel {
        let attribute = |(name, datatype, unit): (&str, Datatype, Option<&str>)| AttributeModel {
            name: name.to_owned(),
            datatype,
            unit: unit.map(str::to_owned),
            min: None,
            max: None,
            merge: Merge::default(),
            description: Some("it's: \"so\" # and\nso".to_owned()),
        };
        let all = [
            ("yes", Datatype::Boolean, None),
            ("power", Datatype::Double, Some("kW")),
            ("price", Datatype::Decimal, Some("[EUR]")),
            ("count", Datatype::Integer, None),
            ("note", Datatype::String, None),
            ("seen", Datatype::DateTime, None),
        ];
        TypeModel {
            model: "pump".to_owned(),
            version: 3,
            description: None,
            retention_class: "operational".to_owned(),
            attributes: all.into_iter().map(attribute).collect(),
        }
    }

    fn draft() -> Draft {
        Draft {
            tenant: Did::new("did:web:operator.example").unwrap(),
            name: "pump-view".to_owned(),
            purposes: Vec::new(),
            places: Vec::new(),
            schedule: None,
            delete_after_s: None,
            columns: Vec::new(),
        }
    }

    /// The contract, once lint has found no error in it.
    fn read(draft: &Draft) -> Contract {
        let document = write(draft, &model()).unwrap();
        let contract = Contract::parse(document.as_bytes())
            .unwrap_or_else(|found| panic!("{document}\n{found:?}"));
        let found = contract.lint(Some(&model()));
        assert!(found.iter().all(|d| d.severity == Severity::Note), "{document}\n{found:?}");
        contract
    }

    #[test]
    fn what_is_not_given_is_not_limited() {
        let contract = read(&draft());
        assert_eq!(text::terms(contract.terms()), "for any purpose, in any place, at any time");
        assert_eq!((contract.object.properties.len(), contract.row_filter), (6, None));
        assert_eq!(contract.id.split('-').nth(2).unwrap().chars().next(), Some('8'));
    }

    #[test]
    fn what_is_given_stands_there() {
        let all = Draft {
            purposes: vec![purpose("predictive-maintenance").unwrap()],
            places: vec![place("eu").unwrap()],
            schedule: Some(schedule("Mon-Fri 07:00-19:00 Europe/Paris").unwrap()),
            delete_after_s: Some(14 * 86_400),
            columns: vec!["power".to_owned(), "yes".to_owned()],
            ..draft()
        };
        let contract = read(&all);
        assert_eq!(
            text::terms(contract.terms()),
            "for predictive maintenance, in the EU, Monday to Friday 07:00–19:00 Europe/Paris; \
             copies are deleted within 14 days"
        );
        let names: Vec<&str> = contract.object.properties.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["power", "yes"]);
        let words = contract.description.purpose.unwrap();
        assert!(words.contains("for predictive maintenance, in the EU"), "{words}");
        let problem = write(&Draft { columns: vec!["powr".to_owned()], ..draft() }, &model());
        let problem = problem.unwrap_err();
        assert_eq!(problem.code.name, "contract.model");
        assert_eq!(problem.hint.as_deref(), Some("did you mean \"power\"?"));
        let problem = write(&Draft { name: "pump view".to_owned(), ..draft() }, &model());
        assert_eq!(problem.unwrap_err().code.name, "contract.value");
    }

    #[test]
    fn short_names() {
        let iri = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
        for (text, expect) in [
            ("predictive-maintenance", Ok(iri)),
            ("PredictiveMaintenance", Ok(iri)),
            ("predictive maintenance", Ok(iri)),
            (iri, Ok(iri)),
            ("https://x.example/p", Ok("https://x.example/p")),
            ("predictve-maintenance", Err("did you mean predictive-maintenance?")),
            ("PredictveMaintenance", Err("did you mean predictive-maintenance?")),
            ("https://w3id.org/twinpact/purpose/Billin", Err("did you mean billing?")),
        ] {
            let got = purpose(text).map_err(|problem| problem.hint.unwrap());
            assert_eq!(got.as_deref().map_err(String::as_str), expect, "{text}");
        }
        let hint = purpose("world-domination").unwrap_err().hint.unwrap();
        assert!(hint.starts_with("ours are maintenance, predictive-maintenance, "), "{hint}");
        assert_eq!(place("fr").unwrap(), "https://w3id.org/twinpact/region/FR");
        assert_eq!(place("Europe").unwrap_err().code.name, "contract.term_unknown");
    }

    #[test]
    fn schedules_as_people_write_them() {
        let expect = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
        for text in [
            "Mo-Fr 07:00-19:00 [Europe/Paris]",
            "Mon-Fri 07:00-19:00 Europe/Paris",
            "monday-friday 07:00-19:00 Europe/Paris",
            "Mon,Tue,Wednesday-FRI 07:00-19:00 [Europe/Paris]",
        ] {
            assert_eq!(schedule(text).unwrap(), expect, "{text}");
        }
        for text in ["Mon-Fri 07:00-19:00", "Mon-Fry 07:00-19:00 UTC", "", "Mon-Fri 7-19 UTC"] {
            assert_eq!(schedule(text).unwrap_err().code.name, "input.schedule", "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_draft_is_a_contract(
            purposes in proptest::sample::subsequence(
                crate::vocabulary::purpose_names().collect::<Vec<_>>(), 0..4),
            places in proptest::sample::subsequence(vec!["EU", "FR", "US", "EEA"], 0..4),
            hours in proptest::option::of((0u16..24, 0u16..24)),
            delete_after_s in proptest::option::of(0u64..10_000_000),
            columns in proptest::sample::subsequence(
                vec!["yes", "power", "price", "count", "note", "seen"], 0..6),
        ) {
            let hours = hours.filter(|(from, to)| from != to);
            let draft = Draft {
                purposes: purposes.iter().map(|name| purpose(name).unwrap()).collect(),
                places: places.iter().map(|code| place(code).unwrap()).collect(),
                schedule: hours.map(|(from, to)| {
                    schedule(&format!("Mon,Sat {from:02}:00-{to:02}:30 Europe/Paris")).unwrap()
                }),
                delete_after_s,
                columns: columns.iter().map(|name| (*name).to_owned()).collect(),
                ..draft()
            };
            let contract = read(&draft);
            let duties = contract.terms().obligations().len();
            prop_assert_eq!(duties, usize::from(delete_after_s.is_some()));
        }
    }
}
