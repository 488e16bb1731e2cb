//! `env.host_log`, `env.host_log_message` and `env.host_log_at`: log records of a plugin, escaped for display.

use crate::{
    base::{
        log::{LogLevel, LogRecord},
        text,
    },
    call::{Shared, meter::Meter},
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
    let shared = context.shared();
    record(shared, context.meter(), level, text);
    Ok(())
}

/// Writes one log record, which was charged: also without a sink or above the log budget, since a plugin's
/// fuel does not depend on these.
pub(crate) fn record(shared: &Shared, meter: &mut Meter, level: LogLevel, text: &[u8]) {
    if meter.log(text.len())
        && let Some(sink) = &shared.log
    {
        sink.record(&LogRecord::of_guest(&shared.name, level, text));
    }
}

#[cold]
fn unknown(level: u32) -> Trap {
    Trap::host(text::text(format_args!(
        "the log level {level} is unknown: expected 0 (trace), 1 (debug), 2 (info), 3 (warn) or 4 (error)"
    )))
}
