//! The panic handler of the feature `panic-handler`.

/// Traps. Without the feature `panic-log`, the message is not formatted, which would add several
/// kilobytes to each plugin.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-log")]
    crate::panic_log::log(info);
    #[cfg(not(feature = "panic-log"))]
    let _ = info;
    core::arch::wasm32::unreachable()
}
