//! What a decision is made from: the request as it was authenticated, and the agreement as it
//! stands.
//!
//! Everything here was verified before: the caller by its certificate, the token by look-up of its
//! hash, the assertion by its signature. Nothing here is looked up again.

use std::sync::Arc;
use twinpact_contract::{Action, Terms};
use twinpact_model::{Code, Selection, Timestamp, WallTime, codes};
use twinpact_proof::digest::Digest;
use twinpact_proof::json::Json;

/// The longest life of an assertion, in seconds.
pub const MAX_ASSERTION_S: i64 = 600;
/// How far the clock of the one who asserts may be ahead of ours, in seconds.
pub const MAX_SKEW_S: i64 = 60;

/// By what a caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recognised {
    /// By its access token alone, over a connection that names nobody.
    Token,
    /// The same, over TLS: the token was given to somebody who had signed claims.
    TokenOverTls,
    /// By a client certificate under its pinned root.
    Certificate,
}

impl Recognised {
    /// By what, in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Recognised::Token => "its token alone",
            Recognised::TokenOverTls => "its token alone, over TLS",
            Recognised::Certificate => "its certificate",
        }
    }

    /// Its name in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Recognised::Token => "token",
            Recognised::TokenOverTls => "token-tls",
            Recognised::Certificate => "certificate",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organisation: a DID, or the participant id of somebody else's connector.
    pub participant: String,
    /// The workload of its certificate.
    pub spiffe_id: String,
    /// How it was recognised.
    pub by: Recognised,
}

/// What an access token was issued for. The token itself is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The agreement, by its id.
    pub agreement: String,
    /// The transfer process.
    pub transfer: String,
    /// The view.
    pub view: String,
    /// The SPIFFE id of the caller.
    pub spiffe_id: String,
    /// The revocation epoch of the agreement when it was issued.
    pub epoch: u64,
    /// From when it is no longer good.
    pub expires: WallTime,
}

/// How a place of use is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// Nobody says so: our configuration presumes it of a connector that signs nothing.
    Presumed,
    /// The consumer says so.
    Declared,
    /// A credential says so.
    Credential,
    /// An attested machine says so.
    Attested,
}

impl Assurance {
    /// Its name in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Assurance::Presumed => "presumed",
            Assurance::Declared => "declared",
            Assurance::Credential => "credential",
            Assurance::Attested => "attested",
        }
    }
}

/// Purpose and place of use, signed by the consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Its own id; never accepted twice, which is checked where it is verified.
    pub jti: String,
    /// SHA-256 of the signed bytes as they came.
    pub digest: Digest,
    /// Who signed it.
    pub issuer: String,
    /// For whom.
    pub audience: String,
    /// For which agreement, by its id.
    pub agreement: String,
    /// The purpose, a full IRI.
    pub purpose: String,
    /// The place of use: a region's IRI or the code of a region.
    pub place: String,
    /// How the place is known.
    pub assurance: Assurance,
    /// When it was signed.
    pub issued: WallTime,
    /// From when it is no longer good.
    pub expires: WallTime,
}

/// Why an access token that was presented does not count. No answer says how near it came to one
/// that does: half a token is as unknown as a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It was not presented as a bearer token.
    Scheme,
    /// It was good for this transfer, until a newer one was.
    Retired,
    /// No such token is kept.
    Unknown,
}

impl TokenFault {
    /// The end of "the access token is …", and what refuses it.
    #[must_use]
    pub const fn says(self) -> (&'static str, Code) {
        match self {
            TokenFault::Scheme => ("not shown as a bearer token", codes::POLICY_TOKEN_SCHEME),
            TokenFault::Retired => ("replaced by a newer one", codes::POLICY_TOKEN_RETIRED),
            TokenFault::Unknown => ("not known", codes::POLICY_TOKEN_UNKNOWN),
        }
    }
}

/// Why an assertion that was presented does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionFault {
    /// It passes the bound of the header.
    Size,
    /// It is not base64.
    Encoding,
    /// It is no signed envelope.
    Envelope,
    /// Another kind of document is signed.
    Type,
    /// A key of the caller's record has not signed it, or another one has too.
    Signature,
    /// What is signed is no canonical JSON.
    Payload,
    /// It is of another form than ours.
    Version,
    /// It has more or fewer members than its form, or one that cannot be read.
    Members,
    /// Its assurance has a name that nobody knows.
    Assurance,
    /// Its issuer is not the caller.
    Party,
    /// It was used before.
    Replayed,
}

impl AssertionFault {
    /// The end of "the assertion of purpose and place …", and what refuses it.
    #[must_use]
    pub const fn says(self) -> (&'static str, Code) {
        match self {
            AssertionFault::Size => ("is too long", codes::POLICY_ASSERTION_SIZE),
            AssertionFault::Encoding => ("is not base64", codes::POLICY_ASSERTION_ENCODING),
            AssertionFault::Envelope => {
                ("is no signed assertion", codes::POLICY_ASSERTION_ENVELOPE)
            }
            AssertionFault::Type => {
                ("is a signed document of another kind", codes::POLICY_ASSERTION_TYPE)
            }
            AssertionFault::Signature => {
                ("is not signed by a key of the caller's record", codes::POLICY_ASSERTION_SIGNATURE)
            }
            AssertionFault::Payload => ("cannot be read", codes::POLICY_ASSERTION_PAYLOAD),
            AssertionFault::Version => ("is of another form", codes::POLICY_ASSERTION_VERSION),
            AssertionFault::Members => {
                ("does not have the members of its form", codes::POLICY_ASSERTION_MEMBERS)
            }
            AssertionFault::Assurance => {
                ("has an assurance that we do not know", codes::POLICY_ASSERTION_ASSURANCE)
            }
            AssertionFault::Party => {
                ("is signed by another party than the caller", codes::POLICY_ASSERTION_PARTY)
            }
            AssertionFault::Replayed => ("was used before", codes::POLICY_ASSERTION_REPLAYED),
        }
    }
}

/// A request for a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub action: Action,
    /// With which view.
    pub view: String,
    /// Under which agreement, by its id.
    pub agreement: String,
    /// In which transfer process.
    pub transfer: String,
    /// Who asks.
    pub caller: Caller,
    /// What the presented access token was issued for, if one was presented and known.
    pub token: Option<TokenFacts>,
    /// Why a token that was presented does not count; then there is none above.
    pub token_fault: Option<TokenFault>,
    /// The presented assertion of purpose and place.
    pub assertion: Option<Assertion>,
    /// Why an assertion that was presented does not count; then there is none above.
    pub assertion_fault: Option<AssertionFault>,
}

/// Where an agreement is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In force.
    Active,
    /// Revoked by one of its parties.
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Ended.
    Terminated,
    /// Not in force at present.
    Suspended,
}

/// An agreement as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementFacts {
    /// Its id: the hex of the digest over the normal form.
    pub id: String,
    /// Its `@id` between the parties.
    pub at_id: String,
    /// Who grants.
    pub assigner: String,
    /// Who is granted.
    pub assignee: String,
    /// The view that it is about.
    pub target: String,
    /// Its terms.
    pub terms: Arc<Terms>,
    /// Where it is in its life.
    pub state: State,
    /// Counted up at each revocation, suspension and change; older tokens and grants are void.
    pub epoch: u64,
    /// Which rows and columns the view has.
    pub selection: Selection,
}

impl Request {
    /// The request without times and one-time ids, so that the same question has the same digest.
    pub(crate) fn to_json(&self) -> Json {
        let token = self.token.as_ref().map_or(Json::Null, |token| {
            Json::object([
                ("agreement", Json::text(&token.agreement)),
                ("epoch", integer(token.epoch)),
                ("spiffe_id", Json::text(&token.spiffe_id)),
                ("transfer", Json::text(&token.transfer)),
                ("view", Json::text(&token.view)),
            ])
        });
        let assertion = self.assertion.as_ref().map_or(Json::Null, |assertion| {
            Json::object([
                ("agreement", Json::text(&assertion.agreement)),
                ("assurance", Json::text(assertion.assurance.name())),
                ("audience", Json::text(&assertion.audience)),
                ("issuer", Json::text(&assertion.issuer)),
                ("place", Json::text(&assertion.place)),
                ("purpose", Json::text(&assertion.purpose)),
            ])
        });
        let fault = self.assertion_fault.map(|why| ("assertion_fault", Json::text(why.says().0)));
        let unknown = self.token_fault.map(|why| ("token_fault", Json::text(why.says().0)));
        let lower = Some(self.caller.by).filter(|by| *by != Recognised::Certificate);
        let recognised = lower.map(|by| ("recognised", Json::text(by.name())));
        let members = [
            ("action", Json::text(self.action.iri())),
            ("agreement", Json::text(&self.agreement)),
            ("assertion", assertion),
            ("caller", Json::text(&self.caller.participant)),
            ("spiffe_id", Json::text(&self.caller.spiffe_id)),
            ("token", token),
            ("transfer", Json::text(&self.transfer)),
            ("view", Json::text(&self.view)),
        ];
        Json::object(members.into_iter().chain(fault).chain(unknown).chain(recognised))
    }
}

/// A count as an integer of signed JSON: text beyond 2^53 − 1, which no real count reaches.
pub(crate) fn integer(count: u64) -> Json {
    match i64::try_from(count) {
        Ok(n) if n <= twinpact_proof::json::MAX_INT => Json::Int(n),
        _ => Json::text(count.to_string()),
    }
}
