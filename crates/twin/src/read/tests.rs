//! Pages of a view: nothing lost, nothing doubled, whatever the bounds.

use crate::decide::{Observation, Source};
use crate::fold::Twins;
use proptest::prelude::*;
use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
use twinpact_model::view::{Column, Cursor, PageBounds, Row, Selection, in_order};
use twinpact_model::{Schedule, Timestamp};

pub(crate) const ALL: PageBounds =
    PageBounds { rows: usize::MAX, twins: usize::MAX, bytes: usize::MAX };
/// Friday 24 July 2015, 18:59:50 in Paris: ten seconds before the hours of [`HOURS`] end.
pub(crate) const EVENING: i64 = 1_437_757_190;
pub(crate) const HOURS: &str = "Mo-Fr 07:00-19:00 [Europe/Paris]";

pub(crate) struct World {
    pub(crate) twins: Twins,
    pub(crate) next: u64,
}

impl World {
    pub(crate) fn new() -> World {
        let attribute = |name: &str| AttributeModel {
            name: name.to_owned(),
            datatype: Datatype::String,
            unit: None,
            min: None,
            max: None,
            merge: Merge::default(),
            description: None,
        };
        let model = TypeModel {
            model: "wind-turbine".to_owned(),
            version: 1,
            description: None,
            retention_class: "operational".to_owned(),
            attributes: vec![attribute("power"), attribute("hidden")],
        };
        let mut world = World { twins: Twins::new([1; 32]), next: 0 };
        let put = world.twins.put_model(&model, "local").unwrap().unwrap();
        world.commit(vec![put]);
        world
    }

    fn commit(&mut self, events: Vec<twinpact_model::Entry>) {
        for mut event in events {
            event.when.recorded = Timestamp::from_seconds(2_000_000_000 + self.next as i64);
            self.twins.apply(&event, self.next).unwrap();
            self.next += 1;
        }
    }

    /// Rows of (id, twin, second, attribute, value).
    pub(crate) fn ingest(&mut self, rows: &[(u8, u8, i64, &str, String)]) {
        let observation = |(id, twin, second, attribute, value): &(u8, u8, i64, &str, String)| {
            let twin = format!("urn:turbine:{twin}").into();
            let phen_start = Timestamp::from_seconds(EVENING + second);
            let values = vec![((*attribute).into(), value.into())];
            Observation { id: id.to_string(), twin, phen_start, values }
        };
        let rows: Vec<Observation> = rows.iter().map(observation).collect();
        let model = ModelRef { name: "wind-turbine".to_owned(), version: 1 };
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        let events = self.twins.observe(&source, rows).unwrap().events;
        self.commit(events);
    }

    /// Every page up to the last, each with the cursor that it ends with.
    fn pages(&self, selection: &Selection, bounds: PageBounds) -> Vec<(Vec<Row>, Option<Cursor>)> {
        let (mut pages, mut selection) = (Vec::new(), selection.clone());
        loop {
            let (rows, next) = self.twins.view(&selection, bounds);
            selection.after.clone_from(&next);
            pages.push((rows, next));
            if selection.after.is_none() {
                return pages;
            }
            assert!(pages.len() < 1_000, "it does not end");
        }
    }
}

pub(crate) fn selection() -> Selection {
    let column = Column {
        attribute: "power".to_owned(),
        name: "power".to_owned(),
        datatype: "string".to_owned(),
        unit: None,
    };
    Selection {
        model: ModelRef { name: "wind-turbine".to_owned(), version: 1 },
        twins: Vec::new(),
        columns: vec![column],
        rows: None,
        since: None,
        until: None,
        after: None,
        only: None,
        links: None,
    }
}

pub(crate) fn values(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.values[0].as_deref().unwrap()).collect()
}

/// The values of each page of so many rows.
fn paged(world: &World, rows: usize) -> Vec<Vec<String>> {
    let pages = world.pages(&selection(), PageBounds { rows, ..ALL });
    pages.iter().map(|(rows, _)| values(rows).into_iter().map(str::to_owned).collect()).collect()
}

pub(crate) fn power(
    id: u8,
    twin: u8,
    second: i64,
    value: &str,
) -> (u8, u8, i64, &'static str, String) {
    (id, twin, second, "power", value.to_owned())
}

#[test]
fn colliding_instants_are_split_only_when_they_are_more_than_a_page() {
    let mut world = World::new();
    world.ingest(&[
        power(1, 1, 5, "a"),
        power(2, 1, 6, "b"),
        power(2, 1, 6, "b"),
        power(2, 1, 6, "c"),
        power(3, 2, 6, "d"),
        power(4, 2, 7, "e"),
    ]);
    let check = |rows: usize, expect: &[&str]| {
        let pages: Vec<String> = paged(&world, rows).iter().map(|page| page.concat()).collect();
        assert_eq!(pages, expect, "{rows}");
    };
    check(1, &["a", "b", "b", "c", "d", "e"]);
    check(2, &["a", "bb", "cd", "e"]);
    check(3, &["a", "bbc", "de"]);
    check(4, &["abbc", "de"]);
    check(5, &["abbcd", "e"]);
    check(6, &["abbcde"]);
    check(7, &["abbcde"]);
    check(0, &["a", "b", "b", "c", "d", "e"]);
}

#[test]
fn bytes_bound_a_page_and_a_large_row_is_one() {
    let mut world = World::new();
    world.ingest(&[
        power(1, 1, 1, "a"),
        power(2, 1, 2, "b"),
        power(3, 1, 3, &"L".repeat(500)),
        power(4, 1, 4, "c"),
    ]);
    let (rows, _) = world.twins.view(&selection(), ALL);
    let two = rows[0].bytes() + rows[1].bytes();
    let lengths = |bytes: usize| -> Vec<usize> {
        let pages = world.pages(&selection(), PageBounds { rows: 100, bytes, ..ALL });
        pages.iter().map(|(rows, _)| rows.len()).collect()
    };
    assert_eq!(lengths(two), [2, 1, 1]);
    assert_eq!(lengths(two - 1), [1, 1, 1, 1]);
    assert_eq!(lengths(0), [1, 1, 1, 1]);
    let all = rows.iter().map(Row::bytes).sum();
    assert_eq!((lengths(all), lengths(all - 1)), (vec![4], vec![3, 1]));
}

#[test]
fn a_correction_between_two_pages_shifts_no_other_row() {
    let mut world = World::new();
    world.ingest(&[
        power(1, 1, 5, "a"),
        power(2, 1, 6, "b"),
        power(3, 1, 6, "c"),
        power(4, 1, 7, "d"),
    ]);
    let mut selection = selection();
    let bounds = PageBounds { rows: 3, ..ALL };
    let (first, next) = world.twins.view(&selection, bounds);
    assert_eq!(values(&first), ["a", "b", "c"]);
    // One of the last instant goes to another time, one before it is corrected where it stood.
    world.ingest(&[power(2, 1, 9, "B"), power(1, 1, 5, "A"), power(5, 1, 6, "late")]);
    selection.after = next;
    assert_eq!(values(&world.twins.view(&selection, bounds).0), ["d", "B"]);
}

#[test]
fn a_cursor_needs_nothing_to_be_where_it_points() {
    let mut world = World::new();
    world.ingest(&[power(1, 2, 5, "a"), power(2, 4, 5, "b")]);
    let check = |twin: &str, second: i64, delivered: u64, expect: &[&str]| {
        let phen_start = Timestamp::from_seconds(EVENING + second);
        let after = Some(Cursor { twin: twin.to_owned(), phen_start, delivered });
        let (rows, next) = world.twins.view(&Selection { after, ..selection() }, ALL);
        assert_eq!((values(&rows), next), (expect.to_vec(), None), "{twin} {second} {delivered}");
    };
    check("urn:turbine:1", 9, 1, &["a", "b"]);
    check("urn:turbine:2", 4, 9, &["a", "b"]);
    check("urn:turbine:2", 5, 1, &["b"]);
    check("urn:turbine:2", 5, u64::MAX, &["b"]);
    check("urn:turbine:2", 6, 1, &["b"]);
    check("urn:turbine:3", 0, 1, &["b"]);
    check("urn:turbine:4", 5, 1, &[]);
    check("urn:turbine:5", 0, 1, &[]);
}

fn any_rows() -> impl Strategy<Value = Vec<(u8, u8, i64, &'static str, String)>> {
    let attribute = prop::sample::select(vec!["power", "power", "power", "hidden"]);
    let row = (0u8..12, 0u8..3, 0i64..20, attribute, "[a-c\"\n]{1,9}");
    prop::collection::vec(row, 0..40)
}

fn any_selection() -> impl Strategy<Value = Selection> {
    let second = || prop::option::of(0i64..20);
    (second(), second(), any::<bool>(), any::<bool>()).prop_map(|(since, until, hours, one)| {
        let at = |second: Option<i64>| second.map(|s| Timestamp::from_seconds(EVENING + s));
        Selection {
            twins: one.then(|| "urn:turbine:1".to_owned()).into_iter().collect(),
            rows: hours.then(|| Schedule::parse(HOURS).unwrap()),
            since: at(since),
            until: at(until),
            ..selection()
        }
    })
}

/// The rows, worked out from the histories.
fn expected(world: &World, selection: &Selection) -> Vec<(String, Timestamp, String)> {
    let mut rows = Vec::new();
    for (twin, _) in world.twins.nodes() {
        let history = world.twins.history(twin, selection.since, selection.until, 1_000).unwrap();
        for fact in history.rows.into_iter().filter(|f| f.corrected_by.is_none()) {
            let open = selection.rows.as_ref().is_none_or(|s| s.contains(fact.phen_start));
            let wanted = selection.twins.is_empty() || selection.twins[0] == twin;
            for (name, value) in fact.values {
                if open && wanted && name == "power" {
                    rows.push((twin.to_owned(), fact.phen_start, value));
                }
            }
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_row_comes_once_and_in_order(
        first in any_rows(),
        more in any_rows(),
        selection in any_selection(),
        rows in 0usize..8,
        twins in 0usize..4,
        bytes in 0usize..400,
    ) {
        let mut world = World::new();
        world.ingest(&first);
        world.ingest(&more);
        let bounds = PageBounds { rows, twins, bytes };
        let mut all = Vec::new();
        let mut after: Option<Cursor> = None;
        let pages = world.pages(&selection, bounds);
        let count = pages.len();
        for (number, (page, next)) in pages.into_iter().enumerate() {
            let size = page.iter().map(Row::bytes).sum();
            let twins = page.chunk_by(|a, b| a.twin == b.twin).count();
            prop_assert!(bounds.hold(page.len(), twins, size));
            prop_assert!(in_order(after.as_ref(), page.iter().map(Row::place)));
            prop_assert!(count == 1 || !page.is_empty());
            prop_assert_eq!(next.is_none(), number + 1 == count);
            if let Some(next) = &next {
                prop_assert!(after.as_ref().is_none_or(|after| after < next));
                let behind = Cursor::behind(after.as_ref(), page.iter().map(Row::place));
                prop_assert_eq!(behind.as_ref(), Some(next));
            }
            after = next;
            all.extend(page);
        }
        let shown = |row: Row| (row.twin, row.phen_start, row.values[0].clone().unwrap());
        let all: Vec<(String, Timestamp, String)> = all.into_iter().map(shown).collect();
        prop_assert_eq!(all, expected(&world, &selection));
    }
}
