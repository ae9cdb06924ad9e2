//! What makes two messages the same one, so that a repeat is acknowledged and not acted on.
//!
//! A message that carries its own `@id` is that id: two messages of one content and two ids are two
//! messages. One without is its content, which may be said again at another time
//! (`Post::is_repeat`).

use crate::message::Message;
use serde::Serialize;
use serde_json::Value;
use twinpact_proof::digest::{sha256, to_hex};

/// The SHA-256 of the message's own id, or of its content when it has none.
pub(crate) fn of(message: &Message) -> String {
    match message.id() {
        // As a digest: a state keeps many of these, and an id may be long.
        Some(id) => format!("id:{}", to_hex(&sha256(id.as_bytes()))),
        None => of_content(message),
    }
}

/// The SHA-256 of its content, its own `@id` left out: what an opening message is recognised by,
/// since some connectors draw a new `@id` when they send it again.
pub(crate) fn of_content(message: &Message) -> String {
    let mut json = message.to_json();
    if let Some(members) = json.as_object_mut() {
        members.shift_remove("@id");
        // They may hold a key, of which not even a digest is kept.
        let address = members.get_mut("dataAddress").and_then(Value::as_object_mut);
        address.map(|address| address.shift_remove("endpointProperties"));
    }
    let mut text = Vec::new();
    write(&json, &mut text);
    format!("sha256:{}", to_hex(&sha256(&text)))
}

/// Keys sorted by their bytes, so that the order of members does not matter.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (key, value) in sorted {
                plain(key, out);
                out.push(b':');
                write(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        other => plain(other, out),
    }
}

fn plain(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    // A value in memory can always be written.
    let _ = serde_json::to_writer(out, value);
}
