//! The little of JSON Schema (draft 2020-12) that our bodies need.

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bool,
    /// A whole number, 0 or more.
    Count,
    Integer,
    Number,
    /// RFC 3339.
    Time,
    /// Bytes as lower-case hexadecimal digits.
    Hex,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The schema of that name.
    Named(&'static str),
    Many(&'static Kind),
    /// Values of that kind by name.
    Map(&'static Kind),
    /// That, or null.
    Null(&'static Kind),
    /// A document with a form of its own.
    Any,
}

impl Kind {
    pub(super) fn schema(self) -> Value {
        match self {
            Kind::Text => json!({ "type": "string" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Count => json!({ "type": "integer", "minimum": 0 }),
            Kind::Integer => json!({ "type": "integer" }),
            Kind::Number => json!({ "type": "number" }),
            Kind::Time => json!({ "type": "string", "format": "date-time" }),
            Kind::Hex => json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" }),
            Kind::Word(words) => json!({ "type": "string", "enum": words }),
            Kind::Named(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
            Kind::Many(kind) => json!({ "type": "array", "items": kind.schema() }),
            Kind::Map(kind) => json!({ "type": "object", "additionalProperties": kind.schema() }),
            Kind::Null(kind) => json!({ "anyOf": [kind.schema(), { "type": "null" }] }),
            Kind::Any => json!({ "type": "object" }),
        }
    }
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// A member that is always there.
pub(super) const fn must(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, required: true }
}

/// A member that may be left out.
pub(super) const fn may(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, required: false }
}

/// An object. One that we read is closed: an unknown name in it is refused. One that we write may
/// have more members in a later release, so that its readers must let them pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) closed: bool,
    pub(super) members: &'static [Member],
}

impl Object {
    pub(super) fn schema(&self) -> Value {
        let mut properties = Map::new();
        for member in self.members {
            properties.insert(member.name.to_owned(), member.kind.schema());
        }
        let required = self.members.iter().filter(|member| member.required);
        let required: Vec<&str> = required.map(|member| member.name).collect();
        let mut schema = json!({
            "type": "object",
            "description": self.what,
            "properties": properties,
            "required": required,
        });
        if self.closed {
            set(&mut schema, "additionalProperties", json!(false));
        }
        schema
    }
}

/// Puts a member into an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
