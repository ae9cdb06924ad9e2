//! What is asked of the owners, and what they answer: a person, or a program that says that it is
//! one.

use super::super::stage::Stage;
use super::RULE;
use super::peers::Peer;
use super::setup::Three;
use crate::commands::incident_began;
use crate::output::{front, internal};
use crate::watch::{Led, rule_file};
use serde_json::{Value, json};
use twinpact_detect::Rule;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{ContainmentLine, IncidentShown};

/// Who answers.
pub(crate) struct Answers<'a> {
    /// Whether nobody is asked: a program confirms everything, and the answers say so.
    pub(crate) automatic: bool,
    pub(crate) stage: &'a Stage,
}

impl Answers<'_> {
    /// Waits until every owner has what it is asked for, and answers it; how it stands at the maker
    /// then. Nothing when the job has opened no incident.
    pub(crate) async fn give(
        &self,
        three: &Three,
        led: &Led,
    ) -> Result<Option<IncidentShown>, Problem> {
        let Led { twin, first, found, .. } = led;
        let lost = format!("  {twin} lost power from {first} on, found by the row of {found}");
        if let Some(code) = &led.refused {
            return Err(internal(&format!("the incident of {twin} was refused: {code}")));
        }
        let Some(opened) = &led.incident else {
            let known = led.contained_by.as_deref().map(front).unwrap_or_default();
            self.stage.say(&format!("{lost}; {known} asks for it already"));
            return Ok(None);
        };
        self.stage.say(&lost);
        let path = format!("/incidents/{}", segment(&opened.id));
        let taken =
            |shown: &IncidentShown| shown.containments.iter().all(|one| one.waits.is_none());
        let asked: IncidentShown = three.maker.until(&path, "a containment", taken).await?;
        for one in &asked.containments {
            if let Some(why) = &one.not_taken {
                return Err(internal(&format!("{} did not take it: {why}", one.asked_of)));
            }
            let owner = three.peers().into_iter().find(|peer| peer.did == one.asked_of);
            let owner = owner.ok_or_else(|| internal("a containment asks a stranger"))?;
            self.answer(owner, one, &path).await?;
        }
        let answered =
            |shown: &IncidentShown| shown.containments.iter().all(|one| one.state != "open");
        three.maker.until(&path, "an answer", answered).await.map(Some)
    }

    async fn answer(
        &self,
        owner: &Peer,
        one: &ContainmentLine,
        incident: &str,
    ) -> Result<(), Problem> {
        let by = match self.automatic {
            true => "whoever is on duty (--auto-confirm)",
            false => self.ask(owner.name, &one.measure)?,
        };
        let began = self.began(owner, one).await?;
        let body = json!({ "by": by, "automatic": self.automatic, "began": began, "note": "" });
        let path = format!("/containments/{}/confirm", segment(&one.id));
        match owner.post::<Value>(&path, &body).await {
            // It may have been taken by a node that did not live to say so.
            Err(problem) if problem.code == codes::INCIDENT_INVALID => {
                let shown: IncidentShown = owner.get(incident).await?;
                let known = shown.containments.iter().find(|known| known.id == one.id);
                if known.is_none_or(|known| known.state != "confirmed") {
                    return Err(problem);
                }
            }
            answer => answer.map(|_| ())?,
        }
        let (name, twins) = (owner.name, one.twins.join(", "));
        let since = began.map_or(String::new(), |began| format!("; it began {began}"));
        let program = if self.automatic { "a program for " } else { "" };
        self.stage.say(&format!("    {name}, {twins}: confirmed by {program}{by}{since}"));
        Ok(())
    }

    /// Since when, by all rows of whoever owns the twin, shown or not.
    async fn began(
        &self,
        owner: &Peer,
        one: &ContainmentLine,
    ) -> Result<Option<Timestamp>, Problem> {
        if one.seen.is_none() {
            return Ok(None);
        }
        let rule = Rule::new(&rule_file(RULE)?)?;
        let look = async |client| incident_began::look(&client, &one.id, &rule).await;
        owner.persistent(look).await.map(|looked| looked.began)
    }

    /// Asks whoever sits at the terminal.
    fn ask(&self, name: &str, measure: &str) -> Result<&'static str, Problem> {
        let out = self.stage.out;
        out.say(&format!("    you are the {name}, asked to {measure}: press Enter to confirm"));
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let read = read.map_err(|e| internal(&format!("the terminal: {e}")))?;
        // Nothing but an empty line is a yes.
        match read > 0 && line.trim().is_empty() {
            true => Ok("whoever sat at the terminal"),
            false => Err(Problem::new(codes::INPUT_MALFORMED, "it was not confirmed")
                .hint("press Enter alone to confirm, or run it with --auto-confirm")),
        }
    }
}
