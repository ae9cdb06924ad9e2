//! The slow path: a message whose sender wrote names of its own is rewritten by its own contexts
//! ([`crate::contexts`]) into full names, and the reader goes on from there (JSON-LD 1.1 expansion,
//! §5.1 of its algorithms, in so far as messages of the protocol need it).
//!
//! Two rules are stricter than JSON-LD, which drops what no context defines: a name inside a policy
//! that means nothing refuses the message, since a rule without one of its constraints would allow
//! more; and members that fall together under one name are refused instead of merged. Outside of
//! policies only names of the protocol's vocabularies are kept, as nothing else is read.

use crate::contexts::{Meaning, Sender, brief};
use crate::rejected::Rejected;
use crate::scopes::{Coercion, Definition, Scope};
use crate::terms::{self, single};
use serde_json::{Map, Value, json};

/// The most bytes of names that are written out in full for one message.
pub const MAX_NAMES_BYTES: usize = 16 << 20;

/// Whether the message has to be rewritten: it has a context written out, or is a graph.
pub(crate) fn is_needed(members: &Map<String, Value>) -> bool {
    let written = match members.get("@context") {
        Some(Value::Array(items)) => items.iter().any(Value::is_object),
        Some(one) => one.is_object(),
        None => false,
    };
    written || members.contains_key("@graph")
}

/// The message with full names and without a context.
///
/// # Errors
/// As [`Sender::of`]; `dsp.malformed` for a type or name that no context defines where it would be
/// read, and for forms that this reader does not do; `dsp.too_large` beyond [`MAX_NAMES_BYTES`].
pub(crate) fn rewritten(message: &Map<String, Value>) -> Result<Map<String, Value>, Rejected> {
    let sender = Sender::of(message.get("@context"))?;
    let mut walk = Walk { sender: &sender, left: MAX_NAMES_BYTES, admitted: Vec::new() };
    let graph = message.iter().find(|(key, _)| is(&sender, key, "@graph"));
    let beside = message.keys().filter(|key| *key != "@context").count();
    let node = match graph.map(|(_, graph)| single(graph)) {
        None => walk.node(message, &[], Place::Root)?,
        Some(Some(Value::Object(node))) if beside == 1 => walk.node(node, &[], Place::Message)?,
        Some(_) => {
            return refuse("an @graph is read when it holds one node and nothing is beside it");
        }
    };
    if node.contains_key("@type") {
        return Ok(node);
    }
    refuse("@type is missing, or no context defines what it names")
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the message, whose context has been read.
    Root,
    /// In a message, where what is unknown is ignored.
    Message,
    /// In a policy, where nothing is.
    Policy,
}

type Scopes<'a> = &'a [&'static Scope];

struct Walk<'a> {
    sender: &'a Sender,
    /// How many bytes of names may still be written out.
    left: usize,
    /// The types against which the sender's terms have been held.
    admitted: Vec<&'static Scope>,
}

impl Walk<'_> {
    fn node(
        &mut self,
        members: &Map<String, Value>,
        outer: Scopes<'_>,
        place: Place,
    ) -> Result<Map<String, Value>, Rejected> {
        // A scope without the ODRL profile ends with its own node.
        let before: Vec<&'static Scope> = outer.iter().copied().filter(|s| s.odrl).collect();
        let scopes = self.typed(members, &before)?;
        let mut out = Map::new();
        for (key, value) in members {
            if key == "@context" {
                if place == Place::Root {
                    continue;
                }
                return refuse("a context inside a message is not read here");
            }
            let Some(name) = self.name(key, &scopes)? else {
                unknown(key, place)?;
                continue;
            };
            let read = match name.as_str() {
                "@id" => self.identifier(value)?,
                "@type" => self.types(value, &before, place)?,
                "@index" => None,
                _ if name.starts_with('@') => {
                    return refuse(format!("{} is not read here", brief(key)));
                }
                _ if place != Place::Policy && !terms::is_of_context(&name) => None,
                _ if !name.contains(':') => {
                    unknown(key, place)?;
                    None
                }
                // What a filter means is between the two who use it.
                dspace!("filter") => Some(value.clone()),
                _ => {
                    let definition = match self.sender.meaning(key, &scopes) {
                        Meaning::Defined(definition) => Some(definition),
                        Meaning::Nothing | Meaning::Undefined => None,
                    };
                    let inner = inner(&name, place);
                    self.member(value, definition.as_ref(), &scopes, inner)?
                }
            };
            if let Some(read) = read
                && out.insert(name, read).is_some()
            {
                return refuse(format!("{} stands twice, in two spellings", brief(key)));
            }
        }
        Ok(out)
    }

    /// The scopes at a node: those around it and those of its types, each once.
    fn typed(
        &mut self,
        members: &Map<String, Value>,
        before: Scopes<'_>,
    ) -> Result<Vec<&'static Scope>, Rejected> {
        let of_type = |key: &str| self.sender.expand(key, before, true).as_deref() == Some("@type");
        let values = members.iter().filter(|(key, _)| of_type(key)).map(|(_, value)| value);
        let mut names: Vec<&str> = values
            .flat_map(|value| match value {
                Value::Array(items) => items.as_slice(),
                one => std::slice::from_ref(one),
            })
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        let mut scopes = before.to_vec();
        for scope in names.into_iter().filter_map(|name| self.sender.scope(name)) {
            if !self.admitted.contains(&scope) {
                self.sender.admits(scope)?;
                self.admitted.push(scope);
            }
            scopes.retain(|other| *other != scope);
            scopes.push(scope);
        }
        Ok(scopes)
    }

    /// A name in full, counted.
    fn name(&mut self, name: &str, scopes: Scopes<'_>) -> Result<Option<String>, Rejected> {
        let full = self.sender.expand(name, scopes, true);
        // The reader takes the prefixes of the protocol for its own, defined or not.
        self.count(full.map(|full| terms::full(&full)))
    }

    fn count(&mut self, full: Option<String>) -> Result<Option<String>, Rejected> {
        let size = full.as_ref().map_or(0, String::len);
        self.left = self.left.checked_sub(size).ok_or_else(|| {
            let reason = format!("the names have more than {MAX_NAMES_BYTES} bytes in full");
            Rejected::too_large(reason)
        })?;
        Ok(full)
    }

    fn identifier(&mut self, value: &Value) -> Result<Option<Value>, Rejected> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => {
                let full = self.sender.expand(text, &[], false);
                Ok(self.count(full)?.map(Value::String))
            }
            _ => refuse("@id is not a text"),
        }
    }

    /// Types in full. What no context defines is none.
    fn types(
        &mut self,
        value: &Value,
        scopes: Scopes<'_>,
        place: Place,
    ) -> Result<Option<Value>, Rejected> {
        let items: &[Value] = match value {
            Value::Array(items) => items,
            one => std::slice::from_ref(one),
        };
        let mut out = Vec::new();
        for item in items.iter().filter(|item| !item.is_null()) {
            let Some(text) = item.as_str() else { return refuse("@type is not a text") };
            match self.name(text, scopes)? {
                Some(full) if full.contains(':') => out.push(Value::String(full)),
                _ => unknown(text, place)?,
            }
        }
        Ok((!out.is_empty()).then_some(Value::Array(out)))
    }

    /// The value of a member, read as its term is defined.
    fn member(
        &mut self,
        value: &Value,
        definition: Option<&Definition>,
        scopes: Scopes<'_>,
        place: Place,
    ) -> Result<Option<Value>, Rejected> {
        let read = self.value(value, definition, scopes, place)?;
        let list = definition.is_some_and(|d| d.list);
        let is_list = |value: &Value| value.get("@list").is_some();
        Ok(read.map(|read| match read {
            Value::Array(items) if list => json!({ "@list": items }),
            one if list && !is_list(&one) => json!({ "@list": [one] }),
            other => other,
        }))
    }

    fn value(
        &mut self,
        value: &Value,
        definition: Option<&Definition>,
        scopes: Scopes<'_>,
        place: Place,
    ) -> Result<Option<Value>, Rejected> {
        match value {
            Value::Null => Ok(None),
            Value::Array(items) => {
                let mut out = Vec::new();
                for item in items {
                    match self.value(item, definition, scopes, place)? {
                        Some(Value::Array(inner)) => out.extend(inner),
                        Some(one) => out.push(one),
                        None => {}
                    }
                }
                Ok(Some(Value::Array(out)))
            }
            Value::Object(members) => self.object(members, definition, scopes, place),
            plain => self.plain(plain, definition, scopes).map(Some),
        }
    }

    /// A literal, a set, a list or a node.
    fn object(
        &mut self,
        members: &Map<String, Value>,
        definition: Option<&Definition>,
        scopes: Scopes<'_>,
        place: Place,
    ) -> Result<Option<Value>, Rejected> {
        let find = |keyword: &str| {
            members
                .iter()
                .find(|(key, _)| self.sender.expand(key, scopes, true).as_deref() == Some(keyword))
        };
        if find("@value").is_some() {
            return self.literal(members, scopes);
        }
        let (set, list) = (find("@set"), find("@list"));
        match set.or(list) {
            None => self.node(members, scopes, place).map(|node| Some(Value::Object(node))),
            Some(_) if members.len() > 1 => refuse("a set or a list has a member beside it"),
            Some((_, inner)) if list.is_some() => {
                let items = match self.value(inner, definition, scopes, place)? {
                    Some(Value::Array(items)) => items,
                    Some(one) => vec![one],
                    None => Vec::new(),
                };
                Ok(Some(json!({ "@list": items })))
            }
            Some((_, inner)) => self.value(inner, definition, scopes, place),
        }
    }

    fn literal(
        &mut self,
        members: &Map<String, Value>,
        scopes: Scopes<'_>,
    ) -> Result<Option<Value>, Rejected> {
        let mut out = Map::new();
        for (key, value) in members {
            let name = self.name(key, scopes)?.unwrap_or_default();
            let value = match (name.as_str(), value) {
                ("@index", _) => continue,
                ("@value", Value::Null) => return Ok(None),
                ("@value", Value::String(_) | Value::Number(_) | Value::Bool(_))
                | ("@language", Value::String(_)) => value.clone(),
                ("@type", Value::String(text)) => match self.name(text, scopes)? {
                    Some(full) if full.contains(':') => Value::String(full),
                    _ => return refuse(format!("{} is the type of nothing", brief(text))),
                },
                _ => return refuse(format!("{} of a literal is not read here", brief(key))),
            };
            if out.insert(name, value).is_some() {
                return refuse(format!("{} stands twice, in two spellings", brief(key)));
            }
        }
        Ok(Some(Value::Object(out)))
    }

    /// A text, number or boolean.
    fn plain(
        &mut self,
        value: &Value,
        definition: Option<&Definition>,
        scopes: Scopes<'_>,
    ) -> Result<Value, Rejected> {
        let coercion = definition.map_or(&Coercion::Plain, |d| &d.coercion);
        let full = match (coercion, value) {
            (Coercion::Typed(datatype), _) => {
                return Ok(json!({ "@type": datatype, "@value": value }));
            }
            (Coercion::Id, Value::String(text)) => self.sender.expand(text, scopes, false),
            (Coercion::Vocab, Value::String(text)) => self.sender.expand(text, scopes, true),
            _ => return Ok(value.clone()),
        };
        match self.count(full)? {
            Some(full) => Ok(json!({ "@id": full })),
            None => refuse(format!("{} is said to mean nothing", brief(&value.to_string()))),
        }
    }
}

/// Where the members of that name stand.
fn inner(name: &str, place: Place) -> Place {
    match name {
        dspace!("offer") | dspace!("agreement") | "http://www.w3.org/ns/odrl/2/hasPolicy" => {
            Place::Policy
        }
        _ if place == Place::Policy => Place::Policy,
        _ => Place::Message,
    }
}

/// A name that means nothing is ignored, but never in a policy.
fn unknown(name: &str, place: Place) -> Result<(), Rejected> {
    match place {
        Place::Root | Place::Message => Ok(()),
        Place::Policy => {
            refuse(format!("no context defines {}, which stands in a policy", brief(name)))
        }
    }
}

fn is(sender: &Sender, key: &str, keyword: &str) -> bool {
    sender.expand(key, &[], true).as_deref() == Some(keyword)
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Rejected> {
    Err(Rejected::malformed(reason))
}
