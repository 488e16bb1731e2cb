//! The one table of routes, from which the router and its description are made.

use axum::http::Method;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Call,
    CallExport,
    List,
    Show,
    Put,
    Delete,
    Versions,
    Rollback,
    Health,
    Ready,
    Metrics,
    Fleet,
    OpenApi,
    PluginOpenApi,
    Logs,
    Dashboard,
}

/// The tokens that a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// None.
    Nothing,
    /// One of any role, unless the server needs none for calls.
    Client,
    /// One of the role admin.
    Admin,
}

/// A route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
    pub(crate) needs: Needs,
    /// The description's summary.
    pub(crate) summary: &'static str,
    /// The status of success, and the type of its body; empty for none.
    pub(crate) success: (u16, &'static str),
    /// The statuses of its errors, besides those of tokens.
    pub(crate) errors: &'static [u16],
}

/// The errors of a call.
pub(crate) const OF_CALL: &[u16] = &[400, 404, 406, 408, 413, 415, 422, 429, 500, 502, 503, 504];

pub(crate) const ROUTES: [Route; 15] = [
    Route {
        method: Method::GET,
        path: "/v1/plugins",
        operation: Operation::List,
        needs: Needs::Client,
        summary: "List the plugins that the client may see",
        success: (200, "application/json"),
        errors: &[],
    },
    Route {
        method: Method::GET,
        path: "/v1/plugins/{name}",
        operation: Operation::Show,
        needs: Needs::Client,
        summary: "Show a plugin: version, exports, grants, limits and figures",
        success: (200, "application/json"),
        errors: &[400, 404],
    },
    Route {
        method: Method::POST,
        path: "/v1/plugins/{name}",
        operation: Operation::Call,
        needs: Needs::Client,
        summary: "Call the plugin's function `process` with the body",
        success: (200, "*/*"),
        errors: OF_CALL,
    },
    Route {
        method: Method::PUT,
        path: "/v1/plugins/{name}",
        operation: Operation::Put,
        needs: Needs::Admin,
        summary: "Load the body, a WebAssembly module or component, as a new version of the plugin",
        success: (200, "application/json"),
        errors: &[400, 408, 409, 412, 413, 415, 422, 500, 503],
    },
    Route {
        method: Method::DELETE,
        path: "/v1/plugins/{name}",
        operation: Operation::Delete,
        needs: Needs::Admin,
        summary: "Unload the plugin. Its versions are kept",
        success: (204, ""),
        errors: &[400, 404, 412, 500, 503],
    },
    Route {
        method: Method::POST,
        path: "/v1/plugins/{name}/{export}",
        operation: Operation::CallExport,
        needs: Needs::Client,
        summary: "Call a function or operation of the plugin",
        success: (200, "*/*"),
        errors: OF_CALL,
    },
    Route {
        method: Method::GET,
        path: "/v1/openapi/{name}",
        operation: Operation::PluginOpenApi,
        needs: Needs::Client,
        summary: "Describe the plugin's functions and their types, in OpenAPI",
        success: (200, "application/json"),
        errors: &[400, 404],
    },
    Route {
        method: Method::GET,
        path: "/v1/versions/{name}",
        operation: Operation::Versions,
        needs: Needs::Admin,
        summary: "List the versions of the plugin that are kept",
        success: (200, "application/json"),
        errors: &[400, 404, 500, 503],
    },
    Route {
        method: Method::POST,
        path: "/v1/versions/{name}/rollback",
        operation: Operation::Rollback,
        needs: Needs::Admin,
        summary: "Load an earlier version of the plugin: the one before, or that with `?to=SHA256`",
        success: (200, "application/json"),
        errors: &[400, 404, 409, 412, 422, 500, 503],
    },
    Route {
        method: Method::GET,
        path: "/v1/logs",
        operation: Operation::Logs,
        needs: Needs::Client,
        summary: "Follow the log lines of the plugins that the client may see, from the newest thousand on",
        success: (200, "text/event-stream"),
        errors: &[429],
    },
    Route {
        method: Method::GET,
        path: "/healthz",
        operation: Operation::Health,
        needs: Needs::Nothing,
        summary: "Tell that the server runs",
        success: (200, "text/plain"),
        errors: &[],
    },
    Route {
        method: Method::GET,
        path: "/readyz",
        operation: Operation::Ready,
        needs: Needs::Nothing,
        summary: "Tell whether the server takes calls",
        success: (200, "text/plain"),
        errors: &[503],
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        operation: Operation::Metrics,
        needs: Needs::Client,
        summary: "Figures for Prometheus",
        success: (200, "application/openmetrics-text"),
        errors: &[],
    },
    Route {
        method: Method::GET,
        path: "/v1/fleet",
        operation: Operation::Fleet,
        needs: Needs::Client,
        summary: "Show the fleet of which the server is a part: workers, releases, jobs",
        success: (200, "application/json"),
        errors: &[404],
    },
    Route {
        method: Method::GET,
        path: "/openapi.json",
        operation: Operation::OpenApi,
        needs: Needs::Nothing,
        summary: "This description",
        success: (200, "application/json"),
        errors: &[],
    },
];

/// The page for people, which shows what the other routes tell.
pub(crate) const DASHBOARD: Route = Route {
    method: Method::GET,
    path: "/",
    operation: Operation::Dashboard,
    needs: Needs::Nothing,
    summary: "Show the dashboard",
    success: (200, "text/html"),
    errors: &[],
};
