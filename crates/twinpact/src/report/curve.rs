//! The rows of a twin by what drives it: what is usual, and what stood out.

use super::CurvePicture;
use super::svg::{Frame, Scale, Size, drawing, number, path, text};
use std::fmt::Write as _;

/// What the marks mean.
pub(super) const KEY: &str = "<ul class=\"key\">\
<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><circle class=\"dot\" cx=\"7\" cy=\"7\" r=\"3\"/></svg>a row</li>\
<li><svg width=\"26\" height=\"14\" aria-hidden=\"true\"><path class=\"twin\" d=\"M0 7L26 7\"/></svg>what was learned from them</li>\
<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><path class=\"out\" d=\"M2 2L12 12M12 2L2 12\"/></svg>a row that stood out</li></ul>";

/// The most rows that are drawn; of more an even selection is.
const MAX_DRAWN: usize = 4_000;

pub(super) fn draw(picture: &CurvePicture, size: Size) -> String {
    let frame = Frame::of(size);
    let all = || picture.rows.iter().chain(&picture.learned).chain(&picture.stood_out);
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((0f64, 0f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let x = Scale::new(span(&mut all().map(|row| row.0)), (frame.left, frame.right));
    let y = Scale::new(span(&mut all().map(|row| row.1)), (frame.bottom, frame.top));
    let mut out = String::new();
    frame.upright(&mut out, y, &picture.axes.1);
    let (ticks, step) = x.ticks(if size.is_narrow() { 5.0 } else { 10.0 });
    for tick in ticks {
        let place = (x.at(tick), frame.bottom + 18.0);
        text(&mut out, "soft", place, "middle", &number(tick, step));
    }
    frame.level(&mut out, &picture.axes.0);
    let every = picture.rows.len().div_ceil(MAX_DRAWN).max(1);
    for (drive, output) in picture.rows.iter().step_by(every) {
        let (x, y) = (x.at(*drive), y.at(*output));
        let _ = write!(out, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.5\"/>");
    }
    let learned =
        picture.learned.iter().map(|(drive, output)| (false, x.at(*drive), y.at(*output)));
    path(&mut out, "twin", learned);
    for (drive, output) in &picture.stood_out {
        let (x, y) = (x.at(*drive), y.at(*output));
        let corners =
            [(x - 5.0, y - 5.0), (x + 5.0, y + 5.0), (x + 5.0, y - 5.0), (x - 5.0, y + 5.0)];
        path(&mut out, "out", corners.iter().enumerate().map(|(n, (x, y))| (n % 2 == 0, *x, *y)));
    }
    let title = format!(
        "{} over {}: {} rows, and {} that stood out",
        picture.axes.1,
        picture.axes.0,
        picture.rows.len(),
        picture.stood_out.len()
    );
    drawing(size, &title, &out)
}
