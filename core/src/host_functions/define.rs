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

/// Defines an import whose parameters are i32, one for each name. A macro, because wasmi takes the
/// type from the closure's parameters.
macro_rules! typed {
    ($result:expr $(, $param:ident)*) => {
        |store, _, binding| {
            let call = move |mut guest: Caller<'_, StoreData<T>> $(, $param: i32)*| {
                let params = [$(Val::I32($param)),*];
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
                1 => typed!($result, a),
                2 => typed!($result, a, b),
                3 => typed!($result, a, b, c),
                4 => typed!($result, a, b, c, d),
                5 => typed!($result, a, b, c, d, e),
                6 => typed!($result, a, b, c, d, e, f),
                _ => any,
            }
        }
    )*};
}

definitions! {
    nothing, |_| ();
    word, |word| unpack(word).1;
    long, |word| word;
    pair, unpack;
}
