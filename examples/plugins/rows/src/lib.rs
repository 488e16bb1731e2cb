//! Prepares rows of sales: makes numbers of texts, adds the total, and leaves out rows that were cancelled.

use hostel_guest::{Error, config};
use serde_json::{Map, Value};

hostel_guest::plugin!(process);

/// Takes a row as a JSON object of texts. Returns the new row, or nothing for one that is left out.
fn process(row: &str) -> Result<String, Error> {
    let mut row: Map<String, Value> = serde_json::from_str(row).map_err(Error::from_display)?;
    if row
        .get("status")
        .is_some_and(|status| status == "cancelled")
    {
        return Ok(String::new());
    }
    let price = number(&row, "price")?;
    let count = number(&row, "count")?;
    let currency = config("currency").unwrap_or("EUR".into());
    row.insert("price".into(), price.into());
    row.insert("count".into(), count.into());
    // In cents, so that the sum is exact.
    row.insert(
        "total".into(),
        ((price * count * 100.0).round() / 100.0).into(),
    );
    row.insert("currency".into(), currency.into());
    Ok(Value::Object(row).to_string())
}

fn number(row: &Map<String, Value>, column: &str) -> Result<f64, Error> {
    let text = row.get(column).and_then(Value::as_str);
    let text = text.ok_or_else(|| format!("there is no column `{column}`"))?;
    let number: Option<f64> = text.trim().parse().ok().filter(|it: &f64| it.is_finite());
    Ok(number.ok_or_else(|| format!("`{column}` is `{text}`, which is no number"))?)
}
