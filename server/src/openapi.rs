//! The description of the HTTP interface, made from the table of routes.

use crate::http::{Needs, Operation, ROUTES, Route};
use serde_json::{Map, Value as Json, json};

/// Returns the description, in OpenAPI 3.1.
pub(crate) fn document() -> Json {
    let mut paths = Map::new();
    for route in &ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        item[method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hostel",
            "description": "WebAssembly plugins over HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": problem() },
        },
    })
}

fn operation(route: &Route) -> Json {
    let mut responses = Map::new();
    let (status, kind) = route.success;
    responses.insert(status.to_string(), success(status, kind, route.operation));
    if route.operation == Operation::Put {
        responses.insert("201".into(), success(201, kind, route.operation));
    }
    let of_tokens: &[u16] = match route.needs {
        Needs::Nothing => &[],
        Needs::Client | Needs::Admin => &[401, 403],
    };
    for status in route.errors.iter().chain(of_tokens) {
        let error = json!({
            "description": "An error; its `code` tells which",
            "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } },
        });
        responses.insert(status.to_string(), error);
    }
    let mut operation = json!({
        "operationId": format!("{:?}", route.operation),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses,
    });
    if route.needs != Needs::Nothing {
        let mut security = vec![json!({ "token": [] })];
        if route.needs == Needs::Client {
            // A server without tokens takes calls of everybody.
            security.push(json!({}));
        }
        operation["security"] = security.into();
    }
    if let Some(body) = body(route.operation) {
        operation["requestBody"] = body;
    }
    operation
}

fn success(status: u16, kind: &str, operation: Operation) -> Json {
    let schema = match operation {
        Operation::Call | Operation::CallExport => json!({}),
        Operation::Health | Operation::Ready | Operation::Metrics => json!({ "type": "string" }),
        _ => json!({ "type": "object" }),
    };
    let kinds: &[&str] = match (kind, operation) {
        ("", _) => &[],
        ("*/*", _) => &["application/octet-stream", "text/plain", "application/json"],
        _ => &[kind],
    };
    let mut response =
        json!({ "description": if status == 201 { "Loaded for the first time" } else { "Done" } });
    if !kinds.is_empty() {
        let each = kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({ "schema": schema })));
        response["content"] = Json::Object(each.collect());
    }
    response
}

fn parameters(route: &Route) -> Vec<Json> {
    let mut parameters = Vec::new();
    if route.path.contains("{name}") {
        let mut schema = json!({ "type": "string" });
        if route.needs == Needs::Admin {
            // Files get this name. As `config::is_plugin_name`.
            schema["pattern"] = "^[A-Za-z0-9_-]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$".into();
        }
        parameters.push(json!({
            "name": "name", "in": "path", "required": true,
            "description": "The plugin's name: that of its file, without `.wasm`",
            "example": "customize",
            "schema": schema,
        }));
    }
    if route.path.contains("{export}") {
        parameters.push(json!({
            "name": "export", "in": "path", "required": true,
            "description": "The function or operation",
            "example": "process",
            "schema": { "type": "string" },
        }));
    }
    if route.operation == Operation::Rollback {
        parameters.push(json!({
            "name": "to", "in": "query", "required": false,
            "description": "The SHA-256 of the version to load",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
        }));
    }
    parameters
}

fn body(operation: Operation) -> Option<Json> {
    let bytes = json!({ "schema": {} });
    Some(match operation {
        Operation::Call | Operation::CallExport => json!({
            "description": "The input, as it is. For a function over numbers, an array of them, as application/json",
            "required": false,
            "content": {
                "application/octet-stream": bytes,
                "text/plain": bytes,
                "application/json": {},
            },
        }),
        Operation::Put => json!({
            "description": "The module",
            "required": true,
            "content": { "application/wasm": bytes, "application/octet-stream": bytes },
        }),
        _ => return None,
    })
}

fn problem() -> Json {
    json!({
        "type": "object",
        "description": "An error, by RFC 9457",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "Stable: match on it" },
            "detail": { "type": "string" },
        },
    })
}
