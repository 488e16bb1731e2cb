//! The body of a function that passes values between AssemblyScript and the canonical ABI.

use super::{
    core,
    names::member,
    types::{Types, getter, zero},
};
use std::mem;
use wit_bindgen_core::{
    abi::{Bindgen, Bitcast, Instruction, WasmType},
    wit_parser::{Alignment, ArchitectureSize, Resolve, SizeAlign, Type, TypeDefKind, TypeId},
};

/// A body that is being written. Operands are expressions without an effect: names and constants, conversions of them.
pub(super) struct Body<'a> {
    types: &'a Types<'a>,
    sizes: &'a SizeAlign,
    params: Vec<String>,
    /// The function that is called.
    called: String,
    lines: Vec<String>,
    /// Blocks that are open: the lines before each, and its number.
    open: Vec<(Vec<String>, usize)>,
    /// Blocks that are complete, in their order.
    done: Vec<Block>,
    /// Names that were given.
    given: usize,
    /// Whether blocks were allocated for a call of an import, to be freed after it.
    import: bool,
}

struct Block {
    lines: Vec<String>,
    results: Vec<String>,
    number: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        types: &'a Types<'a>,
        sizes: &'a SizeAlign,
        params: Vec<String>,
        called: String,
    ) -> Self {
        Self {
            types,
            sizes,
            params,
            import: called.starts_with("import_"),
            called,
            lines: Vec::new(),
            open: Vec::new(),
            done: Vec::new(),
            given: 0,
        }
    }

    pub(super) fn finish(self) -> String {
        let mut text = String::new();
        if self.import {
            text.push_str("  const kept_ = blocks.length;\n");
        }
        for line in self.lines {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }

    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn fresh(&mut self, stem: &str) -> String {
        self.given += 1;
        // No name of the WIT has a `_` within.
        format!("{stem}_{}", self.given)
    }

    /// Keeps a value that is used several times, or whose expression has an effect.
    fn keep(&mut self, stem: &str, value: &str) -> String {
        let name = self.fresh(stem);
        self.line(format!("const {name} = {value};"));
        name
    }

    /// Takes the last `count` blocks, in their order.
    fn blocks(&mut self, count: usize) -> Vec<Block> {
        self.done.split_off(self.done.len().saturating_sub(count))
    }

    fn add(&mut self, block: Vec<String>) {
        for line in block {
            self.line(format!("  {line}"));
        }
    }

    /// Writes a choice by `tag`: each block of `arms`, and a trap for any other.
    fn choose(&mut self, tag: &str, arms: Vec<Vec<String>>) {
        for (nth, arm) in arms.into_iter().enumerate() {
            let before = if nth == 0 { "" } else { "} else " };
            self.line(format!("{before}if ({tag} == {nth}) {{"));
            self.add(arm);
        }
        self.line("} else {");
        self.line("  unreachable();");
        self.line("}");
    }

    /// Lowers a value of several cases: `payload` gives the expression of the value of a case.
    fn lower_cases(
        &mut self,
        tag: &str,
        payloads: Vec<String>,
        results: &[WasmType],
        out: &mut Vec<String>,
    ) {
        let names: Vec<_> = results.iter().map(|_| self.fresh("flat")).collect();
        for (name, ty) in names.iter().zip(results) {
            self.line(format!("let {name}: {} = {};", core(*ty), zero(*ty)));
        }
        let blocks = self.blocks(payloads.len());
        let arms = blocks.into_iter().zip(payloads).map(|(block, payload)| {
            let mut lines = Vec::new();
            if !payload.is_empty() {
                lines.push(format!("const payload_{} = {payload};", block.number));
            }
            lines.extend(block.lines);
            let values = names.iter().zip(block.results);
            lines.extend(values.map(|(name, value)| format!("{name} = {value};")));
            lines
        });
        let arms = arms.collect();
        self.choose(tag, arms);
        out.extend(names);
    }

    /// Lifts a value of several cases: `make` gives the expression of a case with a value or none.
    fn lift_cases(
        &mut self,
        tag: &str,
        id: TypeId,
        count: usize,
        make: impl Fn(usize, Option<&String>) -> String,
    ) -> String {
        let ty = self.types.name(&Type::Id(id));
        let name = self.fresh("value");
        self.line(format!("let {name} = changetype<{ty}>(<usize>0);"));
        let blocks = self.blocks(count);
        let arms = blocks.into_iter().enumerate().map(|(nth, block)| {
            let made = make(nth, block.results.first());
            let mut lines = block.lines;
            lines.push(format!("{name} = {made};"));
            lines
        });
        let arms = arms.collect();
        self.choose(tag, arms);
        name
    }

    fn load(&mut self, ty: &str, offset: ArchitectureSize, from: &str, out: &mut Vec<String>) {
        let value = format!("load<{ty}>({from}, {})", offset.size_wasm32());
        out.push(self.keep("loaded", &value));
    }

    fn store(&mut self, ty: &str, offset: ArchitectureSize, operands: &[String]) {
        let [value, to] = operands else { return };
        self.line(format!(
            "store<{ty}>({to}, <{ty}>({value}), {});",
            offset.size_wasm32()
        ));
    }
}

impl Bindgen for Body<'_> {
    type Operand = String;

    fn emit(
        &mut self,
        resolve: &Resolve,
        instruction: &Instruction<'_>,
        operands: &mut Vec<String>,
        results: &mut Vec<String>,
    ) {
        use Instruction as I;
        let first = operands.first().cloned().unwrap_or_default();
        let second = operands.get(1).cloned().unwrap_or_default();
        let cast = |ty: &str| format!("<{ty}>{first}");
        match instruction {
            I::GetArg { nth } => results.push(self.params[*nth].clone()),
            I::I32Const { val } => results.push(format!("<i32>{val}")),
            I::ConstZero { tys } => results.extend(tys.iter().map(|ty| zero(*ty))),
            I::Bitcasts { casts } => {
                let values = operands.iter().zip(*casts);
                results.extend(values.map(|(value, cast)| bitcast(value, cast)));
            }
            I::I32Load { offset } => self.load("i32", *offset, &first, results),
            I::I32Load8U { offset } => self.load("u8", *offset, &first, results),
            I::I32Load8S { offset } => self.load("i8", *offset, &first, results),
            I::I32Load16U { offset } => self.load("u16", *offset, &first, results),
            I::I32Load16S { offset } => self.load("i16", *offset, &first, results),
            I::I64Load { offset } => self.load("i64", *offset, &first, results),
            I::F32Load { offset } => self.load("f32", *offset, &first, results),
            I::F64Load { offset } => self.load("f64", *offset, &first, results),
            I::PointerLoad { offset } | I::LengthLoad { offset } => {
                self.load("usize", *offset, &first, results);
            }
            I::I32Store { offset } => self.store("i32", *offset, operands),
            I::I32Store8 { offset } => self.store("u8", *offset, operands),
            I::I32Store16 { offset } => self.store("u16", *offset, operands),
            I::I64Store { offset } => self.store("i64", *offset, operands),
            I::F32Store { offset } => self.store("f32", *offset, operands),
            I::F64Store { offset } => self.store("f64", *offset, operands),
            I::PointerStore { offset } | I::LengthStore { offset } => {
                self.store("usize", *offset, operands);
            }
            I::I32FromChar
            | I::I32FromU32
            | I::I32FromS32
            | I::I32FromU16
            | I::I32FromS16
            | I::I32FromU8
            | I::I32FromS8
            | I::I32FromBool
            | I::EnumLower { .. }
            | I::FlagsLower { .. } => results.push(cast("i32")),
            I::I64FromU64 | I::I64FromS64 => results.push(cast("i64")),
            I::CoreF32FromF32 | I::CoreF64FromF64 | I::F32FromCoreF32 | I::F64FromCoreF64 => {
                results.push(first);
            }
            I::S8FromI32 => results.push(cast("i8")),
            I::U8FromI32 => results.push(cast("u8")),
            I::S16FromI32 => results.push(cast("i16")),
            I::U16FromI32 => results.push(cast("u16")),
            I::S32FromI32 => results.push(cast("i32")),
            I::U32FromI32 | I::CharFromI32 => results.push(cast("u32")),
            I::S64FromI64 => results.push(cast("i64")),
            I::U64FromI64 => results.push(cast("u64")),
            I::BoolFromI32 => results.push(format!("({first} != 0)")),
            I::EnumLift { ty, .. } | I::FlagsLift { ty, .. } => {
                results.push(format!("<{}>{first}", self.types.name(&Type::Id(*ty))));
            }
            I::StringLower { .. } => {
                let bytes = self.keep("utf", &format!("utf8({first})"));
                let length = format!("<usize>{bytes}.byteLength");
                let data = format!("lowerBytes(changetype<usize>({bytes}), {length})");
                let pointer = self.keep("data", &data);
                results.extend([pointer, length]);
            }
            I::ListCanonLower { element, .. } => {
                let length = format!("<usize>{first}.length");
                let size = self.sizes.size(element).size_wasm32();
                let data = format!("lowerBytes({first}.dataStart, {length} * {size})");
                let pointer = self.keep("data", &data);
                results.extend([pointer, length]);
            }
            I::ListLower { element, .. } => {
                let [block] = <[Block; 1]>::try_from(self.blocks(1))
                    .unwrap_or_else(|_| unreachable!("a block for elements"));
                let size = self.sizes.size(element).size_wasm32();
                let list = self.keep("list", &first);
                let pointer = self.keep("data", &format!("block(<usize>{list}.length * {size})"));
                let number = block.number;
                let index = format!("index_{number}");
                self.line(format!(
                    "for (let {index} = 0; {index} < {list}.length; ++{index}) {{"
                ));
                self.line(format!(
                    "  const base_{number} = {pointer} + <usize>{index} * {size};"
                ));
                self.line(format!("  const element_{number} = {list}[{index}];"));
                self.add(block.lines);
                self.line("}");
                results.extend([pointer, format!("<usize>{list}.length")]);
            }
            I::StringLift => {
                results.push(self.keep("text", &format!("liftString({first}, {second})")))
            }
            I::ListCanonLift { element, .. } => {
                let call = match element {
                    Type::U8 => format!("liftBytes({first}, {second})"),
                    _ => format!("liftArray<{}>({first}, {second})", self.types.name(element)),
                };
                results.push(self.keep("list", &call));
            }
            I::ListLift { element, .. } => {
                let [block] = <[Block; 1]>::try_from(self.blocks(1))
                    .unwrap_or_else(|_| unreachable!("a block for elements"));
                let size = self.sizes.size(element).size_wasm32();
                let pointer = self.keep("data", &first);
                let length = self.keep("length", &second);
                let list = self.keep(
                    "list",
                    &format!("new Array<{}>()", self.types.name(element)),
                );
                let number = block.number;
                let index = format!("index_{number}");
                self.line(format!(
                    "for (let {index}: usize = 0; {index} < {length}; ++{index}) {{"
                ));
                self.line(format!(
                    "  const base_{number} = {pointer} + <usize>{index} * {size};"
                ));
                self.add(block.lines);
                for value in block.results {
                    self.line(format!("  {list}.push({value});"));
                }
                self.line("}");
                self.line(format!("if ({length}) heap.free({pointer});"));
                results.push(list);
            }
            I::IterElem { .. } => results.push(format!("element_{}", self.number())),
            I::IterBasePointer => results.push(format!("base_{}", self.number())),
            I::RecordLower { record, .. } => {
                let fields = record.fields.iter();
                results.extend(fields.map(|field| format!("{first}.{}", member(&field.name))));
            }
            I::RecordLift { ty, .. } | I::TupleLift { ty, .. } => {
                let class = match instruction {
                    // The class of an alias can't be constructed.
                    I::TupleLift { .. } => self.types.structure(*ty),
                    _ => self.types.name(&Type::Id(*ty)),
                };
                let made = format!("new {class}({})", operands.join(", "));
                results.push(self.keep("value", &made));
            }
            I::TupleLower { tuple, .. } => {
                results.extend((0..tuple.types.len()).map(|nth| format!("{first}._{nth}")));
            }
            I::VariantPayloadName => results.push(format!("payload_{}", self.number())),
            I::VariantLower {
                variant,
                results: flat,
                ..
            } => {
                let value = self.keep("variant", &first);
                let payloads = variant.cases.iter().map(|case| match case.ty {
                    Some(_) => format!("{value}.{}", getter(&case.name)),
                    None => String::new(),
                });
                let payloads = payloads.collect();
                self.lower_cases(&format!("{value}.tag"), payloads, flat, results);
            }
            I::OptionLower { results: flat, .. } => {
                let value = self.keep("option", &first);
                let payloads = vec![String::new(), format!("{value}.value")];
                self.lower_cases(&format!("<i32>{value}.isSome"), payloads, flat, results);
            }
            I::ResultLower {
                result,
                results: flat,
                ..
            } => {
                let value = self.keep("result", &first);
                let payload = |ty: &Option<Type>, name: &str| match ty {
                    Some(_) => format!("{value}.{name}"),
                    None => String::new(),
                };
                let payloads = vec![payload(&result.ok, "value"), payload(&result.err, "error")];
                self.lower_cases(&format!("<i32>!{value}.isOk"), payloads, flat, results);
            }
            I::VariantLift { variant, ty, .. } => {
                let class = self.types.name(&Type::Id(*ty));
                let lifted = self.lift_cases(&first, *ty, variant.cases.len(), |nth, value| {
                    let case = member(&variant.cases[nth].name);
                    format!("{class}.{case}({})", value.map_or("", |value| value))
                });
                results.push(lifted);
            }
            I::OptionLift { payload, ty } => {
                let content = self.types.name(payload);
                let lifted = self.lift_cases(&first, *ty, 2, |_, value| match value {
                    Some(value) => format!("some<{content}>({value})"),
                    None => format!("none<{content}>()"),
                });
                results.push(lifted);
            }
            I::ResultLift { result, ty } => {
                let part = |ty: &Option<Type>| {
                    ty.as_ref()
                        .map_or("Unit".to_owned(), |ty| self.types.name(ty))
                };
                let parts = format!("{}, {}", part(&result.ok), part(&result.err));
                let lifted = self.lift_cases(&first, *ty, 2, |nth, value| {
                    let make = if nth == 0 { "ok" } else { "err" };
                    format!("{make}<{parts}>({})", value.map_or("0", |value| value))
                });
                results.push(lifted);
            }
            I::CallWasm { sig, .. } => {
                let call = format!("{}({})", self.called, operands.join(", "));
                match sig.results.is_empty() {
                    true => self.line(format!("{call};")),
                    false => results.push(self.keep("core", &call)),
                }
                self.line("release(kept_);");
            }
            I::CallInterface { func, .. } => {
                let call = format!("{}({})", self.called, operands.join(", "));
                match func.result {
                    None => self.line(format!("{call};")),
                    Some(_) => results.push(self.keep("result", &call)),
                }
            }
            I::Return { .. } => {
                if !operands.is_empty() {
                    self.line(format!("return {first};"));
                }
            }
            I::GuestDeallocate { .. } => self.line(format!("heap.free({first});")),
            I::Flush { amt } => results.extend(operands.drain(..*amt)),
            other => unreachable!(
                "{other:?}: refused by `Types`, or of no guest in {}",
                resolve.worlds.len()
            ),
        }
    }

    fn return_pointer(&mut self, size: ArchitectureSize, align: Alignment) -> String {
        let (size, align) = (size.size_wasm32(), align.align_wasm32());
        self.keep("area", &format!("memory.data({size}, {align})"))
    }

    fn push_block(&mut self) {
        self.given += 1;
        let number = self.given;
        self.open.push((mem::take(&mut self.lines), number));
    }

    fn finish_block(&mut self, operands: &mut Vec<String>) {
        let Some((before, number)) = self.open.pop() else {
            return;
        };
        let lines = mem::replace(&mut self.lines, before);
        let results = mem::take(operands);
        self.done.push(Block {
            lines,
            results,
            number,
        });
    }

    fn sizes(&self) -> &SizeAlign {
        self.sizes
    }

    /// Lists of numbers are copied as a whole.
    fn is_list_canonical(&self, resolve: &Resolve, element: &Type) -> bool {
        match element {
            Type::Bool | Type::Char | Type::String | Type::ErrorContext => false,
            Type::Id(id) => match &resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.is_list_canonical(resolve, ty),
                _ => false,
            },
            _ => true,
        }
    }
}

impl Body<'_> {
    /// Returns the number of the innermost block.
    fn number(&self) -> usize {
        self.open.last().map_or(0, |(_, number)| *number)
    }
}

fn bitcast(value: &str, cast: &Bitcast) -> String {
    match cast {
        Bitcast::F32ToI32 => format!("reinterpret<i32>({value})"),
        Bitcast::F64ToI64 => format!("reinterpret<i64>({value})"),
        Bitcast::I32ToI64 => format!("<i64>(<u32>({value}))"),
        Bitcast::F32ToI64 => format!("<i64>reinterpret<u32>({value})"),
        Bitcast::I32ToF32 => format!("reinterpret<f32>({value})"),
        Bitcast::I64ToF64 => format!("reinterpret<f64>({value})"),
        Bitcast::I64ToI32 | Bitcast::PToI32 | Bitcast::LToI32 => format!("<i32>({value})"),
        Bitcast::I64ToF32 => format!("reinterpret<f32>(<i32>({value}))"),
        Bitcast::P64ToI64 | Bitcast::I64ToP64 => value.to_owned(),
        Bitcast::PToP64 | Bitcast::LToI64 => format!("<i64>({value})"),
        Bitcast::P64ToP | Bitcast::I32ToP | Bitcast::I32ToL | Bitcast::I64ToL => {
            format!("<usize>({value})")
        }
        Bitcast::PToL | Bitcast::LToP | Bitcast::None => value.to_owned(),
        Bitcast::Sequence(both) => {
            let [before, after] = &**both;
            bitcast(&bitcast(value, before), after)
        }
    }
}
