//! The description of the HTTP interface, made from the table of routes.

use crate::{
    http::{Calling, Needs, OF_CALL, Operation, ROUTES, Route},
    typed::{Form, Interface, Schemas, named},
};
use hostel::{Contract, Extern, Plugin, ValType};
use serde_json::{Map, Value as Json, json};

/// Returns the description, in OpenAPI 3.1.
pub(crate) fn document() -> Json {
    let mut paths = Map::new();
    for route in &ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        item[method] = operation(route);
    }
    whole("hostel", "WebAssembly plugins over HTTP", paths, Map::new())
}

/// Returns the description of a plugin's functions, each with its own path. `interface` is that of the plugin if it is a
/// component.
pub(crate) fn of_plugin(plugin: &Plugin, interface: Option<&Interface>, name: &str) -> Json {
    let (paths, schemas) = match plugin.contract().zip(interface) {
        Some((contract, interface)) => of_contract(contract, interface, name),
        None => (of_module(plugin, name), Map::new()),
    };
    whole(name, "The functions of one plugin", paths, schemas)
}

fn of_contract(
    contract: Contract<'_>,
    interface: &Interface,
    name: &str,
) -> (Map<String, Json>, Map<String, Json>) {
    let types = contract.types();
    let mut schemas = Schemas::new(types);
    let mut paths = Map::new();
    for (export, function) in named(contract) {
        let (params, result) = (&function.ty.params, function.ty.result);
        let (body, success) = match interface.form(&function) {
            Form::Resources => continue,
            Form::Bytes => (Some(bytes()), bytes()),
            Form::Json { takes_any } => {
                let names = function.ty.names.iter().map(|name| &**name);
                let fields = names.zip(params.iter().copied());
                let body = takes_any.then(|| {
                    let forms = [schemas.object(fields), schemas.array(params)];
                    json!({ "application/json": { "schema": { "oneOf": forms } } })
                });
                let success = schemas.of_success(result);
                (body, json!({ "application/json": { "schema": success } }))
            }
        };
        let summary = types.show_function(function.ty);
        paths.insert(path(name, &export), post(&export, &summary, body, &success));
    }
    (paths, schemas.finish())
}

fn of_module(plugin: &Plugin, name: &str) -> Map<String, Json> {
    let mut paths = Map::new();
    for export in &plugin.info().exports {
        let Extern::Function(ty) = &export.ty else {
            continue;
        };
        let (body, success) = match Calling::of_module(plugin, &export.name) {
            Calling::Numbers(params) => {
                let of = |types: &[ValType]| {
                    json!({ "application/json": { "schema": {
                        "type": "array", "minItems": types.len(), "maxItems": types.len(),
                        "items": { "type": ["number", "string"] },
                    } } })
                };
                let body = (!params.is_empty()).then(|| of(&params));
                (body, of(&ty.results))
            }
            _ => (Some(bytes()), bytes()),
        };
        let described = post(&export.name, &ty.to_string(), body, &success);
        paths.insert(path(name, &export.name), described);
    }
    paths
}

/// Returns the path of a function, with what a path does not hold as `%` and two digits.
fn path(plugin: &str, export: &str) -> String {
    let mut path = "/v1/plugins".to_owned();
    for part in [plugin, export] {
        path.push('/');
        for byte in part.bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
                _ if byte.is_ascii_alphanumeric() => path.push(byte.into()),
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    path
}

fn bytes() -> Json {
    json!({ "application/octet-stream": { "schema": {} } })
}

fn post(export: &str, summary: &str, body: Option<Json>, success: &Json) -> Json {
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": "The result", "content": success }),
    );
    for status in OF_CALL.iter().chain(&[401, 403]) {
        responses.insert(status.to_string(), error());
    }
    let mut operation = json!({
        "operationId": export,
        "summary": summary,
        "responses": responses,
        "security": [{ "token": [] }, {}],
    });
    if let Some(content) = body {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    json!({ "post": operation })
}

fn whole(
    title: &str,
    description: &str,
    paths: Map<String, Json>,
    mut schemas: Map<String, Json>,
) -> Json {
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

fn error() -> Json {
    json!({
        "description": "An error; its `code` tells which",
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
        } },
    })
}

fn operation(route: &Route) -> Json {
    let mut responses = Map::new();
    let (status, kind) = route.success;
    responses.insert(status.to_string(), success(status, kind, route.operation));
    if route.operation == Operation::Put {
        responses.insert("201".into(), success(201, kind, route.operation));
    }
    let of_headers: &[u16] = match route.needs {
        Needs::Nothing => &[400],
        Needs::Client | Needs::Admin => &[400, 401, 403],
    };
    for status in route.errors.iter().chain(of_headers) {
        responses.insert(status.to_string(), error());
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
        Operation::Health | Operation::Ready | Operation::Metrics | Operation::Logs => {
            json!({ "type": "string" })
        }
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
            "description": "The input, as it is. For a function over numbers or of a component, its arguments as application/json",
            "required": false,
            "content": {
                "application/octet-stream": bytes,
                "text/plain": bytes,
                "application/json": {},
            },
        }),
        Operation::Put => json!({
            "description": "The module or component",
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
            "error": { "description": "The error that a component's function returned, as JSON" },
        },
    })
}
