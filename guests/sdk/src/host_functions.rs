//! The macro that declares host functions of the embedder's own.

use crate::host::received;
use alloc::string::String;
use alloc::vec::Vec;

/// Declares functions that the embedder grants: the module's name, and each function with its types.
///
/// | parameter | result |
/// |---|---|
/// | `&str`, `&[u8]` | `String`, `Vec<u8>`, or an `Option` of one |
/// | `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, `bool` | one of these, `Option<i32>`, `Option<u32>`, or none |
///
/// A function that the plugin does not call is not imported. In native tests, a call panics unless
/// [`testing::Host`](crate::testing::Host) has the function.
///
/// ```
/// hostel_guest::host_functions! {
///     "shop" {
///         /// Returns the price of an article in cents.
///         pub fn price(article: &str) -> Option<u32>;
///         fn order(article: &str, count: u32);
///     }
/// }
///
/// fn total(article: &str, count: u32) -> Result<String, &'static str> {
///     let price = price(article).ok_or("there is no such article")?;
///     order(article, count);
///     Ok((price * count).to_string())
/// }
///
/// use hostel_guest::testing::Host;
/// let host = Host::new()
///     .function(price::with(|article| (article == "lamp").then_some(1999)))
///     .function(order::with(|_, count| assert_eq!(count, 2)));
/// assert_eq!(host.run(|| total("lamp", 2)), Ok("3998".into()));
/// assert!(host.run(|| total("sofa", 1)).is_err());
/// ```
#[macro_export]
macro_rules! host_functions {
    ($($module:literal { $($(#[$about:meta])* $see:vis fn $name:ident($($params:tt)*) $(-> $result:ty)?;)* })*) => {
        $($($crate::__host_function! {
            [$module, $name, [$(#[$about])*] [$see] [$($result)?]] [] [] [] $($params)* ,
        })*)*
    };
}

/// Declares one function: takes the parameters one by one, and collects them as they are declared, as
/// they are imported, and as they are passed.
#[doc(hidden)]
#[macro_export]
macro_rules! __host_function {
    ($head:tt [$($own:tt)*] [$($core:tt)*] [$($passed:tt)*] $name:ident: &str, $($rest:tt)*) => {
        $crate::__host_function! { $head
            [$($own)* ($name: &str)]
            [$($core)* ($name: *const u8) (size: usize)]
            [$($passed)* ($name.as_ptr()) ($name.len())]
            $($rest)* }
    };
    ($head:tt [$($own:tt)*] [$($core:tt)*] [$($passed:tt)*] $name:ident: &[u8], $($rest:tt)*) => {
        $crate::__host_function! { $head
            [$($own)* ($name: &[u8])]
            [$($core)* ($name: *const u8) (size: usize)]
            [$($passed)* ($name.as_ptr()) ($name.len())]
            $($rest)* }
    };
    ($head:tt [$($own:tt)*] [$($core:tt)*] [$($passed:tt)*] $name:ident: $type:ty, $($rest:tt)*) => {
        $crate::__host_function! { $head
            [$($own)* ($name: $type)]
            [$($core)* ($name: $type)]
            [$($passed)* ($name)]
            $($rest)* }
    };
    ([$module:literal, $name:ident, [$(#[$about:meta])*] [$see:vis] [$($result:ty)?]]
        [$(($own:ident: $type:ty))*] [$(($core:ident: $core_type:ty))*] [$(($passed:expr))*] $(,)?) => {
        $(#[$about])*
        #[allow(dead_code)]
        $see fn $name($($own: $type),*) $(-> $result)? {
            #[cfg(target_arch = "wasm32")]
            {
                #[link(wasm_import_module = $module)]
                unsafe extern "C" {
                    // Safe with any arguments: the host only reads, and traps if they lie outside of the memory.
                    safe fn $name($(_: $core_type),*) $(-> <$result as $crate::HostResult>::Core)?;
                }
                // Without a result, the parentheses are of no use.
                #[allow(unused_parens)]
                {
                    $(<$result as $crate::HostResult>::from_core)?($name($($passed),*))
                }
            }
            #[cfg(not(target_arch = "wasm32"))]
            $crate::testing::with_function($module, stringify!($name), |function: &$name::Stub| {
                function($($own),*)
            })
        }

        #[cfg(not(target_arch = "wasm32"))]
        #[allow(dead_code, unused_imports, missing_docs)]
        $see mod $name {
            use super::*;
            pub(super) type Stub = std::boxed::Box<dyn Fn($($type),*) $(-> $result)?>;

            /// Returns the function as a test's host has it.
            pub fn with(function: impl Fn($($type),*) $(-> $result)? + 'static) -> $crate::testing::Function {
                let stub: Stub = std::boxed::Box::new(function);
                $crate::testing::Function::new($module, stringify!($name), stub)
            }
        }
    };
}

/// A result of a host function; see [`host_functions!`](crate::host_functions).
pub trait HostResult: Sized {
    /// What the import returns: a number, or two packed in one.
    #[doc(hidden)]
    type Core;
    #[doc(hidden)]
    fn from_core(core: Self::Core) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl HostResult for $type {
            type Core = Self;
            fn from_core(core: Self) -> Self {
                core
            }
        }
    )*};
}

numbers!(i32, u32, i64, u64, f32, f64);

impl HostResult for bool {
    type Core = u32;
    fn from_core(core: u32) -> Self {
        core != 0
    }
}

impl HostResult for Option<Vec<u8>> {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        let (ptr, size) = crate::abi::unpack(core);
        received(ptr, size)
    }
}

impl HostResult for Vec<u8> {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        <Option<Self>>::from_core(core).unwrap_or_default()
    }
}

impl HostResult for Option<String> {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        let bytes = <Option<Vec<u8>>>::from_core(core)?;
        // The host passes text that is UTF-8.
        Some(String::from_utf8(bytes).unwrap_or_default())
    }
}

impl HostResult for String {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        <Option<Self>>::from_core(core).unwrap_or_default()
    }
}

impl HostResult for Option<u32> {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        let (present, value) = crate::abi::unpack(core);
        (present != 0).then_some(value)
    }
}

impl HostResult for Option<i32> {
    type Core = i64;
    fn from_core(core: i64) -> Self {
        <Option<u32>>::from_core(core).map(|value| value as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::pack;

    #[test]
    fn results_are_unpacked() {
        assert_eq!(<Option<u32>>::from_core(pack(1, 7)), Some(7));
        assert_eq!(<Option<i32>>::from_core(pack(1, u32::MAX)), Some(-1));
        assert_eq!(<Option<i32>>::from_core(pack(0, 7)), None);
        assert_eq!(<Option<Vec<u8>>>::from_core(pack(0, 7)), None);
        assert_eq!(<Option<String>>::from_core(pack(8, 0)), Some("".into()));
        assert_eq!(String::from_core(pack(8, 0)), "");
        assert!(Vec::<u8>::from_core(0).is_empty());
        assert!(bool::from_core(1) && !bool::from_core(0));
        assert_eq!(u64::from_core(5), 5);
    }
}
