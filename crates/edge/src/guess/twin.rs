//! Which columns name the twin: those with which the fewest instants stand twice.

use super::column::Column;
use super::table::Table;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words of headers that speak of things.
const HINTS: [&str; 22] = [
    "name",
    "id",
    "device",
    "sensor",
    "station",
    "turbine",
    "machine",
    "maschine",
    "asset",
    "serial",
    "meter",
    "site",
    "plant",
    "pump",
    "node",
    "tag",
    "equipment",
    "vehicle",
    "unit",
    "anlage",
    "gerät",
    "room",
];
/// How many columns are tried.
const TRIED: usize = 6;
/// In how many rows.
const ROWS: u64 = 200_000;
/// The longest name.
const MAX_NAME_BYTES: usize = 200;

/// The columns that name the twin, and why it is thought to be them.
pub(super) struct Naming {
    pub columns: Vec<usize>,
    pub reason: String,
    pub certain: bool,
}

/// Chooses among no column (one twin), one, and two.
pub(super) fn find(table: &Table, columns: &[Column], time: &[usize], comma: bool) -> Naming {
    let able: Vec<usize> = (0..columns.len())
        .filter(|at| !time.contains(at) && nameable(columns, *at, comma))
        .collect();
    let (repeating, single): (Vec<usize>, Vec<usize>) =
        able.into_iter().partition(|at| repeats(columns, *at));
    // Where no value stands twice each row may be of another thing, if the name says so.
    let single: Vec<usize> = single.into_iter().filter(|at| hinted(columns, *at)).collect();
    let (rows, counts) = repeated(table, time, &[Vec::new()]);
    let none = counts.first().copied().unwrap_or_default();
    // Time alone tells the rows apart: one thing, whose name may stand in a column.
    let told = none * 100 <= rows;
    let named = [&repeating, &single].into_iter().filter(|_| !told);
    let named = named.filter_map(|able| helpful(table, columns, time, able, none)).next();
    named.unwrap_or_else(|| {
        let is_one = |at: &&usize| hinted(columns, **at) && different(columns, **at) == 1;
        alone(repeating.iter().find(is_one).copied(), columns, none)
    })
}

/// The columns of these with which the fewest rows repeat twin and time, if any helps.
fn helpful(
    table: &Table,
    columns: &[Column],
    time: &[usize],
    able: &[usize],
    none: u64,
) -> Option<Naming> {
    let mut able = able.to_vec();
    able.sort_by_key(|at| (!hinted(columns, *at), *at));
    able.truncate(TRIED);
    let mut options: Vec<Vec<usize>> = able.iter().map(|at| vec![*at]).collect();
    for (n, one) in able.iter().enumerate() {
        options.extend(able.iter().skip(n + 1).map(|other| vec![*one, *other]));
    }
    let (rows, counts) = repeated(table, time, &options);
    let best = |columns_of: usize| {
        let tried = options.iter().zip(&counts).filter(|(option, _)| option.len() == columns_of);
        tried.min_by_key(|(option, count)| {
            let plain = option.iter().filter(|at| !hinted(columns, **at)).count();
            (**count, plain, (*option).clone())
        })
    };
    let (one, left) = best(1)?;
    // One column that leaves many instants twice is half a name, if another one helps.
    if let Some((two, few)) = best(2).filter(|(_, few)| left * 20 > rows && **few * 5 < *left) {
        return Some(chosen(two, columns, none, *few));
    }
    (*left < none).then(|| chosen(one, columns, none, *left))
}

/// Whether the cells can name things: all are there, and they are no measurements.
fn nameable(columns: &[Column], at: usize, comma: bool) -> bool {
    let Some(column) = columns.get(at) else { return false };
    let Some(values) = &column.values else { return false };
    let measured = column
        .numbers(comma)
        .is_some_and(|numbers| numbers.not_integer > 0 || !hinted(columns, at));
    let named = values.iter().all(|value| value.len() <= MAX_NAME_BYTES);
    column.empty == 0 && column.filled > 0 && column.not_boolean > 0 && !measured && named
}

/// Whether some value stands in several rows: what does not, numbers rows and not things.
fn repeats(columns: &[Column], at: usize) -> bool {
    let n = different(columns, at) as u64;
    n == 1 || columns.get(at).is_some_and(|column| n < column.filled)
}

fn hinted(columns: &[Column], at: usize) -> bool {
    let name = columns.get(at).map(|column| column.name.to_lowercase()).unwrap_or_default();
    HINTS.iter().any(|hint| match hint.len() {
        2 => name.split(|c: char| !c.is_alphanumeric()).any(|word| word == *hint),
        _ => name.contains(hint),
    })
}

fn different(columns: &[Column], at: usize) -> usize {
    columns.get(at).and_then(|column| column.values.as_ref()).map_or(0, HashSet::len)
}

/// The rows that were counted, and of each option how many of them repeat twin and time.
fn repeated(table: &Table, time: &[usize], options: &[Vec<usize>]) -> (u64, Vec<u64>) {
    let mut seen: Vec<HashSet<u64>> = options.iter().map(|_| HashSet::new()).collect();
    let mut rows = 0;
    table.each(|cells| {
        rows += 1;
        for (option, seen) in options.iter().zip(&mut seen) {
            let mut hasher = DefaultHasher::new();
            for at in time.iter().chain(option) {
                cells.get(*at).hash(&mut hasher);
            }
            seen.insert(hasher.finish());
        }
        rows < ROWS
    });
    (rows, seen.iter().map(|seen| rows - seen.len() as u64).collect())
}

fn chosen(option: &[usize], columns: &[Column], none: u64, left: u64) -> Naming {
    let n = option.iter().map(|at| different(columns, *at)).collect::<Vec<_>>();
    let values: Vec<String> = n.iter().map(usize::to_string).collect();
    let values = values.join(" and ");
    let reason = format!(
        "rows that repeat a time: {none}, with the same value here too: {left}; different values: \
         {values}"
    );
    Naming {
        columns: option.to_vec(),
        reason,
        certain: option.iter().all(|at| hinted(columns, *at)),
    }
}

fn alone(constant: Option<usize>, columns: &[Column], repeated: u64) -> Naming {
    let times = match repeated {
        0 => "no time stands twice".to_owned(),
        n => format!("rows that repeat a time are few ({n})"),
    };
    match constant {
        Some(at) => {
            let name = columns.get(at).map(|column| column.name.as_str()).unwrap_or_default();
            let reason = format!("{times}, and {name:?} is the same in all rows");
            Naming { columns: vec![at], reason, certain: true }
        }
        None => Naming {
            columns: Vec::new(),
            reason: format!("{times}, so the file seems to be about one thing; give it its name"),
            certain: false,
        },
    }
}
