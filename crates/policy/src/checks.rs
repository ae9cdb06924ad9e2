//! The checks of a decision, in their fixed order: caller, agreement, view, state, token,
//! assertion, then one row for each condition of each prohibition and each permission, and of each
//! duty that nobody here can tell the fulfilment of.
//!
//! Every check yields exactly one row, also when an earlier one failed, so that a record explains
//! itself and a missing row shows.

use crate::request::{
    AgreementFacts, Assertion, Assurance, MAX_ASSERTION_S, MAX_SKEW_S, Recognised, Request, State,
    TokenFacts,
};
use crate::sentence;
use twinpact_contract::vocabulary::place_iri;
use twinpact_contract::{Constraint, Rule, Situation, Truth, Vocabulary, text};
use twinpact_model::{Code, Timestamp, codes};

/// One row of the explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked: `caller`, …, `permission 1: schedule`.
    pub name: String,
    /// What would let it pass.
    pub expected: String,
    /// What there was.
    pub actual: String,
    /// Whether it passed; unknown when that could not be computed.
    pub outcome: Truth,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    pub(crate) agreement: &'a AgreementFacts,
    pub(crate) now: Timestamp,
    pub(crate) wall: Timestamp,
    pub(crate) vocabulary: &'a Vocabulary,
}

/// A check before the rules are asked, and what it refuses with.
pub(crate) struct Gate {
    pub(crate) check: Check,
    pub(crate) refusal: Option<(Code, String)>,
}

/// How many gates there are; fewer rows than that deny.
pub(crate) const GATES: usize = 6;

/// The rows of one rule.
pub(crate) struct Judged<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) rows: Vec<Check>,
}

impl Judged<'_> {
    /// How many rows it must have.
    fn expected_rows(&self) -> usize {
        self.rule.constraints.len().max(1)
    }

    /// As a permission: every condition is there and holds.
    pub(crate) fn grants(&self) -> bool {
        self.rows.len() == self.expected_rows()
            && self.rows.iter().all(|row| row.outcome == Truth::True)
    }

    /// As a prohibition: not one condition is known not to hold. A missing row forbids.
    pub(crate) fn forbids(&self) -> bool {
        self.rows.len() != self.expected_rows()
            || self.rows.iter().all(|row| row.outcome != Truth::False)
    }

    /// As a prohibition: every condition is known to hold.
    pub(crate) fn certain(&self) -> bool {
        self.grants()
    }

    /// The conditions that are not known to hold.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&Constraint, &Check)> {
        let pairs = self.rule.constraints.iter().zip(&self.rows);
        pairs.filter(|(_, row)| row.outcome != Truth::True)
    }
}

impl<'a> Asked<'a> {
    /// The purpose and the place that are signed for, at some instant.
    pub(crate) fn situation<'s>(&'s self, place: Option<&'s str>, now: Timestamp) -> Situation<'s> {
        let purpose = self.request.assertion.as_ref().map(|a| a.purpose.as_str());
        Situation { purpose, place, now }
    }

    /// The place that is signed for, as a full IRI.
    pub(crate) fn place(&self) -> Option<String> {
        self.request.assertion.as_ref().map(|a| place_iri(&a.place))
    }

    /// The gates, in their order.
    pub(crate) fn gates(&self) -> Vec<Gate> {
        vec![
            self.caller(),
            self.agreement(),
            self.view(),
            self.state(),
            self.token(),
            self.assertion(),
        ]
    }

    fn caller(&self) -> Gate {
        let (expected, actual) = (&self.agreement.assignee, &self.request.caller.participant);
        let why = format!(
            "{actual} is not the assignee of this agreement; ask with the identity that agreed, or \
             negotiate an agreement of your own"
        );
        // That it was recognised by less than a certificate is part of what was found.
        let found = match self.request.caller.by {
            Recognised::Certificate => actual.clone(),
            lower => format!("{actual}, by {}", lower.words()),
        };
        gate(
            "caller",
            expected,
            &found,
            (expected != actual).then_some((codes::POLICY_CALLER, why)),
        )
    }

    fn agreement(&self) -> Gate {
        let (expected, actual) = (&self.agreement.id, &self.request.agreement);
        let why =
            "the request names another agreement; ask under the agreement of this view".to_owned();
        let refusal = (expected != actual).then_some((codes::POLICY_AGREEMENT, why));
        gate("agreement", expected, actual, refusal)
    }

    fn view(&self) -> Gate {
        let (expected, actual) = (&self.agreement.target, &self.request.view);
        let why = format!("the agreement does not cover the view {actual}; it is about {expected}");
        gate(
            "view",
            expected,
            actual,
            (expected != actual).then_some((codes::POLICY_AGREEMENT, why)),
        )
    }

    fn state(&self) -> Gate {
        let (actual, refusal) = match self.agreement.state {
            State::Active => ("active".to_owned(), None),
            State::Revoked { at } => {
                let why = format!("the agreement was revoked at {at}; negotiate a new one");
                (format!("revoked at {at}"), Some((codes::POLICY_REVOKED, why)))
            }
            State::Terminated => {
                let why = "the agreement was terminated; negotiate a new one".to_owned();
                ("terminated".to_owned(), Some((codes::POLICY_TERMINATED, why)))
            }
            State::Suspended => {
                let why = "the agreement is suspended; ask again when it was resumed".to_owned();
                ("suspended".to_owned(), Some((codes::POLICY_SUSPENDED, why)))
            }
        };
        gate("state", &"active", &actual, refusal)
    }

    fn token(&self) -> Gate {
        let expected = format!("a token for this request, epoch {}", self.agreement.epoch);
        let start = "start the transfer to get one";
        let (code, actual, advice) = match (&self.request.token, self.request.token_fault) {
            (None, None) => {
                let why = format!("there is no access token; {start}");
                let refusal = Some((codes::POLICY_TOKEN_MISSING, why));
                return gate("token", &expected, &"no token", refusal);
            }
            (None, Some(fault)) => {
                let (words, code) = fault.says();
                (code, words.to_owned(), start)
            }
            (Some(token), _) => match self.token_fault(token) {
                Some(fault) => fault,
                None => return gate("token", &expected, &"such a token", None),
            },
        };
        let why = format!("the access token is {actual}; {advice}");
        gate("token", &expected, &actual, Some((code, why)))
    }

    fn token_fault(&self, token: &TokenFacts) -> Option<(Code, String, &'static str)> {
        let (request, own) = (self.request, "use the token of this transfer");
        let fault = |code, fault: &str, advice| Some((code, fault.to_owned(), advice));
        if token.agreement != self.agreement.id {
            return fault(codes::POLICY_TOKEN_AGREEMENT, "for another agreement", own);
        }
        if token.transfer != request.transfer {
            return fault(codes::POLICY_TOKEN_TRANSFER, "for another transfer", own);
        }
        if token.view != request.view {
            return fault(codes::POLICY_TOKEN_VIEW, "for another view", own);
        }
        if token.spiffe_id != request.caller.spiffe_id {
            let advice = "use the identity it was issued to";
            return fault(codes::POLICY_TOKEN_CALLER, "for another caller", advice);
        }
        if token.epoch != self.agreement.epoch {
            let was = format!("of epoch {} and not {}", token.epoch, self.agreement.epoch);
            let advice = "the agreement has changed since, so get a new one";
            return fault(codes::POLICY_TOKEN_EPOCH, &was, advice);
        }
        if self.wall >= token.expires.0 {
            let was = format!("good until {} only", token.expires.0);
            return fault(codes::POLICY_TOKEN_EXPIRED, &was, "refresh it");
        }
        None
    }

    fn assertion(&self) -> Gate {
        let expected = format!("purpose and place signed by {}", self.request.caller.participant);
        let (code, actual, words) = match (&self.request.assertion, self.request.assertion_fault) {
            (None, None) => {
                let why =
                    "purpose and place are not signed for; send an assertion with the request";
                let refusal = Some((codes::POLICY_ASSERTION_MISSING, why.to_owned()));
                return gate("assertion", &expected, &"no assertion", refusal);
            }
            (None, Some(fault)) => {
                let (words, code) = fault.says();
                (code, words.to_owned(), words.to_owned())
            }
            (Some(assertion), _) => match self.assertion_fault(assertion) {
                Some((code, fault)) => (code, fault.clone(), format!("is {fault}")),
                None if assertion.assurance == Assurance::Presumed => {
                    let presumed = "presumed by the provider, for a connector that signs none";
                    return gate("assertion", &presumed, &presumed, None);
                }
                None => return gate("assertion", &expected, &assertion.jti, None),
            },
        };
        let why = format!("the assertion of purpose and place {words}; sign a new one");
        gate("assertion", &expected, &actual, Some((code, why)))
    }

    fn assertion_fault(&self, assertion: &Assertion) -> Option<(Code, String)> {
        let (issued, expires) = (assertion.issued.0, assertion.expires.0);
        let fault = |code, fault: &str| Some((code, fault.to_owned()));
        if assertion.issuer != self.request.caller.participant {
            let why = "signed by another party than the caller";
            return fault(codes::POLICY_ASSERTION_PARTY, why);
        }
        if assertion.audience != self.agreement.assigner {
            return fault(codes::POLICY_ASSERTION_AUDIENCE, "meant for another audience");
        }
        if assertion.agreement != self.agreement.id {
            return fault(codes::POLICY_ASSERTION_AGREEMENT, "about another agreement");
        }
        let span = "not good for between 0 and 10 minutes";
        if expires <= issued {
            return fault(codes::POLICY_ASSERTION_ORDER, span);
        }
        if expires > issued.plus_seconds(MAX_ASSERTION_S) {
            return fault(codes::POLICY_ASSERTION_SPAN, span);
        }
        if issued > self.wall.plus_seconds(MAX_SKEW_S) {
            let why = format!("signed in the future, at {issued}");
            return fault(codes::POLICY_ASSERTION_EARLY, &why);
        }
        let over = || (codes::POLICY_ASSERTION_EXPIRED, format!("good until {expires} only"));
        (self.wall >= expires).then(over)
    }

    /// The rows of these rules at the policy time.
    pub(crate) fn judge(&self, rules: &'a [Rule], kind: &str) -> Vec<Judged<'a>> {
        let place = self.place();
        let situation = self.situation(place.as_deref(), self.now);
        let row = |name: String, constraint: &Constraint| Check {
            name: format!("{name}: {}", operand(constraint)),
            expected: text::constraint(constraint),
            actual: sentence::actual(constraint, &situation),
            outcome: constraint.holds(&situation, self.vocabulary),
        };
        let judge = |(i, rule): (usize, &'a Rule)| {
            let name = format!("{kind} {}", i + 1);
            let mut rows: Vec<Check> =
                rule.constraints.iter().map(|c| row(name.clone(), c)).collect();
            if rows.is_empty() {
                let always = || "always".to_owned();
                rows.push(Check {
                    name,
                    expected: always(),
                    actual: always(),
                    outcome: Truth::True,
                });
            }
            Judged { rule, rows }
        };
        rules
            .iter()
            .filter(|rule| rule.action == self.request.action)
            .enumerate()
            .map(judge)
            .collect()
    }
}

fn operand(constraint: &Constraint) -> &str {
    match constraint {
        Constraint::Purpose { .. } => "purpose",
        Constraint::Place { .. } => "place",
        Constraint::Schedule(_) => "schedule",
        Constraint::Time { .. } => "date",
        Constraint::Undecided(term) => term.name(),
    }
}

fn gate(
    name: &str,
    expected: &impl ToString,
    actual: &impl ToString,
    refusal: Option<(Code, String)>,
) -> Gate {
    let check = Check {
        name: name.to_owned(),
        expected: expected.to_string(),
        actual: actual.to_string(),
        outcome: Truth::of(refusal.is_none()),
    };
    Gate { check, refusal }
}

#[cfg(test)]
mod tests {
    use super::{Check, Judged};
    use twinpact_contract::{Action, Constraint, Rule, TimeTest, Truth};
    use twinpact_model::Timestamp;

    #[test]
    fn a_missing_row_denies() {
        let at = Timestamp::from_seconds(0);
        let constraints = vec![Constraint::Time { test: TimeTest::Gteq, at }; 2];
        let rule = Rule { action: Action::Use, constraints };
        let row = |outcome| Check {
            name: String::new(),
            expected: String::new(),
            actual: String::new(),
            outcome,
        };
        use Truth::{False, True, Unknown};
        for (outcomes, grants, forbids) in [
            (vec![True, True], true, true),
            (vec![True, Unknown], false, true),
            (vec![True, False], false, false),
            (vec![Unknown, False], false, false),
            (vec![True], false, true),
            (vec![False], false, true),
            (vec![], false, true),
            (vec![True, True, True], false, true),
        ] {
            let rows = outcomes.iter().map(|o| row(*o)).collect();
            let judged = Judged { rule: &rule, rows };
            assert_eq!((judged.grants(), judged.forbids()), (grants, forbids), "{outcomes:?}");
        }
    }
}
