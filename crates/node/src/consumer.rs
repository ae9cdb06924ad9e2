//! What we ask of partners: an agreement, a view. Each waits for commits, not for
//! time: the writer tells when something has changed.

use crate::agreements::Agreement;
use crate::api::{AgreementLine, Negotiate, Pull, Pulled};
use crate::arrival;
use crate::assertion;
use crate::bargain;
use crate::channel::{self, Way};
use crate::connectors;
use crate::continuity::{Pins, pins};
use crate::fold::Fold;
use crate::found;
use crate::ids;
use crate::meaning;
use crate::negotiate::{find, opened_negotiation};
use crate::negotiations;
use crate::open::Node;
use crate::outbox::call;
use crate::pages::{self, MAX_PAGES, Page};
use crate::{agreements, ask};
use serde_json::Value;
use std::time::Duration;
use twinpact_contract::{Order, Terms, Vocabulary, compare};
use twinpact_dsp::Role;
use twinpact_dsp::message::Offer;
use twinpact_dsp::negotiation::{self, Negotiation, Opening};
use twinpact_model::codes;
use twinpact_model::problem::{Code, Problem};
use twinpact_policy::State;
use twinpact_proof::to_hex;

/// How long a command waits for a partner; the node goes on trying after it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of a delivery, one page with its proof. A page has 4 MiB of rows, or one row of
/// about the 8 MiB of a batch; its proof has 13 KB in the demo, and 4 MiB of room. What is read
/// fits the 16 MiB that one turn may log: it is logged as it came, with less than 1 KiB for every
/// 4,000 rows or 512 KiB.
pub(crate) const MAX_DELIVERY_BYTES: usize = 12 << 20;
/// The most characters of a partner's refusal that are kept.
pub(crate) const MAX_DETAIL: usize = 1_000;

/// Negotiates with a partner for a dataset of its catalogue, on the terms that it offers. An
/// agreement on them that stands is the answer, and a negotiation about it that is open is gone on
/// with, unless another one is wanted: who does not know what became of a command gives it again,
/// and there is still one.
///
/// # Errors
/// `exchange.refused` when the partner ends it, `exchange.waiting` when it does not answer.
pub async fn negotiate(node: &Node, asked: &Negotiate) -> Result<AgreementLine, Problem> {
    let partner = asked.partner.as_str();
    let (id, offer) = found::offer(node, partner, asked.dataset.as_deref()).await?;
    let offer = Offer { target: Some(id), ..offer };
    let pid = ids::urn()?;
    let (us, peer) = connectors::addresses(node, partner).await?;
    // What cannot be read is for the negotiation to refuse.
    let wanted = meaning::terms(&offer.policy).ok();
    let opening = Opening { own_pid: &pid, peer: partner, address: &peer, callback: &us };
    let step = negotiation::open_as_consumer(opening, offer, node.clocks.wall())?;
    let entries = opened_negotiation(&step)?;
    let (another, vocabulary) = (asked.another, node.vocabulary.clone());
    // Both are asked in the turn that would open one: what ends in between is neither.
    let turn = node.partition.turn(move |turn| {
        let agreed = |wanted: &Terms| standing(turn.fold(), &step.next, wanted, &vocabulary);
        if !another && let Some(known) = wanted.as_deref().and_then(agreed) {
            return Ok(Go::Stands(known));
        }
        let same = |n: &&Negotiation| {
            let ours = &step.next;
            (n.party.role, &n.party.peer) == (Role::Consumer, &ours.party.peer)
                && (&n.offer.id, &n.offer.target) == (&ours.offer.id, &ours.offer.target)
                && !n.state.is_final()
        };
        let mut open = turn.fold().processes.negotiations.values();
        if !another && let Some(open) = open.find(same) {
            return Ok(Go::Opened(open.party.own_pid.clone()));
        }
        turn.log(entries)?;
        Ok(Go::Opened(step.next.party.own_pid))
    });
    let pid = match turn.await? {
        Go::Stands(known) => return agreements::show(node, &known, None),
        Go::Opened(pid) => pid,
    };
    wait(node, &pid, |fold| agreed(fold, &pid))
        .await
        .and_then(|id| agreements::show(node, &id, None))
}

/// What a wish to negotiate comes to.
enum Go {
    /// The identity of the agreement that there is.
    Stands(String),
    /// The pid of the negotiation that is open now.
    Opened(String),
}

/// Our agreement with the partner of a negotiation on its dataset and on just those terms, if one
/// holds.
fn standing(
    fold: &Fold,
    ours: &Negotiation,
    wanted: &Terms,
    vocabulary: &Vocabulary,
) -> Option<String> {
    let same = |known: &&Agreement| {
        (known.role, known.state) == (Role::Consumer, State::Active)
            && known.peer == ours.party.peer
            && ours.offer.target.as_ref() == Some(&known.wire.target)
            && known
                .terms()
                .is_ok_and(|agreed| compare(&agreed, wanted, vocabulary).order == Order::Equal)
    };
    fold.agreements.iter().find(same).map(|known| to_hex(&known.id))
}

/// The agreement of a negotiation, once it is final.
fn agreed(fold: &Fold, pid: &str) -> Option<Result<String, Problem>> {
    let state = fold.processes.negotiations.get(pid)?;
    match (state.state, &state.agreement) {
        (negotiation::State::Finalized, Some(wire)) => Some(Ok(wire.id.clone())),
        (negotiation::State::Terminated, _) => {
            let why = state.ended.as_ref().map_or(String::new(), |e| e.reason.join("; "));
            Some(Err(refused(&format!("the negotiation ended: {why}"))))
        }
        _ => negotiations::wants_a_person(state).map(Err),
    }
}

/// Fetches a view under an agreement, page by page; each page is stored before the next is asked
/// for.
///
/// # Errors
/// The partner's refusal with its sentence; `exchange.proof` when a page proves something else or
/// does not go on where it must, and nothing of it is stored. The pages before it stay: then the
/// sentence says how many, and the hint how to go on.
pub async fn pull(node: &Node, pull: &Pull) -> Result<Pulled, Problem> {
    let (id, at_id, peer) = node.partition.read(|fold, _| granted(fold, &pull.agreement))??;
    if node.connectors.knows(&peer) {
        let why = format!("{peer} is somebody else's connector, whose data come without proof");
        return Err(refused(&why).hint(format!("twinpact fetch {}", pull.agreement)));
    }
    let (mut pages, mut wanted) = (Vec::<Page>::new(), pull.clone());
    loop {
        let page = match pages.len() {
            MAX_PAGES => Err(pages::too_many()),
            _ => fetch(node, &wanted, (&id, &at_id), &peer).await,
        };
        let page = page.map_err(|why| pages::stopped(why, &pages, wanted.after.as_ref()))?;
        wanted.after.clone_from(&page.next);
        pages.push(page);
        if wanted.after.is_none() {
            return Ok(pages::total(id, pages));
        }
    }
}

/// Fetches the first page of a view and stores it; whether it goes on is for the caller to see.
///
/// # Errors
/// As [`pull`].
pub(crate) async fn page(node: &Node, pull: &Pull) -> Result<Page, Problem> {
    let (id, at_id, peer) = node.partition.read(|fold, _| granted(fold, &pull.agreement))??;
    fetch(node, pull, (&id, &at_id), &peer).await
}

/// Fetches one page. A token that the partner does not take any more, whatever our clock says, is
/// refreshed once, and a transfer that it does not know any more is opened anew once. Who learns on
/// the way that the partner's log has a successor asks once more, for what continues that.
async fn fetch(node: &Node, pull: &Pull, ids: (&str, &str), peer: &str) -> Result<Page, Problem> {
    let log = partner_log(node, peer)?;
    let fetched = fetch_once(node, pull, ids, peer).await;
    let Err(problem) = &fetched else { return fetched };
    let again = problem.code.within(codes::POLICY_TOKEN) || problem.code == codes::ROUTE_UNKNOWN;
    let succeeded = problem.code == codes::EXCHANGE_PROOF && partner_log(node, peer)? != log;
    if again || succeeded { fetch_once(node, pull, ids, peer).await } else { fetched }
}

/// The origin of the log in a partner's record.
fn partner_log(node: &Node, peer: &str) -> Result<String, Problem> {
    node.partition.read(|fold, _| fold.partners.get(peer).map(|p| p.record.origin.clone()))?
}

/// Transfer, request with an assertion of its own, verification, copy and pins.
async fn fetch_once(
    node: &Node,
    pull: &Pull,
    (id, at_id): (&str, &str),
    peer: &str,
) -> Result<Page, Problem> {
    let (purpose, place) = asserted(node, pull.purpose.as_ref(), pull.place.as_ref())?;
    let Way { pid, url, token } = channel::open(node, at_id, peer).await?;
    // One at a time: each page has to continue what was pinned when it was asked for.
    let lane = node.fetching.of(id);
    let _alone = lane.lock().await;
    let assertion = assertion::sign(node, peer, id, &purpose, &place)?;
    let asked = pins(node, id, peer)?;
    let url = with_query(&url, pull, &asked);
    let headers =
        vec![("authorization", format!("Bearer {token}")), ("twinpact-assertion", assertion)];
    let reply = call(node, peer, "GET", url, headers, Vec::new(), MAX_DELIVERY_BYTES).await?;
    if reply.status != 200 {
        let problem = denied(&reply.body, reply.status);
        channel::refused(node, (&pid, &token), (peer, at_id), &problem).await?;
        return Err(problem);
    }
    arrival::store(node, &reply.body, (id, peer), (pull, asked)).await
}

/// Identity, `@id` and provider of an agreement that gives us something.
pub(crate) fn granted(fold: &Fold, name: &str) -> Result<(String, String, String), Problem> {
    let known = fold.agreements.get(name)?;
    match (known.role, known.state) {
        (Role::Consumer, State::Active) => {
            Ok((to_hex(&known.id), known.wire.id.clone(), known.peer.clone()))
        }
        (Role::Consumer, State::Revoked { at }) => {
            let by = if known.ended_by_partner { "the partner" } else { "us" };
            let why = format!("the agreement was revoked by {by}, on record since {at}");
            Err(Problem::new(codes::POLICY_REVOKED, why).hint("negotiate a new one"))
        }
        _ => Err(Problem::new(codes::AGREEMENT_ENDED, "the agreement gives us nothing now")),
    }
}

/// The purpose and the place that are asserted: those that are said, or the configured ones.
///
/// # Errors
/// `exchange.purpose` when there is none.
pub(crate) fn asserted(
    node: &Node,
    purpose: Option<&String>,
    place: Option<&String>,
) -> Result<(String, String), Problem> {
    let missing = |what: &str| {
        Problem::new(codes::EXCHANGE_PURPOSE, format!("no {what} to assert"))
            .hint(format!("give --{what}, or set it under [assertions] in twinpact.toml"))
    };
    let own = &node.config.assertions;
    let purpose = purpose.or(own.purpose.as_ref()).cloned();
    let place = place.or(own.place.as_ref()).cloned();
    Ok((purpose.ok_or_else(|| missing("purpose"))?, place.ok_or_else(|| missing("place"))?))
}

/// The data address with what narrows the view and what we saw last.
fn with_query(url: &str, pull: &Pull, asked: &Pins) -> String {
    let mut parts = Vec::new();
    parts.extend(pull.since.map(|t| format!("since={t}")));
    parts.extend(pull.until.map(|t| format!("until={t}")));
    parts.extend(pull.twin.as_ref().map(|t| format!("twin={}", ask::encoded(t.as_str()))));
    let after = pull.after.as_ref().map(ToString::to_string);
    parts.extend(after.map(|place| format!("after={}", ask::encoded(&place))));
    parts.extend(asked.anchor.map(|seen| format!("anchor={}", seen.size)));
    parts.extend(asked.ledger.as_ref().map(|pin| format!("ledger={}", pin.seen.size)));
    if parts.is_empty() { url.to_owned() } else { format!("{url}?{}", parts.join("&")) }
}

/// Waits until the state of that process of ours answers, woken by whatever moves it.
///
/// # Errors
/// What the state says; `exchange.waiting`, with whose turn it is, when it says nothing in time.
pub(crate) async fn wait<T>(
    node: &Node,
    pid: &str,
    look: impl Fn(&Fold) -> Option<Result<T, Problem>>,
) -> Result<T, Problem> {
    wait_for(node, pid, look, PATIENCE).await
}

async fn wait_for<T>(
    node: &Node,
    pid: &str,
    look: impl Fn(&Fold) -> Option<Result<T, Problem>>,
    patience: Duration,
) -> Result<T, Problem> {
    let (moves, _at_work) = (node.partition.moves(pid), node.partition.at_work());
    let waiting = async {
        loop {
            if let Some(answer) = node.partition.read_between(|fold, _| look(fold)).await? {
                return answer;
            }
            if !moves.next().await {
                return Err(Problem::new(codes::STORE_STOPPED, "the node is stopping"));
            }
        }
    };
    match tokio::time::timeout(patience, waiting).await {
        Ok(answer) => answer,
        Err(_) => {
            let process = node.partition.read(|fold, _| find(fold, pid))?;
            Err(unanswered(process.map(|process| process.waiting_for()).as_deref()))
        }
    }
}

/// That a process has not got on in time, and whose turn it is.
fn unanswered(turn: Option<&str>) -> Problem {
    let turn = turn.map_or(String::new(), |turn| format!(": {turn}"));
    Problem::new(codes::EXCHANGE_WAITING, format!("the partner has not answered yet{turn}"))
        .hint("the node goes on trying; run the command again later")
}

pub(crate) fn refused(why: &str) -> Problem {
    Problem::new(codes::EXCHANGE_REFUSED, why)
}

pub(crate) fn broken(why: &str) -> Problem {
    Problem::new(codes::EXCHANGE_PROOF, format!("nothing of this delivery was stored: {why}"))
        .hint("keep this message and talk to the partner")
}

/// What a partner may say of a request of ours, and the causes in it; any other code is taken for
/// none, and a cause that only a newer release knows for its family. What it said of
/// itself or of us with a code that we use for ourselves would read, and exit, as a fault of ours.
const PARTNERS_CODES: &[Code] = &[
    codes::POLICY_CALLER,
    codes::POLICY_AGREEMENT,
    codes::POLICY_REVOKED,
    codes::POLICY_TERMINATED,
    codes::POLICY_SUSPENDED,
    codes::POLICY_TOKEN,
    codes::POLICY_ASSERTION,
    codes::POLICY_PROHIBITED,
    codes::POLICY_PURPOSE,
    codes::POLICY_PLACE,
    codes::POLICY_SCHEDULE,
    codes::POLICY_DATETIME,
    codes::POLICY_UNDECIDED,
    codes::POLICY_UNDEFINED,
    codes::POLICY_EXPIRED,
    codes::TOKEN_INVALID,
    codes::TOKEN_EXPIRED,
    codes::INVITATION_UNKNOWN,
    codes::INVITATION_USED,
    codes::INVITATION_EXPIRED,
    codes::INVITATION_WITHDRAWN,
    codes::INVITATION_RECORD,
    codes::INVITATION_OWN,
    codes::PARTNER_KNOWN,
    codes::TRUST_RECORD,
    codes::TRUST_CONFLICT,
    codes::AGREEMENT_UNKNOWN,
    codes::AGREEMENT_ENDED,
    codes::ROUTE_UNKNOWN,
    codes::EXCHANGE_TOO_MANY,
    codes::FEDERATION_BUSY,
    codes::STREAM_POSITION,
    codes::STREAM_TOO_MANY,
    codes::STREAM_SLOW,
    codes::INPUT_MALFORMED,
    codes::INPUT_HEADER,
];

fn partner_behind() -> Problem {
    let why = "the partner's node is an older copy of itself and has stopped signing; nothing of \
               this was stored";
    Problem::new(codes::PARTNER_BEHIND, why).hint(
        "tell the partner; when it has opened a successor log (twinpact restore --successor), run \
         the command again",
    )
}

/// The partner's refusal, in its own words as far as they are a partner's to choose.
pub(crate) fn denied(body: &[u8], status: u16) -> Problem {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text("code") == Some(codes::ANCHOR_BEHIND.name) {
        return partner_behind();
    }
    let partners = |code: &Code| PARTNERS_CODES.iter().any(|family| code.within(*family));
    let said = text("code").and_then(codes::nearest).filter(partners);
    match said {
        Some(code) => {
            let detail = text("detail").unwrap_or(code.title);
            Problem::new(code, detail.chars().take(MAX_DETAIL).collect::<String>())
        }
        None => refused(&format!("the partner answered with status {status}")).hint(bargain::ASK),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Fold, MAX_DETAIL, PARTNERS_CODES, Problem, denied, wait_for};
    use crate::clock::PolicyClock;
    use crate::negotiate::opened_negotiation;
    use crate::open;
    use serde_json::json;
    use std::time::Duration;
    use twinpact_dsp::message::Offer;
    use twinpact_dsp::negotiation::{self, Opening};
    use twinpact_model::problem::{Class, Fault};
    use twinpact_model::{Did, codes};

    #[tokio::test]
    async fn who_waits_in_vain_learns_whose_turn_it_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("maker");
        open::init(&path, &Did::new("did:web:maker.example").unwrap(), "maker").unwrap();
        let parts = open::open(&path, PolicyClock::System).await.unwrap();
        let node = &parts.node;
        let opening = Opening {
            own_pid: "urn:uuid:1",
            peer: "did:web:operator.example",
            address: "https://operator.example/dsp",
            callback: "https://maker.example/dsp",
        };
        let offer = Offer {
            id: "urn:offer".to_owned(),
            target: Some("urn:view".to_owned()),
            assigner: None,
            assignee: None,
            policy: json!({ "permission": [{ "action": "use" }] }).into(),
        };
        let step = negotiation::open_as_consumer(opening, offer, node.clocks.wall()).unwrap();
        let entries = opened_negotiation(&step).unwrap();
        node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
        for (pid, turn) in [
            ("urn:uuid:1", ": waiting for the provider did:web:operator.example to offer, agree"),
            ("urn:uuid:2", ""),
        ] {
            let never = |_: &Fold| None::<Result<(), Problem>>;
            let late = wait_for(node, pid, never, Duration::ZERO).await.unwrap_err();
            assert_eq!(late.code, codes::EXCHANGE_WAITING);
            let said = format!("the partner has not answered yet{turn}");
            assert!(late.message.starts_with(&said), "{late}");
            assert_eq!(late.message == said, turn.is_empty(), "{late}");
        }
        parts.stop();
    }

    #[test]
    fn a_partner_chooses_neither_our_faults_nor_a_novel() {
        let check = |body: &str, code: &str, message: &str| {
            let problem = denied(body.as_bytes(), 403);
            assert_eq!((problem.code.name, problem.message.as_str()), (code, message), "{body}");
        };
        let (refused, status) = ("exchange.refused", "the partner answered with status 403");
        check(r#"{"code":"policy.place","detail":"not there"}"#, "policy.place", "not there");
        let title = codes::POLICY_PLACE.title;
        check(r#"{"code":"policy.place"}"#, "policy.place", title);
        check(r#"{"code":"policy.place","detail":7}"#, "policy.place", title);
        for body in ["", "[]", "{}", r#"{"code":7}"#, r#"{"code":"no.such","detail":"x"}"#] {
            check(body, refused, status);
        }
        let behind = denied(br#"{"code":"anchor.behind","detail":"x"}"#, 500);
        assert!(behind.code == codes::PARTNER_BEHIND && !behind.message.contains('x'), "{behind}");
        let known = |code: &Code| {
            let within = |family: &Code| code.within(*family);
            PARTNERS_CODES.iter().any(within) || *code == codes::ANCHOR_BEHIND
        };
        for code in codes::ALL.iter().filter(|code| !known(code)) {
            check(&json!({ "code": code.name, "detail": "x" }).to_string(), refused, status);
        }
        // Each cause in a family is the partner's to name, also one of a release to come.
        let cause = codes::POLICY_TOKEN_EXPIRED.name;
        check(&json!({ "code": cause, "detail": "x" }).to_string(), cause, "x");
        check(r#"{"code":"policy.token.moonless","detail":"x"}"#, "policy.token", "x");
        check(r#"{"code":"policy.tokens","detail":"x"}"#, refused, status);
        for code in codes::ALL.iter().filter(|code| known(code) && code.public()) {
            assert_eq!(code.fault, Fault::Caller, "{}", code.name);
            assert!(!matches!(code.class, Class::Config | Class::Damaged | Class::Internal));
        }
        let long = |more: usize| "é".repeat(MAX_DETAIL + more);
        for more in [0, 1, 100_000] {
            let body = json!({ "code": "policy.schedule", "detail": long(more) }).to_string();
            check(&body, "policy.schedule", &long(0));
        }
    }
}
