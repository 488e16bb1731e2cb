//! Defines imports as functions of wasmi's.
//!
//! wasmi calls a function without an allocation only if its type is known at compile time. So there is
//! one definition for each number of i32 parameters and kind of results. A program is linked only with
//! those that the types of its host functions can need.

use super::binding::{Binding, Called};
use crate::{
    base::{
        shape::{Shape, unpack},
        signature::{Signature, ValType},
    },
    call::StoreData,
    marshal::FlatCounts,
};
use alloc::{sync::Arc, vec::Vec};
use wasmi::{AsContextMut, Caller, Func, FuncType, Store, Val};

/// Defines the function of an import of the given type in a store.
pub(crate) type Define<T> = fn(&mut Store<StoreData<T>>, &Signature, Arc<Binding<T>>) -> Func;

/// Returns the definition of a host function with these parameters and results, for an import of
/// `shape`.
#[inline(always)]
pub(crate) fn definition<T: 'static>(
    params: FlatCounts,
    results: FlatCounts,
    shape: Shape,
) -> Define<T> {
    if params.i64s > 0 || params.others > 0 {
        return any;
    }
    match (results, shape) {
        (FlatCounts::NOTHING, _) => nothing(params.i32s),
        (WORD, _) => word(params.i32s),
        (LONG, _) => long(params.i32s),
        (_, Shape::Pointer) => nothing(params.i32s.saturating_add(1)),
        (FlatCounts::BYTES, Shape::Packed) => long(params.i32s),
        (FlatCounts::BYTES, Shape::Values) => pair(params.i32s),
        _ => any,
    }
}

const WORD: FlatCounts = FlatCounts::of(ValType::I32);
const LONG: FlatCounts = FlatCounts::of(ValType::I64);

/// Defines an import of any type.
fn any<T: 'static>(
    store: &mut Store<StoreData<T>>,
    ty: &Signature,
    binding: Arc<Binding<T>>,
) -> Func {
    let call = move |mut guest: Caller<'_, StoreData<T>>, params: &[Val], results: &mut [Val]| {
        binding.call(
            guest.as_context_mut(),
            &mut Called::new(params, Some(results)),
        )
    };
    Func::new(store, interpreted(ty), call)
}

/// Returns the type as wasmi's.
fn interpreted(ty: &Signature) -> FuncType {
    let types = |types: &[ValType]| types.iter().map(|ty| ty.into_wasmi()).collect::<Vec<_>>();
    FuncType::new(types(&ty.params), types(&ty.results))
}

/// Defines an import of the linked module number `module`: the function works on the memory of that module,
/// and uses its allocator.
pub(super) fn in_module<T: 'static>(
    store: &mut Store<StoreData<T>>,
    ty: &Signature,
    binding: Arc<Binding<T>>,
    module: usize,
) -> Func {
    let call = move |mut guest: Caller<'_, StoreData<T>>, params: &[Val], results: &mut [Val]| {
        let before = guest.data_mut().enter(module);
        let called = &mut Called::new(params, Some(results));
        let done = binding.call(guest.as_context_mut(), called);
        guest.data_mut().leave(before);
        done
    };
    Func::new(store, interpreted(ty), call)
}

/// Names the integer of Rust for a type of WebAssembly.
macro_rules! integer {
    (I32) => {
        i32
    };
    (I64) => {
        i64
    };
}

/// Defines an import with a parameter for each name, of the type behind it. A macro, because wasmi takes the
/// type from the closure's parameters.
macro_rules! typed {
    ($result:expr $(, $param:ident: $type:ident)*) => {
        |store, _, binding| {
            let call = move |mut guest: Caller<'_, StoreData<T>> $(, $param: integer!($type))*| {
                let params = [$(Val::$type($param)),*];
                let mut called = Called::new(&params, None);
                binding.call(guest.as_context_mut(), &mut called)?;
                Ok::<_, wasmi::Error>($result(called.word))
            };
            Func::wrap(store, call)
        }
    };
}

/// Makes functions that return the definition for a number of i32 parameters, one for each kind of
/// results.
macro_rules! definitions {
    ($($name:ident, $result:expr;)*) => {$(
        #[inline(always)]
        fn $name<T: 'static>(params: usize) -> Define<T> {
            match params {
                0 => typed!($result),
                1 => typed!($result, a: I32),
                2 => typed!($result, a: I32, b: I32),
                3 => typed!($result, a: I32, b: I32, c: I32),
                4 => typed!($result, a: I32, b: I32, c: I32, d: I32),
                5 => typed!($result, a: I32, b: I32, c: I32, d: I32, e: I32),
                6 => typed!($result, a: I32, b: I32, c: I32, d: I32, e: I32, f: I32),
                _ => any,
            }
        }
    )*};
}

definitions! {
    nothing, |_| ();
    word, low;
    long, |word| word;
    pair, unpack;
}

/// Returns the definition of a host function of a convention: by its types, where such functions have
/// those, and else as [`definition`] does.
pub(crate) fn definition_by_types<T: 'static>(
    params: &[ValType],
    results: &[ValType],
    shape: Shape,
) -> Define<T> {
    use ValType::{I32, I64};
    match (params, results) {
        ([I64], []) => typed!(|_| (), a: I64),
        ([I64], [I32]) => typed!(low, a: I64),
        ([I64], [I64]) => typed!(|word| word, a: I64),
        ([I64, I32], []) => typed!(|_| (), a: I64, b: I32),
        ([I64, I64], []) => typed!(|_| (), a: I64, b: I64),
        ([I64, I64], [I64]) => typed!(|word| word, a: I64, b: I64),
        _ => definition(FlatCounts::count(params), FlatCounts::count(results), shape),
    }
}

/// Returns the i32 in a word.
fn low(word: u64) -> u32 {
    unpack(word).1
}
