//! Each row once, in the order in which it was recorded, wherever a stream is cut.

use crate::read::tests::{ALL, HOURS, World, power, selection, values};
use proptest::prelude::*;
use twinpact_model::Schedule;
use twinpact_model::view::{PageBounds, Row, Selection};

fn since(world: &World, selection: &Selection, from: u64) -> Vec<String> {
    let recorded = world.twins.recorded(selection, from, ALL);
    assert_eq!(recorded.next, None);
    values(&recorded.rows).into_iter().map(str::to_owned).collect()
}

#[test]
fn rows_come_as_they_were_recorded() {
    let mut world = World::new();
    world.ingest(&[power(1, 2, 5, "a"), power(2, 1, 6, "b")]);
    let then = world.next;
    // Late, a correction of the first, of another twin, and after the hours.
    world.ingest(&[power(3, 1, -9, "late"), power(1, 2, 5, "A"), power(4, 3, 9, "c")]);
    world.ingest(&[power(5, 1, 99, "evening")]);
    let all = selection();
    assert_eq!(since(&world, &all, 0), ["b", "late", "A", "c", "evening"]);
    assert_eq!(since(&world, &all, then), ["late", "A", "c", "evening"]);
    assert!(since(&world, &all, world.next).is_empty());
    let check = |change: &dyn Fn(&mut Selection), expect: &[&str]| {
        let mut selection = selection();
        change(&mut selection);
        assert_eq!(since(&world, &selection, then), expect);
    };
    check(&|s| s.rows = Some(Schedule::parse(HOURS).unwrap()), &["late", "A", "c"]);
    let named = ["urn:turbine:3", "urn:turbine:2", "urn:turbine:3", "urn:turbine:9"];
    check(&|s| s.twins = named.map(str::to_owned).to_vec(), &["A", "c"]);
    check(&|s| s.columns[0].attribute = "hidden".to_owned(), &[]);
    check(&|s| s.model.name = "pump".to_owned(), &[]);
}

proptest! {
    /// Whatever is written between two parts, and however small they are: who asks on where the
    /// part before ended has every row that stands in the end exactly once, and the others, which
    /// were corrected meanwhile, at most once; all in the order of their events.
    #[test]
    fn a_stream_loses_and_repeats_nothing(
        batches in prop::collection::vec(
            prop::collection::vec((0u8..12, 0u8..3, -20i64..20), 0..6), 1..8),
        parts in prop::collection::vec((1usize..4, any::<bool>()), 1..20),
    ) {
        let (mut world, mut from, mut got) = (World::new(), 0, Vec::<Row>::new());
        let (mut batches, mut number) = (batches.into_iter(), 0);
        let hours = Some(Schedule::parse(HOURS).unwrap());
        let selection = Selection { rows: hours, ..selection() };
        let mut parts = parts.into_iter().cycle();
        loop {
            let (rows, write) = parts.next().unwrap();
            if (write || from == world.next) && let Some(batch) = batches.next() {
                let rows: Vec<_> = batch.into_iter().map(|(id, twin, second)| {
                    number += 1;
                    power(id, twin, second, &number.to_string())
                }).collect();
                world.ingest(&rows);
            }
            let bounds = PageBounds { rows, ..ALL };
            let part = world.twins.recorded(&selection, from, bounds);
            prop_assert!(part.rows.len() <= rows);
            from = part.next.unwrap_or(world.next);
            got.extend(part.rows);
            if from == world.next && batches.len() == 0 {
                break;
            }
        }
        // Values are numbered as they were written.
        let numbers: Vec<u32> = values(&got).iter().map(|v| v.parse().unwrap()).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let stands = world.twins.view(&selection, ALL).0;
        for value in values(&stands) {
            prop_assert!(numbers.contains(&value.parse().unwrap()), "{value} {numbers:?}");
        }
    }
}
