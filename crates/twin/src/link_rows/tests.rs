//! Halves and links views: what may be set, what a view shows, and that what is hidden looks like
//! what is not there.

use crate::decide::{Observation, Source};
use crate::fold::Twins;
use crate::halves::{Half, MAX_HALVES};
use crate::links::{Link, LinkChange, LinkOutcome};
use proptest::prelude::*;
use twinpact_model::link::Predicate::{self, DependsOn, DerivedFrom, PartOf};
use twinpact_model::link_row::{Direction, LINK_COLUMNS, LinkRow, OtherOwner, ShownLinks};
use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
use twinpact_model::view::{Column, PageBounds, Row, Selection};
use twinpact_model::{Entry, Timestamp};

pub(crate) const A: &str = "did:web:a.example";
pub(crate) const B: &str = "did:web:b.example";

/// Twins of two models, `lot` and `part`.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) twins: Twins,
    next: u64,
}

pub(crate) fn model(name: &str) -> ModelRef {
    ModelRef { name: name.to_owned(), version: 1 }
}

impl World {
    /// With so many twins, the even ones of the model `lot`, the odd ones of `part`.
    pub(crate) fn of(twins: &[String]) -> World {
        let mut world = World { twins: Twins::new([1; 32]), next: 0 };
        for name in ["lot", "part"] {
            let attribute = AttributeModel {
                name: "heat".to_owned(),
                datatype: Datatype::String,
                unit: None,
                min: None,
                max: None,
                merge: Merge::default(),
                description: None,
            };
            let put = TypeModel {
                model: name.to_owned(),
                version: 1,
                description: None,
                retention_class: "operational".to_owned(),
                attributes: vec![attribute],
            };
            let put = world.twins.put_model(&put, "local").unwrap().unwrap();
            world.commit(vec![put]);
        }
        for (n, twin) in twins.iter().enumerate() {
            world.twin(["lot", "part"][n % 2], twin);
        }
        world
    }

    fn twin(&mut self, model_name: &str, twin: &str) {
        let row = Observation {
            id: twin.to_owned(),
            twin: twin.into(),
            phen_start: Timestamp::from_seconds(1),
            values: vec![("heat".into(), "1".into())],
        };
        let model = model(model_name);
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        let events = self.twins.observe(&source, vec![row]).unwrap().events;
        self.commit(events);
    }

    pub(crate) fn commit(&mut self, events: Vec<Entry>) {
        for mut event in events {
            event.when.recorded = Timestamp::from_seconds(1_000 + self.next as i64);
            self.twins.apply(&event, self.next).unwrap();
            self.next += 1;
        }
    }

    /// `+` changed, `.` known, or the code of the refusal.
    pub(crate) fn half(&mut self, half: &Half, set: bool) -> String {
        match self.twins.link_half(half, set, "local") {
            Err(problem) => problem.code.name.to_owned(),
            Ok(None) => ".".to_owned(),
            Ok(Some(event)) => {
                self.commit(vec![event]);
                "+".to_owned()
            }
        }
    }

    /// Sets a link between two twins of this world; a cycle is left out.
    pub(crate) fn link(&mut self, from: &str, predicate: Predicate, to: &str) -> bool {
        let link = Link { from: from.to_owned(), predicate, to: to.to_owned() };
        let change = LinkChange { link, set: true };
        let (events, outcomes) = self.twins.link(&[change], &[], "local");
        self.commit(events);
        outcomes == [LinkOutcome::Changed]
    }

    pub(crate) fn view(&self, selection: &Selection) -> Vec<Row> {
        let bounds = PageBounds { rows: 2, bytes: usize::MAX, ..PageBounds::DELIVERY };
        let (mut rows, mut selection) = (Vec::new(), selection.clone());
        loop {
            let (page, next) = self.twins.view(&selection, bounds);
            rows.extend(page);
            selection.after = next;
            if selection.after.is_none() {
                return rows;
            }
        }
    }
}

pub(crate) fn half(own: &str, predicate: Predicate, direction: Direction, other: &str) -> Half {
    let (own, other, owner) = (own.to_owned(), other.to_owned(), B.to_owned());
    Half { own, predicate, direction, other, owner }
}

/// All links of the twins of a model, with the owners of their ends.
pub(crate) fn shown(model_name: &str) -> Selection {
    let column = |name: &&str| Column {
        attribute: (*name).to_owned(),
        name: (*name).to_owned(),
        datatype: "string".to_owned(),
        unit: None,
    };
    Selection {
        model: model(model_name),
        twins: Vec::new(),
        columns: LINK_COLUMNS.iter().map(column).collect(),
        rows: None,
        since: None,
        until: None,
        after: None,
        only: None,
        links: Some(ShownLinks { predicates: Predicate::ALL.to_vec(), only_of: None }),
    }
}

/// The cells of a row, as they are delivered.
pub(crate) fn read(row: &Row) -> LinkRow {
    let time = row.phen_start.to_string();
    let cells = [Some(row.twin.as_str()), Some(time.as_str())].into_iter();
    let cells: Vec<Option<&str>> = cells.chain(row.values.iter().map(|v| v.as_deref())).collect();
    LinkRow::read(&cells).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("urn:{name}")).collect()
}

use Direction::{In, Out};

#[test]
fn halves_are_set_once_and_retracted_once() {
    let mut world = World::of(&names(&["lot:1", "part:1"]));
    let check = |world: &mut World, one: &Half, set: bool, expect: &str| {
        assert_eq!(world.half(one, set), expect, "{one:?} {set}");
    };
    let lot = half("urn:lot:1", DerivedFrom, In, "urn:b:part");
    check(&mut world, &lot, false, ".");
    check(&mut world, &lot, true, "+");
    check(&mut world, &lot, true, ".");
    // Another predicate, direction or owner is another link.
    check(&mut world, &half("urn:lot:1", PartOf, In, "urn:b:part"), true, "+");
    check(&mut world, &half("urn:lot:1", DerivedFrom, Out, "urn:b:part"), true, "+");
    check(&mut world, &Half { owner: A.to_owned(), ..lot.clone() }, true, "+");
    check(&mut world, &half("urn:lot:2", PartOf, In, "urn:b:part"), true, "twin.unknown");
    check(&mut world, &half("urn:lot:1", PartOf, In, "urn:part:1"), true, "link.owner");
    check(&mut world, &half("urn:lot:1", PartOf, In, "urn:lot:1"), true, "link.owner");
    check(&mut world, &lot, false, "+");
    check(&mut world, &lot, false, ".");
    assert_eq!(world.twins.as_of(None).halves().count(), 3);
    let then = Timestamp::from_seconds(1_000 + 6);
    assert_eq!(world.twins.as_of(Some(then)).halves_of("urn:lot:1").unwrap().count(), 1);
    check(&mut world, &lot, true, "+");
    assert_eq!(world.twins.as_of(None).halves_of("urn:part:1").unwrap().count(), 0);
    // A twin of ours that came later under the name of theirs does not keep the half from ending.
    world.twin("part", "urn:b:part");
    check(&mut world, &lot, false, "+");
    check(&mut world, &lot, true, "link.owner");
}

#[test]
fn a_twin_has_so_many_halves_and_no_more() {
    let mut world = World::of(&names(&["lot:1", "part:1"]));
    let one = |n: usize| half("urn:lot:1", DerivedFrom, In, &format!("urn:b:{n}"));
    for n in 0..MAX_HALVES {
        assert_eq!(world.half(&one(n), true), "+", "{n}");
    }
    assert_eq!(world.half(&one(MAX_HALVES), true), "input.too_large");
    assert_eq!(world.half(&one(7), false), "+");
    assert_eq!(world.half(&one(MAX_HALVES), true), "+");
}

/// A lot with all kinds of links: to a lot, to a part of ours, to twins of two others.
fn linked() -> World {
    let mut world = World::of(&names(&["lot:1", "part:1", "lot:2", "part:2"]));
    assert!(world.link("urn:lot:1", PartOf, "urn:lot:2"));
    assert!(world.link("urn:part:1", DerivedFrom, "urn:lot:1"));
    let theirs = half("urn:lot:1", DerivedFrom, In, "urn:b:1");
    assert_eq!(world.half(&theirs, true), "+");
    assert_eq!(world.half(&Half { owner: A.to_owned(), ..theirs }, true), "+");
    assert_eq!(world.half(&half("urn:lot:2", DependsOn, Out, "urn:b:2"), true), "+");
    world
}

fn lines(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let LinkRow { twin, predicate, direction, other, owner, .. } = read(row);
        let owner = match owner {
            OtherOwner::Provider => "own".to_owned(),
            OtherOwner::Known(did) => did.trim_start_matches("did:web:").to_owned(),
            OtherOwner::NotShown => "?".to_owned(),
        };
        format!("{twin} {predicate} {direction} {other} {owner}").replace("urn:", "")
    };
    rows.iter().map(line).collect()
}

#[test]
fn a_view_shows_the_links_that_are_granted_and_names_no_hidden_twin() {
    let world = linked();
    let check = |selection: &Selection, expect: &[&str]| {
        let rows = world.view(selection);
        assert_eq!(lines(&rows), expect);
        assert!(rows.is_sorted_by_key(|row| (row.twin.clone(), row.phen_start)));
    };
    let (to_lot, from_b) = ("lot:1 part-of out lot:2 own", "lot:1 derived-from in b:1 b.example");
    let (from_a, of_lot) = ("lot:1 derived-from in b:1 a.example", "lot:2 part-of in lot:1 own");
    let depends = "lot:2 depends-on out b:2 b.example";
    // The part of ours is of another model: the view does not show it, and so does not name it.
    let all = shown("lot");
    check(&all, &[to_lot, from_b, from_a, of_lot, depends]);
    check(&shown("part"), &[]);
    let with = |change: &dyn Fn(&mut Selection)| {
        let mut selection = all.clone();
        change(&mut selection);
        selection
    };
    let links = |predicates: &[Predicate], only_of: Option<&str>| {
        let (predicates, only_of) = (predicates.to_vec(), only_of.map(str::to_owned));
        with(&|s| {
            let (predicates, only_of) = (predicates.clone(), only_of.clone());
            s.links = Some(ShownLinks { predicates, only_of });
        })
    };
    check(&links(&[DependsOn], None), &[depends]);
    check(&links(&[], None), &[]);
    check(&links(Predicate::ALL, Some(A)), &[to_lot, from_a, of_lot]);
    check(&links(Predicate::ALL, Some(B)), &[to_lot, from_b, of_lot, depends]);
    check(&with(&|s| s.twins = names(&["lot:1"])), &[from_b, from_a]);
    check(&with(&|s| s.only = Some("urn:lot:2".to_owned())), &[of_lot, depends]);
    let first = world.view(&all)[0].phen_start;
    check(&with(&|s| s.until = Some(first)), &[]);
    check(&with(&|s| s.since = Some(first.plus_seconds(1))), &[from_b, from_a, depends]);
    let owners_hidden = with(&|s| s.columns.truncate(3));
    let rows = world.view(&owners_hidden);
    assert!(lines(&rows).iter().all(|line| line.ends_with('?')) && rows.len() == 5);
}

#[test]
fn a_retracted_link_is_not_shown() {
    let mut world = linked();
    let before = world.view(&shown("lot"));
    let theirs = half("urn:lot:1", DerivedFrom, In, "urn:b:1");
    assert_eq!(world.half(&theirs, false), "+");
    let after = world.view(&shown("lot"));
    let gone: Vec<&Row> = before.iter().filter(|row| !after.contains(row)).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(world.half(&theirs, true), "+");
    assert!(world.view(&shown("lot")).last() != gone.first().copied());
    assert_eq!(world.view(&shown("lot")).len(), before.len());
}

#[test]
fn an_erased_twin_is_linked_to_nothing_and_named_by_nothing_of_ours() {
    let mut world = linked();
    let event = world.twins.erase("urn:lot:1", "asked for", "local").unwrap();
    world.commit(vec![event]);
    assert_eq!(lines(&world.view(&shown("lot"))), ["lot:2 depends-on out b:2 b.example"]);
    assert_eq!(world.twins.as_of(None).halves().count(), 1);
    let again = half("urn:lot:1", PartOf, In, "urn:b:1");
    assert_eq!(world.half(&again, true), "twin.erased");
}

proptest! {
    /// A twin that is hidden, by its model or by the list of the contract, whatever its links, is
    /// answered like one that is not there.
    #[test]
    fn what_is_hidden_looks_like_what_is_not_there(
        halves in proptest::collection::vec((0usize..4, 0usize..4, any::<bool>()), 0..20),
        links in proptest::collection::vec((0usize..4, 0usize..4, 0usize..4), 0..20),
        listed in proptest::option::of(0usize..4),
    ) {
        let twins = names(&["lot:1", "part:1", "lot:2", "part:2"]);
        let mut world = World::of(&twins);
        for (own, predicate, out) in halves {
            let direction = if out { Out } else { In };
            let other = format!("urn:b:{predicate}");
            world.half(&half(&twins[own], Predicate::ALL[predicate], direction, &other), true);
        }
        for (from, predicate, to) in links {
            world.link(&twins[from], Predicate::ALL[predicate], &twins[to]);
        }
        let mut selection = shown("lot");
        selection.twins = listed.map(|n| twins[n].clone()).into_iter().collect();
        let whole = world.view(&selection);
        let of = |twin: &str| {
            world.view(&Selection { only: Some(twin.to_owned()), ..selection.clone() })
        };
        let absent = of("urn:nothing");
        prop_assert!(absent.is_empty());
        let mut all = Vec::new();
        for (n, twin) in twins.iter().enumerate() {
            let rows = of(twin);
            let hidden = n % 2 == 1 || listed.is_some_and(|only| only != n);
            if hidden {
                prop_assert_eq!(&rows, &absent);
            }
            let foreign = |row: &&Row| read(row).owner != OtherOwner::Provider;
            let named = |row: &Row| whole.iter().any(|r| r.twin == read(row).other);
            for row in rows.iter().filter(|row| !foreign(row)) {
                prop_assert!(named(row), "a hidden twin is named");
            }
            all.extend(rows);
        }
        all.sort_by(|a, b| (&a.twin, a.phen_start).cmp(&(&b.twin, b.phen_start)));
        prop_assert_eq!(all, whole);
    }
}
