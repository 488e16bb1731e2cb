//! The `hostel` program.

fn main() {}
