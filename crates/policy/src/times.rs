//! When a decision changes by the clock alone: in closed form, from the next flip of each
//! condition, so that nobody polls.

use crate::checks::Asked;
use twinpact_contract::{Rule, Truth};
use twinpact_model::Timestamp;

/// How many steps the search for the next opening takes at most; a step goes to the next instant at
/// which what blocks can change, so a year of working days is well inside.
const MAX_STEPS: usize = 2048;

impl Asked<'_> {
    /// The next instant at which any condition flips by the policy clock.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        let terms = &self.agreement.terms;
        let rules = terms.permissions().iter().chain(terms.prohibitions());
        rules.filter_map(|rule| next_flip(rule, self.now)).min()
    }

    /// The next instant at which the wall clock changes what token and assertion are good for.
    pub(crate) fn wall_until(&self) -> Option<Timestamp> {
        let token = self.request.token.as_ref().map(|t| t.expires.0);
        let assertion = self.request.assertion.as_ref();
        let expires = assertion.map(|a| a.expires.0);
        let begins = assertion.map(|a| a.issued.0.plus_seconds(-crate::request::MAX_SKEW_S));
        [token, expires, begins].into_iter().flatten().filter(|t| *t > self.wall).min()
    }

    /// The first instant from now on at which the rules permit the same request; `None` when no
    /// waiting helps.
    pub(crate) fn opens_at(&self) -> Option<Timestamp> {
        let permissions = self.agreement.terms.permissions().iter();
        permissions
            .filter(|rule| rule.action == self.request.action)
            .filter_map(|rule| self.opening_of(rule))
            .min()
    }

    /// The first instant at which this permission grants and no prohibition forbids.
    fn opening_of(&self, permission: &Rule) -> Option<Timestamp> {
        let place = self.place();
        let prohibitions = self.agreement.terms.prohibitions();
        let mut at = self.now;
        for _ in 0..MAX_STEPS {
            let situation = self.situation(place.as_deref(), at);
            let holds = |c: &twinpact_contract::Constraint| c.holds(&situation, self.vocabulary);
            if let Some(blocked) = permission.constraints.iter().find(|c| holds(c) != Truth::True) {
                at = blocked.next_change(at)?;
                continue;
            }
            let forbidding = prohibitions.iter().find(|rule| {
                rule.action == self.request.action
                    && rule.constraints.iter().all(|c| holds(c) != Truth::False)
            });
            match forbidding {
                Some(rule) => at = next_flip(rule, at)?,
                None => return Some(at),
            }
        }
        None
    }
}

fn next_flip(rule: &Rule, at: Timestamp) -> Option<Timestamp> {
    rule.constraints.iter().filter_map(|c| c.next_change(at)).min()
}
