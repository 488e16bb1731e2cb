//! What host work costs.

/// Fuel for one host call, and for one exchange of bytes with a guest, whatever its size.
pub(crate) const BASE: u64 = 20;

/// Fuel for reading, writing or scanning `bytes` bytes: one unit for each 64, rounded up, as
/// wasmi charges a guest's own bulk operations.
pub(crate) const fn fuel_for(bytes: usize) -> u64 {
    bytes.div_ceil(64) as u64
}
