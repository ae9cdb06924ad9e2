//! Two whole nodes agree on terms of the Catena-X profile; nothing is shown under them.

use crate::pair::{Pair, fill_bound, pin};
use twinpact_node::agreements;

/// What binds the use of the example in place of the hours: one of each kind of right operand.
const CONDITIONS: &str = "            - and:
                - leftOperand: FrameworkAgreement
                  operator: eq
                  rightOperand: DataExchangeGovernance:1.0
                - leftOperand: cx-policy:UsagePurpose
                  operator: isAnyOf
                  rightOperand: [cx.pcf.base:1, PublishDataOnCompanyWebPage]
                - leftOperand: https://w3id.org/catenax/2025/9/policy/DataUsageEndDurationDays
                  operator: eq
                  rightOperand: 30
                - leftOperand: AffiliatesBpnl
                  operator: isAnyOf
                  rightOperand: [BPNL012345678910]
";

#[tokio::test]
async fn an_agreement_that_nobody_can_decide_is_concluded_and_shows_nothing() {
    let pair = Pair::strangers().await;
    pin(pair.operator(), pair.maker()).await;
    pin(pair.maker(), pair.operator()).await;
    fill_bound(pair.operator(), CONDITIONS).await;
    let agreement = pair.agreed().await;
    for node in [pair.operator(), pair.maker()] {
        let known = agreements::show(node, &agreement, None).unwrap();
        assert!(known.terms.contains("if FrameworkAgreement is DataExchangeGovernance:1.0"));
    }
    let refused = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.undecided", "{refused}");
    let says = "nobody here can tell whether AffiliatesBpnl, DataUsageEndDurationDays, \
                FrameworkAgreement and UsagePurpose hold";
    assert!(refused.message.contains(says), "{refused}");
    pair.stop().await;
}
