//! `incident export`: a folder with every bundle by which this node can prove something of an
//! incident: the agreements that it rests on, what was delivered, decided and refused under them,
//! who was asked to contain what, what was answered, and what was deleted.
//!
//! What cannot be had is noted, and the rest goes on: half a folder is worth more than none, as
//! long as it says that it is half.
//!
//! The folders of several organisations go into one. A file is called by what it is, by the leaf
//! that it proves and by who exported it, so that none takes the place of another, and the same
//! node writes the same names again.

use super::contract_new::own_did;
use super::incident_report::PERMIT;
use crate::output::{Output, internal, line, shell};
use crate::session::{Session, file_problem, write_file};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{
    AgreementLine, ContainmentLine, DecisionLine, IncidentShown, ReceiptLine,
};
use twinpact_proof::{Bundle, to_hex};

/// How many decisions are asked for at once, and how many are looked at, the latest.
const LISTED: usize = 1_000;
pub(crate) const MAX_LOOKED_AT: usize = 20_000;
/// How many digits of a leaf, and letters of a DID, stand in a name.
const LEAF_DIGITS: usize = 16;
const WHO_LETTERS: usize = 64;

/// A file of the folder. The index of them proves nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    /// Its name.
    pub(crate) file: String,
    /// What it proves: `agreement`, `receipt`, `decision`, `containment`, `answer`, `deletion`.
    pub(crate) kind: &'static str,
    /// What is called so at this node.
    pub(crate) of: String,
    /// When that was, by the policy clock; of an agreement, when it was recorded.
    pub(crate) at: Timestamp,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Index {
    /// The incident.
    pub(crate) incident: String,
    /// The organisation that has written it.
    pub(crate) organisation: String,
    /// Agreements first, then everything in the order of its time.
    pub(crate) files: Vec<Item>,
    /// What could not be had.
    pub(crate) left_out: Vec<LeftOut>,
}

/// What belongs to the incident and is not in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOut {
    /// As of an [`Item`].
    pub(crate) kind: &'static str,
    /// What is called so at this node; empty where it is not known which there are.
    pub(crate) of: String,
    /// The code of the problem.
    pub(crate) code: &'static str,
    /// Why, in a sentence.
    pub(crate) why: String,
}

/// Writes the folder, and tells what is in it.
///
/// # Errors
/// As [`write`]; `proof.missing` when the folder lacks something, after all else was written.
pub(crate) async fn run(
    dir: &Path,
    incident: &str,
    folder: &Path,
    out: Output,
) -> Result<(), Problem> {
    let session = Session::open(dir).await?;
    let written = write(&session.client, incident, folder).await;
    session.close().await;
    let index = written?;
    let told = json!({ "folder": folder, "index": index });
    out.result(&told, |_| {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        index.files.iter().for_each(|item| *kinds.entry(item.kind).or_default() += 1);
        let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        format!("{} proofs are in {}: {}", index.files.len(), shell(folder), kinds.join(", "))
    });
    for one in &index.left_out {
        out.say(&format!(
            "not exported: {} {}: {}: {}",
            one.kind,
            one.of,
            one.code,
            line(&one.why)
        ));
    }
    if let missing @ 1.. = index.left_out.len() {
        let of = missing + index.files.len();
        let message = format!("{missing} of {of} proofs are not in {}", shell(folder));
        return Err(Problem::new(codes::PROOF_MISSING, message)
            .hint("the index in it says which and why; what is there can be verified"));
    }
    out.next(&format!("twinpact verify {} --trust trust.toml", shell(folder)));
    Ok(())
}

/// Writes all that a node can prove of an incident into a folder, which is made when it is not
/// there.
///
/// # Errors
/// `incident.unknown` and `node.unreachable`, before anything is written; `file.unreadable` when
/// the folder cannot be made or its index not written. All else is noted in the index.
pub(crate) async fn write(
    client: &AdminClient,
    incident: &str,
    folder: &Path,
) -> Result<Index, Problem> {
    let shown: IncidentShown = client.get(&format!("/incidents/{}", segment(incident))).await?;
    let organisation = own_did(client).await?.to_string();
    std::fs::create_dir_all(folder).map_err(|e| file_problem(folder, &e))?;
    let index = Index {
        incident: shown.incident.id.clone(),
        organisation,
        files: Vec::new(),
        left_out: Vec::new(),
    };
    let mut export = Export { client, folder, index, under: BTreeSet::new(), delivered: None };
    export.agreements(&shown).await;
    for one in &shown.containments {
        export.deliveries(one).await;
        export.asked(one).await;
    }
    export.decisions(&shown).await;
    let mut index = export.index;
    index.files.sort_by_key(|item| (item.kind != "agreement", item.at, item.file.clone()));
    index.files.dedup_by(|a, b| a.file == b.file);
    let name = format!("story-{}.json", slug(&index.organisation));
    write_file(&folder.join(name), format!("{:#}\n", json!(index)).as_bytes())?;
    Ok(index)
}

struct Export<'a> {
    client: &'a AdminClient,
    folder: &'a Path,
    index: Index,
    /// The decisions under which was delivered what a containment rests on.
    under: BTreeSet<String>,
    /// When the first of that was delivered.
    delivered: Option<Timestamp>,
}

impl Export<'_> {
    async fn agreements(&mut self, shown: &IncidentShown) {
        for id in agreements(shown) {
            let path = format!("/agreements/{}", segment(&id));
            match self.client.get::<AgreementLine>(&path).await {
                Ok(one) => {
                    self.take("agreement", &id, one.concluded, &format!("{path}/proof")).await;
                }
                Err(problem) => self.leave_out("agreement", &id, problem),
            }
        }
    }

    /// The deliveries that a containment rests on, and that they were deleted.
    async fn deliveries(&mut self, one: &ContainmentLine) {
        for id in &one.evidence {
            let path = format!("/receipts/{}", segment(id));
            let receipt: ReceiptLine = match self.client.get(&path).await {
                Ok(receipt) => receipt,
                Err(problem) => {
                    self.leave_out("receipt", id, problem);
                    continue;
                }
            };
            self.under.insert(receipt.decision.clone());
            self.delivered = Some(self.delivered.map_or(receipt.at, |at| at.min(receipt.at)));
            self.take("receipt", id, receipt.at, &format!("{path}/proof")).await;
            if let Some(at) = receipt.deleted {
                self.take("deletion", id, at, &format!("{path}/deletion")).await;
            }
        }
    }

    /// Who was asked, and what was answered.
    async fn asked(&mut self, one: &ContainmentLine) {
        let asked = [("containment", one.event, one.opened)];
        let answers = one.answers.iter().map(|answer| ("answer", answer.event, answer.at));
        for (kind, event, at) in asked.into_iter().chain(answers) {
            let path = format!("/events/{event}/proof?attributes=document");
            self.take(kind, &one.id, at, &path).await;
        }
    }

    /// What was permitted of what it rests on, and what was decided under its agreements between
    /// the first row and the last request. Of other decisions the incident says nothing.
    async fn decisions(&mut self, shown: &IncidentShown) {
        let agreements = agreements(shown);
        let under = std::mem::take(&mut self.under);
        let span = span(shown, self.delivered);
        let within = |at: Timestamp| span.is_some_and(|(first, last)| (first..=last).contains(&at));
        let tells = |one: &&DecisionLine| {
            let rests_on = one.code == PERMIT && under.contains(&one.id);
            agreements.contains(&one.agreement) && (rests_on || within(one.from))
        };
        let (mut before, mut seen) = (String::new(), BTreeSet::new());
        for _ in 0..MAX_LOOKED_AT / LISTED {
            let list = format!("/decisions?limit={LISTED}{before}");
            let all: Vec<DecisionLine> = match self.client.get(&list).await {
                Ok(all) => all,
                Err(problem) => return self.leave_out("decision", "", problem),
            };
            for one in all.iter().filter(|one| seen.insert(one.id.clone())).filter(tells) {
                let path = format!("/decisions/{}/proof", segment(&one.id));
                self.take("decision", &one.id, one.from, &path).await;
            }
            let Some((newest, oldest)) = all.first().zip(all.last()) else { return };
            // What was recorded at one time may stand on two pages: the next begins with that time.
            let only = i64::from(newest.recorded == oldest.recorded);
            let then = Timestamp::from_micros(oldest.recorded.micros() - only);
            before = format!("&as-of={}", segment(&then.to_string()));
        }
        let why = format!("only the latest {MAX_LOOKED_AT} were looked at");
        self.leave_out("decision", "", Problem::new(codes::INPUT_TOO_LARGE, why));
    }

    /// Fetches a bundle and writes it.
    async fn take(&mut self, kind: &'static str, of: &str, at: Timestamp, path: &str) {
        match self.written(kind, path).await {
            Ok(file) => self.index.files.push(Item { file, kind, of: of.to_owned(), at }),
            Err(problem) => self.leave_out(kind, of, problem),
        }
    }

    /// The file that a bundle was written to.
    async fn written(&self, kind: &str, path: &str) -> Result<String, Problem> {
        let bytes = self.client.get_bytes(path).await?;
        let bundle = Bundle::parse(&bytes).map_err(|_| internal("our own proof is no bundle"))?;
        let leaf: String = to_hex(&bundle.entry.leaf).chars().take(LEAF_DIGITS).collect();
        let file = format!("{kind}-{leaf}-{}.twinproof", slug(&self.index.organisation));
        write_file(&self.folder.join(&file), &bytes)?;
        Ok(file)
    }

    /// Notes what could not be had, once.
    fn leave_out(&mut self, kind: &'static str, of: &str, problem: Problem) {
        let (of, code, why) = (of.to_owned(), problem.code.name, problem.message);
        let one = LeftOut { kind, of, code, why };
        if !self.index.left_out.contains(&one) {
            self.index.left_out.push(one);
        }
    }
}

/// From the first row that was seen to the last request. Who was asked about something in which
/// nothing was seen is not told of a row: then from the first delivery.
fn span(shown: &IncidentShown, delivered: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
    let all = shown.containments.iter();
    let first = all.clone().filter_map(|one| one.seen.as_ref().map(|seen| seen.first)).min();
    first.or(delivered).zip(all.map(|one| one.opened).max())
}

/// The agreements that an incident rests on.
fn agreements(shown: &IncidentShown) -> BTreeSet<String> {
    shown.containments.iter().map(|one| one.agreement.clone()).collect()
}

/// What stands for a DID in the name of a file, harmless in any of them.
fn slug(did: &str) -> String {
    let name = did.strip_prefix("did:web:").unwrap_or(did);
    let harmless = |c: char| match c {
        'a'..='z' | '0'..='9' | '.' | '-' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '-',
    };
    name.chars().take(WHO_LETTERS).map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_did_is_harmless_in_the_name_of_a_file() {
        for (did, expect) in [
            ("did:web:operator.example", "operator.example"),
            ("did:web:Host.example%3A8443:a", "host.example-3a8443-a"),
            ("did:key:z6Mk../..", "did-key-z6mk..-.."),
        ] {
            assert_eq!(slug(did), expect);
        }
        assert_eq!(slug(&"x".repeat(300)).len(), super::WHO_LETTERS);
    }
}
