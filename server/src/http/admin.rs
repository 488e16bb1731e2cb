//! Changes of plugins by administrators.

use super::{Exchange, body, headers, media::Media, show};
use crate::{
    auth::hexadecimal,
    config::{NAME, is_plugin_name},
    folder::Folder,
    problem::Problem,
    service::Shared,
};
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::json;
use std::sync::Arc;
use tokio::{sync::MutexGuard, task::spawn_blocking};

/// Returns the directory of plugins and the name in the path.
fn target(exchange: &Exchange<'_>) -> Result<(Arc<Folder>, String), Problem> {
    let name = exchange.param("name");
    if !is_plugin_name(name) {
        return Err(Problem::new("bad-name", NAME));
    }
    let folder = exchange.world.folder.clone();
    let folder = folder.ok_or_else(|| {
        Problem::new(
            "forbidden",
            "this server's plugins are not in a directory that it changes",
        )
    })?;
    Ok((folder, name.to_owned()))
}

/// Waits until no other change of plugins or of the configuration goes on. A reload may have ended meanwhile: from here on,
/// its tokens and its directory count. The request's conditions hold then.
async fn begin<'a>(
    exchange: &mut Exchange<'a>,
) -> Result<(MutexGuard<'a, ()>, Arc<Folder>), Problem> {
    let shared: &'a Shared = exchange.shared;
    let one_at_a_time = shared.changes.lock().await;
    exchange.world = shared.world();
    if !exchange.client()?.may_change() {
        return Err(Problem::new(
            "forbidden",
            "the token does not allow changes any more",
        ));
    }
    let (folder, name) = target(exchange)?;
    let loaded = exchange.world.host.version(&name).ok();
    let loaded = loaded.map(|version| hexadecimal(&version.sha256));
    headers::check_conditions(&exchange.parts.headers, loaded.as_deref())?;
    Ok((one_at_a_time, folder))
}

/// Runs work that takes long, apart from the threads of requests.
async fn run<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Problem> + Send + 'static,
) -> Result<R, Problem> {
    let joined = spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Err(Problem::new("internal", "")))
}

/// Answers with the description of a plugin that was changed.
async fn changed(
    exchange: &Exchange<'_>,
    name: &str,
    status: StatusCode,
) -> Result<Response<Body>, Problem> {
    let shown = show::plugin(exchange.shared, &exchange.world, name).await?;
    let mut response = Media::Json.response(shown.to_string());
    *response.status_mut() = status;
    Ok(response)
}

pub(super) async fn put(
    exchange: &mut Exchange<'_>,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let (folder, name) = target(exchange)?;
    exchange.line.plugin.clone_from(&name);
    let limit = folder.module_bytes(&name);
    let (headers, time) = (&exchange.parts.headers, exchange.shared.body_timeout);
    let wasm = body::read(headers, body, limit, time).await?;
    exchange.line.bytes_in = wasm.len();
    // After the body: a client that sends it slowly must not keep others from changing plugins.
    let (_one_at_a_time, folder) = begin(exchange).await?;
    let is_new = exchange.world.host.version(&name).is_err();
    let put = name.clone();
    run(move || folder.put(&put, &wasm)).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    changed(exchange, &name, status).await
}

pub(super) async fn delete(exchange: &mut Exchange<'_>) -> Result<Response<Body>, Problem> {
    let (_, name) = target(exchange)?;
    exchange.line.plugin.clone_from(&name);
    let (_one_at_a_time, folder) = begin(exchange).await?;
    run(move || folder.delete(&name)).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

pub(super) async fn versions(exchange: &mut Exchange<'_>) -> Result<Response<Body>, Problem> {
    let (folder, name) = target(exchange)?;
    let (kept, loaded) = run(move || folder.versions(&name)).await?;
    let each = kept.iter().map(|version| {
        json!({
            "number": version.number,
            "sha256": version.sha256,
            "loaded": Some(&version.sha256) == loaded.as_ref(),
        })
    });
    let versions: Vec<_> = each.collect();
    Ok(Media::Json.response(json!({ "versions": versions }).to_string()))
}

pub(super) async fn rollback(exchange: &mut Exchange<'_>) -> Result<Response<Body>, Problem> {
    let (_, name) = target(exchange)?;
    exchange.line.plugin.clone_from(&name);
    let to = match exchange.parts.uri.query() {
        None | Some("") => None,
        Some(query) => match query.strip_prefix("to=") {
            Some(sha256) if is_digest(sha256) => Some(sha256.to_owned()),
            _ => {
                let detail = "expected `to=` and the 64 hexadecimal digits of a version";
                return Err(Problem::new("bad-query", detail));
            }
        },
    };
    let (_one_at_a_time, folder) = begin(exchange).await?;
    let back = name.clone();
    run(move || folder.rollback(&back, to.as_deref())).await?;
    changed(exchange, &name, StatusCode::OK).await
}

fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
