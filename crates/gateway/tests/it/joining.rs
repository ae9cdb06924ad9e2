//! Two organisations that become partners by one command each, and everybody who should not.

use crate::pair::{MAKER, OPERATOR, Pair, ROWS, fill, pin, start};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use twinpact_identity::tls::system_clock;
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};
use twinpact_node::api::{Invite, Invited};
use twinpact_node::door::{Asked, Door};
use twinpact_node::egress::{Egress, PublicDoc};
use twinpact_node::strangers::Away;
use twinpact_node::{Node, invitations, join, keys, partners, prove, removal};
use twinpact_proof::{Envelope, Json, SecretKey, sha256, text64, to_hex};

async fn invite(node: &Node) -> Invited {
    invitations::invite(node, &Invite::default()).await.unwrap()
}

fn states(node: &Node) -> Vec<String> {
    invitations::list(node, None).unwrap().into_iter().map(|one| one.state).collect()
}

fn partners_of(node: &Node) -> usize {
    partners::list(node, None).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_a_side_makes_partners() {
    let pair = Pair::strangers().await;
    let invited = invite(pair.operator()).await;
    let joined = join::join(pair.maker(), &invited.invitation).await.unwrap();
    assert_eq!((joined.partner.organisation.as_str(), joined.before), (OPERATOR, false));
    // Each side sees the fingerprints that the other one has.
    assert_eq!(joined.partner.fingerprint, invited.fingerprint);
    let at_operator = partners::list(pair.operator(), None).unwrap().remove(0);
    assert_eq!(
        (at_operator.organisation.as_str(), &at_operator.fingerprint),
        (MAKER, &joined.own_fingerprint)
    );
    assert_eq!(states(pair.operator()), ["used"]);
    fill(pair.operator()).await;
    let agreement = pair.agreed().await;
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    // The other way round it changes nothing.
    let back = invite(pair.maker()).await;
    assert!(join::join(pair.operator(), &back.invitation).await.unwrap().before);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_outlives_a_restart_and_an_interrupted_join_is_gone_on_with() {
    let pair = Pair::strangers().await;
    let invited = invite(pair.operator()).await;
    let path = pair.path("operator");
    let Pair { place, operator, maker } = pair;
    operator.stop().await;
    let pair = Pair { place, operator: start(&path).await, maker };
    assert_eq!(states(pair.operator()), ["open"]);
    join::join(pair.maker(), &invited.invitation).await.unwrap();
    // As if the answer had been lost: the operator has pinned, the maker has not.
    removal::remove(pair.maker(), OPERATOR, "as if never").await.unwrap();
    let again = join::join(pair.maker(), &invited.invitation).await.unwrap();
    assert!(!again.before);
    // And once more, when both have.
    assert!(join::join(pair.maker(), &invited.invitation).await.unwrap().before);
    assert_eq!((partners_of(pair.operator()), partners_of(pair.maker())), (1, 1));
    // Who was removed since does not come back with it.
    removal::remove(pair.operator(), MAKER, "out").await.unwrap();
    let used = join::join(pair.maker(), &invited.invitation).await.unwrap_err();
    assert_eq!(used.code, codes::INVITATION_USED, "{used}");
    // With a new one it does.
    let new = invite(pair.operator()).await;
    join::join(pair.maker(), &new.invitation).await.unwrap();
    assert_eq!(partners_of(pair.operator()), 1);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_moved_on_joins_again() {
    let pair = Pair::strangers().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let invited = invite(operator).await;
    join::join(maker, &invited.invitation).await.unwrap();
    // The maker never saw the answer, and has another key when it comes back.
    removal::remove(maker, OPERATOR, "as if never").await.unwrap();
    keys::rotate(maker, keys::OVERLAP_SECONDS).await.unwrap();
    let again = join::join(maker, &invited.invitation).await.unwrap();
    let at_operator = partners::list(operator, None).unwrap().remove(0);
    assert_eq!((again.before, at_operator.fingerprint), (false, again.own_fingerprint));
    // The operator removes the maker, has another key since, and invites it again.
    removal::remove(operator, MAKER, "out").await.unwrap();
    keys::rotate(operator, keys::OVERLAP_SECONDS).await.unwrap();
    let new = invite(operator).await;
    let back = join::join(maker, &new.invitation).await.unwrap();
    let at_maker = partners::list(maker, None).unwrap().remove(0);
    assert_eq!((back.before, at_maker.fingerprint), (true, new.fingerprint));
    assert_eq!((partners_of(operator), partners_of(maker)), (1, 1));
    // A pin that the record of a new invitation does not follow stays.
    let stranger = Pair::strangers().await;
    let other = invite(stranger.operator()).await;
    removal::remove(operator, MAKER, "out").await.unwrap();
    pin(operator, stranger.maker()).await;
    let newest = invite(operator).await;
    assert_eq!(refused(maker, &newest.invitation).await, "partner.known");
    assert_eq!(states(stranger.operator()), ["open"], "{}", other.id);
    stranger.stop().await;
    pair.stop().await;
}

/// The bytes of an invitation, changed, with a check sum that holds.
fn changed(invitation: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let base64 = invitation.strip_prefix("twinpact1_").unwrap();
    let base64 = base64.replace('-', "+").replace('_', "/");
    let padded = format!("{base64}{}", "=".repeat((4 - base64.len() % 4) % 4));
    let mut bytes = text64::decode(&padded).unwrap();
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    let sum = sha256(&[b"twinpact1_".as_slice(), &bytes].concat());
    bytes.extend_from_slice(&sum[..4]);
    let base64 = text64::encode(&bytes).replace('+', "-").replace('/', "_");
    format!("twinpact1_{}", base64.trim_end_matches('='))
}

async fn refused(node: &Node, invitation: &str) -> &'static str {
    let problem: Problem = join::join(node, invitation).await.unwrap_err();
    problem.code.name
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_invitation_joins_nobody() {
    let (ahead, right) = (Arc::new(AtomicI64::new(0)), system_clock());
    let seconds = ahead.clone();
    let clock = move || WallTime(right().0.plus_seconds(seconds.load(Ordering::SeqCst)));
    let pair = Pair::strangers_by(Arc::new(clock)).await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let good = invite(operator).await.invitation;
    let mut typo = good.clone();
    typo.replace_range(20..21, if &good[20..21] == "x" { "y" } else { "x" });
    assert_eq!(refused(maker, &typo).await, "invitation.malformed");
    assert_eq!(refused(operator, &good).await, "invitation.own");
    let secret = changed(&good, |bytes| bytes[40] ^= 1);
    assert_eq!(refused(maker, &secret).await, "invitation.unknown");
    let record = changed(&good, |bytes| bytes[3] ^= 1);
    assert_eq!(refused(maker, &record).await, "invitation.record.fingerprint");
    let elsewhere = changed(&good, |bytes| {
        bytes.truncate(48);
        bytes.extend_from_slice(b"https://10.0.0.1:8443");
    });
    assert_eq!(refused(maker, &elsewhere).await, "outgoing.address");
    let plain = changed(&good, |bytes| {
        bytes.truncate(48);
        bytes.extend_from_slice(b"http://operator.example");
    });
    assert!(refused(maker, &plain).await.starts_with("outgoing."));
    let second = Invite { name: Some("soon over".to_owned()), valid_seconds: Some(60) };
    let short = invitations::invite(operator, &second).await.unwrap();
    let withdrawn = invite(operator).await;
    invitations::withdraw(operator, &withdrawn.id).await.unwrap();
    assert_eq!(refused(maker, &withdrawn.invitation).await, "invitation.withdrawn");
    assert_eq!(states(operator)[1], "open");
    ahead.store(60, Ordering::SeqCst);
    assert_eq!(states(operator)[1], "expired");
    assert_eq!(refused(maker, &short.invitation).await, "invitation.expired");
    // The operator's record is another one by now.
    keys::rotate(operator, keys::OVERLAP_SECONDS).await.unwrap();
    assert_eq!(refused(maker, &good).await, "invitation.record.fingerprint");
    assert_eq!((partners_of(operator), partners_of(maker)), (0, 0));
    let tally = operator.strangers.tally().total;
    assert_eq!(tally.of(Away::Join), 3, "{tally:?}");
    // A partner under another record is not joined over its pin.
    let stranger = Pair::strangers().await;
    pin(maker, stranger.operator()).await;
    let new = invite(operator).await;
    assert_eq!(refused(maker, &new.invitation).await, "partner.known");
    stranger.stop().await;
    pair.stop().await;
}

/// What the operator says to a request to join by hand.
async fn asked(node: &Node, body: String) -> String {
    let asked = Asked::posted(None, "/.well-known/twinpact/join", body.into_bytes());
    match node.answer(asked).await {
        Egress::Public(PublicDoc::Joined(_)) => "joined".to_owned(),
        Egress::Fault(fault) => fault.document["code"].as_str().unwrap().to_owned(),
        _ => "something else".to_owned(),
    }
}

/// The key of an invitation.
fn key_of(invitation: &str) -> SecretKey {
    let secret = std::cell::Cell::new([0; 16]);
    changed(invitation, |bytes| secret.set(bytes[32..48].try_into().unwrap()));
    SecretKey::new(&sha256(&secret.get()))
}

/// What a request to join says, in a form of that name.
fn document(form: &str, inviter: &str, joiner: &Envelope) -> Json {
    Json::object([
        ("type", Json::text(form)),
        ("inviter", Json::text(inviter)),
        ("joiner", Json::text(to_hex(&joiner.fingerprint()))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_for_another_or_without_the_secret() {
    let pair = Pair::strangers().await;
    let others = Pair::strangers().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let invited = invite(operator).await;
    let key = key_of(&invited.invitation);
    let record = prove::own_record(maker).unwrap();
    let other = prove::own_record(others.maker()).unwrap();
    let kind = "application/vnd.twinpact.join+json";
    let good = document("twinpact-join/1", &invited.fingerprint, &record);
    let signed = |kind: &str, document: &Json, keys: &[&SecretKey]| {
        let mut join = Envelope::sign(kind, document, keys[0]);
        keys[1..].iter().for_each(|key| join.add_signature(key));
        join
    };
    let body = |join: &Envelope, record: &Envelope| {
        Json::object([("join", join.to_json()), ("record", record.to_json())]).canonical()
    };
    let (own, foreign) = (maker.signer(), SecretKey::new(&[3; 32]));
    let strange = document("twinpact-join/1", &"0".repeat(64), &record);
    let swapped = document("twinpact-join/1", &invited.fingerprint, &other);
    let typed = document("twinpact-join/2", &invited.fingerprint, &record);
    let unsigned = "invitation.record.signature";
    let another = "invitation.record.type";
    let more = [&key, own.key(), &foreign];
    for (what, join, brought, expect) in [
        ("without the secret", signed(kind, &good, &[own.key()]), &record, "invitation.unknown"),
        (
            "with another",
            signed(kind, &good, &[&foreign, own.key()]),
            &record,
            "invitation.unknown",
        ),
        ("a borrowed record", signed(kind, &good, &[&key]), &record, unsigned),
        ("a record of others", signed(kind, &good, &[&key, own.key()]), &other, unsigned),
        ("one more signature", signed(kind, &good, &more), &record, unsigned),
        (
            "for another inviter",
            signed(kind, &strange, &[&key, own.key()]),
            &record,
            "invitation.record.inviter",
        ),
        (
            "another joiner",
            signed(kind, &swapped, &[&key, own.key()]),
            &record,
            "invitation.record.joiner",
        ),
        ("another document", signed(kind, &typed, &[&key, own.key()]), &record, another),
        ("another type", signed("application/x", &good, &[&key, own.key()]), &record, another),
    ] {
        assert_eq!(asked(operator, body(&join, brought)).await, expect, "{what}");
    }
    for (text, expect) in [
        (String::new(), "input.malformed"),
        ("{}".to_owned(), "input.malformed"),
        (json!({ "join": good.canonical(), "record": 1 }).to_string(), "input.malformed"),
        (body(&record, &record), "invitation.unknown"),
        (body(&signed(kind, &good, &[&key]), &signed(kind, &good, &[&key])), "trust.record"),
    ] {
        assert_eq!(asked(operator, text).await, expect);
    }
    assert_eq!((partners_of(operator), states(operator)), (0, vec!["open".to_owned()]));
    let join = signed(kind, &good, &[&key, own.key()]);
    assert_eq!(asked(operator, body(&join, &record)).await, "joined");
    // Nobody else comes in with it after that.
    let taken = document("twinpact-join/1", &invited.fingerprint, &other);
    let second = signed(kind, &taken, &[&key, others.maker().signer().key()]);
    assert_eq!(asked(operator, body(&second, &other)).await, "invitation.used");
    others.stop().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hammers_is_counted_and_keeps_out_nobody_else() {
    let pair = Pair::strangers().await;
    let operator = pair.operator();
    let (hammered, other) = (invite(operator).await, invite(operator).await);
    let before = operator.partition.read(|fold, _| fold.last_recorded()).unwrap();
    let (record, none) = (prove::own_record(pair.maker()).unwrap(), Json::object([]));
    // Signed with a key under the name of another, which is all that a stranger could do.
    let named = |id: &str| {
        let mut join =
            Envelope::sign("application/vnd.twinpact.join+json", &none, &SecretKey::new(&[3; 32]));
        join.signatures[0].key_id = id.to_owned();
        Json::object([("join", join.to_json()), ("record", record.to_json())]).canonical()
    };
    for (body, first, last) in [
        ("{}".to_owned(), "input.malformed", "input.malformed"),
        (named("ed25519:0"), "invitation.unknown", "invitation.unknown"),
        (named(&hammered.id), "invitation.unknown", "exchange.too_many"),
    ] {
        let mut codes = Vec::new();
        for _ in 0..100 {
            codes.push(asked(operator, body.clone()).await);
        }
        assert_eq!((codes[0].as_str(), codes[99].as_str()), (first, last));
    }
    assert_eq!(operator.strangers.tally().total.of(Away::Join), 300);
    let after = operator.partition.read(|fold, _| fold.last_recorded()).unwrap();
    assert_eq!(before, after, "no entry of their own");
    // Who was invited by another name comes in meanwhile.
    join::join(pair.maker(), &other.invitation).await.unwrap();
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_invitations_is_bounded() {
    let pair = Pair::strangers().await;
    let operator = pair.operator();
    for _ in 0..invitations::MAX_INVITATIONS {
        invite(operator).await;
    }
    let full = invitations::invite(operator, &Invite::default()).await.err().unwrap();
    assert_eq!(full.code, codes::INVITATION_TOO_MANY, "{full}");
    let first = invitations::list(operator, None).unwrap().remove(0);
    invitations::withdraw(operator, &first.id).await.unwrap();
    invite(operator).await;
    let unknown = invitations::withdraw(operator, "ed25519:0").await.unwrap_err();
    assert_eq!(unknown.code, codes::INVITATION_UNKNOWN);
    for (name, valid, ok) in [
        (200, 1, true),
        (201, 1, false),
        (1, 0, false),
        (1, invitations::MAX_VALID_SECONDS + 1, false),
    ] {
        let first = invitations::list(operator, None).unwrap();
        let open = first.iter().find(|one| one.state == "open").unwrap();
        invitations::withdraw(operator, &open.id).await.unwrap();
        let asked = Invite { name: Some("x".repeat(name)), valid_seconds: Some(valid) };
        assert_eq!(invitations::invite(operator, &asked).await.is_ok(), ok, "{name} {valid}");
    }
    pair.stop().await;
}
