//! The shop's rules in Rust.

// Written by `hostel bindgen orders.wit --lang rust --out src`.
mod plugin;

use plugin::{
    Guest,
    demo::orders::shop::{self, Level},
    export,
    exports::demo::orders::orders::{
        self, Bill, Discount, Everything, Order, Problem, Wishes,
    },
};

struct Plugin;

export!(Plugin with_types_in plugin);

impl Guest for Plugin {
    fn reverse(mut data: Vec<u8>) -> Result<Vec<u8>, String> {
        if data.is_empty() {
            return Err("no bytes".into());
        }
        data.reverse();
        Ok(data)
    }
}

impl orders::Guest for Plugin {
    fn total(order: Order) -> Result<Bill, Problem> {
        if order.items.is_empty() {
            return Err(Problem::Empty);
        }
        let mut lines = Vec::new();
        let mut total = 0;
        for item in order.items {
            if item.quantity == 0 || item.quantity > 1000 {
                return Err(Problem::Quantity(item.quantity));
            }
            let Some(price) = shop::price(&item.product) else {
                return Err(Problem::Unknown(item.product));
            };
            let cents = price * u64::from(item.quantity);
            total += cents;
            lines.push((item.product, cents));
        }
        shop::log(Level::Info, &format!("{} lines", lines.len()));
        match order.discount {
            Discount::FullPrice => {}
            Discount::Percent(percent) => total -= total * u64::from(percent.min(100)) / 100,
            Discount::Voucher(code) if code == "TEN" => total = total.saturating_sub(1000),
            Discount::Voucher(_) => {}
        }
        if order.wishes.contains(Wishes::EXPRESS) {
            total += 500;
        }
        let mut label = order.customer;
        if let Some(note) = order.note {
            label = format!("{label}: {note}");
        }
        if order.wishes.contains(Wishes::GIFT) {
            label.push_str(" (gift)");
        }
        Ok(Bill { lines, total, label })
    }

    fn mean(samples: Vec<f64>) -> Option<f64> {
        let count = samples.len() as f64;
        (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / count)
    }

    fn echo(values: Everything) -> Everything {
        values
    }
}
