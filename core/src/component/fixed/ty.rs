//! [`FixedType`]: a function's core type and layouts, from its types in Rust.

use super::super::{
    ComponentType,
    canon::Shape,
    layout::{Flat, Layout},
    parts::Parts,
    source::NO_LAYOUT,
};
use crate::base::signature::ValType;

/// A function's core type and layouts.
#[derive(Debug)]
pub(crate) struct FixedType {
    pub(crate) shape: Shape,
    params: Flat,
    results: Flat,
}

impl FixedType {
    /// Returns the type of a function that the guest imports.
    pub(crate) const fn lowered<P: Parts, R: ComponentType>() -> Self {
        Self::of(P::LAYOUTS, result::<R>(), true)
    }

    /// Returns the type of a function that the guest exports.
    pub(crate) const fn lifted<P: Parts, R: ComponentType>() -> Self {
        Self::of(P::LAYOUTS, result::<R>(), false)
    }

    /// Fails to compile if a type has no layout, or if an imported function has too many core parameters.
    #[expect(clippy::panic)] // when the host is compiled
    const fn of(params: &[Option<Layout>], result: Option<Layout>, lowered: bool) -> Self {
        let Some(all) = Layout::record(params) else {
            panic!("{}", NO_LAYOUT);
        };
        let shape = Shape::in_core(&all, result.as_ref());
        let pointer = Flat::of(ValType::I32);
        let params = match (&shape.params, all.flat) {
            (None, Some(flat)) => flat,
            _ => pointer,
        };
        let (params, results) = match (&shape.result, result) {
            (Some(_), _) if lowered => match params.followed_by(&pointer) {
                Some(params) => (params, Flat::new()),
                None => panic!("parameters of 16 core values, besides a pointer to the result"),
            },
            (Some(_), _) => (params, pointer),
            (
                None,
                Some(Layout {
                    flat: Some(flat), ..
                }),
            ) => (params, flat),
            _ => (params, Flat::new()),
        };
        Self {
            shape,
            params,
            results,
        }
    }

    /// Returns the core types of the parameters.
    pub(crate) const fn params(&self) -> &[ValType] {
        self.params.as_slice()
    }

    /// Returns the core types of the results.
    pub(crate) const fn results(&self) -> &[ValType] {
        self.results.as_slice()
    }
}

/// Returns the layout of a result; `None` if there is none.
#[expect(clippy::panic)] // when the host is compiled
const fn result<R: ComponentType>() -> Option<Layout> {
    if R::IS_NOTHING {
        return None;
    }
    match R::LAYOUT {
        Some(layout) => Some(layout),
        None => panic!("{}", NO_LAYOUT),
    }
}
