//! What firmware relies on. A program of its own, to be built for 32 bits without the rest.

mod slots;
mod small_guests;
