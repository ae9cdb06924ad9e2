//! From the twin that was found to those that its fault may touch, by the steps of a rule: each is
//! a walk over one link, which the owner of the twin answers under its own contract.
//!
//! Whatever is not shown ends the trace there, with its code, and nowhere else.
//!
//! That an owner is asked about a twin tells it that there is a way to that twin. So it is asked
//! only about those that are reached over links which it has told itself, which we say ourselves,
//! or whose tellers let us use them for containment ([`Traced::ask_terms`]).

use super::Under;
use super::state::Found;
use crate::commands::copies::read_path;
use crate::commands::exchange::body;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_contract::vocabulary::PURPOSE;
use twinpact_detect::Hop;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::{Class, Fault, Problem};
use twinpact_model::{Did, Direction, Iri, Predicate, codes};
use twinpact_node::api::{CopyRead, EdgeLine, PlaceLine, ReceiptLine, SaidLine, WalkAsked, Walked};

/// The most twins that one step comes to; behind them it says that it was cut short.
pub(crate) const MAX_TRACED: usize = 500;

/// A twin and its owner.
pub(crate) type At = (String, Option<String>);
/// The purpose and the place of what is asked; the configured ones when they are left out.
pub(crate) type AskFor<'a> = (Option<&'a str>, Option<&'a str>);

/// The purpose, by our own vocabulary, for which what a partner has shown is told to another.
const CONTAINMENT: &str = "DefectContainment";

/// A walk over links.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// The twins that each step came to, before the first the one that was found.
    pub(crate) reached: Vec<BTreeSet<At>>,
    /// The links that it went over, by their place among those of the trace.
    pub(crate) links: BTreeSet<usize>,
}

/// What was traced.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// Where it began: at the twin that was found.
    pub(crate) start: At,
    /// The steps.
    pub(crate) hops: Vec<Hop>,
    /// The links, in the order in which they were met, none twice.
    pub(crate) links: Vec<EdgeLine>,
    /// What was not shown: where, and with which code.
    pub(super) not_shown: Vec<(At, String)>,
    /// The agreement of each delivery by which links were told.
    pub(super) agreements: BTreeMap<String, String>,
    /// The deliveries that may be used for containment.
    pub(super) for_containment: BTreeSet<String>,
}

impl Traced {
    /// One that knows no link yet.
    pub(crate) fn along(start: At, hops: &[Hop]) -> Traced {
        Traced { start, hops: hops.to_vec(), ..Traced::default() }
    }

    /// Walks from the twin that was found. An owner that does not answer is not asked again.
    ///
    /// # Errors
    /// When the node is not there, or stopped; what others refuse is in `not_shown`.
    pub(super) async fn of(
        client: &AdminClient,
        hops: &[Hop],
        found: &Found,
        under: &Under,
    ) -> Result<Traced, Problem> {
        let start = (found.twin.clone(), Some(under.agreement.partner.clone()));
        let mut traced = Traced::along(start.clone(), hops);
        let (mut from, mut silent) = (BTreeSet::from([start]), BTreeMap::new());
        for hop in hops {
            let mut next = BTreeSet::new();
            for at in &from {
                if let Some(code) = silent.get(&at.1) {
                    traced.ends_at(at.clone(), String::clone(code));
                    continue;
                }
                let walked = match ask(client, hop, at, under.asked()).await {
                    Ok(walked) => walked,
                    Err(problem) if is_ours(&problem) => return Err(problem),
                    Err(problem) => {
                        traced.ends_at(at.clone(), problem.code.name.to_owned());
                        continue;
                    }
                };
                // One that answered under another agreement is not silent.
                let here = walked.ends.iter().filter(|end| place(&end.at) == *at);
                let failed = here.map(|end| &end.code).find(|code| is_silent(code));
                let failed = failed.filter(|_| walked.edges.is_empty());
                silent.extend(failed.map(|code| (at.1.clone(), code.clone())));
                traced.take(walked, hop.direction, at, &mut next);
            }
            from = next;
        }
        traced.look_up(client).await?;
        traced.say_ours(client, under).await?;
        traced.ask_terms(client, under).await?;
        Ok(traced)
    }

    /// The walk over those of its links that may be told.
    pub(crate) fn over(&self, told: impl Fn(&EdgeLine) -> bool) -> Over {
        let (mut from, mut over) = (BTreeSet::from([self.start.clone()]), Over::default());
        for hop in &self.hops {
            let mut next = BTreeSet::new();
            for (at, edge) in self.links.iter().enumerate() {
                let (near, far) = ends(edge, hop.direction);
                let goes = edge.predicate == hop.via && from.iter().any(|at| at.0 == near.twin);
                if goes && told(edge) {
                    over.links.insert(at);
                    next.insert(place(far));
                }
            }
            over.reached.push(std::mem::replace(&mut from, next));
        }
        over.reached.push(from);
        over
    }

    /// Whether an owner may be told of a link: it has told us itself, or we say it, or the terms of
    /// who has told us permit it.
    pub(super) fn may_tell(&self, edge: &EdgeLine, owner: &str, us: &str) -> bool {
        let permitted = |said: &SaidLine| {
            said.receipt.as_ref().is_some_and(|receipt| self.for_containment.contains(receipt))
        };
        edge.said.iter().any(|said| said.by == owner || said.by == us || permitted(said))
    }

    /// Whether we say ourselves what a partner has told of twins of ours.
    async fn say_ours(&mut self, client: &AdminClient, under: &Under) -> Result<(), Problem> {
        let unsaid = self.links.iter().filter(|edge| !edge.said.iter().any(|s| s.by == under.us));
        let ours: BTreeSet<(At, Predicate, Direction)> = unsaid
            .flat_map(|edge| {
                [(&edge.from, Direction::Out), (&edge.to, Direction::In)]
                    .map(|(end, way)| (place(end), edge.predicate, way))
            })
            .filter(|((_, owner), ..)| owner.as_ref() == Some(&under.us))
            .collect();
        for (at, via, direction) in ours {
            let walked = ask(client, &Hop { via, direction }, &at, under.asked()).await;
            let walked = match walked {
                Ok(walked) => walked,
                // It is none of ours any more.
                Err(problem) if is_gone(&problem) => continue,
                Err(problem) => return Err(problem),
            };
            let known: Vec<EdgeLine> =
                walked.edges.into_iter().filter(|edge| self.place_of(edge).is_some()).collect();
            known.into_iter().for_each(|edge| self.link(edge));
        }
        Ok(())
    }

    /// Of the links that we do not say ourselves, which may be used for containment: a read for
    /// that purpose, decided by the node and on record there.
    async fn ask_terms(&mut self, client: &AdminClient, under: &Under) -> Result<(), Problem> {
        let not_ours = |edge: &&EdgeLine| edge.said.iter().all(|said| said.by != under.us);
        let said = self.links.iter().filter(not_ours).flat_map(|edge| &edge.said);
        let receipts: BTreeSet<String> = said.filter_map(|said| said.receipt.clone()).collect();
        let purpose = format!("{PURPOSE}{CONTAINMENT}");
        for receipt in receipts {
            let path = read_path(&receipt, Some(&purpose), under.place.as_deref());
            match client.get::<CopyRead>(&path).await {
                Ok(_) => {
                    self.for_containment.insert(receipt);
                }
                // That is a no.
                Err(problem) if problem.code.class == Class::Denied => {}
                Err(problem) if problem.code == codes::COPY_DELETED => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Under which agreement each link was told.
    async fn look_up(&mut self, client: &AdminClient) -> Result<(), Problem> {
        let said = self.links.iter().flat_map(|edge| &edge.said);
        let receipts: BTreeSet<String> = said.filter_map(|said| said.receipt.clone()).collect();
        for receipt in receipts {
            let path = format!("/receipts/{}", segment(&receipt));
            let line: ReceiptLine = client.get(&path).await?;
            self.agreements.insert(receipt, line.agreement);
        }
        Ok(())
    }

    fn take(&mut self, walked: Walked, way: Direction, at: &At, next: &mut BTreeSet<At>) {
        walked.ends.into_iter().for_each(|end| self.ends_at(place(&end.at), end.code));
        if walked.cut.is_some() {
            self.ends_at(at.clone(), codes::INPUT_TOO_LARGE.name.to_owned());
        }
        for edge in walked.edges {
            let (near, far) = ends(&edge, way);
            if near.twin != at.0 {
                continue;
            }
            if next.len() >= MAX_TRACED && !next.contains(&place(far)) {
                self.ends_at(at.clone(), codes::INPUT_TOO_LARGE.name.to_owned());
                return;
            }
            next.insert(place(far));
            self.link(edge);
        }
    }

    /// A link that both owners have told is one.
    pub(crate) fn link(&mut self, edge: EdgeLine) {
        let known = self.place_of(&edge);
        match known.and_then(|at| self.links.get_mut(at)) {
            Some(known) => {
                let new = edge.said.into_iter().filter(|said| !known.said.contains(said));
                let new: Vec<_> = new.collect();
                known.said.extend(new);
            }
            None => self.links.push(edge),
        }
    }

    fn place_of(&self, edge: &EdgeLine) -> Option<usize> {
        let same = |one: &EdgeLine| {
            (&one.from, one.predicate, &one.to) == (&edge.from, edge.predicate, &edge.to)
        };
        self.links.iter().position(same)
    }

    fn ends_at(&mut self, at: At, code: String) {
        if !self.not_shown.contains(&(at.clone(), code.clone())) {
            self.not_shown.push((at, code));
        }
    }
}

/// The end from which a link is walked that way, and the one to which.
fn ends(edge: &EdgeLine, way: Direction) -> (&PlaceLine, &PlaceLine) {
    match way {
        Direction::Out => (&edge.from, &edge.to),
        Direction::In => (&edge.to, &edge.from),
    }
}

pub(crate) fn place(line: &PlaceLine) -> At {
    (line.twin.clone(), line.owner.clone())
}

/// One step from a twin, which its owner answers.
///
/// # Errors
/// `link.not_shown` when it is not known whose it is; what the node refuses.
pub(crate) async fn ask(
    client: &AdminClient,
    hop: &Hop,
    (twin, owner): &At,
    (purpose, at): AskFor<'_>,
) -> Result<Walked, Problem> {
    let unknown = || Problem::new(codes::LINK_NOT_SHOWN, "it is not shown whose the twin is");
    let owner = owner.as_deref().ok_or_else(unknown)?;
    let asked = WalkAsked {
        twin: Iri::new(twin.as_str())?,
        owner: Some(Did::new(owner)?),
        via: vec![hop.via.name().to_owned()],
        direction: Some(hop.direction),
        depth: Some(1),
        purpose: purpose.map(str::to_owned),
        place: at.map(str::to_owned),
    };
    client.post("/graph/walk", "application/json", body(&asked)?).await
}

/// Whether a twin is none of ours any more.
pub(crate) fn is_gone(problem: &Problem) -> bool {
    [codes::TWIN_UNKNOWN, codes::TWIN_ERASED].contains(&problem.code)
}

/// Whether it is the owner's node that does not answer as it must.
fn is_silent(code: &str) -> bool {
    codes::find(code).is_some_and(|code| code.class == Class::Peer)
}

/// Whether it is the own node that fails.
fn is_ours(problem: &Problem) -> bool {
    problem.code.fault == Fault::Us || problem.code == codes::NODE_UNREACHABLE
}

#[cfg(test)]
mod tests {
    use super::Traced;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    const US: &str = "did:web:maker.example";
    const OPERATOR: &str = "did:web:operator.example";
    const SUPPLIER: &str = "did:web:supplier.example";

    fn said(by: &str) -> Value {
        let receipt = (by != US).then(|| format!("r of {by}"));
        json!({ "by": by, "recorded": "2015-07-27T05:00:00Z", "receipt": receipt })
    }

    fn edge(from: (&str, &str), predicate: &str, to: (&str, &str), by: &[&str]) -> Value {
        let place = |(twin, owner): (&str, &str)| json!({ "twin": twin, "owner": owner });
        json!({
            "from": place(from), "predicate": predicate, "to": place(to), "depth": 1,
            "status": "one-sided", "said": by.iter().map(|by| said(by)).collect::<Vec<_>>(),
        })
    }

    /// A turbine, its part, the lot of that, and another turbine with a part of the lot; of the
    /// link between lot and other part it is told by `by`.
    fn traced(by: &[&str], for_containment: &[&str]) -> Traced {
        let links = [
            edge(("p1", US), "part-of", ("t1", OPERATOR), &[US, OPERATOR]),
            edge(("p1", US), "derived-from", ("lot", SUPPLIER), &[US]),
            edge(("p2", US), "derived-from", ("lot", SUPPLIER), by),
            edge(("p2", US), "part-of", ("t2", OPERATOR), &[OPERATOR]),
        ];
        let hop = |via: &str, direction: &str| json!({ "via": via, "direction": direction });
        let hops = [
            hop("part-of", "in"),
            hop("derived-from", "out"),
            hop("derived-from", "in"),
            hop("part-of", "out"),
        ];
        Traced {
            start: ("t1".to_owned(), Some(OPERATOR.to_owned())),
            hops: serde_json::from_value(json!(hops)).unwrap(),
            links: serde_json::from_value(json!(links)).unwrap(),
            for_containment: for_containment.iter().map(|by| format!("r of {by}")).collect(),
            ..Traced::default()
        }
    }

    #[test]
    fn a_way_is_told_to_who_has_told_it_or_by_who_permits_it() {
        let check = |by: &[&str], permits: &[&str], whom: &str, expect: [&[&str]; 5]| {
            let traced = traced(by, permits);
            let reached = traced.over(|edge| traced.may_tell(edge, whom, US)).reached;
            let twins: Vec<BTreeSet<&str>> =
                reached.iter().map(|step| step.iter().map(|at| at.0.as_str()).collect()).collect();
            let expect = expect.map(|step| step.iter().copied().collect::<BTreeSet<_>>());
            assert_eq!(twins, expect, "{by:?} {permits:?} {whom}");
        };
        let (start, part, lot): (&[&str], &[&str], &[&str]) = (&["t1"], &["p1"], &["lot"]);
        let (parts, turbines): (&[&str], &[&str]) = (&["p1", "p2"], &["t1", "t2"]);
        // Of all there is.
        let all = traced(&[SUPPLIER], &[]).over(|_| true).reached;
        assert_eq!(all.last().map(BTreeSet::len), Some(2));
        check(&[US, SUPPLIER], &[], OPERATOR, [start, part, lot, parts, turbines]);
        check(&[SUPPLIER], &[], OPERATOR, [start, part, lot, part, start]);
        check(&[SUPPLIER], &[SUPPLIER], OPERATOR, [start, part, lot, parts, turbines]);
        // That the operator permits it says nothing of what the supplier has told.
        check(&[SUPPLIER], &[OPERATOR], OPERATOR, [start, part, lot, part, start]);
        // The supplier may know of its own links, and not of what the operator has told.
        check(&[SUPPLIER], &[], SUPPLIER, [start, part, lot, parts, start]);
        check(&[SUPPLIER], &[OPERATOR], SUPPLIER, [start, part, lot, parts, turbines]);
    }
}
