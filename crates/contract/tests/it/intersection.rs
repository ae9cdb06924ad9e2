//! What two terms have in common: it lies within both, allows what both allow, and is what a person
//! would write.

use crate::agreement::atom;
use crate::laws::{allowed, limit, purpose, region, stricter, terms, within};
use proptest::prelude::*;
use serde_json::{Value, json};
use twinpact_contract::terms::{MAX_RULES, MAX_VALUES};
use twinpact_contract::{
    Action, Constraint, Order, PurposeTest, Rule, Situation, Terms, Truth, Vocabulary, compare,
    intersection, odrl,
};
use twinpact_model::Timestamp;

/// That it lies within both, whichever comes first, and allows what both do at that moment.
fn check(a: &Terms, b: &Terms, situation: &Situation<'_>) -> Option<Terms> {
    let v = Vocabulary::standard();
    let (there, back) = (intersection(a, b, &v), intersection(b, a, &v));
    assert_eq!(there.is_some(), back.is_some(), "{a:?} {b:?}");
    let both = allowed(a, situation, &v) && allowed(b, situation, &v);
    let (Some(there), Some(back)) = (there, back) else {
        // Nobody can compare their duties, or there is no moment at which both allow anything.
        assert!(!both || a.undecided_duties() != b.undecided_duties(), "{a:?} {b:?} {situation:?}");
        return None;
    };
    assert_eq!(compare(&there, &back, &v).order, Order::Equal, "{there:?} {back:?}");
    for whole in [a, b] {
        let compared = compare(&there, whole, &v);
        assert!(within(compared.order), "{there:?} {whole:?} {:?}", compared.differences);
    }
    assert_eq!(allowed(&there, situation, &v), both, "{there:?} {a:?} {b:?} {situation:?}");
    nothing_superfluous(&there, &v);
    Some(there)
}

fn only(rule: &Rule) -> Terms {
    Terms::new(vec![rule.clone()], vec![], vec![]).unwrap()
}

/// That each condition makes its permission narrower, no permission lies within another or within
/// a prohibition, and no two conditions of one exclude each other.
fn nothing_superfluous(terms: &Terms, v: &Vocabulary) {
    let inside = |rule: &Rule, whole: &Rule| within(compare(&only(rule), &only(whole), v).order);
    for rule in terms.permissions() {
        let others = terms.permissions().iter().filter(|other| *other != rule);
        let whole = others.chain(terms.prohibitions()).find(|whole| inside(rule, whole));
        assert_eq!(whole, None, "{rule:?}");
        for at in 0..rule.constraints.len() {
            let mut wider = rule.clone();
            let gone = wider.constraints.remove(at);
            assert!(!inside(&wider, rule), "{gone:?} in {rule:?}");
            for other in &rule.constraints {
                assert!(can_hold(&gone, other, v), "{gone:?} beside {other:?}");
            }
        }
    }
    assert!(terms.permissions().iter().any(|rule| rule.action == Action::Use), "{terms:?}");
}

/// Whether two conditions on the same operand hold together in some situation.
fn can_hold(c: &Constraint, d: &Constraint, v: &Vocabulary) -> bool {
    let (now, foreign) = (Timestamp::from_seconds(START), "urn:x:foreign");
    let asked: Vec<Situation<'_>> = match (c, d) {
        (Constraint::Purpose { .. }, Constraint::Purpose { .. }) => {
            let names = v.purposes().chain([foreign]);
            names.map(|name| Situation { purpose: Some(name), place: None, now }).collect()
        }
        (Constraint::Place { .. }, Constraint::Place { .. }) => {
            v.regions().map(|name| Situation { purpose: None, place: Some(name), now }).collect()
        }
        (Constraint::Time { .. }, Constraint::Time { .. }) => {
            moments().map(|now| Situation { purpose: None, place: None, now }).collect()
        }
        (Constraint::Schedule(a), Constraint::Schedule(b)) if a.zone() == b.zone() => {
            moments().map(|now| Situation { purpose: None, place: None, now }).collect()
        }
        (Constraint::Undecided(c), Constraint::Undecided(d)) => {
            return c == d || c.name() != d.name() || !c.name().starts_with("DataUsageEnd");
        }
        _ => return true,
    };
    asked.iter().any(|asked| c.holds(asked, v).min(d.holds(asked, v)) == Truth::True)
}

/// Midnight of a Sunday, and of the first of the days that the generated times are at.
const START: i64 = 1_437_868_800;

/// Each hour of a week and the microseconds beside it.
fn moments() -> impl Iterator<Item = Timestamp> {
    let hours = (0..168).map(|hour| (START + hour * 3_600) * 1_000_000);
    hours.flat_map(|at| [at - 1, at, at + 1]).map(Timestamp::from_micros)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_two(
        a in terms(), b in terms(), p in purpose(), r in region(), hours in 0i64..96,
    ) {
        let now = Timestamp::from_seconds(START + hours * 3_600);
        check(&a, &b, &Situation { purpose: Some(&p), place: Some(&r), now });
    }

    /// Of one kind by making, so that there is mostly something in common.
    #[test]
    fn two_of_one_kind(
        a in terms(), one in limit(), two in limit(), p in purpose(), r in region(),
        hours in 0i64..96,
    ) {
        let now = Timestamp::from_seconds(START + hours * 3_600);
        let situation = Situation { purpose: Some(&p), place: Some(&r), now };
        let (b, c) = (stricter(&a, &one), stricter(&a, &two));
        let v = Vocabulary::standard();
        check(&b, &c, &situation);
        // With what is wider it is the narrower one, unless that can never apply.
        if let Some(same) = check(&a, &b, &situation) {
            prop_assert!(within(compare(&same, &b, &v).order));
        }
    }

    /// However conditions are joined, they are true, false and unknown where all of them are.
    #[test]
    fn joined_conditions_mean_what_they_meant(c in limit(), d in limit(), e in limit()) {
        let v = Vocabulary::standard();
        let rule = |constraints| only(&Rule { action: Action::Use, constraints });
        let (a, b) = (rule(vec![c.clone(), e.clone()]), rule(vec![d.clone()]));
        let got = intersection(&a, &b, &v);
        let codes = ["EU", "EEA", "FR", "NO", "US", "JP"];
        let regions = codes.map(|code| format!("https://w3id.org/twinpact/region/{code}"));
        let names: Vec<&str> = v.purposes().chain(["urn:x:foreign", "urn:x:other"]).collect();
        for (at, purpose) in (0..).zip(names.iter().cycle().take(names.len() * 8)) {
            for place in &regions {
                let now = Timestamp::from_seconds(START + at * 3_600);
                let asked = Situation { purpose: Some(purpose), place: Some(place), now };
                let all = Truth::all([&c, &d, &e].map(|c| c.holds(&asked, &v)));
                match got.as_ref().map(Terms::permissions) {
                    Some([rule]) => {
                        let joined = rule.constraints.iter().map(|c| c.holds(&asked, &v));
                        prop_assert_eq!(Truth::all(joined), all, "{:?} {:?}", rule, asked);
                    }
                    Some(other) => prop_assert!(false, "{:?}", other),
                    None => prop_assert!(all != Truth::True, "{:?}", asked),
                }
            }
        }
    }
}

fn name(name: &str) -> String {
    format!("https://w3id.org/twinpact/purpose/{name}")
}

fn for_purposes(operator: &str, names: &[&str]) -> Value {
    let names: Vec<String> = names.iter().map(|n| name(n)).collect();
    atom("purpose", operator, json!(names))
}

fn purposes(names: &[&str]) -> Value {
    for_purposes("isAnyOf", names)
}

fn places(codes: &[&str]) -> Value {
    let iris = codes.iter().map(|code| format!("https://w3id.org/twinpact/region/{code}"));
    atom("spatial", "isAnyOf", iris.collect())
}

fn hours(schedule: &str) -> Value {
    atom("https://w3id.org/twinpact/odrl/localSchedule", "isPartOf", json!(schedule))
}

fn time(operator: &str, day: &str) -> Value {
    let at = json!({ "@value": format!("2030-01-{day}T00:00:00Z"), "@type": "xsd:dateTime" });
    atom("dateTime", operator, at)
}

fn rule(action: &str, constraints: &[Value]) -> Value {
    match constraints {
        [] => json!({ "action": action }),
        _ => json!({ "action": action, "constraint": constraints }),
    }
}

fn uses(constraints: &[Value]) -> Value {
    rule("use", constraints)
}

fn policy(permissions: &[Value], prohibitions: &[Value]) -> Value {
    json!({ "permission": permissions, "prohibition": prohibitions })
}

fn permit(constraints: &[Value]) -> Value {
    policy(&[uses(constraints)], &[])
}

fn with_duty(mut policy: Value, action: &str, left: &str, operator: &str, right: Value) -> Value {
    let duty = json!({ "action": action, "constraint": [atom(left, operator, right)] });
    policy["obligation"] = json!([duty]);
    policy
}

fn delete(policy: Value, period: &str) -> Value {
    with_duty(policy, "delete", "delayPeriod", "lteq", json!(period))
}

fn provided_for(policy: Value, days: u32) -> Value {
    with_duty(policy, "use", "DataProvisioningEndDurationDays", "eq", json!(days))
}

/// What two policies have in common, in either order.
fn common(a: &Value, b: &Value, expect: Option<&Value>) {
    let read = |policy: &Value| {
        let mut policy = policy.clone();
        policy.as_object_mut().unwrap().retain(|_, rules| *rules != json!([]));
        odrl::read(&policy).unwrap_or_else(|e| panic!("{policy}: {e:?}")).terms
    };
    let v = Vocabulary::standard();
    let (one, two, expect) = (read(a), read(b), expect.map(read));
    assert_eq!(intersection(&one, &two, &v), expect, "{a} {b}");
    assert_eq!(intersection(&two, &one, &v), expect, "{b} {a}");
}

/// What two permissions with those conditions have in common.
fn joined(a: &[Value], b: &[Value], expect: Option<&[Value]>) {
    common(&permit(a), &permit(b), expect.map(permit).as_ref());
}

#[test]
fn what_they_have_in_common_is_what_a_person_would_write() {
    let (kind, whole) = (purposes(&["PredictiveMaintenance"]), purposes(&["Maintenance"]));
    let (until, from) = (|day| time("lt", day), |day| time("gteq", day));
    // The narrower of each operand, and what stands in one alone.
    common(
        &delete(permit(&[whole.clone(), places(&["FR"])]), "P7D"),
        &delete(permit(&[kind.clone(), places(&["EU"]), until("02")]), "P14D"),
        Some(&delete(permit(&[kind.clone(), places(&["FR"]), until("02")]), "P7D")),
    );
    let short = delete(permit(std::slice::from_ref(&kind)), "P1D");
    common(&permit(&[]), &short, Some(&short));
    joined(&[until("02")], &[until("03"), from("01")], Some(&[until("02"), from("01")]));
    // Nothing.
    joined(&[kind], &[purposes(&["Benchmarking"])], None);
    joined(&[places(&["FR"])], &[places(&["US"])], None);
    joined(&[until("02")], &[from("02")], None);
}

#[test]
fn two_conditions_are_written_as_one_where_that_means_the_same() {
    let one = |a: Value, b: Value, expect: Value| joined(&[a], &[b], Some(&[expect]));
    let kept = |a: Value, b: Value| {
        joined(std::slice::from_ref(&a), std::slice::from_ref(&b), Some(&[a.clone(), b.clone()]));
    };
    one(
        purposes(&["Research", "Billing"]),
        purposes(&["Billing", "Marketing"]),
        purposes(&["Billing"]),
    );
    one(
        purposes(&["PredictiveMaintenance", "Billing"]),
        purposes(&["Maintenance", "Research"]),
        purposes(&["PredictiveMaintenance"]),
    );
    one(
        purposes(&["Maintenance", "Billing", "Research"]),
        purposes(&["Maintenance", "PredictiveMaintenance", "Research", "Marketing"]),
        purposes(&["Maintenance", "Research"]),
    );
    let none = |names: &[&str]| for_purposes("isNoneOf", names);
    one(none(&["Billing"]), none(&["Marketing"]), none(&["Billing", "Marketing"]));
    one(purposes(&["Research", "Billing"]), none(&["Billing"]), purposes(&["Research"]));
    one(places(&["FR", "DE"]), places(&["DE", "US"]), places(&["DE"]));
    one(places(&["EU", "US"]), places(&["EEA", "JP"]), places(&["EU"]));
    // One of the first with one of the second, in one go.
    joined(
        &[purposes(&["Research", "Billing"]), purposes(&["Billing", "Marketing"])],
        &[purposes(&["Marketing", "Billing", "Operation"])],
        Some(&[purposes(&["Billing"])]),
    );
    // More at once than are joined; what both say counts once.
    let (a, b) = (purposes(&["Research", "Billing"]), purposes(&["Billing", "Marketing"]));
    let (c, d) = (purposes(&["Billing", "Operation"]), purposes(&["Billing", "Reporting"]));
    let four = [a, b, c, d];
    joined(&four[..2], &four[2..], Some(&four));
    joined(&four[..2], &four[1..3], Some(&[purposes(&["Billing"])]));
    // Purposes that may yet turn out to be kinds of each other; and a rest that no list says.
    let foreign = atom("purpose", "isAnyOf", json!([name("Billing"), "urn:x:foreign"]));
    kept(purposes(&["Research", "Billing"]), foreign);
    kept(purposes(&["Maintenance"]), none(&["PredictiveMaintenance"]));
    // Of somewhere in the EU both may be true, as far as anybody knows; "in the US" is not.
    kept(places(&["FR", "US"]), places(&["DE", "US"]));
}

#[test]
fn a_joined_condition_has_no_more_names_than_one_may() {
    let urn = |i: usize| format!("urn:x:{i}");
    let known: Vec<_> = (0..MAX_VALUES + 2).map(|i| (urn(i), vec![])).collect();
    let v = Vocabulary::new(&known, &[]).unwrap();
    let none = |names: std::ops::Range<usize>| {
        let purposes = names.map(urn).collect();
        let constraints = vec![Constraint::Purpose { test: PurposeTest::NoneOf, purposes }];
        only(&Rule { action: Action::Use, constraints })
    };
    for (end, conditions) in [(MAX_VALUES, 1), (MAX_VALUES + 1, 2)] {
        let got = intersection(&none(0..40), &none(40..end), &v).unwrap();
        assert_eq!(got.permissions()[0].constraints.len(), conditions);
    }
}

#[test]
fn schedules_of_one_zone_are_joined() {
    let paris = |text: &str| hours(&format!("{text} [Europe/Paris]"));
    let one = |a: &str, b: &str, expect: Option<&str>| {
        joined(&[paris(a)], &[paris(b)], expect.map(|text| [paris(text)]).as_ref().map(|c| &c[..]));
    };
    one("Mo-Fr 07:00-19:00", "Mo-Su 08:00-18:00", Some("Mo-Fr 08:00-18:00"));
    one("Mo-Fr 07:00-19:00", "We-Su 08:00-20:00", Some("We-Fr 08:00-19:00"));
    one(
        "Mo 07:00-12:00,13:00-19:00",
        "Mo-Tu 08:00-14:00,18:00-24:00",
        Some("Mo 08:00-12:00,13:00-14:00,18:00-19:00"),
    );
    one("Mo-Fr 22:00-06:00", "Sa 00:00-24:00", Some("Sa 00:00-06:00"));
    one("Mo-Fr 07:00-19:00", "Sa-Su 07:00-19:00", None);
    one("Mo 07:00-12:00", "Mo 12:00-13:00", None);
    // Within each hour, and over its end: twice as many intervals as a day may have.
    let every = |from: u32, to: u32| {
        let spans: Vec<String> =
            (0..24).map(|h| format!("{h:02}:{from:02}-{h:02}:{to:02}")).collect();
        spans.join(",")
    };
    let (whole, half) = (format!("Mo {}", every(0, 50)), format!("Mo {}", every(10, 59)));
    one(&whole, &half, Some(&format!("Mo {}", every(10, 50))));
    let across: Vec<String> = (0..23).map(|h| format!("{h:02}:40-{:02}:20", h + 1)).collect();
    let across = paris(&format!("Mo {}", across.join(",")));
    let both = [paris(&whole), across];
    joined(&both[..1], &both[1..], Some(&both));
    // Nobody says in which zone the result would be.
    let (here, there) = (paris("Mo-Fr 07:00-19:00"), hours("Mo-Fr 07:00-19:00 [Europe/London]"));
    joined(
        std::slice::from_ref(&here),
        std::slice::from_ref(&there),
        Some(&[here.clone(), there.clone()]),
    );
}

#[test]
fn what_can_never_hold_is_not_offered() {
    // Of itself.
    let (all, research) =
        (for_purposes("isAllOf", &["Research", "Billing"]), purposes(&["Research"]));
    joined(std::slice::from_ref(&all), &[], None);
    common(
        &policy(&[uses(&[all]), uses(&[places(&["FR"])])], &[]),
        &permit(std::slice::from_ref(&research)),
        Some(&permit(&[research, places(&["FR"])])),
    );
    // With what is left of two others.
    joined(
        &[purposes(&["Research", "Billing"]), purposes(&["Billing", "Marketing"])],
        &[purposes(&["Research", "Marketing"])],
        None,
    );
    let paris = |text: &str| hours(&format!("{text} [Europe/Paris]"));
    joined(
        &[paris("Mo-Fr 07:00-12:00"), paris("Fr-Su 00:00-24:00")],
        &[paris("Mo-Th 00:00-24:00; Sa-Su 00:00-24:00")],
        None,
    );
}

#[test]
fn what_is_forbidden_is_not_offered() {
    let (eu, hu, fr) = (places(&["EU"]), places(&["HU"]), places(&["FR"]));
    let but = |allowed: &[Value], forbidden: &[Value]| policy(&[uses(allowed)], &[uses(forbidden)]);
    let (eu, hu, fr) = ([eu], [hu], [fr]);
    common(&but(&eu, &hu), &permit(&hu), None);
    common(&but(&eu, &hu), &permit(&fr), Some(&but(&fr, &hu)));
    common(&but(&eu, &hu), &policy(&[uses(&fr), uses(&hu)], &[]), Some(&but(&fr, &hu)));
    // The prohibitions of both, the wider of two.
    let billing = [purposes(&["Billing"])];
    common(
        &but(&[], &hu),
        &but(&[], &billing),
        Some(&policy(&[uses(&[])], &[uses(&hu), uses(&billing)])),
    );
    common(
        &but(&fr, &hu),
        &but(&[], &[places(&["HU", "US"])]),
        Some(&but(&fr, &[places(&["HU", "US"])])),
    );
    common(&but(&fr, &hu), &but(&[], &fr), None);
    // All use is, whatever clauses say beside it; and all but what can be seen.
    let warranty = [atom("Warranty", "eq", json!("cx.warranty.none:1"))];
    common(&but(&[], &[]), &permit(&fr), None);
    common(&but(&warranty, &[]), &permit(&warranty), None);
    let seen = |uses: &[Value]| policy(&[rule("access", &[]), rule("use", uses)], &[]);
    common(&seen(&[purposes(&["Research"])]), &seen(&billing), None);
    common(&seen(&[]), &seen(&billing), Some(&seen(&billing)));
    let access = policy(&[rule("access", &[])], &[]);
    common(&access, &seen(&billing), None);
}

#[test]
fn each_permission_meets_each() {
    let (fr, us) = (places(&["FR"]), places(&["US"]));
    let (research, billing) = (purposes(&["Research"]), purposes(&["Billing"]));
    let two = |a: &Value, b: &Value| {
        policy(&[uses(std::slice::from_ref(a)), uses(std::slice::from_ref(b))], &[])
    };
    let pair = |a: &Value, b: &Value| uses(&[a.clone(), b.clone()]);
    common(
        &two(&fr, &us),
        &two(&research, &billing),
        Some(&policy(
            &[pair(&fr, &research), pair(&fr, &billing), pair(&us, &research), pair(&us, &billing)],
            &[],
        )),
    );
    // Only the widest of them.
    common(&two(&fr, &research), &two(&fr, &billing), Some(&permit(std::slice::from_ref(&fr))));
    // As many as terms may have, and more.
    let codes = ["AT", "BE", "CZ", "DE", "DK", "EE", "ES", "FI"];
    let names = ["Research", "Billing", "Marketing", "Reporting"];
    let many = |conditions: Vec<Value>| {
        policy(&conditions.iter().map(|c| uses(std::slice::from_ref(c))).collect::<Vec<_>>(), &[])
    };
    let somewhere = |n: usize| many(codes[..n].iter().map(|code| places(&[code])).collect());
    let purposes = many(names.iter().map(|name| purposes(&[name])).collect());
    let read = |policy: &Value| {
        let policy = json!({ "permission": policy["permission"] });
        odrl::read(&policy).unwrap().terms
    };
    let got = |n| intersection(&read(&somewhere(n)), &read(&purposes), &Vocabulary::standard());
    assert_eq!(got(MAX_RULES / 4).map(|terms| terms.permissions().len()), Some(MAX_RULES));
    assert_eq!(got(MAX_RULES / 4 + 1), None);
}

#[test]
fn terms_that_nobody_here_can_decide() {
    let limit = |name: &str, value: Value| atom(name, "eq", value);
    let days = |days: u32| limit("DataUsageEndDurationDays", json!(days));
    let end = |year: u32| limit("DataUsageEndDate", json!(format!("{year}-01-01T00:00:00Z")));
    let member = limit("Membership", json!("active"));
    // What has one value has no other; two agreements may well both be in force.
    joined(&[days(30)], &[days(90)], None);
    joined(&[end(2030)], &[end(2031)], None);
    joined(&[days(30), days(90)], &[], None);
    joined(&[days(30)], &[days(30), member.clone()], Some(&[days(30), member]));
    joined(&[days(30)], &[end(2030)], Some(&[days(30), end(2030)]));
    let old = |name: &str| limit("https://w3id.org/catenax/policy/FrameworkAgreement", json!(name));
    let (pcf, quality) = (old("Pcf:1.0"), old("Quality:1.0"));
    joined(
        std::slice::from_ref(&pcf),
        std::slice::from_ref(&quality),
        Some(&[pcf.clone(), quality.clone()]),
    );
    let named = |names: &[&str]| atom("UsagePurpose", "isAnyOf", json!(names));
    joined(&[named(&["a", "b"])], &[named(&["a"])], Some(&[named(&["a"])]));
    joined(
        &[named(&["a", "b"])],
        &[named(&["b", "c"])],
        Some(&[named(&["a", "b"]), named(&["b", "c"])]),
    );
    // Clauses and duties are those of both or nobody can say who would gain.
    let clause = |value: &str| limit("Warranty", json!(format!("cx.warranty.{value}:1")));
    let fr = places(&["FR"]);
    joined(&[clause("none"), fr.clone()], &[clause("none")], Some(&[clause("none"), fr.clone()]));
    joined(&[clause("none")], &[clause("dataQualityIssues")], None);
    joined(&[clause("none"), fr.clone()], std::slice::from_ref(&fr), None);
    let (all, fr) = (permit(&[]), permit(&[fr]));
    let duty = provided_for;
    common(&duty(all.clone(), 7), &duty(fr.clone(), 7), Some(&duty(fr.clone(), 7)));
    common(&duty(all.clone(), 7), &duty(fr.clone(), 8), None);
    common(&duty(all, 7), &fr, None);
}
