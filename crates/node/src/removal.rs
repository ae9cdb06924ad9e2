//! Taking a partner out: what was pinned of it goes, its agreements end, and its connections close.
//!
//! One frame holds the removal and the ends of all agreements with it. From then on nobody of that
//! organisation is let in or called, whatever process is under way; the processes are ended after
//! it, each in a turn of its own and whosever move it is, and what a stop leaves of them is ended
//! at the next start. What was learned of its log (the pins of anchors and ledgers) stays, as
//! evidence, and holds when it comes back.

use crate::agreements;
use crate::api::PartnerLine;
use crate::bargain;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::partners;
use twinpact_dsp::{negotiation, transfer};
use twinpact_model::WallTime;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_proof::to_hex;

/// Why the processes of a partner end.
const WHY: &str = "the partner was removed";

/// Removes a partner: its live connections are closed when this returns.
///
/// # Errors
/// `partner.unknown`; what the log refuses.
pub async fn remove(node: &Node, did: &str, reason: &str) -> Result<PartnerLine, Problem> {
    let (name, reason) = (did.to_owned(), reason.to_owned());
    let removed = node.partition.turn(move |turn| {
        let partner = turn.fold().partners.get(&name)?;
        let line = partners::line(partner);
        let fingerprint = to_hex(&partner.envelope.fingerprint());
        let mut entries = vec![entry(&name, &fingerprint, &reason)];
        entries.extend(agreements::all_ended(turn.fold(), &name, &reason));
        turn.log(entries)?;
        Ok(line)
    });
    let line = removed.await?;
    partners::let_in(node)?;
    end_processes(node).await?;
    Ok(line)
}

/// Ends the processes of all who are no partner any more.
///
/// # Errors
/// What the log refuses.
pub(crate) async fn end_processes(node: &Node) -> Result<(), Problem> {
    let open: Vec<String> = node.partition.read(|fold, _| {
        let removed = |did: &str| !node.connectors.knows(did) && fold.partners.get(did).is_err();
        let (negotiations, transfers) =
            (fold.processes.negotiations.values(), fold.processes.transfers.values());
        let negotiations = negotiations
            .filter(|n| !n.state.is_final() && removed(&n.party.peer))
            .map(|n| n.party.own_pid.clone());
        let transfers = transfers
            .filter(|t| !t.state.is_final() && removed(&t.party.peer))
            .map(|t| t.party.own_pid.clone());
        negotiations.chain(transfers).collect()
    })?;
    let now = node.clocks.wall();
    for pid in open {
        node.secrets.forget_address(&pid);
        let ours = node.clone();
        let turn = node.partition.turn(move |mut turn| match ended(&ours, &mut turn, &pid, now)? {
            entries if entries.is_empty() => Ok(()),
            entries => turn.log(entries).map(|_| ()),
        });
        turn.await?;
    }
    Ok(())
}

/// The end of a process; nothing when it is over.
fn ended(
    node: &Node,
    turn: &mut Turn<'_>,
    pid: &str,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    match find(turn.fold(), pid) {
        Some(Process::Negotiation(state)) => {
            let input = negotiation::Input::Gone { reason: WHY };
            bargain::negotiation_moved(node, turn, &state, input, now)
        }
        Some(Process::Transfer(state)) => {
            bargain::transfer_moved(node, turn, &state, transfer::Input::Gone { reason: WHY }, now)
        }
        None => Ok(Vec::new()),
    }
}

fn entry(did: &str, fingerprint: &str, reason: &str) -> NewEntry {
    let who = Who::no_twin(Kind::PartnerRemoved, "local");
    let what = vec![
        Attribute::new("organisation", "text", did),
        Attribute::new("fingerprint", "text", fingerprint),
        Attribute::new("reason", "text", reason),
    ];
    NewEntry::event(Entry { who, when: When::default(), why: Why::default(), what })
}

#[cfg(test)]
mod tests {
    use super::end_processes;
    use crate::clock::PolicyClock;
    use crate::conformance::Script;
    use crate::negotiate::opened_negotiation;
    use crate::open::{init, open};
    use serde_json::json;
    use twinpact_dsp::message::Offer;
    use twinpact_dsp::negotiation::{Opening, State, open_as_consumer};
    use twinpact_model::Did;

    const SCRIPT: &str =
        "listen = \"127.0.0.1:0\"\npeer = \"them\"\norganisation = \"did:web:us.example\"\n";

    /// A connector was never let in as a partner, so that it was not taken out either.
    #[tokio::test]
    async fn what_runs_with_a_connector_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("node");
        init(&dir, &Did::new("did:web:us.example").unwrap(), "us").unwrap();
        let parts = open(&dir, PolicyClock::System).await.unwrap();
        let parts = parts.with_script(Script::parse(SCRIPT).unwrap());
        let node = parts.node.clone();
        for (own_pid, peer) in [("urn:uuid:1", "them"), ("urn:uuid:2", "did:web:gone.example")] {
            let address = "http://127.0.0.1:8083";
            let opening = Opening { own_pid, peer, address, callback: "http://127.0.0.1:8282/dsp" };
            let offer = Offer {
                id: "o".to_owned(),
                target: Some("d".to_owned()),
                assigner: None,
                assignee: None,
                policy: json!({ "permission": [{ "action": "use" }] }).into(),
            };
            let step = open_as_consumer(opening, offer, node.clocks.wall()).unwrap();
            let entries = opened_negotiation(&step).unwrap();
            node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
        }
        end_processes(&node).await.unwrap();
        let state = |pid| node.partition.read(|fold, _| fold.processes.negotiations[pid].state);
        let states = ["urn:uuid:1", "urn:uuid:2"].map(|pid| state(pid).unwrap());
        assert_eq!(states, [State::Requested, State::Terminated]);
        parts.stop();
    }
}
