//! The script of a conformance mode: what our side does, and when, as a TOML file.
//!
//! A process enters a state for the first, second, … time: the first, second, … decision in the
//! list of that state is taken. Where a list ends, or there is none, it is the other side's turn.
//! An entry without any list does what brings the process to its good end.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use toml::de::{DeTable, DeValue};
use twinpact_dsp::message::Offer;
use twinpact_edge::toml_file::TomlFile;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};

/// The longest pause, in milliseconds: a minute.
pub const MAX_PAUSE_MS: u64 = 60_000;

/// What our side does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Offer,
    Agree,
    Finalize,
    Accept,
    Verify,
    Counter,
    Start,
    Complete,
    Suspend,
    Terminate,
}

impl Word {
    const ALL: [(&'static str, Word); 10] = [
        ("offer", Word::Offer),
        ("agree", Word::Agree),
        ("finalize", Word::Finalize),
        ("accept", Word::Accept),
        ("verify", Word::Verify),
        ("counter", Word::Counter),
        ("start", Word::Start),
        ("complete", Word::Complete),
        ("suspend", Word::Suspend),
        ("terminate", Word::Terminate),
    ];
}

/// A decision that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Whether the pause comes first.
    pub(crate) pause: bool,
    pub(crate) word: Word,
}

/// The decisions of an entry, by the name of the state in lower case.
pub(crate) type Lists = BTreeMap<String, Vec<Planned>>;

/// A dataset, a wish or an agreement, and what our side does about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// The offer's `@id`.
    pub(crate) offer: String,
    pub(crate) title: Option<String>,
    /// The offer's policy.
    pub(crate) policy: Value,
    /// What a consumer finds at the data address.
    pub(crate) data: String,
    pub(crate) lists: Lists,
}

impl Item {
    /// The offer of a dataset.
    pub(crate) fn as_offer(&self) -> Offer {
        Offer {
            id: self.offer.clone(),
            target: Some(self.id.clone()),
            assigner: None,
            assignee: None,
            policy: self.policy.clone().into(),
        }
    }
}

/// One script.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Where the door listens, on loopback.
    pub listen: SocketAddr,
    /// The participant that every caller is.
    pub peer: String,
    /// Our own participant id.
    pub organisation: Did,
    /// How long a pause is, in milliseconds.
    pub pause_ms: u64,
    /// What we offer.
    pub(crate) datasets: Vec<Item>,
    /// What we negotiate for when we are told to.
    pub(crate) wanted: Vec<Item>,
    /// Agreements that stand already.
    pub(crate) agreements: Vec<Item>,
}

/// A kind of entry: its key in the file, what may be decided in each of its states, and what it
/// does without lists.
struct Kind {
    key: &'static str,
    /// The keys of an entry that are no state.
    plain: &'static [&'static str],
    states: &'static [(&'static str, &'static [&'static str])],
    good: &'static [(&'static str, Word)],
}

const DATASET: Kind = Kind {
    key: "dataset",
    plain: &["id", "offer", "title", "policy", "data"],
    states: &[
        ("requested", &["offer", "agree", "terminate"]),
        ("offered", &["terminate"]),
        ("accepted", &["agree", "terminate"]),
        ("verified", &["finalize", "terminate"]),
    ],
    good: &[("requested", Word::Agree), ("accepted", Word::Agree), ("verified", Word::Finalize)],
};

const WANTED: Kind = Kind {
    key: "wanted",
    plain: &["id"],
    states: &[
        ("requested", &["terminate"]),
        ("offered", &["accept", "counter", "terminate"]),
        ("agreed", &["verify", "terminate"]),
    ],
    good: &[("offered", Word::Accept), ("agreed", Word::Verify)],
};

const AGREEMENT: Kind = Kind {
    key: "agreement",
    plain: &["id", "data"],
    states: &[
        ("requested", &["start", "terminate"]),
        ("started", &["complete", "suspend", "terminate"]),
        ("suspended", &["start", "terminate"]),
    ],
    good: &[("requested", Word::Start)],
};

const ROOT: &[&str] =
    &["listen", "peer", "organisation", "pause_ms", "dataset", "wanted", "agreement"];

#[derive(Deserialize)]
struct File {
    listen: SocketAddr,
    peer: String,
    organisation: Did,
    #[serde(default)]
    pause_ms: u64,
    #[serde(default)]
    dataset: Vec<Entry>,
    #[serde(default)]
    wanted: Vec<Entry>,
    #[serde(default)]
    agreement: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    offer: Option<String>,
    title: Option<String>,
    policy: Option<String>,
    #[serde(default)]
    data: String,
    #[serde(flatten)]
    lists: BTreeMap<String, Vec<String>>,
}

impl Script {
    /// The script of that text.
    ///
    /// # Errors
    /// `config.invalid` with the line of what is wrong.
    pub fn parse(text: &str) -> Result<Script, Problem> {
        read(text).map_err(|problem| Problem {
            code: codes::CONFIG_INVALID,
            message: format!("the script: {}", problem.message),
            hint: problem.hint,
        })
    }

    /// The dataset that an offer of this `@id` or for this target is of.
    pub(crate) fn dataset(&self, offer: &str, target: Option<&str>) -> Option<&Item> {
        let by_offer = self.datasets.iter().find(|item| item.offer == offer);
        by_offer.or_else(|| self.datasets.iter().find(|item| Some(item.id.as_str()) == target))
    }
}

/// What an entry that is not written down does under its kind: an agreement that was negotiated.
pub(crate) fn good_transfer() -> Lists {
    good(&AGREEMENT)
}

/// What a wish does that nobody has written down.
pub(crate) fn good_wish() -> Lists {
    good(&WANTED)
}

fn good(kind: &Kind) -> Lists {
    let planned = |word: Word| vec![Planned { pause: false, word }];
    kind.good.iter().map(|(state, word)| ((*state).to_owned(), planned(*word))).collect()
}

fn read(text: &str) -> Result<Script, Problem> {
    let toml = TomlFile::parse(text)?;
    toml.known_keys(toml.root(), ROOT)?;
    for kind in [&DATASET, &WANTED, &AGREEMENT] {
        check(&toml, kind)?;
    }
    let file: File = toml.read()?;
    let bad = |why: String| Err(Problem::new(codes::CONFIG_INVALID, why));
    if !file.listen.ip().is_loopback() {
        let why = format!("listen is {}, which is not loopback", file.listen);
        return bad(why);
    }
    if file.pause_ms > MAX_PAUSE_MS {
        return bad(format!("pause_ms is more than {MAX_PAUSE_MS}"));
    }
    if file.peer == file.organisation.as_str() {
        return bad("peer and organisation are the same participant".to_owned());
    }
    Ok(Script {
        listen: file.listen,
        peer: file.peer,
        organisation: file.organisation,
        pause_ms: file.pause_ms,
        datasets: items(file.dataset, &DATASET)?,
        wanted: items(file.wanted, &WANTED)?,
        agreements: items(file.agreement, &AGREEMENT)?,
    })
}

/// Whether all entries of a kind have known keys and known decisions.
fn check(toml: &TomlFile<'_>, kind: &Kind) -> Result<(), Problem> {
    let entries = toml.root().get(kind.key).and_then(|value| value.get_ref().as_array());
    let states = kind.states.iter().map(|(state, _)| *state);
    let known: Vec<&str> = kind.plain.iter().copied().chain(states).collect();
    let entries = entries.into_iter().flat_map(|all| all.iter());
    for table in entries.filter_map(|entry| entry.get_ref().as_table()) {
        toml.known_keys(table, &known)?;
        for (state, words) in kind.states {
            known_words(toml, table, state, words)?;
        }
    }
    Ok(())
}

fn known_words(
    toml: &TomlFile<'_>,
    table: &DeTable<'_>,
    state: &str,
    words: &[&str],
) -> Result<(), Problem> {
    let list = table.get(state).and_then(|value| value.get_ref().as_array());
    for value in list.into_iter().flat_map(|all| all.iter()) {
        let DeValue::String(text) = value.get_ref() else { continue };
        let word = text.trim().strip_prefix("pause,").unwrap_or(text.trim()).trim();
        if !words.contains(&word) {
            let why = format!("{text:?} is no decision in the state {state}");
            let problem = toml.refuse(codes::INPUT_MALFORMED, value.span().start, &why);
            let words = words.join(", ");
            return Err(problem.hint(format!("it is one of {words}, or `pause, ` and one of them")));
        }
    }
    Ok(())
}

fn items(entries: Vec<Entry>, kind: &Kind) -> Result<Vec<Item>, Problem> {
    let mut items: Vec<Item> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = &entry.id;
        if items.iter().any(|item| item.id == *id) {
            let why = format!("there are two entries [[{}]] with the id {id:?}", kind.key);
            return Err(Problem::new(codes::CONFIG_INVALID, why));
        }
        items.push(item(entry, kind)?);
    }
    Ok(items)
}

fn item(entry: Entry, kind: &Kind) -> Result<Item, Problem> {
    let policy = match &entry.policy {
        None => json!({ "permission": [{ "action": "use" }] }),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            let why = format!("the policy of {:?} is no JSON: {error}", entry.id);
            Problem::new(codes::CONFIG_INVALID, why)
        })?,
    };
    let lists = match entry.lists.is_empty() {
        true => good(kind),
        false => entry.lists.into_iter().map(|(state, words)| (state, planned(&words))).collect(),
    };
    let offer = entry.offer.unwrap_or_else(|| format!("offer:{}", entry.id));
    Ok(Item { id: entry.id, offer, title: entry.title, policy, data: entry.data, lists })
}

/// The decisions of a list, whose words are known.
fn planned(words: &[String]) -> Vec<Planned> {
    let one = |text: &String| {
        let rest = text.trim().strip_prefix("pause,");
        let name = rest.unwrap_or(text).trim();
        let (_, word) = Word::ALL.into_iter().find(|(known, _)| *known == name)?;
        Some(Planned { pause: rest.is_some(), word })
    };
    words.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::{Planned, Script, Word};

    const HEAD: &str =
        "listen = \"127.0.0.1:0\"\npeer = \"P\"\norganisation = \"did:web:a.example\"\n";

    #[test]
    fn the_scenarios_of_the_tck_are_a_script() {
        let text = include_str!("../../../../examples/conformance/dsp-tck.toml");
        let script = Script::parse(text).unwrap();
        // 15 scenarios as provider, two datasets of the catalogue; 16 as consumer; 32 transfers.
        let counts = (script.datasets.len(), script.wanted.len(), script.agreements.len());
        assert_eq!(counts, (17, 16, 32));
        let dataset = script.dataset("CD123:ACN0205:456", None).unwrap();
        assert_eq!(dataset.id, "ACN0205");
        let pause = vec![Planned { pause: true, word: Word::Terminate }];
        assert_eq!(dataset.lists.get("offered"), Some(&pause));
        assert_eq!(script.dataset("x", Some("ACN0104")).unwrap().id, "ACN0104");
        assert_eq!(script.dataset("x", Some("CAT0103")), None);
    }

    #[test]
    fn an_entry_without_lists_comes_to_its_good_end() {
        let script = Script::parse(&format!("{HEAD}[[dataset]]\nid = \"d\"\n")).unwrap();
        let [dataset] = &script.datasets[..] else { panic!() };
        assert_eq!(dataset.offer, "offer:d");
        let agree = vec![Planned { pause: false, word: Word::Agree }];
        assert_eq!(dataset.lists.get("requested"), Some(&agree));
        let held = format!("{HEAD}[[dataset]]\nid = \"d\"\nrequested = []\n");
        let held = Script::parse(&held).unwrap();
        assert_eq!(held.datasets[0].lists.get("accepted"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            (
                "listen = \"0.0.0.0:80\"\npeer = \"P\"\norganisation = \"did:web:a.example\"\n",
                "loopback",
            ),
            ("peer = \"P\"\n", "listen"),
            (&*format!("{HEAD}dataste = []\n"), "dataset"),
            (&*format!("{HEAD}pause_ms = 60001\n"), "pause_ms"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\nrequestd = []\n"), "requested"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\nrequested = [\"accept\"]\n"), "accept"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\nverified = [\"agree\"]\n"), "verified"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\nagreed = [\"terminate\"]\n"), "agreed"),
            (&*format!("{HEAD}[[wanted]]\nid = \"d\"\noffered = [\"pause\"]\n"), "pause"),
            (&*format!("{HEAD}[[agreement]]\nid = \"d\"\naccepted = []\n"), "accepted"),
            // What would do nothing there.
            (&*format!("{HEAD}[[wanted]]\nid = \"d\"\npolicy = \"{{}}\"\n"), "policy"),
            (&*format!("{HEAD}[[agreement]]\nid = \"d\"\noffer = \"o\"\n"), "offer"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\npolicy = \"{{\"\n"), "policy"),
            (&*format!("{HEAD}[[dataset]]\nid = \"d\"\n[[dataset]]\nid = \"d\"\n"), "two entries"),
            (
                "listen = \"127.0.0.1:0\"\npeer = \"did:web:a.example\"\norganisation = \"did:web:a.example\"\n",
                "same participant",
            ),
        ] {
            let problem = Script::parse(text).unwrap_err();
            assert_eq!(problem.code.name, "config.invalid", "{text}");
            let said = format!("{} {}", problem.message, problem.hint.unwrap_or_default());
            assert!(said.contains(says), "{said}");
        }
    }
}
