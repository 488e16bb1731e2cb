//! Snapshots of components: each core module begins with the state of its instance, and all else stays as it is.

use super::{SnapshotError, initialised, unsupported, write::Captured};
use crate::{
    base::text::text,
    call::StoreData,
    component::{
        machine::Machine,
        program::{Program, Resource},
        resource::Holder,
    },
    engine::Engine,
    error::CallError,
    grants::Grants,
    instance::{Instance, MutableState},
    module,
};
use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
    vec::Vec,
};
use wasmi::Store;
use wasmparser::BinaryReader;

/// The numbers of the sections of a component that hold a core module, and a component.
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// The bytes with which a component begins.
const HEADER: usize = 8;

impl Engine {
    /// As [`snapshot`](Self::snapshot), of a component, or of a core module with a contract: runs `init` in a new
    /// instance, and returns a component whose instances start from the resulting state. It has the contract, the
    /// imports and the code of `wasm`, and is loaded by [`load_component`](Self::load_component).
    ///
    /// The state consists of the memories and globals of all core instances. Tables are as after each start. Start
    /// functions are left out, since they have run.
    ///
    /// # Errors
    ///
    /// As for [`snapshot`](Self::snapshot). [`SnapshotError::Unsupported`] also
    ///
    /// * if a guest, or the embedder, holds handles to resources, such as open files and streams of WASI, or
    ///   resources of the guest's that were returned and not dropped: no component starts with handles;
    /// * if a core module changes a table, drops a segment, or keeps a reference in a global;
    /// * if a core module has several instances, and these have reached different states.
    pub fn snapshot_component<T: Default + 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        init: impl FnOnce(&mut Instance<T>) -> Result<(), CallError>,
    ) -> Result<Vec<u8>, SnapshotError> {
        if let Some(own) = self.bounded_by(grants) {
            return own.snapshot_component(name, wasm, &grants.without_bounds(), init);
        }
        let plugin = self
            .load_component(name, wasm, grants)
            .map_err(SnapshotError::Load)?;
        let mut sandbox = initialised(&plugin, init)?;
        let segments = self.limits().component.module.segments;
        let modules = modules_with_state(&mut sandbox.store, wasm, segments)?;
        let snapshot = match modules.get(&0) {
            // A core module with a contract is all of the file.
            Some(module) => Some(module.clone()),
            None => with_modules(wasm, 0, &modules),
        };
        let snapshot = snapshot.ok_or_else(unwritten)?;
        // Checked now, since it may be stored for long before it is loaded.
        self.check_component(&snapshot)
            .map_err(SnapshotError::Load)?;
        Ok(snapshot)
    }
}

/// Returns the core modules that have instances, with the state of these, by the offset of their bytes in `wasm`.
fn modules_with_state<T: 'static>(
    store: &mut Store<StoreData<T>>,
    wasm: &[u8],
    segments: usize,
) -> Result<BTreeMap<usize, Vec<u8>>, SnapshotError> {
    let machine = Machine::<T>::of_store(store).map_err(SnapshotError::Call)?;
    let bound = machine.bound.clone();
    let program = &bound.program;
    check_handles(machine, program)?;
    let instances = machine.instances.clone();
    let states: Vec<_> = instances
        .iter()
        .map(|instance| MutableState::of(store, *instance))
        .collect();
    let memories = states.iter().filter(|state| state.memory(store).is_some());
    let infos = bound.modules.iter().map(|(info, _)| info);
    let declared = infos.fold(0u64, |sum, info| {
        let [.., segments, _] = info.declared();
        sum.saturating_add(segments)
    });
    let segments = segments
        .saturating_sub(usize::try_from(declared).unwrap_or(usize::MAX))
        .checked_div(memories.count())
        .unwrap_or(0);
    let mut modules = BTreeMap::new();
    for (step, state) in program.steps.iter().zip(&states) {
        let part = program
            .modules
            .get(step.module)
            .zip(bound.modules.get(step.module));
        let (range, (info, _)) = part.ok_or_else(unwritten)?;
        if info.changes.not_resettable {
            return Err(unsupported(format!(
                "core module {} changes a table, drops a segment, or keeps a reference in a global",
                step.module
            )));
        }
        let module = wasm.get(range.clone()).ok_or_else(unwritten)?;
        let is_part = module.len() < wasm.len();
        let captured = Captured::capture_part(store, state, is_part)?;
        let written = captured.write(module, segments).ok_or_else(unwritten)?;
        match modules.entry(range.start) {
            Entry::Vacant(entry) => drop(entry.insert(written)),
            Entry::Occupied(entry) if *entry.get() == written => {}
            Entry::Occupied(_) => {
                return Err(unsupported(format!(
                    "core module {} has several instances in different states",
                    step.module
                )));
            }
        }
    }
    Ok(modules)
}

/// Fails if anything of the component's state is not in its core instances.
fn check_handles<T: 'static>(machine: &Machine<T>, program: &Program) -> Result<(), SnapshotError> {
    if !machine.is_balanced() {
        return Err(unsupported(
            "a component instance has set `backpressure`, which a snapshot does not have",
        ));
    }
    let Some((holder, ty)) = machine.handles.first() else {
        return Ok(());
    };
    let of = usize::try_from(ty.0).ok();
    let resource = match of.and_then(|of| program.resources.get(of)) {
        Some(Resource::Imported(import)) => program.imports.get(*import).map(|import| {
            let interface = import.interface.as_deref().unwrap_or("$root");
            text(format_args!("`{}` of `{interface}`", import.name))
        }),
        _ => None,
    };
    let resource = resource.as_deref().unwrap_or("that the component defines");
    Err(unsupported(match holder {
        Holder::Guest(_) => format!(
            "the component holds a handle to a resource {resource}, which a snapshot does not have: it has to be \
             dropped in the initialisation"
        ),
        Holder::Host => format!(
            "the initialisation returned a resource {resource}, and a snapshot has no handle to it: drop it by \
             `Instance::drop_resource`"
        ),
    }))
}

/// Returns a component, which starts at this offset of the file, with these modules at their offsets.
fn with_modules(
    component: &[u8],
    start: usize,
    modules: &BTreeMap<usize, Vec<u8>>,
) -> Option<Vec<u8>> {
    let (header, sections) = component.split_at_checked(HEADER)?;
    let mut out = header.to_vec();
    let mut reader = BinaryReader::new(sections, start.checked_add(HEADER)?);
    while !reader.eof() {
        let (id, start, contents) = module::next_section(&mut reader)?;
        match id {
            CORE_MODULE => {
                let written = modules.get(&start);
                module::section(&mut out, id, written.map_or(contents, |module| module));
            }
            COMPONENT => module::section(&mut out, id, &with_modules(contents, start, modules)?),
            _ => module::section(&mut out, id, contents),
        }
    }
    Some(out)
}

#[cold]
fn unwritten() -> SnapshotError {
    unsupported("a part of the component can't be rewritten")
}
