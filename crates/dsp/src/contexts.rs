//! The contexts that a sender writes out itself: its prefixes, terms, `@vocab` and other names of
//! keywords (JSON-LD 1.1 §4.1, and §4.1 and §4.2 of its algorithms).
//!
//! Nothing is fetched. The one context whose content is known is the protocol's; its terms are
//! protected, so that no other may change them. Other contexts that are only named are let stand,
//! their names unknown. What this reader does not do it refuses rather than guesses: `@base`,
//! `@import`, `@propagate`, `@language`, contexts inside terms, `@nest`, `@reverse`, and containers
//! other than sets and lists.

use crate::CONTEXT;
use crate::rejected::Rejected;
use crate::scopes::{self, Coercion, Definition, Scope};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The most contexts of one message, named or written out.
pub const MAX_CONTEXTS: usize = 16;
/// The most terms that the contexts of one message define.
pub const MAX_CONTEXT_TERMS: usize = 256;
/// The longest name that such a term has or stands for, in bytes.
pub const MAX_TERM_BYTES: usize = 256;

/// What a sender's contexts say, the pinned one's part left in its table.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    /// Whether the protocol's context is among them.
    pinned: bool,
    /// Whether one is written out.
    written: bool,
    /// Whether one is named that we do not know.
    foreign: bool,
    vocab: Option<String>,
    terms: BTreeMap<String, Own>,
}

/// A term of the sender; without a definition its name means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    definition: Option<Definition>,
    protected: bool,
}

/// What a name is defined as.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// Nothing says anything about it.
    Undefined,
    /// It is said to mean nothing.
    Nothing,
    /// This.
    Defined(Definition),
}

/// One written context while its terms are made: each depends on others of it.
struct Making<'a> {
    local: &'a Map<String, Value>,
    protect: bool,
    open: Vec<String>,
    done: BTreeSet<String>,
}

impl Sender {
    /// The contexts of a message, in their order.
    ///
    /// # Errors
    /// `dsp.malformed` for what JSON-LD refuses or this reader does not do; `dsp.too_large` beyond
    /// one of the bounds.
    pub(crate) fn of(context: Option<&Value>) -> Result<Sender, Rejected> {
        let entries: &[Value] = match context {
            None | Some(Value::Null) => return Ok(Sender::default()),
            Some(Value::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
        };
        if entries.len() > MAX_CONTEXTS {
            let reason = format!("@context has more than {MAX_CONTEXTS} entries");
            return Err(Rejected::too_large(reason));
        }
        let mut sender = Sender::default();
        for entry in entries {
            match entry {
                Value::String(name) if name == CONTEXT => sender.pin()?,
                Value::String(name) if sender.written => {
                    return refuse(format!(
                        "the context {} is not known here and comes after one that is written \
                         out, which it could change",
                        brief(name)
                    ));
                }
                Value::String(_) => sender.foreign = true,
                Value::Object(members) => sender.add(members).map_err(|refused| Rejected {
                    reason: format!("in @context: {}", refused.reason),
                    ..refused
                })?,
                _ => return refuse("@context has an entry that is neither a name nor an object"),
            }
        }
        if sender.pinned || (sender.written && !sender.foreign) {
            Ok(sender)
        } else {
            refuse(format!("@context does not name {CONTEXT}"))
        }
    }

    /// The protocol's context takes its place: what came before may not be protected against it.
    fn pin(&mut self) -> Result<(), Rejected> {
        for (term, own) in &self.terms {
            let pinned = scopes::everywhere(term);
            if own.protected && pinned.is_some() && !same(term, own, pinned.as_ref()) {
                return redefined(term);
            }
        }
        self.terms.retain(|term, _| scopes::everywhere(term).is_none());
        self.pinned = true;
        Ok(())
    }

    fn add(&mut self, members: &Map<String, Value>) -> Result<(), Rejected> {
        self.written = true;
        for (key, value) in members.iter().filter(|(key, _)| key.starts_with('@')) {
            let fits = match key.as_str() {
                "@version" => value.as_f64() == Some(1.1),
                "@protected" => value.is_boolean(),
                "@vocab" => value.is_null() || value.is_string(),
                // That there is none is what we take anyway.
                "@base" | "@language" | "@direction" => value.is_null(),
                _ => false,
            };
            if !fits {
                return refuse(format!("{} in a context is not read here", brief(key)));
            }
        }
        match members.get("@vocab") {
            Some(Value::String(text)) => {
                let full = self.expand(text, &[], true).filter(|iri| is_absolute(iri));
                let Some(full) = full else { return refuse("@vocab is not a full IRI") };
                self.vocab = Some(bounded(full)?);
            }
            Some(_) => self.vocab = None,
            None => {}
        }
        let protect = members.get("@protected").and_then(Value::as_bool).unwrap_or(false);
        let (open, done) = (Vec::new(), BTreeSet::new());
        let mut making = Making { local: members, protect, open, done };
        members
            .keys()
            .filter(|key| !key.starts_with('@'))
            .try_for_each(|term| self.define(term, &mut making))
    }

    /// Makes one term of a context, and first those that it is made of.
    fn define(&mut self, term: &str, making: &mut Making<'_>) -> Result<(), Rejected> {
        if making.done.contains(term) {
            return Ok(());
        }
        if making.open.iter().any(|open| open == term) {
            return refuse(format!("the term {} is made of itself", brief(term)));
        }
        if term.is_empty() || term.len() > MAX_TERM_BYTES || making.open.len() > MAX_CONTEXT_TERMS {
            return refuse(format!("{} cannot be a term", brief(term)));
        }
        making.open.push(term.to_owned());
        let own = self.made(term, making)?;
        making.open.pop();
        making.done.insert(term.to_owned());
        self.keep(term, own)
    }

    /// What a context says of a term.
    fn made(&mut self, term: &str, making: &mut Making<'_>) -> Result<Own, Rejected> {
        let none = Map::new();
        let (given, simple, members) = match making.local.get(term) {
            Some(Value::Null) => (Some(&Value::Null), true, &none),
            Some(text @ Value::String(_)) => (Some(text), true, &none),
            Some(Value::Object(members)) => (members.get("@id"), false, members),
            _ => return refuse(format!("the term {} has no definition", brief(term))),
        };
        let known = ["@id", "@type", "@container", "@prefix", "@protected"];
        if let Some(key) = members.keys().find(|key| !known.contains(&key.as_str())) {
            let reason = format!("{} in the term {} is not read here", brief(key), brief(term));
            return refuse(reason);
        }
        let protected = flag(members, "@protected", term)?.unwrap_or(making.protect);
        let iri = match given {
            // The terms of the protocol are made of prefixed names, which nobody takes away.
            Some(Value::Null) if term.contains([':', '/']) => {
                return refuse(format!("the term {} is said to mean another IRI", brief(term)));
            }
            Some(Value::Null) => return Ok(Own { definition: None, protected }),
            Some(Value::String(text)) if text != term => self.mapped(term, text, making)?,
            None | Some(Value::String(_)) => self.named_by_itself(term, making)?,
            Some(_) => return refuse(format!("the term {} has no text as @id", brief(term))),
        };
        let coercion = self.coercion(term, members.get("@type"), making)?;
        let (set, list) = container(term, members.get("@container"))?;
        let plain = coercion == Coercion::Plain && !set && !list;
        if iri.starts_with('@') && !plain {
            return refuse(format!("{} is another name of {iri} and more", brief(term)));
        }
        let whole = !term.contains([':', '/']);
        let ends = iri.ends_with([':', '/', '?', '#', '[', ']', '@']);
        let prefix = match flag(members, "@prefix", term)? {
            Some(_) if !whole || iri.starts_with('@') => {
                return refuse(format!("{} cannot be a prefix", brief(term)));
            }
            Some(prefix) => prefix,
            None => simple && whole && ends,
        };
        Ok(Own { definition: Some(Definition { iri, prefix, coercion, set, list }), protected })
    }

    /// The IRI or keyword that a term is said to stand for.
    fn mapped(
        &mut self,
        term: &str,
        text: &str,
        making: &mut Making<'_>,
    ) -> Result<String, Rejected> {
        let iri = self.expand_in(text, making)?;
        let keywords = ["@id", "@type", "@value", "@list", "@set", "@graph"];
        let fits = |iri: &String| keywords.contains(&iri.as_str()) || is_absolute(iri);
        let Some(iri) = iri.filter(fits) else {
            return refuse(format!("the term {} stands for no full IRI", brief(term)));
        };
        // A name that is an IRI, or made like one, cannot mean another.
        if term.contains([':', '/']) && self.expand_around(term, making)? != iri {
            return refuse(format!("the term {} is said to mean another IRI", brief(term)));
        }
        bounded(iri)
    }

    /// The IRI of a term that names itself.
    fn named_by_itself(&mut self, term: &str, making: &mut Making<'_>) -> Result<String, Rejected> {
        if term.contains(':') {
            return bounded(self.expand_around(term, making)?);
        }
        match &self.vocab {
            Some(vocab) if !term.contains('/') => bounded(format!("{vocab}{term}")),
            _ => refuse(format!("the term {} stands for no IRI", brief(term))),
        }
    }

    /// A name that a context defines, read without that definition.
    fn expand_around(&mut self, term: &str, making: &mut Making<'_>) -> Result<String, Rejected> {
        self.terms.remove(term);
        if let Some((prefix, _)) = term.split_once(':')
            && making.local.contains_key(prefix)
        {
            self.define(prefix, making)?;
        }
        Ok(self.expand(term, &[], true).unwrap_or_default())
    }

    fn coercion(
        &mut self,
        term: &str,
        given: Option<&Value>,
        making: &mut Making<'_>,
    ) -> Result<Coercion, Rejected> {
        let text = match given {
            None => return Ok(Coercion::Plain),
            Some(Value::String(text)) => text,
            Some(_) => return refuse(format!("the @type of {} is not a text", brief(term))),
        };
        match self.expand_in(text, making)?.as_deref() {
            Some("@id") => Ok(Coercion::Id),
            Some("@vocab") => Ok(Coercion::Vocab),
            Some(iri) if is_absolute(iri) && !iri.starts_with("_:") => {
                bounded(iri.to_owned()).map(Coercion::Typed)
            }
            _ => refuse(format!("the @type {} of a term is not read here", brief(text))),
        }
    }

    /// Takes a term, unless it would change one that is protected.
    fn keep(&mut self, term: &str, own: Own) -> Result<(), Rejected> {
        if let Some(pinned) = scopes::everywhere(term).filter(|_| self.pinned) {
            return if same(term, &own, Some(&pinned)) { Ok(()) } else { redefined(term) };
        }
        let protected = match self.terms.get(term) {
            Some(before) if before.protected && before.definition != own.definition => {
                return redefined(term);
            }
            Some(before) => before.protected || own.protected,
            None => own.protected,
        };
        self.terms.insert(term.to_owned(), Own { protected, ..own });
        if self.terms.len() > MAX_CONTEXT_TERMS {
            let reason = format!("the contexts define more than {MAX_CONTEXT_TERMS} terms");
            return Err(Rejected::too_large(reason));
        }
        Ok(())
    }

    /// Refuses a type whose members the sender has protected as something else.
    pub(crate) fn admits(&self, scope: &Scope) -> Result<(), Rejected> {
        let against = self.terms.iter().find(|(term, own)| {
            let scoped = scope.find(term);
            own.protected && scoped.is_some() && own.definition != scoped
        });
        against.map_or(Ok(()), |(term, _)| redefined(term))
    }

    /// The scope of a type that stands there under that name.
    pub(crate) fn scope(&self, name: &str) -> Option<&'static Scope> {
        scopes::of_type(name).filter(|_| self.pinned)
    }

    /// What a name means below these scopes, the last one first.
    pub(crate) fn meaning(&self, name: &str, scopes: &[&'static Scope]) -> Meaning {
        let scoped = scopes.iter().rev().find_map(|scope| scope.find(name));
        let pinned = || scopes::everywhere(name).filter(|_| self.pinned);
        if let Some(definition) = scoped.or_else(pinned) {
            return Meaning::Defined(definition);
        }
        match self.terms.get(name) {
            None => Meaning::Undefined,
            Some(own) => match &own.definition {
                Some(definition) => Meaning::Defined(definition.clone()),
                None => Meaning::Nothing,
            },
        }
    }

    /// The keyword or IRI of a name; `None` for one that is said to mean nothing. What nothing
    /// defines comes back as it is. `word`: as a name of the vocabulary, else as an identifier.
    pub(crate) fn expand(
        &self,
        name: &str,
        scopes: &[&'static Scope],
        word: bool,
    ) -> Option<String> {
        if is_keyword_like(name) {
            return is_keyword(name).then(|| name.to_owned());
        }
        match self.meaning(name, scopes) {
            Meaning::Defined(definition) if word || definition.iri.starts_with('@') => {
                return Some(definition.iri);
            }
            Meaning::Nothing if word => return None,
            _ => {}
        }
        if let Some((prefix, rest)) = name.split_once(':').filter(|(prefix, _)| !prefix.is_empty())
        {
            if prefix == "_" || rest.starts_with("//") {
                return Some(name.to_owned());
            }
            if let Meaning::Defined(definition) = self.meaning(prefix, scopes)
                && definition.prefix
            {
                return Some(format!("{}{rest}", definition.iri));
            }
            if is_absolute(name) {
                return Some(name.to_owned());
            }
        }
        match &self.vocab {
            Some(vocab) if word => Some(format!("{vocab}{name}")),
            _ => Some(name.to_owned()),
        }
    }

    /// The same inside a context, whose own terms are made first where they are needed.
    fn expand_in(
        &mut self,
        name: &str,
        making: &mut Making<'_>,
    ) -> Result<Option<String>, Rejected> {
        if making.local.contains_key(name) && !name.starts_with('@') {
            self.define(name, making)?;
        } else if let Some((prefix, _)) = name.split_once(':')
            && making.local.contains_key(prefix)
        {
            self.define(prefix, making)?;
        }
        Ok(self.expand(name, &[], true))
    }
}

/// Whether a sender's term is the same as the pinned one. A type of the protocol has members of
/// its own there, so that no other definition is the same.
fn same(term: &str, own: &Own, pinned: Option<&Definition>) -> bool {
    scopes::of_type(term).is_none() && own.definition.as_ref() == pinned
}

/// Set and list of a container.
fn container(term: &str, given: Option<&Value>) -> Result<(bool, bool), Rejected> {
    let items: &[Value] = match given {
        None => return Ok((false, false)),
        Some(Value::Array(items)) => items,
        Some(one) => std::slice::from_ref(one),
    };
    match items {
        [one] if one == "@set" => Ok((true, false)),
        [one] if one == "@list" => Ok((false, true)),
        _ => refuse(format!("the @container of {} is not read here", brief(term))),
    }
}

fn flag(members: &Map<String, Value>, key: &str, term: &str) -> Result<Option<bool>, Rejected> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => refuse(format!("{key} of the term {} is neither true nor false", brief(term))),
    }
}

fn bounded(iri: String) -> Result<String, Rejected> {
    if iri.len() <= MAX_TERM_BYTES {
        return Ok(iri);
    }
    Err(Rejected::too_large(format!("a context has a name longer than {MAX_TERM_BYTES} bytes")))
}

fn is_keyword(name: &str) -> bool {
    const KEYWORDS: [&str; 22] = [
        "@base",
        "@container",
        "@context",
        "@default",
        "@direction",
        "@graph",
        "@id",
        "@import",
        "@included",
        "@index",
        "@json",
        "@language",
        "@list",
        "@nest",
        "@none",
        "@prefix",
        "@propagate",
        "@reverse",
        "@set",
        "@type",
        "@value",
        "@vocab",
    ];
    KEYWORDS.contains(&name)
}

/// `@` and letters: kept for keywords to come.
fn is_keyword_like(name: &str) -> bool {
    name.strip_prefix('@')
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphabetic()))
}

/// Whether this is an IRI with its scheme.
fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let first = scheme.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let named = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (first && named || scheme == "_") && !rest.contains(char::is_whitespace)
}

fn redefined<T>(term: &str) -> Result<T, Rejected> {
    refuse(format!("the protected term {} is given another meaning", brief(term)))
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Rejected> {
    Err(Rejected::malformed(reason))
}

/// The beginning of a name, for a sentence.
pub(crate) fn brief(name: &str) -> String {
    let mut short: String = name.chars().take(80).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("{short:?}")
}
