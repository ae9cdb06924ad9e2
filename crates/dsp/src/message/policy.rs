//! The members of an offer or agreement that say what may be done.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// The members of an offer or agreement that say what may be done, an object in the one spelling of
/// [`crate::policy_form`].
///
/// It is the biggest part of a process, is written with each step of it, and is looked into in few
/// of them: clones share it, what was read as text stays that until somebody looks, and what was
/// written once is not written out again.
#[derive(Clone)]
pub struct Policy(Arc<Forms>);

/// One of both is there from the start, and the other follows from it.
#[derive(Default)]
struct Forms {
    text: OnceLock<Box<RawValue>>,
    value: OnceLock<Value>,
}

impl Policy {
    /// Its JSON, as it was read or is written.
    ///
    /// # Errors
    /// That of the writer, which a value in memory does not meet.
    pub fn text(&self) -> Result<&str, serde_json::Error> {
        self.raw().map(RawValue::get)
    }

    fn raw(&self) -> Result<&RawValue, serde_json::Error> {
        if let Some(text) = self.0.text.get() {
            return Ok(text);
        }
        let text = to_raw_value(&**self)?;
        Ok(self.0.text.get_or_init(|| text))
    }
}

impl From<Value> for Policy {
    fn from(value: Value) -> Policy {
        Policy(Arc::new(Forms { value: value.into(), ..Forms::default() }))
    }
}

impl Deref for Policy {
    type Target = Value;

    fn deref(&self) -> &Value {
        // What was read as JSON can be read once more.
        let read = || serde_json::from_str(self.0.text.get()?.get()).ok();
        self.0.value.get_or_init(|| read().unwrap_or_default())
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Policy) -> bool {
        let same_text = || Some(self.0.text.get()?.get() == other.0.text.get()?.get());
        Arc::ptr_eq(&self.0, &other.0) || same_text() == Some(true) || **self == **other
    }
}

/// In the same way whichever form is there: the digest over a node's state is made of it.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw().map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        // Of a process that we have logged; what comes in a message is read as a whole.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Policy(Arc::new(Forms { text: text.into(), ..Forms::default() })))
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;
    use serde_json::{Value, json};

    #[test]
    fn a_policy_is_the_same_in_either_form() {
        let text = r#"{"permission":[{"action":"use","constraint":[1.0,"[{"]}],"a":null}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let (read, made) = (serde_json::from_str::<Policy>(text).unwrap(), Policy::from(value));
        assert_eq!(*read, *made);
        assert_eq!(read, made);
        assert_ne!(read, Policy::from(json!({})));
        for policy in [&read, &made] {
            assert_eq!(serde_json::to_string(policy).unwrap(), text);
            assert_eq!(serde_json::to_value(policy).unwrap(), *made);
            assert_eq!((policy.text().unwrap(), format!("{policy:?}").as_str()), (text, text));
        }
        // Another spelling of the same is equal, and stays what it was.
        let spaced = text.replace(':', ": ");
        let other: Policy = serde_json::from_str(&spaced).unwrap();
        assert_eq!(other, made);
        assert_eq!(other.text().unwrap(), spaced);
    }
}
