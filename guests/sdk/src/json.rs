//! The feature `json`: [`Json`], a parameter and a result that is JSON.

use crate::{Error, Input, Output};
use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// A value that a plugin function takes or returns as JSON, by serde.
///
/// Input that is no such JSON is an error, with its line and column.
///
/// ```
/// use hostel_guest::{Error, Json, testing::Host};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Order { article: String, count: u32 }
///
/// #[derive(Serialize)]
/// struct Bill { text: String, total: u32 }
///
/// hostel_guest::plugin!(bill);
///
/// fn bill(Json(order): Json<Order>) -> Result<Json<Bill>, Error> {
///     let total = order.count.checked_mul(1999).ok_or("the count is too large")?;
///     Ok(Json(Bill { text: order.article, total }))
/// }
///
/// let answer = Host::new().call(bill, br#"{"article": "lamp", "count": 2}"#);
/// assert_eq!(answer, Ok(br#"{"text":"lamp","total":3998}"#.into()));
/// let error = Host::new().call(bill, b"{}").unwrap_err();
/// assert_eq!(error.message(), "input is not the expected JSON: missing field `article` at line 1 column 2");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Input<'_> for Json<T> {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes)
            .map(Json)
            .map_err(|error| Error::new(alloc::format!("input is not the expected JSON: {error}")))
    }
}

impl<T: Serialize> Output for Json<T> {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.0).map_err(Error::from_display)
    }
}
