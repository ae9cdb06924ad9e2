//! Which witnesses are enough, as the world of transparency logs writes it (C2SP tlog-policy): logs
//! and witnesses by their verifier keys, groups of them, and the group that is the quorum.
//!
//! A trust file holds a number of witnesses of those that it pins, so a policy whose quorum is one
//! witness or one group of witnesses fits into it. Groups of groups are read and judged here, and
//! are too much for a trust file, which says so.

use crate::fields::Malformed;
use crate::trust::{KeyText, PinnedWitness, Refused, Trust};
use crate::vkey::{Signs, VerifierKey};
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of a policy.
pub const MAX_POLICY_BYTES: usize = 1 << 20;
/// The most lines of a policy.
pub const MAX_POLICY_LINES: usize = 10_000;
const NONE: &str = "none";

/// So many of these, each a witness or a group that was named before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many are enough.
    pub threshold: usize,
    /// Their names.
    pub members: Vec<String>,
}

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The keys of logs.
    pub logs: Vec<VerifierKey>,
    /// The witnesses, by their names in the policy.
    pub witnesses: BTreeMap<String, VerifierKey>,
    /// The groups, by their names.
    pub groups: BTreeMap<String, Group>,
    /// The witness or group that is the quorum; `None` when no witness is needed.
    pub quorum: Option<String>,
}

impl Policy {
    /// Reads a policy. URLs are not needed to verify, and are not kept.
    ///
    /// # Errors
    /// One sentence with the number of the line.
    pub fn parse(text: &str) -> Result<Policy, Malformed> {
        if text.len() > MAX_POLICY_BYTES || text.lines().count() > MAX_POLICY_LINES {
            return Err(Malformed("the policy is too large".to_owned()));
        }
        let (mut policy, mut said, mut grouped) = (Policy::default(), false, BTreeSet::new());
        for (n, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let wrong = |why: &str| Malformed(format!("line {} of the policy {why}", n + 1));
            match words[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => {
                    policy
                        .logs
                        .push(read_key(key, Signs::Log).ok_or_else(|| wrong("has no log key"))?);
                }
                ["witness", name, key] | ["witness", name, key, _] if policy.is_free(name) => {
                    let key = read_key(key, Signs::Cosignatures);
                    let key = key.ok_or_else(|| wrong("has no key of a witness"))?;
                    policy.witnesses.insert(name.to_owned(), key);
                }
                ["group", name, threshold, ref members @ ..] if policy.is_free(name) => {
                    let group = policy.group(threshold, members, &mut grouped);
                    let group = group.ok_or_else(|| {
                        wrong("is no number of, any or all of what was named before, each once")
                    })?;
                    policy.groups.insert(name.to_owned(), group);
                }
                ["quorum", name] if !said && (name == NONE || !policy.is_free(name)) => {
                    said = true;
                    policy.quorum = (name != NONE).then(|| name.to_owned());
                }
                _ => return Err(wrong("says nothing that a policy says")),
            }
        }
        match said {
            true => Ok(policy),
            false => Err(Malformed("the policy names no quorum".to_owned())),
        }
    }

    fn is_free(&self, name: &str) -> bool {
        name != NONE && !self.witnesses.contains_key(name) && !self.groups.contains_key(name)
    }

    fn group(
        &self,
        threshold: &str,
        members: &[&str],
        grouped: &mut BTreeSet<String>,
    ) -> Option<Group> {
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => number.parse().ok().filter(|n: &usize| n.to_string() == number)?,
        };
        let known = members.iter().all(|name| !self.is_free(name) && *name != NONE);
        // Nothing is counted twice, in one group or over two.
        let once = members.iter().all(|name| grouped.insert((*name).to_owned()));
        let members: Vec<String> = members.iter().map(|name| (*name).to_owned()).collect();
        (known && once && (1..=members.len()).contains(&threshold))
            .then_some(Group { threshold, members })
    }

    /// The policy as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text: String =
            self.logs.iter().map(|key| format!("log {}\n", key.text())).collect();
        for (name, key) in &self.witnesses {
            text.push_str(&format!("witness {name} {}\n", key.text()));
        }
        let mut left: Vec<(&String, &Group)> = self.groups.iter().collect();
        let mut written: BTreeSet<&str> = self.witnesses.keys().map(String::as_str).collect();
        // What a group names stands before it.
        while let Some(at) = left.iter().position(|(_, group)| {
            group.members.iter().all(|member| written.contains(member.as_str()))
        }) {
            let (name, group) = left.remove(at);
            written.insert(name);
            text.push_str(&format!(
                "group {name} {} {}\n",
                group.threshold,
                group.members.join(" ")
            ));
        }
        text + &format!("quorum {}\n", self.quorum.as_deref().unwrap_or(NONE))
    }

    /// Whether the witnesses with these names in the policy are enough.
    #[must_use]
    pub fn is_met(&self, seen: &BTreeSet<&str>) -> bool {
        self.quorum.as_deref().is_none_or(|name| self.counts(name, seen))
    }

    /// A group names only what was named before, so this ends.
    fn counts(&self, name: &str, seen: &BTreeSet<&str>) -> bool {
        match self.groups.get(name) {
            None => seen.contains(name),
            Some(group) => {
                let met = group.members.iter().filter(|member| self.counts(member, seen));
                met.count() >= group.threshold
            }
        }
    }

    /// The witnesses of the quorum and how many of them are enough, when it is one witness or one
    /// group of witnesses.
    #[must_use]
    pub fn flat(&self) -> Option<(Vec<&VerifierKey>, usize)> {
        let Some(name) = &self.quorum else { return Some((Vec::new(), 0)) };
        match self.groups.get(name) {
            None => Some((vec![self.witnesses.get(name)?], 1)),
            Some(group) => {
                let keys = group.members.iter().map(|member| self.witnesses.get(member));
                Some((keys.collect::<Option<_>>()?, group.threshold))
            }
        }
    }
}

fn read_key(text: &str, signs: Signs) -> Option<VerifierKey> {
    VerifierKey::parse(text).filter(|key| key.signs == signs)
}

impl Trust {
    /// Pins the witnesses of a policy, and takes its quorum. Logs are pinned by the records of
    /// their organisations, and not by this. How many were new.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when its quorum is no number of witnesses, or the trust file pins
    /// others, who would be counted too. Nothing has changed then.
    pub fn add_policy(&mut self, policy: &Policy) -> Result<usize, Refused> {
        let conflict = |why: &str| Err(Refused::Conflict(why.to_owned()));
        let Some((keys, threshold)) = policy.flat() else {
            return conflict("a trust file holds a number of witnesses, and no groups of groups");
        };
        let other = |pin: &PinnedWitness| !keys.iter().any(|key| key.key == pin.key.0);
        if self.witnesses.iter().any(other) {
            return conflict("the trust file pins witnesses that the policy does not name");
        }
        let mut next = self.clone();
        for key in &keys {
            let known =
                next.witnesses.iter().any(|pin| pin.key.0 == key.key && pin.name == key.name);
            if !known {
                let (name, key) = (key.name.clone(), KeyText(key.key));
                next.pin_witness(PinnedWitness { name, key, party: None })?;
            }
        }
        let new = next.witnesses.len() - self.witnesses.len();
        next.quorum = u32::try_from(threshold).unwrap_or(u32::MAX);
        *self = next;
        Ok(new)
    }

    /// The trust file's logs, witnesses and quorum as a policy. That one witness is no party, it
    /// does not say.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let logs = self.organisations.iter().flat_map(|pin| {
            let origin = pin.logs.last().map(|log| log.origin.clone());
            let open = pin.keys.iter().filter(|key| key.until.is_none());
            open.filter_map(move |key| {
                Some(VerifierKey { name: origin.clone()?, signs: Signs::Log, key: key.key.0 })
            })
        });
        let key = |pin: &PinnedWitness| VerifierKey {
            name: pin.name.clone(),
            signs: Signs::Cosignatures,
            key: pin.key.0,
        };
        let witnesses: BTreeMap<String, VerifierKey> = (1..)
            .zip(&self.witnesses)
            .map(|(n, pin): (usize, _)| (format!("w{n}"), key(pin)))
            .collect();
        let mut policy = Policy { logs: logs.collect(), witnesses, ..Policy::default() };
        if !policy.witnesses.is_empty() {
            let members: Vec<String> = policy.witnesses.keys().cloned().collect();
            let threshold = (self.quorum.max(1) as usize).min(members.len());
            policy.groups.insert("witnesses".to_owned(), Group { threshold, members });
            policy.quorum = Some("witnesses".to_owned());
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_POLICY_BYTES, MAX_POLICY_LINES, Policy};
    use crate::keys::PublicKey;
    use crate::trust::{Refused, Trust};
    use crate::vkey::{Signs, VerifierKey};
    use std::collections::BTreeSet;

    fn key(name: &str, n: u8, signs: Signs) -> String {
        VerifierKey { name: name.to_owned(), signs, key: PublicKey::new([n; 32]) }.text()
    }

    /// Witnesses `x1`, `x2`, `x3`, `y1` and `y2`, and then these lines.
    fn with(lines: &str) -> String {
        let log = key("a.example/twinpact/1", 9, Signs::Log);
        let witness = |(n, name): (u8, &&str)| {
            format!("witness {name} {} https://{name}.example\n", key(name, n, Signs::Cosignatures))
        };
        let all: String = (1..).zip(&["x1", "x2", "x3", "y1", "y2"]).map(witness).collect();
        format!("# a policy\n\nlog {log} https://a.example\n{all}{lines}")
    }

    #[test]
    fn a_quorum_is_met_as_its_groups_say() {
        let check = |lines: &str, seen: &[&str], expect: bool| {
            let policy = Policy::parse(&with(lines)).unwrap();
            assert_eq!(Policy::parse(&policy.text()), Ok(policy.clone()), "{}", policy.text());
            assert_eq!(
                policy.is_met(&seen.iter().copied().collect::<BTreeSet<_>>()),
                expect,
                "{lines} {seen:?}"
            );
        };
        check("quorum none\n", &[], true);
        check("quorum x1\n", &[], false);
        check("quorum x1\n", &["x1"], true);
        let two = "group x 2 x1 x2 x3\nquorum x\n";
        check(two, &["x1"], false);
        check(two, &["x1", "y1"], false);
        check(two, &["x1", "x3"], true);
        let nested = "group x 2 x1 x2 x3\ngroup y any y1 y2\ngroup both all x y\nquorum both\n";
        check(nested, &["x1", "x2"], false);
        check(nested, &["x1", "y1"], false);
        check(nested, &["x1", "x2", "y2"], true);
        // Groups whose names sort before those of their members are written after them.
        let turned = "group z any y1 y2\ngroup a all x1 z\nquorum a\n";
        check(turned, &["x1", "y1"], true);
        check(turned, &["y1", "y2"], false);
    }

    #[test]
    fn what_is_no_policy_is_refused_with_its_line() {
        let check = |lines: &str, expect: &str| {
            let why = Policy::parse(&with(lines)).unwrap_err().0;
            assert!(why.contains(expect), "{lines}: {why}");
        };
        check("", "no quorum");
        check("quorum x9\n", "line 9");
        check("quorum x1\nquorum x2\n", "line 10");
        check("group g 2 x1\nquorum g\n", "line 9");
        check("group g 0 x1\nquorum g\n", "line 9");
        check("group g 02 x1 x2\nquorum g\n", "line 9");
        check("group g any\nquorum g\n", "line 9");
        check("group g any x1 x1\nquorum g\n", "line 9");
        check("group g any x1\ngroup h any x1\nquorum h\n", "line 10");
        check("group g any none\nquorum g\n", "line 9");
        check("group g any h\ngroup h any x1\nquorum g\n", "line 9");
        check("group x1 any x2\nquorum x1\n", "line 9");
        check("group none any x2\nquorum none\n", "line 9");
        check("witness x1 w+00000000+AA==\nquorum x1\n", "line 9");
        check(&format!("witness z {}\nquorum z\n", key("z", 8, Signs::Log)), "line 9");
        check("hello\nquorum x1\n", "line 9");
        let lines = |n: usize| with(&format!("{}quorum x1\n", "#\n".repeat(n)));
        let fits = MAX_POLICY_LINES - 9;
        assert!(Policy::parse(&lines(fits)).is_ok() && Policy::parse(&lines(fits + 1)).is_err());
        let long = |n: usize| {
            let text = with("quorum x1\n#");
            let more = "x".repeat(n - text.len());
            Policy::parse(&(text + &more)).is_ok()
        };
        assert!(long(MAX_POLICY_BYTES) && !long(MAX_POLICY_BYTES + 1));
    }

    #[test]
    fn a_trust_file_takes_what_it_can_hold() {
        let add = |trust: &mut Trust, lines: &str| {
            trust.add_policy(&Policy::parse(&with(lines)).unwrap())
        };
        let mut trust = Trust::default();
        let two = "group x 2 x1 x2 x3\nquorum x\n";
        assert_eq!(add(&mut trust, two), Ok(3));
        assert_eq!((trust.quorum, trust.witnesses.len()), (2, 3));
        assert_eq!(add(&mut trust, two), Ok(0));
        let said = trust.policy();
        assert_eq!(said.flat().map(|(keys, k)| (keys.len(), k)), Some((3, 2)));
        let mut again = Trust::default();
        assert_eq!(again.add_policy(&Policy::parse(&said.text()).unwrap()), Ok(3));
        assert_eq!(again.witnesses, trust.witnesses);
        let before = trust.clone();
        let nested = "group y any y1 y2\ngroup b all x1 y\nquorum b\n";
        assert!(matches!(add(&mut trust, nested), Err(Refused::Conflict(_))));
        assert!(matches!(add(&mut trust, "quorum y1\n"), Err(Refused::Conflict(_))));
        assert_eq!(trust, before);
        assert_eq!(add(&mut Trust::default(), "quorum none\n"), Ok(0));
    }
}
