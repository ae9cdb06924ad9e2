//! What the cells of one column are, counted over the whole sample.

use super::table::Table;
use crate::number::with_point;
use std::collections::{BTreeMap, HashSet};
use twinpact_model::Datatype;

/// Words that people write for "no value".
const MISSING: [&str; 14] = [
    "NaN", "nan", "NAN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "-", "--", "?", "n.a.",
];
/// How many cells are kept to look for times.
const KEPT: usize = 500;
/// How many different values are told apart.
const DISTINCT: usize = 1_000;

/// One column.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub name: String,
    /// Rows with a cell that is not empty.
    pub filled: u64,
    pub empty: u64,
    /// Words for "no value", with how many cells each.
    pub missing: BTreeMap<&'static str, u64>,
    /// Numbers with a point, and with a comma.
    pub point: Numbers,
    pub comma: Numbers,
    /// Whether some cell would be refused in a file of decimal commas.
    pub pointed: bool,
    /// Cells that are neither `true` nor `false`.
    pub not_boolean: u64,
    /// Cells that are no times with offset.
    pub not_instant: u64,
    /// The first cells that are not empty.
    pub first: Vec<String>,
    /// The different values, until there are too many.
    pub values: Option<HashSet<String>>,
    /// The first cell that is no number.
    pub odd: Option<String>,
}

/// How many cells are no numbers of a kind.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub not_integer: u64,
    pub not_decimal: u64,
    pub not_double: u64,
    /// Cells that are whole only when the decimal mark is right.
    pub marked: u64,
    /// Whole numbers that begin with a zero, as names do.
    pub padded: u64,
    /// Digits after the mark: the fewest and the most.
    pub digits: Option<(usize, usize)>,
}

/// All columns of a table, and the number of its whole rows.
pub(super) fn columns(table: &Table) -> (Vec<Column>, u64) {
    let new = |name: &String| Column {
        name: name.clone(),
        values: Some(HashSet::new()),
        ..Column::default()
    };
    let mut columns: Vec<Column> = table.header.iter().map(new).collect();
    let mut rows = 0;
    table.each(|cells| {
        rows += 1;
        columns.iter_mut().zip(cells).for_each(|(column, cell)| column.take(cell));
        true
    });
    (columns, rows)
}

impl Column {
    fn take(&mut self, cell: &str) {
        if cell.is_empty() {
            self.empty += 1;
            return;
        }
        self.filled += 1;
        if self.first.len() < KEPT {
            self.first.push(cell.to_owned());
        }
        if let Some(values) = &mut self.values {
            if !values.contains(cell) {
                values.insert(cell.to_owned());
            }
            if values.len() > DISTINCT {
                self.values = None;
            }
        }
        if let Some(word) = MISSING.iter().find(|word| **word == cell) {
            *self.missing.entry(word).or_default() += 1;
            return;
        }
        self.not_boolean += u64::from(!Datatype::Boolean.accepts(cell));
        if self.not_instant == 0 {
            self.not_instant += u64::from(!Datatype::DateTime.accepts(cell));
        }
        self.point.take(cell, '.');
        match with_point(cell) {
            Some(lexical) => self.comma.take(&lexical, '.'),
            None => {
                self.pointed = true;
                self.comma.take(cell, ',');
            }
        }
        if self.odd.is_none() && with_point(cell).is_none_or(|l| !Datatype::Double.accepts(&l)) {
            self.odd = Some(cell.to_owned()).filter(|cell| !Datatype::Double.accepts(cell));
        }
    }

    /// Cells that say something.
    pub(super) fn said(&self) -> u64 {
        self.filled - self.missing.values().sum::<u64>()
    }

    /// The numbers of the column with that decimal mark, when nearly all of its cells are numbers.
    pub(super) fn numbers(&self, comma: bool) -> Option<&Numbers> {
        let numbers = if comma { &self.comma } else { &self.point };
        let said = self.said();
        (said > 0 && numbers.not_double <= said / 200 && numbers.padded == 0).then_some(numbers)
    }
}

impl Numbers {
    fn take(&mut self, lexical: &str, mark: char) {
        let integer = mark == '.' && Datatype::Integer.accepts(lexical);
        let decimal = mark == '.' && Datatype::Decimal.accepts(lexical);
        let double = mark == '.' && Datatype::Double.accepts(lexical);
        self.not_integer += u64::from(!integer);
        self.not_decimal += u64::from(!decimal);
        self.not_double += u64::from(!double);
        self.marked += u64::from(double && lexical.contains('.'));
        let digits = lexical.trim_start_matches(['+', '-']);
        self.padded += u64::from(integer && digits.len() > 1 && digits.starts_with('0'));
        if let Some((_, fraction)) = lexical.split_once('.').filter(|_| double) {
            let n = fraction.len();
            let (few, many) = self.digits.unwrap_or((n, n));
            self.digits = Some((few.min(n), many.max(n)));
        }
    }
}
