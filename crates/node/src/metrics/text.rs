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
            self.sample(family.name, &labels(family, values), number);
        }
    }

    /// A family without labels: one sample, or none when there is nothing to say.
    pub(super) fn one(&mut self, family: &Family, number: Option<Number>) {
        self.family(family, number.map(|number| ([], number)));
    }

    /// A family of durations.
    pub(super) fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        self.histograms(family, [([], histogram)]);
    }

    /// A family of durations for each set of label values.
    pub(super) fn histograms<'h, const N: usize>(
        &mut self,
        family: &Family,
        all: impl IntoIterator<Item = ([String; N], &'h Histogram)>,
    ) {
        self.head(family);
        let [bucket, sum, count] =
            ["bucket", "sum", "count"].map(|end| format!("{}_{end}", family.name));
        for (values, histogram) in all {
            let labels = labels(family, values);
            let (buckets, all, micros) = histogram.read();
            let up_to = |bound: &str| match labels.as_str() {
                "" => format!("le=\"{bound}\""),
                labels => format!("{labels},le=\"{bound}\""),
            };
            for (bound, count) in buckets {
                let bound = Number::Micros(bound.cast_signed()).to_string();
                self.sample(&bucket, &up_to(&bound), Number::Whole(count));
            }
            self.sample(&bucket, &up_to("+Inf"), Number::Whole(all));
            self.sample(&sum, &labels, Number::Micros(micros.cast_signed()));
            self.sample(&count, &labels, Number::Whole(all));
        }
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

/// The labels of a sample as it names them.
fn labels<const N: usize>(family: &Family, values: [String; N]) -> String {
    debug_assert_eq!(values.len(), family.labels.len());
    let named = family.labels.iter().zip(values);
    let labels = named.map(|(name, value)| format!("{name}=\"{}\"", escaped(&value)));
    labels.collect::<Vec<_>>().join(",")
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::counts::Histogram;
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
    fn a_histogram_bears_its_labels_before_the_bound() {
        let labels = &["a"];
        let family = Family { name: "x_seconds", kind: Kind::Histogram, help: "What.", labels };
        let (mut page, histogram) = (Page::default(), Histogram::default());
        histogram.observe(std::time::Duration::from_micros(150));
        page.histograms(&family, [(["c".to_owned()], &histogram)]);
        let text = page.text();
        for line in [
            "x_seconds_bucket{a=\"c\",le=\"0.0001\"} 0",
            "x_seconds_bucket{a=\"c\",le=\"0.00025\"} 1",
            "x_seconds_bucket{a=\"c\",le=\"+Inf\"} 1",
            "x_seconds_sum{a=\"c\"} 0.00015",
            "x_seconds_count{a=\"c\"} 1",
        ] {
            assert!(text.lines().any(|has| has == line), "{line} is not in\n{text}");
        }
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
