//! Laws of the comparison: a preorder, sound against what is allowed at any moment.

use crate::agreement::agreement;
use proptest::prelude::*;
use serde_json::{Value, json};
use twinpact_contract::{
    Action, Constraint, Duty, Order, PlaceTest, PurposeTest, Rule, SetTest, Situation, Terms,
    TimeTest, Truth, Undecided, Vocabulary, compare, odrl,
};
use twinpact_model::{Schedule, Timestamp};

const SCHEDULES: [&str; 7] = [
    "Mo-Fr 07:00-19:00 [Europe/Paris]",
    "Mo-Fr 08:00-18:00 [Europe/Paris]",
    "Mo-Su 07:00-19:00 [Europe/Paris]",
    "Mo-Fr 07:00-19:00 [America/New_York]",
    "Mo-Su 00:00-24:00 [UTC]",
    // Apart from weekdays, and neither within nor around them.
    "Sa-Su 07:00-19:00 [Europe/Paris]",
    "We-Su 09:00-20:00 [Europe/Paris]",
];

pub(crate) fn purpose() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "https://w3id.org/twinpact/purpose/Maintenance",
        "https://w3id.org/twinpact/purpose/PredictiveMaintenance",
        "https://w3id.org/twinpact/purpose/Benchmarking",
        "urn:x:foreign",
    ])
    .prop_map(str::to_owned)
}

pub(crate) fn region() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["EU", "EEA", "FR", "NO", "US"])
        .prop_map(|code| format!("https://w3id.org/twinpact/region/{code}"))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0i64..4).prop_map(|day| Timestamp::from_seconds(1_437_868_800 + day * 86_400))
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let tests = [PurposeTest::AnyOf, PurposeTest::AllOf, PurposeTest::NoneOf];
    let times = [TimeTest::Lt, TimeTest::Lteq, TimeTest::Gt, TimeTest::Gteq, TimeTest::Eq];
    prop_oneof![
        (prop::sample::select(tests.to_vec()), prop::collection::vec(purpose(), 1..3))
            .prop_map(|(test, purposes)| Constraint::Purpose { test, purposes }),
        purpose().prop_map(|p| Constraint::Purpose { test: PurposeTest::Eq, purposes: vec![p] }),
        prop::collection::vec(region(), 1..3)
            .prop_map(|regions| Constraint::Place { test: PlaceTest::Within, regions }),
        region().prop_map(|r| Constraint::Place { test: PlaceTest::Exactly, regions: vec![r] }),
        prop::sample::select(SCHEDULES.to_vec())
            .prop_map(|text| Constraint::Schedule(Schedule::parse(text).unwrap())),
        (prop::sample::select(times.to_vec()), instant())
            .prop_map(|(test, at)| Constraint::Time { test, at }),
        undecided(),
    ]
}

/// Conditions of the Catena-X profile, limits and clauses.
fn undecided() -> impl Strategy<Value = Constraint> {
    let one = prop::sample::select(vec![
        ("Membership", SetTest::Eq, "active"),
        ("DataUsageEndDurationDays", SetTest::Eq, "7"),
        ("DataUsageEndDurationDays", SetTest::Eq, "8"),
        ("Warranty", SetTest::Eq, "cx.warranty.none:1"),
    ])
    .prop_map(|(name, test, value)| (name, test, vec![value]));
    let values =
        |all: &[&'static str]| prop::collection::vec(prop::sample::select(all.to_vec()), 1..3);
    let free = ["a", "b", "c"];
    let region = ["cx.region.asia:1", "cx.region.africa:1"];
    prop_oneof![
        one,
        values(&free).prop_map(|v| ("UsagePurpose", SetTest::AnyOf, v)),
        values(&free).prop_map(|v| ("ContractReference", SetTest::AllOf, v)),
        values(&region).prop_map(|v| ("AffiliatesRegion", SetTest::AnyOf, v)),
    ]
    .prop_map(|(name, test, values)| {
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        Constraint::Undecided(Undecided::new(name, test, &values).unwrap())
    })
}

/// What can make a rule narrower and nothing else.
pub(crate) fn limit() -> impl Strategy<Value = Constraint> {
    constraint().prop_filter("a clause may give", |constraint| match constraint {
        Constraint::Undecided(term) => term.limits(),
        _ => true,
    })
}

/// The one condition of the profile in a prohibition.
fn forbidden(rule: &mut Rule) {
    rule.constraints.retain(|constraint| match constraint {
        Constraint::Undecided(term) => term.name() == "AffiliatesRegion",
        _ => true,
    });
}

fn rules(least: usize) -> impl Strategy<Value = Vec<Rule>> {
    let rule = prop::collection::vec(constraint(), 0..3)
        .prop_map(|constraints| Rule { action: Action::Use, constraints });
    prop::collection::vec(rule, least..3)
}

pub(crate) fn terms() -> impl Strategy<Value = Terms> {
    let duty =
        prop::option::of((1u64..4).prop_map(|days| Duty::Delete { within_s: days * 86_400 }));
    let other = prop::option::of(prop::sample::select(vec!["7", "8"]));
    (rules(1), rules(0), duty, other).prop_map(|(permissions, mut prohibitions, duty, other)| {
        prohibitions.iter_mut().for_each(forbidden);
        let days = "DataProvisioningEndDurationDays";
        let other = other.map(|count| {
            let term = Undecided::new(days, SetTest::Eq, &[count.to_owned()]).unwrap();
            Rule { action: Action::Use, constraints: vec![Constraint::Undecided(term)] }
        });
        let terms = Terms::new(permissions, prohibitions, duty.into_iter().collect()).unwrap();
        terms.with_undecided_duties(other.into_iter().collect()).unwrap()
    })
}

pub(crate) fn allowed(terms: &Terms, situation: &Situation<'_>, v: &Vocabulary) -> bool {
    let holds = |rule: &Rule| Truth::all(rule.constraints.iter().map(|c| c.holds(situation, v)));
    terms.permissions().iter().any(|rule| holds(rule) == Truth::True)
        && terms.prohibitions().iter().all(|rule| holds(rule) == Truth::False)
}

pub(crate) fn within(order: Order) -> bool {
    matches!(order, Order::Equal | Order::Narrower)
}

/// The same with that condition in every permission.
pub(crate) fn stricter(terms: &Terms, extra: &Constraint) -> Terms {
    let permissions = terms.permissions().iter().cloned().map(|mut rule| {
        rule.constraints.push(extra.clone());
        rule
    });
    let (forbidden, duties) = (terms.prohibitions().to_vec(), terms.obligations().to_vec());
    let stricter = Terms::new(permissions.collect(), forbidden, duties).unwrap();
    stricter.with_undecided_duties(terms.undecided_duties().to_vec()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn terms_write_and_read_back(a in terms()) {
        let read = odrl::read(&a.to_offer("urn:x:offer")).unwrap();
        prop_assert_eq!(&read.terms, &a);
        prop_assert_eq!(read.terms.digest(), a.digest());
    }

    #[test]
    fn reflexive_and_antisymmetric(a in terms(), b in terms()) {
        let v = Vocabulary::standard();
        let same = compare(&a, &a, &v);
        prop_assert_eq!(same.order, Order::Equal);
        prop_assert!(same.differences.is_empty());
        let (there, back) = (compare(&a, &b, &v), compare(&b, &a, &v));
        let turned = match there.order {
            Order::Narrower => Order::Wider,
            Order::Wider => Order::Narrower,
            same => same,
        };
        prop_assert_eq!(back.order, turned);
        prop_assert_eq!(there.differences.is_empty(), there.order == Order::Equal);
    }

    #[test]
    fn transitive(a in terms(), b in terms(), c in terms()) {
        let v = Vocabulary::standard();
        if within(compare(&a, &b, &v).order) && within(compare(&b, &c, &v).order) {
            prop_assert!(within(compare(&a, &c, &v).order));
        }
    }

    /// Chains that are within each other by making, so that the law is not tested on nothing.
    #[test]
    fn a_stricter_rule_is_narrower(a in terms(), extra in limit(), more in limit()) {
        let v = Vocabulary::standard();
        let b = stricter(&a, &extra);
        let c = stricter(&b, &more);
        prop_assert!(within(compare(&b, &a, &v).order));
        prop_assert!(within(compare(&c, &b, &v).order));
        prop_assert!(within(compare(&c, &a, &v).order));
    }

    #[test]
    fn what_is_narrower_allows_no_more(
        a in terms(), b in terms(), p in purpose(), r in region(), hours in 0i64..96,
    ) {
        let v = Vocabulary::standard();
        let now = Timestamp::from_seconds(1_437_868_800 + hours * 3_600);
        let situation = Situation { purpose: Some(&p), place: Some(&r), now };
        if within(compare(&a, &b, &v).order) && allowed(&a, &situation, &v) {
            prop_assert!(allowed(&b, &situation, &v));
        }
    }
}

#[test]
fn differences_are_sentences() {
    let v = Vocabulary::standard();
    let base = odrl::read(&agreement()).unwrap().terms;
    let check = |change: &dyn Fn(&mut Value), order: Order, differences: &[&str]| {
        let mut other = agreement();
        change(&mut other);
        let other = odrl::read(&other).unwrap().terms;
        let got = compare(&base, &other, &v);
        assert_eq!(got.order, order, "{:?}", got.differences);
        assert_eq!(got.differences, differences);
    };
    let right = |i: usize, value: Value| {
        move |a: &mut Value| a["permission"][0]["constraint"][i]["rightOperand"] = value.clone()
    };
    check(&|_| {}, Order::Equal, &[]);
    check(
        &right(0, json!("twinpact:purpose/Maintenance")),
        Order::Narrower,
        &["the first allows use for predictive maintenance, the second for maintenance"],
    );
    check(
        &right(1, json!("twinpact:region/FR")),
        Order::Wider,
        &["the first allows use in the EU, the second in France"],
    );
    check(
        &right(2, json!("Mo-Su 08:00-18:00 [Europe/Paris]")),
        Order::Incomparable,
        &["the first allows use Monday to Friday 07:00–19:00 Europe/Paris, \
           the second Monday to Sunday 08:00–18:00 Europe/Paris"],
    );
    check(
        &|a| {
            a["permission"][0]["constraint"].as_array_mut().unwrap().pop();
        },
        Order::Narrower,
        &["only the first sets a limit: Monday to Friday 07:00–19:00 Europe/Paris"],
    );
    check(
        &|a| a["obligation"][0]["constraint"][0]["rightOperand"] = json!("P30D"),
        Order::Narrower,
        &["copies may be kept for 14 days by the first, for 30 days by the second"],
    );
    check(
        &|a| {
            a.as_object_mut().unwrap().remove("obligation");
        },
        Order::Narrower,
        &["copies may be kept for 14 days by the first, for ever by the second"],
    );
    check(
        &|a| {
            a["prohibition"] = json!({"action": "use", "constraint": {"leftOperand": "spatial",
            "operator": "isPartOf", "rightOperand": "twinpact:region/HU"}})
        },
        Order::Wider,
        &["only the second forbids use in Hungary"],
    );
    check(
        &|a| {
            a["permission"].as_array_mut().unwrap().push(json!({"action": "use", "constraint":
            {"leftOperand": "purpose", "operator": "isA",
             "rightOperand": "twinpact:purpose/Research"}}))
        },
        Order::Narrower,
        &["only the second allows use for research"],
    );
}

#[test]
fn one_condition_against_another() {
    let v = Vocabulary::standard();
    let of = |(left, operator, right): (&str, &str, &str)| {
        let right = match left {
            "purpose" => format!("twinpact:purpose/{right}"),
            "spatial" => format!("twinpact:region/{right}"),
            _ => right.to_owned(),
        };
        let atom = json!({"leftOperand": left, "operator": operator, "rightOperand": right});
        odrl::read(&json!({"permission": {"action": "use", "constraint": atom}})).unwrap().terms
    };
    let hours = "twinpact:odrl/localSchedule";
    let (paris, london) = ("Mo-Fr 07:00-19:00 [Europe/Paris]", "Mo-Fr 07:00-19:00 [Europe/London]");
    let (early, late) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    for (a, b, expect) in [
        (
            ("purpose", "isA", "PredictiveMaintenance"),
            ("purpose", "isA", "Maintenance"),
            Order::Narrower,
        ),
        (("purpose", "eq", "Maintenance"), ("purpose", "isA", "Maintenance"), Order::Narrower),
        (("purpose", "isNoneOf", "Marketing"), ("purpose", "isA", "Research"), Order::Wider),
        (("purpose", "isA", "Research"), ("purpose", "isA", "Billing"), Order::Incomparable),
        (("spatial", "isPartOf", "FR"), ("spatial", "isPartOf", "EEA"), Order::Narrower),
        (("spatial", "eq", "EU"), ("spatial", "isPartOf", "EU"), Order::Narrower),
        (("spatial", "isPartOf", "EU"), ("spatial", "isPartOf", "US"), Order::Incomparable),
        ((hours, "isPartOf", paris), (hours, "isPartOf", london), Order::Incomparable),
        (
            (hours, "isPartOf", paris),
            (hours, "isPartOf", "Mo-Su 00:00-24:00 [UTC]"),
            Order::Narrower,
        ),
        (
            (hours, "isPartOf", "Mo 08:00-09:00 [Europe/Paris]"),
            (hours, "isPartOf", paris),
            Order::Narrower,
        ),
        (
            (hours, "isPartOf", "Sa 08:00-09:00 [Europe/Paris]"),
            (hours, "isPartOf", paris),
            Order::Incomparable,
        ),
        (("dateTime", "lt", early), ("dateTime", "lt", late), Order::Narrower),
        (("dateTime", "lt", late), ("dateTime", "lteq", late), Order::Narrower),
        (("dateTime", "gt", early), ("dateTime", "gteq", early), Order::Narrower),
        (("dateTime", "gteq", early), ("dateTime", "gteq", late), Order::Wider),
        (("dateTime", "eq", early), ("dateTime", "lteq", early), Order::Narrower),
        (("dateTime", "eq", early), ("dateTime", "gt", early), Order::Incomparable),
        (("dateTime", "gteq", early), ("dateTime", "eq", early), Order::Wider),
        (("dateTime", "lt", late), ("dateTime", "gteq", early), Order::Incomparable),
        (("dateTime", "lt", late), ("spatial", "isPartOf", "EU"), Order::Incomparable),
    ] {
        assert_eq!(compare(&of(a), &of(b), &v).order, expect, "{a:?} {b:?}");
        assert_eq!(compare(&of(a), &of(a), &v).order, Order::Equal, "{a:?}");
    }
}
