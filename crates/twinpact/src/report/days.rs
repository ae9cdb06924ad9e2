//! The days around a finding: the twin, its siblings, and the hours in which nobody may look.

use super::DaysPicture;
use super::svg::{Frame, Scale, Size, drawing, line, path, text};
use std::fmt::Write as _;
use twinpact_model::Timestamp;

/// What the marks mean.
pub(super) const KEY: &str = "<ul class=\"key\">\
<li><svg width=\"26\" height=\"14\" aria-hidden=\"true\"><path class=\"twin\" d=\"M0 7L26 7\"/></svg>the twin</li>\
<li><svg width=\"26\" height=\"14\" aria-hidden=\"true\"><path class=\"sibling\" d=\"M0 7L26 7\"/></svg>the median of its siblings</li>\
<li><svg width=\"26\" height=\"14\" aria-hidden=\"true\"><rect class=\"shade\" width=\"26\" height=\"14\"/></svg>closed: nothing may be asked for, and no row is shown</li></ul>";

/// Rows further apart than this are not joined: between them nothing was shown.
const GAP_S: i64 = 3_600;
/// The room of a letter of a day's name, in pixels.
const LETTER: f64 = 7.2;

pub(super) fn draw(picture: &DaysPicture, size: Size) -> String {
    let frame = Frame::of(size);
    let seconds = |time: Timestamp| time.micros() as f64 / 1e6;
    let (from, to) = (seconds(picture.span.0), seconds(picture.span.1));
    let x = Scale::new((from, to), (frame.left, frame.right));
    let values = picture.twin.iter().chain(&picture.siblings).map(|(_, value)| *value);
    let (low, high) = values.fold((0f64, 0f64), |(low, high), v| (low.min(v), high.max(v)));
    let y = Scale::new((low, high), (frame.bottom, frame.top));
    let mut out = String::new();
    for (start, end) in &picture.closed {
        let (start, end) = (x.at(seconds(*start)), x.at(seconds(*end)));
        let (width, height) = (end - start, frame.bottom - frame.top);
        let _ = write!(
            out,
            "<rect class=\"shade\" x=\"{start:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            frame.top
        );
    }
    frame.upright(&mut out, y, &picture.axis);
    days(&mut out, picture, size, frame, |time| x.at(seconds(time)));
    for (class, series) in [("sibling", &picture.siblings), ("twin", &picture.twin)] {
        let mut before = None;
        let points = series.iter().map(|(time, value)| {
            let far = before.is_some_and(|last: i64| time.seconds() - last > GAP_S);
            before = Some(time.seconds());
            (far, x.at(seconds(*time)), y.at(*value))
        });
        path(&mut out, class, points);
    }
    for (n, (time, words)) in picture.marks.iter().enumerate() {
        let at = x.at(seconds(*time));
        line(&mut out, "mark", (at, frame.top), (at, frame.bottom));
        // Towards the side that has room, each on a line of its own.
        let anchor = if at > f64::midpoint(frame.left, frame.right) { "end" } else { "start" };
        let aside = if anchor == "end" { at - 6.0 } else { at + 6.0 };
        let height = frame.top + 16.0 + 16.0 * n as f64;
        text(&mut out, "alert", (aside, height), anchor, words);
    }
    let marks: Vec<String> =
        picture.marks.iter().map(|(time, words)| format!("{words} at {time}")).collect();
    let title = format!("{} of the twin and of its siblings. {}", picture.axis, marks.join("; "));
    drawing(size, &title, &out)
}

/// Midnights, and the names of the days as far as there is room.
fn days(
    out: &mut String,
    picture: &DaysPicture,
    size: Size,
    frame: Frame,
    at: impl Fn(Timestamp) -> f64,
) {
    let mut free = f64::NEG_INFINITY;
    for (time, name) in &picture.midnights {
        let x = at(*time);
        line(out, "grid", (x, frame.top), (x, frame.bottom));
        let room = LETTER * name.chars().count() as f64;
        if x >= free && x + room <= size.width {
            text(out, "soft", (x + 2.0, frame.bottom + 18.0), "start", name);
            free = x + room;
        }
    }
}
