//! Drawing without a library: a frame with two axes, lines, and words that cannot break out.

use std::fmt::Write as _;

/// How large a drawing is, in CSS pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Size {
    pub(super) const WIDE: Size = Size { width: 960.0, height: 380.0 };
    pub(super) const NARROW: Size = Size { width: 358.0, height: 300.0 };

    /// Whether there is little room for words.
    pub(super) fn is_narrow(self) -> bool {
        self.width < 600.0
    }
}

/// Text for an element or an attribute in double quotes (HTML §13.1.2.3).
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A drawing that says what it shows to whom cannot see it.
pub(super) fn drawing(size: Size, title: &str, inner: &str) -> String {
    let Size { width, height } = size;
    format!(
        "<svg role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">{inner}</svg>",
        escaped(title)
    )
}

/// From numbers to pixels along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// `from..to` onto `start..end`; a span of nothing is taken for one of 1.
    pub(super) fn new((from, to): (f64, f64), (start, end): (f64, f64)) -> Scale {
        let to = if to > from { to } else { from + 1.0 };
        Scale { from, to, start, end }
    }

    /// Where that number is, kept within the frame.
    pub(super) fn at(self, number: f64) -> f64 {
        let share = ((number - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }

    /// Round numbers along the axis, `most` or fewer, with the step between them.
    pub(super) fn ticks(self, most: f64) -> (Vec<f64>, f64) {
        let rough = (self.to - self.from) / most.max(1.0);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= rough);
        let step = step.unwrap_or(10.0) * power;
        let first = (self.from / step).ceil();
        let count = ((self.to / step).floor() - first) as i64;
        let ticks = (0..=count.clamp(0, 100)).map(|n| (first + n as f64) * step);
        (ticks.collect(), step)
    }
}

/// The place of a plot within its drawing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn of(size: Size) -> Frame {
        let left = if size.is_narrow() { 48.0 } else { 64.0 };
        Frame { left, right: size.width - 12.0, top: 28.0, bottom: size.height - 44.0 }
    }

    /// The vertical axis with its grid, its numbers and its name.
    pub(super) fn upright(self, out: &mut String, scale: Scale, name: &str) {
        let (ticks, step) = scale.ticks(5.0);
        for tick in ticks {
            let y = scale.at(tick);
            line(out, "grid", (self.left, y), (self.right, y));
            let place = (self.left - 8.0, y + 4.0);
            text(out, "soft", place, "end", &number(tick, step));
        }
        text(out, "soft", (0.0, self.top - 12.0), "start", name);
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        let _ = write!(
            out,
            "<rect class=\"frame\" x=\"{}\" y=\"{}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            self.left, self.top
        );
    }

    /// The name of the horizontal axis.
    pub(super) fn level(self, out: &mut String, name: &str) {
        text(out, "soft", (self.right, self.bottom + 38.0), "end", name);
    }
}

/// A number with as many decimals as its step has.
pub(super) fn number(value: f64, step: f64) -> String {
    let decimals = if step >= 1.0 { 0 } else { (-step.log10()).ceil().clamp(0.0, 6.0) as usize };
    format!("{value:.decimals$}")
}

pub(super) fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = write!(
        out,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

pub(super) fn text(out: &mut String, class: &str, at: (f64, f64), anchor: &str, words: &str) {
    let _ = write!(
        out,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escaped(words)
    );
}

/// Lines through these points; a new one begins at each `true`.
pub(super) fn path(out: &mut String, class: &str, points: impl Iterator<Item = (bool, f64, f64)>) {
    let mut way = String::new();
    for (n, (begins, x, y)) in points.enumerate() {
        let verb = if n == 0 || begins { 'M' } else { 'L' };
        let _ = write!(way, "{verb}{x:.1} {y:.1}");
    }
    if !way.is_empty() {
        let _ = write!(out, "<path class=\"{class}\" d=\"{way}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, escaped, number};

    #[test]
    fn words_stay_words() {
        assert_eq!(escaped("<a b=\"c\">'&\u{1b}é"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;\u{fffd}é");
    }

    #[test]
    fn ticks_are_round_and_few() {
        let check = |from: f64, to: f64, most: f64, expect: &[&str]| {
            let (ticks, step) = Scale::new((from, to), (0.0, 100.0)).ticks(most);
            let words: Vec<String> = ticks.iter().map(|tick| number(*tick, step)).collect();
            assert_eq!(words, expect, "{from} {to}");
        };
        check(0.0, 2_050.0, 5.0, &["0", "500", "1000", "1500", "2000"]);
        check(-3.0, 17.0, 5.0, &["0", "5", "10", "15"]);
        check(0.0, 1.0, 5.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(7.0, 7.0, 5.0, &["7.0", "7.2", "7.4", "7.6", "7.8", "8.0"]);
    }

    #[test]
    fn what_is_outside_is_drawn_at_the_edge() {
        let scale = Scale::new((0.0, 10.0), (100.0, 0.0));
        assert_eq!(
            [-5.0, 0.0, 5.0, 10.0, 99.0].map(|n| scale.at(n)),
            [100.0, 100.0, 50.0, 0.0, 0.0]
        );
    }
}
