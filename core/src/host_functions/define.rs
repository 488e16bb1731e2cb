//! The ways in which an import becomes a function of wasmi's.
//!
//! Only functions whose types wasmi knows when it is compiled are called without an allocation: one
//! for each number of i32 parameters and kind of results. A program is linked with those alone that
//! the types of its host functions allow.

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

/// Makes the function of an import of this type, in a store.
pub(crate) type Define<T> = fn(&mut Store<StoreData<T>>, &Signature, Arc<Binding<T>>) -> Func;

/// How a host function is defined that takes and gives such values, for an import of this shape.
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
    let types = |types: &[ValType]| {
        types
            .iter()
            .map(|ty| wasmi::ValType::from(*ty))
            .collect::<Vec<_>>()
    };
    let ty = FuncType::new(types(&ty.params), types(&ty.results));
    let call = move |mut guest: Caller<'_, StoreData<T>>, params: &[Val], results: &mut [Val]| {
        binding.call(
            guest.as_context_mut(),
            &mut Called::new(params, Some(results)),
        )
    };
    Func::new(store, ty, call)
}

/// Defines an import with such i32 parameters alone.
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

/// A function that finds the definition for a number of i32 parameters, with results of one kind.
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
