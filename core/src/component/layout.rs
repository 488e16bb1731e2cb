//! [`Layout`]: the form of values in a guest's memory, and in core values.

use super::types::{MAX_FLAT_PARAMS, discriminant_bytes, flag_bytes};
use crate::base::signature::ValType;

/// Largest value that a component may pass, in bytes, without what its strings and lists point to.
const MOST_BYTES: u64 = 1 << 28;

/// The form of a value in a guest's memory, and in core values.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes in memory.
    pub(crate) size: u32,
    /// Alignment in memory, in bytes: 1, 2, 4 or 8.
    pub(crate) align: u32,
    /// Number of cases of a variant, option, result or enum; else 0.
    pub(crate) cases: u32,
    /// Alignment of the payload of a variant, option or result, in bytes; else 1.
    pub(crate) payload_align: u32,
    /// The core types of the flat form. `None` if they are more than [`MAX_FLAT_PARAMS`].
    pub(crate) flat: Option<Flat>,
    /// Whether the value has no pointer and no handle, so that its bytes are all of it.
    pub(crate) is_plain: bool,
}

/// The core types of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flat {
    types: [ValType; MAX_FLAT_PARAMS],
    len: usize,
}

impl Flat {
    /// Returns the flat form of no value.
    pub(crate) const fn new() -> Self {
        Self {
            types: [ValType::I32; MAX_FLAT_PARAMS],
            len: 0,
        }
    }

    pub(crate) const fn of(ty: ValType) -> Self {
        let mut flat = Self::new();
        flat.put(0, ty);
        flat
    }

    /// Sets the core type at this place, which is one of its own or the next.
    const fn put(&mut self, at: usize, ty: ValType) {
        if let Some((_, [place, ..])) = self.types.split_at_mut_checked(at) {
            *place = ty;
            if at == self.len {
                self.len = at.saturating_add(1);
            }
        }
    }

    /// Number of core values.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the core types.
    pub(crate) const fn as_slice(&self) -> &[ValType] {
        match self.types.split_at_checked(self.len) {
            Some((types, _)) => types,
            // Can't happen: it has as many at most.
            None => &self.types,
        }
    }

    /// Returns these core types, followed by those of `next`. `None` if they are too many.
    pub(crate) const fn followed_by(mut self, next: &Self) -> Option<Self> {
        let mut rest = next.as_slice();
        while let Some((ty, after)) = rest.split_first() {
            if self.len >= MAX_FLAT_PARAMS {
                return None;
            }
            self.put(self.len, *ty);
            rest = after;
        }
        Some(self)
    }

    /// Returns the core types that hold values of either list: the wider where they differ.
    const fn joined(mut self, other: &Self) -> Self {
        let mut at = 0;
        let mut rest = other.as_slice();
        while let Some((ty, after)) = rest.split_first() {
            let joined = match self.as_slice().split_at_checked(at) {
                Some((_, [own, ..])) => join_types(*own, *ty),
                _ => *ty,
            };
            self.put(at, joined);
            at = at.saturating_add(1);
            rest = after;
        }
        self
    }
}

impl Layout {
    /// Returns the core types of the flat form; none if they are too many.
    pub(crate) const fn flat_types(&self) -> &[ValType] {
        match &self.flat {
            Some(flat) => flat.as_slice(),
            None => &[],
        }
    }

    /// Returns whether the value fits `most` core values.
    pub(crate) const fn fits_core(&self, most: usize) -> bool {
        match &self.flat {
            Some(flat) => flat.len() <= most,
            None => false,
        }
    }

    /// The layout of a string or list.
    pub(crate) const POINTER: Self = Self {
        size: 8,
        align: 4,
        flat: Flat::of(ValType::I32).followed_by(&Flat::of(ValType::I32)),
        is_plain: false,
        ..Self::scalar(4, ValType::I32)
    };

    /// The layout of a handle.
    pub(crate) const HANDLE: Self = Self {
        is_plain: false,
        ..Self::scalar(4, ValType::I32)
    };

    /// Returns the layout of a number of this size.
    pub(crate) const fn scalar(bytes: u32, ty: ValType) -> Self {
        Self {
            size: bytes,
            align: bytes,
            cases: 0,
            payload_align: 1,
            flat: Some(Flat::of(ty)),
            is_plain: true,
        }
    }

    /// Returns the layout of an enum of so many cases.
    pub(crate) const fn cases(cases: usize) -> Self {
        Self {
            cases: count(cases),
            ..Self::scalar(discriminant_bytes(cases), ValType::I32)
        }
    }

    /// Returns the layout of so many flags.
    #[must_use]
    pub const fn flags(names: usize) -> Self {
        Self::scalar(flag_bytes(names), ValType::I32)
    }

    /// Returns the layout of a record or tuple with these fields. `None` if one of them has none, or if it takes more
    /// than 256 MiB.
    #[must_use]
    pub const fn record(mut fields: &[Option<Self>]) -> Option<Self> {
        let mut sum = Sum::new();
        while let Some((field, rest)) = fields.split_first() {
            sum = match field {
                Some(field) => sum.with(field),
                None => return None,
            };
            fields = rest;
        }
        sum.end()
    }

    /// Returns the layout of a variant with these payloads, of which `None` stands for no payload. `None` if a payload
    /// has none, or if it takes more than 256 MiB.
    #[must_use]
    pub const fn variant(payloads: &[Option<Option<Self>>]) -> Option<Self> {
        let mut union = Union::new(payloads.len());
        let mut rest = payloads;
        while let Some((payload, after)) = rest.split_first() {
            union = match payload {
                Some(Some(payload)) => union.with(payload),
                Some(None) => return None,
                None => union,
            };
            rest = after;
        }
        union.end()
    }

    /// Returns the layout of a list of fixed length, whose elements have this layout. `None` if they have none, or if it
    /// takes more than 256 MiB.
    pub(crate) const fn array(element: Option<Self>, len: usize) -> Option<Self> {
        match element {
            Some(element) => element.repeated(count(len)),
            None => None,
        }
    }

    /// Returns the layout of a list of fixed length. `None` if it takes more than 256 MiB.
    pub(crate) const fn repeated(&self, len: u32) -> Option<Self> {
        let size = (self.size as u64).saturating_mul(len as u64);
        let Some(size) = bounded(size) else {
            return None;
        };
        let mut flat = match self.flat {
            Some(_) => Some(Flat::new()),
            None => None,
        };
        // More than fit, if there are more: then there is no flat form.
        let mut at = 0;
        while at < len && at <= count(MAX_FLAT_PARAMS) {
            flat = followed(flat, self.flat);
            at = at.saturating_add(1);
        }
        Some(Self {
            size,
            flat,
            cases: 0,
            payload_align: 1,
            ..*self
        })
    }
}

/// Adds up the layouts of fields that follow each other.
pub(crate) struct Sum {
    size: u64,
    align: u32,
    flat: Option<Flat>,
    is_plain: bool,
}

impl Sum {
    pub(crate) const fn new() -> Self {
        Self {
            size: 0,
            align: 1,
            flat: Some(Flat::new()),
            is_plain: true,
        }
    }

    /// Adds a field.
    pub(crate) const fn with(self, field: &Layout) -> Self {
        let at = aligned(self.size, field.align);
        Self {
            size: at.saturating_add(field.size as u64),
            align: larger(self.align, field.align),
            flat: followed(self.flat, field.flat),
            is_plain: self.is_plain && field.is_plain,
        }
    }

    /// Returns the layout of all. `None` if it takes more than 256 MiB.
    pub(crate) const fn end(self) -> Option<Layout> {
        let Some(size) = bounded(aligned(self.size, self.align)) else {
            return None;
        };
        Some(Layout {
            size,
            align: self.align,
            cases: 0,
            payload_align: 1,
            flat: self.flat,
            is_plain: self.is_plain,
        })
    }
}

/// Joins the layouts of the payloads of a variant, option or result.
pub(crate) struct Union {
    cases: usize,
    size: u32,
    payload_align: u32,
    flat: Option<Flat>,
    is_plain: bool,
}

impl Union {
    pub(crate) const fn new(cases: usize) -> Self {
        Self {
            cases,
            size: 0,
            payload_align: 1,
            flat: Some(Flat::new()),
            is_plain: true,
        }
    }

    /// Adds a payload.
    pub(crate) const fn with(self, payload: &Layout) -> Self {
        Self {
            size: larger(self.size, payload.size),
            payload_align: larger(self.payload_align, payload.align),
            flat: match (self.flat, payload.flat) {
                (Some(so_far), Some(payload)) => Some(so_far.joined(&payload)),
                _ => None,
            },
            is_plain: self.is_plain && payload.is_plain,
            ..self
        }
    }

    /// Returns the layout of the variant. `None` if it takes more than 256 MiB.
    pub(crate) const fn end(self) -> Option<Layout> {
        let discriminant = discriminant_bytes(self.cases);
        let align = larger(self.payload_align, discriminant);
        let payload_at = aligned(discriminant as u64, self.payload_align);
        let end = payload_at.saturating_add(self.size as u64);
        let Some(size) = bounded(aligned(end, align)) else {
            return None;
        };
        Some(Layout {
            size,
            align,
            cases: count(self.cases),
            payload_align: self.payload_align,
            flat: followed(Some(Flat::of(ValType::I32)), self.flat),
            is_plain: self.is_plain,
        })
    }
}

/// Returns the core types `first`, followed by those of `next`. `None` if either has none, or if they are too many.
const fn followed(first: Option<Flat>, next: Option<Flat>) -> Option<Flat> {
    match (first, next) {
        (Some(first), Some(next)) => first.followed_by(&next),
        _ => None,
    }
}

/// Returns the core type that holds values of either type.
const fn join_types(one: ValType, other: ValType) -> ValType {
    match (one, other) {
        (ValType::F32, ValType::F32) => ValType::F32,
        (ValType::I32 | ValType::F32, ValType::I32 | ValType::F32) => ValType::I32,
        (ValType::F64, ValType::F64) => ValType::F64,
        _ => ValType::I64,
    }
}

const fn larger(one: u32, other: u32) -> u32 {
    if one > other { one } else { other }
}

/// Returns the next multiple of `align`, which is a power of two.
const fn aligned(at: u64, align: u32) -> u64 {
    match at.checked_next_multiple_of(align as u64) {
        Some(at) => at,
        None => u64::MAX,
    }
}

/// Returns the size if a value may have it.
#[expect(clippy::cast_possible_truncation)] // it is no larger than `MOST_BYTES`
const fn bounded(size: u64) -> Option<u32> {
    if size > MOST_BYTES {
        return None;
    }
    Some(size as u32)
}

/// Returns a number of cases. There are fewer than 2³².
#[expect(clippy::cast_possible_truncation)]
const fn count(cases: usize) -> u32 {
    cases as u32
}
