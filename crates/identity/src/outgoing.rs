//! Where we may connect to: the rule for every outgoing connection, as values in and a verdict out.
//!
//! An address is used only when an endpoint in a partner's pinned record or in the operator's list
//! covers it, and only when the IP address that is then dialled is public; an endpoint that the
//! operator wrote down may be private. The caller parses once ([`Target`]), asks [`listed`] before
//! it resolves the name, asks [`allowed`] with the resolved address, and dials that address and no
//! other. Redirects are not followed. URLs are read more strictly than RFC 3986 and WHATWG do,
//! since whatever two parsers read differently is a way round the rule.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use twinpact_model::{Problem, codes};

/// The longest URL, in bytes: there is room for the longest identifier, percent-encoded, in a
/// query.
pub const MAX_URL_BYTES: usize = 8192;
/// The longest host name, in bytes (RFC 1035 §2.3.4).
pub const MAX_HOST_BYTES: usize = 253;
/// The longest label of a host name, in bytes.
pub const MAX_LABEL_BYTES: usize = 63;

/// How a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Without TLS: on the loopback interface only.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name to resolve, in lower case.
    Name(String),
    /// An address as it stands.
    Address(IpAddr),
}

impl Host {
    /// Whether it names this machine. A name is held against the address that is dialled, too.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self {
            Host::Address(address) => Network::of(*address) == Network::Loopback,
            Host::Name(name) => name == "localhost",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A URL that was read: what is checked is what is dialled and asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// With or without TLS.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, the scheme's own when none was written.
    pub port: u16,
    /// The path, beginning with `/`.
    pub path: String,
    /// The query without its `?`, when there is one.
    pub query: Option<String>,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// `outgoing.url` when it is not `http` or `https`, carries a user, a fragment, a dot segment
    /// or an encoded `.` or `\`, writes its host in any but the plain form, or is longer than
    /// [`MAX_URL_BYTES`].
    pub fn parse(url: &str) -> Result<Self, Problem> {
        let bad = |why: &str| bad_url(why, url);
        if url.len() > MAX_URL_BYTES {
            return Err(bad("the address is longer than 8192 bytes"));
        }
        let (scheme, rest) = match url.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            _ => return Err(bad("the address is not one of https")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(bad("the address carries a user"));
        }
        let (host, port) =
            parse_authority(authority).ok_or_else(|| bad("the address has no plain host"))?;
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        if !is_path(path) || !query.is_none_or(is_query) {
            return Err(bad("the path of the address is not plain"));
        }
        Ok(Target {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            path: path.to_owned(),
            query: query.map(str::to_owned),
        })
    }

    fn shown(&self) -> String {
        shown(&self.to_string())
    }
}

/// The URL as it is asked for, with its query: not for errors and logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// An endpoint of a pinned record or of the operator's list: it covers every path below its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Target);

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// `outgoing.url` as [`Target::parse`], and when it has a query.
    pub fn parse(url: &str) -> Result<Self, Problem> {
        let target = Target::parse(url)?;
        if target.query.is_some() {
            return Err(bad_url("an endpoint has no query", url));
        }
        Ok(Endpoint(target))
    }

    /// Whether scheme, host and port are the same and the path is this one or below it, by whole
    /// segments: `/dsp` covers `/dsp/x` and not `/dspx`.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        let (own, prefix) = (&self.0, self.0.path.trim_end_matches('/'));
        let below = target.path.strip_prefix(prefix);
        own.scheme == target.scheme
            && own.host == target.host
            && own.port == target.port
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether some endpoint covers the address: asked before its name is resolved, so that a
/// stranger's address does not even cause a look-up.
///
/// # Errors
/// `outgoing.endpoint` when none does; `outgoing.url` for `http` that the operator did not list.
pub fn listed(target: &Target, pinned: &[Endpoint], extra: &[Endpoint]) -> Result<(), Problem> {
    if extra.iter().any(|endpoint| endpoint.covers(target)) {
        return Ok(());
    }
    if target.scheme == Scheme::Http {
        return Err(bad_url("an address without TLS must be in our list", &target.to_string()));
    }
    if pinned.iter().any(|endpoint| endpoint.covers(target)) {
        return Ok(());
    }
    let why = format!("{} is in no pinned record and not in our list", target.shown());
    Err(Problem::new(codes::OUTGOING_ENDPOINT, why)
        .hint("pin the record that names it, or write the endpoint into the configuration"))
}

/// Whether we may connect to that address for this target. `pinned` are the endpoints of the
/// partner's record, `extra` those that the operator wrote down, `resolved` is what is dialled.
///
/// # Errors
/// As [`listed`]; `outgoing.address` when the resolved address is not public and the operator did
/// not list the endpoint, when `http` does not stay on the loopback interface, or when the URL
/// named another address.
pub fn allowed(
    target: &Target,
    pinned: &[Endpoint],
    extra: &[Endpoint],
    resolved: IpAddr,
) -> Result<(), Problem> {
    listed(target, pinned, extra)?;
    let url = target.shown();
    let refuse = |why: String| Err(Problem::new(codes::OUTGOING_ADDRESS, why));
    if matches!(&target.host, Host::Address(named) if *named != resolved) {
        return refuse(format!("{url} names another address than {resolved}"));
    }
    let network = Network::of(resolved);
    if target.scheme == Scheme::Http && network != Network::Loopback {
        return refuse(format!("{url} is without TLS and leads to {resolved}"));
    }
    if network == Network::Public || extra.iter().any(|endpoint| endpoint.covers(target)) {
        return Ok(());
    }
    Err(Problem::new(
        codes::OUTGOING_ADDRESS,
        format!("{url} leads to {resolved}, which is {network}"),
    )
    .hint("if this is meant, write the endpoint into the configuration"))
}

/// What kind of network an address lies in (IANA special-purpose registries, RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The public internet.
    Public,
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// A private network: RFC 1918, 100.64.0.0/10, fc00::/7, fec0::/10.
    Private,
    /// One link: 169.254.0.0/16 (cloud metadata too), fe80::/10.
    LinkLocal,
    /// Many receivers: 224.0.0.0/4, ff00::/8.
    Multicast,
    /// An IPv4 address inside an IPv6 address: mapped, compatible, NAT64, 6to4, Teredo.
    Embedded,
    /// Reserved: no host, documentation, benchmarks, broadcast, future use.
    Reserved,
}

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Network {
        match address {
            IpAddr::V4(address) => Network::of_v4(address),
            IpAddr::V6(address) => Network::of_v6(address),
        }
    }

    const fn of_v4(address: Ipv4Addr) -> Network {
        match address.octets() {
            [127, ..] => Network::Loopback,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => {
                Network::Private
            }
            [169, 254, ..] => Network::LinkLocal,
            [224..=239, ..] => Network::Multicast,
            [0, ..]
            | [192, 0, 0, _]
            | [192, 0, 2, _]
            | [192, 31, 196, _]
            | [192, 52, 193, _]
            | [192, 88, 99, _]
            | [192, 175, 48, _]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [240..=255, ..] => Network::Reserved,
            _ => Network::Public,
        }
    }

    /// Only 2000::/3 is given out at all; what lies outside and has no name here is reserved.
    const fn of_v6(address: Ipv6Addr) -> Network {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Network::Loopback,
            [0, 0, 0, 0, 0, 0, 0, 0] => Network::Reserved,
            [0, 0, 0, 0, 0, 0 | 0xffff, ..]
            | [0, 0, 0, 0, 0xffff, 0, ..]
            | [0x64, 0xff9b, ..]
            | [0x2001, 0, ..]
            | [0x2002, ..] => Network::Embedded,
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Network::Private,
            [0xfe80..=0xfebf, ..] => Network::LinkLocal,
            [0xff00..=0xffff, ..] => Network::Multicast,
            [0x2001, 0x1..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
                Network::Reserved
            }
            [0x2000..=0x3fff, ..] => Network::Public,
            _ => Network::Reserved,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Network::Public => "public",
            Network::Loopback => "this machine",
            Network::Private => "a private network",
            Network::LinkLocal => "a link-local address",
            Network::Multicast => "a multicast address",
            Network::Embedded => "an IPv4 address inside IPv6",
            Network::Reserved => "a reserved address",
        })
    }
}

fn parse_authority(text: &str) -> Option<(Host, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let port = match rest {
            "" => None,
            rest => Some(parse_port(rest.strip_prefix(':')?)?),
        };
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((Host::Address(IpAddr::V6(address)), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (text, None),
    };
    Some((parse_host(host)?, port))
}

fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// A name or four decimal numbers. A name whose last label looks like a number is neither: some
/// resolvers read `127.1` and `0x7f.1` as addresses.
fn parse_host(text: &str) -> Option<Host> {
    let host = text.to_ascii_lowercase();
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let last = host.rsplit('.').next()?;
    let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    let plain = host.len() <= MAX_HOST_BYTES && host.split('.').all(is_label) && !numeric;
    plain.then_some(Host::Name(host))
}

/// Letters, digits, inner dashes; and underscores, which container networks use.
fn is_label(label: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty()
        && label.len() <= MAX_LABEL_BYTES
        && label.bytes().all(letter)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_path(path: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    let encoded = |hex: &str| {
        let hidden = ["2e", "5c"].iter().any(|h| hex.eq_ignore_ascii_case(h));
        is_visible(hex) && !hidden
    };
    // The IRI of a dataset in a path has encoded slashes. Whoever takes them for slashes of the
    // path finds no way up behind them either.
    let plain = path.replace("%2f", "/").replace("%2F", "/");
    path.bytes().all(letter)
        && !plain.split('/').any(|segment| matches!(segment, "." | ".."))
        && path.split('%').skip(1).all(|after| after.get(..2).is_some_and(encoded))
}

fn is_query(query: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%?".contains(&b);
    query.bytes().all(letter)
        && query.split('%').skip(1).all(|after| after.get(..2).is_some_and(is_visible))
}

/// Whether two hex digits encode a byte that is no control character.
fn is_visible(hex: &str) -> bool {
    let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
    digits && u8::from_str_radix(hex, 16).is_ok_and(|byte| byte >= 0x20 && byte != 0x7f)
}

/// What of a URL may stand in an error: neither user nor query, where secrets lie.
fn shown(url: &str) -> String {
    let public = url.split(['?', '#']).next().unwrap_or_default();
    let public = public.rsplit('@').next().unwrap_or_default();
    public.chars().take(120).collect()
}

fn bad_url(why: &str, url: &str) -> Problem {
    Problem::new(codes::OUTGOING_URL, format!("{why}: {:?}", shown(url)))
        .hint("write it like https://operator.example:8443/dsp")
}

#[cfg(test)]
mod tests;
