//! `env.host_log` and `env.host_log_message`: log records of a plugin, escaped for display.

use crate::{
    base::{log::LogRecord, text::Escaped},
    error::Trap,
    host_functions::Context,
};

/// Writes one log record. Charges one unit of fuel per byte, since showing text costs the host far more
/// than reading it.
pub(crate) fn write<T>(context: &mut Context<'_, T>, text: &[u8]) -> Result<(), Trap> {
    context.charge(text.len() as u64)?;
    // Charged also without a sink or above the log budget: a plugin's fuel does not depend on these.
    if context.meter().log(text.len())
        && let Some(sink) = &context.shared().log
    {
        sink.record(&LogRecord {
            plugin: context.plugin(),
            text: Escaped::new(text),
        });
    }
    Ok(())
}
