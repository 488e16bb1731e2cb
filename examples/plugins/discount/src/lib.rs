//! Decides on the discount of an order. A shop changes these rules without a new release of its server.

use hostel_guest::{Error, host_functions};
use serde_json::{Value, json};

hostel_guest::plugin!(process);

host_functions! {
    "shop" {
        /// Returns the cents that a customer has spent so far; `None` for one who is not known.
        fn spent(customer: &str) -> Option<u32>;
        /// Returns how many pieces of an article are in stock.
        fn stock(article: &str) -> Option<u32>;
    }
}

/// Takes an order: `{"customer": ..., "article": ..., "count": ...}`. Returns the decision.
fn process(order: &str) -> Result<String, Error> {
    let order: Value = serde_json::from_str(order).map_err(Error::from_display)?;
    let text = |name: &str| {
        order[name]
            .as_str()
            .ok_or_else(|| format!("the order has no `{name}`"))
    };
    let (customer, article) = (text("customer")?, text("article")?);
    let count = order["count"].as_u64().ok_or("the order has no `count`")?;
    let stock = stock(article).ok_or_else(|| format!("there is no article `{article}`"))?;
    let (percent, reason) = match spent(customer) {
        _ if count > stock.into() => {
            return Ok(json!({ "accepted": false, "reason": format!("{stock} left") }).to_string());
        }
        None => (5, "a new customer"),
        Some(cents) if cents >= 100_000 => (10, "has spent 1,000 or more"),
        Some(_) if count >= 10 => (3, "ten pieces or more"),
        Some(_) => (0, "no rule applies"),
    };
    Ok(json!({ "accepted": true, "discount": percent, "reason": reason }).to_string())
}
