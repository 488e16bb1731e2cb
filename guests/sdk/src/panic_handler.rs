//! The panic handler of the feature `panic-handler`.

/// Traps. Formatting the message would add several kilobytes to each plugin.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
