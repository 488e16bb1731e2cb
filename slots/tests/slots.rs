//! Slots are lent to one store at a time, and nothing is left in them.

use hostel_slots::{NoSlot, Slots};
use std::thread;
use wasmi::{Engine, Memory, MemoryType, MemoryTypeBuilder, Store};

fn bytes(min: u64, max: Option<u64>) -> MemoryType {
    let mut ty = MemoryTypeBuilder::new();
    ty.min(min).max(max).page_size_log2(0);
    ty.build().unwrap()
}

/// A store with a memory of `min` to 64 bytes.
fn open(slots: &Slots, min: u64) -> Result<(Store<()>, Memory), NoSlot> {
    let mut store = Store::new(&Engine::default(), ());
    let memory = slots.memory(&mut store, bytes(min, Some(64)), min as usize)?;
    Ok((store, memory))
}

#[test]
fn the_smallest_that_fits_is_lent_and_given_back() {
    let buffers = [64, 16, 32].map(|size| vec![7; size].leak());
    let slots = Slots::new(buffers);
    assert_eq!((slots.free(), slots.largest()), (3, 64));
    let (small, _) = open(&slots, 10).unwrap();
    let (middle, memory) = open(&slots, 10).unwrap();
    assert_eq!(memory.data(&middle), [0; 10]);
    let large = open(&slots, 10).unwrap();
    assert_eq!(open(&slots, 10).unwrap_err(), NoSlot { needed: 10 });
    drop(small);
    assert_eq!(open(&slots, 17).unwrap_err(), NoSlot { needed: 17 });
    assert_eq!(slots.free(), 1);
    drop((middle, large));
    assert_eq!(slots.free(), 3);
}

#[test]
fn nothing_of_a_former_user_is_left() {
    let slots = Slots::split(vec![7; 40].leak(), 32);
    assert_eq!(slots.free(), 1);
    for round in 1..4 {
        let (mut store, memory) = open(&slots, 8).unwrap();
        assert_eq!(memory.data(&store), [0; 8]);
        assert_eq!(memory.grow(&mut store, 24).ok(), Some(8));
        assert_eq!(memory.data(&store), [0; 32]);
        assert!(memory.grow(&mut store, 1).is_err());
        memory.data_mut(&mut store).fill(round);
    }
}

#[test]
fn stores_that_change_places_keep_their_slots() {
    let slots = Slots::split(vec![0; 32].leak(), 16);
    let (mut one, first) = open(&slots, 16).unwrap();
    let (mut other, second) = open(&slots, 16).unwrap();
    first.data_mut(&mut one).fill(1);
    second.data_mut(&mut other).fill(2);
    std::mem::swap(&mut one, &mut other);
    drop(one);
    assert_eq!(slots.free(), 1);
    let (_third, _) = open(&slots, 16).unwrap();
    assert_eq!(first.data(&other), [1; 16]);
}

#[test]
fn threads_never_share_a_slot() {
    let slots = Slots::split(vec![0; 64].leak(), 32);
    let rounds = if cfg!(miri) { 5 } else { 500 };
    thread::scope(|scope| {
        for thread in 1..4 {
            let slots = &slots;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let Ok((mut store, memory)) = open(slots, 32) else {
                        continue;
                    };
                    assert_eq!(memory.data(&store), [0; 32]);
                    memory.data_mut(&mut store).fill(thread);
                    thread::yield_now();
                    assert_eq!(memory.data(&store), [thread; 32]);
                }
            });
        }
    });
    assert_eq!(slots.free(), 2);
}
