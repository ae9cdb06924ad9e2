//! What an answer to a message of ours means: arrived, come again, or never.
//!
//! Learned from connectors in the field: 409 means that the other side has not stored its own state
//! yet and helps after some milliseconds; 404 can mean the same right after a message of theirs;
//! any other refusal will not change by repeating it. Delays come without jitter; the caller adds
//! its own.

/// What to do after an answer, or after none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived.
    Delivered,
    /// Send it again after so many milliseconds.
    Retry {
        /// Milliseconds from now.
        after_ms: u64,
    },
    /// It will not be taken.
    GiveUp {
        /// Why, for people: the status and the reasons that were given.
        reason: String,
        /// Whether it says that there is no such process.
        unknown: bool,
    },
}

/// The most attempts while the other side is out of reach: more than a day with the delays below.
pub const MAX_ATTEMPTS: u32 = 40;
/// The most attempts against "too early".
pub const MAX_EARLY: u32 = 60;
/// The most attempts against "unknown process" or "not authenticated".
pub const MAX_UNKNOWN: u32 = 8;
/// The longest delay between two attempts, in milliseconds.
pub const MAX_DELAY_MS: u64 = 3_600_000;
/// How much of a reason is kept, in characters.
const MAX_REASON: usize = 300;

/// What the answer with this status and body to the `attempt`-th try (from 1) means. No answer at
/// all is status `None`, its error in place of the body.
#[must_use]
pub fn classify_response(status: Option<u16>, body: &str, attempt: u32) -> Delivery {
    let (most, first_ms, ceiling_ms) = match status {
        Some(200..=299) => return Delivery::Delivered,
        Some(409 | 425) => (MAX_EARLY, 20, 2_000),
        Some(401 | 404) => (MAX_UNKNOWN, 200, 5_000),
        status if out_of_reach(status) => (MAX_ATTEMPTS, 500, MAX_DELAY_MS),
        _ => (0, 0, 0),
    };
    if attempt < most {
        let doublings = attempt.saturating_sub(1).min(20);
        let after_ms = (first_ms << doublings).min(ceiling_ms);
        return Delivery::Retry { after_ms };
    }
    let unknown = matches!(status, Some(404 | 410));
    let after = if attempt > 1 { format!(" after {attempt} attempts") } else { String::new() };
    let reason = worded(status, body, &after);
    Delivery::GiveUp { reason, unknown }
}

/// What came back, for people: the status and the reasons that were given, cut.
#[must_use]
pub fn described(status: Option<u16>, body: &str) -> String {
    worded(status, body, "")
}

fn worded(status: Option<u16>, body: &str, after: &str) -> String {
    let said: String = reasons(body).chars().take(MAX_REASON).collect();
    let status = status.map_or_else(|| "no answer".to_owned(), |s| format!("status {s}"));
    match said.is_empty() {
        true => format!("{status}{after}"),
        false => format!("{status}{after}: {said}"),
    }
}

/// The same for an answer to a signed document, which no process waits for and nobody makes again:
/// while the other side is out of reach it is never given up.
#[must_use]
pub fn classify_document_response(status: Option<u16>, body: &str, attempt: u32) -> Delivery {
    match classify_response(status, body, attempt) {
        Delivery::GiveUp { .. } if out_of_reach(status) => {
            Delivery::Retry { after_ms: MAX_DELAY_MS }
        }
        other => other,
    }
}

const fn out_of_reach(status: Option<u16>) -> bool {
    matches!(status, None | Some(408 | 429 | 500..=599))
}

/// The reasons of a typed error, or the text itself.
fn reasons(body: &str) -> String {
    use crate::message::Message;
    let (code, reason) = match Message::parse_bytes(body.as_bytes()) {
        Ok(Message::NegotiationError(m) | Message::TransferError(m)) => (m.code, m.reason),
        Ok(Message::CatalogError(m) | Message::VersionsError(m)) => (m.code, m.reason),
        _ => (None, vec![body.split_whitespace().collect::<Vec<_>>().join(" ")]),
    };
    let code = code.map_or_else(String::new, |code| format!("[{code}] "));
    format!("{code}{}", reason.join("; ")).trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::{
        Delivery, MAX_ATTEMPTS, MAX_DELAY_MS, MAX_EARLY, MAX_UNKNOWN, classify_document_response,
        classify_response,
    };

    #[test]
    fn answers_have_a_meaning() {
        let retry = |after_ms| Delivery::Retry { after_ms };
        let unknown = |reason: &str| Delivery::GiveUp { reason: reason.to_owned(), unknown: true };
        let never = |reason: &str| Delivery::GiveUp { reason: reason.to_owned(), unknown: false };
        let typed = r#"{"@context":["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type":"ContractNegotiationError","code":"x","reason":["wrong","state"]}"#;
        for (status, body, attempt, expect) in [
            (Some(200), "", 1, Delivery::Delivered),
            (Some(201), "{}", 9, Delivery::Delivered),
            (Some(204), "", 1, Delivery::Delivered),
            (Some(409), "", 1, retry(20)),
            (Some(409), "", 2, retry(40)),
            (Some(409), "", 30, retry(2_000)),
            (Some(409), "", MAX_EARLY, never("status 409 after 60 attempts")),
            (Some(404), "", 1, retry(200)),
            (Some(404), "", MAX_UNKNOWN, unknown("status 404 after 8 attempts")),
            (Some(401), "", MAX_UNKNOWN, never("status 401 after 8 attempts")),
            (Some(410), "", 1, unknown("status 410")),
            (Some(401), "", 2, retry(400)),
            (Some(500), "<html>", 1, retry(500)),
            (Some(503), "", 39, retry(MAX_DELAY_MS)),
            (Some(429), "", 2, retry(1_000)),
            (None, "refused", 1, retry(500)),
            (None, "refused", MAX_ATTEMPTS, never("no answer after 40 attempts: refused")),
            (Some(400), typed, 1, never("status 400: [x] wrong; state")),
            (Some(400), "Bad\n request.", 1, never("status 400: Bad request.")),
            (Some(403), "", 1, never("status 403")),
            (Some(302), "", 1, never("status 302")),
        ] {
            assert_eq!(classify_response(status, body, attempt), expect, "{status:?} {attempt}");
        }
        let long = "x".repeat(5_000);
        let cut = classify_response(Some(400), &long, 1);
        let Delivery::GiveUp { reason, .. } = cut else { panic!() };
        assert!(reason.len() < 400);
    }

    #[test]
    fn a_document_is_given_up_only_when_it_is_refused() {
        let hourly = Delivery::Retry { after_ms: MAX_DELAY_MS };
        for status in [None, Some(408), Some(429), Some(500), Some(503), Some(599)] {
            for attempt in [1, MAX_ATTEMPTS - 1] {
                let message = classify_response(status, "", attempt);
                assert_eq!(classify_document_response(status, "", attempt), message);
            }
            for attempt in [MAX_ATTEMPTS, u32::MAX] {
                assert_eq!(classify_document_response(status, "", attempt), hourly);
            }
        }
        for status in [200, 302, 400, 401, 403, 404, 409] {
            let message = classify_response(Some(status), "x", MAX_EARLY);
            assert_eq!(classify_document_response(Some(status), "x", MAX_EARLY), message);
        }
    }

    #[test]
    fn an_outage_of_a_day_is_survived() {
        let total: u64 = (1..MAX_ATTEMPTS)
            .map(|attempt| match classify_response(None, "", attempt) {
                Delivery::Retry { after_ms } => after_ms,
                other => panic!("{other:?}"),
            })
            .sum();
        assert!(total > 24 * 3_600_000, "{total}");
    }
}
