//! From the twin that was found to those that its fault may touch, by the steps of a rule: each is
//! a walk over one link, which the owner of the twin answers under its own contract.
//!
//! Whatever is not shown ends the trace there, with its code, and nowhere else.

use super::state::Found;
use super::{Under, internal};
use std::collections::{BTreeMap, BTreeSet};
use twinpact_detect::Hop;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::{Fault, Problem};
use twinpact_model::{Did, Direction, Iri, codes};
use twinpact_node::api::{EdgeLine, PlaceLine, ReceiptLine, WalkAsked, Walked};

/// The most twins that one step comes to; behind them it says that it was cut short.
pub(crate) const MAX_TRACED: usize = 500;

/// A twin and its owner.
pub(super) type At = (String, Option<String>);

/// What was traced.
#[derive(Debug, Default)]
pub(super) struct Traced {
    /// The twins that each step came to; before the first the one that was found.
    pub(super) reached: Vec<BTreeSet<At>>,
    /// The links, in the order in which they were met, none twice.
    pub(super) links: Vec<EdgeLine>,
    /// What was not shown: where, and with which code.
    pub(super) not_shown: Vec<(At, String)>,
    /// The agreement of each delivery by which links were told.
    pub(super) agreements: BTreeMap<String, String>,
}

impl Traced {
    /// Walks from the twin that was found.
    ///
    /// # Errors
    /// When the node is not there, or stopped; what others refuse is in `not_shown`.
    pub(super) async fn of(
        client: &AdminClient,
        hops: &[Hop],
        found: &Found,
        under: &Under,
    ) -> Result<Traced, Problem> {
        let owner = Some(under.agreement.partner.clone());
        let mut traced = Traced::default();
        let mut from = BTreeSet::from([(found.twin.clone(), owner)]);
        for hop in hops {
            let mut next = BTreeSet::new();
            for at in &from {
                let walked = match ask(client, hop, at, under).await {
                    Ok(walked) => walked,
                    Err(problem) if is_ours(&problem) => return Err(problem),
                    Err(problem) => {
                        traced.ends_at(at.clone(), problem.code.name.to_owned());
                        continue;
                    }
                };
                traced.take(walked, hop.direction, at, &mut next);
            }
            traced.reached.push(std::mem::replace(&mut from, next));
        }
        traced.reached.push(from);
        traced.look_up(client).await?;
        Ok(traced)
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
            let (near, far) = match way {
                Direction::Out => (&edge.from, &edge.to),
                Direction::In => (&edge.to, &edge.from),
            };
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
    fn link(&mut self, edge: EdgeLine) {
        let same = |one: &&mut EdgeLine| {
            (&one.from, one.predicate, &one.to) == (&edge.from, edge.predicate, &edge.to)
        };
        match self.links.iter_mut().find(same) {
            Some(known) => {
                let new = edge.said.into_iter().filter(|said| !known.said.contains(said));
                let new: Vec<_> = new.collect();
                known.said.extend(new);
            }
            None => self.links.push(edge),
        }
    }

    fn ends_at(&mut self, at: At, code: String) {
        if !self.not_shown.contains(&(at.clone(), code.clone())) {
            self.not_shown.push((at, code));
        }
    }
}

pub(super) fn place(line: &PlaceLine) -> At {
    (line.twin.clone(), line.owner.clone())
}

async fn ask(
    client: &AdminClient,
    hop: &Hop,
    (twin, owner): &At,
    under: &Under,
) -> Result<Walked, Problem> {
    let unknown = || Problem::new(codes::LINK_NOT_SHOWN, "it is not shown whose the twin is");
    let owner = owner.as_deref().ok_or_else(unknown)?;
    let asked = WalkAsked {
        twin: Iri::new(twin.as_str())?,
        owner: Some(Did::new(owner)?),
        via: vec![hop.via.name().to_owned()],
        direction: Some(hop.direction),
        depth: Some(1),
        purpose: under.purpose.clone(),
        place: under.place.clone(),
    };
    let body = serde_json::to_vec(&asked).map_err(|e| internal(&format!("a walk: {e}")))?;
    client.post("/graph/walk", "application/json", body).await
}

/// Whether it is the own node that fails.
fn is_ours(problem: &Problem) -> bool {
    problem.code.fault == Fault::Us || problem.code == codes::NODE_UNREACHABLE
}
