//! Functions that no module has: allocation for several allocators, and the start function.

use crate::{
    constant::Constant,
    error::LowerError,
    reach::Kept,
    whole::{Code, Global, Place, Whole},
};
use wasmparser::{FuncType, GlobalType, ValType};

/// Most functions that allocate for host functions.
const MOST_ALLOCATORS: usize = 20;

/// An instruction of a made function. Numbers are those of the whole.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Local(u32),
    Number(i32),
    GlobalGet(usize),
    GlobalSet(usize),
    Call(usize),
    /// Compares two numbers, and opens a choice that gives a number.
    IfEqual,
    Else,
    End,
    MemoryInit {
        memory: usize,
        data: usize,
    },
    DataDrop(usize),
    TableInit {
        table: usize,
        elements: usize,
    },
    ElementsDrop(usize),
}

/// Gives each host function that allocates the allocator of its caller, through one exported function. Returns
/// that function, if something allocates. `own` allocates for the exports.
///
/// A component may name an allocator for each function, a module has only one. With several of them, a global
/// variable tells for which host function memory is allocated. It is reset when that function returns; if it
/// traps instead, nothing runs in the guest any more.
pub(crate) fn allocator(
    whole: &mut Whole<'_>,
    own: Option<usize>,
    kept: &Kept,
) -> Result<Option<usize>, LowerError> {
    let mut allocators: Vec<usize> = own.into_iter().collect();
    for (function, kept) in whole.functions.iter().zip(&kept.functions) {
        if let Code::Allocating { realloc, .. } = function.code
            && *kept
            && !allocators.contains(&realloc)
        {
            allocators.push(realloc);
            LowerError::at_most("allocators", MOST_ALLOCATORS, allocators.len())?;
        }
    }
    let [first, others @ ..] = allocators.as_slice() else {
        return Ok(None);
    };
    let which = (!others.is_empty()).then(|| {
        let ty = GlobalType {
            content_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        let value = Constant::I32(0);
        whole.globals.push(Global { ty, value });
        whole.globals.len() - 1
    });
    for function in &mut whole.functions {
        let Code::Allocating { import, realloc } = function.code else {
            continue;
        };
        let number = allocators.iter().position(|known| *known == realloc);
        function.code = match (which, number) {
            (Some(which), Some(number)) if number > 0 => {
                let mut ops = vec![Op::Number(small(number)), Op::GlobalSet(which)];
                ops.extend((0..params(&function.ty)).map(Op::Local));
                ops.extend([Op::Call(import), Op::Number(0), Op::GlobalSet(which)]);
                Code::Made(ops)
            }
            _ => Code::Same(import),
        };
    }
    let Some(which) = which else {
        return Ok(Some(*first));
    };
    let arguments = [0, 1, 2, 3].map(Op::Local);
    let mut ops = Vec::new();
    for (number, realloc) in others.iter().enumerate() {
        ops.extend([
            Op::GlobalGet(which),
            Op::Number(small(number + 1)),
            Op::IfEqual,
        ]);
        ops.extend(arguments);
        ops.extend([Op::Call(*realloc), Op::Else]);
    }
    ops.extend(arguments);
    ops.push(Op::Call(*first));
    ops.extend(others.iter().map(|_| Op::End));
    let ty = FuncType::new([ValType::I32; 4], [ValType::I32]);
    Ok(Some(whole.add(ty, Code::Made(ops))))
}

/// Returns the function that runs when the module is instantiated, if there is one.
///
/// A module fills its memory and tables before its start function runs. Segments of instances that are made
/// after a start function ran would come too early then: they become passive, and the start function copies
/// them in their turn, if they are kept at all.
pub(crate) fn start(whole: &mut Whole<'_>, kept: &mut Kept) -> Option<usize> {
    let starts = whole.starts.clone();
    let (first, _) = *starts.first()?;
    let mut ops = Vec::new();
    let mut starts = starts.into_iter().peekable();
    let (mut elements, mut data) = (0, 0);
    for part in first..whole.parts.len() {
        while let Some(segment) = whole.elements.get_mut(elements)
            && segment.part <= part
        {
            if segment.part > first
                && kept.elements[elements]
                && let Some(table) = late(&mut segment.place, &mut ops)
            {
                ops.extend([Op::Number(0), Op::Number(small(segment.items.len()))]);
                ops.push(Op::TableInit { table, elements });
                ops.push(Op::ElementsDrop(elements));
            }
            elements += 1;
        }
        while let Some(segment) = whole.data.get_mut(data)
            && segment.part <= part
        {
            if segment.part > first
                && kept.data[data]
                && let Some(memory) = late(&mut segment.place, &mut ops)
            {
                ops.extend([Op::Number(0), Op::Number(small(segment.bytes.len()))]);
                ops.push(Op::MemoryInit { memory, data });
                ops.push(Op::DataDrop(data));
            }
            data += 1;
        }
        if let Some((_, function)) = starts.next_if(|(of, _)| *of == part) {
            ops.push(Op::Call(function));
        }
    }
    if let [Op::Call(only)] = ops.as_slice() {
        return Some(*only);
    }
    kept.functions.push(true);
    Some(whole.add(FuncType::new([], []), Code::Made(ops)))
}

/// Makes an active segment passive: pushes its address, and returns its place.
fn late(place: &mut Place, ops: &mut Vec<Op>) -> Option<usize> {
    let Place::At(target, Constant::I32(at)) = *place else {
        return None;
    };
    ops.push(Op::Number(at));
    *place = Place::Passive;
    Some(target)
}

/// Number of a function's parameters.
fn params(ty: &FuncType) -> u32 {
    u32::try_from(ty.params().len()).unwrap_or(u32::MAX)
}

/// Sizes are bounded by those of the component.
fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
