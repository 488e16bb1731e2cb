//! What a host function can reach besides its parameters.

use crate::{
    base::fuel::Spending,
    call::{Shared, meter::Meter},
    error::Trap,
};

/// The calling instance, as a host function sees it.
///
/// ```
/// use hostel_core::{Context, Grants, Trap};
/// let grants = Grants::<Vec<String>>::with_data().function(
///     "shop",
///     "order",
///     |context: &mut Context<'_, Vec<String>>, article: &str| -> Result<u32, Trap> {
///         context.charge(500)?; // this one is dear
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
    /// The instance's data.
    #[must_use]
    pub fn data(&self) -> &T {
        self.data
    }

    /// The instance's data, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        self.data
    }

    /// The name under which the plugin was loaded.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.shared.name
    }

    /// Charges the guest `fuel` units for work that is about to be done.
    ///
    /// # Errors
    ///
    /// A trap when the call has not so much left; hand it on, the guest is out of fuel.
    pub fn charge(&mut self, fuel: u64) -> Result<(), Trap> {
        let spent = self.spending.spend(fuel);
        spent.map_err(|_| Trap::host("the call has too little fuel left for this host function"))
    }

    pub(crate) const fn meter(&mut self) -> &mut Meter {
        self.meter
    }

    pub(crate) fn shared(&self) -> &'a Shared {
        self.shared
    }
}
