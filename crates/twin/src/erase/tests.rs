//! What an erasure leaves: the same live and folded again, and nothing of the twin.

use super::MAX_BASIS_BYTES;
use crate::decide::{Observation, RowOutcome, Source};
use crate::fold::Twins;
use crate::links::{Link, LinkChange, LinkOutcome};
use proptest::prelude::*;
use twinpact_model::link::Predicate;
use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
use twinpact_model::{Entry, Timestamp};

const KEY: [u8; 32] = [1; 32];

/// A log: each entry with the twin whose key seals it.
struct World {
    twins: Twins,
    log: Vec<Entry>,
}

fn urn(twin: usize) -> String {
    format!("urn:room:{twin}")
}

fn model() -> ModelRef {
    ModelRef { name: "room".to_owned(), version: 1 }
}

impl World {
    fn new() -> World {
        let attribute = AttributeModel {
            name: "heat".to_owned(),
            datatype: Datatype::String,
            unit: None,
            min: None,
            max: None,
            merge: Merge::default(),
            description: None,
        };
        let room = TypeModel {
            model: "room".to_owned(),
            version: 1,
            description: None,
            retention_class: "operational".to_owned(),
            attributes: vec![attribute],
        };
        let mut world = World { twins: Twins::new(KEY), log: Vec::new() };
        let put = world.twins.put_model(&room, "local").unwrap().unwrap();
        world.commit(vec![put]);
        world
    }

    fn commit(&mut self, events: Vec<Entry>) {
        for mut entry in events {
            let index = self.log.len() as u64;
            entry.when.recorded = Timestamp::from_seconds(1_000 + index as i64);
            self.twins.apply(&entry, index).unwrap();
            self.log.push(entry);
        }
    }

    fn observe(&mut self, twin: usize, id: usize, value: usize) -> RowOutcome {
        let model = model();
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        let row = Observation {
            id: id.to_string(),
            twin: urn(twin).into(),
            phen_start: Timestamp::from_seconds(value as i64),
            values: vec![("heat".into(), value.to_string().into())],
        };
        let mut outcome = self.twins.observe(&source, vec![row]).unwrap();
        self.commit(outcome.events);
        outcome.rows.remove(0)
    }

    fn link(&mut self, from: usize, to: usize, set: bool) -> LinkOutcome {
        let link = Link { from: urn(from), predicate: Predicate::DependsOn, to: urn(to) };
        let (events, mut outcomes) = self.twins.link(&[LinkChange { link, set }], &[], "local");
        self.commit(events);
        outcomes.remove(0)
    }

    fn erase(&mut self, twin: usize) -> Result<(), &'static str> {
        let event = self.twins.erase(&urn(twin), "art. 17", "local").map_err(|p| p.code.name)?;
        self.commit(vec![event]);
        Ok(())
    }

    /// The log folded again, as far as it can be read.
    fn again(&self) -> Twins {
        let mut twins = Twins::new(KEY);
        for (index, entry) in (0..).zip(&self.log) {
            match self.twins.erased(&entry.who.twin) {
                Some(_) => twins.gone(),
                None => twins.apply(entry, index).unwrap(),
            }
        }
        twins
    }
}

proptest! {
    #[test]
    fn the_fold_after_an_erasure_is_the_live_state_after_it(
        steps in proptest::collection::vec((0usize..9, 0usize..4, 0usize..4, 0usize..3), 1..60),
    ) {
        let mut world = World::new();
        for (what, twin, other, value) in steps {
            match what {
                0..=4 => drop(world.observe(twin, other, value)),
                5..=6 => drop(world.link(twin, other, true)),
                7 => drop(world.link(twin, other, false)),
                _ => drop(world.erase(twin)),
            }
            let (live, folded) = (world.twins.ordered(), world.again());
            prop_assert_eq!(format!("{live:?}"), format!("{:?}", folded.ordered()));
        }
    }
}

#[test]
fn nothing_of_an_erased_twin_is_known_but_that_it_was_erased() {
    let mut world = World::new();
    for twin in 0..3 {
        assert_eq!(world.observe(twin, 7, 40 + twin), RowOutcome::New);
    }
    assert_eq!(world.link(0, 1, true), LinkOutcome::Changed);
    assert_eq!(world.link(1, 2, true), LinkOutcome::Changed);
    let others = [0, 2].map(|twin| world.twins.node(&urn(twin)).unwrap().facts.clone());
    world.erase(1).unwrap();
    assert!(!format!("{:?}", world.twins.ordered()).contains("room:1"));
    assert!(!format!("{:?}", world.log.last()).contains("room:1"));
    assert_eq!([0, 2].map(|twin| world.twins.node(&urn(twin)).unwrap().facts.clone()), others);
    assert_eq!(world.twins.as_of(None).links().count(), 0);
    // It is erased for whoever asks by name, at every time, and stays so.
    let (urn, when) = (urn(1), world.log.last().unwrap().when.recorded);
    for as_of in [None, Some(Timestamp::from_seconds(1_002))] {
        let refused = world.twins.as_of(as_of).twin(&urn).map(|_| ()).unwrap_err();
        assert_eq!(refused.code.name, "twin.erased");
        assert!(refused.message.contains("art. 17") && refused.message.contains(&when.to_string()));
    }
    match world.observe(1, 7, 41) {
        RowOutcome::Refused { problem, .. } => assert_eq!(problem.code.name, "twin.erased"),
        other => panic!("{other:?}"),
    }
    for outcome in [world.link(0, 1, true), world.link(1, 2, false)] {
        assert!(matches!(outcome, LinkOutcome::Refused(p) if p.code.name == "twin.erased"));
    }
    assert_eq!(world.erase(1), Err("twin.erased"));
    // The same id at the source is still known of another twin.
    assert_eq!(world.observe(2, 7, 42), RowOutcome::Duplicate);
}

#[test]
fn an_erasure_has_a_basis_and_a_twin() {
    let mut world = World::new();
    world.observe(0, 1, 1);
    let check = |twin: usize, basis: &str, expect: &str| {
        let got = world.twins.erase(&urn(twin), basis, "local");
        assert_eq!(got.map(|_| "").map_err(|p| p.code.name).unwrap_or_else(|name| name), expect);
    };
    check(0, "b", "");
    check(0, &"b".repeat(MAX_BASIS_BYTES), "");
    check(0, &"b".repeat(MAX_BASIS_BYTES + 1), "input.too_large");
    check(0, " \t", "input.malformed");
    check(1, "b", "twin.unknown");
}
