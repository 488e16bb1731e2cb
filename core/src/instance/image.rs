//! The state of a new instance, to which used instances are reset.

use crate::{
    call::StoreData,
    module::{MEMORY, global_name},
};
use alloc::vec::Vec;
use wasmi::{Global, Memory, Mutability, Store, Val};

/// Handles to everything that a guest can change: its memory and its globals. Tables and segments
/// are not included; a module that can change these is not resettable.
#[derive(Default)]
pub(crate) struct MutableState {
    memory: Option<Memory>,
    globals: Vec<Global>,
}

impl MutableState {
    /// Finds the handles of `instance`.
    pub(crate) fn of<T>(store: &Store<StoreData<T>>, instance: wasmi::Instance) -> Self {
        let mut globals = Vec::new();
        // The rewritten module exports each of its changing globals under a number.
        while let Some(global) = instance.get_global(store, &global_name(globals.len())) {
            globals.push(global);
        }
        Self {
            memory: instance.get_memory(store, MEMORY),
            globals,
        }
    }

    /// The bytes of the memory; `None` if the guest has none.
    pub(crate) fn memory<'a, T>(&self, store: &'a Store<StoreData<T>>) -> Option<&'a [u8]> {
        self.memory.map(|memory| memory.data(store))
    }

    /// The values of the globals, in their order.
    pub(crate) fn values<'a, T>(
        &'a self,
        store: &'a Store<StoreData<T>>,
    ) -> impl Iterator<Item = Val> + 'a {
        self.globals.iter().map(move |global| global.get(store))
    }

    /// A 64-bit hash of the memory and the globals. Not collision-resistant.
    pub(crate) fn hash<T>(&self, store: &Store<StoreData<T>>) -> u64 {
        let mut hash = Fnv::new();
        let memory = self.memory(store).unwrap_or_default();
        // The length as 64 bits on every machine, so that all compute the same hash.
        hash.write(&(memory.len() as u64).to_le_bytes());
        hash.write(memory);
        for value in self.values(store) {
            match value {
                Val::I32(value) => hash.write(&value.to_le_bytes()),
                Val::I64(value) => hash.write(&value.to_le_bytes()),
                Val::F32(value) => hash.write(&value.to_bits().to_le_bytes()),
                Val::F64(value) => hash.write(&value.to_bits().to_le_bytes()),
                Val::V128(value) => hash.write(&value.as_u128().to_le_bytes()),
                // Of references only null is portable: their identity differs from store to store.
                Val::FuncRef(value) => hash.write(&[u8::from(value.is_null())]),
                Val::ExternRef(value) => hash.write(&[u8::from(value.is_null())]),
            }
        }
        hash.0
    }
}

/// The state of a new instance of a plugin.
pub(crate) struct Image {
    /// Its memory up to the last byte that is not 0.
    memory: Vec<u8>,
    /// The size of its memory, in bytes.
    size: usize,
    /// The values of its globals, in their order.
    globals: Vec<Val>,
}

impl Image {
    /// Copies the state of an instance.
    pub(crate) fn capture<T>(store: &Store<StoreData<T>>, mutable: &MutableState) -> Self {
        let memory = mutable.memory(store).unwrap_or_default();
        let used = memory.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last.saturating_add(1));
        Self {
            memory: memory.get(..used).unwrap_or_default().to_vec(),
            size: memory.len(),
            globals: mutable.values(store).collect(),
        }
    }

    /// Sets an instance back to this state. Returns false if that is impossible, and the instance
    /// must be dropped: its memory has grown, and can't shrink, or a global can't be set.
    pub(crate) fn restore<T>(
        &self,
        store: &mut Store<StoreData<T>>,
        mutable: &MutableState,
    ) -> bool {
        if let Some(memory) = mutable.memory {
            let bytes = memory.data_mut(&mut *store);
            if bytes.len() != self.size {
                return false;
            }
            let Some((first, rest)) = bytes.split_at_mut_checked(self.memory.len()) else {
                return false;
            };
            first.copy_from_slice(&self.memory);
            clear(rest);
        }
        mutable
            .globals
            .iter()
            .zip(&self.globals)
            .all(|(global, value)| {
                // wasmi panics on a reference into another store.
                !matches!(value, Val::FuncRef(_) | Val::ExternRef(_))
                    && global.ty(&*store).mutability() == Mutability::Var
                    && global.set(&mut *store, value.clone()).is_ok()
            })
    }
}

/// Sets all of `bytes` to 0. Most of a memory is 0 already, and comparing is faster than writing.
fn clear(bytes: &mut [u8]) {
    static CLEAR: [u8; 4_096] = [0; 4_096];
    for chunk in bytes.chunks_mut(CLEAR.len()) {
        if Some(&*chunk) != CLEAR.get(..chunk.len()) {
            chunk.fill(0);
        }
    }
}

/// FNV-1a in 64 bits; not collision-resistant.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds `bytes` to the hash.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
