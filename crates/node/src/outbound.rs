//! The port through which a node calls its partners. The gateway implements it; nothing else dials.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use twinpact_identity::certificate::RootCertificate;
use twinpact_identity::spiffe::TrustDomain;
use twinpact_model::problem::Problem;

/// A call to a partner. Its query, headers and body may hold a token or a value, and are not
/// printed.
#[derive(Clone)]
pub struct Call {
    /// Whose certificate has to answer.
    pub trust_domain: TrustDomain,
    /// The endpoints in its pinned record: the only places that may be dialled.
    pub pinned: Vec<String>,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The absolute URL.
    pub url: String,
    /// Headers besides those of HTTP itself.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for `GET`.
    pub body: Vec<u8>,
    /// The most bytes of an answer that are read.
    pub max_bytes: usize,
}

/// A call to somebody who is no partner, or not under the root that is pinned: without a
/// certificate of ours, which only partners know. Of it too only method and place are printed.
#[derive(Clone)]
pub struct FirstCall {
    /// The root that the server's certificate has to lead to. Without one any server will do: what
    /// it answers has to prove itself.
    pub root: Option<RootCertificate>,
    /// The only place that may be dialled.
    pub base: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The absolute URL, below the base.
    pub url: String,
    /// The body; empty for `GET`.
    pub body: Vec<u8>,
    /// The most bytes of an answer that are read.
    pub max_bytes: usize,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} {}", self.method, self.trust_domain)
    }
}

impl fmt::Debug for FirstCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "first call {} {}", self.method, self.base)
    }
}

/// An answer, whatever its status. Its body may hold rows or a token, and is not printed.
#[derive(Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer {} of {} bytes", self.status, self.body.len())
    }
}

/// An answer that is under way.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// Calls partners: over mutual TLS 1.3, to pinned endpoints only, following no redirect.
pub trait Outbound: Send + Sync {
    /// Makes the call.
    ///
    /// An error means that there is no answer: the address is not allowed, nobody answers, the
    /// certificate is not the partner's, or the answer is too large.
    fn call(&self, call: Call) -> Pending<'_>;

    /// Makes a first call, under the same rules for addresses.
    fn first(&self, call: FirstCall) -> Pending<'_>;
}
