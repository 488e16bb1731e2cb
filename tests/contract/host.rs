//! Calls a plugin by the contract `guests/contract/orders.wit`: `cargo run -p hostel-tests --example contract-host -- plugin.wasm`.

use hostel::{Context, Grants, Trap};

hostel::component::bindgen!({ path: "../guests/contract/orders.wit", world: "plugin" });

use exports::orders::{Discount, Item, Order, Wishes};

/// The shop, for one call.
#[derive(Default)]
struct Shop {
    log: Vec<String>,
}

impl shop::Host for Shop {
    fn price(_: &mut Context<'_, Self>, product: String) -> Result<Option<u64>, Trap> {
        Ok((product == "tea").then_some(250))
    }

    fn log(
        context: &mut Context<'_, Self>,
        level: shop::Level,
        message: String,
    ) -> Result<(), Trap> {
        context.data_mut().log.push(format!("{level:?} {message}"));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a plugin")?;
    let wasm = std::fs::read(path)?;
    let grants = Plugin::grant(Grants::<Shop>::with_data());
    let plugin = hostel::engine().load_component("orders", &wasm, &grants)?;
    let exports = Plugin::of(&plugin)?;
    let order = Order {
        customer: "Ann".into(),
        items: vec![Item {
            product: "tea".into(),
            quantity: 2,
        }],
        discount: Discount::Percent(10),
        wishes: Wishes {
            gift: true,
            express: false,
        },
        note: Some("ring twice".into()),
    };
    let mut instance = plugin.instantiate(Shop::default())?;
    let bill = exports.orders.total(&mut instance, &order)?;
    let bill = bill.map_err(|problem| format!("{problem:?}"))?;
    println!("{}: {} cents, {:?}", bill.label, bill.total, bill.lines);
    println!("{:?}", instance.data().log);
    Ok(())
}
