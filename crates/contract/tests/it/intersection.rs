//! What two terms have in common: it lies within both, allows what both allow, and is what a person
//! would write.

use crate::laws::{allowed, limit, purpose, region, stricter, terms, within};
use proptest::prelude::*;
use serde_json::{Value, json};
use twinpact_contract::{Order, Situation, Terms, Vocabulary, compare, intersection, odrl};
use twinpact_model::Timestamp;

/// That it lies within both, whichever comes first, and allows what both do at that moment.
fn check(a: &Terms, b: &Terms, situation: &Situation<'_>) -> Option<Terms> {
    let v = Vocabulary::standard();
    let (there, back) = (intersection(a, b, &v), intersection(b, a, &v));
    assert_eq!(there.is_some(), back.is_some(), "{a:?} {b:?}");
    let (there, back) = (there?, back?);
    assert_eq!(compare(&there, &back, &v).order, Order::Equal, "{there:?} {back:?}");
    for whole in [a, b] {
        let compared = compare(&there, whole, &v);
        assert!(within(compared.order), "{there:?} {whole:?} {:?}", compared.differences);
    }
    let both = allowed(a, situation, &v) && allowed(b, situation, &v);
    assert_eq!(allowed(&there, situation, &v), both, "{there:?} {a:?} {b:?} {situation:?}");
    Some(there)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_two(
        a in terms(), b in terms(), p in purpose(), r in region(), hours in 0i64..96,
    ) {
        let now = Timestamp::from_seconds(1_437_868_800 + hours * 3_600);
        check(&a, &b, &Situation { purpose: Some(&p), place: Some(&r), now });
    }

    /// Of one kind by making, so that there is mostly something in common.
    #[test]
    fn two_of_one_kind(
        a in terms(), one in limit(), two in limit(), p in purpose(), r in region(),
        hours in 0i64..96,
    ) {
        let now = Timestamp::from_seconds(1_437_868_800 + hours * 3_600);
        let situation = Situation { purpose: Some(&p), place: Some(&r), now };
        let (b, c) = (stricter(&a, &one), stricter(&a, &two));
        let v = Vocabulary::standard();
        if check(&b, &c, &situation).is_none() {
            // Then there is no moment at which both allow anything.
            prop_assert!(!allowed(&b, &situation, &v) || !allowed(&c, &situation, &v));
        }
        // With what is wider it is the narrower one, unless that can never apply.
        if let Some(same) = check(&a, &b, &situation) {
            prop_assert!(within(compare(&same, &b, &v).order));
        }
    }
}

fn of(constraints: Value, delete: Option<&str>) -> Terms {
    let mut policy = json!({ "permission": [{ "action": "use", "constraint": constraints }] });
    if constraints == json!([]) {
        policy = json!({ "permission": [{ "action": "use" }] });
    }
    if let Some(period) = delete {
        let late = json!([{ "leftOperand": "delayPeriod", "operator": "lteq",
            "rightOperand": period }]);
        policy["obligation"] = json!([{ "action": "delete", "constraint": late }]);
    }
    odrl::read(&policy).unwrap().terms
}

#[test]
fn what_they_have_in_common_is_what_a_person_would_write() {
    let one = |left: &str, operator: &str, right: &str| {
        let right = match left {
            "dateTime" => json!({ "@value": right, "@type": "xsd:dateTime" }),
            _ => json!(right),
        };
        json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
    };
    let purpose =
        |name: &str| one("purpose", "isA", &format!("https://w3id.org/twinpact/purpose/{name}"));
    let place = |code: &str| {
        one("spatial", "isPartOf", &format!("https://w3id.org/twinpact/region/{code}"))
    };
    let until = |day: &str| one("dateTime", "lt", &format!("2030-01-{day}T00:00:00Z"));
    let from = |day: &str| one("dateTime", "gteq", &format!("2030-01-{day}T00:00:00Z"));
    let (kind, whole) = (purpose("PredictiveMaintenance"), purpose("Maintenance"));
    let check = |a: (Value, Option<&str>), b: (Value, Option<&str>), expect: Option<Terms>| {
        let got =
            intersection(&of(a.0.clone(), a.1), &of(b.0.clone(), b.1), &Vocabulary::standard());
        assert_eq!(got, expect, "{a:?} {b:?}");
    };
    // The narrower of each operand, and what stands in one alone.
    check(
        (json!([whole, place("FR")]), Some("P7D")),
        (json!([kind, place("EU"), until("02")]), Some("P14D")),
        Some(of(json!([kind, place("FR"), until("02")]), Some("P7D"))),
    );
    check((json!([]), None), (json!([kind]), Some("P1D")), Some(of(json!([kind]), Some("P1D"))));
    check(
        (json!([until("02")]), None),
        (json!([until("03"), from("01")]), None),
        Some(of(json!([until("02"), from("01")]), None)),
    );
    // Nothing.
    check((json!([kind]), None), (json!([purpose("Benchmarking")]), None), None);
    check((json!([place("FR")]), None), (json!([place("US")]), None), None);
    check((json!([until("02")]), None), (json!([from("02")]), None), None);
}
