//! A server of one's own that runs plugins of several customers: each has limits, a deadline and a quota, and a file
//! that changes in the directory is a new version.
//!
//! `cargo run -p hostel-server --example tenants -- guests/prebuilt`, then
//! `curl -d 'hello world' localhost:3000/v1/plugins/customize`.

use axum::{Router, routing::get};
use hostel_server::{
    PluginService, Quota, Rate, Terms,
    hostel::{self, Budget, Grants, Host, Limits, LogRecord, PluginDirectory},
};
use std::{env, error::Error, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// What a plugin is granted, and how much of the machine.
fn grants(name: &str) -> Grants {
    let mut limits = Limits::server();
    limits.memory_bytes = 8 << 20;
    limits.instances = 4;
    limits.waiting = 50;
    let budget = Budget::server()
        .with_fuel(100_000_000)
        .with_deadline(Duration::from_secs(2));
    Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .config([("customer", name)])
        .with_limits(limits)
        .with_budget(budget)
}

/// A thousand calls a minute, and no more than a hundred at once.
fn terms(_name: &str) -> Terms {
    Terms {
        quota: Quota {
            rate: Some(Rate {
                calls: 1_000,
                per: Duration::from_secs(60),
                burst: 100,
            }),
            fuel: None,
        },
        ..Terms::default()
    }
}

/// Serves the plugins of a directory, beside pages of one's own.
pub(crate) async fn serve(directory: PathBuf, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let host = Arc::new(Host::new(hostel::engine()));
    // Loads the plugins, and loads them anew when their files change.
    let _watched = PluginDirectory::new(host.clone(), directory, grants).watch()?;
    let plugins = PluginService::builder(host).terms(terms).build()?;
    let app = Router::new()
        .route("/", get(|| async { "a page of my own" }))
        .merge(plugins.router());
    axum::serve(listener, app).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os()
        .nth(1)
        .ok_or("expected a directory of plugins")?;
    serve(directory.into(), TcpListener::bind("127.0.0.1:3000").await?).await
}
