//! The picture of an incident: one HTML file that needs nothing else, no script and no network.
//!
//! What is drawn is given ([`Picture`]); nothing here asks a node. Each drawing is made twice, for
//! a wide and for a narrow screen, and the style shows one of them: letters that are scaled down
//! with a drawing cannot be read. Colours come from the style alone, for light and dark, and
//! nothing is told by colour alone.

mod curve;
mod days;
mod style;
mod svg;
mod timeline;
mod walk;

use std::fmt::Write as _;
use svg::{Size, escaped};
use twinpact_model::Timestamp;

/// All that the page shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// What was found, and where.
    pub(crate) title: String,
    /// What has to be known before anything else, in sentences.
    pub(crate) notices: Vec<String>,
    /// Name and value of what the page begins with.
    pub(crate) facts: Vec<(String, String)>,
    /// What the twin gives, and the rows that stood out; `None` when the rows are not held.
    pub(crate) curve: Option<CurvePicture>,
    /// The days around it.
    pub(crate) days: Option<DaysPicture>,
    /// How it was traced.
    pub(crate) walk: Vec<Hop>,
    /// What was decided, delivered, asked and answered.
    pub(crate) timeline: Vec<Moment>,
    /// The figures.
    pub(crate) figures: Vec<Figure>,
}

/// Rows of one twin by what drives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurvePicture {
    /// What drives, and what follows, with their units.
    pub(crate) axes: (String, String),
    /// The rows.
    pub(crate) rows: Vec<(f64, f64)>,
    /// What was learned from them, in the order of what drives.
    pub(crate) learned: Vec<(f64, f64)>,
    /// The rows that stood out.
    pub(crate) stood_out: Vec<(f64, f64)>,
}

/// The days around the finding.
#[derive(Debug, Clone)]
pub(crate) struct DaysPicture {
    /// What is drawn, with its unit.
    pub(crate) axis: String,
    /// From when until when.
    pub(crate) span: (Timestamp, Timestamp),
    /// Midnights by the clock of the place, with the day's name.
    pub(crate) midnights: Vec<(Timestamp, String)>,
    /// The twin, and the median of its siblings.
    pub(crate) twin: Vec<(Timestamp, f64)>,
    pub(crate) siblings: Vec<(Timestamp, f64)>,
    /// When nothing may be asked for.
    pub(crate) closed: Vec<(Timestamp, Timestamp)>,
    /// Moments to be named.
    pub(crate) marks: Vec<(Timestamp, String)>,
}

/// One link of the walk.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    /// The twin that the link is about, and its owner.
    pub(crate) from: (String, String),
    /// What it is to the other.
    pub(crate) predicate: String,
    /// The other, and its owner.
    pub(crate) to: (String, String),
    /// Who says so, and how well it is proven.
    pub(crate) said_by: String,
    pub(crate) level: String,
}

/// Something that was decided, delivered, asked or answered.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    /// The organisation that it happened at.
    pub(crate) organisation: String,
    pub(crate) what: String,
    /// How well it is proven.
    pub(crate) level: String,
    /// What names its proof.
    pub(crate) proof: String,
}

/// A figure with what it means.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) meaning: String,
}

/// Both sizes of a drawing, of which the style shows one.
fn both(draw: impl Fn(Size) -> String) -> String {
    let one = |class: &str, size: Size| format!("<div class=\"{class}\">{}</div>", draw(size));
    one("wide", Size::WIDE) + &one("narrow", Size::NARROW)
}

/// The page.
pub(crate) fn page(picture: &Picture) -> String {
    let mut body = String::new();
    let title = escaped(&picture.title);
    let _ = write!(body, "<header><p class=\"kind\">Incident report</p><h1>{title}</h1>");
    for notice in &picture.notices {
        let _ = write!(body, "<p class=\"notice\">{}</p>", escaped(notice));
    }
    body.push_str("</header><main>");
    body.push_str(&facts(&picture.facts));
    if let Some(curve) = &picture.curve {
        let drawing = both(|size| curve::draw(curve, size));
        section(&mut body, "What stood out", &(drawing + curve::KEY));
    }
    if let Some(days) = &picture.days {
        let drawing = both(|size| days::draw(days, size));
        section(&mut body, "The days around it", &(drawing + days::KEY));
    }
    if !picture.walk.is_empty() {
        let drawing = both(|size| walk::draw(&picture.walk, size));
        section(&mut body, "The walk", &(drawing + &walk::table(&picture.walk)));
    }
    if !picture.timeline.is_empty() {
        section(&mut body, "Who did what", &timeline::table(&picture.timeline));
    }
    if !picture.figures.is_empty() {
        section(&mut body, "Figures", &figures(&picture.figures));
    }
    body.push_str("</main>");
    let style = style::STYLE;
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )
}

fn section(body: &mut String, title: &str, inner: &str) {
    let _ = write!(body, "<section><h2>{}</h2>{inner}</section>", escaped(title));
}

fn facts(facts: &[(String, String)]) -> String {
    let mut list = String::from("<dl class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(list, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value));
    }
    list + "</dl>"
}

fn figures(figures: &[Figure]) -> String {
    let mut list = String::from("<dl class=\"figures\">");
    for Figure { name, value, meaning } in figures {
        let _ = write!(
            list,
            "<div><dt>{}</dt><dd><strong>{}</strong><span>{}</span></dd></div>",
            escaped(name),
            escaped(value),
            escaped(meaning)
        );
    }
    list + "</dl>"
}

#[cfg(test)]
pub(crate) mod tests;
