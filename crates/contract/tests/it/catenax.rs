//! The terms of the Catena-X profile: read under every spelling, carried, written back, compared,
//! and refused where they do not fit it.

use crate::agreement::{atom, shared};
use serde_json::{Value, json};
use std::path::Path;
use twinpact_contract::catenax::{CATENAX, MAX_VALUE_BYTES};
use twinpact_contract::odrl::{read, read_at};
use twinpact_contract::{Order, Terms, Vocabulary, compare, text};

/// The one rule of a policy that a condition on its own belongs into.
fn around(condition: &Value) -> Value {
    let left = condition["leftOperand"].as_str().unwrap();
    let rule = |action: &str| json!([{"action": action, "constraint": [condition]}]);
    let open = || json!([{"action": "use"}]);
    match left {
        "DataProvisioningEndDate" | "DataProvisioningEndDurationDays" => {
            json!({"permission": open(), "obligation": rule("use")})
        }
        "UsageRestriction" => json!({"permission": open(), "prohibition": rule("use")}),
        "BusinessPartnerGroup" | "BusinessPartnerNumber" => json!({"permission": rule("access")}),
        _ => json!({"permission": rule("use")}),
    }
}

/// Every policy of the suite, single conditions among them, and the name of its file.
pub(crate) fn samples(shared: &Path) -> Vec<(String, Value)> {
    let folder = shared.join("suites/catenax-odrl/schema/samples");
    let mut all: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let sample: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let policy = match sample.get("leftOperand") {
                Some(_) => around(&sample),
                None => sample,
            };
            (path.file_name().unwrap().to_string_lossy().into_owned(), policy)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The same with every name of the profile spelled with that before it.
fn spelled(policy: &Value, before: &str) -> Value {
    match policy {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("leftOperand", Some(name)) => (key.clone(), json!(format!("{before}{name}"))),
                ("action", Some("access")) => (key.clone(), json!(format!("{before}access"))),
                _ => (key.clone(), spelled(value, before)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| spelled(item, before)).collect(),
        other => other.clone(),
    }
}

/// The value with one thing in it changed, once for each text in it.
fn mutations(value: &Value) -> Vec<Value> {
    fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(m) => {
                m.iter().for_each(|(key, v)| pointers(v, &format!("{at}/{key}"), out));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), out));
            }
            _ => out.push(at.to_owned()),
        }
    }
    let mut places = Vec::new();
    pointers(value, "", &mut places);
    places.retain(|place| {
        ["/leftOperand", "/operator", "/action"].iter().any(|end| place.ends_with(end))
    });
    let changed = |place: &String| {
        let mut other = value.clone();
        let target = other.pointer_mut(place).unwrap();
        let text = target.as_str().unwrap();
        *target = match text {
            "eq" => json!("isAnyOf"),
            "isAllOf" | "isAnyOf" => json!("eq"),
            text => json!(format!("{text}x")),
        };
        other
    };
    places.iter().map(changed).collect()
}

#[test]
fn every_sample_reads_writes_back_and_has_one_form() {
    let Some(shared) = shared() else { return };
    let samples = samples(&shared);
    assert!(samples.len() >= 33, "{}", samples.len());
    for (name, policy) in samples {
        let terms = read(&policy).unwrap_or_else(|e| panic!("{name}: {e:?}")).terms;
        assert!(terms.undecided().next().is_some(), "{name}");
        for before in ["cx-policy:", CATENAX] {
            let other = read(&spelled(&policy, before)).unwrap().terms;
            assert_eq!(other.to_json().canonical(), terms.to_json().canonical(), "{name}");
        }
        let offer = terms.to_offer("urn:x:offer");
        assert_eq!(offer["profile"], json!(CATENAX), "{name}");
        assert_eq!(read(&offer).unwrap().terms, terms, "{name}");
        let same = compare(&terms, &terms, &Vocabulary::standard());
        assert_eq!((same.order, same.differences), (Order::Equal, vec![]), "{name}");
        for term in terms.undecided() {
            assert!(text::terms(&terms).contains(&text::undecided(term)), "{name}");
        }
        for changed in mutations(&policy) {
            let refused = read_at(&changed).expect_err(&name);
            assert!(!refused.path.is_empty(), "{name}: {changed}");
        }
    }
}

#[test]
fn the_profile_before_reads_under_its_full_names() {
    let Some(shared) = shared() else { return };
    let path = shared.join("suites/catenax-odrl/example_usage_policy.json");
    let mut policy: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let old = "https://w3id.org/catenax/policy/";
    let written = policy.to_string().replace("cx-policy:", old);
    policy = serde_json::from_str(&written).unwrap();
    policy.as_object_mut().unwrap().remove("@context");
    let terms = read(&policy).unwrap().terms;
    assert_eq!(terms.profiles().into_iter().collect::<Vec<_>>(), [format!("{old}profile2405")]);
    assert_eq!(read(&terms.to_offer("urn:x:offer")).unwrap().terms, terms);
    // A context that gives the prefix another meaning than it has here is refused, not followed.
    policy["@context"] = json!([{"cx-policy": old}]);
    assert_eq!(read_at(&policy).unwrap_err().place(), "@context[0].cx-policy");
}

fn check(condition: Value, expect: Result<Value, &str>) {
    let policy = around(&condition);
    let got = read_at(&policy).map_err(|refused| {
        let place = refused.place();
        let last = place.rsplit('.').next().unwrap_or_default();
        format!("{} {last}", refused.problem.code.name)
    });
    match (got, expect) {
        (Ok(read), Ok(values)) => {
            let term = read.terms.undecided().next().unwrap();
            assert_eq!(json!(term.values()), values, "{condition}");
        }
        (got, expect) => assert_eq!(got.map(|_| ()), expect.map(|_| ()).map_err(str::to_owned)),
    }
}

#[test]
fn right_operands_are_those_of_their_operand() {
    let wrong = Err("contract.term_shape rightOperand");
    let operator = Err("contract.term_unknown operator");
    let bpn = |left: &str, values: Value| atom(left, "isAnyOf", values);
    let (a, b) = ("BPNL012345678910", "BPNL012345678911");
    let long = "x".repeat(MAX_VALUE_BYTES);
    let time = "2027-12-15T12:00:00Z";
    for (condition, expect) in [
        (bpn("AffiliatesBpnl", json!([b, a, b])), Ok(json!([a, b]))),
        (bpn("AffiliatesBpnl", json!(a)), Ok(json!([a]))),
        (
            bpn("AffiliatesBpnl", json!(["BPNL01234567891"])),
            Err("contract.term_shape rightOperand"),
        ),
        (bpn("AffiliatesBpnl", json!(["BPNS012345678910"])), wrong.clone()),
        (bpn("AffiliatesBpnl", json!(["BPNL01234567891x"])), wrong.clone()),
        (bpn("AffiliatesBpnl", json!([])), wrong.clone()),
        (
            bpn("UsagePurpose", json!(["cx.pcf.base:1", "ours"])),
            Ok(json!(["cx.pcf.base:1", "ours"])),
        ),
        (bpn("UsagePurpose", json!(["cx.pcf.bas:1"])), wrong.clone()),
        (bpn("UsagePurpose", json!([long.clone()])), Ok(json!([long.clone()]))),
        (bpn("UsagePurpose", json!([long + "x"])), wrong.clone()),
        (bpn("UsagePurpose", json!([" "])), wrong.clone()),
        (bpn("UsagePurpose", json!(["a\nb"])), wrong.clone()),
        (bpn("BusinessPartnerGroup", json!(["suppliers"])), Ok(json!(["suppliers"]))),
        (atom("BusinessPartnerNumber", "isNoneOf", json!([a])), Ok(json!([a]))),
        (atom("BusinessPartnerNumber", "isAllOf", json!([a])), operator.clone()),
        (atom("Membership", "isAnyOf", json!(["active"])), operator.clone()),
        (atom("Membership", "eq", json!("active")), Ok(json!(["active"]))),
        (atom("Membership", "eq", json!("inactive")), wrong.clone()),
        (atom("Membership", "eq", json!(["active", "active"])), Ok(json!(["active"]))),
        (
            atom("Liability", "eq", json!(["cx.grossNegligence:1", "cx.slightNegligence:1"])),
            wrong.clone(),
        ),
        (atom("FrameworkAgreement", "eq", json!("DataExchangeGovernance:2.0")), wrong.clone()),
        (atom("DataUsageEndDurationDays", "eq", json!(30)), Ok(json!(["30"]))),
        (atom("DataUsageEndDurationDays", "eq", json!("30")), Ok(json!(["30"]))),
        (atom("DataUsageEndDurationDays", "eq", json!("030")), wrong.clone()),
        (atom("DataUsageEndDurationDays", "eq", json!(-1)), wrong.clone()),
        (atom("DataUsageEndDurationDays", "eq", json!(1.5)), wrong.clone()),
        (atom("DataUsageEndDurationDays", "eq", json!(true)), wrong.clone()),
        (atom("DataUsageEndDate", "eq", json!("2027-12-15T13:00:00+01:00")), Ok(json!([time]))),
        (atom("DataUsageEndDate", "eq", json!("2027-12-15T12:00:00.5Z")), wrong.clone()),
        (atom("DataUsageEndDate", "eq", json!("2027-12-15")), wrong.clone()),
        (atom("DataUsageEndDate", "lteq", json!(time)), operator),
        (atom("Warranty", "eq", json!("cx.warranty.none")), wrong),
    ] {
        check(condition, expect);
    }
}

#[test]
fn each_operand_stands_where_the_profile_has_it() {
    let rule =
        |action: &str, condition: &Value| json!([{"action": action, "constraint": condition}]);
    let open = || json!([{"action": "use"}]);
    let member = atom("Membership", "eq", json!("active"));
    let number = atom("BusinessPartnerNumber", "isAnyOf", json!("BPNL012345678910"));
    let restriction = atom("UsageRestriction", "isAllOf", json!("cx.manipulation.forbidden:1"));
    let until = atom("DataProvisioningEndDurationDays", "eq", json!(7));
    let region = atom("AffiliatesRegion", "isAnyOf", json!("cx.region.asia:1"));
    for (condition, access, usage, prohibition, obligation) in [
        (member, true, true, false, false),
        (number, true, false, false, false),
        (restriction, false, false, true, false),
        (until, false, false, false, true),
        (region, false, true, true, false),
    ] {
        for (policy, expect) in [
            (json!({"permission": rule("access", &condition)}), access),
            (json!({"permission": rule("use", &condition)}), usage),
            (json!({"permission": open(), "prohibition": rule("use", &condition)}), prohibition),
            (json!({"permission": open(), "obligation": rule("use", &condition)}), obligation),
            (
                json!({"permission": rule("use", &condition), "prohibition": rule("access", &condition)}),
                false,
            ),
            (json!({"permission": open(), "obligation": rule("delete", &condition)}), false),
        ] {
            assert_eq!(read(&policy).is_ok(), expect, "{policy}");
        }
    }
    // A duty to use says under what, and only in words of the profile.
    for constraint in [json!([]), atom("purpose", "isA", json!("urn:x:p"))] {
        assert!(
            read(&json!({"permission": open(), "obligation": rule("use", &constraint)})).is_err()
        );
    }
}

#[test]
fn the_profile_is_that_one_or_none_and_changes_nothing() {
    let policy = |profile: Value| {
        let mut policy = around(&atom("Membership", "eq", json!("active")));
        policy["profile"] = profile;
        read_at(&policy).map(|p| p.terms).map_err(|e| e.place())
    };
    let without = read(&around(&atom("Membership", "eq", json!("active")))).unwrap().terms;
    assert_eq!(policy(json!(CATENAX)), Ok(without.clone()));
    assert_eq!(policy(json!([CATENAX])), Ok(without));
    assert_eq!(policy(json!("https://x.example/")), Err("profile".to_owned()));
    assert_eq!(policy(json!([CATENAX, "urn:x"])), Err("profile[1]".to_owned()));
    assert_eq!(policy(json!(5)), Err("profile".to_owned()));
}

#[test]
fn terms_of_the_profile_are_compared() {
    let purpose = |values: Value| atom("UsagePurpose", "isAnyOf", values);
    let terms = |conditions: Vec<Value>| -> Terms {
        read(&json!({"permission": [{"action": "use", "constraint": conditions}]})).unwrap().terms
    };
    let check = |a: Vec<Value>, b: Vec<Value>, order: Order, differences: &[&str]| {
        let got = compare(&terms(a), &terms(b), &Vocabulary::standard());
        assert_eq!(
            (got.order, got.differences),
            (order, differences.iter().map(|d| (*d).to_owned()).collect())
        );
    };
    let member = || atom("Membership", "eq", json!("active"));
    let warranty = |value: &str| atom("Warranty", "eq", json!(format!("cx.warranty.{value}:1")));
    check(
        vec![member(), purpose(json!("a"))],
        vec![purpose(json!("a")), member()],
        Order::Equal,
        &[],
    );
    check(
        vec![member(), purpose(json!("a"))],
        vec![member()],
        Order::Narrower,
        &["only the first sets a limit: if UsagePurpose is a"],
    );
    check(
        vec![purpose(json!(["a", "b"]))],
        vec![purpose(json!("a"))],
        Order::Wider,
        &["the first allows use if UsagePurpose is any of a or b, the second if UsagePurpose is a"],
    );
    check(
        vec![purpose(json!(["a", "b"]))],
        vec![purpose(json!(["a", "c"]))],
        Order::Incomparable,
        &["the first allows use if UsagePurpose is any of a or b, \
           the second if UsagePurpose is any of a or c"],
    );
    // A clause may give: neither with nor without it is narrower.
    check(
        vec![member(), warranty("none")],
        vec![member()],
        Order::Incomparable,
        &["only the first says that Warranty is cx.warranty.none:1"],
    );
    check(
        vec![warranty("none")],
        vec![warranty("dataQualityIssues")],
        Order::Incomparable,
        &["the first allows use if Warranty is cx.warranty.none:1, \
           the second if Warranty is cx.warranty.dataQualityIssues:1"],
    );
    // One for the catalogue is none for use.
    let access = read(&json!({"permission": [{"action": "access"}]})).unwrap().terms;
    let got = compare(&access, &terms(vec![]), &Vocabulary::standard());
    assert_eq!(got.order, Order::Incomparable);
    assert_eq!(got.differences.len(), 2, "{:?}", got.differences);
}

#[test]
fn a_duty_that_cannot_be_decided_is_neither_more_nor_less() {
    let terms = |days: Option<u32>| {
        let mut policy = json!({"permission": [{"action": "use"}]});
        if let Some(days) = days {
            let condition = atom("DataProvisioningEndDurationDays", "eq", json!(days));
            policy["obligation"] = json!([
                {"action": "use", "constraint": [condition]},
                {"action": "delete", "constraint": [atom("delayPeriod", "lteq", json!("P1D"))]},
            ]);
        }
        read(&policy).unwrap().terms
    };
    for (a, b) in [(Some(1), Some(2)), (Some(1), None)] {
        let got = compare(&terms(a), &terms(b), &Vocabulary::standard());
        assert_eq!(got.order, Order::Incomparable, "{a:?} {b:?}");
        assert!(!got.differences.is_empty());
    }
    let said = text::terms(&terms(Some(1)));
    assert!(said.ends_with("with the duty that DataProvisioningEndDurationDays is 1"), "{said}");
}
