//! The types of bodies: which a client sends, and which it takes.

use crate::problem::Problem;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, header},
};
use hostel::{ValType, Value};
use serde_json::Value as Json;

/// The type of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Bytes,
    Text,
    Json,
}

impl Media {
    /// Returns the value of `Content-Type`. None of them runs scripts in a browser.
    const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "application/octet-stream",
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// Chooses the type of an answer by the request's `Accept`: the first of its types that hostel has, whatever their
    /// weights, but for those with `q=0`. Without the header, or for any type, that is `default`.
    pub(crate) fn accepted(headers: &HeaderMap, default: Self) -> Result<Self, Problem> {
        let mut any = false;
        for header in headers.get_all(header::ACCEPT) {
            any = true;
            for range in header.to_str().unwrap_or_default().split(',') {
                let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
                let mut parameters = parameters.split(';').map(str::trim);
                if parameters.any(|it| matches!(it, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
                    continue;
                }
                match &*kind.trim().to_ascii_lowercase() {
                    "*/*" => return Ok(default),
                    "application/octet-stream" => return Ok(Self::Bytes),
                    "application/json" => return Ok(Self::Json),
                    "text/plain" | "text/*" => return Ok(Self::Text),
                    "application/*" if default == Self::Json => return Ok(Self::Json),
                    "application/*" => return Ok(Self::Bytes),
                    _ => {}
                }
            }
        }
        match any {
            false => Ok(default),
            true => Err(Problem::new(
                "not-acceptable",
                "accept application/octet-stream, text/plain or application/json",
            )),
        }
    }

    /// Returns whether a request's body is said to be JSON.
    pub(crate) fn is_json(headers: &HeaderMap) -> bool {
        let value = headers.get(header::CONTENT_TYPE);
        let value = value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let kind = value.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    }

    /// Returns the bytes that a plugin returned, if they are of this type.
    pub(crate) fn checked(self, output: Vec<u8>) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Bytes => {}
            Self::Text => {
                if let Err(error) = str::from_utf8(&output) {
                    return Err(Problem::new("not-text", error.to_string()));
                }
            }
            Self::Json => {
                if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&output) {
                    return Err(Problem::new("not-json", error.to_string()));
                }
            }
        }
        Ok(output)
    }

    /// Makes an answer. A guest chooses nothing of its headers.
    pub(crate) fn response(self, body: impl Into<Body>) -> Response<Body> {
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.name()));
        response
    }
}

/// Reads the arguments of a function over numbers from a JSON array. An i64 may be a text too, since most programs read
/// numbers of JSON as floats of 53 bits.
pub(crate) fn numbers(body: &[u8], types: &[ValType]) -> Result<Vec<Value>, Problem> {
    let wrong = |detail: String| Problem::new("bad-json", detail);
    let found: Json = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    let expected = || {
        let names: Vec<_> = types.iter().map(|ty| ty.name()).collect();
        format!(
            "expected an array of {} numbers: [{}]",
            types.len(),
            names.join(", ")
        )
    };
    let items = found.as_array().filter(|items| items.len() == types.len());
    let items = items.ok_or_else(|| wrong(expected()))?;
    let each = items.iter().zip(types).map(|(item, ty)| {
        let text = match item {
            Json::Number(number) => number.to_string(),
            Json::String(text) => text.clone(),
            _ => return Err(wrong(expected())),
        };
        let value = Value::parse(&text, *ty);
        value.ok_or_else(|| wrong(format!("{item} is no {}: {}", ty.name(), expected())))
    });
    each.collect()
}

/// Writes the results of a function over numbers as a JSON array. Numbers that JSON does not have, `NaN` and infinities,
/// become texts.
pub(crate) fn array(results: &[Value]) -> Json {
    let each = results.iter().map(|value| match value {
        Value::I32(number) => (*number).into(),
        Value::I64(number) => (*number).into(),
        Value::F32(number) => float(f64::from(*number), value),
        Value::F64(number) => float(*number, value),
        _ => Json::Null,
    });
    each.collect()
}

fn float(number: f64, value: &Value) -> Json {
    let number = serde_json::Number::from_f64(number);
    number.map_or_else(|| Json::String(value.to_string()), Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(header: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, header.parse().unwrap());
        Media::accepted(&headers, Media::Bytes).ok()
    }

    #[test]
    fn the_first_type_that_fits_is_taken() {
        for (header, media) in [
            ("*/*", Some(Media::Bytes)),
            ("text/plain", Some(Media::Text)),
            ("application/json;q=0.9, text/plain", Some(Media::Json)),
            ("application/json;q=0, text/*", Some(Media::Text)),
            ("text/html, */*;q=0.1", Some(Media::Bytes)),
            ("Application/JSON", Some(Media::Json)),
            ("text/html", None),
            ("image/png, text/html", None),
            ("", None),
        ] {
            assert_eq!(accepted(header), media, "{header}");
        }
        let none = HeaderMap::new();
        assert_eq!(Media::accepted(&none, Media::Json).unwrap(), Media::Json);
    }

    #[test]
    fn numbers_come_and_go_as_json() {
        use ValType::{F32, F64, I32, I64};
        let read = |text: &str, types: &[ValType]| {
            numbers(text.as_bytes(), types)
                .map(|values| array(&values).to_string())
                .ok()
        };
        assert_eq!(
            read("[1, -2, \"9007199254740993\"]", &[I32, I32, I64]).as_deref(),
            Some("[1,-2,9007199254740993]")
        );
        assert_eq!(
            read("[1.5, 0.25]", &[F32, F64]).as_deref(),
            Some("[1.5,0.25]")
        );
        assert_eq!(read("[\"NaN\"]", &[F64]).as_deref(), Some("[\"NaN\"]"));
        assert_eq!(read("[]", &[]).as_deref(), Some("[]"));
        for (text, types) in [
            ("[1]", &[I32, I32][..]),
            ("[1.5]", &[I32]),
            ("[4294967296]", &[I32]),
            ("[null]", &[I32]),
            ("1", &[I32]),
            ("", &[]),
            ("[1", &[I32]),
        ] {
            assert_eq!(read(text, types), None, "{text}");
        }
    }
}
