//! HTTP/1.1 (RFC 9112) for the kit's side, as far as it needs it: bodies of a known length, one
//! request a connection when we ask, as many as come when we are asked.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the head of a request or an answer says that matters here, and the body.
struct Raw {
    first: String,
    kind: String,
    body: Vec<u8>,
}

/// An answer of the connector under test.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `None` when there is none.
    pub(crate) body: Option<Value>,
}

/// A request that we got.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// One request or answer; `None` when the other side has closed instead.
fn read(reader: &mut impl BufRead) -> Result<Option<Raw>, String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
            return if lines.is_empty() { Ok(None) } else { Err("half a head".to_owned()) };
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let first = lines.first().cloned().ok_or("a head without a first line")?;
    let field = |name: &str| {
        let fields = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim().to_owned())
    };
    if let Some(coding) = field("transfer-encoding") {
        return Err(format!("a body in the coding {coding}"));
    }
    let length = field("content-length").map_or(Ok(0), |length| length.parse());
    let mut body = vec![0; length.map_err(|_| "a length that is no number")?];
    reader.read_exact(&mut body).map_err(|e| format!("half a body: {e}"))?;
    Ok(Some(Raw { first, kind: field("content-type").unwrap_or_default(), body }))
}

/// The JSON of a body, which has to be called so.
fn json(read: &Raw) -> Result<Option<Value>, String> {
    if read.body.is_empty() {
        return Ok(None);
    }
    if !read.kind.starts_with("application/json") {
        return Err(format!("a body of the type {:?}", read.kind));
    }
    let text = String::from_utf8_lossy(&read.body);
    serde_json::from_str(&text).map(Some).map_err(|e| format!("no JSON, {e}: {text}"))
}

/// Asks the connector under test; without a body it is a GET.
pub(crate) fn ask(url: &str, body: Option<&Value>) -> Result<Answer, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url} is not http"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let asked = || -> Result<Raw, String> {
        let mut tcp = TcpStream::connect(host).map_err(|e| e.to_string())?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        let head = format!("HTTP/1.1\r\nHost: {host}\r\nAuthorization: any\r\nConnection: close");
        let request = match body.map(Value::to_string) {
            None => format!("GET /{path} {head}\r\n\r\n"),
            Some(text) => format!(
                "POST /{path} {head}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{text}",
                text.len()
            ),
        };
        tcp.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
        read(&mut BufReader::new(tcp))?.ok_or_else(|| "it closed without an answer".to_owned())
    };
    let answer = asked().map_err(|why| format!("{url}: {why}"))?;
    let status = answer.first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("{url}: {:?}", answer.first))?;
    Ok(Answer { status, body: json(&answer).map_err(|why| format!("{url}: {why}"))? })
}

/// A server on loopback that answers each request with what this function says: the status and a
/// body. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start<F>(answer: F) -> Server
    where
        F: Fn(Result<Call, String>) -> (u16, Option<Value>) + Clone + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let over = ended.clone();
        std::thread::spawn(move || {
            while let (Ok((tcp, _)), false) = (listener.accept(), over.load(Ordering::SeqCst)) {
                let answer = answer.clone();
                std::thread::spawn(move || serve(tcp, &answer));
            }
        });
        Server { address, ended }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection, until the other side closes it.
fn serve(tcp: TcpStream, answer: &impl Fn(Result<Call, String>) -> (u16, Option<Value>)) {
    let mut reader = BufReader::new(&tcp);
    while let Ok(Some(request)) = read(&mut reader) {
        let mut words = request.first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let call = json(&request).map(|body| Call { method, path, body: body.into() });
        let (status, body) = answer(call);
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let (length, kind) = (text.len(), "Content-Type: application/json");
        let head = format!("HTTP/1.1 {status} \r\n{kind}\r\nContent-Length: {length}\r\n\r\n");
        if (&tcp).write_all(format!("{head}{text}").as_bytes()).is_err() {
            return;
        }
    }
}
