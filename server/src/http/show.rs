//! What clients see of plugins.

use super::{Exchange, call::Calling, media::Media};
use crate::{
    auth::hexadecimal,
    openapi,
    problem::Problem,
    service::{Shared, World},
    tenants::Tenant,
    typed::{self, Form, Interface},
};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use hostel::{Budget, Extern, Limits, Plugin, limit_fields};
use serde_json::{Map, Value as Json, json};

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    let (client, world) = (exchange.client()?, &exchange.world);
    let names = world.host.list().into_iter();
    let plugins: Vec<_> = names
        .filter(|name| client.may_see(name))
        // One that is removed just now is left out.
        .filter_map(|name| {
            let (plugin, version) = world.host.get_with_version(&name).ok()?;
            let tenant = exchange.shared.tenant(world, &name);
            Some(json!({
                "name": name,
                "version": version.number,
                "sha256": hexadecimal(&version.sha256),
                "abi": abi(&plugin),
                "concurrency": plugin.limits().instances,
                "queue": plugin.limits().waiting,
                "figures": figures(&plugin, &tenant),
            }))
        })
        .collect();
    let client = json!({ "name": client.name(), "role": client.role() });
    let listed = json!({ "client": client, "plugins": plugins });
    Ok(Media::Json.response(listed.to_string()))
}

/// Returns the name in the path, if the client may see the plugin.
fn visible<'e>(exchange: &'e Exchange<'_>) -> Result<&'e str, Problem> {
    let name = exchange.param("name");
    match exchange.client()?.may_see(name) {
        true => Ok(name),
        false => Err(Problem::new(
            "forbidden",
            "the token does not allow to see this plugin",
        )),
    }
}

pub(super) async fn openapi(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    let name = visible(exchange)?.to_owned();
    let loaded = exchange.world.host.get_with_version(&name);
    let (plugin, version) = loaded.map_err(|error| Problem::from(&error))?;
    let tenant = exchange.shared.tenant(&exchange.world, &name);
    let interface = tenant.interface(&plugin, &version).await?;
    let text =
        apart(move || openapi::of_plugin(&plugin, interface.as_deref(), &name).to_string()).await?;
    Ok(Media::Json.response(text))
}

pub(super) async fn show(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    let name = visible(exchange)?;
    let shown = plugin(exchange.shared, &exchange.world, name).await?;
    Ok(Media::Json.response(shown.to_string()))
}

/// Runs on a thread apart, where it may take long: a component may have thousands of functions and types.
async fn apart<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new("no-result", ""))
}

/// Describes a plugin.
pub(super) async fn plugin(shared: &Shared, world: &World, name: &str) -> Result<Json, Problem> {
    let loaded = world.host.get_with_version(name);
    let (plugin, version) = loaded.map_err(|error| Problem::from(&error))?;
    let tenant = shared.tenant(world, name);
    let interface = tenant.interface(&plugin, &version).await?;
    let shown = plugin.clone();
    let exports = apart(move || exports(&shown, interface.as_deref())).await?;
    let terms = (world.terms)(name);
    let rate = terms.quota.rate.map(
        |rate| json!({ "calls": rate.calls, "per_ms": rate.per.as_millis(), "burst": rate.burst }),
    );
    let fuel_window = terms.quota.fuel.map(|window| {
        let left = tenant.meter.fuel_left(std::time::Instant::now());
        json!({ "units": window.units, "per_ms": window.per.as_millis(), "left": left })
    });
    Ok(json!({
        "name": name,
        "version": version.number,
        "sha256": hexadecimal(&version.sha256),
        "abi": abi(&plugin),
        "exports": exports,
        "grants": terms.grants,
        "limits": limits(plugin.limits()),
        "budget": budget(plugin.budget()),
        "rate": rate,
        "fuel": fuel_window,
        "figures": figures(&plugin, &tenant),
    }))
}

fn abi(plugin: &Plugin) -> &'static str {
    match plugin.contract() {
        Some(_) => "component",
        None => plugin.convention().name(),
    }
}

/// Returns the figures of a plugin: those of all its versions, and those of the loaded one's pool.
fn figures(plugin: &Plugin, tenant: &Tenant) -> Json {
    let pool = plugin.pool_figures();
    let mut figures = tenant.figures.json();
    for (name, value) in [
        ("in_flight", tenant.in_flight() as u64),
        ("instances_in_use", pool.in_use as u64),
        ("instances_idle", pool.idle as u64),
        ("waiting", pool.waiting as u64),
        ("resets", pool.resets),
        ("discards", pool.discards),
        ("abandoned", pool.abandoned),
    ] {
        figures[name] = value.into();
    }
    figures
}

/// Lists the functions of a plugin, and how each is called.
fn exports(plugin: &Plugin, interface: Option<&Interface>) -> Vec<Json> {
    if let Some((contract, interface)) = plugin.contract().zip(interface) {
        let types = contract.types();
        let each = typed::named(contract).into_iter().map(|(name, function)| {
            let takes = match interface.form(&function) {
                Form::Bytes => "bytes",
                Form::Json { .. } => "json",
                Form::Resources => "resources",
            };
            json!({
                "name": name,
                "interface": function.interface,
                "takes": takes,
                "type": types.show_function(function.ty),
            })
        });
        return each.collect();
    }
    let exports = plugin.info().exports.iter();
    let functions = exports.filter_map(|export| match &export.ty {
        Extern::Function(ty) => Some((&export.name, ty)),
        _ => None,
    });
    let each = functions.map(|(name, ty)| {
        let takes = match Calling::of_module(plugin, name) {
            Calling::Numbers(_) => "numbers",
            _ => "bytes",
        };
        json!({ "name": name, "takes": takes, "type": ty.to_string() })
    });
    each.collect()
}

fn limits(limits: &Limits) -> Json {
    let mut limits = *limits;
    let fields = limit_fields(&mut limits);
    let shown = fields.into_iter().map(|(name, value)| {
        // The largest number stands for no limit.
        let value = (*value != usize::MAX).then_some(*value);
        (name.to_owned(), json!(value))
    });
    Json::Object(Map::from_iter(shown))
}

fn budget(budget: &Budget) -> Json {
    json!({
        "fuel": budget.fuel,
        "deadline_ms": budget.deadline.map(|deadline| deadline.as_millis()),
        "host_calls": budget.host_calls,
        "input_bytes": budget.input_bytes,
        "output_bytes": budget.output_bytes,
    })
}

pub(super) fn fleet(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    if !exchange.client()?.may_monitor() {
        return Err(Problem::new(
            "forbidden",
            "the fleet takes a token of the role monitor or admin",
        ));
    }
    let show = exchange.shared.fleet.as_ref();
    let show = show.ok_or_else(|| Problem::new("no-fleet", "start it with --nats"))?;
    Ok(Media::Json.response(show().to_string()))
}

pub(super) fn metrics(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    if !exchange.client()?.may_monitor() {
        return Err(Problem::new(
            "forbidden",
            "metrics take a token of the role monitor or admin",
        ));
    }
    let (metrics, world) = (&exchange.shared.metrics, &exchange.world);
    let is_loaded = |name: &str| world.host.version(name).is_ok();
    world.tenants.drop_unloaded(metrics, is_loaded);
    let text = metrics.text(&world.host);
    let mut response = Response::new(Body::from(text));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
