//! The transfer formats that we serve, and where data go in each.

use crate::bargain;
use crate::connectors;
use crate::open::Node;
use crate::partition::Turn;
use twinpact_contract::Contract;
use twinpact_dsp::message::TransferRequest;
use twinpact_dsp::transfer::Transfer;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The consumer fetches pages.
pub const PULL: &str = "HttpData-PULL";
/// The provider sends the view as it is, and completes the transfer.
pub const PUSH: &str = "HttpData-PUSH";
/// The consumer reads events as they are recorded (WHATWG HTML §9.2).
pub const STREAM: &str = "HttpData-STREAM";

/// The formats in which a contract's view can be had. Rows that are links come page by page alone.
#[must_use]
pub fn of(contract: &Contract) -> Vec<String> {
    let all = match contract.links {
        None => [PULL, PUSH, STREAM].as_slice(),
        Some(_) => &[PULL],
    };
    all.iter().map(|&format| format.to_owned()).collect()
}

/// Whether a transfer that is asked for can be served: its format, and for one that is sent the
/// address.
///
/// # Errors
/// `exchange.refused` for another format; `outgoing.endpoint` for an address that is not the
/// consumer's own.
pub(crate) fn served(
    node: &Node,
    turn: &Turn<'_>,
    state: &Transfer,
    (target, request): (&str, &TransferRequest),
) -> Result<(), Problem> {
    let refused = |why: String| Err(Problem::new(codes::EXCHANGE_REFUSED, why));
    let contract = turn.fold().contracts.get(target);
    let known = contract.map_or_else(|| vec![PULL.to_owned()], of);
    if !known.contains(&request.format) {
        return refused(format!("this format is not served, these are: {}", known.join(", ")));
    }
    match (&request.data_address, request.format == PUSH) {
        (Some(address), true) => {
            let to = connectors::participant(node, turn.fold(), &state.party.peer)?;
            bargain::address_of(state, address, &to).map(|_| ())
        }
        (None, true) => refused(format!("{PUSH} needs an address to send to")),
        (_, false) => Ok(()),
    }
}
