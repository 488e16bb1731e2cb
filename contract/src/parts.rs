//! The core modules in a component, and their sizes.

use crate::{error::ReadError, limits};
use wasmparser::{
    ComponentName, ComponentNameSectionReader, KnownCustom, Name, NameSectionReader, Parser,
    Payload,
};

/// The parts of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// The name that the component's custom section `component-name` gives it.
    pub name: Option<String>,
    /// The number of components in the component, at any depth.
    pub components: usize,
    /// The core modules of the component and of those in it, in the file's order.
    pub modules: Vec<CoreModule>,
}

/// A core module in a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreModule {
    /// The name that its custom section `name` gives it.
    pub name: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes of its code sections.
    pub code_bytes: u64,
    /// Bytes of its data sections.
    pub data_bytes: u64,
    /// Bytes of its custom sections.
    pub custom_bytes: u64,
    /// Bytes of its other sections: types, imports, tables, exports and so on.
    pub other_bytes: u64,
}

impl Parts {
    /// Lists the core modules of a component. Reads the frame of its sections only: a component can be
    /// listed that has no valid contract.
    ///
    /// # Errors
    ///
    /// [`ReadError::Invalid`] if a section reaches beyond the file. [`ReadError::TooLarge`] for more than
    /// [`limits::COMPONENTS`] parts.
    pub fn read(wasm: &[u8]) -> Result<Self, ReadError> {
        let mut parts = Self::default();
        // Whether each open part is a module; modules have no parts.
        let mut open = Vec::new();
        let (mut count, mut is_module) = (0, false);
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(ReadError::invalid)?;
            match &payload {
                Payload::Version { .. } => {
                    count += 1;
                    open.push(is_module);
                    let depth = open.len() as u64;
                    ReadError::at_most("components and modules", limits::COMPONENTS, count)?;
                    ReadError::at_most("nested components", limits::COMPONENT_DEPTH, depth)?;
                }
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    is_module = true;
                    parts.modules.push(CoreModule {
                        bytes: unchecked_range.end.saturating_sub(unchecked_range.start),
                        ..CoreModule::default()
                    });
                }
                Payload::ComponentSection { .. } => {
                    is_module = false;
                    parts.components += 1;
                }
                Payload::CustomSection(section) if open.len() == 1 => {
                    if let KnownCustom::ComponentName(names) = section.as_known() {
                        parts.name = component_name(names).or(parts.name.take());
                    }
                }
                Payload::End(_) => {
                    open.pop();
                }
                _ => {}
            }
            if open.last() == Some(&true)
                && let Some(module) = parts.modules.last_mut()
            {
                module.add(&payload);
            }
        }
        Ok(parts)
    }
}

impl CoreModule {
    /// Adds a section.
    fn add(&mut self, payload: &Payload<'_>) {
        let Some((_, range)) = payload.as_section() else {
            return;
        };
        let bytes = range.end.saturating_sub(range.start);
        let sum = match payload {
            Payload::CodeSectionStart { .. } => &mut self.code_bytes,
            Payload::DataSection(_) => &mut self.data_bytes,
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.name = module_name(names).or(self.name.take());
                }
                &mut self.custom_bytes
            }
            _ => &mut self.other_bytes,
        };
        *sum = sum.saturating_add(bytes);
    }
}

/// Returns the module's own name of those in a section `name`.
fn module_name(names: NameSectionReader<'_>) -> Option<String> {
    let mut names = names.into_iter().map_while(Result::ok);
    names.find_map(|name| match name {
        Name::Module { name, .. } => Some(name.to_owned()),
        _ => None,
    })
}

/// Returns the component's own name of those in a section `component-name`.
fn component_name(names: ComponentNameSectionReader<'_>) -> Option<String> {
    let mut names = names.into_iter().map_while(Result::ok);
    names.find_map(|name| match name {
        ComponentName::Component { name, .. } => Some(name.to_owned()),
        _ => None,
    })
}
