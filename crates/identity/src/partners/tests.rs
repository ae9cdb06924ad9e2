//! Each root is valid for its own trust domain only, whatever is presented.

use super::{MAX_CHAIN, Partner, PartnerSet, Partners, Side};
use crate::forge::{Chain, Org, at, ca_params, leaf_params, set_life, uri_name};
use crate::refusal::Refusal;
use crate::spiffe::TrustDomain;
use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use twinpact_model::Did;
use twinpact_proof::sha256;

fn set(orgs: &[&Org]) -> PartnerSet {
    PartnerSet::new(orgs.iter().map(|org| org.partner())).unwrap()
}

#[test]
fn chains_that_are_not_in_order_have_reasons_of_their_own() {
    let (b, c, stranger) =
        (Org::new("b.example"), Org::new("c.example"), Org::new("stranger.example"));
    let partners = set(&[&b, &c]);
    let check = |what: &str, chain: &Chain, expect: Result<(), Refusal>| {
        let got = partners.verify(&chain.certificates, Side::Client, at(0));
        assert_eq!(got.map(|_| ()), expect, "{what}");
    };
    check("good", &b.leaf(|_| {}), Ok(()));
    check("no extended usage", &b.leaf(|p| p.extended_key_usages.clear()), Ok(()));
    let dns = SanType::DnsName("b.example".try_into().unwrap());
    check("a DNS name beside", &b.leaf(|p| p.subject_alt_names.push(dns)), Ok(()));

    let more = uri_name("spiffe://b.example/twinpact/n2/node");
    check("two ids", &b.leaf(|p| p.subject_alt_names.push(more.clone())), Err(Refusal::NoSpiffeId));
    let web = uri_name("https://b.example/x");
    check("another URI", &b.leaf(|p| p.subject_alt_names.push(web)), Err(Refusal::NoSpiffeId));
    check("no id", &b.leaf(|p| p.subject_alt_names.clear()), Err(Refusal::NoSpiffeId));
    for uri in
        ["spiffe://b.example", "spiffe://b.example/", "https://b.example/x", "spiffe://B.example/x"]
    {
        let chain = b.leaf(|p| p.subject_alt_names = vec![uri_name(uri)]);
        check(uri, &chain, Err(Refusal::NoSpiffeId));
    }
    check(
        "a CA as leaf",
        &b.leaf(|p| p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        Err(Refusal::NotALeaf),
    );
    check("no key usage", &b.leaf(|p| p.key_usages.clear()), Err(Refusal::NotALeaf));
    check(
        "a leaf that signs certificates",
        &b.leaf(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        Err(Refusal::NotALeaf),
    );
    check(
        "a leaf that signs revocation lists",
        &b.leaf(|p| p.key_usages.push(KeyUsagePurpose::CrlSign)),
        Err(Refusal::NotALeaf),
    );
    check(
        "for servers only",
        &b.leaf(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        Err(Refusal::WrongPurpose),
    );
    check("expired", &b.leaf(|p| set_life(p, -300, -1)), Err(Refusal::Expired));
    check("not yet", &b.leaf(|p| set_life(p, 1, 300)), Err(Refusal::NotYetValid));
    check("of a stranger", &stranger.leaf(|_| {}), Err(Refusal::NotAPartner));
    check("nothing", &Chain { certificates: vec![], ..b.leaf(|_| {}) }, Err(Refusal::Malformed));
    let garbage = b.leaf(|_| {}).under(&[&vec![0u8; 10].into()]);
    check("garbage above", &garbage, Err(Refusal::Malformed));

    // The chain is cut or bent.
    let alone = Chain { certificates: vec![b.leaf(|_| {}).leaf().clone()], ..b.leaf(|_| {}) };
    check("without its issuer", &alone, Err(Refusal::ForeignRoot));
    let self_signed = Chain::self_signed(&leaf_params(&b.id().to_string()));
    check("self-signed", &self_signed, Err(Refusal::ForeignRoot));
    check(
        "self-signed under the real issuer",
        &self_signed.under(&[b.issuing.certificate()]),
        Err(Refusal::ForeignRoot),
    );
}

#[test]
fn no_root_vouches_for_another_organisation() {
    let (b, c, stranger) =
        (Org::new("b.example"), Org::new("c.example"), Org::new("stranger.example"));
    let partners = set(&[&b, &c]);
    let check = |what: &str, chain: &Chain, expect: Refusal| {
        for side in [Side::Client, Side::Server(&c.domain)] {
            let got = partners.verify(&chain.certificates, side, at(0)).unwrap_err();
            assert_eq!(got, expect, "{what}");
        }
    };
    let id = c.id().to_string();
    // B's CA, honest about itself, signs an id of C.
    check("a mix-up", &b.leaf(|p| p.subject_alt_names = vec![uri_name(&id)]), Refusal::WrongDomain);
    // B means it: its root signs a CA that says nothing, or that says it is C's.
    for uris in [vec![], vec![c.domain.uri()]] {
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        let bent = b.root_authority().sign(&ca_params("Twinpact issuing CA", &uris));
        let leaf = bent.authority().sign(&leaf_params(&id)).under(&[bent.leaf()]);
        check("a partner that means it", &leaf, Refusal::ForeignRoot);
    }
    // A stranger copies every name of C's chain.
    let copied = Chain::self_signed(&ca_params("Twinpact root", &[&c.domain.uri()]));
    let issuing = copied.authority().sign(&ca_params("Twinpact issuing CA", &[&c.domain.uri()]));
    let leaf = issuing.authority().sign(&leaf_params(&id));
    check("a copy", &leaf.under(&[issuing.leaf(), copied.leaf()]), Refusal::ForeignRoot);
    let leaf = stranger.leaf(|p| p.subject_alt_names = vec![uri_name(&id)]);
    check("a stranger's CA", &leaf, Refusal::WrongDomain);
    // A node of C issues certificates with its own key.
    let node = Chain::from(&c.node(at(0)));
    let below = node.authority().sign(&leaf_params(&id));
    let chain = below.under(&[node.leaf(), c.issuing.certificate()]);
    check("a node as issuer", &chain, Refusal::NotAnIssuer);
    // C's issuing CA makes a CA below itself, which its own path length forbids.
    let sub = c.authority().sign(&ca_params("sub", &[&c.domain.uri()]));
    let leaf = sub.authority().sign(&leaf_params(&id));
    let chain = leaf.under(&[sub.leaf(), c.issuing.certificate()]);
    check("a CA below the issuing CA", &chain, Refusal::ForeignRoot);
}

#[test]
fn a_server_is_the_partner_that_was_called() {
    let (b, c) = (Org::new("b.example"), Org::new("c.example"));
    let partners = set(&[&b, &c]);
    let chain = b.leaf(|_| {}).certificates;
    assert!(partners.verify(&chain, Side::Server(&b.domain), at(0)).is_ok());
    let other = partners.verify(&chain, Side::Server(&c.domain), at(0));
    assert_eq!(other, Err(Refusal::WrongDomain));
    let client_only = b.leaf(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let got = partners.verify(&client_only.certificates, Side::Server(&b.domain), at(0));
    assert_eq!(got, Err(Refusal::WrongPurpose));
}

#[test]
fn an_identity_says_who_and_until_when() {
    let b = Org::new("b.example");
    let partners = set(&[&b]);
    let node = b.node(at(0));
    let peer = partners.verify(node.chain(), Side::Client, at(0)).unwrap();
    assert_eq!(peer.did.as_str(), "did:web:b.example");
    assert_eq!(peer.trust_domain, b.domain);
    assert_eq!(peer.spiffe_id, b.id());
    assert_eq!(peer.leaf_sha256, sha256(&node.chain()[0]));
    assert_eq!(&peer.root_sha256, b.root.certificate().sha256());
    assert_eq!(peer.not_after, at(3_600));
    assert!(partners.still_holds(&peer, at(3_600)));
    assert!(!partners.still_holds(&peer, at(3_601)));
    let again = partners.verify(node.chain(), Side::Client, at(3_601));
    assert_eq!(again, Err(Refusal::Expired));

    // The chain ends with the first of its certificates.
    let short = b.root_authority().sign(&{
        let mut params = ca_params("Twinpact issuing CA", &[&b.domain.uri()]);
        set_life(&mut params, -300, 60);
        params
    });
    let leaf = short.authority().sign(&leaf_params(&b.id().to_string())).under(&[short.leaf()]);
    let peer = partners.verify(&leaf.certificates, Side::Client, at(0)).unwrap();
    assert_eq!(peer.not_after, at(60));
    let late = partners.verify(&leaf.certificates, Side::Client, at(61));
    assert_eq!(late, Err(Refusal::Expired));
}

#[test]
fn a_root_that_ran_out_vouches_for_nobody() {
    let b = Org::new("b.example");
    let partners = set(&[&b]);
    let end = crate::ca::ROOT_SECONDS;
    let bent = b.root_authority().sign(&{
        let mut params = ca_params("Twinpact issuing CA", &[&b.domain.uri()]);
        set_life(&mut params, -300, end + 100);
        params
    });
    let mut params = leaf_params(&b.id().to_string());
    set_life(&mut params, -300, end + 100);
    let chain = bent.authority().sign(&params).under(&[bent.leaf()]);
    let peer = partners.verify(&chain.certificates, Side::Client, at(end)).unwrap();
    assert_eq!(peer.not_after, at(end));
    let late = partners.verify(&chain.certificates, Side::Client, at(end + 1));
    assert_eq!(late, Err(Refusal::Expired));
}

#[test]
fn a_chain_has_a_longest_length() {
    let b = Org::new("b.example");
    let partners = set(&[&b]);
    let mut chain = b.leaf(|_| {}).certificates;
    while chain.len() < MAX_CHAIN {
        chain.push(b.issuing.certificate().clone());
    }
    assert!(partners.verify(&chain, Side::Client, at(0)).is_ok());
    chain.push(b.issuing.certificate().clone());
    assert_eq!(partners.verify(&chain, Side::Client, at(0)), Err(Refusal::Malformed));
}

#[test]
fn live_connections_end_with_their_partner_or_its_root() {
    let (b, renewed) = (Org::new("b.example"), Org::new("b.example"));
    let partners = Partners::new(set(&[&b]));
    let handle = partners.clone();
    let before = partners.snapshot();
    let peer = before.verify(b.node(at(0)).chain(), Side::Client, at(0)).unwrap();
    assert!(partners.snapshot().still_holds(&peer, at(0)));
    handle.replace(set(&[&renewed]));
    assert!(!partners.snapshot().still_holds(&peer, at(0)), "another root");
    handle.replace(PartnerSet::default());
    assert!(!partners.snapshot().still_holds(&peer, at(0)), "no partner");
    assert!(before.still_holds(&peer, at(0)), "a snapshot does not change");
}

#[test]
fn a_set_has_one_partner_for_each_trust_domain() {
    let (b, other) = (Org::new("b.example"), Org::new("b.example"));
    let partner = |did: &str, org: &Org| Partner {
        did: Did::new(did).unwrap(),
        root: org.root.certificate().clone(),
    };
    let check = |partners: Vec<Partner>, expect: Option<&str>| {
        let got = PartnerSet::new(partners).err().map(|problem| problem.code.name);
        assert_eq!(got, expect);
    };
    check(vec![partner("did:web:b.example", &b)], None);
    check(vec![partner("did:web:c.example", &b)], Some("identity.certificate"));
    check(vec![partner("did:key:z6Mk", &b)], Some("identity.name"));
    check(
        vec![partner("did:web:b.example", &b), partner("did:web:b.example:unit", &other)],
        Some("trust.conflict.domain"),
    );
    let set = PartnerSet::new([partner("did:web:b.example%3A8443", &b)]).unwrap();
    assert_eq!(set.get(&b.domain).unwrap().did.as_str(), "did:web:b.example%3A8443");
    assert_eq!(set.iter().count(), 1);
    assert!(set.get(&TrustDomain::new("c.example").unwrap()).is_none());
}

#[test]
fn a_set_has_a_largest_size() {
    // One key for all roots: only the names matter here.
    let key = rcgen::KeyPair::generate().unwrap();
    let partners = |n: usize| -> Vec<Partner> {
        (0..n)
            .map(|i| {
                let params = ca_params("root", &[&format!("spiffe://p{i}.example")]);
                let der = params.self_signed(&key).unwrap().der().to_vec();
                Partner {
                    did: Did::new(format!("did:web:p{i}.example")).unwrap(),
                    root: crate::RootCertificate::from_der(&der).unwrap(),
                }
            })
            .collect()
    };
    let mut most = partners(super::MAX_PARTNERS + 1);
    assert_eq!(PartnerSet::new(most.clone()).unwrap_err().code.name, "input.too_large");
    most.pop();
    assert!(PartnerSet::new(most).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever signs, whatever id it writes and whatever is presented above: a chain is accepted as
    /// that of a partner exactly when that partner's own CA signed it.
    #[test]
    fn a_leaf_never_verifies_under_another_root(
        signer in 0usize..4, claimed in 0usize..4, silent in any::<bool>(),
        above in proptest::collection::vec(0usize..4, 0..2), called in 0usize..4,
    ) {
        let orgs = [
            Org::new("a.example"), Org::new("b.example"), Org::new("c.example"),
            // The same name as the first, another root: a forger.
            Org::new("a.example"),
        ];
        let partners = set(&[&orgs[0], &orgs[1]]);
        let uri = orgs[signer].domain.uri();
        let uris: &[&str] = if silent { &[] } else { &[&uri] };
        let ca = orgs[signer].root_authority().sign(&ca_params("Twinpact issuing CA", uris));
        let mut chain = ca.authority().sign(&leaf_params(&orgs[claimed].id().to_string()));
        chain = chain.under(&[ca.leaf()]);
        for i in above {
            chain = chain.under(&[orgs[i].issuing.certificate()]);
        }
        for side in [Side::Client, Side::Server(&orgs[called].domain)] {
            if let Ok(peer) = partners.verify(&chain.certificates, side, at(0)) {
                prop_assert!(signer < 2, "only a partner's root signs");
                prop_assert_eq!(&peer.trust_domain, &orgs[signer].domain);
                prop_assert_eq!(&peer.trust_domain, &orgs[claimed].domain);
                prop_assert!(side == Side::Client || orgs[called].domain == peer.trust_domain);
            }
        }
        let honest = signer < 2 && orgs[signer].domain == orgs[claimed].domain
            && chain.certificates.len() == 2;
        if honest {
            prop_assert!(partners.verify(&chain.certificates, Side::Client, at(0)).is_ok());
        }
    }
}
