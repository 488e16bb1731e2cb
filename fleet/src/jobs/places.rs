//! Shares a worker's places for jobs among the plugins whose jobs wait.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The places of a worker. One that is free goes to the plugin that has the fewest of those whose jobs wait.
pub(super) struct Places {
    shares: Mutex<Shares>,
    changed: Notify,
}

#[derive(Default)]
struct Shares {
    free: usize,
    /// Those of the plugins that run or wait.
    plugins: BTreeMap<String, Share>,
}

#[derive(Default)]
struct Share {
    running: usize,
    waiting: usize,
}

impl Places {
    pub(super) fn new(free: usize) -> Arc<Self> {
        let shares = Shares {
            free,
            ..Shares::default()
        };
        Arc::new(Self {
            shares: Mutex::new(shares),
            changed: Notify::new(),
        })
    }

    /// Waits for a place.
    pub(super) async fn get(self: &Arc<Self>, plugin: &str) -> Place {
        let _waiting = self.wait(plugin);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.take(plugin) {
                return Place {
                    places: self.clone(),
                    plugin: plugin.to_owned(),
                };
            }
            changed.await;
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, plugin: &'a str) -> Waiting<'a> {
        let mut shares = self.shares();
        let share = shares.plugins.entry(plugin.to_owned()).or_default();
        share.waiting = share.waiting.saturating_add(1);
        Waiting(self, plugin)
    }

    fn take(&self, plugin: &str) -> bool {
        let mut shares = self.shares();
        let running = shares.plugins.get(plugin).map_or(0, |it| it.running);
        let is_first = shares
            .plugins
            .values()
            .all(|it| it.waiting == 0 || it.running >= running);
        let taken = is_first && shares.free > 0;
        if taken {
            shares.free = shares.free.saturating_sub(1);
            let share = shares.plugins.entry(plugin.to_owned()).or_default();
            share.running = share.running.saturating_add(1);
        }
        taken
    }

    fn change(&self, plugin: &str, change: impl FnOnce(&mut Share) -> usize) {
        let mut shares = self.shares();
        if let Some(share) = shares.plugins.get_mut(plugin) {
            let freed = change(share);
            let is_gone = share.running == 0 && share.waiting == 0;
            shares.free = shares.free.saturating_add(freed);
            if is_gone {
                shares.plugins.remove(plugin);
            }
        }
        drop(shares);
        self.changed.notify_waiters();
    }
}

/// A job that waits.
struct Waiting<'a>(&'a Places, &'a str);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.change(self.1, |share| {
            share.waiting = share.waiting.saturating_sub(1);
            0
        });
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    plugin: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(&self.plugin, |share| {
            share.running = share.running.saturating_sub(1);
            1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn poll<T>(work: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match work.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_free_place_goes_to_the_plugin_with_the_fewest() {
        let places = Places::new(2);
        let get = |plugin: &'static str| Box::pin(places.get(plugin));
        let first = poll(get("flood").as_mut()).unwrap();
        let second = poll(get("flood").as_mut()).unwrap();
        let (mut third, mut other) = (get("flood"), get("other"));
        assert!(poll(third.as_mut()).is_none());
        assert!(poll(other.as_mut()).is_none());
        drop(first);
        assert!(poll(third.as_mut()).is_none());
        let place = poll(other.as_mut()).unwrap();
        assert!(poll(third.as_mut()).is_none());
        // One that has gone waits no more, and nothing is left of it.
        let mut gone = get("gone");
        assert!(poll(gone.as_mut()).is_none());
        drop(gone);
        drop(second);
        drop(poll(third.as_mut()).unwrap());
        drop(place);
        drop((third, other));
        let shares = places.shares();
        assert_eq!((shares.free, shares.plugins.len()), (2, 0));
    }
}
