//! Systems without such mappings: nothing here is ever made.

use std::{convert::Infallible, ops::Range};

pub(crate) struct Pages(Infallible);

impl Pages {
    pub(crate) const fn new() -> Option<Self> {
        None
    }

    pub(crate) const fn written(
        &self,
        _region: &Region,
        _length: usize,
        _placed: bool,
        _visit: &mut dyn FnMut(Range<usize>),
    ) -> bool {
        match self.0 {}
    }

    pub(crate) const fn tells_files(&self) -> bool {
        match self.0 {}
    }
}

pub(crate) struct Contents(Infallible);

impl Contents {
    pub(crate) fn new<'a>(_: usize, _: impl Iterator<Item = (usize, &'a [u8])>) -> Option<Self> {
        None
    }
}

pub(crate) struct Region(Infallible);

impl Region {
    pub(crate) const fn new(_size: usize) -> Option<Self> {
        None
    }

    pub(crate) const fn start(&self) -> *mut u8 {
        match self.0 {}
    }

    pub(crate) const fn size(&self) -> usize {
        match self.0 {}
    }

    pub(crate) const fn populate(&self, _bytes: usize) {
        match self.0 {}
    }

    pub(crate) const fn release_borrowed(&self, _pages: &mut [u8]) -> bool {
        match self.0 {}
    }

    pub(crate) const fn place(&self, _pages: &mut [u8], _contents: &Contents) -> bool {
        match self.0 {}
    }

    pub(crate) const fn release(&self, _part: Range<usize>) -> bool {
        match self.0 {}
    }
}

/// Returns the bytes of a page of the system.
pub(crate) const fn page() -> usize {
    4_096
}
