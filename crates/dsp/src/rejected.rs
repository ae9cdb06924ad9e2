//! How a protocol message or a decision is refused (Dataspace Protocol 2025-1, error messages of
//! §5 to §8 of the specification and the status codes of its HTTPS binding).
//!
//! A refusal changes nothing. "Unknown" and "not yours" are the same answer to the byte, so that
//! nobody can find out which processes exist.

use crate::message::{ErrorBody, Message, Notice, Pids};
use std::fmt;
use twinpact_model::{Code, Problem, codes};

/// The most characters of a sentence that repeats something of a message.
const MAX_SENTENCE_CHARS: usize = 500;

/// What kind of answer a refusal is; the gateway turns it into an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The message cannot be read, or does not fit the state: 400.
    BadRequest,
    /// There is no such thing, or it is not for this caller: 404.
    NotFound,
    /// It contradicts an earlier message. Answered with 400 as well: connectors in the field
    /// read 409 as "too early, come again", which would never help here.
    Conflict,
    /// A bound on how much one partner may have under way is reached: 429, come again later.
    TooMany,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The kind of answer.
    pub status: Status,
    /// The stable code.
    pub code: Code,
    /// One lower-case sentence for the one who sent it.
    pub reason: String,
}

/// What an error message is about; it decides the type of the error and its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The version document.
    Versions,
    /// The catalogue or a dataset.
    Catalog,
    /// A negotiation with these process ids; empty where unknown.
    Negotiation {
        /// The provider's process id.
        provider: &'a str,
        /// The consumer's process id.
        consumer: &'a str,
    },
    /// A transfer with these process ids; empty where unknown.
    Transfer {
        /// The provider's process id.
        provider: &'a str,
        /// The consumer's process id.
        consumer: &'a str,
    },
}

impl Rejected {
    /// A message that cannot be read. The sentence may repeat a name of it, cut where that is long.
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::BadRequest, codes::DSP_MALFORMED);
        let mut reason = reason.into();
        if let Some((end, _)) = reason.char_indices().nth(MAX_SENTENCE_CHARS) {
            reason.truncate(end);
            reason.push('…');
        }
        Rejected { status, code, reason }
    }

    /// A message beyond a bound.
    pub(crate) fn too_large(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::BadRequest, codes::DSP_TOO_LARGE);
        Rejected { status, code, reason: reason.into() }
    }

    /// There is no such process or dataset, or it is not for this caller: one and the same text.
    #[must_use]
    pub fn unknown() -> Self {
        let reason = "there is no such process or dataset".to_owned();
        Rejected { status: Status::NotFound, code: codes::DSP_UNKNOWN, reason }
    }

    /// A message that does not fit the state.
    pub(crate) fn transition(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::BadRequest, codes::DSP_TRANSITION);
        Rejected { status, code, reason: reason.into() }
    }

    /// The sender has as much under way as one partner may have.
    #[must_use]
    pub fn too_many(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::TooMany, codes::EXCHANGE_TOO_MANY);
        Rejected { status, code, reason: reason.into() }
    }

    /// A message that contradicts an earlier one.
    pub(crate) fn conflict(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::Conflict, codes::DSP_CONFLICT);
        Rejected { status, code, reason: reason.into() }
    }

    /// A decision of ours that the state does not allow.
    pub(crate) fn decision(reason: impl Into<String>) -> Self {
        let (status, code) = (Status::BadRequest, codes::DSP_DECISION);
        Rejected { status, code, reason: reason.into() }
    }

    /// The typed error message that answers the one who sent it.
    #[must_use]
    pub fn to_error_message(&self, subject: Subject<'_>) -> Message {
        let code = Some(self.code.name.to_owned());
        let reason = vec![self.reason.clone()];
        let pids = |provider: &str, consumer: &str| Pids {
            provider: provider.to_owned(),
            consumer: consumer.to_owned(),
        };
        match subject {
            Subject::Versions => Message::VersionsError(ErrorBody { code, reason }),
            Subject::Catalog => Message::CatalogError(ErrorBody { code, reason }),
            Subject::Negotiation { provider, consumer } => {
                let pids = pids(provider, consumer);
                Message::NegotiationError(Notice { id: None, pids, code, reason })
            }
            Subject::Transfer { provider, consumer } => {
                let pids = pids(provider, consumer);
                Message::TransferError(Notice { id: None, pids, code, reason })
            }
        }
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Problem {
        Problem::new(rejected.code, rejected.reason)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code.name, self.reason)
    }
}

impl std::error::Error for Rejected {}
