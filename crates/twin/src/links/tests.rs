//! Links: what may be set, what a batch says, and what the index answers.

use super::{Link, LinkChange, LinkOutcome, MAX_LINKS, MAX_PASSED_LINKS, MAX_WHOLES};
use crate::decide::{Observation, Source};
use crate::fold::Twins;
use proptest::prelude::*;
use std::collections::BTreeSet;
use twinpact_model::link::Predicate;
use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
use twinpact_model::{Entry, Timestamp};

struct World {
    twins: Twins,
    next: u64,
}

fn urn(twin: usize) -> String {
    format!("urn:room:{twin}")
}

fn observation(twin: usize) -> Observation {
    Observation {
        id: twin.to_string(),
        twin: urn(twin).into(),
        phen_start: Timestamp::from_seconds(1),
        values: vec![("heat".into(), "1".into())],
    }
}

impl World {
    /// So many twins.
    fn of(twins: usize) -> World {
        let attribute = AttributeModel {
            name: "heat".to_owned(),
            datatype: Datatype::String,
            unit: None,
            min: None,
            max: None,
            merge: Merge::default(),
            description: None,
        };
        let model = TypeModel {
            model: "room".to_owned(),
            version: 1,
            description: None,
            retention_class: "operational".to_owned(),
            attributes: vec![attribute],
        };
        let mut world = World { twins: Twins::new([1; 32]), next: 0 };
        let put = world.twins.put_model(&model, "local").unwrap().unwrap();
        world.commit(vec![put]);
        let rows: Vec<Observation> = (0..twins).map(observation).collect();
        let events = world.observe(&rows);
        world.commit(events);
        world
    }

    fn observe(&self, rows: &[Observation]) -> Vec<Entry> {
        let model = ModelRef { name: "room".to_owned(), version: 1 };
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        self.twins.observe(&source, rows.to_vec()).unwrap().events
    }

    fn commit(&mut self, events: Vec<Entry>) {
        for mut event in events {
            event.when.recorded = Timestamp::from_seconds(1_000 + self.next as i64);
            self.twins.apply(&event, self.next).unwrap();
            self.next += 1;
        }
    }

    /// Changes in one batch: `+` set, `.` known, or the code of the refusal.
    fn change(&mut self, changes: &[LinkChange]) -> Vec<String> {
        let (events, outcomes) = self.twins.link(changes, &[], "local");
        self.commit(events);
        outcomes.into_iter().map(word).collect()
    }

    fn set(&mut self, from: usize, predicate: Predicate, to: usize) -> String {
        self.change(&[set(from, predicate, to)]).remove(0)
    }
}

fn word(outcome: LinkOutcome) -> String {
    match outcome {
        LinkOutcome::Changed => "+".to_owned(),
        LinkOutcome::Known => ".".to_owned(),
        LinkOutcome::Refused(problem) => problem.code.name.to_owned(),
    }
}

fn set(from: usize, predicate: Predicate, to: usize) -> LinkChange {
    LinkChange { link: Link { from: urn(from), predicate, to: urn(to) }, set: true }
}

fn retract(from: usize, predicate: Predicate, to: usize) -> LinkChange {
    LinkChange { set: false, ..set(from, predicate, to) }
}

use Predicate::{DependsOn, DerivedFrom, LocatedIn, PartOf};

#[test]
fn links_are_set_once_and_retracted_once() {
    let mut world = World::of(3);
    let check = |world: &mut World, change: LinkChange, expect: &str| {
        assert_eq!(world.change(std::slice::from_ref(&change)), [expect], "{change:?}");
    };
    check(&mut world, retract(0, PartOf, 1), ".");
    check(&mut world, set(0, PartOf, 1), "+");
    check(&mut world, set(0, PartOf, 1), ".");
    check(&mut world, set(2, PartOf, 1), "+");
    check(&mut world, set(0, LocatedIn, 1), "+");
    check(&mut world, set(1, DerivedFrom, 0), "+");
    check(&mut world, set(0, DependsOn, 7), "twin.unknown");
    check(&mut world, set(7, DependsOn, 0), "twin.unknown");
    check(&mut world, retract(0, DependsOn, 7), "twin.unknown");
    let shown = |twin: usize| -> Vec<String> {
        let twin = urn(twin);
        let links = world.twins.as_of(None).links_of(&twin).unwrap();
        let short = |urn: &str| urn.rsplit(':').next().unwrap().to_owned();
        links
            .map(|set| set.link)
            .map(|l| format!("{} {} {}", short(&l.from), l.predicate, short(&l.to)))
            .collect()
    };
    assert_eq!(shown(0), ["0 part-of 1", "0 located-in 1", "1 derived-from 0"]);
    assert_eq!(shown(1), ["1 derived-from 0", "0 part-of 1", "2 part-of 1", "0 located-in 1"]);
    check(&mut world, retract(0, PartOf, 1), "+");
    check(&mut world, retract(0, PartOf, 1), ".");
    check(&mut world, set(0, PartOf, 1), "+");
    assert_eq!(world.twins.as_of(None).links().count(), 4);
}

#[test]
fn what_leads_from_part_to_whole_never_comes_back() {
    for predicate in [PartOf, LocatedIn] {
        let mut world = World::of(4);
        assert_eq!(world.set(0, predicate, 0), "link.cycle");
        assert_eq!(world.set(0, predicate, 1), "+");
        assert_eq!(world.set(1, predicate, 0), "link.cycle");
        assert_eq!(world.set(1, predicate, 2), "+");
        assert_eq!(world.set(2, predicate, 0), "link.cycle");
        // Two wholes are no cycle, and neither is another predicate.
        assert_eq!(world.set(0, predicate, 2), "+");
        assert_eq!(world.set(2, DependsOn, 0), "+");
        // Within one batch what was set before counts, and what was retracted does not.
        let changes = [
            set(2, predicate, 3),
            set(3, predicate, 0),
            retract(2, predicate, 3),
            set(3, predicate, 0),
            set(2, predicate, 3),
        ];
        assert_eq!(world.change(&changes), ["+", "link.cycle", "+", "+", "link.cycle"]);
    }
    for predicate in [DependsOn, DerivedFrom] {
        let mut world = World::of(2);
        assert_eq!(world.set(0, predicate, 1), "+");
        assert_eq!(world.set(1, predicate, 0), "+");
        assert_eq!(world.set(1, predicate, 1), "link.cycle");
    }
}

#[test]
fn a_batch_may_link_the_twins_that_it_makes() {
    let mut world = World::of(1);
    let before = world.observe(&[observation(5), observation(6)]);
    let changes = [set(5, PartOf, 6), set(5, LocatedIn, 0), set(0, PartOf, 6), set(0, PartOf, 8)];
    let (events, outcomes) = world.twins.link(&changes, &before, "local");
    let words: Vec<String> = outcomes.into_iter().map(word).collect();
    assert_eq!(words, ["+", "+", "+", "twin.unknown"]);
    world.commit(before);
    world.commit(events);
    assert_eq!(world.twins.as_of(None).links().count(), 3);
    // Facts go on after links in the numbers of a twin.
    let mut later = observation(5);
    later.id = "later".to_owned();
    let more = world.observe(&[later]);
    world.commit(more);
    assert_eq!(world.twins.node(&urn(5)).unwrap().seq, 5);
}

#[test]
fn links_have_bounds() {
    let mut world = World::of(MAX_LINKS + 2);
    let changes: Vec<LinkChange> = (1..MAX_LINKS + 2).map(|n| set(0, DependsOn, n)).collect();
    let words = world.change(&changes);
    assert!(words[..MAX_LINKS].iter().all(|word| word == "+"));
    assert_eq!(words[MAX_LINKS], "input.too_large");
    assert_eq!(world.set(0, PartOf, 1), "input.too_large");
    assert_eq!(world.change(&[retract(0, DependsOn, 1)]), ["+"]);
    assert_eq!(world.set(0, PartOf, 1), "+");
}

#[test]
fn a_search_for_cycles_has_a_bound() {
    let mut world = World::of(MAX_WHOLES + 2);
    let chain: Vec<LinkChange> = (1..MAX_WHOLES).rev().map(|n| set(n, PartOf, n + 1)).collect();
    // From the end backwards, each search is long: as the log says them, none is made.
    let events: Vec<Entry> = chain.iter().map(|change| super::entry(change, 3, "local")).collect();
    world.commit(events);
    assert_eq!(world.set(0, PartOf, 1), "+");
    let (last, beyond) = (MAX_WHOLES, MAX_WHOLES + 1);
    assert_eq!(world.set(last, PartOf, beyond), "+");
    assert_eq!(world.change(&[retract(0, PartOf, 1)]), ["+"]);
    assert_eq!(world.set(0, PartOf, 1), "input.too_large");
}

#[test]
fn all_searches_of_a_batch_have_one_bound() {
    const LONG: usize = MAX_PASSED_LINKS / 20;
    let mut world = World::of(LONG + 30);
    let chain: Vec<LinkChange> = (0..LONG).map(|n| set(n, PartOf, n + 1)).collect();
    let events: Vec<Entry> = chain.iter().map(|change| super::entry(change, 3, "local")).collect();
    world.commit(events);
    let parts: Vec<LinkChange> = (LONG + 1..LONG + 23).map(|n| set(n, PartOf, 0)).collect();
    let words = world.change(&parts);
    assert_eq!(words[..20], ["+"; 20]);
    assert_eq!(words[20..], ["input.too_large"; 2]);
    // The next batch has its own, and what looks at no links needs none.
    assert_eq!(world.change(&parts[20..]), ["+", "+"]);
}

#[test]
fn events_that_contradict_are_a_fault_of_ours() {
    let mut world = World::of(2);
    assert_eq!(world.set(0, PartOf, 1), "+");
    let check = |change: LinkChange, seq: u64, harm: &dyn Fn(&mut Entry)| {
        let mut twins = world.twins.clone();
        let mut event = super::entry(&change, seq, "local");
        event.when.recorded = Timestamp::from_seconds(9_000);
        harm(&mut event);
        twins.apply(&event, 99).err().map(|problem| problem.code.name)
    };
    assert_eq!(check(retract(0, PartOf, 1), 4, &|_| ()), None);
    let fault = Some("internal");
    assert_eq!(check(set(0, PartOf, 1), 4, &|_| ()), fault, "twice");
    assert_eq!(check(retract(1, PartOf, 0), 3, &|_| ()), fault, "never set");
    assert_eq!(check(retract(0, PartOf, 1), 5, &|_| ()), fault, "a number is missing");
    assert_eq!(check(set(0, PartOf, 9), 4, &|_| ()), fault, "no such twin");
    assert_eq!(check(set(0, DependsOn, 1), 4, &|e| e.what.clear()), fault);
    assert_eq!(check(set(0, DependsOn, 1), 4, &|e| e.what[0].lexical = "x".into()), fault);
}

proptest! {
    /// However changes are cut into batches, the same links stand; sending them again in the same
    /// order never adds a link twice, and neither predicate that may not come back ever does.
    #[test]
    fn batches_make_no_difference(
        changes in prop::collection::vec(
            (0usize..5, prop::sample::select(Predicate::ALL), 0usize..5, prop::bool::weighted(0.8)),
            0..40,
        ),
        size in 1usize..12,
    ) {
        let change = |(from, predicate, to, on): (usize, Predicate, usize, bool)| match on {
            true => set(from, predicate, to),
            false => retract(from, predicate, to),
        };
        let changes: Vec<LinkChange> = changes.into_iter().map(change).collect();
        let (mut one, mut many) = (World::of(5), World::of(5));
        let mut words = Vec::new();
        for batch in changes.chunks(size) {
            words.extend(one.change(batch));
        }
        let single = changes.iter().flat_map(|c| many.change(std::slice::from_ref(c)));
        prop_assert_eq!(&words, &single.collect::<Vec<_>>());
        let links: BTreeSet<Link> = one.twins.as_of(None).links().map(|set| set.link).collect();
        prop_assert_eq!(one.twins.as_of(None).links().count(), links.len());
        prop_assert_eq!(&one.twins, &many.twins);
        for predicate in [PartOf, LocatedIn] {
            // Twins without a part that is left are taken away until none is left.
            let mut left: Vec<&Link> = links.iter().filter(|l| l.predicate == predicate).collect();
            while let Some(at) = left.iter().position(|l| !left.iter().any(|o| o.to == l.from)) {
                left.remove(at);
            }
            prop_assert!(left.is_empty(), "{:?}", left);
        }
    }
}
