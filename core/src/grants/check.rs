//! Checks a module's imports against the grants.

use super::{
    Grants,
    built_in::{linked_by, services},
};
use crate::{
    abi::{
        Convention,
        extism::MODULES,
        native::{self, Needs},
    },
    base::{
        order::in_order,
        shape::Shape,
        text::{listed, text},
    },
    error::Mismatch,
    module::{Extern, Import, ModuleInfo},
};
use alloc::{boxed::Box, format, string::String, vec::Vec};

/// The words before the list of all that is granted.
const GRANTED: &str = "granted are: ";

/// Adds every import that does not fit the grants to `found`. Returns the exports that the fitting
/// imports need: `memory`, an allocator.
pub(crate) fn check_imports<T: 'static>(
    module: &ModuleInfo,
    grants: &Grants<T>,
    found: &mut Vec<Mismatch>,
) -> Needs {
    let mut needs = Needs::default();
    let convention = grants.convention_of(module);
    let imports = module.imports.iter();
    found.extend(imports.filter_map(|import| check_import(import, grants, convention, &mut needs)));
    // The list of all that is granted is long, so only the first import that it is told for has it.
    let mut listed = false;
    for mismatch in found {
        if let Mismatch::UnknownImport { hint, .. } = mismatch
            && hint.starts_with(GRANTED)
        {
            if listed {
                *hint = Box::default();
            }
            listed = true;
        }
    }
    needs
}

/// Checks one import; `None` if it fits.
fn check_import<T: 'static>(
    import: &Import,
    grants: &Grants<T>,
    convention: Convention,
    needs: &mut Needs,
) -> Option<Mismatch> {
    let Import { module, name, ty } = import;
    let Extern::Function(ty) = ty else {
        return Some(Mismatch::ImportKind {
            module: module.clone(),
            name: name.clone(),
            found: ty.kind(),
        });
    };
    let Some(function) = grants.find(convention, module, name, ty) else {
        return Some(Mismatch::UnknownImport {
            module: module.clone(),
            name: name.clone(),
            found: text(format_args!("{ty}")),
            hint: grants.hint(convention, module, name).into(),
        });
    };
    let (params, results) = (function.params(), function.results());
    if params.bytes || results.bytes {
        needs
            .memory
            .get_or_insert_with(|| text(format_args!("`{module}.{name}` exchanges bytes in it")));
    }
    if results.bytes {
        needs.allocate.get_or_insert_with(|| {
            text(format_args!(
                "the result of `{module}.{name}` needs a buffer"
            ))
        });
    }
    if native::shape_of(&params, &results, ty).is_some() {
        return None;
    }
    Some(Mismatch::ImportType {
        module: module.clone(),
        name: name.clone(),
        expected: Shape::expected(&params.flat, &results.flat).into(),
        found: text(format_args!("{ty}")),
    })
}

/// Returns the imports that are declared again with another type. A name is bound to one function, so
/// only one of the types can fit.
pub(crate) fn conflicting_imports(info: &ModuleInfo) -> Vec<Mismatch> {
    let mut found = Vec::new();
    // Names first, since modules are mostly equal.
    let name = |at: usize| {
        info.imports
            .get(at)
            .map(|import| (&import.name, &import.module))
    };
    let compare = |one, other| name(one).cmp(&name(other));
    in_order(info.imports.len(), &compare, &mut |first, again| {
        if let (Some(first), Some(import)) = (info.imports.get(first), info.imports.get(again))
            && first.ty != import.ty
        {
            found.push(Mismatch::ImportType {
                module: import.module.clone(),
                name: import.name.clone(),
                expected: text(format_args!("{}, as it is declared before", first.ty)),
                found: text(format_args!("{}", import.ty)),
            });
        }
    });
    found
}

impl<T: 'static> Grants<T> {
    /// Returns advice for an import that nothing supplies: the grant that would, the nearest known
    /// name, or all that is granted.
    fn hint(&self, convention: Convention, module: &str, name: &str) -> String {
        if let Some(other) = Convention::of_import(module)
            && self.granted(other).is_some()
        {
            return if other == convention {
                format!("the convention `{other}` has no function of this name and type")
            } else {
                format!(
                    "it belongs to the convention `{other}`, and the plugin's is `{convention}`"
                )
            };
        }
        if let Some(grant) = linked_by(module, name) {
            return format!("the grant `{grant}` would");
        }
        let known = || {
            let services = services().map(|(m, n, _)| (m, n));
            services.chain(self.names())
        };
        if let Some((m, n)) = known().find(|(_, n)| *n == name) {
            return format!("the same name is known as `{m}.{n}`");
        }
        if convention == Convention::Extism {
            let mut hint = String::from(
                "it is a host function of the embedder's: grant it with `Extism::function`",
            );
            if !module.starts_with(MODULES) {
                hint.push_str(&format!(
                    ", or link a module named `{module}`, for example by a manifest"
                ));
            }
            return hint;
        }
        if module == "env" && name.starts_with("extism_") {
            return String::from(
                "the plugin is made for Extism before 1.0, which is not offered: build it with a newer PDK",
            );
        }
        if module.starts_with("wasi_") {
            return String::from(
                "WASI is supported in preview 1 only: build the plugin for `wasm32-wasip1`",
            );
        }
        // A plugin that imports `log` most likely wants `host_log`. Names of one or two letters are
        // part of too many others to tell.
        let near = |n: &str| {
            let (short, long) = if n.len() < name.len() {
                (n, name)
            } else {
                (name, n)
            };
            // Not `str::contains`: its search for long texts takes much flash.
            let mut parts = long.as_bytes().windows(short.len().max(1));
            short.len() > 2 && parts.any(|part| part == short.as_bytes())
        };
        if let Some((m, n)) = known().find(|(_, n)| near(n)) {
            return format!("the nearest known name is `{m}.{n}`");
        }
        let names: Vec<_> = self.names().collect();
        let granted = |at: usize| names.get(at).copied();
        let compare = |one, other| granted(one).cmp(&granted(other));
        let order = in_order(names.len(), &compare, &mut |_, _| {});
        let granted = order.into_iter().filter_map(granted);
        let granted = listed(granted.map(|(m, n)| format!("{m}.{n}")));
        format!("{GRANTED}{granted}")
    }
}
