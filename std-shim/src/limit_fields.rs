//! The limits of a plugin by name.

use hostel_core::Limits;

/// Returns each field of [`Limits`] with its name, and those of its `module`, to set limits that are named at run
/// time.
///
/// ```
/// let mut limits = hostel::Limits::server();
/// for (name, value) in hostel::limit_fields(&mut limits) {
///     if name == "call_depth" {
///         *value = 500;
///     }
/// }
/// assert_eq!(limits.call_depth, 500);
/// ```
pub fn limit_fields(limits: &mut Limits) -> [(&'static str, &mut usize); 31] {
    let module = &mut limits.module;
    [
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
        ("types", &mut module.types),
        ("params", &mut module.params),
        ("results", &mut module.results),
        ("imports", &mut module.imports),
        ("exports", &mut module.exports),
        ("name_bytes", &mut module.name_bytes),
        ("functions", &mut module.functions),
        ("small_functions", &mut module.small_functions),
        ("function_bytes", &mut module.function_bytes),
        ("locals", &mut module.locals),
        ("nesting", &mut module.nesting),
        ("memory_grows", &mut module.memory_grows),
        ("carried_values", &mut module.carried_values),
        ("branch_targets", &mut module.branch_targets),
        ("tables", &mut module.tables),
        ("globals", &mut module.globals),
        ("segments", &mut module.segments),
        ("elements", &mut module.elements),
        ("expression_bytes", &mut module.expression_bytes),
        ("custom_sections", &mut module.custom_sections),
    ]
}
