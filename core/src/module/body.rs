//! One pass over a function's body, before wasmi compiles it.

use super::{
    bulk::{self, Bulk},
    code::{Code, Known, read},
    groups::Type,
    read::{Fault, Reader, type_ref},
    scan::Scan,
};
use crate::base::signature::ValType;
use alloc::vec::Vec;
use wasmparser::{BinaryReader, FunctionBody};

impl Reader<'_> {
    /// Checks `body`, of a function of type `ty`, against the limits, and notes what has to change in
    /// it and what it becomes.
    pub(super) fn body(&mut self, body: &FunctionBody<'_>, ty: Option<u32>) -> Result<(), Fault> {
        let size = body.range().len();
        self.over("function_bytes", self.limits.function_bytes, size)?;
        let mut locals = 0usize;
        let mut operators = body.get_binary_reader();
        for _ in 0..operators.read_var_u32()? {
            let count = operators.read_var_u32()?;
            operators.read::<wasmparser::ValType>()?;
            locals = locals.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        }
        self.over("locals", self.limits.locals, locals)?;

        let declared = ty.and_then(|ty| type_ref(&self.types, ty));
        let (params, results) = declared.map_or((0, &[][..]), |ty| (ty.params.len(), &*ty.results));
        self.code.begin(results);
        let blocks = Type::with(results).or_else(|| self.type_of_groups(ty?));
        self.groups.begin(blocks);
        let at = operators.original_position();
        let left = operators.read_bytes(operators.bytes_remaining())?;
        let found = Scan::new(self, left, at).read()?;
        if self.groups.uses_type() {
            self.keep_type_of_groups(ty, blocks);
        }
        let counts = &mut self.info.counts;
        counts.grows |= found.grows > 0;
        self.count_code(found.deepest, locals.saturating_add(params));
        // Each copy becomes code, so that many values carried by many branches make a small module
        // large. A branch of one value takes two bytes itself.
        let carried = found.copies.saturating_sub(size);
        self.over("carried_values", self.limits.carried_values, carried)
    }

    /// Returns the type for groups outside of all blocks of a function with several results, whose type has this
    /// index: one that was added for another function, or that has to be added if it is used.
    fn type_of_groups(&self, ty: u32) -> Option<Type> {
        let known = self.types_of_groups.get(usize::try_from(ty).ok()?);
        let (_, added) = self.info.changes.edits.types();
        let next = || Type::declared(self.types.len().saturating_add(added));
        known.copied().flatten().or_else(next)
    }

    /// Adds the type that [`type_of_groups`](Self::type_of_groups) returned, if it is new.
    fn keep_type_of_groups(&mut self, ty: Option<u32>, blocks: Option<Type>) {
        let Some(at) = ty.and_then(|ty| usize::try_from(ty).ok()) else {
            return;
        };
        let Some(declared) = self.types.get(at) else {
            return;
        };
        if declared.results.len() < 2 {
            return;
        }
        self.types_of_groups.resize(self.types.len(), None);
        if let Some(known @ None) = self.types_of_groups.get_mut(at) {
            *known = blocks;
            self.info.changes.edits.add_type(&declared.results);
            let types = &mut self.info.counts.types;
            *types = types.saturating_add(1);
        }
    }

    /// Makes room for the values, blocks and changes that the next operator adds. Returns how many operators
    /// there is room for that only push a value.
    pub(super) fn reserve(&mut self) -> Result<usize, Fault> {
        let (blocks, edits) = (self.groups.wanted(), self.info.changes.edits.wanted());
        let wanted = self
            .code
            .wanted()
            .saturating_add(blocks)
            .saturating_add(edits);
        if wanted > 0 {
            self.take(wanted)?;
            self.code.reserve();
            self.groups.reserve();
            self.info.changes.edits.reserve();
        }
        Ok(self.code.room())
    }

    /// Returns the declarations that the code refers to, and what measures it.
    pub(super) fn measuring(&mut self) -> (&mut Code, Known<'_>) {
        let known = Known {
            types: &self.types,
            functions: &self.functions,
            globals: &self.globals,
        };
        (&mut self.code, known)
    }

    /// Counts the function that was measured last: with its deepest nesting of blocks, and its locals
    /// and parameters.
    fn count_code(&mut self, nesting: usize, locals: usize) {
        let counts = &mut self.info.counts;
        counts.code.add(self.code.bytes);
        let largest = &mut counts.largest;
        largest.code = largest.code.max(self.code.bytes);
        for (most, found) in [
            (&mut largest.labels, self.code.labels),
            (&mut largest.branches, self.code.branches),
            (&mut largest.targets, self.code.targets),
            (&mut largest.values, self.code.deepest),
            (&mut largest.nesting, nesting),
            (&mut largest.locals, locals),
        ] {
            *most = (*most).max(found);
        }
    }

    /// Decides which operators become calls of functions that are added, once the memory's size and the
    /// data segments are known, and counts those functions.
    pub(super) fn split_bulk(&mut self) -> Result<(), Fault> {
        let (wasm, small) = (
            self.wasm,
            bulk::is_small(&self.info.memories, self.info.counts.grows),
        );
        let mut found = Vec::new();
        let large_data = &self.large_data;
        let mut splits = |at: u32| {
            let after = wasm.get(usize::try_from(at).unwrap_or(usize::MAX)..);
            let opcode = after.and_then(<[u8]>::first);
            if !matches!(opcode, Some(&(bulk::PREFIX | bulk::MEMORY_GROW))) {
                return true;
            }
            let bulk = after.and_then(Bulk::read).map(|(bulk, _)| bulk);
            let long = |bulk: &Bulk| match bulk {
                Bulk::Init(segment) => large_data.binary_search(segment).is_ok(),
                Bulk::Copy | Bulk::Fill | Bulk::Grow => true,
            };
            let Some(bulk) = bulk.filter(|bulk| !small && long(bulk)) else {
                return false;
            };
            if let Err(place) = found.binary_search(&bulk) {
                found.insert(place, bulk);
            }
            true
        };
        self.info.changes.edits.retain_operators(&mut splits);
        if found.is_empty() {
            return Ok(());
        }
        let memories = &self.info.memories;
        let defined = self.functions.len();
        let (_, more_types) = self.info.changes.edits.types();
        let functions = bulk::Functions::new(found, &self.types, more_types, memories, defined);
        let types = &mut self.info.counts.types;
        *types = types.saturating_add(functions.types.len());
        for (body, (bulk, _)) in functions.bodies().zip(&functions.bulk) {
            self.measure(&body, bulk.locals())?;
            self.info.changes.grows_in_parts |= *bulk == Bulk::Grow;
        }
        self.info.changes.functions = functions;
        Ok(())
    }

    /// Counts the code of a function that is added, with so many parameters and locals.
    fn measure(&mut self, body: &[u8], locals: usize) -> Result<(), Fault> {
        let mut operators = BinaryReader::new(body, 0);
        for _ in 0..operators.read_var_u32()? {
            operators.read_var_u32()?;
            operators.read::<wasmparser::ValType>()?;
        }
        // As if there were a result, which takes more.
        self.code.begin(&[ValType::I32]);
        let mut deepest = 0;
        let mut left = operators.read_bytes(operators.bytes_remaining())?;
        while let Some(opcode) = left.first().copied() {
            self.take(self.code.wanted())?;
            self.code.reserve();
            let (code, known) = self.measuring();
            let length = if let Some(found) = read(left) {
                code.common(opcode, found.immediate, known);
                found.length
            } else {
                let mut reader = BinaryReader::new(left, 0);
                code.operator(&reader.read_operator()?, known);
                reader.original_position()
            };
            left = left.get(length..).unwrap_or_default();
            deepest = deepest.max(self.code.nesting());
        }
        self.count_code(deepest, locals);
        Ok(())
    }
}
