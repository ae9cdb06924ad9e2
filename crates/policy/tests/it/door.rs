//! The door: what a grant lets through, and what a decision leaves on record.

use crate::world::{VIEW, World, at, terms};
use twinpact_model::view::{Cursor, MAX_PAGE_BYTES, MAX_PAGE_ROWS};
use twinpact_model::{Column, PolicyTime, Row, View};
use twinpact_policy::{Decision, Duty, Grant, Outcome, State, Vocabulary};
use twinpact_proof::digest::to_hex;
use twinpact_proof::json::Json;

fn decision(change: impl Fn(&mut World)) -> Decision {
    let mut world = World::new(terms("wind").unwrap());
    change(&mut world);
    world.decide(&Vocabulary::standard())
}

fn grant() -> Grant {
    match decision(|_| {}).outcome {
        Outcome::Permit(grant) => *grant,
        Outcome::Deny(code) => panic!("{code:?}"),
    }
}

fn view() -> View {
    let row = |time: &str| Row {
        twin: "urn:turbine:R80711".to_owned(),
        phen_start: at(time),
        values: vec![Some("514.24".to_owned()), None],
    };
    View {
        id: VIEW.to_owned(),
        columns: grant().selection().columns.clone(),
        rows: vec![row("2015-07-24T07:00:00+02:00"), row("2015-07-24T18:50:00+02:00")],
        next: None,
    }
}

fn noon() -> PolicyTime {
    PolicyTime(at("2015-07-24T12:00:00+02:00"))
}

#[test]
fn rows_that_the_permit_covers_pass() {
    let permitted = grant().apply(view(), noon(), 3).unwrap();
    assert_eq!(permitted.get(), &view());
    assert_eq!(permitted.obligations(), [Duty::Delete { within_s: 1_209_600 }]);
    assert_eq!(permitted.delete_by(), Some(PolicyTime(at("2015-08-07T12:00:00+02:00"))));
    assert_eq!(permitted.decision(), decision(|_| {}).id);
    assert!(!format!("{permitted:?}").contains("514"));
    let empty = View { rows: vec![], ..view() };
    assert!(grant().apply(empty, noon(), 3).is_ok());
    let free = World::new(terms("anything").unwrap()).decide(&Vocabulary::standard());
    let Outcome::Permit(free) = free.outcome else { panic!() };
    assert_eq!(free.apply(view(), noon(), 3).unwrap().delete_by(), None);
}

#[test]
fn everything_else_does_not() {
    let check = |change: &dyn Fn(&mut View)| {
        let mut bad = view();
        change(&mut bad);
        let problem = grant().apply(bad, noon(), 3).unwrap_err();
        assert_eq!(problem.code.name, "policy.rows");
        assert!(!problem.to_string().contains("514"), "{problem}");
    };
    check(&|v| v.id.push('x'));
    check(&|v| v.columns.swap(0, 1));
    check(&|v| v.columns[0].name = "force".to_owned());
    check(&|v| v.columns[0].unit = None);
    check(&|v| drop(v.columns.pop()));
    check(&|v| v.columns.push(Column { name: "more".to_owned(), ..v.columns[0].clone() }));
    check(&|v| v.rows[1].twin = "urn:turbine:R80721".to_owned());
    check(&|v| v.rows[1].phen_start = at("2015-07-24T19:00:00+02:00"));
    check(&|v| v.rows[0].phen_start = at("2015-07-26T12:00:00+02:00"));
    check(&|v| v.rows[1].values.push(Some("1".to_owned())));
    check(&|v| drop(v.rows[0].values.pop()));
    let bounded = |time: &str| {
        let decision = decision(|world| {
            world.agreement.selection.since = Some(at("2015-07-24T08:00:00+02:00"));
            world.agreement.selection.until = Some(at("2015-07-24T09:00:00+02:00"));
        });
        let Outcome::Permit(grant) = decision.outcome else { panic!() };
        let mut view = view();
        view.rows.truncate(1);
        view.rows[0].phen_start = at(time);
        grant.apply(view, noon(), 3).is_ok()
    };
    assert!(!bounded("2015-07-24T07:59:59+02:00") && bounded("2015-07-24T08:00:00+02:00"));
    assert!(bounded("2015-07-24T08:59:59+02:00") && !bounded("2015-07-24T09:00:00+02:00"));
}

/// What the door says of a page that was asked for behind that place.
fn page(after: Option<Cursor>, view: View) -> Option<String> {
    let decision = decision(|world| world.agreement.selection.after.clone_from(&after));
    let Outcome::Permit(grant) = decision.outcome else { panic!() };
    let problem = grant.apply(view, noon(), 3).err()?;
    assert_eq!(problem.code.name, "policy.rows");
    Some(problem.message)
}

fn place(time: &str, delivered: u64) -> Option<Cursor> {
    let twin = "urn:turbine:R80711".to_owned();
    Some(Cursor { twin, phen_start: at(time), delivered })
}

#[test]
fn only_the_page_that_was_asked_for_passes() {
    let check = |after: Option<Cursor>, change: &dyn Fn(&mut View), expect: Option<&str>| {
        let mut view = view();
        change(&mut view);
        let got = page(after.clone(), view);
        assert_eq!(got.is_some(), expect.is_some(), "{after:?}: {got:?}");
        assert!(got.unwrap_or_default().contains(expect.unwrap_or_default()), "{after:?}");
    };
    let (first, last) = ("2015-07-24T07:00:00+02:00", "2015-07-24T18:50:00+02:00");
    check(place("2015-07-24T06:00:00+02:00", 1), &|_| (), None);
    // More rows of the instant that the page before ended with.
    check(place(first, 1), &|_| (), None);
    check(place("2015-07-24T07:00:00.000001+02:00", 1), &|_| (), Some("before the place"));
    check(None, &|v| v.rows.swap(0, 1), Some("out of order"));
    check(None, &|v| v.next = place(last, 1), None);
    for wrong in [place(last, 2), place(first, 1), place("2015-07-24T18:50:01+02:00", 1)] {
        check(None, &|v| v.next = wrong.clone(), Some("where this one ends"));
    }
    check(None, &|v| (v.rows.clear(), v.next = place(last, 1)).1, Some("where this one ends"));
    check(None, &|v| v.rows[1] = v.rows[0].clone(), None);
    check(None, &|v| (v.rows[1] = v.rows[0].clone(), v.next = place(first, 2)).1, None);
    let twice = |v: &mut View| (v.rows[1] = v.rows[0].clone(), v.next = place(first, 5)).1;
    check(place(first, 3), &twice, None);
}

#[test]
fn a_part_of_a_stream_has_its_rows_in_any_order_and_is_held_against_all_else() {
    let check = |change: &dyn Fn(&mut View), expect: Option<&str>| {
        let mut view = view();
        change(&mut view);
        let got = grant().apply_recorded(view, noon(), 3).err().map(|p| p.message);
        assert_eq!(got.is_some(), expect.is_some(), "{got:?}");
        assert!(got.unwrap_or_default().contains(expect.unwrap_or_default()), "{expect:?}");
    };
    check(&|_| (), None);
    check(&|v| v.rows.swap(0, 1), None);
    check(&|v| v.rows.clear(), None);
    check(&|v| v.next = place("2015-07-24T18:50:00+02:00", 1), Some("names no page"));
    check(&|v| v.id.push('x'), Some("another one"));
    check(&|v| v.columns.swap(0, 1), Some("columns"));
    check(&|v| v.rows[1].twin = "urn:turbine:R80721".to_owned(), Some("row 1 is not covered"));
    check(&|v| v.rows = vec![v.rows[0].clone(); MAX_PAGE_ROWS + 1], Some("bounds"));
    let late = PolicyTime(at("2015-07-24T19:00:00+02:00"));
    for (now, epoch) in [(late, 3), (noon(), 4)] {
        let got = grant().apply_recorded(view(), now, epoch).err().map(|p| p.code.name);
        assert_eq!(got, Some("policy.expired"));
    }
}

#[test]
fn a_page_has_bounds() {
    let rows = |number: usize, bytes: usize| {
        let mut view = view();
        let mut row = view.rows[0].clone();
        row.values[0] = Some(String::new());
        row.values[0] = Some("1".repeat(bytes - row.bytes()));
        assert_eq!(row.bytes(), bytes);
        view.rows = vec![row; number];
        page(None, view)
    };
    assert_eq!(rows(MAX_PAGE_ROWS, 100), None);
    assert!(rows(MAX_PAGE_ROWS + 1, 100).unwrap().contains("bounds"));
    assert_eq!(rows(2, MAX_PAGE_BYTES / 2), None);
    assert!(rows(2, MAX_PAGE_BYTES / 2 + 1).unwrap().contains("bounds"));
    assert_eq!(rows(1, MAX_PAGE_BYTES + 1), None);
}

#[test]
fn a_grant_runs_out() {
    let apply = |time: &str, epoch: u64| {
        grant().apply(view(), PolicyTime(at(time)), epoch).err().map(|p| p.code.name)
    };
    assert_eq!(apply("2015-07-24T18:59:59.999999+02:00", 3), None);
    assert_eq!(apply("2015-07-24T19:00:00+02:00", 3), Some("policy.expired"));
    assert_eq!(apply("2015-07-24T11:59:59+02:00", 3), Some("policy.expired"));
    assert_eq!(apply("2015-07-24T12:00:00+02:00", 4), Some("policy.expired"));
    assert_eq!(apply("2015-07-24T12:00:00+02:00", 2), Some("policy.expired"));
    let grant = grant();
    assert_eq!(grant.valid_until(), Some(PolicyTime(at("2015-07-24T19:00:00+02:00"))));
    // The assertion runs out before the token.
    assert_eq!(grant.wall_until().unwrap().0, at("2026-11-24T12:04:30Z"));
}

#[test]
fn a_decision_explains_itself_in_one_row_for_each_check() {
    let names = |decision: &Decision| -> Vec<String> {
        decision.checks.iter().map(|c| format!("{} {}", c.name, c.outcome.name())).collect()
    };
    let denied = decision(|world| {
        world.assertion().place = "EEA".to_owned();
        world.agreement.state = State::Suspended;
        world.request.token = None;
    });
    assert_eq!(
        names(&denied),
        [
            "caller true",
            "agreement true",
            "view true",
            "state false",
            "token false",
            "assertion true",
            "permission 1: purpose true",
            "permission 1: place unknown",
            "permission 1: schedule true",
        ]
    );
    assert_eq!(denied.code_name(), "policy.suspended");
    assert!(denied.obligations.is_empty());
    let bare = World::new(terms("never").unwrap()).decide(&Vocabulary::standard());
    assert_eq!(names(&bare)[6..], ["prohibition 1 true", "permission 1 true"]);
}

#[test]
fn the_record_is_canonical_and_complete() {
    let decision = decision(|_| {});
    let record = decision.to_json();
    let bytes = record.canonical();
    assert_eq!(Json::parse_canonical(bytes.as_bytes()).unwrap(), record);
    assert_eq!(twinpact_proof::sha256(bytes.as_bytes()), decision.id);
    let text = |key: &str| record.get(key).unwrap().as_text().unwrap().to_owned();
    assert_eq!((text("effect"), text("code")), ("permit".to_owned(), "policy.permit".to_owned()));
    assert_eq!(text("input_sha256"), to_hex(&decision.input_digest));
    assert_eq!(text("assertion_sha256"), "07".repeat(32));
    assert_eq!(text("vocabulary_sha256"), to_hex(&Vocabulary::standard().digest()));
    assert_eq!(record.get("policy_ms").unwrap().as_int(), Some(1_437_732_000_000));
    assert_eq!(record.get("valid_until_ms").unwrap().as_int(), Some(1_437_757_200_000));
    assert_eq!(record.get("opens_at_ms"), Some(&Json::Null));
    assert_eq!(record.get("checks").unwrap().as_array().unwrap().len(), 9);
}

#[test]
fn the_same_question_has_the_same_digest() {
    let base = decision(|_| {}).input_digest;
    let same = |change: &dyn Fn(&mut World)| assert_eq!(decision(change).input_digest, base);
    same(&|w| w.now = at("2015-07-26T12:00:00Z"));
    same(&|w| w.wall = w.wall.plus_seconds(5));
    same(&|w| w.assertion().jti.push('x'));
    same(&|w| w.assertion().digest = [9; 32]);
    same(&|w| w.assertion().expires.0 = w.wall.plus_seconds(200));
    same(&|w| w.token().expires.0 = w.wall.plus_seconds(200));
    let other = |change: &dyn Fn(&mut World)| assert_ne!(decision(change).input_digest, base);
    other(&|w| w.assertion().purpose.push('x'));
    other(&|w| w.assertion().place = "DE".to_owned());
    other(&|w| w.token().epoch = 2);
    other(&|w| w.request.token = None);
    other(&|w| w.request.assertion = None);
    other(&|w| w.request.view.push('x'));
    other(&|w| w.request.transfer.push('x'));
    other(&|w| w.request.caller.spiffe_id.push('x'));
}
