//! Contracts about links: what they say, and each kind of mistake where it stands.

use twinpact_contract::Contract;
use twinpact_contract::document::{LinkEnds, render};
use twinpact_model::{Predicate, ShownLinks, TypeModel};

const EXAMPLE: &str = include_str!("../../../../examples/wind/turbine-links.odcs.yaml");
const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
const MAKER: &str = "did:web:maker.example";

fn model() -> TypeModel {
    toml::from_str(MODEL).unwrap()
}

#[test]
fn the_example_grants_the_links_to_parts_of_the_asker() {
    let contract = Contract::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(contract.lint(Some(&model())), []);
    assert_eq!(contract.view_id(), "https://operator.example/id/links/turbine-links/1.0.0");
    let selection = contract.selection(&model(), MAKER).unwrap();
    let columns: Vec<&str> = selection.columns.iter().map(|c| c.attribute.as_str()).collect();
    assert_eq!(columns, ["predicate", "direction", "other", "owner"]);
    assert_eq!(selection.only, None);
}

#[test]
fn predicates_and_ends_are_chosen() {
    let check = |value: &str, predicates: &[Predicate], ends: LinkEnds| {
        let source = EXAMPLE.replacen("{predicates: [part-of], ends: asker}", value, 1);
        let contract = Contract::parse(source.as_bytes()).unwrap_or_else(|e| panic!("{e:?}"));
        let granted = contract.links.clone().unwrap();
        assert_eq!((granted.predicates.as_slice(), granted.ends), (predicates, ends), "{value}");
        let only_of = (ends == LinkEnds::Asker).then(|| MAKER.to_owned());
        let selection = contract.selection(&model(), MAKER).unwrap();
        assert_eq!(selection.links, Some(ShownLinks { predicates: predicates.to_vec(), only_of }));
    };
    check("{predicates: [part-of], ends: asker}", &[Predicate::PartOf], LinkEnds::Asker);
    check("{predicates: all, ends: all}", Predicate::ALL, LinkEnds::All);
    let two = [Predicate::PartOf, Predicate::DerivedFrom];
    check("{ends: all, predicates: [derived-from, part-of]}", &two, LinkEnds::All);
}

#[test]
fn mistakes_are_found_where_they_stand() {
    let check = |from: &str, to: &str, code: &str, at: &str| {
        assert!(EXAMPLE.contains(from), "{from}");
        let source = EXAMPLE.replacen(from, to, 1);
        let found = Contract::parse(source.as_bytes()).unwrap_err();
        let line = 1 + source.lines().position(|line| line.contains(at)).expect(at);
        let got: Vec<(&str, usize)> = found.iter().map(|d| (d.code.name, d.line)).collect();
        assert_eq!(got, [(code, line)], "{to}\n{}", render(&found, "x", &source));
    };
    let (value, line) = ("{predicates: [part-of], ends: asker}", "    value: {pre");
    check(value, "{predicates: [part-of]}", "contract.missing", line);
    check(value, "{ends: all}", "contract.missing", "value: {ends");
    check(value, "all", "contract.missing", "    value: all");
    check("[part-of]", "[part_of]", "contract.value", line);
    check("[part-of]", "[]", "contract.value", line);
    check("[part-of]", "part-of", "contract.value", line);
    check("[part-of]", "[part-of, 7]", "contract.value", line);
    check("ends: asker}", "ends: everybody}", "contract.value", line);
    check("ends: asker}", "ends: 1}", "contract.value", line);
    check("ends: asker}", "ends: asker, depth: 3}", "contract.value", line);
    let columns = "- id: link";
    let owner = "      - {id: owner, name: owner, logicalType: string}\n";
    let other = "      - {id: other, name: other, logicalType: string}\n";
    check(other, "", "contract.value", columns);
    check("name: other,", "name: ende,", "contract.value", columns);
    check(
        "name: owner, logicalType: string",
        "name: owner, logicalType: number",
        "contract.value",
        columns,
    );
    check(
        owner,
        &format!("{owner}      - {{id: x, name: x, logicalType: string}}\n"),
        "contract.value",
        columns,
    );
    let unit =
        "logicalType: string, customProperties: [{property: unit, vendor: twinpact, value: kW}]}\n";
    check("logicalType: string}\n", unit, "contract.value", columns);
    check("property: links", "property: lniks", "contract.value", "lniks");
    // Without the last column nobody is told whose the other ends are.
    assert!(Contract::parse(EXAMPLE.replacen(owner, "", 1).as_bytes()).is_ok());
}
