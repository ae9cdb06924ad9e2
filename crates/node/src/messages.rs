//! Messages of several processes that a partner sends with one call: each is taken as if it had
//! come by itself, and answered so.
//!
//! A node that moves many processes with one partner at a time has several messages to send after
//! each frame, and a call costs both sides more than what it carries. The messages are those of the
//! Dataspace Protocol and go where each would go alone; who sends them one by one is answered the
//! same. On the wire: docs/data.md, "Messages together".

use crate::ask::{self, Answer};
use crate::connectors::DSP_PATH;
use crate::door::Asked;
use crate::egress::{Egress, Told};
use crate::negotiate::{self, Caller};
use crate::open::Node;
use crate::outbound::Reply;
use crate::strangers::Away;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use twinpact_dsp::route::{Endpoint, Route, match_route};
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Where they are sent.
pub const MESSAGES_PATH: &str = "/messages";
/// How many messages may come together.
pub(crate) const MAX_MESSAGES: usize = 64;

/// How long the path of one may be, in bytes.
const MAX_PATH_BYTES: usize = 2_048;

/// One of them, and the path at which it would come alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    message: &'a RawValue,
}

/// Takes messages that came together, at the same time: none waits for what becomes of another.
pub(crate) async fn receive(node: &Node, peer: &PeerIdentity, asked: &Asked) -> Answer {
    let sent = match read(&asked.body) {
        Ok(sent) => sent,
        Err(problem) => return Answer::unrecorded(problem.into()),
    };
    let told = sent.into_iter().enumerate().map(|(n, one)| told(node, peer, n, one));
    // What each is answered is on record.
    Answer::recorded(Egress::Together(join_all(told).await))
}

fn read(body: &[u8]) -> Result<Vec<Sent<'_>>, Problem> {
    let malformed = |why: String| Problem::new(codes::INPUT_MALFORMED, why);
    let sent: Vec<Sent<'_>> = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("the body is no list of messages: {error}")))?;
    if !sent.iter().all(|one| is_path(&one.path)) {
        return Err(malformed("a path is too long, or none of an http URL".to_owned()));
    }
    match sent.len() {
        0 => Err(malformed("the list has no message".to_owned())),
        1..=MAX_MESSAGES => Ok(sent),
        _ => Err(malformed(format!("at most {MAX_MESSAGES} messages come together"))),
    }
}

/// Whether that can be the path of a message in a list.
pub(crate) fn is_path(path: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#');
    path.len() <= MAX_PATH_BYTES && !path.bytes().any(odd)
}

/// What one of them is answered with, once that is on record.
async fn told(node: &Node, peer: &PeerIdentity, n: usize, sent: Sent<'_>) -> Told {
    // Each is as much as a request; one was counted at the door. As there, what is beyond the rate
    // is counted, and leaves nothing else.
    let now = node.clocks.wall();
    if n > 0
        && let Err(problem) = node.rates.more_requests(peer.did.as_str(), 1, now)
    {
        node.strangers.count(Away::PartnerRate, now);
        node.metrics.answered(&sent.path, problem.code.name);
        return Told::of(problem.into());
    }
    let one = Asked::posted(Some(peer.clone()), &sent.path, sent.message.get().as_bytes().to_vec());
    let workload = peer.spiffe_id.to_string();
    let caller = Caller { id: peer.did.as_str(), workload: &workload };
    let answer = match route(&one.path) {
        Some(route) => negotiate::receive(node, caller, &route, &one).await,
        None => Answer::unrecorded(ask::unknown().into()),
    };
    let egress = ask::on_record(node, caller.id, &one, answer).await;
    node.metrics.answered(&one.path, &ask::outcome(&egress).1);
    Told::of(egress)
}

/// The endpoint for a message of a process; there is none for anything else here.
fn route(path: &str) -> Option<Route> {
    let route = match_route("POST", path.strip_prefix(DSP_PATH)?)?;
    let endpoint = route.row.endpoint;
    let moves = endpoint.message_name().is_some() && endpoint != Endpoint::Catalog;
    moves.then_some(route)
}

/// The body that sends these messages, each with its path.
pub(crate) fn written<'a>(messages: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut body = b"[".to_vec();
    for (path, message) in messages {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend(b"{\"path\":");
        body.extend(serde_json::Value::from(path).to_string().into_bytes());
        body.extend(b",\"message\":");
        body.extend(message);
        body.push(b'}');
    }
    body.push(b']');
    body
}

/// What one message was answered with.
#[derive(Deserialize)]
struct Heard<'a> {
    status: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// What each of so many messages was answered with; `None` when the answer does not say that.
pub(crate) fn answers(body: &[u8], count: usize) -> Option<Vec<Reply>> {
    let heard: Vec<Heard<'_>> = serde_json::from_slice(body).ok()?;
    let reply = |one: Heard<'_>| Reply {
        status: one.status,
        body: one.body.map(|body| body.get().as_bytes().to_vec()).unwrap_or_default(),
        next: None,
    };
    (heard.len() == count).then(|| heard.into_iter().map(reply).collect())
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGES, answers, read, route, written};
    use crate::egress::{Egress, Told};
    use twinpact_model::codes;
    use twinpact_model::problem::Problem;

    #[test]
    fn what_is_written_is_read() {
        let all = [("/dsp/a", r#"{"x":"\"]"}"#), ("/dsp/\"b\\", "{}")];
        let body = written(all.iter().map(|(path, message)| (*path, message.as_bytes())));
        let read = read(&body).unwrap();
        let read: Vec<(&str, &str)> =
            read.iter().map(|sent| (&*sent.path, sent.message.get())).collect();
        assert_eq!(read, all);
    }

    #[test]
    fn what_is_no_list_of_messages_is_refused() {
        let one = r#"{"path":"/dsp/a","message":{}}"#;
        let listed = |count: usize| format!("[{}]", vec![one; count].join(","));
        for (body, said) in [
            (String::new(), "no list"),
            (one.to_owned(), "no list"),
            ("[".to_owned(), "no list"),
            (format!("[{one}] "), ""),
            (format!("[{one}]x"), "no list"),
            ("[]".to_owned(), "has no message"),
            (listed(MAX_MESSAGES), ""),
            (listed(MAX_MESSAGES + 1), "at most 64"),
            (r#"[{"path":"/dsp/a"}]"#.to_owned(), "missing field `message`"),
            (r#"[{"message":{}}]"#.to_owned(), "missing field `path`"),
            (r#"[{"path":1,"message":{}}]"#.to_owned(), "invalid type"),
            (r#"[{"path":"/dsp/a?b","message":{}}]"#.to_owned(), "a path is"),
            (r#"[{"path":"/dsp/a#b","message":{}}]"#.to_owned(), "a path is"),
            (r#"[{"path":"/dsp/a\nb","message":{}}]"#.to_owned(), "a path is"),
            (r#"[{"path":"/dsp/\u00e9","message":{}}]"#.to_owned(), "a path is"),
            (format!(r#"[{{"path":"{}","message":{{}}}}]"#, "a".repeat(2_048)), ""),
            (format!(r#"[{{"path":"{}","message":{{}}}}]"#, "a".repeat(2_049)), "a path is"),
            (r#"[{"path":"/a","path":"/b","message":{}}]"#.to_owned(), "duplicate field"),
            (r#"[{"path":"/a","message":{},"method":"GET"}]"#.to_owned(), "unknown field"),
        ] {
            match read(body.as_bytes()) {
                Ok(_) => assert_eq!(said, "", "{body}"),
                Err(problem) => {
                    assert_eq!(problem.code, codes::INPUT_MALFORMED);
                    let why = problem.message;
                    assert!(!said.is_empty() && why.contains(said), "{body}: {why}");
                }
            }
        }
    }

    #[test]
    fn nothing_but_messages_of_processes_is_taken() {
        for (path, expect) in [
            ("/dsp/negotiations/request", true),
            ("/dsp/negotiations/urn:p/events", true),
            ("/dsp/negotiations/urn:p/agreement/verification", true),
            ("/dsp/transfers/request", true),
            ("/dsp/transfers/urn:p/completion", true),
            ("/dsp/catalog/request", false),
            ("/dsp/negotiations/urn:p", false),
            ("/negotiations/request", false),
            ("/messages", false),
            ("/documents", false),
            ("/data/urn:p", false),
            ("/data/urn:p/token", false),
            ("/.well-known/twinpact/organisation", false),
            ("/witness/add-checkpoint", false),
            ("https://elsewhere.example/dsp/negotiations/request", false),
            ("", false),
        ] {
            assert_eq!(route(path).is_some(), expect, "{path}");
        }
    }

    #[test]
    fn answers_come_back_in_their_order() {
        let refused = Problem::new(codes::ROUTE_UNKNOWN, "there is no such route");
        let told = [
            Told::of(Egress::Protocol { status: 201, message: None }),
            Told::of(refused.into()),
            Told::of(Egress::Schema("never".to_owned())),
        ];
        let text = Told::written(&told);
        let heard = answers(text.as_bytes(), 3).unwrap();
        let statuses: Vec<u16> = heard.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses, [201, 404, 500]);
        assert!(heard[0].body.is_empty() && heard[2].body.is_empty(), "{text}");
        assert!(heard[1].body.starts_with(b"{") && text.contains("route.unknown"));
        // One that says less or more says nothing.
        for (body, count) in [(&*text, 2), (&*text, 4), ("", 0), ("{}", 0), (r#"[{}]"#, 1)] {
            assert!(answers(body.as_bytes(), count).is_none(), "{body} {count}");
        }
        assert_eq!(answers(b"[]", 0).map(|all| all.len()), Some(0));
    }
}
