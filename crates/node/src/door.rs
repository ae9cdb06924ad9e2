//! The port through which partners ask. The federation listener calls it; the node implements it.

use crate::egress::Egress;
use crate::strangers::Away;
use std::future::Future;
use std::pin::Pin;
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::problem::Problem;
use twinpact_policy::Recognised;

/// Which door somebody came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// That for partners: mutual TLS.
    Federation,
    /// That for connectors of others ([`crate::connectors`]): plain, on loopback.
    Connectors,
    /// That for those of them that sign claims ([`crate::web_door`]): over TLS, in which they are
    /// nobody.
    Claims,
}

/// Who asks for data: a partner by its certificate, or a connector by the token that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Its participant id; of a partner its DID.
    pub id: String,
    /// The program of it that asks: what tokens are bound to.
    pub workload: String,
    /// How it was recognised.
    pub by: Recognised,
}

impl From<&PeerIdentity> for Asker {
    fn from(peer: &PeerIdentity) -> Asker {
        Asker {
            id: peer.did.to_string(),
            workload: peer.spiffe_id.to_string(),
            by: Recognised::Certificate,
        }
    }
}

/// A partner's request, as far as HTTP goes. It holds a token and cannot be printed by accident.
#[derive(Clone)]
pub struct Asked {
    /// Which door it came through.
    pub way: Way,
    /// Who asks, when a client certificate was presented and verified.
    pub peer: Option<PeerIdentity>,
    /// The HTTP method.
    pub method: String,
    /// The path, as it came.
    pub path: String,
    /// The query, as it came.
    pub query: Option<String>,
    /// The access token: the value of `Authorization`, without `Bearer `.
    pub bearer: Option<String>,
    /// The value of `Twinpact-Assertion`.
    pub assertion: Option<String>,
    /// The value of `Twinpact-Checkpoint`: the last checkpoint of ours that the asker holds.
    pub checkpoint: Option<String>,
    /// The value of `Last-Event-ID`: behind which event of a stream the asker goes on.
    pub last_event: Option<String>,
    /// The value of `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// The value of `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// Why the request could not be read whole: it is refused with this, and on record as it is.
    pub fault: Option<Problem>,
}

impl Asked {
    /// A message that is posted through the door for partners, and no more than that.
    #[must_use]
    pub fn posted(peer: Option<PeerIdentity>, path: &str, body: Vec<u8>) -> Asked {
        Asked {
            way: Way::Federation,
            peer,
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: None,
            bearer: None,
            assertion: None,
            checkpoint: None,
            last_event: None,
            accept_encoding: None,
            if_none_match: None,
            body,
            fault: None,
        }
    }
}

/// An answer that is under way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Egress> + Send + 'a>>;

/// Answers partners. What can come back is an [`Egress`] and nothing else.
pub trait Door: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, asked: Asked) -> Answering<'_>;

    /// Whether who shows this `Authorization`, without its scheme, is somebody at the door for
    /// those that sign claims. Of who is nobody little is read, and it keeps no connection.
    fn is_claimed(&self, _shown: Option<&str>) -> bool {
        false
    }

    /// Counts who was turned away before the door was asked.
    fn turned_away(&self, _away: Away) {}
}
