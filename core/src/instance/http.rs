//! HTTP requests that the embedder passes to a component, by `wasi:http/incoming-handler`.

use super::Instance;
use crate::{
    component::{Resource, Value, machine::Supply},
    error::CallError,
    services::http::{HttpRequest, HttpResponse},
    wasi,
};
use alloc::format;

/// The function that handles a request, and the interface and resource of its parameter.
const HANDLE: &str = "wasi:http/incoming-handler#handle";
const TYPES: &str = "wasi:http/types@";
const REQUEST: &str = "incoming-request";

impl<T: 'static> Instance<T> {
    /// Passes a request to a component that exports `wasi:http/incoming-handler`, and returns its response, bodies
    /// included. The component needs the grant [`wasi`](crate::Grants::wasi).
    ///
    /// Method, URL, headers and body of `request` count; hop-by-hop headers and `host` are left out, and the guest
    /// gets the URL's authority. The response has no `content-length`.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process): [`CallError::UnknownExport`] if the plugin does not export the function,
    /// [`CallError::InputTooLarge`] and [`CallError::OutputTooLarge`] if a body exceeds its limit,
    /// [`CallError::Guest`] if the guest sets no response, an error, or one whose body it does not finish.
    pub fn handle_http(&mut self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        self.loaded.component_export(HANDLE)?;
        let state = self.sandbox.store.data();
        let (limit, found) = (state.meter.budget().input_bytes, request.body.len());
        if found > limit {
            return Err(CallError::InputTooLarge { limit, found });
        }
        let numbers = self.begin_http(request)?;
        let params = numbers.map(|number| Value::Resource(Resource::new(number)));
        let called = self.call_component_values(HANDLE, &params);
        let state = self.sandbox.store.data_mut();
        let limit = state.meter.budget().output_bytes;
        let ended = state.wasi.as_mut().map(|kept| wasi::end_http(&mut **kept));
        called?;
        let response = ended.unwrap_or_else(|| Err("it set no response".into()));
        let response = response.map_err(|reason| CallError::Guest {
            message: format!("of an HTTP request: {reason}").into(),
        })?;
        match response.body.len() {
            found if found > limit => Err(CallError::OutputTooLarge { limit, found }),
            _ => Ok(response),
        }
    }

    /// Adds a request to the resources of the instance. Returns its number, and that of the place for the response.
    fn begin_http(&mut self, request: HttpRequest) -> Result<[u32; 2], CallError> {
        let supplies = self.loaded.component.as_ref().and_then(|component| {
            let bound = &component.bound;
            let mut imports = bound.program.imports.iter().zip(&bound.supplies);
            imports.find_map(|(import, supply)| match supply {
                Supply::Resource(Some(resource))
                    if &*import.name == REQUEST
                        && import
                            .interface
                            .as_ref()
                            .is_some_and(|of| of.starts_with(TYPES)) =>
                {
                    Some(resource.clone())
                }
                _ => None,
            })
        });
        let state = self.sandbox.store.data_mut();
        if state.wasi.is_none() {
            state.wasi = supplies.and_then(|resource| resource.new_session());
        }
        let room = state.limiter.memory_left();
        let kept = state.wasi.as_mut().ok_or_else(|| CallError::ValueType {
            reason: "the plugin does not import `incoming-request` of WASI's `wasi:http/types`"
                .into(),
        })?;
        let numbers = wasi::begin_http(&mut **kept, request, room);
        numbers.ok_or_else(|| CallError::ValueType {
            reason: "the request exceeds `http_bytes` or `memory_bytes`, or the plugin holds too many resources".into(),
        })
    }
}
