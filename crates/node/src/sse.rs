//! Server-sent events as they come in (WHATWG HTML §9.2.6), put together from the pieces in which a
//! connection brings them.

use crate::consumer::MAX_DELIVERY_BYTES;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most bytes of one event: a delivery, and the few that name it.
const MAX_EVENT_BYTES: usize = MAX_DELIVERY_BYTES + 1_024;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: Vec<u8>,
}

/// What has come of the next event.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    next: Event,
    /// Bytes of the event so far.
    bytes: usize,
}

impl Events {
    /// Takes a piece; the events that are whole by it.
    ///
    /// # Errors
    /// `exchange.proof` when one is larger than any delivery.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<Vec<Event>, Problem> {
        let mut whole = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.bytes += part.len();
            if self.bytes > MAX_EVENT_BYTES {
                let why = format!("an event of the stream is larger than {MAX_EVENT_BYTES} bytes");
                return Err(Problem::new(codes::EXCHANGE_PROOF, why));
            }
            match part.strip_suffix(b"\n") {
                None => self.line.extend_from_slice(part),
                Some(rest) => {
                    self.line.extend_from_slice(rest);
                    let line = std::mem::take(&mut self.line);
                    whole.extend(self.line(line.strip_suffix(b"\r").unwrap_or(&line)));
                }
            }
        }
        Ok(whole)
    }

    /// Takes a line; the event that it ends.
    fn line(&mut self, line: &[u8]) -> Option<Event> {
        if line.is_empty() {
            self.bytes = 0;
            let event = std::mem::take(&mut self.next);
            // Without data it is none: a heartbeat, or the rest of one.
            return Some(event).filter(|event| !event.data.is_empty());
        }
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, rest) = line.split_at(at);
        let value = rest.strip_prefix(b":").unwrap_or(rest);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"id" => self.next.id = Some(text()),
            b"event" => self.next.kind = text(),
            b"data" if self.next.data.is_empty() => self.next.data = value.to_vec(),
            b"data" => {
                self.next.data.push(b'\n');
                self.next.data.extend_from_slice(value);
            }
            // A comment, or a field that nobody knows.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Events, MAX_EVENT_BYTES};
    use proptest::prelude::*;

    fn event(id: Option<&str>, kind: &str, data: &str) -> Event {
        let (id, kind) = (id.map(str::to_owned), kind.to_owned());
        Event { id, kind, data: data.as_bytes().to_vec() }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let check = |text: &str, expect: &[Event]| {
            assert_eq!(Events::default().take(text.as_bytes()).unwrap(), expect, "{text:?}");
        };
        check("", &[]);
        check(": \n\n", &[]);
        check("id: 7\nevent: rows\ndata: {}\n\n", &[event(Some("7"), "rows", "{}")]);
        check("id: 7\r\nevent:rows\r\ndata:{}\r\n\r\n", &[event(Some("7"), "rows", "{}")]);
        check("data: a\ndata:  b\n\n", &[event(None, "", "a\n b")]);
        check("event: end\n\ndata: x\n\n", &[event(None, "", "x")]);
        check("data: x\nretry: 3\nother\n\n: \n\ndata: y\n", &[event(None, "", "x")]);
    }

    #[test]
    fn an_event_has_a_bound_and_what_came_before_counts_for_nothing() {
        let mut events = Events::default();
        let half = vec![b'x'; MAX_EVENT_BYTES / 2];
        for _ in 0..3 {
            assert!(events.take(b"data: ").unwrap().is_empty());
            assert!(events.take(&half).unwrap().is_empty());
            assert_eq!(events.take(b"\n\n").unwrap().len(), 1);
        }
        events.take(b"data: ").unwrap();
        events.take(&half).unwrap();
        assert_eq!(events.take(&half).unwrap_err().code.name, "exchange.proof");
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference(cuts in prop::collection::vec(0usize..70, 0..9)) {
            let text = "id: 7\nevent: rows\ndata: {\"é\":1}\n\n: \n\nevent: end\ndata: {}\n\n";
            let whole = Events::default().take(text.as_bytes()).unwrap();
            prop_assert_eq!(whole.len(), 2);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let (mut events, mut got) = (Events::default(), Vec::new());
            for piece in cuts.windows(2) {
                got.extend(events.take(&text.as_bytes()[piece[0]..piece[1]]).unwrap());
            }
            prop_assert_eq!(got, whole);
        }
    }
}
