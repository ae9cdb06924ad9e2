//! A page of the kind that an incident makes, held against what every page must be.

use super::{CurvePicture, DaysPicture, Figure, Hop, Moment, Picture, page};
use twinpact_model::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A stop over a weekend, in made-up rows.
pub(crate) fn picture() -> Picture {
    let start = at("2015-07-24T00:00:00+02:00");
    let time = |step: i64| start.plus_seconds(step * 600);
    let wind = |step: i64| 7.0 + 3.0 * (step as f64 / 40.0).sin();
    let power = |wind: f64| (wind.powi(3) * 1.6).min(2_050.0);
    let open = |step: i64| (42..114).contains(&(step % 144)) && !(144..432).contains(&step);
    let stands = |step: i64| step > 300;
    let shown: Vec<i64> = (0..5 * 144).filter(|step| open(*step)).collect();
    let given = |step: i64| if stands(step) { -5.0 } else { power(wind(step)) };
    let hours = |a: &str, b: &str| (at(a), at(b));
    let moment = |time: &str, who: &str, what: &str, level: &str| Moment {
        at: at(time),
        organisation: who.to_owned(),
        what: what.to_owned(),
        level: level.to_owned(),
        proof: "receipt 42e455d0c688".to_owned(),
    };
    let hop = |from: (&str, &str), predicate: &str, to: (&str, &str), by: &str| Hop {
        from: (from.0.to_owned(), from.1.to_owned()),
        predicate: predicate.to_owned(),
        to: (to.0.to_owned(), to.1.to_owned()),
        said_by: by.to_owned(),
        level: "countersigned".to_owned(),
    };
    let (operator, maker, supplier) =
        ("did:web:operator.example", "did:web:maker.example", "did:web:supplier.example");
    let bearing = ("urn:bearing:5001", maker);
    let lot = ("urn:lot:2011-17", supplier);
    Picture {
        title: "power-loss at urn:turbine:R80711".to_owned(),
        notices: vec!["This page holds rows of a partner: delete it by 2015-08-10.".to_owned()],
        facts: vec![("found".to_owned(), "2015-07-27T05:20:00Z".to_owned())],
        curve: Some(CurvePicture {
            axes: ("wind_speed, m/s".to_owned(), "power, kW".to_owned()),
            rows: shown.iter().map(|step| (wind(*step), given(*step))).collect(),
            learned: (4..11).map(|n| (f64::from(n), power(f64::from(n)))).collect(),
            stood_out: vec![(7.1, -4.0), (7.9, -5.0), (8.4, -5.0)],
        }),
        days: Some(DaysPicture {
            axis: "power, kW".to_owned(),
            span: (start, time(5 * 144)),
            midnights: (0..5).map(|day| (time(day * 144), format!("{} July", 24 + day))).collect(),
            twin: shown.iter().map(|step| (time(*step), given(*step))).collect(),
            siblings: shown.iter().map(|step| (time(*step), power(wind(*step)))).collect(),
            closed: vec![
                hours("2015-07-24T00:00:00+02:00", "2015-07-24T07:00:00+02:00"),
                hours("2015-07-24T19:00:00+02:00", "2015-07-27T07:00:00+02:00"),
                hours("2015-07-27T19:00:00+02:00", "2015-07-28T07:00:00+02:00"),
                hours("2015-07-28T19:00:00+02:00", "2015-07-29T00:00:00+02:00"),
            ],
            marks: vec![
                (at("2015-07-27T07:20:00+02:00"), "found".to_owned()),
                (at("2015-07-27T08:00:00+02:00"), "containment opened".to_owned()),
            ],
        }),
        walk: vec![
            hop(bearing, "part-of", ("urn:turbine:R80711", operator), maker),
            hop(bearing, "derived-from", lot, supplier),
            hop(("urn:bearing:5002", maker), "derived-from", lot, supplier),
            hop(("urn:bearing:5002", maker), "part-of", ("urn:turbine:R80721", operator), maker),
        ],
        timeline: vec![
            moment("2015-07-27T07:20:00+02:00", maker, "found a loss", "signed"),
            moment("2015-07-27T08:00:00+02:00", operator, "confirmed <it>", "countersigned"),
        ],
        figures: vec![Figure {
            name: "time to detect".to_owned(),
            value: "20 min".to_owned(),
            meaning: "since the first row that it was allowed to see".to_owned(),
        }],
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page(&picture());
    // For a look in a browser: `make picture`.
    if let Some(folder) = std::env::var_os("TWINPACT_PAGES") {
        std::fs::write(std::path::Path::new(&folder).join("drawn-sample.html"), &page).unwrap();
    }
    for other in ["<script", "http://", "https://", "url(", "@import", "<link", "<img", "<iframe"] {
        assert!(!page.contains(other), "{other}");
    }
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert!(page.contains("confirmed &lt;it&gt;") && !page.contains("<it>"));
}

#[test]
fn every_drawing_is_there_wide_and_narrow_and_in_words() {
    let page = page(&picture());
    let count = |what: &str| page.matches(what).count();
    assert_eq!((count("class=\"wide\""), count("class=\"narrow\"")), (3, 3));
    assert_eq!(count("role=\"img\" aria-label=\""), 6);
    assert_eq!(count("NaN") + count("inf\""), 0);
    // One cross a row that stood out, in each size.
    assert_eq!(count("<path class=\"out\""), 2 * 3 + 1);
}

#[test]
fn what_is_not_held_is_not_drawn() {
    let without = Picture { curve: None, days: None, walk: Vec::new(), ..picture() };
    let page = page(&without);
    assert!(!page.contains("What stood out") && !page.contains("role=\"img\""));
    assert!(page.contains("Who did what"));
}

#[test]
fn a_twin_with_a_long_name_stays_in_its_box() {
    let mut long = picture();
    long.walk[0].to.0 = format!("urn:turbine:{}", "x".repeat(500));
    let page = page(&long);
    assert!(page.contains("…xxx"), "the drawing shortens it");
    assert!(page.contains(&"x".repeat(500)), "the table does not");
}
