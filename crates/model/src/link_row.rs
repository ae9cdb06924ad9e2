//! Links as rows of a view: the columns of a links view, which links it shows, and the reading of a
//! row that a partner sent.
//!
//! A row is said from the point of view of its twin: `predicate`, `direction` (`out` when the twin
//! is the part, `in` when it is the whole), `other`, and `owner` of the other end when the contract
//! grants it. The time of a row is when its owner recorded the link.

use crate::codes;
use crate::iri::{Did, Iri};
use crate::link::Predicate;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::view::{Column, Row};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The columns of a links view, in their order; the last one may be missing.
pub const LINK_COLUMNS: [&str; 4] = ["predicate", "direction", "other", "owner"];
/// How the path of the IRI of a links view begins; that of any other is `/id/views/`.
pub const LINKS_PATH: &str = "/id/links/";

/// Whether a view of that IRI shows links.
#[must_use]
pub fn is_links_view(view: &str) -> bool {
    let path = view.strip_prefix("https://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    path.is_some_and(|path| path.starts_with(LINKS_PATH))
}

/// Which end of a link a twin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The link leads from the twin: it is the part, the dependent, the derived, the contained.
    Out,
    /// The link leads to the twin.
    In,
}

impl Direction {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Out => "out",
            Direction::In => "in",
        }
    }

    /// The direction of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Direction> {
        [Direction::Out, Direction::In].into_iter().find(|one| one.name() == name)
    }

    /// The same link seen from its other end.
    #[must_use]
    pub const fn back(self) -> Direction {
        match self {
            Direction::Out => Direction::In,
            Direction::In => Direction::Out,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which links a view shows of its twins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLinks {
    /// Of these predicates.
    pub predicates: Vec<Predicate>,
    /// Of links to other organisations only those to this one; `None` for those to any.
    pub only_of: Option<String>,
}

impl ShownLinks {
    /// Whether a link of that predicate is shown, whose other end is of that organisation; the
    /// empty text is the provider itself.
    #[must_use]
    pub fn shows(&self, predicate: Predicate, owner: &str) -> bool {
        let of = self.only_of.as_deref();
        self.predicates.contains(&predicate)
            && (owner.is_empty() || of.is_none_or(|of| of == owner))
    }

    /// Whether a row is one of these links, as far as its columns say.
    #[must_use]
    pub fn covers(&self, columns: &[Column], row: &Row) -> bool {
        let cell = |name: &str| {
            let at = columns.iter().position(|column| column.attribute == name);
            at.and_then(|at| row.values.get(at)).and_then(Option::as_deref)
        };
        let predicate = cell("predicate").and_then(|text| Predicate::parse(text).ok());
        predicate.is_some_and(|predicate| self.shows(predicate, cell("owner").unwrap_or_default()))
    }
}

/// Whose the other end of a link is, as a row says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherOwner {
    /// The organisation that shows the row.
    Provider,
    /// Another one.
    Known(String),
    /// The contract does not grant it.
    NotShown,
}

/// A link as a row of a view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkRow {
    /// The twin that the row is about.
    pub twin: String,
    /// What one end is to the other.
    pub predicate: Predicate,
    /// Which end the twin is.
    pub direction: Direction,
    /// The other end.
    pub other: String,
    /// Whose that is.
    pub owner: OtherOwner,
    /// When the provider recorded it.
    pub recorded: Timestamp,
}

impl LinkRow {
    /// Reads `[twin, time, predicate, direction, other]` and, when it is granted, `owner`.
    ///
    /// # Errors
    /// `input.malformed` when it is not of that form.
    pub fn read(cells: &[Option<&str>]) -> Result<LinkRow, Problem> {
        let read = || {
            let [Some(twin), Some(time), Some(predicate), Some(direction), Some(other), rest @ ..] =
                cells
            else {
                return None;
            };
            let owner = match rest {
                [] | [None] => OtherOwner::NotShown,
                [Some("")] => OtherOwner::Provider,
                [Some(did)] => OtherOwner::Known(Did::new(*did).ok()?.to_string()),
                _ => return None,
            };
            Some(LinkRow {
                twin: Iri::new(*twin).ok()?.to_string(),
                predicate: Predicate::ALL.iter().copied().find(|one| one.name() == *predicate)?,
                direction: Direction::parse(direction)?,
                other: Iri::new(*other).ok()?.to_string(),
                owner,
                recorded: Timestamp::parse(time).ok()?,
            })
        };
        read().ok_or_else(|| Problem::new(codes::INPUT_MALFORMED, "a row is no link"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Direction, LinkRow, OtherOwner, ShownLinks, is_links_view};
    use crate::link::Predicate;
    use crate::time::Timestamp;
    use crate::view::{Column, Row};

    #[test]
    fn a_links_view_is_known_by_its_name() {
        for (view, expect) in [
            ("https://supplier.example/id/links/lots/1.0.0", true),
            ("https://supplier.example:8443/id/links/lots/1.0.0", true),
            ("https://supplier.example/id/views/id/links/1.0.0", false),
            ("https://supplier.example/x/id/links/lots", false),
            ("urn:supplier/id/links/lots", false),
            ("https://supplier.example", false),
            ("", false),
        ] {
            assert_eq!(is_links_view(view), expect, "{view}");
        }
    }

    #[test]
    fn rows_of_links_are_read_strictly() {
        let time = "2015-07-27T05:00:00Z";
        let check = |cells: &[Option<&str>], expect: Option<OtherOwner>| {
            let read = LinkRow::read(cells).map_err(|problem| problem.code.name);
            assert_eq!(read.map(|row| row.owner), expect.ok_or("input.malformed"), "{cells:?}");
        };
        let five = [Some("urn:lot:1"), Some(time), Some("part-of"), Some("in"), Some("urn:p:1")];
        let six = |owner| [five.as_slice(), &[owner]].concat();
        check(&five, Some(OtherOwner::NotShown));
        check(&six(None), Some(OtherOwner::NotShown));
        check(&six(Some("")), Some(OtherOwner::Provider));
        let maker = "did:web:maker.example";
        check(&six(Some(maker)), Some(OtherOwner::Known(maker.to_owned())));
        check(&six(Some("maker")), None);
        check(&five[..4], None);
        check(&[six(None), vec![None]].concat(), None);
        let bad = [(0, "lot"), (1, "noon"), (2, "part_of"), (3, "IN"), (4, "p 1")];
        for (at, text) in bad {
            let mut cells = five;
            cells[at] = Some(text);
            check(&cells, None);
            cells[at] = None;
            check(&cells, None);
        }
        let read = LinkRow::read(&five).unwrap();
        assert_eq!((read.predicate, read.direction), (Predicate::PartOf, Direction::In));
        assert_eq!(read.recorded, Timestamp::parse(time).unwrap());
    }

    #[test]
    fn a_contract_shows_some_links() {
        let column = |name: &str| Column {
            attribute: name.to_owned(),
            name: name.to_owned(),
            datatype: "string".to_owned(),
            unit: None,
        };
        let columns: Vec<Column> = super::LINK_COLUMNS.iter().map(|name| column(name)).collect();
        let check = |only_of: Option<&str>, predicate: &str, owner: Option<&str>, expect: bool| {
            let shown = ShownLinks {
                predicates: vec![Predicate::PartOf],
                only_of: only_of.map(str::to_owned),
            };
            let values = [Some(predicate), Some("in"), Some("urn:a"), owner];
            let values = values.map(|value| value.map(str::to_owned)).to_vec();
            let row = Row { twin: "urn:b".to_owned(), phen_start: Timestamp::default(), values };
            assert_eq!(shown.covers(&columns, &row), expect, "{only_of:?} {predicate} {owner:?}");
        };
        let (a, b) = ("did:web:a.example", "did:web:b.example");
        check(None, "part-of", Some(a), true);
        check(None, "part-of", None, true);
        check(None, "derived-from", Some(a), false);
        check(None, "nothing", Some(a), false);
        check(Some(a), "part-of", Some(a), true);
        check(Some(a), "part-of", Some(""), true);
        check(Some(a), "part-of", Some(b), false);
    }
}
