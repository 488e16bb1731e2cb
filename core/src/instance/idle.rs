//! Instances that wait for a call, in the state after their start.

use super::{Instance, image::Image, loaded::Loaded, sandbox::Sandbox};
use crate::base::limits::{Budget, Usage};
use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

/// An instance that is new or reset, and what making it used.
pub(crate) struct IdleInstance<T: 'static> {
    pub(crate) sandbox: Box<Sandbox<T>>,
    pub(crate) loaded: Arc<Loaded<T>>,
    pub(crate) usage: Usage,
}

impl<T: 'static> IdleInstance<T> {
    /// Makes an instance in the state of `image`, for a call with `budget`. Its start, which the image
    /// has behind it, is not run. Returns `None` if running it is faster, or if it would not end well
    /// within `budget`: then the caller runs it, and sees why.
    pub(crate) fn from_image(
        loaded: &Arc<Loaded<T>>,
        image: &Image,
        budget: &Budget,
        until: Option<Duration>,
        data: impl FnOnce() -> T,
    ) -> Option<Self> {
        let usage = image.start.filter(|start| is_within(start, budget))?;
        loaded.check_fits(loaded.instance_heap).ok()?;
        let mut sandbox = Sandbox::open(loaded, budget, until, None, data());
        sandbox.instantiate(loaded).ok()?;
        let (store, mutable) = sandbox.mutable_state();
        let page = loaded.info.page();
        image.write(store, mutable, page).then_some(Self {
            sandbox,
            loaded: loaded.clone(),
            usage,
        })
    }

    /// Returns whether making an instance with `budget` would have led to this one. If not, a call
    /// with that budget needs one of its own: its result must not depend on reuse.
    pub(crate) fn fits(&self, budget: &Budget) -> bool {
        let used = &self.usage;
        if used.host_calls == 0 {
            // A start that did not call the host used nothing else.
            return used.fuel <= budget.fuel;
        }
        // Of a reset instance, the budget of its last call. Its start had no arguments and no log.
        let made = self.sandbox.store.data().meter.budget();
        let log_as_made =
            (made.log_records, made.log_bytes) == (budget.log_records, budget.log_bytes);
        let log_fits = used.log_dropped == 0
            && used.log_records <= budget.log_records
            && used.log_bytes <= budget.log_bytes;
        is_within(used, budget)
            // How long its arguments were is not kept.
            && made.argument_bytes <= budget.argument_bytes
            && (log_as_made || log_fits)
    }
}

impl<T: 'static> Instance<T> {
    /// Copies the state of this new instance; `None` if used instances can't be reset to it.
    pub(crate) fn image(&mut self) -> Option<Image> {
        let info = &self.loaded.info;
        let repeatable = self.sandbox.store.data().meter.repeatable_calls;
        // The other host functions may have another result the next time, or an effect that is to occur
        // for each instance.
        let calls_others = self.start_usage.host_calls > repeatable;
        #[cfg(feature = "component")]
        if let Some(component) = &self.loaded.component {
            return match calls_others {
                true => None,
                false => (component.capture)(&mut self.sandbox.store),
            };
        }
        // Of several modules, none is reset.
        if self.loaded.linked.is_some() || info.changes.not_resettable || calls_others {
            return None;
        }
        let ran = self
            .start_usage
            .fuel
            .saturating_sub(info.instantiation_fuel());
        let (store, mutable) = self.sandbox.mutable_state();
        let mut image = Image::capture(store, mutable);
        image.start = image.replaces_a_start_of(ran).then_some(self.start_usage);
        Some(image)
    }
}

/// Returns whether a start that used `used`, and has no log, ends within `budget`.
const fn is_within(used: &Usage, budget: &Budget) -> bool {
    used.fuel <= budget.fuel
        && used.host_calls <= budget.host_calls
        && used.bytes_to_guest <= budget.bytes_to_guest
}
