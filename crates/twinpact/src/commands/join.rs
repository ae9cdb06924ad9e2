//! `invite`, `join`, `invitation list|withdraw`: how two organisations become partners.

use super::exchange::body;
use crate::cli::{Dir, Invitation};
use crate::output::{Output, line, table};
use crate::session::Session;
use crate::span;
use std::io::Read as _;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::api::{InvitationLine, Invite, Invited, Join, Joined};

/// What makes an invitation more than a line that somebody may have exchanged on its way.
const COMPARE: &str = "compare both fingerprints over another channel, for example by telephone";

/// The most bytes of stdin that are read for an invitation, which is shorter.
const MAX_STDIN_BYTES: u64 = 4_096;

pub(crate) async fn invite(
    dir: &Dir,
    name: Option<String>,
    valid: Option<&str>,
    out: Output,
) -> Result<ExitCode, Problem> {
    let valid_seconds = valid.map(span::seconds).transpose()?;
    let session = Session::running(&dir.dir).await?;
    let asked = body(&Invite { name, valid_seconds })?;
    let invited: Invited = session.client.post("/invitations", "application/json", asked).await?;
    out.result(&invited, |invited| line(&invited.invitation));
    out.say(&format!("good for one organisation until {}; keep it secret", invited.expires));
    out.say(&format!("your fingerprint  {}", spoken(&invited.fingerprint)));
    out.say(COMPARE);
    out.next("twinpact join INVITATION   (at the other organisation)");
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn join(dir: &Dir, invitation: String, out: Output) -> Result<ExitCode, Problem> {
    let invitation = match invitation.as_str() {
        "-" => from_stdin()?,
        _ => invitation,
    };
    let session = Session::running(&dir.dir).await?;
    let asked = body(&Join { invitation })?;
    let joined: Joined = session.client.post("/joins", "application/json", asked).await?;
    let partner = &joined.partner;
    out.result(&joined, |joined| {
        let before = if joined.before { " as before" } else { "" };
        let (name, endpoint) = (&joined.partner.organisation, &joined.partner.endpoint);
        line(&format!("{name} is a partner{before}, at {endpoint}"))
    });
    out.say(&format!("their fingerprint  {}", spoken(&partner.fingerprint)));
    out.say(&format!("your fingerprint   {}", spoken(&joined.own_fingerprint)));
    out.say(COMPARE);
    out.next(&format!("twinpact catalog {}{}", partner.organisation, dir.flag()));
    Ok(ExitCode::SUCCESS)
}

/// An invitation from stdin; white space around it is no part of it.
fn from_stdin() -> Result<String, Problem> {
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_STDIN_BYTES).read_to_string(&mut text);
    read.map_err(|e| Problem::new(codes::INPUT_MALFORMED, format!("stdin: {e}")))?;
    Ok(text)
}

pub(crate) async fn invitation(command: Invitation, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Invitation::List { dir, as_of } => {
            let path = as_of.of("/invitations")?;
            let session = Session::open(&dir.dir).await?;
            let all = session.client.get(&path).await;
            session.close().await;
            let all: Vec<InvitationLine> = all?;
            out.result(&all, |all| text(all));
        }
        Invitation::Withdraw { dir, id } => {
            let session = Session::open(&dir.dir).await?;
            let path = format!("/invitations/{}/withdraw", segment(&id));
            let withdrawn = session.client.post(&path, "application/json", Vec::new()).await;
            session.close().await;
            let withdrawn: InvitationLine = withdrawn?;
            out.result(&withdrawn, |one| line(&format!("{} is withdrawn", one.id)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(all: &[InvitationLine]) -> String {
    let row = |one: &InvitationLine| {
        let state = match &one.by {
            Some(by) => format!("{} by {by}", one.state),
            None => one.state.clone(),
        };
        vec![one.id.clone(), one.name.clone(), one.expires.to_string(), state]
    };
    table(&["invitation", "for", "until", "state"], &all.iter().map(row).collect::<Vec<_>>())
}

/// A fingerprint as it is read out: in groups of four.
fn spoken(fingerprint: &str) -> String {
    let digits: Vec<char> = fingerprint.chars().collect();
    let groups = digits.chunks(4).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}
