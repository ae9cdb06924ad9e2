//! Laws: prohibitions never widen, permissions never narrow, nothing changes before `valid_until`,
//! and the door opens when it was said to.

use crate::world::World;
use proptest::prelude::*;
use twinpact_contract::{
    Constraint, PlaceTest, PurposeTest, Rule, SetTest, Terms, TimeTest, Undecided,
};
use twinpact_model::{Schedule, Timestamp};
use twinpact_policy::{Action, Decision, Truth, Vocabulary};

const DAY: i64 = 86_400;
/// Friday 20 March 2015: the clocks of Paris change within the next ten days.
const START: i64 = 1_426_806_000;

fn purpose() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["Maintenance", "PredictiveMaintenance", "Marketing", "Foreign"])
        .prop_map(|name| format!("https://w3id.org/twinpact/purpose/{name}"))
}

fn region() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["EU", "FR", "NO", "US"])
        .prop_map(|code| format!("https://w3id.org/twinpact/region/{code}"))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..14 * 48i64).prop_map(|half_hours| Timestamp::from_seconds(START + half_hours * 1_800))
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let schedules = [
        "Mo-Fr 07:00-19:00 [Europe/Paris]",
        "Su 02:00-03:00 [Europe/Paris]",
        "Sa-Su 00:00-24:00 [UTC]",
        "Mo,We 22:00-06:00; Fr 12:00-12:30 [America/New_York]",
    ];
    let times = [TimeTest::Lt, TimeTest::Lteq, TimeTest::Gt, TimeTest::Gteq, TimeTest::Eq];
    let tests = [PurposeTest::AnyOf, PurposeTest::NoneOf, PurposeTest::Eq];
    prop_oneof![
        (prop::sample::select(tests.to_vec()), purpose())
            .prop_map(|(test, p)| Constraint::Purpose { test, purposes: vec![p] }),
        region().prop_map(|r| Constraint::Place { test: PlaceTest::Within, regions: vec![r] }),
        prop::sample::select(schedules.to_vec())
            .prop_map(|text| Constraint::Schedule(Schedule::parse(text).unwrap())),
        (prop::sample::select(times.to_vec()), instant())
            .prop_map(|(test, at)| Constraint::Time { test, at }),
        Just(Undecided::new("Membership", SetTest::Eq, &["active".to_owned()]).unwrap())
            .prop_map(Constraint::Undecided),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    prop::collection::vec(constraint(), 0..3)
        .prop_map(|constraints| Rule { action: Action::Use, constraints })
}

fn world() -> impl Strategy<Value = World> {
    let rules = || prop::collection::vec(rule(), 0..3);
    let permissions = prop::collection::vec(rule(), 1..3);
    (permissions, rules(), purpose(), region(), instant()).prop_map(|(yes, no, p, r, now)| {
        let mut world = World::new(Terms::new(yes, no, vec![]).unwrap());
        world.assertion().purpose = p;
        world.assertion().place = r;
        world.now = now;
        world
    })
}

fn outcomes(decision: &Decision) -> (&'static str, Vec<Truth>) {
    (decision.code_name(), decision.checks.iter().map(|check| check.outcome).collect())
}

fn with(world: &World, permissions: Vec<Rule>, prohibitions: Vec<Rule>) -> World {
    let mut other = world.clone();
    other.agreement.terms = Terms::new(permissions, prohibitions, vec![]).unwrap().into();
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_prohibition_never_widens_and_a_permission_never_narrows(w in world(), more in rule()) {
        let v = Vocabulary::standard();
        let terms = w.agreement.terms.clone();
        let (yes, no) = (terms.permissions().to_vec(), terms.prohibitions().to_vec());
        let stricter = with(&w, yes.clone(), [no.clone(), vec![more.clone()]].concat());
        let wider = with(&w, [yes, vec![more]].concat(), no);
        let base = w.decide(&v).permits();
        prop_assert!(base || !stricter.decide(&v).permits());
        prop_assert!(!base || wider.decide(&v).permits());
    }

    #[test]
    fn nothing_changes_before_valid_until(w in world(), part in 0.0f64..1.0) {
        let v = Vocabulary::standard();
        let first = w.decide(&v);
        let later = |at: Timestamp| World { now: at, ..w.clone() }.decide(&v);
        let end = first.valid_until.map_or(w.now.plus_seconds(400 * DAY), |until| until.0);
        let span = (end.micros() - w.now.micros() - 1).max(0);
        for micros in [(span as f64 * part) as i64, span] {
            let at = Timestamp::from_micros(w.now.micros() + micros);
            prop_assert_eq!(outcomes(&later(at)), outcomes(&first));
        }
        if let Some(until) = first.valid_until {
            prop_assert!(until.0 > w.now);
            prop_assert_ne!(outcomes(&later(until.0)).1, outcomes(&first).1);
        }
    }

    #[test]
    fn the_door_opens_when_it_was_said_to_and_not_before(w in world(), part in 0.0f64..1.0) {
        let v = Vocabulary::standard();
        let first = w.decide(&v);
        let permits = |at: Timestamp| World { now: at, ..w.clone() }.decide(&v).permits();
        match first.opens_at {
            Some(opens) => {
                prop_assert!(!first.permits() && permits(opens.0));
                let span = opens.0.micros() - w.now.micros() - 1;
                let at = Timestamp::from_micros(w.now.micros() + (span as f64 * part) as i64);
                prop_assert!(!permits(at));
            }
            None if !first.permits() => {
                let at = w.now.plus_seconds((400.0 * part * DAY as f64) as i64);
                prop_assert!(!permits(at), "{}", first.sentence);
            }
            None => {}
        }
    }

    #[test]
    fn token_and_assertion_hold_until_wall_until(
        w in world(), early in -90i64..60, part in 0.0f64..1.0,
    ) {
        let v = Vocabulary::standard();
        let mut w = w;
        let wall = w.wall.plus_seconds(early);
        w.wall = wall;
        let first = w.decide(&v);
        let later = |at: Timestamp| World { wall: at, ..w.clone() }.decide(&v);
        let until = first.wall_until.unwrap().0;
        let span = until.micros() - wall.micros() - 1;
        let at = Timestamp::from_micros(wall.micros() + (span as f64 * part) as i64);
        prop_assert_eq!(outcomes(&later(at)), outcomes(&first));
        prop_assert_ne!(outcomes(&later(until)).1, outcomes(&first).1);
    }

    #[test]
    fn one_sentence_always(w in world()) {
        let sentence = w.decide(&Vocabulary::standard()).sentence;
        prop_assert!(sentence.starts_with("permitted: ") || sentence.starts_with("refused: "));
        prop_assert!(!sentence.contains('\n') && !sentence.ends_with('.'));
    }
}
