//! Calls through tables that never change become direct calls.
//!
//! A component whose imports need the guest's memory can't import them before that memory exists. So
//! wit-component adds a module of shims, each of which calls an entry of a table, and a module that fills the
//! table once the memory is there. In one module, both are superfluous.

use crate::{
    constant::Constant,
    uses::Uses,
    whole::{Code, Place, Whole, at_index},
};
use std::collections::{HashMap, HashSet};
use wasmparser::{FunctionBody, Operator};

/// Makes functions that only call an entry of a table stand for that entry, if nothing changes the table
/// after its segments filled it.
///
/// Calls that would trap before the table was filled run the function.
pub(crate) fn resolve(whole: &mut Whole<'_>, uses: &[Uses]) {
    let contents = contents(whole, uses);
    let mut same = HashMap::new();
    for (number, function) in whole.functions.iter().enumerate() {
        let Code::Body { part, body } = &function.code else {
            continue;
        };
        let Some(part) = whole.parts.get(*part) else {
            continue;
        };
        let Some((ty, table, entry)) = forwarded(body, function.ty.params().len()) else {
            continue;
        };
        let (Ok(ty), Ok(table)) = (at_index(&part.types, ty), at_index(&part.tables, table)) else {
            continue;
        };
        let target = contents
            .get(table)
            .and_then(|entries| entries.get(&entry).copied().flatten());
        if let Some(target) = target
            && *ty == function.ty
            && whole
                .functions
                .get(target)
                .is_some_and(|found| found.ty == *ty)
        {
            same.insert(number, target);
        }
    }
    for (function, target) in settled(&same) {
        whole.functions[function].code = Code::Same(target);
    }
}

/// Returns where each chain of functions that stand for one another ends. Those that stand for one another in a
/// circle recurse for ever, and go on to do so.
fn settled(same: &HashMap<usize, usize>) -> Vec<(usize, usize)> {
    // Of a function that is being followed, there is no end yet.
    let mut ends: HashMap<usize, Option<usize>> = HashMap::new();
    for first in same.keys() {
        let (mut path, mut at) = (Vec::new(), *first);
        let end = loop {
            if let Some(known) = ends.get(&at) {
                break *known;
            }
            let Some(next) = same.get(&at) else {
                break Some(at);
            };
            ends.insert(at, None);
            path.push(at);
            at = *next;
        };
        ends.extend(path.into_iter().map(|function| (function, end)));
    }
    let found = ends
        .into_iter()
        .filter_map(|(function, end)| Some((function, end?)));
    found.collect()
}

/// Returns the entries of the tables that hold what their segments put there, and nothing else.
fn contents(whole: &Whole<'_>, uses: &[Uses]) -> HashMap<usize, HashMap<u32, Option<usize>>> {
    let changed: HashSet<_> = uses.iter().flat_map(|uses| &uses.changed_tables).collect();
    let tables = 0..whole.tables.len();
    let mut contents: HashMap<_, _> = tables
        .filter(|table| !changed.contains(table))
        .map(|table| (table, HashMap::new()))
        .collect();
    for segment in &whole.elements {
        let Place::At(table, at) = segment.place else {
            continue;
        };
        let Some(entries) = contents.get_mut(&table) else {
            continue;
        };
        let size = whole.tables.get(table).map_or(0, |ty| ty.initial);
        let start = match at {
            Constant::I32(at) => u64::from(at.cast_unsigned()),
            _ => u64::MAX,
        };
        if start.saturating_add(segment.items.len() as u64) > size {
            // No instance can be made.
            contents.remove(&table);
            continue;
        }
        for (entry, item) in (start..size).zip(&segment.items) {
            let function = match item {
                Constant::Function(function) => Some(*function),
                _ => None,
            };
            entries.insert(u32::try_from(entry).unwrap_or(u32::MAX), function);
        }
    }
    contents
}

/// Returns the type, table and entry of the call that is all that a function does with its parameters.
fn forwarded(body: &FunctionBody<'_>, params: usize) -> Option<(u32, u32, u32)> {
    if body.get_locals_reader().ok()?.get_count() > 0 {
        return None;
    }
    let mut operators = body.get_operators_reader().ok()?;
    for param in 0..params {
        match operators.read().ok()? {
            Operator::LocalGet { local_index } if u32::try_from(param) == Ok(local_index) => {}
            _ => return None,
        }
    }
    let Operator::I32Const { value } = operators.read().ok()? else {
        return None;
    };
    let Operator::CallIndirect {
        type_index,
        table_index,
    } = operators.read().ok()?
    else {
        return None;
    };
    match operators.read().ok()? {
        Operator::End if operators.eof() => Some((type_index, table_index, value.cast_unsigned())),
        _ => None,
    }
}
