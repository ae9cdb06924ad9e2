//! The decimal comma. The only place where this crate rewrites a value.
//!
//! A cell is a number with a comma when nothing else can be read out of it; its comma becomes a
//! point. Everything else passes through as it is, thousands separators included: the type model
//! refuses those. A number with a *point* in a file of commas is not guessed at (`1.500` may be one
//! thousand five hundred) and refuses its row.

use std::borrow::Cow;

/// The lexical form of a cell of a file with decimal commas; `None` for a number with a point.
pub(crate) fn with_point(cell: &str) -> Option<Cow<'_, str>> {
    if is_number(cell, ',') {
        Some(Cow::Owned(cell.replace(',', ".")))
    } else if is_number(cell, '.') {
        None
    } else {
        Some(Cow::Borrowed(cell))
    }
}

/// `-12,5e3`: sign, digits around exactly one mark, exponent.
fn is_number(cell: &str, mark: char) -> bool {
    let body = unsigned(cell);
    let (mantissa, exponent) = body.split_once(['e', 'E']).unwrap_or((body, "0"));
    let exponent = unsigned(exponent);
    let Some((whole, fraction)) = mantissa.split_once(mark) else { return false };
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && !exponent.is_empty() && digits(exponent)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::with_point;
    use proptest::prelude::*;

    #[test]
    fn commas_become_points() {
        for (cell, expect) in [
            ("1,5", Some("1.5")),
            ("-0,50", Some("-0.50")),
            (",5", Some(".5")),
            ("5,", Some("5.")),
            ("1,5e-3", Some("1.5e-3")),
            ("15", Some("15")),
            ("1.500", None),
            ("-.5", None),
            ("1.500,25", Some("1.500,25")),
            ("1,500,250", Some("1,500,250")),
            (",", Some(",")),
            ("1,5e", Some("1,5e")),
            ("Paris, Texas", Some("Paris, Texas")),
            ("01.02.2015", Some("01.02.2015")),
            ("", Some("")),
        ] {
            assert_eq!(with_point(cell).as_deref(), expect, "{cell}");
        }
    }

    proptest! {
        #[test]
        fn only_the_comma_changes(cell in "[-+]?[0-9]{0,3}[,.]?[0-9]{0,3}(e[0-9]{0,2})?") {
            if let Some(lexical) = with_point(&cell) {
                prop_assert!(lexical == cell || lexical.replace('.', ",") == cell);
                prop_assert_eq!(lexical.len(), cell.len());
            }
        }
    }
}
