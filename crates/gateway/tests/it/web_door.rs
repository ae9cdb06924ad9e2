//! The door for connectors that sign claims: two nodes, each a connector to the other, over HTTPS
//! under an authority of somebody else.

use crate::connectors::PRESUMED;
use crate::pair::{self, MAKER, OPERATOR};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_gateway::sources::MAX_CONNECTIONS_PER_SOURCE;
use twinpact_identity::claims::{CLAIMS_LIFE_S, Claims, ClaimsKey};
use twinpact_identity::files::IdentityFiles;
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::{Presented, system_clock};
use twinpact_identity::web::{WebRoots, WebServer};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_node::api::{Fetch, Negotiate};
use twinpact_node::outbound::{ConnectorCall, Outbound, OverTls, Reply};
use twinpact_node::{
    Node, PolicyClock, agreements, consumer, decisions, fetching, found, open, ready,
};
use twinpact_testkit::free_port;

/// An authority that both sides are told of.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a certificate for this machine, its key, and itself.
    fn issue(&self, dir: &Path) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(dir.join("web.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.join("web.key"), key.serialize_pem()).unwrap();
        std::fs::write(dir.join("ca.pem"), self.0.pem()).unwrap();
    }

    pub(crate) fn roots(&self) -> WebRoots {
        WebRoots::from_pem(self.0.pem().as_bytes()).unwrap()
    }
}

/// The organisation of a node that has still to be started.
struct Side {
    dir: PathBuf,
    did: &'static str,
    port: u16,
}

impl Side {
    fn init(place: &Path, did: &'static str, authority: &Authority) -> Side {
        let port = free_port();
        let dir = place.join(port.to_string());
        open::init(&dir, &Did::new(did).unwrap(), "Test").unwrap();
        authority.issue(&dir);
        Side { dir, did, port }
    }

    fn key(&self) -> ClaimsKey {
        IdentityFiles::new(self.dir.join("identity")).claims_key().unwrap()
    }

    /// Tells it of the other, and starts it.
    async fn knowing(&self, other: &Side, more: &str) -> Running {
        let jwk = other.key().public().to_jwk().canonical();
        std::fs::write(self.dir.join("theirs.jwk"), jwk).unwrap();
        let (did, port, theirs, id) = (self.did, self.port, other.port, other.did);
        let config = format!(
            "organisation = \"{did}\"\nname = \"Test\"\n\n[federation]\n\
             allow_private = [\"https://127.0.0.1:{theirs}\"]\n\n[connectors]\n\
             listen = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:{port}\"\n\
             certificate = \"web.pem\"\nkey = \"web.key\"\n\n[[connectors.peers]]\nid = \"{id}\"\n\
             endpoint = \"https://127.0.0.1:{theirs}/dsp\"\n\
             data = [\"https://127.0.0.1:{theirs}/data\"]\n\
             authorities = \"ca.pem\"\nclaims_key = \"theirs.jwk\"\n{more}"
        );
        std::fs::write(self.dir.join("twinpact.toml"), config).unwrap();
        pair::start(&self.dir).await
    }
}

struct World {
    authority: Authority,
    sides: [Side; 2],
    operator: Running,
    maker: Running,
    _place: TempDir,
}

impl World {
    async fn start() -> World {
        let (place, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let sides = [OPERATOR, MAKER].map(|did| Side::init(place.path(), did, &authority));
        let [ours, theirs] = &sides;
        let operator = ours.knowing(theirs, PRESUMED).await;
        let maker = theirs.knowing(ours, "").await;
        pair::fill_bound(&operator.parts.node, "").await;
        World { authority, sides, operator, maker, _place: place }
    }

    /// Asks the operator's door, with this in `Authorization`.
    async fn ask(&self, path: &str, authorization: Option<String>) -> Result<Reply, Problem> {
        let base = format!("https://127.0.0.1:{}", self.sides[0].port);
        let headers = authorization.map(|claims| ("authorization", claims));
        call(&format!("{base}{path}"), &[base], headers, self.authority.roots()).await
    }

    async fn stop(self) {
        self.maker.stop().await;
        self.operator.stop().await;
    }
}

/// The operator has allowed this machine by its address, and no other private address.
async fn call(
    url: &str,
    pinned: &[String],
    headers: Option<(&'static str, String)>,
    roots: WebRoots,
) -> Result<Reply, Problem> {
    let here = |at: &&String| at.contains("//127.0.0.1:");
    let allowed = pinned.iter().filter(here).cloned().collect();
    call_allowed(url, (pinned, allowed), headers, roots).await
}

async fn call_allowed(
    url: &str,
    (pinned, allowed): (&[String], Vec<String>),
    headers: Option<(&'static str, String)>,
    roots: WebRoots,
) -> Result<Reply, Problem> {
    let nobody = (Presented::default(), Partners::default());
    let out = HttpsOutbound::new(nobody.0, nobody.1, system_clock(), allowed).unwrap();
    let call = ConnectorCall {
        participant: "P".to_owned(),
        method: "POST",
        url: url.to_owned(),
        headers: headers.into_iter().collect(),
        body: b"{}".to_vec(),
        max_bytes: 65_536,
        over_tls: Some(OverTls { roots, pinned: pinned.to_vec() }),
    };
    out.connector(call).await
}

fn now(node: &Node) -> WallTime {
    node.clocks.wall()
}

#[tokio::test]
async fn connectors_that_sign_claims_negotiate_and_fetch() {
    let world = World::start().await;
    let (operator, maker) = (&world.operator.parts.node, &world.maker.parts.node);
    assert_eq!(found::catalog(maker, OPERATOR).await.unwrap().len(), 1);
    let dataset = Some(pair::VIEW.to_owned());
    let asked = Negotiate { partner: OPERATOR.to_owned(), dataset, another: false };
    let agreed = consumer::negotiate(maker, &asked).await.unwrap();
    let fetched =
        fetching::fetch(maker, &Fetch { agreement: agreed.id.clone(), push: false }).await.unwrap();
    assert_eq!(fetched.text.unwrap().matches("514.24").count(), pair::ROWS);
    // That the other side has shown less than a certificate stands in agreement and decision.
    for node in [operator, maker] {
        let all = agreements::list(node, None).unwrap();
        assert_eq!((all.len(), all[0].recognised.as_str()), (1, "claims"));
        assert_eq!(all[0].id, agreed.id);
    }
    let decided = decisions::list(operator, 10, None).unwrap();
    let [decided] = &decided[..] else { panic!("{decided:?}") };
    let (_, record) = decisions::show(operator, &decided.id, None).unwrap();
    let record = String::from_utf8(record.payload.to_vec()).unwrap();
    for said in ["by its token alone, over TLS", "presumed", "token-tls"] {
        assert!(record.contains(said), "{said}: {record}");
    }
    // Sent, it comes through the same door, from who signs nothing and shows the key.
    let asked = Fetch { agreement: agreed.id.clone(), push: true };
    let sent = fetching::fetch(maker, &asked).await.unwrap();
    assert_eq!(sent.text.unwrap().matches("514.24").count(), pair::ROWS);
    world.stop().await;
}

/// Whoever cannot sign for somebody that is known is told the same as whoever says nothing.
#[tokio::test]
async fn claims_that_do_not_hold_open_nothing() {
    let world = World::start().await;
    let node = &world.operator.parts.node;
    let (theirs, other) = (world.sides[1].key(), world.sides[0].key());
    let signed = |key: &ClaimsKey, issuer: &str, audience: &str, ago: i64| {
        let then = WallTime(now(node).0.plus_seconds(-ago));
        let claims = Claims { issuer, audience, jti: "urn:1", now: then };
        Some(format!("Bearer {}", key.issue(&claims).unwrap()))
    };
    let good = signed(&theirs, MAKER, OPERATOR, 0);
    let logged = || node.partition.read(|fold, _| fold.last_recorded()).unwrap();
    let before = logged();
    for (name, claims) in [
        ("nothing", None),
        ("no token", Some("Bearer x.y.z".to_owned())),
        ("the form of the plain door", Some(format!("{{\"clientId\":\"{MAKER}\"}}"))),
        ("another key", signed(&other, MAKER, OPERATOR, 0)),
        ("for somebody else", signed(&theirs, MAKER, MAKER, 0)),
        ("by somebody else", signed(&theirs, "did:web:other.example", OPERATOR, 0)),
        ("by ourselves", signed(&other, OPERATOR, OPERATOR, 0)),
        ("too old", signed(&theirs, MAKER, OPERATOR, CLAIMS_LIFE_S + 61)),
        ("of the future", signed(&theirs, MAKER, OPERATOR, -62)),
        ("changed", good.clone().map(|good| good.replacen(".ey", ".eY", 1))),
    ] {
        let reply = world.ask("/dsp/catalog/request", claims).await.unwrap();
        let body = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, 404, "{name}: {body}");
        assert!(body.contains("CatalogError") && body.contains("dsp.unknown"), "{name}: {body}");
    }
    assert_eq!(logged(), before, "who is nobody leaves nothing");
    // Who they are about is let in, and has then sent no message of the protocol.
    let reply = world.ask("/dsp/catalog/request", good.clone()).await.unwrap();
    let body = String::from_utf8(reply.body).unwrap();
    assert!(reply.status == 400 && body.contains("CatalogError"), "{body}");
    assert!(logged() > before, "what somebody asks for is on record");
    // What is for partners is not here.
    for path in ["/documents", "/log/cosign", "/conformance/negotiations"] {
        let reply = world.ask(path, good.clone()).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
    }
    // At the plain door nobody is who signs claims, whatever it says of itself.
    let root = node.connectors.root().unwrap();
    let said = format!("{{\"clientId\":\"{MAKER}\"}}");
    for said in [said, good.unwrap()] {
        let call = ConnectorCall {
            participant: "P".to_owned(),
            method: "POST",
            url: format!("{root}/dsp/catalog/request"),
            headers: vec![("authorization", said)],
            body: b"{}".to_vec(),
            max_bytes: 65_536,
            over_tls: None,
        };
        let (presented, partners) = (Presented::default(), Partners::default());
        let out = HttpsOutbound::new(presented, partners, system_clock(), Vec::new()).unwrap();
        assert_eq!(out.connector(call).await.unwrap().status, 404);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_call_goes_to_the_server_that_was_meant_and_nowhere_else() {
    let world = World::start().await;
    let port = world.sides[0].port;
    let base = format!("https://127.0.0.1:{port}");
    let ours = || world.authority.roots();
    let check = async |url: &str, pinned: &str, roots: WebRoots, code: &str| {
        let refused = call(url, &[pinned.to_owned()], None, roots).await.unwrap_err();
        assert!(refused.code.name == code || refused.message.contains(code), "{url}: {refused}");
    };
    let stranger = Authority::new().roots();
    check(&format!("{base}/dsp"), &base, stranger, "invalid peer certificate").await;
    // A name that leads inside, where the operator has not said that it may.
    let named = format!("https://localhost:{port}");
    check(&format!("{named}/dsp"), &named, ours(), "outgoing.address").await;
    // The certificate is for the address, and for no name.
    let (pinned, allowed) = ([named.clone()], vec![named.clone()]);
    let refused = call_allowed(&named, (&pinned, allowed), None, ours()).await.unwrap_err();
    assert!(refused.message.contains("invalid peer certificate"), "{refused}");
    let other = format!("https://127.0.0.2:{port}/dsp");
    check(&other, &base, ours(), "outgoing.endpoint").await;
    check(&format!("http://127.0.0.1:{port}/dsp"), &base, ours(), "outgoing.url").await;
    for private in ["https://192.168.0.1/dsp", "https://169.254.169.254/dsp", "https://[::1]:1/dsp"]
    {
        check(private, private, ours(), "outgoing.address").await;
    }
    world.stop().await;
}

/// A redirect is an answer like any other.
#[tokio::test]
async fn no_redirect_is_followed_over_tls() {
    let (place, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue(place.path());
    let file = |name: &str| std::fs::read(place.path().join(name)).unwrap();
    let server = WebServer::from_pem(&file("web.pem"), &file("web.key")).unwrap();
    let tls = TlsAcceptor::from(server.config(&system_clock()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (base, inside) = (listener.local_addr().unwrap(), trap.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = tls.accept(tcp).await.unwrap();
        let mut head = [0; 4096];
        assert!(tls.read(&mut head).await.unwrap() > 0);
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: https://{inside}/\r\ncontent-length: 0\r\n\r\n"
        );
        tls.write_all(answer.as_bytes()).await.unwrap();
        tls.shutdown().await.unwrap();
    });
    let base = format!("https://{base}");
    let pinned = [base.clone(), format!("https://{inside}")];
    let reply = call(&base, &pinned, None, authority.roots()).await.unwrap();
    assert_eq!(reply.status, 302);
    answering.await.unwrap();
    let met = tokio::time::timeout(Duration::ZERO, trap.accept()).await;
    assert!(met.is_err(), "somebody was sent inside");
}

/// A certificate that was renewed is shown without a start; one that is none is not, and the old
/// one is shown on.
#[tokio::test]
async fn a_renewed_certificate_is_shown() {
    let world = World::start().await;
    let (dir, next) = (&world.sides[0].dir, Authority::new());
    let door = world.operator.parts.node.connectors.web.as_ref().unwrap();
    let base = format!("https://127.0.0.1:{}", world.sides[0].port);
    let asked = async |roots: WebRoots| {
        let url = format!("{base}/.well-known/dspace-version");
        call(&url, std::slice::from_ref(&base), None, roots).await.map(|reply| reply.status)
    };
    std::fs::write(dir.join("web.key"), "nothing").unwrap();
    assert_eq!(door.renew().unwrap_err().code.name, "config.invalid");
    assert!(asked(world.authority.roots()).await.is_ok());
    next.issue(dir);
    door.renew().unwrap();
    assert!(asked(next.roots()).await.is_ok());
    assert!(asked(world.authority.roots()).await.is_err());
    // Its end is warned of in time. Those made here are good until 4096.
    let node = &world.operator.parts.node;
    for (time, warned) in [("4095-12-01T00:00:00Z", false), ("4095-12-20T00:00:00Z", true)] {
        let warnings = ready::warnings(node, WallTime(Timestamp::parse(time).unwrap()));
        let warns = warnings.iter().any(|warning| warning.code == "connector.certificate");
        assert_eq!(warns, warned, "{time}: {warnings:?}");
    }
    world.stop().await;
}

/// Files that cannot be used are named, and nothing is opened.
#[tokio::test]
async fn a_door_that_cannot_be_made_is_said_at_the_start() {
    let (place, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let sides = [OPERATOR, MAKER].map(|did| Side::init(place.path(), did, &authority));
    let [ours, theirs] = &sides;
    ours.knowing(theirs, "").await.stop().await;
    let other = KeyPair::generate().unwrap().serialize_pem();
    for (file, text) in [
        ("web.pem", ""),
        ("web.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("web.key", other.as_str()),
        ("ca.pem", ""),
        ("theirs.jwk", "{}"),
        ("theirs.jwk", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"),
    ] {
        let path = ours.dir.join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let refused = open::open(&ours.dir, PolicyClock::System).await.err().unwrap();
        assert_eq!(refused.code.name, "config.invalid", "{file}: {refused}");
        let named = if file == "web.key" { "web.pem" } else { file };
        assert!(refused.message.contains(named), "{file}: {refused}");
        std::fs::write(&path, good).unwrap();
    }
    std::fs::remove_file(ours.dir.join("ca.pem")).unwrap();
    let refused = open::open(&ours.dir, PolicyClock::System).await.err().unwrap();
    assert!(refused.message.contains("ca.pem"), "{refused}");
}

/// Who only holds on takes a share of the places, and no more.
#[tokio::test]
async fn one_address_holds_no_more_than_its_share() {
    let world = World::start().await;
    let at = ("127.0.0.1", world.sides[0].port);
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS_PER_SOURCE {
        held.push(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    // One more is closed; it was accepted after all the others, which are not.
    let mut more = tokio::net::TcpStream::connect(at).await.unwrap();
    assert_eq!(more.read(&mut [0]).await.unwrap_or_default(), 0);
    for one in &held {
        assert!(one.try_read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
    }
    drop(held);
    world.stop().await;
}
