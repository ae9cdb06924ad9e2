//! The lines of `serve`'s log on stderr: one a line, as JSON (RFC 8259) or as text. What is in them
//! is `twinpact_node::trace`'s affair; here they get a time, and the request that they are for.
//!
//! They are written by a thread of its own. Whoever reads them too slowly, or not at all, holds up
//! nothing: what finds no place is left out, and how many were is said as soon as there is place.

use crate::cli::{LogForm, LogLevel};
use crate::output::line;
use serde_json::{Map, Value, json};
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use twinpact_model::Timestamp;
use twinpact_node::trace::TARGET;

/// How many lines wait for whoever reads them.
const MAX_WAITING: usize = 4_096;

/// How long a node that has stopped waits for them to be written.
const MAX_LAST_WAIT: Duration = Duration::from_secs(2);

/// The thread that writes. Lines that wait are written before this is dropped, when whoever reads
/// them does so in time.
pub(crate) struct Lines {
    sender: SyncSender<Option<String>>,
    /// Nothing is ever sent here: its other end goes with the thread.
    ended: Receiver<()>,
}

impl Lines {
    /// Begins to write what the node says, from this level on. Once a process.
    pub(crate) fn start(form: LogForm, level: LogLevel) -> Lines {
        let lines = Lines::over(std::io::stderr());
        let most = match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
        };
        let layer = Sayer { form, most, left_out: AtomicU64::new(0), sender: lines.sender.clone() };
        // Only one is ever set; the demo and the tests that run several nodes set none.
        let _ = tracing::subscriber::set_global_default(Registry::default().with(layer));
        lines
    }

    /// The thread, and where it writes.
    fn over(mut out: impl Write + Send + 'static) -> Lines {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let (alive, ended) = sync_channel(0);
        std::thread::spawn(move || {
            write_all(&receiver, &mut out);
            drop(alive);
        });
        Lines { sender, ended }
    }

    /// Whether all that waits was written within that time.
    fn end(&self, wait: Duration) -> bool {
        let told = self.sender.try_send(None).is_ok();
        told && self.ended.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // A node that was told to stop does so, also when nobody reads: what is left is gone.
        let _ = self.end(MAX_LAST_WAIT);
    }
}

/// A line that cannot be written is gone: there is nobody to tell.
fn write_all(lines: &Receiver<Option<String>>, out: &mut impl Write) {
    while let Ok(Some(line)) = lines.recv() {
        let _ = out.write_all(line.as_bytes());
    }
}

/// Makes lines of events and of steps that end.
struct Sayer {
    form: LogForm,
    most: Level,
    left_out: AtomicU64,
    sender: SyncSender<Option<String>>,
}

/// What is kept of a span until it ends.
struct Kept {
    fields: Map<String, Value>,
    since: Instant,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Sayer {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::from_level(self.most))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        span.extensions_mut().insert(Kept { fields, since: Instant::now() });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Map::new();
        event.record(&mut Fields(&mut own));
        let mut members = Map::new();
        members.extend(own.shift_remove_entry("event"));
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(kept) = span.extensions().get::<Kept>() {
                    members.extend(kept.fields.clone());
                }
            }
        }
        members.extend(own);
        self.say(*event.metadata().level(), members);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id).filter(|s| *s.metadata().level() == Level::DEBUG) else {
            return;
        };
        let mut members = Map::new();
        members.insert("event".to_owned(), json!("step"));
        members.insert("step".to_owned(), json!(span.name()));
        for outer in span.scope().from_root() {
            if let Some(kept) = outer.extensions().get::<Kept>() {
                members.extend(kept.fields.clone());
            }
        }
        let took = span.extensions().get::<Kept>().map(|kept| kept.since.elapsed().as_micros());
        members.insert("us".to_owned(), json!(took.and_then(|us| u64::try_from(us).ok())));
        self.say(Level::DEBUG, members);
    }
}

impl Sayer {
    fn say(&self, level: Level, members: Map<String, Value>) {
        let missing = self.left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let said = Map::from_iter([
                ("event".to_owned(), json!("left-out")),
                ("lines".to_owned(), json!(missing)),
            ]);
            if !self.put(Level::WARN, said) {
                self.left_out.fetch_add(missing, Ordering::Relaxed);
            }
        }
        if !self.put(level, members) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there was place for it; where nobody reads there always is.
    fn put(&self, level: Level, members: Map<String, Value>) -> bool {
        let text = written(self.form, &now(), level, members);
        !matches!(self.sender.try_send(Some(text)), Err(TrySendError::Full(_)))
    }
}

/// One line, its end included.
fn written(form: LogForm, time: &str, level: Level, mut members: Map<String, Value>) -> String {
    let level = level.as_str().to_ascii_lowercase();
    match form {
        LogForm::Json => {
            let mut whole = Map::new();
            whole.insert("time".to_owned(), json!(time));
            whole.insert("level".to_owned(), json!(level));
            whole.extend(members);
            format!("{}\n", line(&Value::Object(whole).to_string()))
        }
        LogForm::Text => {
            let event = members.shift_remove("event").unwrap_or_default();
            let mut text = format!("{time} {level:<5} {}", event.as_str().unwrap_or_default());
            for (name, value) in members {
                text.push_str(&match value.as_str().filter(|text| is_plain(text)) {
                    Some(plain) => format!(" {name}={plain}"),
                    None => format!(" {name}={value}"),
                });
            }
            format!("{}\n", line(&text))
        }
    }
}

/// What can stand in text without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"=\\".contains(&b))
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(micros).to_string()
}

/// Takes fields as JSON.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Sayer, write_all, written};
    use crate::cli::LogForm;
    use serde_json::{Map, Value, json};
    use std::io::{self, Write};
    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;
    use tracing::Level;

    fn members(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// Whatever a stranger puts into a field stays in it: no line begins, and nothing steers a
    /// terminal.
    #[test]
    fn a_field_stays_in_its_line() {
        for bad in ["a\nb", "a\r\nb", "\u{1b}[31mred", "\u{202e}gnp", "x\" y=\"z", "a b", ""] {
            let line = |form| {
                let members = members(json!({ "event": "answered", "partner": bad, "us": 7 }));
                written(form, "2026-11-28T08:00:00Z", Level::INFO, members)
            };
            let text = line(LogForm::Text);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(!text.contains('\u{202e}') && text.contains(" us=7"), "{text:?}");
            let json = line(LogForm::Json);
            assert_eq!(json.matches('\n').count(), 1, "{json:?}");
            let read: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["partner"], bad);
            assert!(!json.contains('\u{1b}') && !json.contains('\u{202e}'), "{json:?}");
        }
    }

    #[test]
    fn a_reader_who_does_not_read_holds_up_nothing_and_is_told() {
        let (sender, receiver) = sync_channel(2);
        let (form, most) = (LogForm::Json, Level::INFO);
        let sayer = Sayer { form, most, left_out: AtomicU64::new(0), sender: sender.clone() };
        for n in 0..5 {
            sayer.say(Level::INFO, members(json!({ "event": "recorded", "new": n })));
        }
        let next = || receiver.recv().unwrap().unwrap();
        assert!(next().contains("\"new\":0") && next().contains("\"new\":1"));
        sayer.say(Level::INFO, members(json!({ "event": "recorded", "new": 5 })));
        let (told, after) = (next(), next());
        assert!(told.contains("\"event\":\"left-out\",\"lines\":3"), "{told}");
        assert!(after.contains("\"new\":5"), "{after}");
    }

    /// A pipe whose other end is gone.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_ends_nothing() {
        let (sender, receiver) = sync_channel(4);
        sender.send(Some("one\n".to_owned())).unwrap();
        sender.send(Some("two\n".to_owned())).unwrap();
        sender.send(None).unwrap();
        write_all(&receiver, &mut Broken);
        assert!(receiver.try_recv().is_err());
    }

    /// A pipe that is full until the other end of the channel is gone.
    struct Full(Receiver<()>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_does_not_read_does_not_keep_the_node_from_stopping() {
        let (full, pipe) = sync_channel(0);
        let lines = Lines::over(Full(pipe));
        lines.sender.send(Some("one\n".to_owned())).unwrap();
        assert!(!lines.end(Duration::ZERO), "nobody has read it");
        drop(full);
        assert!(lines.ended.recv().is_err(), "once somebody reads, the thread ends");
    }
}
