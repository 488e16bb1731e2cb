//! C: what instances leave to each other: bytes, a stopped state, places in the pool.

mod places;
mod secrets;
mod stopped;

use crate::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    let files = [secrets::cases(), stopped::cases(), places::cases()];
    files.into_iter().flatten().collect()
}
