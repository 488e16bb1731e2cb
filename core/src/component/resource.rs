//! Handles to resources, by component instance.

use super::types::ResourceId;

/// A handle to a resource, as the embedder holds it.
///
/// A resource of the embedder has the number that its host functions gave it. A resource of the guest has the
/// number of an entry in the instance's table of handles that the host holds. Such a handle is valid until it
/// is passed to the guest as its own, dropped, or the instance is reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) ty: ResourceId,
    pub(crate) number: u32,
    /// Whether the holder owns the resource.
    pub(crate) owned: bool,
}
