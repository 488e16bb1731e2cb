//! Calls of functions that have a contract in WIT: those of components, and of core modules with a contract.

use super::{failure::Failure, input::Answer};
use hostel::{CallError, Instance, component};
use hostel_contract::{Call, CallTextError, Contract, Value};

/// A call whose arguments are values.
pub(super) struct TypedCall {
    /// The function's name, with its interface.
    name: String,
    arguments: Vec<component::Value>,
    /// Whether only the function was named, so that a result of bytes is printed unchanged.
    bare: bool,
}

impl TypedCall {
    /// Parses a call that is written with its arguments.
    pub(super) fn parse(contract: &Contract, text: &str) -> Result<Self, Failure> {
        let call = contract
            .parse_call(text)
            .map_err(|error| Failure::call_text(text, &error))?;
        Self::new(call, false).map_err(|error| Failure::call_text(text, &error))
    }

    /// Returns a call of the function `name` with an INPUT as bytes, or without any arguments.
    pub(super) fn bare(
        contract: &Contract,
        name: &str,
        input: Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        let failure = |error: CallTextError| Failure::call_text(name, &error);
        let with_bytes = contract.parse_call(&format!("{name}([])"));
        if let Ok(mut call) = with_bytes.clone()
            && call.arguments == [Value::Bytes(Vec::new())]
        {
            call.arguments = vec![Value::Bytes(input.unwrap_or_default())];
            return Self::new(call, true).map_err(failure);
        }
        if input.is_none() {
            match contract.parse_call(&format!("{name}()")) {
                Ok(call) => return Self::new(call, true).map_err(failure),
                // Parameters are missing.
                Err(CallTextError::Text { .. }) => {}
                Err(error) => return Err(failure(error)),
            }
        } else if let Err(error) = with_bytes
            && !matches!(error, CallTextError::Text { .. })
        {
            return Err(failure(error));
        }
        let exported = contract.exported_functions();
        let own = name.rsplit('#').next().unwrap_or(name);
        let ty = exported
            .iter()
            .find(|(full, _)| full == name || full.rsplit('#').next() == Some(own))
            .map_or("", |(_, ty)| ty);
        Err(Failure::usage(format!(
            "`{name}` has the type `{ty}`, it does not take one INPUT as bytes"
        ))
        .with_hint(format!(
            "write the arguments into the call: --call '{name}(...)'"
        )))
    }

    fn new(call: Call, bare: bool) -> Result<Self, CallTextError> {
        // Before anything runs.
        if let Some(ty) = call.result.and_then(|result| result.unwritable()) {
            return Err(CallTextError::Unwritable { ty });
        }
        let arguments = call.arguments.into_iter();
        let arguments = arguments.map(component::Value::try_from);
        Ok(Self {
            name: match call.interface {
                Some(interface) => format!("{interface}#{}", call.function),
                None => call.function,
            },
            arguments: arguments.collect::<Result<_, _>>()?,
            bare,
        })
    }

    /// Makes the call. A `result` that is an error becomes an error of the guest's.
    pub(super) fn call(&self, instance: &mut Instance) -> Result<Answer, CallError> {
        let result = instance.call_component_values(&self.name, &self.arguments)?;
        let Some(value) = result.map(Value::from) else {
            return Ok(Answer::own(Vec::new()));
        };
        match value {
            Value::Result(Err(error)) => Err(CallError::Guest {
                message: match error.map(|error| *error) {
                    Some(Value::String(text)) => text.into(),
                    Some(value) => wave(&value)?.into(),
                    None => "no reason given".into(),
                },
            }),
            Value::Bytes(bytes) if self.bare => Ok(Answer::own(bytes)),
            Value::Result(Ok(Some(value))) if self.bare && matches!(*value, Value::Bytes(_)) => {
                match *value {
                    Value::Bytes(bytes) => Ok(Answer::own(bytes)),
                    value => line(&value),
                }
            }
            value => line(&value),
        }
    }
}

/// Returns a value as a line of WAVE.
fn line(value: &Value) -> Result<Answer, CallError> {
    wave(value).map(|text| Answer::printed(format!("{text}\n")))
}

fn wave(value: &Value) -> Result<String, CallError> {
    value.to_wave().map_err(|error| CallError::ValueType {
        reason: error.to_string().into(),
    })
}
