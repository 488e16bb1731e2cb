//! Serves requests on tokio, each in a task of its own.
//!
//! A `Request` owns its plugin's handle and its input, so its call can be spawned. It brings data of
//! its own, which host functions reach. The deadline ends a call that waits for the host.
//!
//! Run it with `cargo run --example spawned`.

use hostel::{Async, Budget, Context, Grants, Limits, Trap};
use std::time::Duration;

/// What the host functions know of the client whose request they serve.
#[derive(Default)]
struct Client {
    name: String,
}

const GUEST: &str = r#"(module
    (import "shop" "price" (func $price (param i32) (result i32)))
    (func (export "total") (param i32 i32) (result i32)
      (i32.add (call $price (local.get 0)) (call $price (local.get 1)))))"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let price = |context: &mut Context<'_, Client>, article: u32| {
        let regular = context.data().name == "Anna";
        Async(async move {
            if article == 0 {
                // A database that does not answer.
                std::future::pending::<()>().await;
            }
            Ok::<_, Trap>(if regular { article * 9 } else { article * 10 })
        })
    };
    let grants = Grants::with_data().function("shop", "price", price);
    let budget = Budget::server().with_deadline(Duration::from_millis(100));
    let engine = hostel::engine_with(Limits::server()).with_budget(budget);
    let plugin = engine.load("shop", &wat::parse_str(GUEST)?, &grants)?;

    let requests = [("Anna", (1, 2)), ("Ben", (1, 2)), ("Carl", (0, 2))];
    let calls = requests.map(|(name, articles)| {
        let client = Client { name: name.into() };
        let request = plugin.request().with_data(client);
        let call = request.call_async::<(u32, u32), u32>("total", articles);
        (name, tokio::spawn(call))
    });
    for (name, call) in calls {
        match call.await? {
            Ok(total) => println!("{name} pays {total}"),
            Err(error) => println!("{name}: {error}"),
        }
    }
    Ok(())
}
