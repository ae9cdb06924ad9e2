//! What policies mean, remembered for a while by their text.
//!
//! One exchange reads the same policy on its way from the catalogue into the agreement again and
//! again, and a partner asks for the same terms every day. What a text means depends on nothing
//! else, so that to remember it changes no answer; what cannot be read is not remembered.

use crate::lately::Lately;
use serde_json::Value;
use std::sync::{Arc, LazyLock, OnceLock};
use twinpact_contract::{Terms, agreement_id, odrl};
use twinpact_dsp::message::{Agreement, Policy};
use twinpact_dsp::policy_form;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::Digest;
use twinpact_proof::digest::sha256_parts;

/// How many are remembered at least; at most it is twice as many.
const KEPT: usize = 256;
/// The longest text that is remembered, in bytes; how its terms are spelled is remembered with it,
/// and is about as long.
const MAX_KEPT_BYTES: usize = 16_384;

/// What a policy stands in, as far as its rules may repeat it: nothing, or an agreement about a
/// target between two.
type Frame<'a> = Option<[&'a str; 3]>;

/// What a policy means, and how that stands in our catalogue.
struct Meaning {
    terms: Arc<Terms>,
    spelled: OnceLock<Policy>,
}

/// Terms of ours as they stand in our catalogue, to the letter: a connector may compare an
/// agreement with what it was offered without reading either.
///
/// # Errors
/// That of the writer, which terms that were read do not meet.
pub(crate) fn spelled(terms: &Terms) -> Result<Policy, Problem> {
    let mut policy = policy_form::normalise(&terms.to_odrl())?;
    policy.sort_keys();
    Ok(Value::Object(policy).into())
}

/// The terms of a policy without its frame.
///
/// # Errors
/// `contract.*` with what cannot be read.
pub(crate) fn terms(policy: &Policy) -> Result<Arc<Terms>, Problem> {
    remembered(policy, None).map(|meaning| Arc::clone(&meaning.terms))
}

/// The same terms [as they stand in our catalogue](spelled).
///
/// # Errors
/// As [`terms`] and [`spelled`].
pub(crate) fn respelled(policy: &Policy) -> Result<Policy, Problem> {
    let meaning = remembered(policy, None)?;
    if let Some(known) = meaning.spelled.get() {
        return Ok(known.clone());
    }
    let policy = spelled(&meaning.terms)?;
    Ok(meaning.spelled.get_or_init(|| policy).clone())
}

/// The identity of an agreement and its terms, read from the protocol's form.
///
/// # Errors
/// `contract.*` with what cannot be read.
pub(crate) fn agreement(wire: &Agreement) -> Result<(Digest, Arc<Terms>), Problem> {
    let frame = [wire.target.as_str(), wire.assigner.as_str(), wire.assignee.as_str()];
    let terms = Arc::clone(&remembered(&wire.policy, Some(frame))?.terms);
    let time = wire.timestamp.as_deref().map(Timestamp::parse).transpose();
    let time = time.map_err(|problem| Problem { code: codes::CONTRACT_ODRL, ..problem })?;
    let [target, assigner, assignee] = frame;
    Ok((agreement_id(&wire.id, target, assigner, assignee, time, &terms), terms))
}

fn remembered(policy: &Policy, frame: Frame<'_>) -> Result<Arc<Meaning>, Problem> {
    let name = policy.text().ok().filter(|text| text.len() <= MAX_KEPT_BYTES);
    let name = name.map(|text| name_of(text, frame));
    if let Some(known) = name.and_then(|name| KEPT_TERMS.get(&name)) {
        return Ok(known);
    }
    let terms = Arc::new(read(policy, frame)?);
    let meaning = Arc::new(Meaning { terms, spelled: OnceLock::new() });
    if let Some(name) = name {
        KEPT_TERMS.add(name, Arc::clone(&meaning));
    }
    Ok(meaning)
}

/// The parts have their lengths before them, so that no two lists of them are one text.
fn name_of(text: &str, frame: Frame<'_>) -> Digest {
    let length = |part: &str| (part.len() as u64).to_be_bytes();
    match frame {
        None => sha256_parts(&[text.as_bytes()]),
        Some([target, assigner, assignee]) => sha256_parts(&[
            b"\0",
            &length(target),
            target.as_bytes(),
            &length(assigner),
            assigner.as_bytes(),
            &length(assignee),
            assignee.as_bytes(),
            text.as_bytes(),
        ]),
    }
}

fn read(policy: &Policy, frame: Frame<'_>) -> Result<Terms, Problem> {
    let Some([target, assigner, assignee]) = frame else {
        return odrl::read(policy).map(|read| read.terms);
    };
    let mut value = Value::clone(policy);
    if let Some(members) = value.as_object_mut() {
        members.insert("@type".to_owned(), "Agreement".into());
        members.insert("target".to_owned(), target.into());
        members.insert("assigner".to_owned(), assigner.into());
        members.insert("assignee".to_owned(), assignee.into());
    }
    odrl::read(&value).map(|read| read.terms)
}

static KEPT_TERMS: LazyLock<Lately<Digest, Arc<Meaning>>> = LazyLock::new(|| Lately::keeping(KEPT));

#[cfg(test)]
mod tests {
    use super::{MAX_KEPT_BYTES, agreement, name_of, respelled, spelled, terms};
    use serde_json::json;
    use std::sync::Arc;
    use twinpact_dsp::message::{Agreement, Policy};

    /// A policy whose one rule is about that target, or about none that it says.
    fn policy(target: Option<&str>) -> Policy {
        let mut rule = json!({ "action": "use" });
        if let Some(target) = target {
            rule["target"] = target.into();
        }
        Policy::from(json!({ "permission": [rule] }))
    }

    fn wire(policy: Policy, target: &str, id: &str) -> Agreement {
        Agreement {
            id: id.to_owned(),
            target: target.to_owned(),
            assigner: "urn:a".to_owned(),
            assignee: "urn:b".to_owned(),
            timestamp: None,
            policy,
        }
    }

    #[test]
    fn the_same_text_means_the_same_in_its_frame_only() {
        let bare = policy(None);
        assert!(Arc::ptr_eq(&terms(&bare).unwrap(), &terms(&policy(None)).unwrap()));
        let about = policy(Some("urn:view"));
        for _ in 0..2 {
            // A rule may repeat what it is about, and say nothing else.
            assert!(agreement(&wire(about.clone(), "urn:view", "urn:1")).is_ok());
            assert!(agreement(&wire(about.clone(), "urn:other", "urn:1")).is_err());
        }
        let (one, same) = (
            agreement(&wire(bare.clone(), "urn:view", "urn:1")).unwrap(),
            agreement(&wire(bare.clone(), "urn:view", "urn:2")).unwrap(),
        );
        assert_ne!(one.0, same.0, "each has an identity of its own");
        assert!(Arc::ptr_eq(&one.1, &same.1));
        let timed = Agreement { timestamp: Some("no time".to_owned()), ..wire(bare, "urn:v", "x") };
        assert_eq!(agreement(&timed).unwrap_err().code.name, "contract.odrl");
    }

    #[test]
    fn what_is_spelled_once_is_spelled_alike() {
        let policy = policy(None);
        let alone = spelled(&terms(&policy).unwrap()).unwrap();
        assert_eq!(
            (respelled(&policy).unwrap(), respelled(&policy).unwrap()),
            (alone.clone(), alone)
        );
    }

    #[test]
    fn no_two_frames_have_one_name() {
        let names = [
            name_of("abc", None),
            name_of("c", Some(["a", "b", ""])),
            name_of("bc", Some(["a", "", ""])),
            name_of("", Some(["a", "b", "c"])),
            name_of("c", Some(["ab", "", ""])),
        ];
        assert_eq!(std::collections::HashSet::from(names).len(), names.len());
    }

    #[test]
    fn what_is_long_is_read_each_time() {
        let spaces = " ".repeat(MAX_KEPT_BYTES);
        let long = format!(r#"{{"permission":[{{"action":"use"}}]{spaces}}}"#);
        let long: Policy = serde_json::from_str(&long).unwrap();
        let (first, second) = (terms(&long).unwrap(), terms(&long).unwrap());
        assert!(first == second && !Arc::ptr_eq(&first, &second));
    }
}
