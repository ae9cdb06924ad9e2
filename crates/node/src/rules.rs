//! What is decided before anybody negotiates: who finds a contract in the catalogue, whose requests
//! wait for a person, and whose offers of less are accepted. `[negotiation]` of the configuration.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most contracts with rules of their own.
pub const MAX_RULES: usize = 1_000;
/// The most partners that one list of rules names.
pub const MAX_RULED: usize = 1_000;

/// The keys of a rule about a contract.
pub(crate) const KEYS: [&str; 3] = ["name", "only", "by_hand"];

/// `[negotiation]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Partners and connectors, by their ids, whose requests wait for a person.
    #[serde(default)]
    pub by_hand: Vec<String>,
    /// Those whose offers we accept by ourselves when they grant less than we have asked for.
    #[serde(default)]
    pub accept_less: Vec<String>,
    /// What holds for some contracts.
    #[serde(default)]
    pub contracts: Vec<OfContract>,
}

/// The rule about a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfContract {
    /// Its name; it holds for every version.
    pub name: String,
    /// Who finds it and may negotiate for it, by their ids; everybody when it is not said.
    pub only: Option<Vec<String>>,
    /// Whether requests for it wait for a person, whoever asks.
    #[serde(default)]
    pub by_hand: bool,
}

impl Rules {
    fn of(&self, contract: &str) -> Option<&OfContract> {
        self.contracts.iter().find(|rule| rule.name == contract)
    }

    /// Whether this participant may know of the contract.
    #[must_use]
    pub fn shows(&self, contract: &str, participant: &str) -> bool {
        let only = self.of(contract).and_then(|rule| rule.only.as_ref());
        only.is_none_or(|only| only.iter().any(|id| id == participant))
    }

    /// The names of contracts that this participant may not know of.
    #[must_use]
    pub fn hidden_from(&self, participant: &str) -> BTreeSet<String> {
        let names = self.contracts.iter().map(|rule| &rule.name);
        names.filter(|name| !self.shows(name, participant)).cloned().collect()
    }

    /// Whether a request of this participant waits for a person, for that contract or for any.
    #[must_use]
    pub fn wait(&self, contract: Option<&str>, participant: &str) -> bool {
        let of_contract = contract.and_then(|name| self.of(name)).is_some_and(|rule| rule.by_hand);
        of_contract || self.by_hand.iter().any(|id| id == participant)
    }

    /// Whether an offer of this participant that grants less than we have asked for is accepted
    /// without a person.
    #[must_use]
    pub fn takes_less(&self, participant: &str) -> bool {
        self.accept_less.iter().any(|id| id == participant)
    }

    /// Whether these are rules.
    ///
    /// # Errors
    /// `config.invalid` for a contract that is named twice or has no name, for an empty id, and for
    /// more than [`MAX_RULES`] contracts or [`MAX_RULED`] partners of one list.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let invalid = |why: String| Err(Problem::new(codes::CONFIG_INVALID, why));
        if self.contracts.len() > MAX_RULES {
            return invalid(format!("negotiation.contracts has more than {MAX_RULES}"));
        }
        let lists = self.contracts.iter().filter_map(|rule| rule.only.as_ref());
        for list in lists.chain([&self.by_hand, &self.accept_less]) {
            if list.len() > MAX_RULED || list.iter().any(String::is_empty) {
                let why = format!("at most {MAX_RULED} partners, each by its id");
                return invalid(format!("a list of [negotiation] names {why}"));
            }
        }
        for (at, rule) in self.contracts.iter().enumerate() {
            let twice = self.contracts.iter().take(at).any(|other| other.name == rule.name);
            if rule.name.is_empty() || twice {
                let why = format!("negotiation.contracts names {:?} twice, or nothing", rule.name);
                return invalid(why);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_RULED, MAX_RULES, Rules};
    use crate::config::Config;

    fn check(text: &str, ok: bool) -> Rules {
        let head = "organisation = \"did:web:a.example\"\nname = \"a\"\n";
        let read = Config::parse(&format!("{head}{text}"));
        assert_eq!(read.is_ok(), ok, "{text}: {read:?}");
        read.map(|config| config.negotiation).unwrap_or_default()
    }

    #[test]
    fn a_contract_is_shown_to_whom_it_is_for_and_waits_when_it_says_so() {
        let rules = check(
            "[negotiation]\nby_hand = [\"c\"]\naccept_less = [\"b\"]\n\
             [[negotiation.contracts]]\nname = \"x\"\nonly = [\"a\", \"b\"]\n\
             [[negotiation.contracts]]\nname = \"y\"\nby_hand = true\n\
             [[negotiation.contracts]]\nname = \"z\"\nonly = []\n",
            true,
        );
        for (contract, participant, shown, waits) in [
            ("x", "a", true, false),
            ("x", "b", true, false),
            ("x", "c", false, true),
            ("y", "a", true, true),
            ("z", "a", false, false),
            ("other", "a", true, false),
            ("other", "c", true, true),
        ] {
            assert_eq!(rules.shows(contract, participant), shown, "{contract} {participant}");
            assert_eq!(rules.wait(Some(contract), participant), waits, "{contract} {participant}");
        }
        assert!(rules.wait(None, "c") && !rules.wait(None, "a"));
        assert!(rules.takes_less("b") && !rules.takes_less("c"));
        assert_eq!(rules.hidden_from("a").into_iter().collect::<Vec<_>>(), ["z"]);
        assert_eq!(rules.hidden_from("c").into_iter().collect::<Vec<_>>(), ["x", "z"]);
        assert_eq!(check("", true), Rules::default());
    }

    #[test]
    fn rules_that_are_none_are_refused() {
        let rule = |name: &str| format!("[[negotiation.contracts]]\nname = \"{name}\"\n");
        check(&rule("x"), true);
        check(&rule("").replace("name = \"\"\n", "by_hand = true\n"), false);
        check(&rule(""), false);
        check(&format!("{}{}", rule("x"), rule("x")), false);
        check(&format!("{}onyl = []\n", rule("x")), false);
        check(&format!("{}only = [\"\"]\n", rule("x")), false);
        check("[negotiation]\nby_hand = [\"\"]\n", false);
        check("[negotiation]\naccept_less = [\"\"]\n", false);
        for (n, ok) in [(MAX_RULES, true), (MAX_RULES + 1, false)] {
            check(&(0..n).map(|n| rule(&n.to_string())).collect::<String>(), ok);
        }
        for (n, ok) in [(MAX_RULED, true), (MAX_RULED + 1, false)] {
            check(&format!("{}only = {:?}\n", rule("x"), vec!["a"; n]), ok);
        }
    }
}
