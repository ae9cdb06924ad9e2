//! Countersignatures that a dishonest party could take away, make up or move: the level falls, or
//! the proof breaks, each with its own sentence.

use crate::second::{check as both, verify};
use crate::world::{
    DELIVERY, MAKER, START, WITNESS, World, agreement, cosigned, decision, maker, maker_record,
    operator, operator_record, record_of, trust, witness,
};
use twinpact_proof::documents::{Agreement, Decision, Receipt};
use twinpact_proof::record::RecordKey;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Bundle, Envelope, Level, Link, SecretKey, Trust};

const THIRD: &str = "did:web:third.example";

/// What a bundle is worth, and what is said about it.
type Said = Result<(Level, String), (Link, String)>;

fn said(bundle: &Bundle, trust: &Trust) -> Said {
    match verify(&bundle.to_bytes(), Some(trust)) {
        Ok(verdict) => Ok((verdict.level, verdict.uncountersigned.unwrap_or_default())),
        Err(broken) => Err((broken.link, broken.sentence)),
    }
}

fn delivery_with(change: impl Fn(&mut Bundle)) -> Bundle {
    let mut bundle = World::new().delivery(true);
    change(&mut bundle);
    bundle
}

fn receipt() -> Receipt {
    let world = World::new();
    world.receipt(&world.place(2, DELIVERY))
}

/// The document signed by these keys, one after the other.
fn by(mut envelope: Envelope, keys: &[&SecretKey]) -> Option<Envelope> {
    keys.iter().for_each(|key| envelope.add_signature(key));
    Some(envelope)
}

/// An envelope with the signatures of another one.
fn with_signatures_of(mut envelope: Envelope, other: &Envelope) -> Envelope {
    envelope.signatures.clone_from(&other.signatures);
    envelope
}

/// The maker's record, with an earlier key that ended at that time.
fn rotated(old: &SecretKey, until: i64) -> Envelope {
    let mut record = record_of(MAKER, &maker());
    let from = START - 2_000_000;
    record.keys.insert(0, RecordKey { key: old.public(), from, until: Some(until) });
    record.sign(&maker()).unwrap()
}

fn pins(records: &[Envelope]) -> Trust {
    let mut trust = Trust::default();
    records.iter().for_each(|record| assert!(trust.add(record, DECIDED).is_ok()));
    trust
}

#[test]
fn a_countersignature_that_is_stripped_or_cannot_count_leaves_signed() {
    let (old, stranger) = (SecretKey::new(&[21; 32]), SecretKey::new(&[22; 32]));
    let signed = |key: &SecretKey| {
        delivery_with(|b| {
            b.agreement = by(agreement().sign(&operator()), &[key]);
            b.receipt = by(receipt().sign(&operator()), &[key]);
        })
    };
    let with_record = |bundle: Bundle, record: &Envelope| {
        let mut bundle = bundle;
        bundle.records[1] = record.clone();
        bundle
    };
    let everybody = pins(&[operator_record(), maker_record()]);
    let check = |bundle: &Bundle, trust: &Trust, expect: &str| {
        assert_eq!(said(bundle, trust), Ok((Level::Signed, expect.to_owned())));
        // It holds, and is not what is required.
        let required = both(&bundle.to_bytes(), Some(trust), Some(Level::Countersigned));
        assert_eq!(required, "23 signed", "{expect}");
    };
    let whole = World::new().delivery(true);
    assert_eq!(said(&whole, &everybody), Ok((Level::Countersigned, String::new())));
    let enough = both(&whole.to_bytes(), Some(&everybody), Some(Level::Countersigned));
    assert_eq!(enough, "0 countersigned");
    let stripped = delivery_with(|b| b.agreement = by(agreement().sign(&operator()), &[]));
    check(&stripped, &everybody, "the agreement has no signature of did:web:maker.example");
    let stripped = delivery_with(|b| b.receipt = by(receipt().sign(&operator()), &[]));
    check(&stripped, &everybody, "the receipt has no signature of did:web:maker.example");
    let without = delivery_with(|b| b.receipt = None);
    check(&without, &everybody, "there is no receipt");
    let mut alone = World::new().delivery(false);
    alone.records.truncate(1);
    check(&alone, &everybody, "the record of did:web:maker.example is not in it");
    let operator_alone = pins(&[operator_record()]);
    check(&whole, &operator_alone, "did:web:maker.example is nobody whom you named");
    // The issuer twice is not two.
    let twice = signed(&operator());
    check(&twice, &everybody, "the agreement has no signature of did:web:maker.example");
    // A key that had ended before the agreement was concluded, or before the delivery's tick.
    let tick = whole.anchor.time as i64;
    let ended = |link: &str| {
        format!("did:web:maker.example signed the {link} with a key that had ended before")
    };
    for (until, expect) in [
        (agreement().concluded, Some("agreement")),
        (agreement().concluded + 1, Some("receipt")),
        (tick, Some("receipt")),
        (tick + 1, None),
    ] {
        let record = rotated(&old, until);
        let bundle = with_record(signed(&old), &record);
        let trust = pins(&[operator_record(), record.clone()]);
        match expect {
            Some(link) => check(&bundle, &trust, &ended(link)),
            None => {
                assert_eq!(said(&bundle, &trust), Ok((Level::Countersigned, String::new())));
            }
        }
        // A record from before its end does not bring it to life for who has pinned the end.
        let mut alive = record_of(MAKER, &old);
        alive.issued = START - 1_000_000;
        let alive = alive.sign(&old).unwrap();
        if let Some(link) = expect {
            check(&with_record(signed(&old), &alive), &trust, &ended(link));
        }
    }
    // Witnesses do not make up for it.
    let seen = cosigned(twice, &World::new(), WITNESS, &witness());
    let level = said(&seen, &trust()).unwrap().0;
    assert_eq!(level, Level::Signed);
    let foreign = said(&signed(&stranger), &everybody).unwrap_err();
    assert_eq!(foreign.0, Link::Agreement);
}

#[test]
fn a_countersignature_that_is_forged_breaks_the_proof() {
    let stranger = SecretKey::new(&[22; 32]);
    let agreed = || agreement().sign(&operator());
    let received = || receipt().sign(&operator());
    let other_terms = Agreement { concluded: START + 11, ..agreement() }.sign(&operator());
    let other_bytes = Receipt { at: START + 2001, ..receipt() }.sign(&operator());
    let (true_agreement, true_receipt) =
        (by(agreed(), &[&maker()]).unwrap(), by(received(), &[&maker()]).unwrap());
    let swapped = record_of(THIRD, &stranger).sign(&stranger).unwrap();
    let impostor = record_of(MAKER, &stranger).sign(&stranger).unwrap();
    let mut both_keys = record_of(MAKER, &stranger);
    both_keys.keys.extend(record_of(MAKER, &maker()).keys);
    let claimed = both_keys.sign(&stranger).unwrap();
    let is_no_key = |link: &str| {
        format!("the {link} has a signature that does not hold or is by no key of the records")
    };
    let check = |change: &dyn Fn(&mut Bundle), link: Link, expect: &str| {
        let got = said(&delivery_with(change), &trust()).unwrap_err();
        assert_eq!((got.0, got.1.as_str()), (link, expect));
    };
    // By a key of nobody in it, and moved from another payload.
    check(&|b| b.agreement = by(agreed(), &[&stranger]), Link::Agreement, &is_no_key("agreement"));
    check(&|b| b.receipt = by(received(), &[&stranger]), Link::Receipt, &is_no_key("receipt"));
    let moved = with_signatures_of(other_terms.clone(), &true_agreement);
    check(&|b| b.agreement = Some(moved.clone()), Link::Agreement, &is_no_key("agreement"));
    let moved = with_signatures_of(other_bytes.clone(), &true_receipt);
    check(&|b| b.receipt = Some(moved.clone()), Link::Receipt, &is_no_key("receipt"));
    let moved = with_signatures_of(received(), &true_agreement);
    check(&|b| b.receipt = Some(moved.clone()), Link::Receipt, &is_no_key("receipt"));
    // By the audience alone.
    let alone = receipt().sign(&maker());
    check(
        &|b| b.receipt = Some(alone.clone()),
        Link::Receipt,
        "the receipt is not signed by did:web:operator.example",
    );
    // The audience's record is another's, or made up in its name.
    check(&|b| b.records[1] = swapped.clone(), Link::Agreement, &is_no_key("agreement"));
    let swapped = record_of(THIRD, &maker()).sign(&maker()).unwrap();
    check(
        &|b| b.records[1] = swapped.clone(),
        Link::Agreement,
        "the agreement is for did:web:maker.example, not did:web:third.example",
    );
    check(
        &|b| {
            b.records[1] = impostor.clone();
            b.agreement = by(agreed(), &[&stranger]);
            b.receipt = by(received(), &[&stranger]);
        },
        Link::Trust,
        "this bundle says it is from did:web:maker.example, but is signed by a key that is not \
         the one you pinned",
    );
    check(
        &|b| b.records[1] = claimed.clone(),
        Link::Trust,
        "this bundle says it is from did:web:maker.example, but is signed by a key that is not \
         the one you pinned",
    );
}

#[test]
fn agreement_decision_and_receipt_name_one_audience() {
    // Without the audience's record nothing else holds them together.
    let alone = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = World::new().delivery(false);
        bundle.records.truncate(1);
        change(&mut bundle);
        said(&bundle, &pins(&[operator_record()]))
    };
    assert_eq!(alone(&|_| ()).unwrap().0, Level::Signed);
    let to_third = Receipt { audience: THIRD.into(), ..receipt() }.sign(&operator());
    let got = alone(&|b| b.receipt = Some(to_third.clone())).unwrap_err();
    let sentence = |link: &str| {
        format!(
            "the {link} is for did:web:third.example, but the agreement is with \
             did:web:maker.example"
        )
    };
    assert_eq!(got, (Link::Receipt, sentence("receipt")));
    // The delivery names its decision: one for somebody else is another one.
    let with_third = Agreement { audience: THIRD.into(), ..agreement() }.sign(&operator());
    let got = alone(&|b| b.agreement = Some(with_third.clone())).unwrap_err();
    let back = "the decision is for did:web:maker.example, but the agreement is with \
                did:web:third.example";
    assert_eq!(got, (Link::Decision, back.to_owned()));
    let for_third = Decision { audience: THIRD.into(), ..decision() }.sign(&operator());
    let got = alone(&|b| b.decision = Some(for_third.clone())).unwrap_err();
    assert_eq!(got, (Link::Decision, sentence("decision")));
    let got = alone(&|b| {
        b.agreement = Some(with_third.clone());
        b.decision = None;
    });
    let back = back.replace("decision", "receipt");
    assert_eq!(got.unwrap_err(), (Link::Receipt, back));
}
