//! `/openapi.json`: what can be asked at the admin door and at the data door, as an OpenAPI 3.1
//! description. It is made of the table of routes that the router is made of
//! ([`crate::admin::ROUTES`]), of [`operations`] (what each route takes and answers) and of
//! [`schemas`]. The Dataspace Protocol has a description of its own and is not repeated.

mod erasure_schemas;
mod incident_schemas;
mod kpi_schemas;
mod log_schemas;
mod negotiation_schemas;
mod operations;
mod schema;
mod schemas;

use crate::admin::ROUTES;
use crate::federation::ASSERTION_HEADER;
use operations::{Body, DATA, OPERATIONS, Operation};
use schema::{Kind, set};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The description as text; it is made once.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{:#}\n", document()))
}

/// The description. A route of the table without an operation has no entry, which a test finds.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let known = |operation: &&Operation| {
            (operation.method, operation.path) == (route.method(), route.path)
        };
        if let Some(operation) = OPERATIONS.iter().find(known) {
            let security = if route.token { json!([{ "adminToken": [] }]) } else { json!([]) };
            insert(&mut paths, operation, security);
        }
    }
    for operation in DATA {
        let token = operation.method == "GET";
        let security = match token {
            true => json!([{ "partnerCertificate": [], "accessToken": [] }]),
            false => json!([{ "partnerCertificate": [] }]),
        };
        insert(&mut paths, operation, security);
        if let Some(path) = paths.get_mut(operation.path) {
            set(path, "servers", federation());
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Twinpact",
            "summary": "The admin door and the data door of a node.",
            "description": "Every refusal is a problem document (RFC 9457). Times are RFC 3339.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{
            "url": "http://127.0.0.1:{port}",
            "description": "The admin door; admin.json in the node's directory says where.",
            "variables": { "port": { "default": "0" } },
        }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "responses": { "Refused": refused() },
            "securitySchemes": security_schemes(),
        },
    })
}

/// Where the data door is.
fn federation() -> Value {
    json!([{
        "url": "{endpoint}",
        "description": "The federation door; the partner's pinned record says where.",
        "variables": { "endpoint": { "default": "https://partner.example:8443" } },
    }])
}

fn security_schemes() -> Value {
    json!({
        "adminToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token from admin.json.",
        },
        "partnerCertificate": {
            "type": "mutualTLS",
            "description": "A node certificate under the root that is pinned for the partner.",
        },
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "The access token of the transfer.",
        },
    })
}

fn refused() -> Value {
    json!({
        "description": "It was refused, and nothing has changed.",
        "content": { "application/problem+json": { "schema": Kind::Named("Problem").schema() } },
    })
}

fn insert(paths: &mut Map<String, Value>, operation: &Operation, security: Value) {
    let answer = match content(&operation.answer) {
        Some(content) => json!({ "description": "It was done.", "content": content }),
        None => json!({ "description": "It was done." }),
    };
    let refused = json!({ "$ref": "#/components/responses/Refused" });
    let mut responses = json!({ "200": answer, "default": refused });
    if operation.path == "/readyz" {
        // A node that is an older copy of itself says all the same how it is.
        set(&mut responses, "503", answer);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security,
        "responses": responses,
    });
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        set(&mut described, "parameters", Value::from(parameters));
    }
    if let Some(content) = content(&operation.body) {
        let body = json!({ "required": true, "content": content });
        set(&mut described, "requestBody", body);
    }
    let path = paths.entry(operation.path).or_insert_with(|| json!({}));
    set(path, &operation.method.to_ascii_lowercase(), described);
}

fn content(body: &Body) -> Option<Value> {
    if let Body::Batch = body {
        let (event, batch) = (Kind::Any.schema(), Kind::Many(&Kind::Any).schema());
        return Some(json!({
            "application/json": { "schema": Kind::Named("IngestBatch").schema() },
            "application/cloudevents+json": { "schema": event },
            "application/cloudevents-batch+json": { "schema": batch },
        }));
    }
    let (media, schema) = match body {
        Body::None | Body::Batch => return None,
        Body::Json(kind) => ("application/json", kind.schema()),
        Body::Text(media) => (*media, json!({ "type": "string" })),
        // Bytes have no schema (OpenAPI 3.1 §4.8.14.2).
        Body::Bytes => ("application/octet-stream", json!({})),
    };
    Some(json!({ media: { "schema": schema } }))
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut found = Vec::new();
    for segment in operation.path.split('/') {
        let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
            continue;
        };
        let kind = if name == "index" { Kind::Count } else { Kind::Text };
        found
            .push(json!({ "name": name, "in": "path", "required": true, "schema": kind.schema() }));
    }
    for (name, kind, must) in operation.query {
        let schema = kind.schema();
        found.push(json!({ "name": name, "in": "query", "required": must, "schema": schema }));
    }
    if operation.path.starts_with("/data/") && operation.method == "GET" {
        found.push(json!({
            "name": ASSERTION_HEADER,
            "in": "header",
            "required": false,
            "description": "Purpose and place, signed by the caller (docs/data.md).",
            "schema": Kind::Text.schema(),
        }));
    }
    found
}
