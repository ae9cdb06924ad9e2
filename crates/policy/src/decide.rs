//! The decision itself: a fold over the checks, in their fixed order, that denies by default.

use crate::checks::{Asked, Check, GATES, Judged};
use crate::decision::{Decision, Facts, Outcome};
use crate::grant::Grant;
use crate::request::{AgreementFacts, Request};
use crate::sentence;
use twinpact_contract::{Rule, Vocabulary};
use twinpact_model::{Code, PolicyTime, Timestamp, WallTime, codes};

/// Decides a request under an agreement.
///
/// The order: the caller is the assignee; the agreement and the view are those of the request; the
/// agreement is active; the token; the assertion; the prohibitions, any of which refuses unless it
/// is known not to apply; the permissions, one of which must be known to hold; the duties, none of
/// which may be one that nobody here can tell the fulfilment of. The first that fails gives the
/// code and the sentence. Policy time decides the terms, wall time the token and the
/// assertion.
#[must_use]
pub fn decide(
    request: &Request,
    agreement: &AgreementFacts,
    now: PolicyTime,
    wall: WallTime,
    vocabulary: &Vocabulary,
) -> Decision {
    let asked = Asked { request, agreement, now: now.0, wall: wall.0, vocabulary };
    let gates = asked.gates();
    let prohibitions = asked.judge(agreement.terms.prohibitions(), "prohibition");
    let permissions = asked.judge(agreement.terms.permissions(), "permission");
    let duties = asked.judge(agreement.terms.undecided_duties(), "obligation");
    let until = asked.valid_until();
    let gated = match gates.iter().find_map(|gate| gate.refusal.clone()) {
        None if gates.len() == GATES => None,
        None => Some((codes::POLICY_UNDEFINED, "a check is missing".to_owned())),
        refusal => refusal,
    };
    let duties_open = !agreement.terms.undecided_duties().is_empty();
    let allowing = granting(&prohibitions, &permissions);
    let opens = match (&gated, allowing) {
        (None, None) if !duties_open => asked.opens_at(),
        _ => None,
    };
    let granting = allowing.filter(|_| !duties_open);
    let (code, sentence) = match (gated, granting) {
        (None, Some(permission)) => (None, asked.permitted(permission.rule, until)),
        (gated, _) => {
            let (code, why) = gated.unwrap_or_else(|| match allowing {
                Some(_) => {
                    let terms = agreement.terms.undecided_duties().iter();
                    sentence::undecided(terms.flat_map(Rule::undecided))
                }
                None => refusal(&asked, &prohibitions, &permissions, opens),
            });
            (Some(code), format!("refused: {why}"))
        }
    };
    let mut checks: Vec<Check> = gates.into_iter().map(|gate| gate.check).collect();
    let judged = [prohibitions, permissions, duties];
    checks.extend(judged.into_iter().flatten().flat_map(|judged| judged.rows));
    finish(&asked, code, checks, sentence, (until, opens))
}

/// The permission that grants, when no prohibition forbids.
fn granting<'j, 'a>(
    prohibitions: &[Judged<'a>],
    permissions: &'j [Judged<'a>],
) -> Option<&'j Judged<'a>> {
    match prohibitions.iter().any(Judged::forbids) {
        true => None,
        false => permissions.iter().find(|judged| judged.grants()),
    }
}

fn refusal(
    asked: &Asked<'_>,
    prohibitions: &[Judged<'_>],
    permissions: &[Judged<'_>],
    opens: Option<Timestamp>,
) -> (Code, String) {
    // What is certain explains better than what cannot be computed.
    let certain = prohibitions.iter().find(|judged| judged.forbids() && judged.certain());
    match certain.or_else(|| prohibitions.iter().find(|judged| judged.forbids())) {
        Some(judged) => asked.forbidden(judged, opens),
        None => asked.not_granted(permissions, opens),
    }
}

fn finish(
    asked: &Asked<'_>,
    refused: Option<Code>,
    checks: Vec<Check>,
    sentence: String,
    (until, opens): (Option<Timestamp>, Option<Timestamp>),
) -> Decision {
    let obligations = match refused {
        None => asked.agreement.terms.obligations().to_vec(),
        Some(_) => Vec::new(),
    };
    let facts = Facts {
        code: refused,
        checks: &checks,
        sentence: &sentence,
        obligations: &obligations,
        valid_until: until,
        wall_until: asked.wall_until(),
        opens_at: opens,
    };
    let (core, input_digest) = facts.record(asked);
    let id = twinpact_proof::sha256(core.canonical().as_bytes());
    let wall_until = facts.wall_until.map(WallTime);
    let outcome = match refused {
        Some(code) => Outcome::Deny(code),
        None => {
            let duties = obligations.clone();
            Outcome::Permit(Box::new(Grant::new(asked, until, wall_until, duties, id)))
        }
    };
    Decision {
        outcome,
        valid_until: until.map(PolicyTime),
        wall_until,
        opens_at: opens.map(PolicyTime),
        obligations,
        input_digest,
        id,
        core,
        checks,
        sentence,
    }
}
