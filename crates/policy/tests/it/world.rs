//! One agreement, one caller, one request; tests change what they are about.

use serde_json::{Value, json};
use twinpact_contract::{Terms, odrl};
use twinpact_model::{
    Column, ModelRef, PolicyTime, Problem, Schedule, Selection, Timestamp, WallTime,
};
use twinpact_policy::{
    Action, AgreementFacts, Assertion, Assurance, Caller, Decision, Recognised, Request, State,
    TokenFacts, Vocabulary, decide,
};

pub(crate) const VIEW: &str = "https://operator.example/id/views/turbine-maintenance/1.0.0";
pub(crate) const WALL: &str = "2026-11-24T12:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn c(left: &str, operator: &str, right: Value) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

fn hours(text: &str) -> Value {
    c("twinpact:odrl/localSchedule", "isPartOf", json!(text))
}

fn purpose(name: &str) -> Value {
    c("purpose", "isAnyOf", json!([format!("twinpact:purpose/{name}")]))
}

fn place(code: &str) -> Value {
    c("spatial", "isPartOf", json!(format!("twinpact:region/{code}")))
}

fn date(operator: &str, text: &str) -> Value {
    c("dateTime", operator, json!(text))
}

fn rule(constraints: Vec<Value>) -> Value {
    json!({"action": "use", "constraint": constraints})
}

fn wind() -> Vec<Value> {
    vec![purpose("PredictiveMaintenance"), place("EU"), hours("Mo-Fr 07:00-19:00 [Europe/Paris]")]
}

/// The terms that the golden table names.
pub(crate) fn terms(name: &str) -> Result<Terms, Problem> {
    let with = |more: Value| {
        let mut all = wind();
        all.push(more);
        json!({"permission": rule(all)})
    };
    let but = |constraints: Vec<Value>| json!({"permission": rule(wind()), "prohibition": rule(constraints)});
    let any = |more: Vec<Value>| json!({"permission": rule(vec![]), "prohibition": rule(more)});
    let policy = match name {
        "wind" => json!({"permission": rule(wind()), "obligation": {"action": "delete",
            "constraint": c("delayPeriod", "lteq", json!("P14D"))}}),
        "maintenance" => json!({"permission": rule(vec![purpose("Maintenance")])}),
        "exactly maintenance" => {
            let exactly = c("purpose", "eq", json!("twinpact:purpose/Maintenance"));
            json!({"permission": rule(vec![exactly])})
        }
        "anything" => json!({"permission": rule(vec![])}),
        "forbidden" => json!({"prohibition": rule(vec![purpose("Marketing")])}),
        "france or weekends" => json!({"permission": [rule(vec![place("FR")]),
            rule(vec![hours("Sa-Su 00:00-24:00 [Europe/Paris]")])]}),
        "night" => json!({"permission": rule(vec![hours("Sa 22:00-06:00 [Europe/Paris]")])}),
        "small hours" => json!({"permission": rule(vec![hours("Su 02:00-03:00 [Europe/Paris]")])}),
        "until august" => with(date("lt", "2015-08-01T00:00:00+02:00")),
        "until august inclusive" => with(date("lteq", "2015-08-03T08:00:00+02:00")),
        "from august" => with(date("gteq", "2015-08-01T00:00:00+02:00")),
        "after august" => with(date("gt", "2015-08-03T08:00:00+02:00")),
        "at one instant" => {
            json!({"permission": rule(vec![date("eq", "2015-07-24T12:00:00+02:00")])})
        }
        "not in hungary" => but(vec![place("HU")]),
        "not for marketing" => any(vec![purpose("Marketing")]),
        "not on fridays" => but(vec![hours("Fr 00:00-24:00 [Europe/Paris]")]),
        "not before august" => any(vec![date("lt", "2015-08-01T00:00:00+02:00")]),
        "not after august" => any(vec![date("gteq", "2015-08-01T00:00:00+02:00")]),
        "not for foreign" => any(vec![c("purpose", "isA", json!("https://x.example/purpose"))]),
        "never" => any(vec![]),
        "unknown operand" => with(c("count", "lteq", json!("5"))),
        "unknown operator" => with(c("spatial", "isNoneOf", json!("twinpact:region/EU"))),
        "unknown purpose" => with(purpose("Maintainance")),
        "unknown zone" => with(hours("Mo-Fr 07:00-19:00 [Europe/Pari]")),
        "unknown action" => json!({"permission": {"action": "distribute"}}),
        "unknown in a prohibition" => any(vec![c("recipient", "eq", json!("urn:x"))]),
        "alternatives" => with(json!({"or": [place("US"), place("CA")]})),
        other => panic!("no terms {other:?}"),
    };
    odrl::read(&policy).map(|policy| policy.terms)
}

/// Everything that one decision is made from.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) request: Request,
    pub(crate) agreement: AgreementFacts,
    pub(crate) now: Timestamp,
    pub(crate) wall: Timestamp,
}

impl World {
    /// The maker asks for the view at noon of a Friday, from France, to predict maintenance.
    pub(crate) fn new(terms: Terms) -> Self {
        let spiffe_id = "spiffe://maker.example/node".to_owned();
        let agreement = "a1".repeat(32);
        let transfer = "urn:uuid:9d2f".to_owned();
        let wall = at(WALL);
        let column = |name: &str, unit: &str| Column {
            attribute: name.to_owned(),
            name: name.to_owned(),
            datatype: "double".to_owned(),
            unit: Some(unit.to_owned()),
        };
        World {
            request: Request {
                action: Action::Use,
                view: VIEW.to_owned(),
                agreement: agreement.clone(),
                transfer: transfer.clone(),
                caller: Caller {
                    participant: "did:web:maker.example".to_owned(),
                    spiffe_id: spiffe_id.clone(),
                    by: Recognised::Certificate,
                },
                token: Some(TokenFacts {
                    agreement: agreement.clone(),
                    transfer,
                    view: VIEW.to_owned(),
                    spiffe_id,
                    epoch: 3,
                    expires: WallTime(wall.plus_seconds(600)),
                }),
                token_fault: None,
                assertion_fault: None,
                assertion: Some(Assertion {
                    jti: "j-1".to_owned(),
                    digest: [7; 32],
                    issuer: "did:web:maker.example".to_owned(),
                    audience: "did:web:operator.example".to_owned(),
                    agreement: agreement.clone(),
                    purpose: "https://w3id.org/twinpact/purpose/PredictiveMaintenance".to_owned(),
                    place: "FR".to_owned(),
                    assurance: Assurance::Declared,
                    issued: WallTime(wall.plus_seconds(-30)),
                    expires: WallTime(wall.plus_seconds(270)),
                }),
            },
            agreement: AgreementFacts {
                id: agreement,
                at_id: "urn:uuid:a3c7f2d4".to_owned(),
                assigner: "did:web:operator.example".to_owned(),
                assignee: "did:web:maker.example".to_owned(),
                target: VIEW.to_owned(),
                terms: terms.into(),
                state: State::Active,
                epoch: 3,
                selection: Selection {
                    model: ModelRef { name: "wind-turbine".to_owned(), version: 1 },
                    twins: vec!["urn:turbine:R80711".to_owned()],
                    columns: vec![column("power", "kW"), column("wind_speed", "m/s")],
                    rows: Some(Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap()),
                    since: None,
                    until: None,
                    after: None,
                    only: None,
                    links: None,
                },
            },
            now: at("2015-07-24T12:00:00+02:00"),
            wall,
        }
    }

    pub(crate) fn assertion(&mut self) -> &mut Assertion {
        self.request.assertion.as_mut().unwrap()
    }

    pub(crate) fn token(&mut self) -> &mut TokenFacts {
        self.request.token.as_mut().unwrap()
    }

    pub(crate) fn decide(&self, vocabulary: &Vocabulary) -> Decision {
        let (now, wall) = (PolicyTime(self.now), WallTime(self.wall));
        decide(&self.request, &self.agreement, now, wall, vocabulary)
    }
}
