//! Each member of each message: missing, null, of every wrong type, too large, in two spellings, or
//! beside one that nobody knows. The refusal names the member; nothing panics; and whatever is read
//! is written back as the schemas of the protocol want it.

use crate::contexts::{Dice, namespace};
use crate::outside::{Schemas, shared};
use crate::samples::all;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use twinpact_dsp::message::MAX_POLICY_BYTES;
use twinpact_dsp::{Message, Rejected, Status};

/// The rules of a policy.
const RULES: [&str; 3] = ["permission", "prohibition", "obligation"];
/// Members whose items may be anything.
const FREE: [&str; 2] = ["filter", "reason"];

/// One member of an object in a message.
struct Member {
    /// The JSON pointer of the object, and the key in it.
    object: String,
    key: String,
    /// Whether it stands in the rules of a policy.
    ruled: bool,
}

impl Member {
    fn pointer(&self) -> String {
        format!("{}/{}", self.object, self.key.replace('~', "~0").replace('/', "~1"))
    }

    /// The name that a refusal has it under.
    fn name(&self) -> &str {
        self.key.strip_prefix("dct:").unwrap_or(&self.key)
    }

    fn is_free(&self) -> bool {
        FREE.contains(&self.name())
    }
}

/// Every member of every object, and what stands at it.
fn members(value: &Value, object: &str, ruled: bool, out: &mut Vec<Member>) {
    match value {
        Value::Object(inside) => {
            for (key, value) in inside {
                let ruled = ruled || RULES.contains(&key.as_str());
                let member = Member { object: object.to_owned(), key: key.clone(), ruled };
                let pointer = member.pointer();
                out.push(member);
                members(value, &pointer, ruled, out);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                members(item, &format!("{object}/{i}"), ruled, out);
            }
        }
        _ => {}
    }
}

fn members_of(message: &Value) -> Vec<Member> {
    let mut out = Vec::new();
    members(message, "", false, &mut out);
    out
}

/// The message with that in place of the member; without it for `None`.
fn changed(message: &Value, member: &Member, now: Option<Value>) -> Value {
    let mut out = message.clone();
    let object = out.pointer_mut(&member.object).unwrap().as_object_mut().unwrap();
    match now {
        Some(value) => object.insert(member.key.clone(), value),
        None => object.shift_remove(&member.key),
    };
    out
}

/// Reads it both ways: as a value and as bytes.
fn reads(message: &Value) -> Result<Message, Rejected> {
    let read = Message::parse(message);
    assert_eq!(Message::parse_catalog_bytes(message.to_string().as_bytes()), read);
    if let Err(refused) = &read {
        assert_eq!(refused.status, Status::BadRequest);
        assert!(refused.reason.chars().count() <= 501, "the reason repeats the message: {refused}");
    }
    read
}

/// It is refused with one of these codes, and the sentence has one of these names.
fn refused(message: &Value, codes: &[&str], names: &[&str]) {
    let refused = reads(message).expect_err(&format!("{message:#}"));
    assert!(codes.contains(&refused.code.name), "{refused} {message:#}");
    assert!(names.iter().any(|name| refused.reason.contains(name)), "{refused} {names:?}");
}

/// Each member of each message, with what the test does about it; how many there were.
fn each(mut test: impl FnMut(&Message, &Value, &Member)) {
    for message in all() {
        let json = message.to_json();
        // What a dataset conforms to is read where it can be, and never a reason to refuse.
        let told = |member: &Member| !member.pointer().contains("conformsTo");
        for member in members_of(&json).into_iter().filter(told) {
            test(&message, &json, &member);
        }
    }
}

#[test]
fn a_missing_member_and_null_are_one_and_named() {
    let (mut named, mut optional) = (0, 0);
    each(|message, json, member| {
        // Without it the message is none of a version document any more.
        if member.ruled || member.key == "protocolVersions" {
            return;
        }
        let without = changed(json, member, None);
        // Nothing stands at the place in either case.
        assert_eq!(reads(&changed(json, member, Some(json!(null)))), reads(&without));
        if !member.key.starts_with('@') {
            assert_eq!(reads(&changed(json, member, Some(json!([])))), reads(&without));
        }
        match reads(&without) {
            Ok(read) => {
                let empty = json.pointer(&member.pointer()).unwrap() == "";
                let said = member.key != "@type" && !empty;
                assert!(read != *message || !said, "{}", member.pointer());
                optional += 1;
            }
            Err(refused) => {
                // Of the two of which one has to be there, the other is missing then.
                let other = member.key == "callbackAddress" && refused.reason.contains("Pid");
                assert_eq!(refused.code.name, "dsp.malformed");
                let named_here = refused.reason.contains(member.name()) || other;
                assert!(named_here, "{} {refused}", member.pointer());
                named += 1;
            }
        }
    });
    assert!(named > 150 && optional > 50, "{named} {optional}");
}

#[test]
fn a_member_of_any_wrong_type_is_named() {
    let mut count = 0;
    each(|message, json, member| {
        let was = json.pointer(&member.pointer()).unwrap();
        if member.ruled || member.is_free() {
            return;
        }
        // An object without its members is not there: the first of them is missing.
        let entered = was.is_object() || was.get(0).is_some_and(Value::is_object);
        let wrongs = [json!(17), json!(-1.5), json!(true), json!({"x": 1}), json!([["x", "y"], 1])];
        for wrong in wrongs.into_iter().chain(entered.then(|| json!(""))) {
            let bad = changed(json, member, Some(wrong.clone()));
            let inner = wrong.is_object() && (entered || member.key == "accessService");
            let names = [member.name(), "is missing", "@context"];
            let known = if inner { 2 } else { 1 };
            // A context of nothing is one that does not define the type.
            let context = member.key == "@context";
            let codes = ["dsp.malformed", "dsp.too_large"];
            refused(&bad, &codes, if context { &["context"] } else { &names[..known] });
            assert!(!message.name().is_empty());
            count += 1;
        }
    });
    assert!(count > 1_500, "{count}");
}

#[test]
fn a_member_that_is_too_large_is_named() {
    let mut count = 0;
    each(|_, json, member| {
        let was = json.pointer(&member.pointer()).unwrap();
        if member.ruled || member.key == "@context" {
            return;
        }
        let long = "x".repeat(17 * 1024);
        if was.is_string() {
            let code = if member.key == "@type" { "dsp.malformed" } else { "dsp.too_large" };
            refused(&changed(json, member, Some(json!(long))), &[code], &[member.name()]);
            count += 1;
        } else if let Some([first, ..]) = was.as_array().map(Vec::as_slice) {
            let many = json!(vec![first.clone(); 10_001]);
            refused(&changed(json, member, Some(many)), &["dsp.too_large"], &[member.name()]);
            count += 1;
        }
    });
    assert!(count > 250, "{count}");
}

/// A refusal is a sentence, whatever names the message has.
#[test]
fn no_refusal_repeats_the_message() {
    let long = "é".repeat(1_000);
    let mut refusals = 0;
    each(|_, json, member| {
        let was = json.pointer(&member.pointer()).unwrap();
        if was.is_string() {
            refusals += usize::from(reads(&changed(json, member, Some(json!(long)))).is_err());
        }
        if member.key == "@type" {
            let many = json!(vec![long.clone(); 100]);
            refusals += usize::from(reads(&changed(json, member, Some(many))).is_err());
        }
        if member.key == "permission" {
            let mut twice = changed(json, member, None);
            let object = twice.pointer_mut(&member.object).unwrap().as_object_mut().unwrap();
            object.insert(format!("odrl:{long}"), json!(1));
            object.insert(format!("http://www.w3.org/ns/odrl/2/{long}"), json!(1));
            refusals += usize::from(reads(&twice).is_err());
        }
    });
    assert!(refusals > 150, "{refusals}");
    let bytes = format!("{{\"{long}\":1,\"{long}\":2}}");
    assert!(Message::parse_bytes(bytes.as_bytes()).unwrap_err().reason.len() < 1_100);
}

#[test]
fn a_policy_that_is_too_large_is_refused() {
    each(|_, json, member| {
        if RULES.contains(&member.key.as_str()) {
            let long = json!([{"action": "use", "x": "x".repeat(MAX_POLICY_BYTES)}]);
            refused(&changed(json, member, Some(long)), &["dsp.too_large"], &["policy"]);
        }
    });
}

#[test]
fn one_member_in_two_spellings_is_named() {
    let mut count = 0;
    each(|message, json, member| {
        if member.key.starts_with('@') || member.is_free() || member.key == "protocolVersions" {
            return;
        }
        let asked = message.name() == "DatasetRequestMessage";
        let space =
            if asked { "https://w3id.org/dspace/2025/1/" } else { namespace(member.name()) };
        let again = Member {
            object: member.object.clone(),
            key: format!("{space}{}", member.name()),
            ruled: member.ruled,
        };
        let same = json.pointer(&member.pointer()).unwrap().clone();
        let twice = changed(json, &again, Some(same));
        refused(&twice, &["dsp.malformed"], &[&format!("{} stands twice", member.name())]);
        // The same key twice is no JSON that is read.
        let text = json.to_string();
        let key = format!("\"{}\":", member.key);
        let bytes = text.replacen(&key, &format!("{key}1,{key}"), 1);
        let got = Message::parse_bytes(bytes.as_bytes()).unwrap_err();
        assert!(got.reason.contains(&member.key) && got.reason.contains("twice"), "{got}");
        count += 1;
    });
    assert!(count > 300, "{count}");
}

/// All policies of a message, as text.
fn policies(message: &Message) -> String {
    match message {
        Message::ContractRequest(m) => m.offer.policy.to_string(),
        Message::ContractOffer(m) => m.offer.policy.to_string(),
        Message::ContractAgreement(m) => m.agreement.policy.to_string(),
        Message::Dataset(m) => json!(m.offers).to_string(),
        Message::Catalog(m) => m.datasets.iter().map(|d| json!(d.offers).to_string()).collect(),
        _ => String::new(),
    }
}

#[test]
fn an_unknown_member_is_ignored_but_never_in_a_policy() {
    let (mut ignored, mut kept) = (0, 0);
    each(|message, json, member| {
        let policy = ["offer", "agreement", "hasPolicy"];
        let inside = member.ruled || policy.iter().any(|name| member.object.contains(name));
        if FREE.iter().any(|name| member.object.contains(name)) {
            return;
        }
        for key in ["unheard-of", "edc:unheard-of", "https://example.org/unheard-of", "dspace:x"] {
            for value in [json!(1), json!("x"), json!([{"y": [1.5, true]}])] {
                let more =
                    Member { object: member.object.clone(), key: key.to_owned(), ruled: false };
                let read = reads(&changed(json, &more, Some(value))).unwrap();
                if inside && !member.object.contains("rightOperand") {
                    assert!(policies(&read).contains(key.trim_start_matches("dspace:")), "{key}");
                    assert_ne!(&read, message);
                    kept += 1;
                } else {
                    assert_eq!(&read, message, "{key} at {}", member.object);
                    ignored += 1;
                }
            }
        }
    });
    assert!(ignored > 1_000 && kept > 1_000, "{ignored} {kept}");
}

/// Something that somebody may send.
fn junk(dice: &mut Dice, depth: usize) -> Value {
    let texts = [
        "",
        "x",
        "@id",
        "use",
        "odrl:use",
        "https://a.example/x",
        "urn:uuid:1",
        "\u{0}",
        "..",
        "2026-11-23T09:00:00Z",
        "[{\"@value\":\"a\"},{\"@value\":\"b\"}]",
        "{\"@id\":\"x\"}",
    ];
    let keys = ["@id", "@type", "@value", "@list", "@set", "@graph", "action", "odrl:action", "x"];
    match dice.roll(if depth == 0 { 5 } else { 8 }) {
        0 => json!(null),
        1 => json!(dice.roll(2) == 0),
        2 => json!(5),
        3 => json!(-0.5),
        4 => json!(dice.pick(&texts)),
        5 => (0..dice.roll(3)).map(|_| junk(dice, depth - 1)).collect(),
        _ => {
            let inside =
                (0..dice.roll(3)).map(|_| ((*dice.pick(&keys)).to_owned(), junk(dice, depth - 1)));
            Value::Object(inside.collect())
        }
    }
}

/// Reading never panics, and what was read is written so that it reads the same again: without a
/// change in a policy also by the protocol's schemas.
#[test]
fn whatever_is_read_is_written_back() {
    let schemas = shared("the protocol's schemas").map(|shared| Schemas::load(&shared));
    let mut validators: BTreeMap<&str, Validator> = BTreeMap::new();
    let samples: Vec<Value> = all().iter().map(Message::to_json).collect();
    let mut dice = Dice(11);
    let (mut read, mut valid) = (0, 0);
    for _ in 0..20_000 {
        let sample = dice.pick(&samples);
        let places = members_of(sample);
        let member = dice.pick(&places);
        let changed = changed(sample, member, Some(junk(&mut dice, 3)));
        let Ok(message) = reads(&changed) else { continue };
        let written = message.to_json();
        assert_eq!(Message::parse(&written), Ok(message.clone()), "{changed:#}");
        read += 1;
        let Some(schemas) = &schemas else { continue };
        // There is no schema of the one; and others may have a binding that the schema lacks.
        if member.ruled || message.name() == "VersionsError" || member.key == "binding" {
            continue;
        }
        let name = message.name();
        let validator = validators.entry(name).or_insert_with(|| schemas.of(name));
        let errors: Vec<String> = validator.iter_errors(&written).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{changed:#} {written:#} {errors:#?}");
        valid += 1;
    }
    assert!(read > 2_000, "{read}");
    assert!(schemas.is_none() || valid > 1_000, "{valid}");
}
