//! Splits a module into its sections, to replace some of them.

use alloc::vec::Vec;
use wasm_encoder::{RawSection, Section};
use wasmparser::Parser;

/// The ids of the sections in the order that a module must have; custom sections (0) can be anywhere.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/// All sections of a module in their order: the id, and the bytes with the header.
pub(super) struct Sections(Vec<(u8, Vec<u8>)>);

impl Sections {
    /// Splits `wasm`; `None` if it is not a module.
    pub(super) fn parse(wasm: &[u8]) -> Option<Self> {
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            if let Some((id, range)) = payload.ok()?.as_section() {
                let data = wasm.get(range)?;
                let mut bytes = Vec::with_capacity(data.len().saturating_add(6));
                RawSection { id, data }.append_to(&mut bytes);
                sections.push((id, bytes));
            }
        }
        Some(Self(sections))
    }

    /// Replaces the section of this kind, or inserts it at its place in the order.
    pub(super) fn set(&mut self, section: &impl Section) {
        let id = section.id();
        let mut bytes = Vec::new();
        section.append_to(&mut bytes);
        let sections = &mut self.0;
        if let Some((_, same)) = sections.iter_mut().find(|(other, _)| *other == id) {
            *same = bytes;
            return;
        }
        let rank = |id: u8| ORDER.iter().position(|other| *other == id);
        // It follows the last section that must come before it.
        let before = sections
            .iter()
            .rposition(|(other, _)| rank(*other).is_some_and(|other| Some(other) < rank(id)));
        sections.insert(
            before.map_or(0, |before| before.saturating_add(1)),
            (id, bytes),
        );
    }

    /// As [`set`](Self::set), but removes the section of this kind if `section` is empty.
    pub(super) fn set_or_remove(&mut self, section: &impl Section, empty: bool) {
        if empty {
            self.remove(section.id());
        } else {
            self.set(section);
        }
    }

    /// Removes the section with this id.
    pub(super) fn remove(&mut self, id: u8) {
        self.0.retain(|(other, _)| *other != id);
    }

    /// Joins the sections to a module.
    pub(super) fn into_module(self) -> Vec<u8> {
        let mut wasm = Vec::from(wasm_encoder::Module::HEADER);
        self.0
            .iter()
            .for_each(|(_, bytes)| wasm.extend_from_slice(bytes));
        wasm
    }
}
