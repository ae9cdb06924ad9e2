//! The rows of a links view: what an owner shows of the links of a twin.
//!
//! A link to another twin of the owner is shown only when the view shows that twin too: a row names
//! nothing that is hidden. One to a twin of another organisation is shown as the contract says.

use crate::as_of::now;
use crate::fold::Twins;
use crate::read::{behind, covers, inside};
use twinpact_model::link::Predicate;
use twinpact_model::link_row::{Direction, LinkRow, OtherOwner, ShownLinks};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::view::{Row, Selection};

/// A link as one of its ends sees it.
struct Seen {
    predicate: Predicate,
    direction: Direction,
    other: String,
    /// Empty when the other end is a twin of ours.
    owner: String,
    index: u64,
    recorded: Timestamp,
}

impl Twins {
    /// The rows of one twin that the view shows, in their order, without those before the cursor.
    pub(crate) fn link_rows<'a>(
        &'a self,
        twin: &'a str,
        selection: &'a Selection,
        shown: &'a ShownLinks,
    ) -> impl Iterator<Item = Row> + 'a {
        let after = selection.after.as_ref().filter(|cursor| cursor.twin == twin);
        let mut links: Vec<Seen> = self
            .links_seen_by(twin)
            .filter(|seen| shown.shows(seen.predicate, &seen.owner))
            .filter(|seen| inside(seen.recorded, selection.since, selection.until))
            .filter(|seen| after.is_none_or(|cursor| seen.recorded >= cursor.phen_start))
            .filter(|seen| selection.rows.as_ref().is_none_or(|open| open.contains(seen.recorded)))
            .filter(|seen| !seen.owner.is_empty() || self.names(selection, &seen.other))
            .collect();
        links.sort_by_key(|seen| (seen.recorded, seen.index));
        links.into_iter().map(move |seen| row(twin, &seen, selection)).filter(behind(after))
    }

    /// All links of a twin of ours, as rows, each with the index of the event that set it.
    ///
    /// # Errors
    /// `twin.unknown`.
    pub fn links_said_of(&self, twin: &str) -> Result<Vec<(LinkRow, u64)>, Problem> {
        self.node(twin)?;
        let row = |seen: Seen| {
            let owner = match seen.owner.is_empty() {
                true => OtherOwner::Provider,
                false => OtherOwner::Known(seen.owner),
            };
            let Seen { predicate, direction, other, recorded, .. } = seen;
            let row =
                LinkRow { twin: twin.to_owned(), predicate, direction, other, owner, recorded };
            (row, seen.index)
        };
        Ok(self.links_seen_by(twin).map(row).collect())
    }

    /// Whether the view shows that twin of ours.
    fn names(&self, selection: &Selection, twin: &str) -> bool {
        self.nodes.get(twin).is_some_and(|node| covers(selection, twin, node))
    }

    /// Every link of a twin of ours that stands.
    fn links_seen_by(&self, twin: &str) -> impl Iterator<Item = Seen> {
        let own = |direction| {
            move |set: crate::links::LinkSet| {
                let link = set.link;
                let other = match direction {
                    Direction::Out => link.to,
                    Direction::In => link.from,
                };
                let (predicate, owner) = (link.predicate, String::new());
                let (index, recorded) = (set.index, set.recorded);
                Seen { predicate, direction, other, owner, index, recorded }
            }
        };
        let out = self.links.from(twin.to_owned(), now()).map(own(Direction::Out));
        let back = self.links.to(twin.to_owned(), now()).map(own(Direction::In));
        let across = self.links.halves.of(twin, now()).map(|set| Seen {
            predicate: set.half.predicate,
            direction: set.half.direction,
            other: set.half.other,
            owner: set.half.owner,
            index: set.index,
            recorded: set.recorded,
        });
        out.chain(back).chain(across)
    }
}

fn row(twin: &str, seen: &Seen, selection: &Selection) -> Row {
    let value = |name: &str| match name {
        "predicate" => Some(seen.predicate.name().to_owned()),
        "direction" => Some(seen.direction.name().to_owned()),
        "other" => Some(seen.other.clone()),
        "owner" => Some(seen.owner.clone()),
        _ => None,
    };
    let values = selection.columns.iter().map(|column| value(&column.attribute)).collect();
    Row { twin: twin.to_owned(), phen_start: seen.recorded, values }
}

#[cfg(test)]
pub(crate) mod tests;
