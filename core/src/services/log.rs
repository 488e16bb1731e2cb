//! `env.host_log`, `env.host_log_message` and `env.host_log_at`: log records of a plugin, escaped for display.

use crate::{
    base::{
        log::{LogLevel, LogRecord},
        text,
    },
    error::Trap,
    host_functions::Context,
};

/// Writes one log record of the level info.
pub(crate) fn write<T>(context: &mut Context<'_, T>, text: &[u8]) -> Result<(), Trap> {
    write_at(context, LogLevel::Info as u32, text)
}

/// Writes one log record of the level that has the number `level`. Charges one unit of fuel per byte,
/// since showing text costs the host far more than reading it.
pub(crate) fn write_at<T>(
    context: &mut Context<'_, T>,
    level: u32,
    text: &[u8],
) -> Result<(), Trap> {
    context.charge(text.len() as u64)?;
    let level = LogLevel::from_number(level).ok_or_else(|| unknown(level))?;
    // Charged also without a sink or above the log budget: a plugin's fuel does not depend on these.
    if context.meter().log(text.len())
        && let Some(sink) = &context.shared().log
    {
        sink.record(&LogRecord::of_guest(context.plugin(), level, text));
    }
    Ok(())
}

#[cold]
fn unknown(level: u32) -> Trap {
    Trap::host(text::text(format_args!(
        "the log level {level} is unknown: expected 0 (trace), 1 (debug), 2 (info), 3 (warn) or 4 (error)"
    )))
}
