//! The calls that run inside one another on a thread.

/// Most calls that may run inside one another on a thread.
const MOST: usize = 16;

/// The calls that run on one thread, each begun by a host function of the one before.
///
/// Each takes native stack, and may hold an instance that the next one waits for. So hostel bounds
/// their number, and needs to know them: see [`Platform::nesting`](crate::Platform::nesting).
#[derive(Debug)]
pub struct Nesting {
    /// A number for the plugin of each call; the first `depth` count.
    plugins: [usize; MOST],
    depth: usize,
    most: usize,
}

impl Nesting {
    /// Returns the list of a thread without calls, for at most `most` of them: 16 at most, 1 at least.
    /// Each call takes some kilobytes of native stack, and the host function between two of them as
    /// much as it needs.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            plugins: [0; MOST],
            depth: 0,
            most: match most {
                0 => 1,
                1..MOST => most,
                _ => MOST,
            },
        }
    }

    /// Adds a call of `plugin`. Returns the limit if there are as many calls already.
    pub(crate) fn enter(&mut self, plugin: usize) -> Result<(), usize> {
        if self.depth >= self.most {
            return Err(self.most);
        }
        if let Some(place) = self.plugins.get_mut(self.depth) {
            *place = plugin;
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// Removes the last call.
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns whether no call runs.
    pub(crate) const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    /// Returns whether a call of `plugin` runs.
    pub(crate) fn contains(&self, plugin: usize) -> bool {
        self.plugins
            .iter()
            .take(self.depth)
            .any(|one| *one == plugin)
    }
}
