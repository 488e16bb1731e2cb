//! Interfaces of host functions for core modules with a contract that the host knows.

use super::Grants;
use crate::component::FixedInterface;

impl<T: 'static> Grants<T> {
    /// Grants the functions of an interface to core modules with a contract, which [`Engine::load`](crate::Engine::load)
    /// then loads: see [`with_fixed_contract`](Self::with_fixed_contract).
    #[must_use]
    pub fn fixed(mut self, interface: FixedInterface<T>) -> Self {
        let (module, functions) = interface.into_parts();
        for (name, function) in functions {
            self.insert(&module, &name, function);
        }
        self.with_fixed_contract()
    }

    /// Says that the plugin is a core module with a contract, whose types the host knows without reading them: such as
    /// `hostel lower` makes. Its exports are those of the canonical ABI, for
    /// [`Instance::call_fixed`](crate::Instance::call_fixed), and not of hostel's own.
    #[must_use]
    pub const fn with_fixed_contract(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// Returns whether the plugin is a core module with a contract that the host knows.
    pub(crate) const fn has_fixed_contract(&self) -> bool {
        self.fixed
    }
}
