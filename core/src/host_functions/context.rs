//! The calling instance as a host function sees it.

use crate::{
    base::fuel::Spending,
    call::{Shared, meter::Meter},
    error::Trap,
};

/// The calling instance, as a host function sees it: its data, its plugin's name and its fuel.
///
/// A closure that takes `&mut Context<'_, T>` as its first parameter receives it.
///
/// ```
/// use hostel_core::{Context, Grants, Trap};
/// let grants = Grants::<Vec<String>>::with_data().function(
///     "shop",
///     "order",
///     |context: &mut Context<'_, Vec<String>>, article: &str| -> Result<u32, Trap> {
///         context.charge(500)?; // pays for the order's work
///         context.data_mut().push(article.to_owned());
///         Ok(context.data().len() as u32)
///     },
/// );
/// # drop(grants);
/// ```
pub struct Context<'a, T> {
    pub(super) data: &'a mut T,
    pub(super) shared: &'a Shared,
    pub(super) meter: &'a mut Meter,
    pub(super) spending: Spending<'a>,
}

impl<'a, T> Context<'a, T> {
    /// Returns the instance's data.
    #[must_use]
    pub fn data(&self) -> &T {
        self.data
    }

    /// Returns the instance's data for changing it.
    pub fn data_mut(&mut self) -> &mut T {
        self.data
    }

    /// Returns the name under which the embedder loaded the plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.shared.name
    }

    /// Charges the call `fuel` units, on top of the base charge and that for the arguments. Call it
    /// before the work.
    ///
    /// # Errors
    ///
    /// A trap if the call has less fuel left. Return it: the call then ends with
    /// [`OutOfFuel`](crate::CallError::OutOfFuel), also if you don't.
    pub fn charge(&mut self, fuel: u64) -> Result<(), Trap> {
        let spent = self.spending.spend(fuel);
        spent.map_err(|_| Trap::host("the call has too little fuel left for this host function"))
    }

    /// Returns the meter of the running call.
    pub(crate) const fn meter(&mut self) -> &mut Meter {
        self.meter
    }

    /// Returns the data that all instances of the plugin share.
    pub(crate) fn shared(&self) -> &'a Shared {
        self.shared
    }
}
