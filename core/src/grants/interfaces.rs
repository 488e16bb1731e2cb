//! Interfaces of host functions for components.

use super::Grants;
use crate::component::host_call::{HostFunction, HostInterface, HostResource, compatible};
use crate::wasi;
use alloc::{boxed::Box, sync::Arc};

impl<T: 'static> Grants<T> {
    /// Returns the granted interfaces for imports of `interface`: those of that version first, then compatible ones,
    /// each from the last one granted.
    fn granted_interfaces(
        &self,
        interface: &str,
    ) -> impl Iterator<Item = &Arc<dyn HostInterface<T>>> {
        let exact = self.interfaces.iter().rev();
        let exact = exact.filter(move |known| known.name() == interface);
        let others = self.interfaces.iter().rev();
        exact.chain(
            others.filter(move |known| {
                known.name() != interface && compatible(interface, known.name())
            }),
        )
    }

    /// Returns the host function for an import of a component; `None` for `interface` stands for those in no
    /// interface.
    pub(crate) fn component_function(
        &self,
        interface: Option<&str>,
        name: &str,
    ) -> Option<Arc<dyn HostFunction<T>>> {
        let interface = interface.unwrap_or_default();
        let mut granted = self.granted_interfaces(interface);
        let found = granted.find_map(|granted| granted.function(name));
        found.or_else(|| self.wasi_interface(interface)?.function(name))
    }

    /// Returns what becomes of a resource of the embedder when a component drops it.
    pub(crate) fn component_resource(
        &self,
        interface: Option<&str>,
        name: &str,
    ) -> Option<Arc<dyn HostResource<T>>> {
        let interface = interface.unwrap_or_default();
        let mut granted = self.granted_interfaces(interface);
        let found = granted.find_map(|granted| granted.resource(name));
        found.or_else(|| self.wasi_interface(interface)?.resource(name))
    }

    /// Returns the interface of WASI 0.2 of this name, if WASI is granted.
    fn wasi_interface(&self, interface: &str) -> Option<Arc<dyn HostInterface<T>>> {
        let grant = self.wasi.as_ref()?;
        (grant.find_interface)(&grant.wasi, interface)
    }

    /// Returns whether WASI is granted and has this interface.
    pub(crate) fn is_of_wasi(&self, interface: &str) -> bool {
        self.wasi_interface(interface).is_some()
    }

    /// Returns advice for an import of a component that nothing supplies; often none.
    pub(crate) fn component_hint(&self, interface: &str) -> Box<str> {
        let hint = if wasi::is_interface(interface) && self.wasi.is_none() {
            "the grant `wasi` would"
        } else {
            ""
        };
        hint.into()
    }

    /// Returns whether an import of a component may be a stub.
    pub(crate) fn is_stubbed(&self, module: &str, name: &str) -> bool {
        let stubs = self.stubs.as_ref();
        stubs.is_some_and(|stubs| stubs.has(module, name))
    }
}
