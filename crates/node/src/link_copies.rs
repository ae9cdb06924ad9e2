//! What partners show us of links: whether a delivery is what was asked for, and what the copies
//! that we hold say of our own halves.
//!
//! The status of a half is read out of the copies each time, so that it goes with them: nothing
//! that is to be deleted is kept on as a status.

use crate::api::Pull;
use crate::as_of::known;
use crate::copies::{Copy, Part};
use crate::fold::Fold;
use crate::open::Node;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_model::link_row::is_links_view;
use twinpact_model::view::Cursor;
use twinpact_model::{Direction, LinkRow, OtherOwner, Timestamp};
use twinpact_twin::Half;

/// What is known of the other side of a half of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The other owner did not show us that it says the same.
    OneSided,
    /// It did.
    Confirmed,
    /// It has taken that back, or shows the contrary.
    Disputed,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Status::OneSided => "one-sided",
            Status::Confirmed => "confirmed",
            Status::Disputed => "disputed",
        }
    }
}

/// Whether these are rows of the twin that was asked for and, of a links view, links.
///
/// # Errors
/// Why they are not.
pub(crate) fn fits(view: &str, twin: Option<&str>, rows: &[Value]) -> Result<(), &'static str> {
    let of = |row: &Value| row.get(0).and_then(Value::as_str).map(str::to_owned);
    if twin.is_some_and(|twin| rows.iter().any(|row| of(row).as_deref() != Some(twin))) {
        return Err("it shows a twin that was not asked for");
    }
    match is_links_view(view) && rows.iter().any(|row| link(row).is_none()) {
        true => Err("a row is no link"),
        false => Ok(()),
    }
}

/// The twin of which a delivery is all that its view shows.
pub(crate) fn about(pull: &Pull, next: Option<&Cursor>) -> String {
    let whole = pull.since.is_none() && pull.until.is_none() && pull.after.is_none();
    let twin = pull.twin.as_ref().filter(|_| whole && next.is_none());
    twin.map(ToString::to_string).unwrap_or_default()
}

/// A row of a links view.
fn link(row: &Value) -> Option<LinkRow> {
    let cell = |cell: &Value| match cell {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        _ => None,
    };
    let cells: Option<Vec<Option<String>>> = row.as_array()?.iter().map(cell).collect();
    let cells = cells?;
    let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
    LinkRow::read(&cells).ok()
}

/// The links in a copy.
pub(crate) fn links(copy: &Copy) -> Vec<LinkRow> {
    let rows = |part: &Part| serde_json::from_str::<Vec<Value>>(&part.rows).unwrap_or_default();
    copy.parts.iter().flat_map(rows).filter_map(|row| link(&row)).collect()
}

/// What a copy said last of a half.
#[derive(Debug, Clone)]
struct Last<'f> {
    status: Status,
    receipt: &'f str,
    agreement: &'f str,
}

/// A half of ours by the other end: its owner, the twin there, and the half.
type Key = (String, String, Half);

/// All that partners have shown us of links to our twins, by the copies that we hold.
#[derive(Debug, Default)]
pub(crate) struct Heard<'f> {
    last: BTreeMap<Key, Last<'f>>,
}

impl<'f> Heard<'f> {
    /// By the copies of that time.
    pub(crate) fn by(node: &Node, fold: &'f Fold, as_of: Option<Timestamp>) -> Heard<'f> {
        let of_links: BTreeMap<String, &str> = fold
            .agreements
            .iter()
            .filter(|agreement| is_links_view(&agreement.wire.target))
            .map(|agreement| (twinpact_proof::to_hex(&agreement.id), agreement.peer.as_str()))
            .collect();
        // What is due says nothing any more, deleted already or not.
        let now = node.clocks.policy().0;
        let held = |copy: &Copy| copy.due.is_none_or(|due| due > now);
        let copies = fold.copies.iter().filter(|(_, copy)| held(copy));
        let copies = copies.filter(|(_, copy)| known(copy.recorded, as_of));
        let mut copies: Vec<(&str, &Copy, &str)> = copies
            .filter_map(|(receipt, copy)| Some((receipt, copy, *of_links.get(&copy.agreement)?)))
            .collect();
        copies.sort_by_key(|(_, copy, _)| copy.recorded);
        let mut heard = Heard::default();
        for (receipt, copy, peer) in copies {
            heard.take(node.config.organisation.as_str(), (receipt, copy), peer);
        }
        heard
    }

    /// Takes what one more copy shows of links to twins of ours.
    fn take(&mut self, us: &str, (receipt, copy): (&'f str, &'f Copy), peer: &str) {
        let agreement = copy.agreement.as_str();
        let rows = links(copy);
        let ours = |row: &&LinkRow| row.owner == OtherOwner::Known(us.to_owned());
        let shown: BTreeSet<Key> =
            rows.iter().filter(ours).map(|row| mirrored(row, peer)).collect();
        // All that the view shows of a twin is also what it does not show any more.
        let whole = copy.deleted.is_none() && !copy.erased;
        let gone = self.last.iter_mut().filter(|((owner, twin, _), last)| {
            whole && owner == peer && *twin == copy.about && last.agreement == agreement
        });
        for (_, last) in gone.filter(|(key, _)| !shown.contains(*key)) {
            *last = Last { status: Status::Disputed, receipt, agreement };
        }
        let confirmed = Last { status: Status::Confirmed, receipt, agreement };
        self.last.extend(shown.into_iter().map(|key| (key, confirmed.clone())));
    }

    /// What is known of a half, and the receipt that shows it.
    pub(crate) fn of(&self, half: &Half) -> (Status, Option<&'f str>) {
        let key = |half: &Half| (half.owner.clone(), half.other.clone(), half.clone());
        if let Some(last) = self.last.get(&key(half)) {
            return (last.status, Some(last.receipt));
        }
        // That the whole is a part of its part.
        let turned = Half { direction: half.direction.back(), ..half.clone() };
        let contrary = self.last.get(&key(&turned)).filter(|_| half.predicate.is_acyclic());
        match contrary.filter(|last| last.status == Status::Confirmed) {
            Some(last) => (Status::Disputed, Some(last.receipt)),
            None => (Status::OneSided, None),
        }
    }
}

/// The half of ours that a partner's row is the other side of.
fn mirrored(row: &LinkRow, peer: &str) -> Key {
    let half = Half {
        own: row.other.clone(),
        predicate: row.predicate,
        direction: Direction::back(row.direction),
        other: row.twin.clone(),
        owner: peer.to_owned(),
    };
    (peer.to_owned(), row.twin.clone(), half)
}

#[cfg(test)]
mod tests {
    use super::{Copy, Half, Heard, Part, Status, about, fits};
    use crate::api::Pull;
    use serde_json::{Value, json};
    use twinpact_model::{Cursor, Direction, Iri, Predicate, Timestamp};

    const US: &str = "did:web:maker.example";
    const PEER: &str = "did:web:supplier.example";
    const TIME: &str = "2015-07-27T05:00:00Z";

    fn row(twin: &str, predicate: &str, direction: &str, other: &str, owner: Value) -> Value {
        json!([twin, TIME, predicate, direction, other, owner])
    }

    #[test]
    fn a_delivery_is_of_the_twin_that_was_asked_for() {
        let check = |view: &str, twin: Option<&str>, rows: &[Value], expect: Option<&str>| {
            assert_eq!(fits(view, twin, rows).err(), expect);
        };
        let (links, other) =
            ("https://s.example/id/links/l/1.0.0", "https://s.example/id/views/v/1");
        let good = row("urn:lot:1", "part-of", "in", "urn:part:1", json!(US));
        let both = [good.clone(), row("urn:lot:2", "part-of", "in", "urn:part:1", Value::Null)];
        let elsewhere = Some("it shows a twin that was not asked for");
        check(links, None, &both, None);
        check(links, Some("urn:lot:1"), &both[..1], None);
        check(links, Some("urn:lot:1"), &both, elsewhere);
        check(links, Some("urn:lot:3"), &[], None);
        check(other, Some("urn:lot:1"), &[json!(["urn:lot:2", TIME, "1"])], elsewhere);
        check(other, Some("urn:lot:1"), &[json!([])], elsewhere);
        check(other, None, &[json!(["urn:lot:2", TIME, "1"])], None);
        for bad in [json!([]), json!({}), json!(["urn:lot:1", TIME, "part-of", "in", 7, null])] {
            check(links, None, &[good.clone(), bad], Some("a row is no link"));
        }
        check(
            links,
            None,
            &[row("urn:a", "part of", "in", "urn:b", json!(""))],
            Some("a row is no link"),
        );
    }

    #[test]
    fn all_of_a_twin_is_what_was_asked_for_and_did_not_go_on() {
        let pull = |twin: Option<&str>| Pull {
            agreement: String::new(),
            purpose: None,
            place: None,
            since: None,
            until: None,
            twin: twin.map(|twin| Iri::new(twin).unwrap()),
            after: None,
        };
        let cursor = Cursor::parse("1970-01-01T00:00:10Z~2~urn:a").unwrap();
        assert_eq!(about(&pull(Some("urn:a")), None), "urn:a");
        assert_eq!(about(&pull(Some("urn:a")), Some(&cursor)), "");
        assert_eq!(about(&pull(None), None), "");
        let since = Pull { since: Some(Timestamp::default()), ..pull(Some("urn:a")) };
        assert_eq!(about(&since, None), "");
        let after = Pull { after: Some(cursor), ..pull(Some("urn:a")) };
        assert_eq!(about(&after, None), "");
    }

    /// The status of `urn:part:1 derived-from urn:lot:1`, and of `part-of`, after these copies.
    #[test]
    fn a_half_is_what_the_copies_that_are_held_say() {
        let half = |predicate| Half {
            own: "urn:part:1".to_owned(),
            predicate,
            direction: Direction::Out,
            other: "urn:lot:1".to_owned(),
            owner: PEER.to_owned(),
        };
        let copy = |agreement: &str, about: &str, rows: &[Value]| Copy {
            agreement: agreement.to_owned(),
            about: about.to_owned(),
            parts: vec![Part { twin: String::new(), rows: Value::from(rows).to_string() }],
            ..Copy::default()
        };
        let derived = |owner: Value| row("urn:lot:1", "derived-from", "in", "urn:part:1", owner);
        let check = |copies: &[Copy], expect: (Status, Status)| {
            let names: Vec<String> = (0..copies.len()).map(|n| format!("r{n}")).collect();
            let mut heard = Heard::default();
            for (name, copy) in names.iter().zip(copies) {
                heard.take(US, (name, copy), PEER);
            }
            let of = |predicate| {
                let (status, receipt) = heard.of(&half(predicate));
                assert_eq!(receipt.is_some(), status != Status::OneSided);
                status
            };
            assert_eq!((of(Predicate::DerivedFrom), of(Predicate::PartOf)), expect);
        };
        use Status::{Confirmed, Disputed, OneSided};
        let (yes, lot) = (copy("a", "", &[derived(json!(US))]), "urn:lot:1");
        check(&[], (OneSided, OneSided));
        check(std::slice::from_ref(&yes), (Confirmed, OneSided));
        check(&[copy("a", "", &[derived(Value::Null)])], (OneSided, OneSided));
        check(&[copy("a", "", &[derived(json!(PEER))])], (OneSided, OneSided));
        check(&[copy("a", "", &[derived(json!(""))])], (OneSided, OneSided));
        // Never said is not taken back; nor by another view, or by less than all of the twin.
        check(&[copy("a", lot, &[])], (OneSided, OneSided));
        check(&[yes.clone(), copy("b", lot, &[])], (Confirmed, OneSided));
        check(&[yes.clone(), copy("a", "", &[])], (Confirmed, OneSided));
        check(&[yes.clone(), copy("a", "urn:lot:2", &[])], (Confirmed, OneSided));
        check(&[yes.clone(), copy("a", lot, &[])], (Disputed, OneSided));
        check(&[yes.clone(), copy("a", lot, &[]), yes.clone()], (Confirmed, OneSided));
        // What was deleted says nothing any more, neither that it was shown nor that it was not.
        let erased = Copy { erased: true, parts: Vec::new(), ..copy("a", lot, &[]) };
        check(&[yes.clone(), erased], (Confirmed, OneSided));
        check(&[copy("a", lot, &[])], (OneSided, OneSided));
        let contrary = row("urn:lot:1", "part-of", "out", "urn:part:1", json!(US));
        check(&[copy("a", "", &[contrary])], (OneSided, Disputed));
        let circle = row("urn:lot:1", "derived-from", "out", "urn:part:1", json!(US));
        check(&[copy("a", "", &[circle])], (OneSided, OneSided));
    }
}
