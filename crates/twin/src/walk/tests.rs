//! Walks over random federations of three owners, held against a plain function over all of them.

use super::{Place, Route, Said, Status, Walk};
use crate::halves::Half;
use crate::link_rows::tests::{World, read, shown};
use proptest::prelude::*;
use std::collections::BTreeSet;
use twinpact_model::link::Predicate;
use twinpact_model::link_row::{Direction, LinkRow, OtherOwner, ShownLinks};
use twinpact_model::view::Selection;

const OWNERS: [&str; 3] = ["did:web:a.example", "did:web:b.example", "did:web:c.example"];
const TWINS: usize = 4;

fn twin(owner: usize, n: usize) -> String {
    format!("urn:{}:{n}", ["a", "b", "c"][owner])
}

/// That an owner says: a predicate from a twin to a twin, each an owner and a number. The number
/// may be one of no twin.
type Saying = (usize, (usize, usize), usize, (usize, usize));

/// What an owner grants to the first one.
#[derive(Debug, Clone)]
struct Contract {
    model: usize,
    listed: BTreeSet<usize>,
    predicates: BTreeSet<usize>,
    only_of_asker: bool,
    owner_shown: bool,
}

fn contract() -> impl Strategy<Value = Contract> {
    let some = || proptest::collection::btree_set(0..TWINS, 0..3);
    let predicates = proptest::collection::btree_set(0usize..4, 1..5);
    (0usize..2, some(), predicates, any::<bool>(), any::<bool>()).prop_map(
        |(model, listed, predicates, only_of_asker, owner_shown)| Contract {
            model,
            listed,
            predicates,
            only_of_asker,
            owner_shown,
        },
    )
}

impl Contract {
    fn selection(&self, owner: usize) -> Selection {
        let mut selection = shown(["lot", "part"][self.model]);
        selection.twins = self.listed.iter().map(|n| twin(owner, *n)).collect();
        selection.columns.truncate(if self.owner_shown { 4 } else { 3 });
        selection.links = Some(ShownLinks {
            predicates: self.predicates.iter().map(|n| Predicate::ALL[*n]).collect(),
            only_of: self.only_of_asker.then(|| OWNERS[0].to_owned()),
        });
        selection
    }

    /// Whether it shows a twin of its owner, said without the engine.
    fn shows(&self, n: usize) -> bool {
        n < TWINS && n % 2 == self.model && (self.listed.is_empty() || self.listed.contains(&n))
    }
}

/// An edge, who says it, and how far it is.
type Found = (Place, Predicate, Place, BTreeSet<String>, usize);

fn place(owner: usize, n: usize) -> Place {
    Place { owner: Some(OWNERS[owner].to_owned()), twin: twin(owner, n) }
}

/// What the first owner may see that an owner says of one twin, without the engine: edges with the
/// end that the row is about and whether it leads away from that.
fn visible(
    sayings: &[Saying],
    contracts: &[Option<Contract>; 3],
    at: &Place,
) -> Vec<(Place, Predicate, Place, bool)> {
    let Some(owner) = OWNERS.iter().position(|did| Some(*did) == at.owner.as_deref()) else {
        return Vec::new();
    };
    let mut seen = Vec::new();
    for (by, from, predicate, to) in sayings.iter().filter(|saying| saying.0 == owner) {
        for (own, other, out) in [(from, to, true), (to, from, false)] {
            if own.0 != *by || place(own.0, own.1) != *at {
                continue;
            }
            let mut end = place(other.0, other.1);
            if owner != 0 {
                let Some(contract) = &contracts[owner] else { continue };
                let hidden = other.0 == owner && !contract.shows(other.1);
                let others = contract.only_of_asker && other.0 != owner && other.0 != 0;
                let granted = contract.shows(own.1) && contract.predicates.contains(predicate);
                if hidden || others || !granted {
                    continue;
                }
                end.owner = end.owner.filter(|_| contract.owner_shown);
            }
            let (from, to) = if out { (at.clone(), end) } else { (end, at.clone()) };
            seen.push((from, Predicate::ALL[*predicate], to, out));
        }
    }
    seen
}

/// The same walk, by a fixed point over sets.
fn oracle(
    sayings: &[Saying],
    contracts: &[Option<Contract>; 3],
    start: &Place,
    route: &Route,
) -> Vec<Found> {
    let along = |predicate: &Predicate, out: bool| {
        (route.via.is_empty() || route.via.contains(predicate))
            && route.direction.is_none_or(|way| (way == Direction::Out) == out)
    };
    let mut levels = vec![BTreeSet::from([start.clone()])];
    let mut edges: Vec<Found> = Vec::new();
    for depth in 1..=route.depth {
        let mut next = BTreeSet::new();
        for at in levels[depth - 1].clone() {
            for (from, predicate, to, out) in visible(sayings, contracts, &at) {
                if !along(&predicate, out) {
                    continue;
                }
                if !edges.iter().any(|e| (&e.0, &e.1, &e.2) == (&from, &predicate, &to)) {
                    let (a, b) = (from.clone(), to.clone());
                    edges.push((a, predicate, b, BTreeSet::new(), depth));
                }
                let other = if out { to } else { from };
                if !levels.iter().any(|level| level.contains(&other)) {
                    next.insert(other);
                }
            }
        }
        levels.push(next);
    }
    // Everybody who was asked is heard on every edge.
    levels.pop();
    for at in levels.iter().flatten() {
        for (from, predicate, to, _) in visible(sayings, contracts, at) {
            let edge = edges.iter_mut().find(|e| (&e.0, &e.1, &e.2) == (&from, &predicate, &to));
            let by = at.owner.clone().unwrap();
            edge.into_iter().for_each(|edge| {
                edge.3.insert(by.clone());
            });
        }
    }
    edges.sort();
    edges
}

/// The worlds in which just that is said; what an engine refuses is dropped from the sayings.
fn worlds(sayings: &mut Vec<Saying>) -> Vec<World> {
    let all = |owner: usize| (0..TWINS).map(|n| twin(owner, n)).collect::<Vec<_>>();
    let mut worlds: Vec<World> = (0..3).map(|owner| World::of(&all(owner))).collect();
    sayings.retain(|(by, from, predicate, to)| {
        let (predicate, world) = (Predicate::ALL[*predicate], &mut worlds[*by]);
        let (direction, own, other) = match (from.0 == *by, to.0 == *by) {
            (true, true) => return world.link(&twin(*by, from.1), predicate, &twin(*by, to.1)),
            (true, false) => (Direction::Out, from, to),
            (false, true) => (Direction::In, to, from),
            (false, false) => return false,
        };
        let half = Half {
            own: twin(*by, own.1),
            predicate,
            direction,
            other: twin(other.0, other.1),
            owner: OWNERS[other.0].to_owned(),
        };
        world.half(&half, true) == "+"
    });
    worlds
}

/// The walk itself, each owner asked through its own view.
fn walked(
    worlds: &[World],
    contracts: &[Option<Contract>; 3],
    start: Place,
    route: Route,
) -> (Vec<Found>, usize) {
    let mut walk = Walk::new(start, route);
    let mut asked = 0;
    while let Some(at) = walk.ask() {
        asked += 1;
        let Some(owner) = OWNERS.iter().position(|did| Some(*did) == at.owner.as_deref()) else {
            continue;
        };
        let rows: Vec<LinkRow> = match (owner, &contracts[owner]) {
            (0, _) => {
                let own = worlds[0].twins.links_said_of(&at.twin).unwrap_or_default();
                own.into_iter().map(|(row, _)| row).collect()
            }
            (_, None) => Vec::new(),
            (_, Some(contract)) => {
                let mut selection = contract.selection(owner);
                selection.only = Some(at.twin.clone());
                worlds[owner].view(&selection).iter().map(read).collect()
            }
        };
        let said = |row: LinkRow| {
            let (by, recorded) = (OWNERS[owner].to_owned(), row.recorded);
            (row, Said { by, recorded, event: None, receipt: None })
        };
        walk.learn(&at, rows.into_iter().map(said).collect::<Vec<_>>());
    }
    let found = |edge: super::Edge| {
        let by = edge.said.into_iter().map(|said| said.by).collect();
        (edge.from, edge.predicate, edge.to, by, edge.depth)
    };
    let edges = walk.edges();
    assert!(edges.is_sorted_by_key(|edge| edge.depth));
    let mut found: Vec<Found> = edges.into_iter().map(found).collect();
    found.sort();
    (found, asked)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Exactly what the asker may see, whatever loops, dangling ends and contradictions there are.
    #[test]
    fn a_walk_finds_what_a_plain_function_over_all_worlds_finds(
        mut sayings in proptest::collection::vec(
            (0usize..3, (0usize..3, 0..TWINS + 1), 0usize..4, (0usize..3, 0..TWINS + 1)), 0..40),
        b in proptest::option::weighted(0.8, contract()),
        c in proptest::option::weighted(0.8, contract()),
        start in (0usize..3, 0..TWINS),
        via in proptest::collection::btree_set(0usize..4, 0..3),
        direction in proptest::option::of(any::<bool>()),
        depth in 1usize..6,
    ) {
        sayings.sort_unstable();
        sayings.dedup();
        let worlds = worlds(&mut sayings);
        let contracts = [None, b, c];
        let route = Route {
            via: via.into_iter().map(|n| Predicate::ALL[n]).collect(),
            direction: direction.map(|out| if out { Direction::Out } else { Direction::In }),
            depth,
            twins: 1_000,
        };
        let start = place(start.0, start.1);
        let expect = oracle(&sayings, &contracts, &start, &route);
        let (found, asked) = walked(&worlds, &contracts, start, route);
        prop_assert_eq!(found, expect);
        // Each twin once at most, those of unknown owners too.
        prop_assert!(asked <= 2 * 3 * (TWINS + 1));
    }
}

fn row(of: &str, predicate: Predicate, direction: Direction, other: &str) -> LinkRow {
    LinkRow {
        twin: of.to_owned(),
        predicate,
        direction,
        other: other.to_owned(),
        owner: OtherOwner::Known(OWNERS[1].to_owned()),
        recorded: twinpact_model::Timestamp::default(),
    }
}

fn said(by: usize, row: LinkRow) -> (LinkRow, Said) {
    let (by, recorded) = (OWNERS[by].to_owned(), row.recorded);
    (row, Said { by, recorded, event: None, receipt: None })
}

fn route(twins: usize) -> Route {
    Route { via: Vec::new(), direction: None, depth: 9, twins }
}

#[test]
fn a_partner_cannot_make_a_walk_longer_than_its_bounds() {
    let mut walk = Walk::new(place(1, 0), route(10));
    let mut asked = 0;
    while let Some(at) = walk.ask() {
        asked += 1;
        // As many more twins as anybody likes, and a loop.
        let other = |n: usize| match n {
            0 => "urn:b:0".to_owned(),
            _ => format!("{}:{n}", at.twin),
        };
        let rows = (0..100).map(|n| row(&at.twin, Predicate::PartOf, Direction::Out, &other(n)));
        walk.learn(&at, rows.map(|row| said(1, row)).collect::<Vec<_>>());
    }
    assert_eq!((asked, walk.met(), walk.was_cut()), (10, 10, true));
}

#[test]
fn what_was_not_asked_and_who_was_not_asked_is_left_out() {
    let mut walk = Walk::new(place(1, 0), route(10));
    let at = walk.ask().unwrap();
    let about_another = row("urn:b:1", Predicate::PartOf, Direction::Out, "urn:b:2");
    let by_another = row("urn:b:0", Predicate::PartOf, Direction::Out, "urn:b:2");
    walk.learn(&at, [said(1, about_another), said(2, by_another)]);
    assert_eq!((walk.ask(), walk.edges()), (None, Vec::new()));
}

#[test]
fn a_link_is_confirmed_by_both_owners() {
    let part = place(0, 0);
    let lot = place(1, 0);
    let ours = || said(0, row("urn:a:0", Predicate::DerivedFrom, Direction::Out, "urn:b:0"));
    let theirs = |owner: OtherOwner| {
        said(
            1,
            LinkRow { owner, ..row("urn:b:0", Predicate::DerivedFrom, Direction::In, "urn:a:0") },
        )
    };
    let check = |answer: Option<OtherOwner>, expect: &[Status]| {
        let route = Route { direction: Some(Direction::Out), ..route(10) };
        let mut walk = Walk::new(part.clone(), route);
        assert_eq!(walk.ask().as_ref(), Some(&part));
        walk.learn(&part, [ours()]);
        assert_eq!(walk.ask().as_ref(), Some(&lot));
        walk.learn(&lot, answer.map(theirs));
        assert_eq!(walk.ask(), None);
        let got: Vec<Status> = walk.edges().iter().map(super::Edge::status).collect();
        assert_eq!(got, expect);
    };
    check(None, &[Status::OneSided]);
    // The other half leads back, and confirms all the same.
    check(Some(OtherOwner::Known(OWNERS[0].to_owned())), &[Status::Confirmed]);
    // Somebody else's twin of the same name, or one of nobody knows whom, is another twin.
    check(Some(OtherOwner::Known(OWNERS[2].to_owned())), &[Status::OneSided]);
    check(Some(OtherOwner::NotShown), &[Status::OneSided]);
}
