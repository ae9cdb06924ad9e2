//! The Prometheus text format, version 0.0.4: `# HELP`, `# TYPE`, one sample a line.

use super::counts::Histogram;
use super::families::Family;
use std::fmt::Write as _;

/// A page in the making.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A family with one sample for each set of label values.
    pub(super) fn family<const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([String; N], Number)>,
    ) {
        self.head(family);
        for (values, number) in samples {
            debug_assert_eq!(values.len(), family.labels.len());
            let labels: Vec<String> = family
                .labels
                .iter()
                .zip(values)
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(&value)))
                .collect();
            self.sample(family.name, &labels.join(","), number);
        }
    }

    /// A family without labels: one sample, or none when there is nothing to say.
    pub(super) fn one(&mut self, family: &Family, number: Option<Number>) {
        self.family(family, number.map(|number| ([], number)));
    }

    /// A family of durations.
    pub(super) fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        self.head(family);
        let (buckets, all, micros) = histogram.read();
        let bucket = format!("{}_bucket", family.name);
        for (bound, count) in buckets {
            let label = format!("le=\"{}\"", Number::Micros(bound.cast_signed()));
            self.sample(&bucket, &label, Number::Whole(count));
        }
        self.sample(&bucket, "le=\"+Inf\"", Number::Whole(all));
        let sum = Number::Micros(micros.cast_signed());
        self.sample(&format!("{}_sum", family.name), "", sum);
        self.sample(&format!("{}_count", family.name), "", Number::Whole(all));
    }

    pub(super) fn text(self) -> String {
        self.0
    }

    fn head(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
    }

    fn sample(&mut self, name: &str, labels: &str, number: Number) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {number}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {number}"),
        };
    }
}

/// A number of a sample.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(u64),
    /// Microseconds, which are written as seconds.
    Micros(i64),
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Whole(number) => write!(f, "{number}"),
            Number::Micros(micros) => {
                let sign = if *micros < 0 { "-" } else { "" };
                let (whole, rest) =
                    (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
                let decimals = format!("{rest:06}");
                match decimals.trim_end_matches('0') {
                    "" => write!(f, "{sign}{whole}"),
                    decimals => write!(f, "{sign}{whole}.{decimals}"),
                }
            }
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::families::{Family, Kind};
    use super::{Number, Page};

    #[test]
    fn a_sample_is_written_as_the_format_wants_it() {
        let labels = &["a", "b"];
        let family = Family { name: "x_total", kind: Kind::Counter, help: "What.", labels };
        let mut page = Page::default();
        let values = ["q\"\\\n".to_owned(), "é".to_owned()];
        page.family(&family, [(values, Number::Whole(7))]);
        let expect = "# HELP x_total What.\n# TYPE x_total counter\n\
                      x_total{a=\"q\\\"\\\\\\n\",b=\"é\"} 7\n";
        assert_eq!(page.text(), expect);
    }

    #[test]
    fn microseconds_are_written_as_seconds() {
        for (micros, expect) in [
            (0, "0"),
            (100, "0.0001"),
            (1_000_000, "1"),
            (-1_500_000, "-1.5"),
            (-1, "-0.000001"),
            (1_795_000_000_000_001, "1795000000.000001"),
        ] {
            assert_eq!(Number::Micros(micros).to_string(), expect);
        }
    }
}
