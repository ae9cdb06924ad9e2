//! Tokens and assertions that are forged, stale or borrowed, shown to a whole node over real TLS:
//! each is refused, and says how. `golden/forged.txt` has them all.

use crate::pair::{MAKER, OPERATOR, Pair};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use twinpact_identity::spiffe::SpiffeId;
use twinpact_identity::tls::{Clock, Presented, client_config};
use twinpact_node::{Node, agreements};
use twinpact_proof::{Envelope, Json, SecretKey, text64};

const ASSERTION: &str = "application/vnd.twinpact.assertion+json";
const MINUTE: i64 = 60_000_000;

/// One attempt to get data: with that certificate and these header lines.
async fn attempt(pair: &Pair, presented: &Presented, path: &str, headers: &str) -> String {
    let maker = pair.maker();
    let (operator, clocks) = (pair.operator(), maker.clocks.clone());
    let domain = operator.identity.current().root.trust_domain().clone();
    let clock: Clock = Arc::new(move || clocks.wall());
    let config = client_config(presented, &maker.tls_partners, &domain, &clock).unwrap();
    let tcp = TcpStream::connect(pair.operator.federation.unwrap()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
    let mut tls = TlsConnector::from(config).connect(name, tcp).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: o\r\nconnection: close\r\n{headers}\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.starts_with("HTTP/1.1 200") {
        return "let in".to_owned();
    }
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("code"), without_digits(&text("detail")))
}

/// Times and ids are others each time.
fn without_digits(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('#') => {}
            true => out.push('#'),
            false => out.push(c),
        }
    }
    out
}

/// An assertion of the maker, member by member.
pub(crate) struct Assertion {
    members: Vec<(&'static str, Json)>,
    kind: &'static str,
}

impl Assertion {
    pub(crate) fn good(pair: &Pair, agreement: &str) -> Assertion {
        let now = pair.maker().clocks.wall().0.micros();
        let jti = twinpact_node::ids::urn().unwrap();
        let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
        let members = vec![
            ("type", Json::text("twinpact-assertion/1")),
            ("issuer", Json::text(MAKER)),
            ("audience", Json::text(OPERATOR)),
            ("agreement", Json::text(agreement)),
            ("jti", Json::text(jti)),
            ("purpose", Json::text(purpose)),
            ("place", Json::text("https://w3id.org/twinpact/region/FR")),
            ("assurance", Json::text("declared")),
            ("issued", Json::Int(now)),
            ("expires", Json::Int(now + 2 * MINUTE)),
        ];
        Assertion { members, kind: ASSERTION }
    }

    fn with(mut self, name: &str, value: Json) -> Assertion {
        self.members
            .iter_mut()
            .filter(|(known, _)| *known == name)
            .for_each(|m| m.1 = value.clone());
        self
    }

    fn lasting(self, from: i64, until: i64, now: i64) -> Assertion {
        self.with("issued", Json::Int(now + from)).with("expires", Json::Int(now + until))
    }

    pub(crate) fn signed(self, key: &SecretKey) -> String {
        let document = Json::object(self.members);
        let envelope = Envelope::sign(self.kind, &document, key);
        text64::encode(envelope.to_json().canonical().as_bytes())
    }
}

/// The transfers of the maker for which it has a token: path at the operator, and token.
pub(crate) fn channels(maker: &Node) -> Vec<(String, String)> {
    let pids = |fold: &twinpact_node::fold::Fold| -> Vec<String> {
        fold.processes.transfers.keys().cloned().collect()
    };
    let channel = |pid: String| {
        let (address, _) = maker.secrets.address(&pid)?;
        let url = address.endpoint.clone().unwrap();
        let path = url.split_once("/data/").map(|(_, rest)| format!("/data/{rest}")).unwrap();
        Some((path, address.property("authorization").unwrap().to_owned()))
    };
    let pids = maker.partition.read(|fold, _| pids(fold)).unwrap();
    pids.into_iter().filter_map(channel).collect()
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// What each bad assertion is, and its header.
fn assertions(pair: &Pair, agreement: &str) -> Vec<(&'static str, String)> {
    let signer = pair.maker().signer();
    let (key, foreign) = (signer.key(), SecretKey::new(&[5; 32]));
    let now = pair.maker().clocks.wall().0.micros();
    let good = || Assertion::good(pair, agreement);
    let text = |text: &str| Json::text(text);
    let swapped = |kind| Assertion { kind, ..good() }.signed(key);
    let mut more = good();
    more.members.push(("more", Json::Null));
    let mut fewer = good();
    fewer.members.pop();
    vec![
        ("not base64", "!".to_owned()),
        ("no envelope", text64::encode(b"{}")),
        ("too long", "A".repeat(9_000)),
        ("another payload type", swapped("application/vnd.twinpact.receipt+json")),
        ("by a foreign key", good().signed(&foreign)),
        ("by the provider's key", good().signed(pair.operator().signer().key())),
        ("another form", good().with("type", text("twinpact-assertion/2")).signed(key)),
        ("a member more", more.signed(key)),
        ("a member fewer", fewer.signed(key)),
        ("an assurance that nobody knows", good().with("assurance", text("sure")).signed(key)),
        ("in another's name", good().with("issuer", text("did:web:victim.example")).signed(key)),
        ("for another provider", good().with("audience", text(MAKER)).signed(key)),
        ("for another agreement", good().with("agreement", text(&"0".repeat(64))).signed(key)),
        ("run out", good().lasting(-3 * MINUTE, -MINUTE, now).signed(key)),
        ("from the future", good().lasting(5 * MINUTE, 6 * MINUTE, now).signed(key)),
        ("good for too long", good().lasting(0, 60 * MINUTE, now).signed(key)),
        ("an end before its beginning", good().lasting(0, -MINUTE, now).signed(key)),
        ("a purpose that is none", good().with("purpose", text("x")).signed(key)),
        ("another purpose", good().with("purpose", text("urn:purpose:other")).signed(key)),
        ("a place that is none", good().with("place", text("x")).signed(key)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_stale_and_borrowed_tokens_and_assertions_are_refused_each_in_its_words() {
    let (pair, agreement) = Pair::concluded().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    pair.pull(&agreement).await.unwrap();
    let (path, token) = channels(maker).remove(0);
    let second = pair.agreed().await;
    pair.pull(&second).await.unwrap();
    let mut others = channels(maker).into_iter().filter(|(other, _)| *other != path);
    let (other_path, other_token) = others.next().unwrap();
    let signer = maker.signer();
    let good = || {
        let assertion = Assertion::good(&pair, &agreement).signed(signer.key());
        format!("twinpact-assertion: {assertion}\r\n")
    };
    let presented = &maker.presented;
    assert_eq!(attempt(&pair, presented, &path, &(bearer(&token) + &good())).await, "let in");
    let mut lines = Vec::new();
    let mut says = |what: &str, said: String| lines.push(format!("{what} | {said}"));
    for (what, header) in [
        ("no token", String::new()),
        ("an unknown token", bearer(&"A".repeat(43))),
        ("half a token", bearer(&token[..20])),
        ("a longer token", bearer(&format!("{token}A"))),
        ("the token in another scheme", format!("authorization: Basic {token}\r\n")),
        ("two tokens", bearer(&token) + &bearer(&token)),
        ("the token of another transfer", bearer(&other_token)),
    ] {
        says(what, attempt(&pair, presented, &path, &(header + &good())).await);
    }
    let crossed = attempt(&pair, presented, &other_path, &(bearer(&token) + &good())).await;
    says("the token at another transfer", crossed);
    let none = attempt(&pair, &Presented::default(), &path, &(bearer(&token) + &good())).await;
    says("the token without a certificate", none);
    // Another program of the same organisation has a certificate of its own.
    let (borrowed, identity) = (Presented::default(), maker.identity.current());
    let id = SpiffeId::of_node(identity.issuing.trust_domain(), "other").unwrap();
    let node = identity.issuing.issue_node(&id, maker.clocks.wall()).unwrap();
    borrowed.replace(&node).unwrap();
    let said = attempt(&pair, &borrowed, &path, &(bearer(&token) + &good())).await;
    says("the token of another program", said);
    says("no assertion", attempt(&pair, presented, &path, &bearer(&token)).await);
    for (what, assertion) in assertions(&pair, &agreement) {
        let header = format!("{}twinpact-assertion: {assertion}\r\n", bearer(&token));
        says(what, attempt(&pair, presented, &path, &header).await);
    }
    let once = bearer(&token) + &good();
    assert_eq!(attempt(&pair, presented, &path, &once).await, "let in");
    says("a replayed assertion", attempt(&pair, presented, &path, &once).await);
    let twice = bearer(&token) + &good() + &good();
    says("two assertions", attempt(&pair, presented, &path, &twice).await);
    // A fresh token retires it, and the end of the agreement both.
    let pid = maker
        .partition
        .read(|fold, _| fold.processes.transfers.keys().cloned().collect::<Vec<_>>());
    pid.unwrap().iter().for_each(|pid| maker.secrets.forget_address(pid));
    pair.pull(&agreement).await.unwrap();
    says("a retired token", attempt(&pair, presented, &path, &(bearer(&token) + &good())).await);
    let (_, fresh) = channels(maker).remove(0);
    agreements::revoke(operator, &agreement, "over").await.unwrap();
    let said = attempt(&pair, presented, &path, &(bearer(&fresh) + &good())).await;
    says("a token of a revoked agreement", said);
    let text = lines.join("\n") + "\n";
    assert_eq!(text, include_str!("../golden/forged.txt"), "it is to say:\n{text}");
    pair.stop().await;
}
