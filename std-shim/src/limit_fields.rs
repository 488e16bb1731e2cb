//! The limits of a plugin by name.

use hostel_core::{Limits, ModuleLimits};

/// Returns each field of [`Limits`] with its name, to set limits that are named at run time.
///
/// Names are those of errors: fields of `module` have their own names, those of `component` begin with `component.`,
/// and those of its `module` with `component.module.`.
///
/// ```
/// let mut limits = hostel::Limits::server();
/// for (name, value) in hostel::limit_fields(&mut limits) {
///     match name {
///         "call_depth" => *value = 500,
///         "component.depth" => *value = 4,
///         _ => {}
///     }
/// }
/// assert_eq!(limits.call_depth, 500);
/// ```
pub fn limit_fields(limits: &mut Limits) -> Vec<(&'static str, &mut usize)> {
    let mut fields = vec![
        ("heap_bytes", &mut limits.heap_bytes),
        ("module_bytes", &mut limits.module_bytes),
        ("memory_bytes", &mut limits.memory_bytes),
        ("table_elements", &mut limits.table_elements),
        ("stack_bytes", &mut limits.stack_bytes),
        ("call_depth", &mut limits.call_depth),
        ("instances", &mut limits.instances),
        ("copies", &mut limits.copies),
        ("idle", &mut limits.idle),
        ("warm", &mut limits.warm),
        ("waiting", &mut limits.waiting),
    ];
    fields.extend(module_fields(&mut limits.module).map(|(name, _, field)| (name, field)));
    #[cfg(feature = "component")]
    {
        let component = &mut limits.component;
        fields.extend([
            ("component.depth", &mut component.depth),
            ("component.type_depth", &mut component.type_depth),
            ("component.compared_parts", &mut component.compared_parts),
            ("component.modules", &mut component.modules),
            ("component.instances", &mut component.instances),
            ("component.components", &mut component.components),
            ("component.imports", &mut component.imports),
            ("component.exports", &mut component.exports),
            ("component.inlined_bytes", &mut component.inlined_bytes),
            ("component.handles", &mut component.handles),
        ]);
        let module = module_fields(&mut component.module);
        fields.extend(module.map(|(_, name, field)| (name, field)));
    }
    fields
}

/// Returns each field of a plugin's `module`, with its name, and its name in a component.
fn module_fields(module: &mut ModuleLimits) -> [(&'static str, &'static str, &mut usize); 20] {
    [
        ("types", "component.module.types", &mut module.types),
        ("params", "component.module.params", &mut module.params),
        ("results", "component.module.results", &mut module.results),
        ("imports", "component.module.imports", &mut module.imports),
        ("exports", "component.module.exports", &mut module.exports),
        (
            "name_bytes",
            "component.module.name_bytes",
            &mut module.name_bytes,
        ),
        (
            "functions",
            "component.module.functions",
            &mut module.functions,
        ),
        (
            "small_functions",
            "component.module.small_functions",
            &mut module.small_functions,
        ),
        (
            "function_bytes",
            "component.module.function_bytes",
            &mut module.function_bytes,
        ),
        ("locals", "component.module.locals", &mut module.locals),
        ("nesting", "component.module.nesting", &mut module.nesting),
        (
            "memory_grows",
            "component.module.memory_grows",
            &mut module.memory_grows,
        ),
        (
            "carried_values",
            "component.module.carried_values",
            &mut module.carried_values,
        ),
        (
            "branch_targets",
            "component.module.branch_targets",
            &mut module.branch_targets,
        ),
        ("tables", "component.module.tables", &mut module.tables),
        ("globals", "component.module.globals", &mut module.globals),
        (
            "segments",
            "component.module.segments",
            &mut module.segments,
        ),
        (
            "elements",
            "component.module.elements",
            &mut module.elements,
        ),
        (
            "expression_bytes",
            "component.module.expression_bytes",
            &mut module.expression_bytes,
        ),
        (
            "custom_sections",
            "component.module.custom_sections",
            &mut module.custom_sections,
        ),
    ]
}
