//! Errors as `application/problem+json`, and the one table of their statuses.

use crate::{calls::Failure, quota::UsedUp, tenants::NotAdmitted, typed::NotFound};
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use hostel::{CallError, ErrorClass, HostError, LoadError};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The errors of the server itself: code, status, title. Those of calls have the codes of `hostel`, and the status of
/// their class.
pub(crate) const OWN: [(&str, u16, &str); 32] = [
    ("bad-path", 400, "The path can't be read"),
    ("bad-name", 400, "The name can't be that of a plugin"),
    ("bad-query", 400, "The query can't be read"),
    ("bad-body", 400, "The body can't be read"),
    ("bad-header", 400, "A header of the request is ambiguous"),
    (
        "bad-json",
        400,
        "The body is not the JSON that was expected",
    ),
    (
        "ambiguous-export",
        400,
        "Several functions of the plugin have this name",
    ),
    (
        "resource-type",
        400,
        "The function's type has resources, which can't be passed over HTTP",
    ),
    ("unauthorized", 401, "A known token is needed"),
    ("forbidden", 403, "The token does not allow this"),
    ("unknown-route", 404, "There is nothing at this path"),
    ("unknown-plugin", 404, "No plugin has this name"),
    ("no-fleet", 404, "The server is not part of a fleet"),
    ("unknown-version", 404, "No version that is kept fits"),
    ("method-not-allowed", 405, "The path has other methods"),
    (
        "not-acceptable",
        406,
        "The answer has none of the accepted types",
    ),
    ("body-timeout", 408, "The body came too slowly"),
    ("superseded", 409, "The plugin was changed meanwhile"),
    (
        "precondition-failed",
        412,
        "The request's condition does not hold",
    ),
    ("body-too-large", 413, "The body is too large"),
    (
        "bad-media-type",
        415,
        "The body has another type than was expected",
    ),
    ("module-refused", 422, "The module can't be loaded"),
    (
        "queue-full",
        429,
        "Too many calls of the plugin run and wait",
    ),
    (
        "rate-limited",
        429,
        "The plugin's calls by time are used up",
    ),
    ("too-many-watchers", 429, "Too many clients watch the log"),
    ("fuel-window", 429, "The plugin's fuel by time is used up"),
    ("internal", 500, "The server failed"),
    ("not-stored", 500, "The module could not be stored"),
    ("not-json", 502, "The plugin's output is not JSON"),
    ("not-text", 502, "The plugin's output is not text"),
    ("shutting-down", 503, "The server ends"),
    ("no-result", 503, "The call was ended by the server"),
];

/// Returns the status of an error of a call: the one table.
pub(crate) fn status_of(error: &CallError) -> u16 {
    match (error.class(), error.code()) {
        (_, "guest-error") => 422,
        (_, "input-too-large") => 413,
        (_, "unknown-export") => 404,
        (_, "busy") => 429,
        (_, "closed" | "cancelled" | "does-not-fit") => 503,
        // The plugin broke its ABI, or trapped.
        (ErrorClass::Guest | ErrorClass::Trap, _) => 502,
        (ErrorClass::Contract, _) => 400,
        // Another try would end alike, so not 429.
        (ErrorClass::Quota, _) => 422,
        (ErrorClass::Deadline, _) => 504,
        _ => 500,
    }
}

/// An error, as a client gets it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    title: &'static str,
    detail: String,
    /// The error that a component's function returned.
    error: Option<Json>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// Returns an error of the server itself. `code` is one of [`OWN`].
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let mut known = OWN.into_iter();
        let found = known.find(|(known, _, _)| *known == code);
        let (_, status, title) = found.unwrap_or((code, 500, "The server failed"));
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            error: None,
            retry_after: None,
        }
    }

    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the explanation; without one, the title.
    pub(crate) fn detail(&self) -> &str {
        match self.detail.is_empty() {
            true => self.title,
            false => &self.detail,
        }
    }

    /// Returns the error's code.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn response(&self) -> Response<Body> {
        let Self {
            status,
            code,
            title,
            detail,
            ..
        } = self;
        let mut body = json!({
            "type": format!("urn:hostel:error:{code}"),
            "title": title,
            "status": status,
            "code": code,
            "detail": detail,
        });
        if let Some(error) = &self.error {
            body["error"] = error.clone();
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: an earlier try would be refused again.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if *status == 401 {
            let challenge = HeaderValue::from_static("Bearer realm=\"hostel\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<&CallError> for Problem {
    fn from(error: &CallError) -> Self {
        let title = match error.class() {
            ErrorClass::Guest => "The plugin returned an error",
            ErrorClass::Caller => "The plugin can't take this input",
            ErrorClass::Contract => "The plugin can't be called in this way",
            ErrorClass::Trap => "The plugin failed and was stopped",
            ErrorClass::Quota => "The call used up its budget",
            ErrorClass::Deadline => "The call took too long",
            _ => "The call could not be made",
        };
        let status = status_of(error);
        Self {
            status,
            code: error.code(),
            title,
            // Without the limits to raise, which are not the client's.
            detail: format!("{error:#}"),
            error: None,
            retry_after: matches!(status, 429 | 503).then_some(Duration::from_secs(1)),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Call(error) => Self::from(&error),
            Failure::FuelWindow(after) => Self::new("fuel-window", "").retry_after(after),
            Failure::Lost => Self::new("no-result", ""),
            Failure::Json(reason) => Self::new("bad-json", reason),
            Failure::Function(error) => {
                let message = error.as_str().unwrap_or("see `error`").into();
                let guest = CallError::Guest { message };
                Self {
                    error: Some(error),
                    ..Self::from(&guest)
                }
            }
        }
    }
}

impl From<NotFound> for Problem {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::Unknown(error) => Self::from(&error),
            NotFound::Ambiguous(names) => {
                Self::new("ambiguous-export", format!("expected one of {names}"))
            }
        }
    }
}

impl From<NotAdmitted> for Problem {
    fn from(refused: NotAdmitted) -> Self {
        match refused {
            NotAdmitted::QueueFull(most) => Self::new(
                "queue-full",
                format!("{most} calls of the plugin run or wait, which is the most"),
            )
            .retry_after(Duration::from_secs(1)),
            NotAdmitted::UsedUp(UsedUp { is_fuel, after }) => {
                let code = if is_fuel {
                    "fuel-window"
                } else {
                    "rate-limited"
                };
                Self::new(code, "").retry_after(after)
            }
        }
    }
}

impl From<&LoadError> for Problem {
    fn from(error: &LoadError) -> Self {
        Self {
            code: error.code(),
            // Without what to change in the server's program.
            ..Self::new("module-refused", format!("{error:#}"))
        }
    }
}

impl From<&HostError> for Problem {
    fn from(error: &HostError) -> Self {
        match error {
            HostError::UnknownPlugin { .. } => Self::new("unknown-plugin", ""),
            HostError::NameTaken { .. } | HostError::Superseded { .. } => {
                Self::new("superseded", error.to_string())
            }
            HostError::Load(error) => Self::from(error),
            HostError::Smoke(error) | HostError::Call(error) => Self::from(error),
            _ => Self::new("internal", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_server_has_one_row() {
        let mut codes = OWN.map(|(code, _, _)| code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), OWN.len());
        assert!(OWN.iter().all(|(_, status, _)| (400..600).contains(status)));
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (after, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let problem =
                Problem::new("rate-limited", "").retry_after(Duration::from_millis(after));
            let response = problem.response();
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], header);
        }
    }
}
