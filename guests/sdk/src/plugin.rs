//! The macro that exports functions.

/// Exports functions to the host, together with `allocate` and `deallocate`, with which the host passes
/// data.
///
/// Each function takes one [`Input`](crate::Input) and returns an [`Output`](crate::Output):
/// `&[u8]`, `&str`, `Vec<u8>`, `String`, or a `Result` of one of them. It is exported under its own
/// name, as `(ptr: i32, size: i32) -> i64` in the packed shape that [`abi`](crate::abi) describes.
/// Hosts call `process` by default.
///
/// Use the macro once, with all functions: a second use in the same plugin would export `allocate`
/// twice. `plugin!()` exports the allocator alone, for a plugin that exports its functions by hand.
///
/// ```
/// use hostel_guest::Error;
///
/// hostel_guest::plugin!(process, shout);
///
/// fn process(input: &[u8]) -> Result<Vec<u8>, Error> {
///     let (first, _) = input.split_first().ok_or("the input is empty")?;
///     Ok(vec![*first])
/// }
///
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
/// ```
///
/// A function can't keep a borrowed input, because the host frees or overwrites it once the function has
/// returned:
///
/// ```compile_fail
/// hostel_guest::plugin!(process);
///
/// fn process(input: &'static [u8]) -> &'static [u8] {
///     input
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    ($($function:ident),* $(,)?) => {
        const _: () = {
            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "allocate"))]
            extern "C" fn allocate(size: usize) -> *mut u8 {
                $crate::abi::allocate(size)
            }

            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "deallocate"))]
            unsafe extern "C" fn deallocate(ptr: *mut u8, size: usize) {
                // SAFETY: the host frees buffers from `allocate` and answers, each of them once.
                unsafe { $crate::abi::deallocate(ptr, size) }
            }
        };
        $(
            const _: () = {
                #[allow(dead_code)]
                #[cfg_attr(target_arch = "wasm32", unsafe(export_name = stringify!($function)))]
                unsafe extern "C" fn __hostel_export(ptr: *const u8, size: usize) -> i64 {
                    let function = |input: &[u8]| {
                        $crate::Output::into_bytes($function($crate::Input::from_bytes(input)?))
                    };
                    // SAFETY: the host passes a buffer that it got from `allocate` and filled, and does
                    // not write to it before the function returns.
                    unsafe { $crate::abi::respond(ptr, size, function) }
                }
            };
        )*
    };
}
