//! The panic handler of the feature `panic-handler`.

/// Traps. The message is left unformatted: that would cost each plugin some kilobytes.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
