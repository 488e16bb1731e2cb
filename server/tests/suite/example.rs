//! The example does what it says.

use super::{
    client::Client,
    serving::{eventually, says},
};
use hostel_server::hostel::install_module;
use tokio::net::TcpListener;

#[allow(dead_code)] // Its `main`.
#[path = "../../examples/tenants.rs"]
mod tenants;

#[test]
fn an_own_service_has_quotas_and_new_versions() {
    assert!(include_str!("../../examples/tenants.rs").lines().count() < 80);
    let files = tempfile::tempdir().unwrap();
    let install = |text: &str| {
        install_module(files.path().join("greeter.wasm"), &says(text)).unwrap();
    };
    install("one");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let directory = files.path().to_owned();
    let serving = runtime.spawn(async move {
        // Its error can't be sent to another thread.
        let ended = tenants::serve(directory, listener).await;
        ended.map_err(|error| error.to_string())
    });
    let ask = || Client::connect(address).ask("POST /v1/plugins/greeter", &[], b"");
    ask().says("one");
    Client::connect(address)
        .ask("GET /", &[], b"")
        .says("a page of my own");
    install("two");
    eventually("new version", || ask().text() == "two");
    eventually("refusal", || ask().status == 429);
    serving.abort();
}
