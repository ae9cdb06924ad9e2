//! Contracts: the example is clean, and each kind of mistake is found where it stands.

use crate::agreement::agreement;
use twinpact_contract::document::{
    MAX_CONTRACT_BYTES, MAX_CONTRACT_DEPTH, MAX_PROPERTIES, OnViolation, render,
};
use twinpact_contract::{Contract, Diagnostic, Severity, odrl};
use twinpact_model::{AttributeModel, Datatype, Merge, TypeModel};

const EXAMPLE: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
/// The type model that the example pins, as it is shipped beside it.
const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");

fn attribute(name: &str, datatype: Datatype, unit: Option<&str>) -> AttributeModel {
    AttributeModel {
        name: name.into(),
        datatype,
        unit: unit.map(str::to_owned),
        min: None,
        max: None,
        merge: Merge::LwwRecorded,
        description: None,
    }
}

fn model() -> TypeModel {
    TypeModel {
        model: "wind-turbine".into(),
        version: 1,
        description: None,
        retention_class: "operational".into(),
        attributes: vec![
            attribute("power", Datatype::Double, Some("kW")),
            attribute("pitch", Datatype::Double, Some("deg")),
            attribute("wind_speed", Datatype::Double, Some("m/s")),
            attribute("state", Datatype::String, None),
        ],
    }
}

fn example() -> Contract {
    Contract::parse(EXAMPLE.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"))
}

/// `severity code line`, for each finding of reading or, when it reads, of lint.
fn findings(source: &str) -> Vec<Diagnostic> {
    match Contract::parse(source.as_bytes()) {
        Ok(contract) => contract.lint(Some(&model())),
        Err(found) => found,
    }
}

/// Replaces one text of the example and expects one finding, at the line of `at` in the result.
fn check(from: &str, to: &str, code: &str, at: &str) {
    assert!(EXAMPLE.contains(from), "{from}");
    let source = EXAMPLE.replacen(from, to, 1);
    let found = findings(&source);
    let line = 1 + source.lines().position(|line| line.contains(at)).expect(at);
    let got: Vec<(&str, usize)> = found.iter().map(|d| (d.code.name, d.line)).collect();
    assert_eq!(got, [(code, line)], "{to}\n{}", render(&found, "x", &source));
}

const ASKER: &str = "did:web:maker.example";

#[test]
fn the_example_is_clean_and_says_what_the_agreement_says() {
    let contract = example();
    assert_eq!(contract.lint(Some(&model())), []);
    let shipped: TypeModel = toml::from_str(MODEL).unwrap();
    assert_eq!(contract.lint(Some(&shipped)), []);
    assert_eq!(contract.view_id(), "https://operator.example/id/views/turbine-maintenance/1.0.0");
    assert_eq!(contract.terms(), &odrl::read(&agreement()).unwrap().terms);
    assert_eq!(contract.on_violation, OnViolation::Reject);
    let selection = contract.selection(&model(), ASKER).unwrap();
    assert!(selection.twins.is_empty());
    assert_eq!(selection.rows.unwrap().to_string(), "Mo-Fr 07:00-19:00 [Europe/Paris]");
    let columns: Vec<(String, Option<String>)> =
        selection.columns.into_iter().map(|c| (c.name, c.unit)).collect();
    let column = |name: &str, unit: &str| (name.to_owned(), Some(unit.to_owned()));
    assert_eq!(
        columns,
        [column("power", "kW"), column("pitch", "deg"), column("wind_speed", "m/s")]
    );
    assert_eq!(contract.digest, twinpact_proof::sha256(EXAMPLE.as_bytes()));
    let newer = TypeModel { version: 2, ..model() };
    assert_eq!(contract.selection(&newer, ASKER).unwrap_err().code.name, "contract.model");
}

/// The example with a condition of the Catena-X profile in place of its purpose.
fn with_condition(right: &str) -> String {
    let purpose = "- leftOperand: http://www.w3.org/ns/odrl/2/purpose
              operator: isAnyOf
              rightOperand: [\"https://w3id.org/twinpact/purpose/PredictiveMaintenance\"]";
    assert!(EXAMPLE.contains(purpose));
    let condition = "- leftOperand: cx-policy:DataUsageEndDurationDays
              operator: eq
              rightOperand: ";
    EXAMPLE.replacen(purpose, &format!("{condition}{right}"), 1)
}

#[test]
fn terms_that_nobody_can_decide_are_warned_of() {
    let [found] = <[Diagnostic; 1]>::try_from(findings(&with_condition("30"))).unwrap();
    assert_eq!((found.severity, found.code.name), (Severity::Warning, "contract.undecided"));
    assert_eq!(
        found.message,
        "no request is permitted under this contract yet: \
         nobody here can tell whether DataUsageEndDurationDays holds"
    );
    // Where another permission holds, or a prohibition has another condition, some are.
    let restriction = "prohibition:
        - action: use
          constraint:
            - leftOperand: UsageRestriction
              operator: isAllOf
              rightOperand: [cx.derivations.forbidden:1]
            - leftOperand: http://www.w3.org/ns/odrl/2/spatial
              operator: isPartOf
              rightOperand: https://w3id.org/twinpact/region/HU
      obligation:";
    let source = EXAMPLE.replacen("obligation:", restriction, 1);
    let found = findings(&source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.starts_with("no request that depends on it"), "{found:?}");
    // A value that the profile does not have is an error where it stands.
    let source = with_condition("soon");
    let found = findings(&source);
    let line = 1 + source.lines().position(|line| line.contains("soon")).unwrap();
    let got: Vec<(&str, usize)> = found.iter().map(|d| (d.code.name, d.line)).collect();
    assert_eq!(got, [("contract.term_shape", line)]);
}

/// A text of the example, what stands in its place, the code, and a text of the line that is found.
type Mistake = (&'static str, &'static str, &'static str, &'static str);

/// Shape of the document.
const SHAPE: &[Mistake] = &[
    ("apiVersion: v3.2.0", "apiVersion: v3.1.0", "contract.value", "apiVersion"),
    ("kind: DataContract", "kind: Contract", "contract.value", "kind"),
    (
        "name: turbine-maintenance\n",
        "nmae: turbine-maintenance\nname: x\n",
        "contract.unknown_key",
        "nmae",
    ),
    (
        "name: turbine-maintenance\n",
        "name: turbine maintenance\n",
        "contract.value",
        "name: turbine m",
    ),
    ("name: turbine-maintenance\n", "", "contract.missing", "apiVersion"),
    ("version: 1.0.0", "version: 1.0", "contract.value", "version: 1.0"),
    ("version: 1.0.0", "version: '1.0'", "contract.value", "version: '1.0'"),
    ("status: active", "status: aktive", "contract.value", "aktive"),
    ("status: active", "status: ", "contract.value", "status:"),
    ("tenant: did:web:operator.example", "tenant: operator", "input.iri", "tenant"),
    ("tenant: did:web:operator.example", "tenant: did:key:z6Mk", "contract.value", "tenant"),
    ("schema:\n", "schema:\n  - {id: more, name: more}\n", "contract.value", "{id: more"),
    (
        "        logicalType: number\n        description: Active",
        "        logicaltype: number\n        logicalType: number\n        description: Active",
        "contract.unknown_key",
        "logicaltype",
    ),
    ("logicalType: object", "logicalType: blob", "contract.value", "blob"),
    ("        logicalType: number\n", "        logicalType: numbr\n", "contract.value", "numbr"),
    ("        logicalType: number\n", "        logicalType: array\n", "contract.value", "array"),
    (
        "        logicalType: number\n",
        "        required: 1\n        logicalType: number\n",
        "contract.value",
        "required",
    ),
    ("        name: pitch\n", "        name: power # twice\n", "contract.value", "# twice"),
    ("value: kW}", "value: kW, vender: x}", "contract.unknown_key", "vender"),
    (
        "property: unit, vendor: twinpact, value: kW",
        "property: unti, vendor: twinpact, value: kW",
        "contract.value",
        "unti",
    ),
    ("value: PT10M", "value: 10 minutes", "contract.value", "10 minutes"),
    ("value: PT10M", "value: 10, unit: m", "contract.value", "unit: m"),
    (
        "  - {id: cadence",
        "  - {property: retention}\n  - {id: cadence",
        "contract.missing",
        "{property: retention}",
    ),
];

/// Ours.
const OURS: &[Mistake] = &[
    (
        "    logicalType: object\n",
        "    customProperties: [{property: unit, vendor: twinpact, value: kW}] # here\n",
        "contract.value",
        "# here",
    ),
    (
        "value: PT10M}",
        "value: PT10M, customProperties: [{property: x, vendor: twinpact, value: 1}]}",
        "contract.value",
        "PT10M, custom",
    ),
    ("onShapeViolation", "onShapeViolaton", "contract.value", "onShapeViolaton"),
    ("value: wind-turbine@1", "value: wind-turbine", "contract.value", "value: wind-turbine"),
    ("value: all", "value: []", "contract.value", "value: []"),
    ("value: all", "value: [turbine]", "input.iri", "[turbine]"),
    ("{localSchedule: \"Mo-Fr", "{localSchedule: \"Mon-Fri", "input.schedule", "Mon-Fri"),
    ("{localSchedule:", "{schedule:", "contract.value", "{schedule:"),
    ("value: reject", "value: refuse", "contract.value", "value: refuse"),
];

/// Terms: where the cause stands, deep inside the offer.
const TERMS: &[Mistake] = &[
    ("operator: isAnyOf", "operator: isAny", "contract.term_unknown", "operator: isAny"),
    (
        "purpose/PredictiveMaintenance\"",
        "purpose/Predictive\"",
        "contract.term_unknown",
        "purpose/Predictive\"",
    ),
    ("region/EU", "region/Europe", "contract.term_unknown", "region/Europe"),
    ("rightOperand: P14D", "rightOperand: P2M", "contract.term_shape", "P2M"),
    ("      obligation:", "      obligations:", "contract.term_unknown", "obligations:"),
    (
        "\"@type\": Offer",
        "\"@type\": Offer\n      target: https://x.example/v",
        "contract.value",
        "target:",
    ),
    (
        "\"@type\": Offer",
        "\"@type\": Offer\n      assignee: did:web:maker.example",
        "contract.value",
        "assignee:",
    ),
];

/// Against the type model and itself.
const AGAINST: &[Mistake] = &[
    ("        name: pitch\n", "        name: pitsch\n", "contract.model", "name: pitsch"),
    (
        "        logicalType: number\n",
        "        logicalType: integer\n",
        "contract.model",
        "integer",
    ),
    ("value: deg", "value: rad", "contract.model", "name: pitch"),
    ("wind-turbine@1", "wind-turbine@2", "contract.model", "wind-turbine@2"),
    (
        "      - id: pitch\n        name: pitch",
        "      - name: pitch",
        "contract.identity",
        "name: pitch",
    ),
    ("      - id: pitch\n", "      - id: power\n", "contract.identity", "name: pitch"),
    ("  purpose: Power,", "  domain: Power,", "contract.missing", "domain: Power"),
];

#[test]
fn each_mistake_is_found_where_it_stands() {
    for (from, to, code, at) in [SHAPE, OURS, TERMS, AGAINST].concat() {
        check(from, to, code, at);
    }
}

#[test]
fn several_mistakes_are_found_at_once() {
    let source = EXAMPLE
        .replace("status: active", "status: aktive")
        .replace("operator: isPartOf", "operator: partOf")
        .replace("name: wind_speed", "nam: wind_speed");
    let found = findings(&source);
    let codes: Vec<&str> = found.iter().map(|d| d.code.name).collect();
    assert_eq!(
        codes,
        ["contract.value", "contract.missing", "contract.unknown_key", "contract.term_unknown"]
    );
    assert!(found.windows(2).all(|pair| pair[0].line <= pair[1].line));
    assert_eq!(found[0].hint.as_deref(), Some("did you mean \"active\"?"));
}

#[test]
fn dates_retention_and_hours() {
    let levels =
        |more: &str| EXAMPLE.replace("slaProperties:\n", &format!("slaProperties:\n{more}"));
    let level = |name: &str, value: &str| format!("  - {{property: {name}, value: {value}}}\n");
    let found = |source: &str| -> Vec<(Severity, &'static str)> {
        findings(source).iter().map(|d| (d.severity, d.code.name)).collect()
    };
    let (support, life) = (level("endOfSupport", "2027-12-31"), level("endOfLife", "2027-06-30"));
    assert_eq!(found(&levels(&(support.clone() + &life))), [(Severity::Error, "contract.dates")]);
    let later = level("endOfLife", "2028-06-30");
    assert_eq!(found(&levels(&(support.clone() + &later))), []);
    let created =
        levels(&support).replace("status:", "contractCreatedTs: 2028-01-01T00:00:00Z\nstatus:");
    assert_eq!(found(&created), [(Severity::Error, "contract.dates")]);
    assert_eq!(
        found(&levels(&(support.clone() + &support))),
        [(Severity::Error, "contract.value")]
    );

    assert_eq!(found(&levels(&level("retention", "P14D"))), []);
    let short = levels(&level("retention", "P7D"));
    assert_eq!(found(&short), [(Severity::Warning, "contract.retention")]);
    let no_duty = levels(&level("retention", "P7D"));
    let no_duty = no_duty.split("      obligation:").next().unwrap();
    assert_eq!(found(no_duty), [(Severity::Warning, "contract.retention")]);

    for (fresh, expect) in [
        ("PT1H", vec![]),
        ("PT10M", vec![]),
        ("PT9M59S", vec![(Severity::Warning, "contract.freshness")]),
    ] {
        assert_eq!(found(&EXAMPLE.replace("value: PT1H", &format!("value: {fresh}"))), expect);
    }

    let open = EXAMPLE.replace("property: rowFilter", "property: rowFilter_").replace(
        "    vendor: twinpact\n    value: {localSchedule",
        "    vendor: other\n    value: {localSchedule",
    );
    assert_eq!(found(&open), [(Severity::Note, "contract.row_filter")]);
    // A custom property of ours without a vendor is said to be ignored.
    let silent = EXAMPLE.replace(", vendor: twinpact, value: kW", ", value: kW");
    assert_eq!(
        found(&silent),
        [(Severity::Warning, "contract.model"), (Severity::Warning, "contract.value")]
    );
    let unitless = EXAMPLE.replace("id: pitch", "id: state").replace(
        "name: pitch\n        logicalType: number",
        "name: state\n        logicalType: string",
    );
    assert_eq!(found(&unitless), [(Severity::Error, "contract.model")]);
}

#[test]
fn twins_attributes_and_hosts() {
    let source = EXAMPLE
        .replace("value: all", "value: [\"urn:turbine:b\", \"urn:turbine:a\", \"urn:turbine:b\"]")
        .replace("did:web:operator.example", "did:web:localhost%3A8443")
        .replace("name: pitch\n", "name: blade\n")
        .replace(
            "value: deg}",
            "value: deg}\n          - {property: attribute, vendor: twinpact, value: pitch}",
        );
    let contract = Contract::parse(source.as_bytes()).unwrap();
    assert_eq!(contract.lint(Some(&model())), []);
    let selection = contract.selection(&model(), ASKER).unwrap();
    assert_eq!(selection.twins, ["urn:turbine:a", "urn:turbine:b"]);
    assert_eq!((&*selection.columns[1].name, &*selection.columns[1].attribute), ("blade", "pitch"));
    assert_eq!(contract.view_id(), "https://localhost:8443/id/views/turbine-maintenance/1.0.0");
}

#[test]
fn bounds() {
    let columns = |n: usize| {
        let mut schema = String::from("schema:\n  - id: t\n    name: t\n    properties:\n");
        for i in 0..n {
            schema.push_str(&format!("      - {{id: c{i}, name: c{i}, logicalType: number}}\n"));
        }
        let (before, after) = EXAMPLE.split_once("schema:\n").unwrap();
        let (_, after) = after.split_once("slaProperties:").unwrap();
        Contract::parse(format!("{before}{schema}slaProperties:{after}").as_bytes())
    };
    assert_eq!(columns(MAX_PROPERTIES).unwrap().object.properties.len(), MAX_PROPERTIES);
    assert_eq!(columns(MAX_PROPERTIES + 1).unwrap_err()[0].code.name, "contract.too_large");
    assert!(columns(0).unwrap_err().iter().any(|d| d.code.name == "contract.missing"));
    let padded = |n: usize| {
        let pad = n - EXAMPLE.len() - 2;
        Contract::parse(format!("{EXAMPLE}# {}", "x".repeat(pad)).as_bytes())
    };
    assert!(padded(MAX_CONTRACT_BYTES).is_ok());
    assert_eq!(padded(MAX_CONTRACT_BYTES + 1).unwrap_err()[0].code.name, "contract.too_large");
    let deep = |n: usize| {
        let source = format!("{EXAMPLE}price: {}{}\n", "[".repeat(n), "]".repeat(n));
        Contract::parse(source.as_bytes())
    };
    assert!(deep(MAX_CONTRACT_DEPTH - 1).is_ok());
    assert_eq!(deep(MAX_CONTRACT_DEPTH).unwrap_err()[0].code.name, "contract.too_large");
    for text in ["", "x", "[]", "\u{0}", "a: *b", "? {a: b}\n: c"] {
        assert!(Contract::parse(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn a_finding_reads_like_a_compilers() {
    let source = EXAMPLE.replace("status: active", "status: aktive");
    let found = findings(&source);
    assert_eq!(
        render(&found, "turbine.odcs.yaml", &source),
        "turbine.odcs.yaml:8:9: error[contract.value]: unknown status \"aktive\"\n\
         8 | status: aktive\n\x20 |         ^^^^^^\n\
         hint: did you mean \"active\"?\n\n\
         turbine.odcs.yaml: 1 errors, 0 warnings, 0 notes\n"
    );
}
