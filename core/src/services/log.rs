//! `env.host_log` and `env.host_log_message`: lines from a plugin, made safe to show.

use crate::{
    base::{log::LogRecord, text::Escaped},
    error::Trap,
    host_functions::Context,
};

/// The host function. Showing text costs far more than reading it, so each byte is a unit of fuel.
pub(crate) fn write<T>(context: &mut Context<'_, T>, text: &[u8]) -> Result<(), Trap> {
    context.charge(text.len() as u64)?;
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
