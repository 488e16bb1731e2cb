use crate::heap::Counting;

#[global_allocator]
pub static HEAP: Counting = Counting::new();

pub fn start() {
    const SIZE: usize = 192 << 10;
    static mut MEMORY: [u8; SIZE] = [0; SIZE];
    unsafe { HEAP.init(&raw mut MEMORY as *mut u8, SIZE) }
}
