//! Links between twins: four predicates, each stored once, from the part to the whole.
//!
//! The inverse (what is part of this twin?) is asked of an index and never stored.

use crate::codes;
use crate::problem::Problem;
use crate::suggest::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where the predicates are defined: `https://w3id.org/twinpact/link/part-of` and so on.
const NAMESPACE: &str = "https://w3id.org/twinpact/link/";

/// What one twin is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Predicate {
    /// The first is a component of the second.
    PartOf,
    /// The first does not work without the second.
    DependsOn,
    /// The first was made from the second.
    DerivedFrom,
    /// The first is inside the second.
    LocatedIn,
}

impl Predicate {
    /// Every predicate.
    pub const ALL: &[Predicate] =
        &[Predicate::PartOf, Predicate::DependsOn, Predicate::DerivedFrom, Predicate::LocatedIn];

    /// The name on the command line and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Predicate::PartOf => "part-of",
            Predicate::DependsOn => "depends-on",
            Predicate::DerivedFrom => "derived-from",
            Predicate::LocatedIn => "located-in",
        }
    }

    /// The IRI in the log.
    #[must_use]
    pub fn iri(self) -> String {
        format!("{NAMESPACE}{}", self.name())
    }

    /// The predicate of that name or IRI.
    ///
    /// # Errors
    /// `link.predicate`, with the nearest name.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let name = text.strip_prefix(NAMESPACE).unwrap_or(text);
        let found = Predicate::ALL.iter().copied().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let names = || Predicate::ALL.iter().map(|known| known.name());
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the predicates are {}", names().collect::<Vec<_>>().join(", ")),
            };
            Problem::new(codes::LINK_PREDICATE, format!("there is no predicate {text:?}"))
                .hint(hint)
        })
    }

    /// Whether what leads away along it may not come back: a whole is no part of its part, and
    /// nothing is inside what is inside it.
    #[must_use]
    pub const fn is_acyclic(self) -> bool {
        matches!(self, Predicate::PartOf | Predicate::LocatedIn)
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Predicate {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Predicate::parse(&text)
    }
}

impl From<Predicate> for String {
    fn from(value: Predicate) -> String {
        value.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Predicate;

    #[test]
    fn predicates_are_known_by_name_and_iri() {
        for predicate in Predicate::ALL {
            assert_eq!(Predicate::parse(predicate.name()), Ok(*predicate));
            assert_eq!(Predicate::parse(&predicate.iri()), Ok(*predicate));
            let json = serde_json::to_string(predicate).unwrap();
            assert_eq!(json, format!("\"{predicate}\""));
            assert_eq!(serde_json::from_str::<Predicate>(&json).unwrap(), *predicate);
        }
        let refused = |text: &str| Predicate::parse(text).unwrap_err();
        assert_eq!(refused("part_of").hint.unwrap(), "did you mean part-of?");
        assert!(refused("https://example.org/part-of").hint.unwrap().contains("located-in"));
        assert_eq!(refused("").code.name, "link.predicate");
    }
}
