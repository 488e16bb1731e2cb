//! [`Answer`]: bytes, nothing, or an error of which the guest is told.

use crate::{
    error::CallError,
    marshal::{ERROR_BIT, FlatCounts, Lower, Lowerer, Types},
};
use alloc::string::String;

/// The result of a service: bytes, nothing, or the text of an error. Lowered as a guest's own results are: an error
/// has [`ERROR_BIT`] set in its length.
pub(super) struct Answer<B>(pub(super) Result<Option<B>, String>);

impl<B: AsRef<[u8]>> Lower for Answer<B> {
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        types.push_bytes();
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        match &self.0 {
            Ok(None) => to.zeros(Self::types),
            Ok(Some(bytes)) => {
                let asked = bytes.as_ref().len();
                // Such a length has the error bit set, so the guest would read an error.
                if asked >= ERROR_BIT as usize {
                    return Err(CallError::NoMemory { asked });
                }
                to.bytes(bytes.as_ref())
            }
            Err(error) => to.error(error.clone()),
        }
    }
}
