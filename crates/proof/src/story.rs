//! The story that many bundles tell together: who agreed with whom on what, who read what, who was
//! refused and why, who was asked to contain what, what was answered, and what was deleted.
//!
//! Each bundle is verified by itself, and each document in it by the keys of who signed it, all of
//! whom the reader has pinned. What does not hold is named and tells nothing. As everything here
//! it needs no server, no clock and no randomness. The form is described in `docs/format.md`
//! (Story); `tools/verify_story.py` tells the same.

mod claims;
mod heads;
mod lines;
mod tell;

use crate::broken::Link;
use crate::bundle::MAX_BUNDLE_BYTES;
use crate::containment::{Containment, ContainmentAnswer};
use crate::deletion::Deletion;
use crate::digest::{Digest, sha256};
use crate::documents::{Agreement, Clock, Decision, Receipt};
use crate::fields::shown;
use crate::fork::Seen;
use crate::json::Json;
use crate::trust::Trust;
use crate::verdict::Level;
use claims::{Claim, Claimed};
use std::collections::{BTreeMap, BTreeSet};

/// What a decision that permits is called.
const PERMIT: &str = "policy.permit";
/// Why a bundle of a log that keeps two histories tells nothing.
const FORKED: &str = "log.forked";

/// The most bundles of one story.
pub const MAX_STORY_BUNDLES: usize = 20_000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Two organisations agreed that one shows the other a view.
    Agreed(Agreement),
    /// One decided whether another, or it itself, may read.
    Decided(Decided),
    /// One delivered rows to the other.
    Delivered(Receipt),
    /// One asked the other to contain twins.
    Asked(Containment),
    /// The other answered.
    Answered(ContainmentAnswer),
    /// One deleted its copies.
    Deleted(Deletion),
}

/// A decision, with what its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The document.
    pub document: Decision,
    /// `policy.permit`, or the code of the denial.
    pub code: String,
    /// What was decided and why, in one sentence.
    pub sentence: String,
    /// When, by the policy clock of who decided, in microseconds since 1970.
    pub at: i64,
    /// Which policy clock that was.
    pub clock: Clock,
}

/// One thing that happened, and how well that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub told: Told,
    /// The fingerprint of the document; of a delivery its leaf, of an agreement its identity.
    pub id: Digest,
    /// The highest level of the bundles that say so.
    pub level: Level,
    /// The organisations in whose logs it stands.
    pub recorded_by: BTreeSet<String>,
    /// The files of the bundles, in order.
    pub files: Vec<String>,
}

/// A bundle that tells nothing, because it does not hold, or not well enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Its file.
    pub file: String,
    /// `proof.broken`, `proof.unanchored`, `proof.level`, or `log.forked`.
    pub code: &'static str,
    /// The link that broke, when one did.
    pub link: Option<Link>,
    /// Why, in a sentence.
    pub why: String,
}

/// A story: what happened, in order, and what was not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// Agreements first, by when they were concluded, then everything by the policy clock.
    pub events: Vec<Event>,
    /// Bundles that tell nothing.
    pub unused: Vec<Unused>,
    /// Bundles that hold and say something else, with the kind of what they say.
    pub others: Vec<(String, String)>,
    /// Files that are the same as another, with that other.
    pub repeated: Vec<(String, String)>,
    /// The logs that keep two histories, each with the two files that show it.
    pub forked: BTreeMap<String, [String; 2]>,
}

/// Takes the bundles of a story, one after another.
#[derive(Debug)]
pub struct Collector<'t> {
    trust: &'t Trust,
    required: Level,
    /// What each file that holds claims, and what it shows of its log.
    claims: Vec<Vec<Claim>>,
    heads: Vec<(String, Seen)>,
    seen: BTreeMap<Digest, String>,
    story: Story,
}

/// What makes two claims one event: its rank and a digest of its document.
type Key = (u8, Digest);

/// An agreement that a consumer has on record, without the provider's document: its id, the file
/// that says so, and who.
type Noted = (Digest, String, String);

impl<'t> Collector<'t> {
    /// For a reader who has pinned that, and for whom that level is enough.
    #[must_use]
    pub fn new(trust: &'t Trust, required: Level) -> Collector<'t> {
        let (claims, heads, seen) = (Vec::new(), Vec::new(), BTreeMap::new());
        Collector { trust, required, claims, heads, seen, story: Story::default() }
    }

    /// Takes the bundle of a file. Of a file that has more than [`MAX_BUNDLE_BYTES`] the front is
    /// enough, as long as that has more, too.
    pub fn take(&mut self, file: &str, bytes: &[u8]) {
        // Of one that is too large it is not known what else stands in it.
        if bytes.len() <= MAX_BUNDLE_BYTES {
            let digest = sha256(bytes);
            if let Some(same) = self.seen.get(&digest) {
                self.story.repeated.push((file.to_owned(), same.clone()));
                return;
            }
            self.seen.insert(digest, file.to_owned());
        }
        match claims::read(bytes, self.trust, self.required) {
            Ok((claims, head)) => {
                self.claims.push(claims);
                self.heads.push((file.to_owned(), head));
            }
            Err(no) => self.story.unused(file, no.code, no.link, no.why),
        }
    }

    /// The story. Nothing under a log that keeps two histories is told.
    #[must_use]
    pub fn finish(self) -> Story {
        let (mut story, mut events, mut noted) = (self.story, BTreeMap::new(), Vec::new());
        story.forked = heads::forked(&self.heads);
        for ((file, head), claims) in self.heads.iter().zip(self.claims) {
            if story.forked.contains_key(&head.origin) {
                let why = format!("the log {} keeps two histories", shown(&head.origin));
                story.unused(file, FORKED, None, why);
                continue;
            }
            for claim in claims {
                match claim {
                    Claim::Event(event) => merge(&mut events, file, *event),
                    Claim::Noted { agreement, by } => noted.push((agreement, file.clone(), by)),
                    Claim::Other(kind) => story.others.push((file.clone(), kind)),
                }
            }
        }
        noted.into_iter().for_each(|noted| story.note(&mut events, noted));
        story.events = events.into_values().collect();
        story.events.iter_mut().for_each(|event| event.files.sort());
        story.events.sort_by_key(Event::place);
        story.others.sort();
        story.unused.sort_by(|a, b| a.file.cmp(&b.file));
        story
    }
}

/// What a file claims becomes one with what others have claimed of the same.
fn merge(events: &mut BTreeMap<Key, Event>, file: &str, claimed: Claimed) {
    let Claimed { key, told, id, level, by } = claimed;
    let (recorded_by, files) = (BTreeSet::new(), Vec::new());
    let event = events.entry(key).or_insert(Event { told, id, level, recorded_by, files });
    event.level = event.level.max(level);
    event.recorded_by.insert(by);
    event.files.push(file.to_owned());
}

impl Event {
    /// Whether it is that agreement, and this organisation is a party of it.
    fn is_between(&self, agreement: &Digest, did: &str) -> bool {
        let (by, to) = self.parties();
        matches!(&self.told, Told::Agreed(one) if one.agreement == *agreement)
            && [by, to].contains(&did)
    }

    /// Where it stands in the story.
    fn place(&self) -> (bool, i64, u8, Digest) {
        let agreed = matches!(self.told, Told::Agreed(_));
        (!agreed, self.at(), self.told.rank(), self.id)
    }

    /// When it was, in microseconds since 1970: by the policy clock of who says so, of an agreement
    /// by the wall clock of the provider.
    #[must_use]
    pub const fn at(&self) -> i64 {
        match &self.told {
            Told::Agreed(one) => one.concluded,
            Told::Decided(one) => one.at,
            Told::Delivered(one) => one.at,
            Told::Asked(one) => one.opened,
            Told::Answered(one) => one.at,
            Told::Deleted(one) => one.deleted,
        }
    }

    /// Which clock that was.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        match &self.told {
            Told::Agreed(_) => Clock::System,
            Told::Decided(one) => one.clock,
            Told::Delivered(one) => one.clock,
            Told::Asked(one) => one.clock,
            Told::Answered(one) => one.clock,
            Told::Deleted(one) => one.clock,
        }
    }

    /// Who says so, and to whom.
    #[must_use]
    pub fn parties(&self) -> (&str, &str) {
        self.told.parties()
    }
}

impl Told {
    /// Who says so, and to whom.
    fn parties(&self) -> (&str, &str) {
        match self {
            Told::Agreed(one) => (&one.issuer, &one.audience),
            Told::Decided(one) => (&one.document.issuer, &one.document.audience),
            Told::Delivered(one) => (&one.issuer, &one.audience),
            Told::Asked(one) => (&one.issuer, &one.audience),
            Told::Answered(one) => (&one.issuer, &one.audience),
            Told::Deleted(one) => (&one.issuer, &one.audience),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Told::Agreed(_) => 0,
            Told::Decided(_) => 1,
            Told::Delivered(_) => 2,
            Told::Asked(_) => 3,
            Told::Answered(_) => 4,
            Told::Deleted(_) => 5,
        }
    }
}

impl Story {
    fn unused(&mut self, file: &str, code: &'static str, link: Option<Link>, why: String) {
        self.unused.push(Unused { file: file.to_owned(), code, link, why });
    }

    /// That a party has an agreement on record belongs to the agreement, if that is told.
    fn note(&mut self, events: &mut BTreeMap<Key, Event>, (agreement, file, by): Noted) {
        let mut known = false;
        for event in events.values_mut().filter(|event| event.is_between(&agreement, &by)) {
            event.recorded_by.insert(by.clone());
            event.files.push(file.clone());
            known = true;
        }
        if !known {
            self.others.push((file, claims::CONCLUDED.to_owned()));
        }
    }

    /// The incidents because of which anybody was asked.
    #[must_use]
    pub fn incidents(&self) -> BTreeSet<&str> {
        let asked = self.events.iter().filter_map(|event| match &event.told {
            Told::Asked(one) => Some(one.incident.as_str()),
            _ => None,
        });
        asked.collect()
    }

    /// It as JSON: the form that `docs/format.md` describes.
    #[must_use]
    pub fn to_json(&self) -> Json {
        tell::story(self)
    }

    /// It as sentences for people, one for each event.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lines::story(self)
    }
}
