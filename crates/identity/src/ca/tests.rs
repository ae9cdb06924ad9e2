//! Certificates hold what SPIFFE and RFC 5280 ask for, and end when they should.

use super::{
    BACKDATE_SECONDS, ISSUING_SECONDS, IssuingCa, NODE_SECONDS, ROOT_SECONDS, Root, Validity,
    WARN_SECONDS,
};
use crate::forge::{Org, at};
use crate::spiffe::SpiffeId;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The parts of a certificate that matter, as text.
fn summary(der: &[u8]) -> String {
    let (_, c) = X509Certificate::from_der(der).unwrap();
    let constraints = c.basic_constraints().unwrap().unwrap();
    let usage = c.key_usage().unwrap().unwrap();
    let names = c.subject_alternative_name().unwrap().unwrap();
    let purposes = c.extended_key_usage().unwrap().map_or(String::new(), |eku| {
        format!(" server={} client={}", eku.value.server_auth, eku.value.client_auth)
    });
    format!(
        "v{} ca={} pathlen={:?} critical={}/{} usage={} names={:?}{purposes}",
        c.version().0 + 1,
        constraints.value.ca,
        constraints.value.path_len_constraint,
        constraints.critical,
        usage.critical,
        usage.value,
        names.value.general_names,
    )
}

fn life(der: &[u8]) -> (i64, i64) {
    let (_, c) = X509Certificate::from_der(der).unwrap();
    (c.validity().not_before.timestamp(), c.validity().not_after.timestamp())
}

#[test]
fn certificates_are_of_their_form() {
    let org = Org::new("operator.example");
    let node = org.node(at(0));
    let domain = r#"[URI("spiffe://operator.example")]"#;
    let signs = "usage=Key Cert Sign, CRL Sign";
    for (der, expect) in [
        (
            org.root.certificate().der(),
            format!("v3 ca=true pathlen=Some(1) critical=true/true {signs} names={domain}"),
        ),
        (
            org.issuing.certificate(),
            format!("v3 ca=true pathlen=Some(0) critical=true/true {signs} names={domain}"),
        ),
        (
            &node.chain()[0],
            "v3 ca=false pathlen=None critical=true/true usage=Digital Signature \
             names=[URI(\"spiffe://operator.example/twinpact/n1/node\")] server=true client=true"
                .to_owned(),
        ),
    ] {
        assert_eq!(summary(der), expect);
        let (_, c) = X509Certificate::from_der(der).unwrap();
        assert_eq!(c.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
        assert_eq!(c.public_key().subject_public_key.data.len(), 65, "a point on P-256");
    }
    assert_eq!(node.chain().len(), 2);
    assert_eq!(&node.chain()[1], org.issuing.certificate());
    assert_eq!(node.spiffe_id(), &org.id());
}

#[test]
fn nobody_outlives_its_issuer() {
    let org = Org::new("operator.example");
    let check = |der: &[u8], from: i64, until: i64| {
        let (from, until) = (at(from).0.seconds(), at(until).0.seconds());
        assert_eq!(life(der), (from, until));
    };
    check(org.root.certificate().der(), -BACKDATE_SECONDS, ROOT_SECONDS);
    check(org.issuing.certificate(), -BACKDATE_SECONDS, ISSUING_SECONDS);
    check(&org.node(at(50)).chain()[0], 50 - BACKDATE_SECONDS, 50 + NODE_SECONDS);

    let late = ISSUING_SECONDS - 60;
    check(&org.node(at(late)).chain()[0], late - BACKDATE_SECONDS, ISSUING_SECONDS);
    let last = org.root.issue(at(ROOT_SECONDS - 60)).unwrap();
    check(last.certificate(), ROOT_SECONDS - 60 - BACKDATE_SECONDS, ROOT_SECONDS);

    let expired = |at_seconds: i64| org.issuing.issue_node(&org.id(), at(at_seconds)).err();
    assert_eq!(expired(ISSUING_SECONDS), None);
    assert_eq!(expired(ISSUING_SECONDS + 1).unwrap().code.name, "identity.expired");
    let problem = org.root.issue(at(ROOT_SECONDS + 1)).unwrap_err();
    assert_eq!(problem.code.name, "identity.expired");
}

#[test]
fn a_node_certificate_is_renewed_at_two_thirds_of_its_life() {
    let org = Org::new("operator.example");
    let node = org.node(at(0));
    let due = (NODE_SECONDS + BACKDATE_SECONDS) * 2 / 3 - BACKDATE_SECONDS;
    for (now, expect) in
        [(0, false), (due - 1, false), (due, true), (NODE_SECONDS, true), (NODE_SECONDS + 1, true)]
    {
        assert_eq!(org.issuing.needs_renewal(&node, at(now)), expect, "{now}");
    }
    // At the end of the issuing CA a new one would not live longer; a new issuing CA changes that.
    let last = org.node(at(ISSUING_SECONDS - 60));
    assert!(!org.issuing.needs_renewal(&last, at(ISSUING_SECONDS)));
    let renewed = org.root.issue(at(ISSUING_SECONDS - 30)).unwrap();
    assert!(renewed.needs_renewal(&last, at(ISSUING_SECONDS)));
}

#[test]
fn the_end_of_the_issuing_ca_is_told_30_days_ahead() {
    let org = Org::new("operator.example");
    let not_after = at(ISSUING_SECONDS);
    let warned = ISSUING_SECONDS - WARN_SECONDS;
    for (now, expect, says) in [
        (0, Validity::Good, "is valid"),
        (warned - 1, Validity::Good, "is valid"),
        (warned, Validity::Expiring { not_after }, "runs out at 2027-09-21"),
        (ISSUING_SECONDS, Validity::Expiring { not_after }, "twinpact ca renew"),
        (ISSUING_SECONDS + 1, Validity::Expired { not_after }, "federation refused"),
    ] {
        let validity = org.issuing.validity(at(now));
        assert_eq!(validity, expect, "{now}");
        assert!(validity.to_string().contains(says), "{validity}");
        assert_eq!(validity.federates(), now <= ISSUING_SECONDS);
    }
}

#[test]
fn keys_and_certificates_belong_together() {
    let (one, two) = (Org::new("operator.example"), Org::new("operator.example"));
    let code = |result: Result<(), twinpact_model::Problem>| result.unwrap_err().code.name;
    let root = one.root.certificate();
    assert!(Root::from_parts(root.clone(), one.root.key()).is_ok());
    assert_eq!(
        code(Root::from_parts(root.clone(), two.root.key()).map(|_| ())),
        "identity.mismatch"
    );
    assert_eq!(code(Root::from_parts(root.clone(), b"x").map(|_| ())), "identity.file");
    let issuing = |org: &Org, key: &[u8]| {
        IssuingCa::from_parts(root, org.issuing.certificate(), key).map(|_| ())
    };
    assert!(issuing(&one, one.issuing.key()).is_ok());
    assert_eq!(code(issuing(&one, two.issuing.key())), "identity.mismatch");
    assert_eq!(code(issuing(&two, two.issuing.key())), "identity.mismatch");
    let node = one.node(at(0));
    let leaf =
        IssuingCa::from_parts(root, &node.chain()[0], node.key().secret_pkcs8_der()).map(|_| ());
    assert_eq!(code(leaf), "identity.mismatch");
    let foreign = SpiffeId::parse("spiffe://other.example/twinpact/n1/node").unwrap();
    assert_eq!(code(one.issuing.issue_node(&foreign, at(0)).map(|_| ())), "identity.name");
}

#[test]
fn no_key_is_printed_and_no_key_is_used_twice() {
    let org = Org::new("operator.example");
    let (one, two) = (org.node(at(0)), org.node(at(0)));
    assert_ne!(one.key().secret_pkcs8_der(), two.key().secret_pkcs8_der());
    assert_ne!(one.chain()[0], two.chain()[0]);
    let printed = format!("{:?} {:?} {:?}", org.root, org.issuing, one);
    assert!(!printed.to_lowercase().contains("key"), "{printed}");
    assert!(printed.contains("spiffe://operator.example/twinpact/n1/node"), "{printed}");
}
