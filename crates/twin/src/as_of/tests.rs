//! What was known at a moment is what the events up to then make.

use super::TwinAsOf;
use crate::decide::{Observation, Source};
use crate::fold::Twins;
use crate::links::{Link, LinkChange, LinkSet};
use crate::read::Page;
use proptest::prelude::*;
use twinpact_model::link::Predicate;
use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
use twinpact_model::{Entry, Timestamp};

/// Twins with the events that made them.
struct World {
    twins: Twins,
    events: Vec<Entry>,
}

fn model(version: u32) -> TypeModel {
    let attribute = |name: &str| AttributeModel {
        name: name.to_owned(),
        datatype: Datatype::String,
        unit: None,
        min: None,
        max: None,
        merge: Merge::default(),
        description: None,
    };
    TypeModel {
        model: "pump".to_owned(),
        version,
        description: None,
        retention_class: "operational".to_owned(),
        attributes: vec![attribute("flow"), attribute("state")],
    }
}

/// The time at which the event of that index was recorded: they are a second apart.
fn recorded(index: usize) -> Timestamp {
    Timestamp::from_seconds(2_000 + i64::try_from(index).unwrap())
}

impl World {
    fn new() -> World {
        let mut world = World { twins: Twins::new([1; 32]), events: Vec::new() };
        world.put(1);
        world
    }

    fn commit(&mut self, events: Vec<Entry>) {
        for mut event in events {
            let index = self.events.len();
            event.when.recorded = recorded(index);
            self.twins.apply(&event, index as u64).unwrap();
            self.events.push(event);
        }
    }

    fn put(&mut self, version: u32) {
        let event = self.twins.put_model(&model(version), "local").ok().flatten();
        self.commit(event.into_iter().collect());
    }

    /// A row of (id, twin, second, attribute, value).
    fn row(&mut self, (id, twin, second, flow, value): (u8, u8, i64, bool, u8)) {
        let observation = Observation {
            id: id.to_string(),
            twin: urn(twin).into(),
            phen_start: Timestamp::from_seconds(second),
            values: vec![(if flow { "flow" } else { "state" }.into(), value.to_string().into())],
        };
        let model = ModelRef { name: "pump".to_owned(), version: 1 };
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        let events = self.twins.observe(&source, vec![observation]).unwrap().events;
        self.commit(events);
    }

    fn link(&mut self, from: u8, predicate: Predicate, to: u8, set: bool) {
        let link = Link { from: urn(from), predicate, to: urn(to) };
        let events = self.twins.link(&[LinkChange { link, set }], &[], "local").0;
        self.commit(events);
    }

    /// The state after so many events.
    fn after(&self, events: usize) -> Twins {
        let mut twins = Twins::new([1; 32]);
        for (index, event) in (0..).zip(&self.events[..events]) {
            twins.apply(event, index).unwrap();
        }
        twins
    }
}

fn urn(twin: u8) -> String {
    format!("urn:pump:{twin}")
}

/// All that can be asked of a moment, but for the twins.
type Rest = (Vec<TypeModel>, Vec<LinkSet>, Vec<Option<Vec<LinkSet>>>);
/// All that can be asked of a twin: attributes with the values of both heads.
type Shown = (String, ModelRef, Timestamp, Option<Timestamp>, Vec<(String, [u64; 2])>, Page);

fn shown(twin: TwinAsOf<'_>) -> Shown {
    let heads = twin.attributes();
    let heads = heads.into_iter().map(|(name, heads)| (name.to_owned(), heads.map(|h| h.0.index)));
    (
        twin.id.to_owned(),
        twin.model().clone(),
        twin.created(),
        twin.last(),
        heads.collect(),
        twin.history(None, None, 1_000),
    )
}

fn all(twins: &Twins, as_of: Option<Timestamp>) -> (Vec<Shown>, Rest) {
    let then = twins.as_of(as_of);
    let links = (0..4).map(|n| then.links_of(&urn(n)).ok().map(Iterator::collect)).collect();
    let rest = (then.models().cloned().collect(), then.links().collect(), links);
    (then.twins().map(shown).collect(), rest)
}

#[test]
fn a_corrected_fact_shows_what_was_known() {
    let mut world = World::new();
    world.row((1, 1, 10, true, 1));
    world.row((2, 1, 20, true, 2));
    world.row((2, 1, 20, true, 3));
    // Events: model, twin, first, second, correction of the second.
    let check = |seconds: i64, value: &str, corrected: Option<u64>| {
        let at = Timestamp::from_seconds(2_000 + seconds);
        let twin = world.twins.as_of(Some(at)).twin("urn:pump:1").unwrap();
        assert_eq!(twin.attributes()[0].1.map(|head| head.1), [value, value], "{seconds}");
        let history = twin.history(None, None, 100);
        let second = history.rows.iter().find(|row| row.index == 3);
        assert_eq!(second.and_then(|row| row.corrected_by), corrected, "{seconds}");
    };
    check(2, "1", None);
    check(3, "2", None);
    check(4, "3", Some(4));
    check(1_000, "3", Some(4));
    let early = world.twins.as_of(Some(recorded(0)));
    let problem = early.twin("urn:pump:1").unwrap_err();
    assert_eq!(problem.code.name, "twin.unknown");
    assert_eq!(problem.hint.unwrap(), format!("it is known since {}", recorded(1)));
    assert_eq!((early.twins().count(), early.models().count()), (0, 1));
}

#[test]
fn late_data_is_learned_last_and_true_before() {
    let mut world = World::new();
    world.row((1, 1, 20, true, 20));
    world.row((2, 1, 10, true, 10));
    let heads = |seconds: i64| {
        let at = Timestamp::from_seconds(2_000 + seconds);
        let twin = world.twins.as_of(Some(at)).twin("urn:pump:1").unwrap();
        twin.attributes()[0].1.map(|head| head.1.to_owned())
    };
    assert_eq!(heads(2), ["20", "20"]);
    assert_eq!(heads(3), ["20", "10"]);
    // The fact that was true last is corrected to an earlier time: the late one is true last.
    world.row((1, 1, 5, true, 5));
    let now = world.twins.as_of(None).twin("urn:pump:1").unwrap();
    assert_eq!(now.attributes()[0].1.map(|head| head.1), ["10", "5"]);
    assert_eq!(now.last(), Some(Timestamp::from_seconds(10)));
}

#[derive(Debug, Clone)]
enum Step {
    Row((u8, u8, i64, bool, u8)),
    Link(u8, Predicate, u8, bool),
    Model(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (0u8..5, 0u8..4, 0i64..5, any::<bool>(), 0u8..3).prop_map(Step::Row);
    let predicate = prop::sample::select(Predicate::ALL);
    let link = (0u8..4, predicate, 0u8..4, prop::bool::weighted(0.7))
        .prop_map(|(from, predicate, to, set)| Step::Link(from, predicate, to, set));
    let step = prop_oneof![5 => row, 3 => link, 1 => (2u32..4).prop_map(Step::Model)];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// For every moment: what is asked as of then is what the events up to then say now.
    #[test]
    fn as_of_is_the_fold_up_to_then(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Row(row) => world.row(row),
                Step::Link(from, predicate, to, set) => world.link(from, predicate, to, set),
                Step::Model(version) => world.put(version),
            }
        }
        for events in 0..=world.events.len() {
            let then = all(&world.after(events), None);
            // From the last of these events until just before the next.
            let until = Timestamp::from_micros(recorded(events).micros() - 1);
            prop_assert_eq!(&all(&world.twins, Some(until)), &then);
            if events > 0 {
                prop_assert_eq!(&all(&world.twins, Some(recorded(events - 1))), &then);
            }
        }
        prop_assert_eq!(all(&world.twins, None), all(&world.after(world.events.len()), None));
    }
}
