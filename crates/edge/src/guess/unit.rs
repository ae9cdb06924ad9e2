//! What the name of a column says: a name for an attribute, and a unit where it is written.
//!
//! Units are UCUM, case sensitive (§1). Only what cannot mean two things is taken: `[°C]`,
//! `power_kw`; not the `c` of `temp_c`, and nothing of `P_avg`.

/// Units as they stand in brackets, to the letter.
const BRACKETS: &[(&str, &str)] = &[
    ("°C", "Cel"),
    ("ºC", "Cel"),
    ("degC", "Cel"),
    ("C", "Cel"),
    ("°F", "[degF]"),
    ("degF", "[degF]"),
    ("K", "K"),
    ("W", "W"),
    ("kW", "kW"),
    ("MW", "MW"),
    ("Wh", "W.h"),
    ("kWh", "kW.h"),
    ("MWh", "MW.h"),
    ("V", "V"),
    ("kV", "kV"),
    ("mV", "mV"),
    ("A", "A"),
    ("mA", "mA"),
    ("Ω", "Ohm"),
    ("Hz", "Hz"),
    ("m/s", "m/s"),
    ("km/h", "km/h"),
    ("m", "m"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("km", "km"),
    ("s", "s"),
    ("ms", "ms"),
    ("min", "min"),
    ("h", "h"),
    ("g", "g"),
    ("kg", "kg"),
    ("t", "t"),
    ("bar", "bar"),
    ("mbar", "mbar"),
    ("Pa", "Pa"),
    ("hPa", "hPa"),
    ("kPa", "kPa"),
    ("MPa", "MPa"),
    ("N", "N"),
    ("kN", "kN"),
    ("Nm", "N.m"),
    ("%", "%"),
    ("°", "deg"),
    ("deg", "deg"),
    ("rad", "rad"),
    ("rpm", "/min"),
    ("1/min", "/min"),
    ("l", "L"),
    ("L", "L"),
    ("l/min", "L/min"),
    ("L/min", "L/min"),
    ("m3", "m3"),
    ("m³", "m3"),
    ("m3/h", "m3/h"),
    ("m³/h", "m3/h"),
    ("W/m2", "W/m2"),
    ("W/m²", "W/m2"),
    ("ppm", "[ppm]"),
    ("lx", "lx"),
    ("lux", "lx"),
    ("dB", "dB"),
];

/// Last words of a name, in any case of letters.
const ENDINGS: &[(&str, &str)] = &[
    ("kw", "kW"),
    ("kwh", "kW.h"),
    ("mwh", "MW.h"),
    ("degc", "Cel"),
    ("celsius", "Cel"),
    ("fahrenheit", "[degF]"),
    ("kelvin", "K"),
    ("hz", "Hz"),
    ("mps", "m/s"),
    ("kmh", "km/h"),
    ("kph", "km/h"),
    ("bar", "bar"),
    ("mbar", "mbar"),
    ("hpa", "hPa"),
    ("kpa", "kPa"),
    ("rpm", "/min"),
    ("pct", "%"),
    ("percent", "%"),
    ("deg", "deg"),
    ("volt", "V"),
    ("volts", "V"),
    ("kv", "kV"),
    ("amps", "A"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("km", "km"),
    ("kg", "kg"),
    ("m3", "m3"),
    ("m3h", "m3/h"),
    ("lpm", "L/min"),
    ("ppm", "[ppm]"),
    ("lux", "lx"),
];

/// What a header says of its column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The header without its unit.
    pub words: String,
    /// The UCUM unit.
    pub unit: Option<&'static str>,
    /// What stands in brackets and is no unit that is known.
    pub unknown: Option<String>,
}

pub(super) fn said(header: &str) -> Said {
    let trimmed = header.trim();
    for (open, close) in [('[', ']'), ('(', ')')] {
        let inside = trimmed.strip_suffix(close).and_then(|rest| rest.rsplit_once(open));
        let Some((words, text)) = inside.filter(|(words, _)| !words.trim().is_empty()) else {
            continue;
        };
        let unit = BRACKETS.iter().find(|(known, _)| *known == text.trim()).map(|(_, unit)| *unit);
        let unknown = unit.is_none().then(|| text.trim().to_owned());
        return Said { words: words.to_owned(), unit, unknown };
    }
    if let Some((words, last)) = trimmed.rsplit_once(['_', ' ']) {
        let found = ENDINGS.iter().find(|(known, _)| last.eq_ignore_ascii_case(known));
        if let Some((_, unit)) = found.filter(|_| !words.is_empty()) {
            return Said { words: words.to_owned(), unit: Some(unit), unknown: None };
        }
    }
    Said { words: trimmed.to_owned(), unit: None, unknown: None }
}

/// A name as models have it, in small letters, that none of `taken` has.
pub(super) fn name(words: &str, otherwise: &str, taken: &[String]) -> String {
    let mut name = String::new();
    for c in words.chars() {
        match c {
            'ä' | 'Ä' => name.push_str("ae"),
            'ö' | 'Ö' => name.push_str("oe"),
            'ü' | 'Ü' => name.push_str("ue"),
            'ß' => name.push_str("ss"),
            'à'..='å' | 'À'..='Å' => name.push('a'),
            'è'..='ë' | 'È'..='Ë' => name.push('e'),
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.ends_with('_') || name.is_empty() => {}
            _ => name.push('_'),
        }
    }
    name.truncate(56);
    let name = name.trim_end_matches('_');
    let name = match name.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => name.to_owned(),
        Some(_) => format!("{otherwise}_{name}"),
        None => otherwise.to_owned(),
    };
    let free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|n: u32| format!("{name}_{n}"));
    std::iter::once(name.clone()).chain(numbered).find(free).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{name, said};

    #[test]
    fn units_are_read_only_where_they_are_written() {
        for (header, words, unit, unknown) in [
            ("P_avg", "P_avg", None, None),
            ("power_kw", "power", Some("kW"), None),
            ("Power kW", "Power", Some("kW"), None),
            ("temp [°C]", "temp ", Some("Cel"), None),
            ("Druck (bar)", "Druck ", Some("bar"), None),
            ("flow [furlong]", "flow ", None, Some("furlong")),
            ("temp_c", "temp_c", None, None),
            ("kw", "kw", None, None),
            ("[°C]", "[°C]", None, None),
            ("humidity_pct", "humidity", Some("%"), None),
        ] {
            let got = said(header);
            assert_eq!((got.words.as_str(), got.unit), (words, unit), "{header}");
            assert_eq!(got.unknown.as_deref(), unknown, "{header}");
        }
    }

    #[test]
    fn names_fit_a_model() {
        let taken = ["power".to_owned(), "power_2".to_owned()];
        for (words, expect) in [
            ("P_avg", "p_avg"),
            ("Außentemperatur ", "aussentemperatur"),
            ("Wind  speed", "wind_speed"),
            ("2nd", "column_2nd"),
            ("温度", "column"),
            ("Power", "power_3"),
        ] {
            assert_eq!(name(words, "column", &taken), expect);
            assert!(twinpact_model::type_model::is_name(&name(words, "column", &taken)));
        }
        assert!(name(&"x".repeat(200), "column", &[]).len() <= 56);
    }
}
