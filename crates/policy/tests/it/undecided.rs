//! Under terms that nobody here can decide nothing is permitted, and the sentence names them.

use crate::world::World;
use serde_json::{Value, json};
use twinpact_contract::odrl;
use twinpact_policy::{Truth, Vocabulary};

fn c(left: &str, operator: &str, right: &str) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

fn rule(constraints: &[Value]) -> Value {
    json!({"action": "use", "constraint": constraints})
}

/// Code, sentence and the names of the checks that could not be computed.
fn check(policy: Value, code: &str, sentence: &str, unknown: &[&str]) {
    let mut world = World::new(odrl::read(&policy).unwrap().terms);
    // Not an hour too early or too late: what is refused is not for the clock to change.
    world.assertion().place = "FR".to_owned();
    let decision = world.decide(&Vocabulary::standard());
    assert_eq!((decision.code_name(), decision.sentence.as_str()), (code, sentence), "{policy}");
    let open = decision.checks.iter().filter(|row| row.outcome == Truth::Unknown);
    assert_eq!(open.map(|row| row.name.as_str()).collect::<Vec<_>>(), unknown, "{policy}");
    if code == "policy.undecided" {
        assert!(decision.opens_at.is_none() && decision.obligations.is_empty(), "{policy}");
    }
}

#[test]
fn a_permission_prohibition_or_duty_that_nobody_can_decide_denies() {
    let framework = || c("FrameworkAgreement", "eq", "DataExchangeGovernance:1.0");
    let purpose = || c("UsagePurpose", "isAnyOf", "cx.pcf.base:1");
    let ours = || c("purpose", "isA", "twinpact:purpose/Maintenance");
    let restriction = || c("UsageRestriction", "isAllOf", "cx.manipulation.forbidden:1");
    let until = || c("DataProvisioningEndDate", "eq", "2027-12-15T12:00:00Z");
    let closed = c("twinpact:odrl/localSchedule", "isPartOf", "Su 00:00-01:00 [UTC]");
    check(
        json!({"permission": rule(&[framework()])}),
        "policy.undecided",
        "refused: nobody here can tell whether FrameworkAgreement holds; \
         negotiate an agreement without that",
        &["permission 1: FrameworkAgreement"],
    );
    check(
        json!({"permission": rule(&[purpose(), ours(), framework(), closed])}),
        "policy.undecided",
        "refused: nobody here can tell whether FrameworkAgreement and UsagePurpose hold; \
         negotiate an agreement without that",
        &["permission 1: FrameworkAgreement", "permission 1: UsagePurpose"],
    );
    // What is certain and in the hands of who asks is said first.
    let other = c("purpose", "isA", "twinpact:purpose/Marketing");
    check(
        json!({"permission": rule(&[framework(), other.clone()])}),
        "policy.purpose",
        "refused: the purpose is predictive maintenance and the agreement allows use for marketing; \
         ask for what it allows, or negotiate another agreement",
        &["permission 1: FrameworkAgreement"],
    );
    check(
        json!({"permission": rule(&[ours()]), "prohibition": rule(&[restriction()])}),
        "policy.undecided",
        "refused: nobody here can tell whether UsageRestriction holds; \
         negotiate an agreement without that",
        &["prohibition 1: UsageRestriction"],
    );
    check(
        json!({"permission": rule(&[ours()]), "obligation": rule(&[until()])}),
        "policy.undecided",
        "refused: nobody here can tell whether DataProvisioningEndDate holds; \
         negotiate an agreement without that",
        &["obligation 1: DataProvisioningEndDate"],
    );
    // To see the offer is not to use the data.
    check(
        json!({"permission": {"action": "access", "constraint": c("Membership", "eq", "active")}}),
        "policy.undefined",
        "refused: the agreement grants nothing of that kind; negotiate one that does",
        &[],
    );
}

#[test]
fn what_does_not_depend_on_them_is_decided() {
    let restriction = c("UsageRestriction", "isAllOf", "cx.manipulation.forbidden:1");
    let marketing = c("purpose", "isA", "twinpact:purpose/Marketing");
    let framework = c("FrameworkAgreement", "eq", "DataExchangeGovernance:1.0");
    for policy in [
        // A prohibition of which one condition is known not to hold.
        json!({"permission": rule(&[]), "prohibition": rule(&[restriction, marketing])}),
        // Another permission, which holds.
        json!({"permission": [rule(&[framework]), rule(&[])]}),
    ] {
        let world = World::new(odrl::read(&policy).unwrap().terms);
        assert!(world.decide(&Vocabulary::standard()).permits(), "{policy}");
    }
}
