//! What of the whole is kept: all that exports and start functions can reach.

use crate::{
    constant::Constant,
    uses::Uses,
    whole::{Place, Whole},
};

/// What is kept, by the numbers of the whole.
pub(crate) struct Kept {
    pub(crate) functions: Vec<bool>,
    pub(crate) tables: Vec<bool>,
    pub(crate) memories: Vec<bool>,
    pub(crate) globals: Vec<bool>,
    pub(crate) elements: Vec<bool>,
    pub(crate) data: Vec<bool>,
    /// Functions of which code takes a reference.
    pub(crate) references: Vec<usize>,
}

/// Finds what the functions `roots`, the start functions and `memories` reach.
pub(crate) fn reach(
    whole: &Whole<'_>,
    uses: &[Uses],
    roots: impl Iterator<Item = usize>,
    memories: &[usize],
) -> Kept {
    let mut search = Search {
        whole,
        elements_of: places(whole.tables.len(), whole.elements.iter().map(|of| of.place)),
        data_of: places(whole.memories.len(), whole.data.iter().map(|of| of.place)),
        kept: Kept {
            functions: vec![false; whole.functions.len()],
            tables: vec![false; whole.tables.len()],
            memories: vec![false; whole.memories.len()],
            globals: vec![false; whole.globals.len()],
            elements: vec![false; whole.elements.len()],
            data: vec![false; whole.data.len()],
            references: Vec::new(),
        },
        open: Vec::new(),
    };
    let starts = whole.starts.iter().map(|(_, function)| *function);
    roots
        .chain(starts)
        .for_each(|function| search.function(function));
    memories.iter().for_each(|memory| search.memory(*memory));
    while let Some(function) = search.open.pop() {
        let uses = &uses[function];
        uses.functions
            .iter()
            .for_each(|used| search.function(*used));
        uses.tables.iter().for_each(|used| search.table(*used));
        uses.memories.iter().for_each(|used| search.memory(*used));
        uses.globals.iter().for_each(|used| search.global(*used));
        uses.elements.iter().for_each(|used| search.elements(*used));
        uses.data
            .iter()
            .for_each(|used| search.kept.data[*used] = true);
        let references = uses.references.iter().map(|used| whole.target(*used));
        search.kept.references.extend(references);
    }
    search.kept.references.sort_unstable();
    search.kept.references.dedup();
    search.kept
}

/// Returns the segments of each memory or table.
fn places(targets: usize, places: impl Iterator<Item = Place>) -> Vec<Vec<usize>> {
    let mut segments = vec![Vec::new(); targets];
    for (segment, place) in places.enumerate() {
        if let Place::At(target, _) = place {
            segments[target].push(segment);
        }
    }
    segments
}

struct Search<'w, 'a> {
    whole: &'w Whole<'a>,
    elements_of: Vec<Vec<usize>>,
    data_of: Vec<Vec<usize>>,
    kept: Kept,
    /// Functions whose code is still to be looked at.
    open: Vec<usize>,
}

impl Search<'_, '_> {
    fn function(&mut self, function: usize) {
        let function = self.whole.target(function);
        if !std::mem::replace(&mut self.kept.functions[function], true) {
            self.open.push(function);
        }
    }

    fn table(&mut self, table: usize) {
        if !std::mem::replace(&mut self.kept.tables[table], true) {
            for segment in std::mem::take(&mut self.elements_of[table]) {
                self.elements(segment);
            }
        }
    }

    fn memory(&mut self, memory: usize) {
        if !std::mem::replace(&mut self.kept.memories[memory], true) {
            for segment in std::mem::take(&mut self.data_of[memory]) {
                self.kept.data[segment] = true;
            }
        }
    }

    fn global(&mut self, global: usize) {
        if !std::mem::replace(&mut self.kept.globals[global], true) {
            self.constant(self.whole.globals[global].value);
        }
    }

    fn elements(&mut self, segment: usize) {
        if !std::mem::replace(&mut self.kept.elements[segment], true) {
            let whole = self.whole;
            for item in &whole.elements[segment].items {
                self.constant(*item);
            }
        }
    }

    fn constant(&mut self, constant: Constant) {
        if let Constant::Function(function) = constant {
            self.function(function);
        }
    }
}
