//! hostel beside bare wasmi, in one run: `cargo run --release --manifest-path benches/Cargo.toml`.
//!
//! Both sides do the same work on the same module, take turns, and the best turn of each counts:
//! whatever else the machine does can only make a turn slower. What is printed are ratios; the
//! times beside them are this machine's.

mod bare;
mod concurrent;
mod customize;
mod fuel;
mod load;
mod turns;

fn main() {
    customize::run();
    load::run();
    concurrent::run();
    fuel::run();
}
