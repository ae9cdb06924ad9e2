//! The client of the admin door: how every command reaches a node.

use crate::admin::JSON;
use crate::refusal::Document;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// A client of one node.
#[derive(Clone)]
pub struct AdminClient {
    url: String,
    token: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl AdminClient {
    /// A client of the node at this base URL.
    #[must_use]
    pub fn new(url: String, token: String) -> AdminClient {
        let mut connector = HttpConnector::new();
        // A request is two writes, and the second one is not to wait for the first to be heard.
        connector.set_nodelay(true);
        AdminClient { url, token, http: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET`, read as JSON.
    ///
    /// # Errors
    /// What the node refuses; `node.unreachable`; `internal` when the answer is not what it must
    /// be.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        read(&self.get_bytes(path).await?)
    }

    /// `GET`, as bytes.
    ///
    /// # Errors
    /// What the node refuses; `node.unreachable`.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Problem> {
        self.send(Method::GET, path, "application/json", Vec::new()).await
    }

    /// `POST`, read as JSON.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<T, Problem> {
        read(&self.send(Method::POST, path, content_type, body).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Problem> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Problem::new(codes::INTERNAL, format!("the request: {e}")))?;
        let response = self.http.request(request).await.map_err(|e| self.unreachable(&e))?;
        // Whoever asks how the node is gets an answer, also when it is not well.
        let kind = response.headers().get(CONTENT_TYPE);
        let ok = response.status().is_success() || kind.is_some_and(|kind| kind == JSON);
        let body = response.into_body().collect().await.map_err(|e| self.unreachable(&e))?;
        let body = body.to_bytes().to_vec();
        if ok {
            return Ok(body);
        }
        let document: Document = read(&body)?;
        Err(document.problem())
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> Problem {
        Problem::new(codes::NODE_UNREACHABLE, format!("{} does not answer: {error}", self.url))
            .hint("it may have stopped; the command starts a node of its own when none runs")
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| {
        Problem::new(codes::INTERNAL, format!("the node's answer is not what it must be: {e}"))
    })
}

/// Percent-encodes one segment of a path (RFC 3986 §2.1): everything but unreserved characters.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("urn:turbine:R80711/é"), "urn%3Aturbine%3AR80711%2F%C3%A9");
    }
}
