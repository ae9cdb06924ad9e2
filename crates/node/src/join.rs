//! Joining an organisation that has invited us: one call to read its record, one to bring ours.
//!
//! The first call believes nobody: the record must have the fingerprint that the invitation names.
//! The second goes to a server under the root in that record. The inviter pins first, we pin when
//! it has answered; who is interrupted in between joins again.

use crate::api::Joined;
use crate::ask::JOIN_PATH;
use crate::consumer;
use crate::invitation::Invitation;
use crate::invitations::{self, Fingerprints, JOIN_TYPE};
use crate::open::Node;
use crate::outbound::FirstCall;
use crate::partners::{self, Partner};
use crate::repin;
use twinpact_identity::certificate::RootCertificate;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::{Envelope, Json, Record, to_hex};

/// The most bytes of an answer to a request to join.
const MAX_ANSWER_BYTES: usize = 16_384;

/// Joins with that invitation: afterwards both are partners.
///
/// # Errors
/// `invitation.*` with what is wrong with it, `partner.known` when another record of the
/// organisation is pinned that the invitation's does not follow, `trust.*` when its record cannot
/// be pinned, `peer.*` and `outgoing.*` when it cannot be reached. Nothing was pinned.
pub async fn join(node: &Node, text: &str) -> Result<Joined, Problem> {
    let invitation = Invitation::parse(text)?;
    let own = node.partition.read(|fold, _| fold.organisation.current().cloned())??.1;
    if own.fingerprint() == invitation.fingerprint {
        return Err(invitations::own());
    }
    let (record, envelope) = inviter(node, &invitation).await?;
    let now = node.clocks.wall();
    let before = node.partition.read(|fold, _| {
        invitations::following(node, fold, &record, &envelope, now)?;
        Ok::<_, Problem>(fold.partners.get(&record.did).is_ok())
    })??;
    let fingerprints = Fingerprints {
        inviter: to_hex(&envelope.fingerprint()),
        joiner: to_hex(&own.fingerprint()),
    };
    bring(node, &invitation, &record, &own, &fingerprints).await?;
    let line = partners::line(&Partner { record: record.clone(), envelope: envelope.clone() });
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| {
        match invitations::following(&ours, turn.fold(), &record, &envelope, now)? {
            Some(entry) => turn.log(vec![entry]).map(|_| ()),
            None => Ok(()),
        }
    });
    turn.await?;
    partners::let_in(node)?;
    Ok(Joined { partner: line, own_fingerprint: fingerprints.joiner, before })
}

/// The inviter's record, which is the one that the invitation names.
async fn inviter(node: &Node, invitation: &Invitation) -> Result<(Record, Envelope), Problem> {
    let body = repin::published(node, invitation.endpoint.clone()).await?;
    let other = |code, why: String| {
        Problem::new(code, format!("at {}: {why}", invitation.endpoint))
            .hint("nothing was sent; ask for a new invitation, and tell them what you saw")
    };
    let (record, envelope) = partners::read_record(&body)
        .map_err(|p| other(codes::INVITATION_RECORD_MALFORMED, p.message))?;
    let found = envelope.fingerprint();
    if found != invitation.fingerprint {
        let found = to_hex(&found);
        let why = format!("the record is not the invitation's: its fingerprint is {found}");
        return Err(other(codes::INVITATION_RECORD_FINGERPRINT, why));
    }
    match record.did == node.config.organisation.as_str() {
        true => Err(invitations::own()),
        false => Ok((record, envelope)),
    }
}

/// Sends our record, signed for, to a server under the inviter's root.
async fn bring(
    node: &Node,
    invitation: &Invitation,
    record: &Record,
    own: &Envelope,
    fingerprints: &Fingerprints,
) -> Result<(), Problem> {
    let document = fingerprints.json(invitations::JOIN_FORM);
    let mut join = Envelope::sign(JOIN_TYPE, &document, &invitation.key());
    node.partition.read(|fold, store| {
        fold.behind.check(store.forest())?;
        join.add_signature(node.signer().key());
        Ok::<_, Problem>(())
    })??;
    let body = Json::object([("join", join.to_json()), ("record", own.to_json())]);
    let base = invitations::base(record);
    let call = FirstCall {
        root: Some(RootCertificate::from_der(&record.root_certificate)?),
        url: format!("{base}{JOIN_PATH}"),
        base,
        method: "POST",
        body: body.canonical().into_bytes(),
        max_bytes: MAX_ANSWER_BYTES,
    };
    let none = || Problem::new(codes::INTERNAL, "the node has no way out");
    let reply = node.outbound.get().ok_or_else(none)?.first(call).await?;
    if reply.status != 200 {
        return Err(consumer::denied(&reply.body, reply.status));
    }
    match Json::parse(&reply.body) == Ok(fingerprints.json("twinpact-joined/1")) {
        true => Ok(()),
        false => Err(Problem::new(codes::PEER_ANSWER, "the answer is about other records")),
    }
}
