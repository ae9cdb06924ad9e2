//! Numbers as thousandths: sums, medians and shares of them are the same on every machine.

use serde::{Deserialize, Serialize};

/// The largest magnitude, in whole units.
const MOST: f64 = 1e12;

/// A number in thousandths of its unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Milli(pub i64);

impl Milli {
    /// The lexical form of a decimal or double, rounded to thousandths; `None` when it is no number
    /// or beyond ±10¹².
    #[must_use]
    pub fn parse(text: &str) -> Option<Milli> {
        text.parse::<f64>().ok().and_then(Milli::of)
    }

    /// The number rounded to thousandths; `None` when it is not finite or beyond ±10¹².
    #[must_use]
    pub fn of(number: f64) -> Option<Milli> {
        // Within the bound every product fits, and no cast rounds it again.
        (number.abs() <= MOST).then(|| Milli((number * 1_000.0).round() as i64))
    }

    /// The number in its unit, for drawing.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// So many thousandths of it, rounded down.
    #[must_use]
    pub fn share(self, permille: i64) -> Milli {
        let product = i128::from(self.0) * i128::from(permille);
        Milli(i64::try_from(product.div_euclid(1_000)).unwrap_or(i64::MAX))
    }
}

/// The middle one of these in order, of an even number the mean of the middle two, rounded down;
/// `None` when there are none.
#[must_use]
pub fn median(mut values: Vec<Milli>) -> Option<Milli> {
    values.sort_unstable();
    let upper = values.get(values.len() / 2)?;
    match values.len() % 2 {
        0 => values.get(values.len() / 2 - 1).map(|lower| Milli((lower.0 + upper.0).div_euclid(2))),
        _ => Some(*upper),
    }
}

#[cfg(test)]
mod tests {
    use super::{Milli, median};

    #[test]
    fn numbers_are_read_or_refused() {
        for (text, expect) in [
            ("514.24", Some(514_240)),
            ("-0.99", Some(-990)),
            ("1.5e3", Some(1_500_000)),
            ("0.0004", Some(0)),
            ("0.0005", Some(1)),
            ("1e12", Some(1_000_000_000_000_000)),
            ("1e13", None),
            ("NaN", None),
            ("inf", None),
            ("", None),
            ("5,5", None),
        ] {
            assert_eq!(Milli::parse(text), expect.map(Milli), "{text}");
        }
    }

    #[test]
    fn the_middle_is_found() {
        for (values, expect) in [
            (vec![], None),
            (vec![7], Some(7)),
            (vec![9, 1], Some(5)),
            (vec![2, 1], Some(1)),
            (vec![-2, -1], Some(-2)),
            (vec![9, 1, 5], Some(5)),
            (vec![4, 1, 3, 2], Some(2)),
        ] {
            let given = values.iter().copied().map(Milli).collect();
            assert_eq!(median(given), expect.map(Milli), "{values:?}");
        }
        assert_eq!(Milli(-3).share(500), Milli(-2));
        assert_eq!(Milli(301).share(500), Milli(150));
    }
}
