//! Types that hold a secret, printed as a debug print would: no form of the secret is in it.

use std::fmt::Debug;
use twinpact_dsp::Message;
use twinpact_dsp::message::{DataAddress, Pids, TransferStart};
use twinpact_identity::token::AccessToken;
use twinpact_identity::{Held, Root, Signer, SpiffeId, TrustDomain};
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::api::AdminFile;
use twinpact_node::outbound::{Call, FirstCall, Reply};
use twinpact_proof::{SecretKey, text64, to_hex};

/// The forms in which a debug print might show bytes: as they are, as a list, in hexadecimal and in
/// base64 with either alphabet.
fn forms(secret: &[u8]) -> Vec<String> {
    let list = format!("{secret:?}");
    let base64 = text64::encode(secret).trim_end_matches('=').to_owned();
    let url = base64.replace('+', "-").replace('/', "_");
    let inside = list.trim_matches(['[', ']']).to_owned();
    let mut forms = vec![inside, to_hex(secret), base64, url];
    forms.extend(String::from_utf8(secret.to_vec()));
    forms
}

fn check(what: &dyn Debug, secrets: &[&[u8]]) {
    let (short, long) = (format!("{what:?}"), format!("{what:#?}"));
    assert!(!short.is_empty());
    for secret in secrets {
        assert!(secret.len() >= 16, "too short to be looked for: {secret:?}");
        for form in forms(secret) {
            assert!(!short.contains(&form) && !long.contains(&form), "{form} in {short}");
        }
    }
}

/// The look itself: it sees what is printed.
#[test]
#[should_panic(expected = "too-plain-a-secret")]
fn what_is_printed_is_seen() {
    check(&["too-plain-a-secret"], &[b"too-plain-a-secret"]);
}

#[test]
fn keys_are_not_printed() {
    let seed = [0xa7; 32];
    check(&SecretKey::new(&seed), &[&seed]);
    check(&Signer::new(&seed), &[&seed]);
    let (domain, now) =
        (TrustDomain::new("a.example").unwrap(), WallTime(Timestamp::from_seconds(1)));
    let root = Root::create(&domain, now).unwrap();
    let issuing = root.issue(now).unwrap();
    let node = issuing.issue_node(&SpiffeId::of_node(&domain, "node").unwrap(), now).unwrap();
    check(&root, &[root.key()]);
    check(&issuing, &[issuing.key()]);
    check(&node, &[root.key(), issuing.key()]);
    let place = tempfile::tempdir().unwrap();
    let files = twinpact_identity::files::IdentityFiles::new(place.path());
    let identity = files.create(&domain, now).unwrap();
    let key = identity.issuing.key().to_vec();
    check(&identity, &[&key]);
    check(&Held::new(identity), &[&key]);
}

#[test]
fn tokens_and_what_carries_them_are_not_printed() {
    let token = AccessToken::new(&[0x5c; 32]);
    let secret = token.secret().as_bytes();
    check(&token, &[secret]);
    let address = DataAddress {
        endpoint_type: "x".to_owned(),
        endpoint: None,
        properties: vec![("authorization".to_owned(), token.secret().to_owned())],
    };
    check(&address, &[secret]);
    let pids = Pids { provider: "a".to_owned(), consumer: "b".to_owned() };
    let start = TransferStart { id: None, pids, data_address: Some(address) };
    check(&Message::TransferStart(start), &[secret]);
    let text = token.secret().to_owned();
    check(&AdminFile { url: "http://x".to_owned(), token: text.clone(), pid: 1 }, &[secret]);
    let (domain, url) =
        (TrustDomain::new("a.example").unwrap(), format!("https://a.example/{text}"));
    let call = Call {
        trust_domain: domain,
        pinned: Vec::new(),
        method: "GET",
        url: url.clone(),
        headers: vec![("authorization", text.clone())],
        body: secret.to_vec(),
        max_bytes: 1,
    };
    check(&call, &[secret]);
    let base = "https://a.example".to_owned();
    let body = secret.to_vec();
    check(&FirstCall { root: None, base, method: "POST", url, body, max_bytes: 1 }, &[secret]);
    check(&Reply::whole(200, secret.to_vec()), &[secret]);
}
