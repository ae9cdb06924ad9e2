//! What a job remembers: how far it has read, what was learned, and what it has still to open.
//!
//! It holds no row. What was learned are values without their times, and the losses of the last
//! hours ([`twinpact_detect::Learned`]); rows that were not judged yet are read again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use twinpact_detect::{Learned, RuleFile};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::digest::{sha256, to_hex};

/// The largest file of what was learned, in bytes.
pub(crate) const MAX_LEARNED_BYTES: u64 = 256 * 1024 * 1024;
const VERSION: u64 = 1;

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
    /// The position behind which the stream is read on.
    pub(super) place: Option<u64>,
    /// Copies before that of which some row is not judged, in the order in which they came.
    pub(super) pending: Vec<String>,
    /// Findings for which no incident was opened yet.
    pub(super) found: Vec<Found>,
    /// In which copy each loss came that may still weigh.
    #[serde(with = "sources")]
    pub(super) sources: BTreeMap<(Timestamp, String), String>,
    pub(super) learned: Learned,
}

impl State {
    /// That of a job that has read nothing.
    pub(super) fn new(rule: &RuleFile, us: &str, agreement: &str) -> Result<State, Problem> {
        Ok(State {
            version: VERSION,
            organisation: us.to_owned(),
            agreement: agreement.to_owned(),
            rule: digest(rule)?,
            place: None,
            pending: Vec::new(),
            found: Vec::new(),
            sources: BTreeMap::new(),
            learned: Learned::default(),
        })
    }

    /// That of a file; a new one when there is none.
    ///
    /// # Errors
    /// `rule.learned` when it cannot be read, or is of another rule, agreement or organisation;
    /// `file.unreadable`.
    pub(super) fn read(
        path: &Path,
        rule: &RuleFile,
        us: &str,
        agreement: &str,
    ) -> Result<State, Problem> {
        let new = State::new(rule, us, agreement)?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(new),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let mut bytes = Vec::new();
        let mut file = file.take(MAX_LEARNED_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
        if bytes.len() as u64 > MAX_LEARNED_BYTES {
            return Err(foreign(path, &format!("has more than {MAX_LEARNED_BYTES} bytes")));
        }
        let state: State = serde_json::from_slice(&bytes)
            .map_err(|error| foreign(path, &format!("is not what a job writes: {error}")))?;
        let told = [
            (state.version == VERSION, "is of another release"),
            (state.organisation == new.organisation, "is not of this organisation"),
            (state.agreement == new.agreement, "was learned under another agreement"),
            (state.rule == new.rule, "was learned by another rule"),
        ];
        match told.into_iter().find(|(holds, _)| !holds) {
            None => Ok(state),
            Some((_, why)) => Err(foreign(path, why)),
        }
    }

    /// Puts it in the place of what is there, wholly or not at all.
    ///
    /// # Errors
    /// `file.unreadable`.
    pub(super) fn write(&self, path: &Path) -> Result<(), Problem> {
        let bytes = serde_json::to_vec(self).map_err(|error| unreadable(path, &error.into()))?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let put = || {
            let mut draft = tempfile::NamedTempFile::new_in(folder)?;
            draft.write_all(&bytes)?;
            draft.as_file().sync_all()?;
            draft.persist(path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        put().map_err(|error| unreadable(path, &error))
    }

    /// What a finding is called, wherever and however often it is found.
    pub(super) fn key(&self, rule: &RuleFile, found: &Found) -> String {
        let parts = [rule.name.as_str(), &self.agreement, &found.twin, &found.first.to_string()];
        to_hex(&sha256(parts.join("\n").as_bytes()))
    }
}

fn digest(rule: &RuleFile) -> Result<String, Problem> {
    let text = serde_json::to_vec(rule);
    let text = text.map_err(|error| Problem::new(codes::INTERNAL, format!("a rule: {error}")))?;
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
    use super::{Found, State};
    use crate::watch::rule_file;
    use twinpact_model::Timestamp;

    const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");
    const US: &str = "did:web:maker.example";

    fn state() -> State {
        let mut state = State::new(&rule_file(RULE).unwrap(), US, "agreement").unwrap();
        let found = Found {
            twin: "urn:a".to_owned(),
            first: Timestamp::from_seconds(1),
            found: Timestamp::from_seconds(3),
            receipts: vec!["r".to_owned()],
        };
        state.sources.insert((found.first, found.twin.clone()), "r".to_owned());
        (state.place, state.pending) = (Some(7), vec!["r".to_owned()]);
        state.found.push(found);
        state
    }

    #[test]
    fn what_is_written_is_read_and_what_is_another_s_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.state");
        let rule = rule_file(RULE).unwrap();
        // Where there is nothing it begins anew.
        let new = State::read(&path, &rule, US, "agreement").unwrap();
        assert_eq!(new, State::new(&rule, US, "agreement").unwrap());
        state().write(&path).unwrap();
        state().write(&path).unwrap();
        assert_eq!(State::read(&path, &rule, US, "agreement").unwrap(), state());
        let refused = |rule: &str, us: &str, agreement: &str| {
            let read = State::read(&path, &rule_file(rule).unwrap(), us, agreement);
            assert_eq!(read.unwrap_err().code.name, "rule.learned");
        };
        refused(&RULE.replace("share = 0.5", "share = 0.6"), US, "agreement");
        refused(RULE, "did:web:other.example", "agreement");
        refused(RULE, US, "another");
        let written = std::fs::read(&path).unwrap();
        std::fs::write(&path, &written[1..]).unwrap();
        refused(RULE, US, "agreement");
        std::fs::write(&path, String::from_utf8(written).unwrap().replacen('1', "2", 1)).unwrap();
        refused(RULE, US, "agreement");
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
