//! Mappings are lent to one store at a time, tell all that was written, and leave nothing to the next.

#![cfg(any(all(target_os = "linux", target_pointer_width = "64"), miri))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::multiple_unsafe_ops_per_block
)]

use hostel_mappings::{Mapped, Mappings, Refused};
use std::thread;
use wasmi::{Engine, Memory, Store};

const PAGE: u64 = 65_536;

fn mappings() -> Mappings {
    Mappings::new().expect("the tests need a /proc that tells pages")
}

/// A store with a memory of `pages` to 20 pages of 1 KiB under Miri, and of 64 KiB else.
fn open(mappings: &Mappings, pages: u64) -> (Store<()>, Mapped) {
    let mut store = Store::new(&Engine::default(), ());
    let (unit, page) = if cfg!(miri) { (1_024, 1) } else { (1, PAGE) };
    let room = usize::try_from(20 * unit * page).unwrap();
    let mapped = mappings.memory(&mut store, pages * unit, Some(20 * unit), page, room);
    (store, mapped.unwrap())
}

/// Returns whether all `bytes` are `value`: quicker than looking at each in a debug build.
fn all(bytes: &[u8], value: u8) -> bool {
    bytes == vec![value; bytes.len()]
}

fn runs(store: &Store<()>, mapped: &Mapped) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let length = mapped.memory().data_size(store);
    assert!(mapped.written(length, &mut |run| runs.push(run)));
    runs
}

#[test]
fn all_that_was_written_is_told_and_little_else() {
    let mappings = mappings();
    let (mut store, mapped) = open(&mappings, 17);
    let memory = mapped.memory();
    let size = memory.data_size(&store);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % bound
    };
    for round in 0..if cfg!(miri) { 3 } else { 100 } {
        assert!(mapped.release(memory.data_mut(&mut store)));
        assert!(all(memory.data(&store), 0));
        if !cfg!(miri) {
            // Reading all of it has written nothing, but some kernels can't tell.
            assert!(mapped.release(memory.data_mut(&mut store)));
            assert_eq!(runs(&store, &mapped), []);
        }
        // Up to all pages, so that there are more runs than fit into one answer of the system.
        let writes = [1, 8, 100, 400][round % 4];
        for _ in 0..writes {
            memory.data_mut(&mut store)[below(size)] = 1;
        }
        let found = runs(&store, &mapped);
        assert!(found.iter().all(|run| !run.is_empty() && run.end <= size));
        assert!(found.windows(2).all(|two| two[0].end < two[1].start));
        let bytes: usize = found.iter().map(ExactSizeIterator::len).sum();
        assert!(cfg!(miri) || bytes <= writes * 4_096, "{round}");
        let mut rest = memory.data(&store).to_vec();
        for run in found {
            rest[run].fill(0);
        }
        assert!(all(&rest, 0), "{round}");
    }
}

#[test]
fn nothing_of_a_former_user_is_left_and_mappings_are_reused() {
    let mappings = mappings();
    for round in 1..4 {
        let (mut store, mapped) = open(&mappings, 2);
        let memory = mapped.memory();
        assert!(all(memory.data(&store), 0));
        let start = memory.data_ptr(&store);
        let rest = memory.ty(&store).maximum().unwrap() - memory.size(&store);
        memory.grow(&mut store, rest).unwrap();
        assert_eq!(memory.data_ptr(&store), start);
        assert!(all(memory.data(&store), 0));
        assert!(memory.grow(&mut store, 1).is_err());
        memory.data_mut(&mut store).fill(round);
        assert_eq!(mappings.kept(), 0);
        // Both the store and the handle hold it.
        if round == 1 {
            drop(store);
            assert_eq!(mappings.kept(), 0);
            drop(mapped);
        } else {
            drop(mapped);
            assert_eq!(mappings.kept(), 0);
            assert!(all(memory.data(&store), round));
            drop(store);
        }
        assert_eq!(mappings.kept(), 1);
    }
    let held: Vec<_> = (0..20).map(|_| open(&mappings, 1)).collect();
    assert_eq!(mappings.kept(), 0);
    // A size that is too small is no danger.
    held.iter().for_each(|(_, mapped)| mapped.note_size(1));
    drop(held);
    assert_eq!(mappings.kept(), 16);
    let (store, mapped) = open(&mappings, 17);
    assert!(all(mapped.memory().data(&store), 0));
}

#[test]
fn only_whole_pages_of_the_own_memory_are_given_back() {
    let mappings = mappings();
    let (mut store, mapped) = open(&mappings, 2);
    let (mut other, foreign) = open(&mappings, 2);
    mapped.memory().data_mut(&mut store).fill(1);
    foreign.memory().data_mut(&mut other).fill(2);
    assert!(!mapped.release(foreign.memory().data_mut(&mut other)));
    assert!(!mapped.release(&mut mapped.memory().data_mut(&mut store)[64..]));
    assert!(!mapped.release(&mut [3; 100]));
    assert!(all(foreign.memory().data(&other), 2));
    assert!(all(mapped.memory().data(&store), 1));
    // A part that ends within a page: no byte behind it changes.
    let (part, rest) = mapped.memory().data_mut(&mut store).split_at_mut(1_001);
    assert!(mapped.release(part));
    assert!(all(part, 0));
    assert!(all(rest, 1));
    assert!(!mapped.written(usize::MAX, &mut |_| panic!("more than the mapping has")));
}

#[test]
fn a_memory_that_is_larger_than_its_room_is_refused() {
    let mappings = mappings();
    let mut store = Store::new(&Engine::default(), ());
    let mut memory = |pages, most, page, room| {
        let mapped = mappings.memory(&mut store, pages, most, page, room);
        mapped.map(|mapped| mapped.memory())
    };
    assert!(memory(100, None, 1, 4_096).is_ok());
    assert!(memory(100_000, None, 1, 4_096).is_err());
    assert!(memory(3, Some(2), 1, 4_096).is_err());
    assert!(memory(1, Some(2), 65_537, 4_096).is_err());
    assert!(memory(1, None, 1, usize::MAX).is_err());
    assert_eq!(
        memory(0, None, 1, 0).map(|_: Memory| ()),
        Ok::<_, Refused>(())
    );
}

#[test]
fn threads_never_share_a_mapping() {
    let mappings = mappings();
    thread::scope(|scope| {
        for thread in 1..4 {
            let mappings = &mappings;
            scope.spawn(move || {
                for _ in 0..if cfg!(miri) { 2 } else { 200 } {
                    let (mut store, mapped) = open(mappings, 1);
                    let memory = mapped.memory();
                    assert!(all(memory.data(&store), 0));
                    memory.data_mut(&mut store).fill(thread);
                    thread::yield_now();
                    assert!(all(memory.data(&store), thread));
                    drop((store, mapped));
                }
            });
        }
    });
    assert!((1..=3).contains(&mappings.kept()));
}

/// The kernel has put the pages out of the memory if there is swap; without it, it left them. Either way they
/// are told.
#[cfg(not(miri))]
#[test]
fn pages_that_the_system_moves_are_told() {
    let mappings = mappings();
    let (mut store, mapped) = open(&mappings, 17);
    let memory = mapped.memory();
    for advice in [libc::MADV_PAGEOUT, libc::MADV_COLD, libc::MADV_MERGEABLE] {
        assert!(mapped.release(memory.data_mut(&mut store)));
        for page in [0, 7, 100] {
            memory.data_mut(&mut store)[page * 4_096] = 1;
        }
        let data = memory.data_mut(&mut store);
        // SAFETY: the advice changes no byte.
        unsafe { libc::madvise(data.as_mut_ptr().cast(), data.len(), advice) };
        let found = runs(&store, &mapped);
        for page in [0, 7, 100] {
            assert!(found.iter().any(|run| run.contains(&(page * 4_096))));
        }
    }
}

/// In a child, the open page table shows the parent's pages, so nothing is told.
#[cfg(not(miri))]
#[test]
fn a_child_of_the_process_is_told_nothing() {
    let mappings = mappings();
    let (mut store, mapped) = open(&mappings, 17);
    let memory = mapped.memory();
    assert!(mapped.release(memory.data_mut(&mut store)));
    // SAFETY: the child allocates nothing, and ends without running anything of its parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        memory.data_mut(&mut store)[0] = 1;
        let told = mapped.written(17 * 65_536, &mut |_| {});
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(told)) };
    }
    assert!(child > 0);
    let mut status = -1;
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(mapped.written(17 * 65_536, &mut |_| {}));
}

#[cfg(not(miri))]
#[test]
fn contents_are_shared_until_they_are_written() {
    let mappings = mappings();
    let size = usize::try_from(17 * PAGE).unwrap();
    let part: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8 + 1).collect();
    let mut expected = vec![0; size];
    expected[12_288..][..part.len()].copy_from_slice(&part);
    let contents = hostel_mappings::Contents::new(size, [(12_288, &*part)].into_iter());
    let contents = contents.expect("the tests need files in memory");
    let mut opened: Vec<_> = (0..3).map(|_| open(&mappings, 17)).collect();
    for (store, mapped) in &mut opened {
        // As the interpreter writes a new memory.
        mapped.memory().data_mut(&mut *store).fill(9);
        assert!(mapped.place(mapped.memory().data_mut(&mut *store), &contents));
        assert!(mapped.memory().data(&*store) == expected);
        assert_eq!(runs(store, mapped), []);
    }
    let mut random = 1usize;
    for round in 0..200 {
        let (store, mapped) = &mut opened[round % 3];
        let memory = mapped.memory();
        for _ in 0..round % 7 {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            memory.data_mut(&mut *store)[random % size] = round as u8;
        }
        // What is not told is as in the contents.
        let runs = runs(store, mapped);
        for run in &runs {
            memory.data_mut(&mut *store)[run.clone()].copy_from_slice(&expected[run.clone()]);
        }
        assert!(memory.data(&*store) == expected, "round {round}: {runs:?}");
        if round % 50 == 0 {
            memory.data_mut(&mut *store).fill(7);
            assert!(mapped.release(memory.data_mut(&mut *store)));
            assert!(memory.data(&*store) == expected);
        }
    }
    // Growing adds zeros.
    let (store, mapped) = &mut opened[0];
    mapped.memory().grow(&mut *store, 1).unwrap();
    assert!(all(&mapped.memory().data(&*store)[size..], 0));
    // Another size, and another memory, are refused.
    let other = hostel_mappings::Contents::new(size - 65_536, std::iter::empty()).unwrap();
    let (store, mapped) = &mut opened[1];
    assert!(!mapped.place(mapped.memory().data_mut(&mut *store), &other));
    assert!(!mapped.place(&mut vec![0; size], &contents));
    assert!(mapped.memory().data(&*store) == expected);
    assert!(hostel_mappings::Contents::new(100, std::iter::empty()).is_none());
    assert!(hostel_mappings::Contents::new(4_096, [(4_000, &[1; 100][..])].into_iter()).is_none());
    drop(opened);
    assert_eq!(
        mappings.kept(),
        0,
        "a mapping with contents is not used again"
    );
    let (mut store, mapped) = open(&mappings, 17);
    assert!(all(mapped.memory().data_mut(&mut store), 0));
}
