//! Every spelling of one policy has one normal form; everything else is refused where it stands.

use crate::agreement::{HOURS, PURPOSE, SCHEDULE, SPATIAL, agreement, atom};
use serde_json::{Value, json};
use twinpact_contract::odrl::{Kind, read, read_at};

fn with_constraint(constraint: Value) -> Value {
    json!({"permission": [{"action": "use", "constraint": constraint}]})
}

/// Reads a policy; its canonical terms, or code and place of the refusal.
fn got(policy: &Value) -> Result<String, String> {
    match read_at(policy) {
        Ok(policy) => Ok(policy.terms.to_json().canonical()),
        Err(refused) => Err(format!("{} {}", refused.problem.code.name, refused.place())),
    }
}

#[test]
fn the_agreement_reads_and_writes_back() {
    let policy = read(&agreement()).unwrap();
    assert_eq!(policy.kind, Kind::Agreement);
    assert_eq!(policy.assignee.as_deref(), Some("did:web:maker.example"));
    assert_eq!(policy.timestamp.unwrap().to_string(), "2026-11-23T09:00:00Z");
    let written = Value::Object(policy.terms.to_odrl());
    assert_eq!(written["permission"], agreement()["permission"]);
    assert_eq!(written["obligation"], agreement()["obligation"]);
    let offer = policy.terms.to_offer("urn:x:offer");
    let again = read(&offer).unwrap();
    assert_eq!((again.kind, &again.terms), (Kind::Offer, &policy.terms));
    assert_eq!(again.agreement_id().unwrap_err().code.name, "contract.odrl");
}

#[test]
fn one_meaning_has_one_form_however_it_is_spelled() {
    let plain = got(&agreement()).unwrap();
    let same = |policy: Value| assert_eq!(got(&policy).as_ref(), Ok(&plain), "{policy}");
    let odrl = |name: &str| format!("http://www.w3.org/ns/odrl/2/{name}");
    // Bare and prefixed names, scalars for arrays, other order, other durations.
    same(json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld",
            {"odrl": "http://www.w3.org/ns/odrl/2/", "twinpact": "https://w3id.org/twinpact/"}],
        "obligation": {"action": "delete", "constraint":
            atom("delayPeriod", "lteq", json!({"@value": "P2W", "@type": "xsd:duration"}))},
        "permission": {"action": "odrl:use", "constraint": {"and": [
            atom("twinpact:odrl/localSchedule", "isPartOf",
                json!("Mo,Tu,We,Th,Fr 07:00-12:00,12:00-19:00 [Europe/Paris]")),
            atom("odrl:spatial", "odrl:isPartOf", json!({"@id": "twinpact:region/EU"})),
            {"and": [atom("purpose", "isA", json!("twinpact:purpose/PredictiveMaintenance"))]},
        ]}},
    }));
    // What an expansion makes of it.
    same(json!({
        "@id": "urn:x", "@type": ["http://www.w3.org/ns/odrl/2/Agreement"],
        odrl("permission"): [{
            odrl("action"): [{"@id": odrl("use")}],
            odrl("constraint"): [
                {odrl("leftOperand"): [{"@id": PURPOSE}],
                 odrl("operator"): [{"@id": odrl("isAnyOf")}],
                 odrl("rightOperand"): [{"@value":
                    "https://w3id.org/twinpact/purpose/PredictiveMaintenance"}]},
                {odrl("leftOperand"): [{"@id": SPATIAL}],
                 odrl("operator"): [{"@id": odrl("isAnyOf")}],
                 odrl("rightOperand"): {"@list": [{"@id": "https://w3id.org/twinpact/region/EU"}]}},
                {odrl("leftOperand"): [{"@id": SCHEDULE}],
                 odrl("operator"): [{"@id": odrl("isPartOf")}],
                 odrl("rightOperand"): [{"@value": HOURS}]},
            ],
        }],
        odrl("obligation"): [{
            odrl("action"): [{"@id": odrl("delete")}],
            odrl("constraint"): [{
                odrl("leftOperand"): [{"@id": odrl("delayPeriod")}],
                odrl("operator"): [{"@id": odrl("lteq")}],
                odrl("rightOperand"): [{"@value": "P14D", "@type":
                    "http://www.w3.org/2001/XMLSchema#duration"}]},
            ],
        }],
        "https://w3id.org/dspace/2025/1/timestamp": [{"@value": "2026-11-23T09:00:00Z"}],
    }));
    // A rule may repeat whose it is.
    let mut repeated = agreement();
    repeated["permission"][0]["target"] = repeated["target"].clone();
    repeated["permission"][0]["assigner"] = json!({"@id": "did:web:operator.example"});
    same(repeated);
    // Zones have one spelling.
    let mut zone = agreement();
    zone["permission"][0]["constraint"][2]["rightOperand"] =
        json!("Mo-Fr 07:00-19:00 [europe/PARIS]");
    same(zone);
}

#[test]
fn what_we_cannot_decide_is_refused_where_it_stands() {
    let unknown = |place: &str| Err(format!("contract.term_unknown {place}"));
    let shape = |place: &str| Err(format!("contract.term_shape {place}"));
    let left = "permission[0].constraint.leftOperand";
    let operator = "permission[0].constraint.operator";
    let right = "permission[0].constraint.rightOperand";
    let eu = json!("twinpact:region/EU");
    for (constraint, expect) in [
        (atom("count", "lteq", json!("5")), unknown(left)),
        (atom("localSchedule", "isPartOf", json!(HOURS)), unknown(left)),
        (atom("odrl:localSchedule", "isPartOf", json!(HOURS)), unknown(left)),
        (atom("twinpact:purpose", "isA", eu.clone()), unknown(left)),
        (atom("cx-policy:Dismantler", "eq", json!("active")), unknown(left)),
        (atom("spatial", "isNoneOf", eu.clone()), unknown(operator)),
        (atom("spatial", "within", eu.clone()), unknown(operator)),
        (atom("spatial", "term-lteq", eu.clone()), unknown(operator)),
        // What the v3 context of an Eclipse connector makes of neq is no operator, and not guessed.
        (atom("purpose", "odrl:neg", json!("urn:x:p")), unknown(operator)),
        (atom("purpose", "http://www.w3.org/ns/odrl/2/neg", json!("urn:x:p")), unknown(operator)),
        (atom("dateTime", "neq", json!("2027-01-01T00:00:00Z")), unknown(operator)),
        (atom("purpose", "hasPart", json!("urn:x:p")), unknown(operator)),
        (atom(SCHEDULE, "eq", json!(HOURS)), unknown(operator)),
        (atom("spatial", "isPartOf", json!("EU")), unknown(right)),
        (atom("spatial", "isPartOf", json!("twinpact:region/XX")), unknown(right)),
        (atom("spatial", "isPartOf", json!("https://x.example/EU")), unknown(right)),
        (atom("purpose", "isA", json!("twinpact:purpose/PredictiveMaintainance")), unknown(right)),
        (atom("purpose", "isA", json!("PredictiveMaintenance")), unknown(right)),
        (atom("purpose", "isA", json!("twinpact:region/EU")), unknown(right)),
        (atom("purpose", "isA", json!("odrl:use")), unknown(right)),
        (atom("purpose", "isA", json!(["urn:x:a", "urn:x:b"])), shape(right)),
        (atom("purpose", "isAnyOf", json!(5)), shape(right)),
        (atom("purpose", "isAnyOf", json!(["urn:x:a", true])), shape(&format!("{right}[1]"))),
        (atom("spatial", "isPartOf", json!([eu, "twinpact:region/US"])), shape(right)),
        (atom(SCHEDULE, "isPartOf", json!("Mo-Fr 07:00-19:00")), shape(right)),
        (atom(SCHEDULE, "isPartOf", json!("Mo-Fr 07:00-19:00 [Europe/Pari]")), shape(right)),
        (atom(SCHEDULE, "isPartOf", json!([HOURS, HOURS])), shape(right)),
        (atom("dateTime", "lt", json!("2027-01-01T00:00:00")), shape(right)),
        (atom("dateTime", "lt", json!("2027-01-01")), shape(right)),
        (
            atom("dateTime", "lt", json!({"@value": "2027-01-01T00:00:00Z", "@type": "xsd:date"})),
            shape(right),
        ),
        (atom("dateTime", "lt", json!({"@value": "x", "@language": "en"})), shape(right)),
        (json!({"leftOperand": "purpose", "operator": "isA"}), shape("permission[0].constraint")),
        (
            json!({"or": [atom("purpose", "isA", json!("urn:x:a"))]}),
            shape("permission[0].constraint.or"),
        ),
        (json!({"xone": []}), shape("permission[0].constraint.xone")),
        (json!({"and": []}), shape("permission[0].constraint.and")),
        (json!({"and": [{"or": []}]}), shape("permission[0].constraint.and[0].or")),
        (json!({"and": [], "leftOperand": "purpose"}), shape("permission[0].constraint.and")),
        (
            json!({"leftOperand": "purpose", "odrl:leftOperand": "purpose"}),
            shape("permission[0].constraint.odrl:leftOperand"),
        ),
        (json!({"leftOperand": "purpose", "unit": "x"}), unknown("permission[0].constraint.unit")),
    ] {
        let policy = with_constraint(constraint);
        assert_eq!(got(&policy), expect, "{policy}");
        // In a prohibition the same: it would otherwise forbid nothing.
        let mut forbidden = policy.clone();
        let rules = forbidden["permission"].take();
        let forbidden = json!({"permission": [{"action": "use"}], "prohibition": rules});
        let expect = expect.map_err(|e| e.replace("permission[", "prohibition["));
        assert_eq!(got(&forbidden), expect, "{forbidden}");
    }
}

#[test]
fn policies_that_are_none() {
    let use_it = json!([{"action": "use"}]);
    let delete = |constraint: Value| {
        let duty = json!({"action": "delete", "constraint": constraint});
        json!({"permission": use_it, "obligation": duty})
    };
    let duty = |policy: Value| json!({"permission": use_it, "obligation": policy});
    for (policy, expect) in [
        (json!([]), "contract.odrl "),
        (json!("x"), "contract.odrl "),
        (json!({}), "contract.term_shape "),
        (json!({"permission": []}), "contract.term_shape "),
        (json!({"permission": use_it, "@type": "Request"}), "contract.term_unknown @type"),
        (json!({"permission": use_it, "permision": []}), "contract.term_unknown permision"),
        (
            json!({"permission": use_it, "profile": "https://x.example/"}),
            "contract.term_unknown profile",
        ),
        (
            json!({"permission": use_it, "@context": "https://x.example/c"}),
            "contract.term_unknown @context",
        ),
        (
            json!({"permission": use_it, "@context": [{"odrl": "https://x.example/"}]}),
            "contract.term_unknown @context[0].odrl",
        ),
        (
            json!({"permission": use_it, "odrl:timestamp": "2026-11-23T09:00:00Z"}),
            "contract.term_unknown odrl:timestamp",
        ),
        (json!({"dspace:permission": use_it}), "contract.term_unknown dspace:permission"),
        (
            json!({"permission": {"action": "use", "@type": "Prohibition"}}),
            "contract.term_unknown permission.@type",
        ),
        (json!({"permission": use_it, "timestamp": "yesterday"}), "contract.odrl timestamp"),
        (json!({"permission": use_it, "target": 5}), "contract.odrl target"),
        (json!({"permission": [{"constraint": []}]}), "contract.term_shape permission[0]"),
        (
            json!({"permission": [{"action": "distribute"}]}),
            "contract.term_unknown permission[0].action",
        ),
        (
            json!({"permission": use_it, "prohibition": {"action": ["use", "sell"]}}),
            "contract.term_unknown prohibition.action[1]",
        ),
        (
            json!({"permission": [{"action": "use", "duty": []}]}),
            "contract.term_unknown permission[0].duty",
        ),
        (
            json!({"target": "urn:x:a", "permission": [{"action": "use", "target": "urn:x:b"}]}),
            "contract.term_shape permission[0].target",
        ),
        (duty(json!({"action": "inform"})), "contract.term_unknown obligation.action"),
        (duty(json!({"action": "delete"})), "contract.term_shape obligation"),
        (
            delete(atom("delayPeriod", "eq", json!("P14D"))),
            "contract.term_unknown obligation.constraint.operator",
        ),
        (
            delete(atom("delayPeriod", "lteq", json!("P1M"))),
            "contract.term_shape obligation.constraint.rightOperand",
        ),
        (
            delete(atom("elapsedTime", "lteq", json!("P1D"))),
            "contract.term_unknown obligation.constraint.leftOperand",
        ),
    ] {
        assert_eq!(got(&policy), Err(expect.to_owned()), "{policy}");
    }
}

#[test]
fn refusals_say_where_and_what_was_meant() {
    let policy = with_constraint(json!([atom("purpsoe", "isA", json!("urn:x:a"))]));
    let problem = read(&policy).unwrap_err();
    assert_eq!(
        problem.message,
        "unknown left operand \"purpsoe\" (at permission[0].constraint[0].leftOperand)"
    );
    assert_eq!(problem.hint.as_deref(), Some("did you mean \"purpose\"?"));
    let bare = with_constraint(atom("localSchedule", "isPartOf", json!(HOURS)));
    let hint = read(&bare).unwrap_err().hint;
    assert_eq!(hint, Some(format!("did you mean {SCHEDULE:?}?")));
}

#[test]
fn nesting_has_a_bound() {
    let nested = |n: usize| {
        let mut inner = atom("purpose", "isA", json!("urn:x:a"));
        for _ in 0..n {
            inner = json!({"and": [inner]});
        }
        got(&with_constraint(inner))
    };
    let bound = twinpact_contract::odrl::MAX_NESTING;
    assert!(nested(bound).is_ok());
    assert!(nested(bound + 1).is_err());
    let rules = |n: usize| json!({"permission": vec![json!({"action": "use"}); n]});
    assert!(got(&rules(twinpact_contract::terms::MAX_RULES)).is_ok());
    assert!(got(&rules(twinpact_contract::terms::MAX_RULES + 1)).is_err());
}
