//! The port through which a node calls its partners. The gateway implements it; nothing else dials.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use twinpact_identity::certificate::RootCertificate;
use twinpact_identity::spiffe::TrustDomain;
use twinpact_identity::web::WebRoots;
use twinpact_model::codes;
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

/// A call to somebody else's connector: on this machine over HTTP without TLS, to a loopback
/// address; elsewhere over TLS, in which we are nobody.
#[derive(Clone)]
pub struct ConnectorCall {
    /// Its participant id, for sentences.
    pub participant: String,
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
    /// For a call over TLS.
    pub over_tls: Option<OverTls>,
}

/// What a call over TLS to somebody else's connector needs.
#[derive(Debug, Clone)]
pub struct OverTls {
    /// The authorities that its certificate has to lead to.
    pub roots: WebRoots,
    /// The addresses of the configuration below which the URL lies.
    pub pinned: Vec<String>,
}

impl fmt::Debug for ConnectorCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call of a connector {} {}", self.method, self.participant)
    }
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
    /// The body, without the encoding that it came in.
    pub body: Vec<u8>,
    /// Where the next part is, when it says so (`Link` with `rel="next"`, RFC 8288).
    pub next: Option<String>,
}

impl Reply {
    /// An answer that is whole.
    #[must_use]
    pub const fn whole(status: u16, body: Vec<u8>) -> Reply {
        Reply { status, body, next: None }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer {} of {} bytes", self.status, self.body.len())
    }
}

/// An answer that is under way.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// A piece of an answer that is under way; `None` at its end.
pub type Piece<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, Problem>> + Send + 'a>>;

/// The body of an answer, as it comes.
pub trait Flow: Send {
    /// The next piece of it.
    fn next(&mut self) -> Piece<'_>;
}

/// An answer whose body is still coming.
pub struct Flowing {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Box<dyn Flow>,
}

/// A body that has come whole.
struct Whole(Option<Vec<u8>>);

impl Flow for Whole {
    fn next(&mut self) -> Piece<'_> {
        let all = self.0.take();
        Box::pin(async { Ok(all) })
    }
}

/// An answer that flows, under way.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Flowing, Problem>> + Send + 'a>>;

/// Calls partners: over mutual TLS 1.3, to pinned endpoints only, following no redirect.
pub trait Outbound: Send + Sync {
    /// Makes the call.
    ///
    /// An error means that there is no answer: the address is not allowed, nobody answers, the
    /// certificate is not the partner's, or the answer is too large.
    fn call(&self, call: Call) -> Pending<'_>;

    /// Makes a call whose answer is read as it comes. A way out that knows no streams brings it
    /// whole.
    fn flow(&self, call: Call) -> Opening<'_> {
        Box::pin(async move {
            let reply = self.call(call).await?;
            Ok(Flowing { status: reply.status, body: Box::new(Whole(Some(reply.body))) })
        })
    }

    /// Makes a first call, under the same rules for addresses.
    fn first(&self, call: FirstCall) -> Pending<'_>;

    /// Calls somebody else's connector. A way out need not know how.
    fn connector(&self, call: ConnectorCall) -> Pending<'_> {
        Box::pin(async move {
            let why =
                format!("{} cannot be called: there is no way to connectors", call.participant);
            Err(Problem::new(codes::OUTGOING_URL, why))
        })
    }
}
