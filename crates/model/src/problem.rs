//! How anything is refused: a stable code, whose fault it is, one sentence and a hint.
//!
//! A [`Code`] is a constant of [`crate::codes`]; each has a page `docs/errors/CODE.md`. The
//! sentence is written for the person who can act on it, and holds nothing secret: what crosses
//! an organisation's boundary is decided by the gateway from [`Code::public`].

use std::fmt;

/// Who has to change something so that the same request can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The one who asked: a person, a program, a file that was given to us.
    Caller,
    /// Another organisation's node.
    Peer,
    /// This node or its operator.
    Us,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Caller => "caller",
            Fault::Peer => "peer",
            Fault::Us => "us",
        })
    }
}

/// What kind of refusal it is; the HTTP status and the exit code follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The input cannot be read or breaks a rule.
    Invalid,
    /// There is no such thing, or the asker may not know of it.
    NotFound,
    /// We do not know who asks.
    Unauthenticated,
    /// A policy says no.
    Denied,
    /// It contradicts what is already so.
    Conflict,
    /// A documented bound was passed.
    TooLarge,
    /// More was asked for than one asker may have at a time; later it may succeed.
    TooMany,
    /// A contract is broken, or two of them do not fit together.
    Contract,
    /// A proof does not hold.
    Unproven,
    /// The configuration is wrong.
    Config,
    /// The other organisation's node is at fault or out of reach.
    Peer,
    /// Not now; the same request may succeed later.
    Unavailable,
    /// Durable data is not what it must be.
    Damaged,
    /// A bug of ours.
    Internal,
}

impl Class {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Invalid => "invalid",
            Class::NotFound => "not-found",
            Class::Unauthenticated => "unauthenticated",
            Class::Denied => "denied",
            Class::Conflict => "conflict",
            Class::TooLarge => "too-large",
            Class::TooMany => "too-many",
            Class::Contract => "contract",
            Class::Unproven => "unproven",
            Class::Config => "config",
            Class::Peer => "peer",
            Class::Unavailable => "unavailable",
            Class::Damaged => "damaged",
            Class::Internal => "internal",
        }
    }

    /// The HTTP status that a refusal of this class is answered with.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Class::Invalid | Class::Contract | Class::Unproven => 400,
            Class::Unauthenticated => 401,
            Class::Denied => 403,
            Class::NotFound => 404,
            Class::Conflict => 409,
            Class::TooLarge => 413,
            Class::TooMany => 429,
            Class::Config | Class::Damaged | Class::Internal => 500,
            Class::Peer => 502,
            Class::Unavailable => 503,
        }
    }

    /// The exit code of a command that ends with a refusal of this class
    /// (`docs/errors/README.md`).
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Class::Invalid | Class::NotFound | Class::Conflict | Class::TooLarge => 11,
            Class::Config | Class::Damaged => 10,
            Class::Denied | Class::Unauthenticated => 20,
            Class::Contract => 21,
            Class::Unproven => 22,
            Class::Peer => 30,
            Class::TooMany | Class::Unavailable => 75,
            Class::Internal => 1,
        }
    }
}

/// A stable error code. Two codes are equal when their names are.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// `area.what`, for example `store.damaged`; never changes its meaning.
    pub name: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// The kind of refusal.
    pub class: Class,
    /// What happened, in a few words without values.
    pub title: &'static str,
}

impl Code {
    /// Whether the sentence may be shown to another organisation. Our own faults cross the
    /// boundary as their title only.
    #[must_use]
    pub const fn public(&self) -> bool {
        !matches!(self.fault, Fault::Us)
    }

    /// Whether it is that code, or one of the causes that are told apart in it:
    /// `policy.token.expired` is within `policy.token`.
    #[must_use]
    pub fn within(&self, family: Code) -> bool {
        let cause = self.name.strip_prefix(family.name);
        cause.is_some_and(|cause| cause.is_empty() || cause.starts_with('.'))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Code {}

/// One refusal. Nothing was changed when it is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// One lower-case sentence without a full stop that names the values in question.
    pub message: String,
    /// What to do about it, when we know.
    pub hint: Option<String>,
}

impl Problem {
    /// A refusal with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Problem { code, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code.name, self.message)
    }
}

impl std::error::Error for Problem {}
