//! What a job remembers: what was judged, and what it has still to open.
//!
//! No value of a row stands in it ([`twinpact_detect::Judged`]): what was learned goes with the
//! copies that taught it, and a job that begins again learns from those that are held. The file is
//! signed by the node (docs/format.md): who could give a rule its past could hide a loss from it.

use crate::output::internal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use twinpact_detect::{Judged, RuleFile};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::SignLearned;
use twinpact_proof::digest::{sha256, to_hex};
use twinpact_proof::learned::Learned as Statement;
use twinpact_proof::{Envelope, Json, PublicKey};

/// The most that a job remembers, in bytes.
pub(crate) const MAX_LEARNED_BYTES: u64 = 64 * 1024 * 1024;
/// The most bytes of the signature before it.
const HEAD_BYTES: u64 = 16 * 1024;
const VERSION: u64 = 2;

/// A finding, without any value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Found {
    pub(super) twin: String,
    pub(super) first: Timestamp,
    pub(super) found: Timestamp,
    /// The deliveries in which its rows came.
    pub(super) receipts: Vec<String>,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u64,
    /// Whose it is.
    organisation: String,
    /// The agreement whose stream is read.
    agreement: String,
    /// The digest of the rule.
    rule: String,
    /// Findings for which no incident was opened yet.
    pub(super) found: Vec<Found>,
    /// Of each twin about which its owner was asked already the last finding after that.
    pub(super) covered: BTreeMap<String, Found>,
    /// In which copy each loss came that may still weigh.
    #[serde(with = "sources")]
    pub(super) sources: BTreeMap<(Timestamp, String), String>,
    pub(super) judged: Judged,
}

impl State {
    /// That of a job that has read nothing.
    pub(super) fn new(rule: &RuleFile, us: &str, agreement: &str) -> Result<State, Problem> {
        Ok(State {
            version: VERSION,
            organisation: us.to_owned(),
            agreement: agreement.to_owned(),
            rule: digest(rule)?,
            found: Vec::new(),
            covered: BTreeMap::new(),
            sources: BTreeMap::new(),
            judged: Judged::default(),
        })
    }

    /// That of a file; a new one when there is none. It must be signed by a key that was ours when
    /// it was signed.
    ///
    /// # Errors
    /// `rule.learned` when it cannot be read, is of another rule, agreement or organisation, or was
    /// changed; `file.unreadable`.
    pub(super) fn read(
        path: &Path,
        new: State,
        ours: impl Fn(i64) -> Vec<PublicKey>,
    ) -> Result<State, Problem> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(new),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let mut bytes = Vec::new();
        let mut file = file.take(HEAD_BYTES + MAX_LEARNED_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
        if bytes.len() as u64 > HEAD_BYTES + MAX_LEARNED_BYTES {
            return Err(foreign(path, &format!("has more than {MAX_LEARNED_BYTES} bytes")));
        }
        let written = signed(&bytes).ok_or_else(|| foreign(path, "is not what a job writes"))?;
        let Written { envelope, learned, body } = written;
        let told = [
            (learned.issuer == new.organisation, "is not of this organisation"),
            (to_hex(&learned.agreement) == new.agreement, "is of another agreement"),
            (to_hex(&learned.rule) == new.rule, "is of another rule"),
            (envelope.signed_only_by(&ours(learned.at)), "is not signed by this organisation"),
            (learned.state == sha256(body), "was changed since it was signed"),
        ];
        if let Some((_, why)) = told.into_iter().find(|(holds, _)| !holds) {
            return Err(foreign(path, why));
        }
        let state: State = serde_json::from_slice(body)
            .map_err(|error| foreign(path, &format!("is of another release: {error}")))?;
        match state.version {
            VERSION => Ok(state),
            _ => Err(foreign(path, "is of another release")),
        }
    }

    /// What is to be signed of it, and its bytes.
    ///
    /// # Errors
    /// `input.too_large` when it has more than [`MAX_LEARNED_BYTES`]; `internal` when it cannot be
    /// written.
    pub(super) fn to_sign(&self) -> Result<(SignLearned, Vec<u8>), Problem> {
        let bytes = serde_json::to_vec(self);
        let bytes = bytes.map_err(|error| internal(&format!("what was judged: {error}")))?;
        if bytes.len() as u64 > MAX_LEARNED_BYTES {
            let why = format!("what a job remembers has {MAX_LEARNED_BYTES} bytes at most");
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
        }
        let (agreement, rule) = (self.agreement.clone(), self.rule.clone());
        let state = to_hex(&sha256(&bytes));
        Ok((SignLearned { agreement, rule, state }, bytes))
    }

    /// What a finding is called, wherever and however often it is found.
    pub(super) fn key(&self, rule: &RuleFile, found: &Found) -> String {
        let parts = [rule.name.as_str(), &self.agreement, &found.twin, &found.first.to_string()];
        to_hex(&sha256(parts.join("\n").as_bytes()))
    }
}

/// A file of a job, taken apart.
struct Written<'a> {
    envelope: Envelope,
    learned: Statement,
    body: &'a [u8],
}

/// A file: the envelope in its first line, and what it is about.
fn signed(bytes: &[u8]) -> Option<Written<'_>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let envelope = Envelope::from_json(&Json::parse(head).ok()?)?;
    let learned = Statement::from_envelope(&envelope).ok()?;
    Some(Written { envelope, learned, body })
}

/// Puts a signed state in the place of what is there, wholly or not at all.
///
/// # Errors
/// `file.unreadable`.
pub(super) fn write(path: &Path, envelope: &str, body: &[u8]) -> Result<(), Problem> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let put = || {
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(envelope.as_bytes())?;
        draft.write_all(b"\n")?;
        draft.write_all(body)?;
        draft.as_file().sync_all()?;
        draft.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    put().map_err(|error| unreadable(path, &error))
}

fn digest(rule: &RuleFile) -> Result<String, Problem> {
    let text = serde_json::to_vec(rule);
    let text = text.map_err(|error| internal(&format!("a rule: {error}")))?;
    Ok(to_hex(&sha256(&text)))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(codes::FILE_UNREADABLE, format!("{}: {error}", path.display()))
}

fn foreign(path: &Path, why: &str) -> Problem {
    Problem::new(codes::RULE_LEARNED, format!("{} {why}", path.display()))
        .hint("give another --state FILE: the rule learns anew from the copies that are held")
}

/// Sources as a list: a name of two parts is none that JSON has.
mod sources {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::collections::BTreeMap;
    use twinpact_model::Timestamp;

    type Sources = BTreeMap<(Timestamp, String), String>;

    pub(super) fn serialize<S: Serializer>(all: &Sources, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|((at, twin), receipt)| (at, twin, receipt)))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Sources, D::Error> {
        let all = Vec::<(Timestamp, String, String)>::deserialize(from)?;
        Ok(all.into_iter().map(|(at, twin, receipt)| ((at, twin), receipt)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, State, Statement, write};
    use crate::watch::rule_file;
    use std::path::Path;
    use twinpact_model::Timestamp;
    use twinpact_proof::SecretKey;
    use twinpact_proof::digest::from_hex;

    const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");
    const US: &str = "did:web:maker.example";

    fn state() -> State {
        let mut state = new();
        let found = Found {
            twin: "urn:a".to_owned(),
            first: Timestamp::from_seconds(1),
            found: Timestamp::from_seconds(3),
            receipts: vec!["r".to_owned()],
        };
        state.sources.insert((found.first, found.twin.clone()), "r".to_owned());
        state.judged.until = Some(Timestamp::from_seconds(7));
        state.found.push(found);
        state
    }

    const KEY: [u8; 32] = [7; 32];

    fn new() -> State {
        State::new(&rule_file(RULE).unwrap(), US, &"0a".repeat(32)).unwrap()
    }

    /// Writes what an organisation has signed.
    fn put(path: &Path, state: &State, issuer: &str, key: [u8; 32]) {
        let (asked, body) = state.to_sign().unwrap();
        let learned = Statement {
            issuer: issuer.to_owned(),
            agreement: from_hex(&asked.agreement).unwrap(),
            rule: from_hex(&asked.rule).unwrap(),
            state: from_hex(&asked.state).unwrap(),
            at: 5,
        };
        let envelope = learned.sign(&SecretKey::new(&key)).to_json().canonical();
        write(path, &envelope, &body).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_what_is_another_s_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.state");
        let ours = |at: i64| {
            assert_eq!(at, 5);
            vec![SecretKey::new(&KEY).public()]
        };
        // Where there is nothing it begins anew.
        assert_eq!(State::read(&path, new(), ours).unwrap(), new());
        put(&path, &state(), US, KEY);
        put(&path, &state(), US, KEY);
        assert_eq!(State::read(&path, new(), ours).unwrap(), state());
        let refused = |expect: State, why: &str| {
            let problem = State::read(&path, expect, ours).unwrap_err();
            assert_eq!(problem.code.name, "rule.learned");
            assert!(problem.message.ends_with(why), "{}", problem.message);
        };
        let file = rule_file(&RULE.replace("share = 0.5", "share = 0.6")).unwrap();
        refused(State::new(&file, US, &"0a".repeat(32)).unwrap(), "is of another rule");
        let file = rule_file(RULE).unwrap();
        refused(State::new(&file, US, &"0b".repeat(32)).unwrap(), "is of another agreement");
        put(&path, &state(), "did:web:other.example", KEY);
        refused(new(), "is not of this organisation");
        put(&path, &state(), US, [8; 32]);
        refused(new(), "is not signed by this organisation");
        put(&path, &State { version: 1, ..state() }, US, KEY);
        refused(new(), "is of another release");
        put(&path, &state(), US, KEY);
        let written = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        for (from, to, why) in [
            ("00:00:07", "00:00:08", "was changed since it was signed"),
            ("\n", "", "is not what a job writes"),
            ("{", "", "is not what a job writes"),
        ] {
            std::fs::write(&path, written.replacen(from, to, 1)).unwrap();
            refused(new(), why);
        }
        // Nothing but the one file is left.
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_finding_has_one_name() {
        let (state, rule) = (state(), rule_file(RULE).unwrap());
        let found = state.found[0].clone();
        let key = state.key(&rule, &found);
        let other = Found { found: Timestamp::from_seconds(9), receipts: vec![], ..found.clone() };
        assert_eq!(state.key(&rule, &other), key);
        let other = Found { first: Timestamp::from_seconds(2), ..found };
        assert_ne!(state.key(&rule, &other), key);
    }
}
