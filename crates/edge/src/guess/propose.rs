//! From what was counted to two TOML files, each key with its reason above it.

use super::clock::{self, Clock, Form};
use super::column::{self, Column};
use super::table::Table;
use super::twin::{self, Naming};
use super::unit::{self, Said};
use super::{Asked, Guess, Proposal, Sample, refuse};
use crate::map::MAX_KEY_COLUMNS;
use crate::toml_file::did_you_mean;
use twinpact_model::type_model::MAX_MODEL_ATTRIBUTES;
use twinpact_model::{Datatype, Iri, Problem, codes};

/// What is known of the file when writing begins.
pub(super) struct Facts {
    table: Table,
    columns: Vec<Column>,
    rows: u64,
    whole: bool,
    comma: bool,
    clock: Clock,
    naming: Naming,
    name: String,
}

/// An attribute that a column becomes.
struct Attribute {
    column: String,
    name: String,
    datatype: Datatype,
    unit: Option<&'static str>,
    reason: String,
    certain: bool,
}

/// Both files. `colliding` is known only after a first proposal was tried out.
pub(super) fn propose(
    facts: &Facts,
    asked: &Asked<'_>,
    colliding: Option<u64>,
) -> Result<Guess, Problem> {
    let (attributes, left_out) = attributes(facts);
    if attributes.is_empty() {
        return Err(refuse("no column is left that has values, beside time and name")
            .hint("a map needs one at least; write it by hand if this is what you want"));
    }
    let mut page = Page::default();
    model(facts, &attributes, &left_out, &mut page);
    let model = std::mem::take(&mut page.text);
    map(facts, asked, colliding, &attributes, &mut page)?;
    Ok(Guess {
        reference: format!("{}@1", facts.name),
        model,
        map: page.text,
        proposals: page.proposals,
        rows: facts.rows,
        refused: Vec::new(),
        colliding: 0,
    })
}

pub(super) fn facts(sample: &Sample, asked: &Asked<'_>) -> Result<Facts, Problem> {
    let table = Table::of(&sample.bytes)?;
    let (columns, rows) = column::columns(&table);
    if rows == 0 {
        return Err(refuse("the file has a header and no rows"));
    }
    let clock = clock::find(&table, &columns).ok_or_else(|| {
        refuse("no column holds times in a form that is known").hint(
            "known are ISO 8601, days like 26.07.2015, 26/07/2015 and 07/26/2015 with hours, and \
             seconds or milliseconds since 1970; a map may name any other strptime format",
        )
    })?;
    let comma = decimal_comma(&columns, &clock);
    let naming = twin::find(&table, &columns, &clock.columns, comma);
    let name = unit::name(asked.name, "model", &[]).replace('_', "-");
    Ok(Facts { table, columns, rows, whole: sample.whole, comma, clock, naming, name })
}

/// Whether some column is numbers only when commas are decimal marks, and none is in the way.
fn decimal_comma(columns: &[Column], clock: &Clock) -> bool {
    let values = || {
        let timed = |at: &usize| clock.columns.contains(at);
        columns.iter().enumerate().filter(move |(at, _)| !timed(at)).map(|(_, column)| column)
    };
    let needed = |column: &Column| {
        column.numbers(true).is_some_and(|n| n.marked > 0) && column.numbers(false).is_none()
    };
    values().any(needed) && !values().any(|column| column.pointed)
}

/// The attributes, and sentences about the columns that become none.
fn attributes(facts: &Facts) -> (Vec<Attribute>, Vec<String>) {
    let (mut attributes, mut left_out): (Vec<Attribute>, Vec<String>) = (Vec::new(), Vec::new());
    for (at, column) in facts.columns.iter().enumerate() {
        if facts.clock.columns.contains(&at) || facts.naming.columns.contains(&at) {
            continue;
        }
        let shown = quoted(&column.name);
        if column.said() == 0 {
            left_out.push(format!("{shown} is empty in all rows"));
        } else if attributes.len() == MAX_MODEL_ATTRIBUTES {
            left_out.push(format!("{shown} is one more than the {MAX_MODEL_ATTRIBUTES} possible"));
        } else {
            let taken: Vec<String> = attributes.iter().map(|a| a.name.clone()).collect();
            attributes.push(attribute(facts, column, &taken));
        }
    }
    (attributes, left_out)
}

fn attribute(facts: &Facts, column: &Column, taken: &[String]) -> Attribute {
    let Said { words, unit, unknown } = unit::said(&column.name);
    let (datatype, mut reason, mut certain) = datatype(facts, column);
    let unit = unit.filter(|_| datatype.is_number());
    if let Some(text) = unknown.filter(|_| datatype.is_number()) {
        let text = quoted(&text);
        reason = format!("{reason}; the unit {text} is not one that is known: give it in UCUM");
        certain = false;
    }
    let name = unit::name(&words, "column", taken);
    Attribute { column: column.name.clone(), name, datatype, unit, reason, certain }
}

/// What the values of a column are, why, and whether all of them are.
fn datatype(facts: &Facts, column: &Column) -> (Datatype, String, bool) {
    let said = column.said();
    let Some(numbers) = column.numbers(facts.comma) else {
        if column.not_boolean == 0 {
            return (Datatype::Boolean, format!("{said} cells are true or false"), true);
        }
        if column.not_instant == 0 {
            return (Datatype::DateTime, format!("{said} cells are times with offset"), true);
        }
        return (Datatype::String, format!("{said} cells, not all of them numbers"), true);
    };
    let odd = match (numbers.not_double, &column.odd) {
        (0, _) | (_, None) => String::new(),
        (n, Some(cell)) => {
            format!("; {n} cells are no numbers, like {}: they refuse their rows", quoted(cell))
        }
    };
    let strict = numbers.not_double == 0;
    if numbers.not_integer == numbers.not_double {
        let reason = format!("{said} whole numbers; take double if fractions may come{odd}");
        return (Datatype::Integer, reason, strict);
    }
    match (numbers.not_decimal == numbers.not_double, numbers.digits) {
        (true, Some((few, many))) if few == many && numbers.marked == said - numbers.not_double => {
            let reason = format!("{said} numbers with {many} digits behind the mark{odd}");
            (Datatype::Decimal, reason, strict)
        }
        _ => (Datatype::Double, format!("{said} numbers of different length{odd}"), strict),
    }
}

fn model(facts: &Facts, attributes: &[Attribute], left_out: &[String], page: &mut Page) {
    page.comment(
        "A type model: what your twins look like. Proposed from a file; it is yours to change",
    );
    page.comment("until it is applied. Lines with CHECK need your eye. Ranges are left out: add");
    page.comment("min = \"0\" and max = \"100\" where a value outside would be a mistake.");
    page.line("model", &quoted(&facts.name));
    page.line("version", "1");
    for attribute in attributes {
        page.text.push('\n');
        let about = format!("column {}", quoted(&attribute.column));
        let reason = format!("{about}: {}", attribute.reason);
        let value = format!("{} {}", attribute.name, attribute.datatype.name());
        page.proposal(&about, &value, &reason, attribute.certain);
        page.text.push_str("[[attribute]]\n");
        page.line("name", &quoted(&attribute.name));
        page.line("datatype", &quoted(attribute.datatype.name()));
        if let Some(unit) = attribute.unit {
            page.proposal(&format!("unit of {about}"), unit, "its name says so", true);
            page.line("unit", &quoted(unit));
        }
    }
    if !left_out.is_empty() {
        page.text.push('\n');
        page.comment("Columns that become no attribute:");
        left_out.iter().for_each(|why| page.comment(&format!("- {why}")));
    }
}

fn map(
    facts: &Facts,
    asked: &Asked<'_>,
    colliding: Option<u64>,
    attributes: &[Attribute],
    page: &mut Page,
) -> Result<(), Problem> {
    page.comment(
        "How the columns of the file become observations. Proposed from the file; lines with",
    );
    page.comment("CHECK need your eye.");
    let rows = facts.rows;
    let part = if facts.whole { "all" } else { "the first" };
    page.comment(&format!("Looked at: {part} {rows} rows."));
    page.proposal(
        "source",
        &format!("urn:source:{}", facts.name),
        "names where the rows come from; keep it for every file of this kind",
        true,
    );
    page.line("source", &quoted(&format!("urn:source:{}", facts.name)));
    page.line("model", &quoted(&format!("{}@1", facts.name)));
    twin_line(facts, page);
    time_line(facts, asked, page)?;
    key_line(facts, colliding, page);
    let delimiter = char::from(facts.table.delimiter).to_string();
    page.proposal("delimiter", &quoted(&delimiter), &facts.table.delimiter_reason, true);
    page.line("delimiter", &quoted(&delimiter));
    decimal_line(facts, page);
    let encoding = facts.table.encoding.name();
    let certain = facts.table.encoding != crate::encoding::Encoding::Windows1252;
    page.proposal("encoding", encoding, &facts.table.encoding_reason, certain);
    page.line("encoding", &quoted(encoding));
    missing_line(facts, page);
    page.text.push_str("\n[columns]\n");
    for attribute in attributes {
        page.line(&quoted(&attribute.column), &quoted(&attribute.name));
    }
    Ok(())
}

fn twin_line(facts: &Facts, page: &mut Page) {
    let mut template = String::new();
    let mut named: Vec<String> = Vec::new();
    for at in &facts.naming.columns {
        let Some(column) = facts.columns.get(*at) else { continue };
        let values = || column.values.iter().flatten();
        let plain = |value: &String| {
            value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        };
        let absolute = |value: &String| value.contains(':') && Iri::new(value.as_str()).is_ok();
        let whole = facts.naming.columns.len() == 1 && values().all(absolute);
        if !whole {
            let start = match template.is_empty() {
                true => format!("urn:{}", namespace(&facts.name)),
                false => String::new(),
            };
            template.push_str(&format!("{start}:"));
        }
        let mark = if whole || values().all(plain) { "" } else { "%" };
        template.push_str(&format!("{{{mark}{}}}", column.name));
        named.push(quoted(&column.name));
    }
    if template.is_empty() {
        template = format!("urn:{}:1", namespace(&facts.name));
    }
    let reason = match named.is_empty() {
        true => facts.naming.reason.clone(),
        false => format!("{}: {}", named.join(" and "), facts.naming.reason),
    };
    page.proposal("twin", &template, &reason, facts.naming.certain);
    page.line("twin", &quoted(&template));
}

/// A namespace identifier (RFC 8141 §2): letters, digits and hyphens, 2 to 32.
fn namespace(name: &str) -> String {
    let kept: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
    let kept = kept.trim_matches('-');
    if kept.len() < 2 || kept == "urn" { "twin".to_owned() } else { kept.to_owned() }
}

fn time_line(facts: &Facts, asked: &Asked<'_>, page: &mut Page) -> Result<(), Problem> {
    let Clock { columns, form, rival, rows, unread } = &facts.clock;
    let names: Vec<String> =
        columns.iter().filter_map(|at| facts.columns.get(*at)).map(|c| quoted(&c.name)).collect();
    let columns = match names.as_slice() {
        [one] => format!("column = {one}"),
        several => format!("columns = [{}]", several.join(", ")),
    };
    let read = rows - unread;
    let zone = asked.zone.unwrap_or("UTC");
    form.when(zone).map_err(|why| zone_unknown(zone, &why))?;
    let (rest, reason, certain) = match form {
        Form::Rfc3339 => {
            (String::new(), format!("{read} of {rows} cells are ISO 8601 with offset"), true)
        }
        Form::Offset(format) => (
            format!(", format = {}", quoted(format)),
            format!("{read} of {rows} cells have this form, with offset"),
            true,
        ),
        Form::Epoch(unit) => (
            format!(", epoch = {}", quoted(unit)),
            format!("{read} of {rows} cells, as {unit} since 1970, lie between 1980 and 2100"),
            false,
        ),
        Form::Local(format) => {
            let mut reason = format!("{read} of {rows} cells have this form, without an offset");
            match asked.zone {
                Some(_) => reason.push_str("; the zone is yours"),
                None => reason.push_str(
                    "; the file does not say which zone its clock is in: put it in place of UTC, \
                     like Europe/Paris",
                ),
            }
            let rest = format!(", format = {}, zone = {}", quoted(format), quoted(zone));
            (rest, reason, asked.zone.is_some())
        }
    };
    let rival = rival.as_ref().map(|rival| {
        format!("; {} would read as many: look which of them is meant", quoted(rival))
    });
    let certain = certain && rival.is_none();
    let value = format!("{{ {columns}{rest} }}");
    page.proposal("time", &value, &format!("{reason}{}", rival.unwrap_or_default()), certain);
    page.line("time", &value);
    Ok(())
}

fn zone_unknown(zone: &str, why: &str) -> Problem {
    let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let problem = Problem::new(codes::INPUT_TIME, why.to_owned());
    let near = did_you_mean(zone, zones.iter().map(String::as_str));
    problem.hint(near.unwrap_or_else(|| "a zone is named like Europe/Paris".to_owned()))
}

fn key_line(facts: &Facts, colliding: Option<u64>, page: &mut Page) {
    let columns = facts.naming.columns.iter().chain(&facts.clock.columns).take(MAX_KEY_COLUMNS);
    let names: Vec<String> =
        columns.filter_map(|at| facts.columns.get(*at)).map(|c| quoted(&c.name)).collect();
    let value = format!("[{}]", names.join(", "));
    let reason = match colliding.unwrap_or_default() {
        0 => "what names a row at its source: no twin has an instant twice".to_owned(),
        n => {
            let instants =
                if n == 1 { "instant of a twin stands" } else { "instants of a twin stand" };
            format!(
                "{n} {instants} in more than one row; these rows are all kept, as a multiset. If a \
                 column numbers them, add it here"
            )
        }
    };
    page.proposal("key", &value, &reason, colliding.unwrap_or_default() == 0);
    page.line("key", &value);
}

fn decimal_line(facts: &Facts, page: &mut Page) {
    let values = facts.columns.iter().filter_map(|column| column.numbers(facts.comma));
    let marked: u64 = values.map(|numbers| numbers.marked).sum();
    let (mark, name) = if facts.comma { (",", "comma") } else { (".", "point") };
    let reason = match marked {
        0 => "no number has a decimal mark".to_owned(),
        n => format!("{n} numbers have a decimal {name}"),
    };
    // Three digits behind every comma may be thousands.
    let thousands = |column: &Column| {
        column.numbers(true).is_some_and(|n| n.marked > 0 && n.digits == Some((3, 3)))
    };
    let unclear = facts.comma && facts.columns.iter().any(thousands);
    let more =
        if unclear { "; three digits behind each of some column: not thousands?" } else { "" };
    page.proposal("decimal", &quoted(mark), &format!("{reason}{more}"), !unclear);
    page.line("decimal", &quoted(mark));
}

fn missing_line(facts: &Facts, page: &mut Page) {
    let mut words: Vec<&str> = Vec::new();
    let mut cells = 0;
    for column in &facts.columns {
        let number = column.numbers(facts.comma).is_some();
        if number || (column.said() > 0 && column.not_boolean == 0) {
            cells += column.missing.values().sum::<u64>();
            words.extend(column.missing.keys());
        }
    }
    words.sort_unstable();
    words.dedup();
    if !words.is_empty() {
        let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let value = format!("[{}]", shown.join(", "));
        let reason = format!("{cells} cells among numbers say so; empty cells count too");
        page.proposal("missing", &value, &reason, true);
        page.line("missing", &value);
    }
}

/// A file as it grows, and what it proposes.
#[derive(Default)]
struct Page {
    text: String,
    proposals: Vec<Proposal>,
}

impl Page {
    /// A comment; TOML allows no control character in it.
    fn comment(&mut self, text: &str) {
        let safe: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.text.push_str(&format!("# {safe}\n"));
    }

    fn line(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    fn proposal(&mut self, about: &str, value: &str, reason: &str, certain: bool) {
        self.comment(&format!("{}{reason}", if certain { "" } else { "CHECK: " }));
        let [about, value, reason] = [about, value, reason].map(str::to_owned);
        self.proposals.push(Proposal { about, value, reason, certain });
    }
}

/// A basic string of TOML (§String), on one line whatever it holds.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
