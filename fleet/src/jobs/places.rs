//! Shares a worker's places for jobs among the plugins whose jobs wait.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The places of a worker. One that is free goes to the plugin that has the fewest of those whose jobs wait. The first job of
/// each plugin needs none: others may have taken all, for as long as their jobs run.
pub(super) struct Places {
    shares: Mutex<Shares>,
    changed: Notify,
}

#[derive(Default)]
struct Shares {
    most: usize,
    /// Jobs that run: more than `most` if they are of many plugins.
    running: usize,
    /// Those of the plugins that run or wait.
    plugins: BTreeMap<String, Share>,
}

#[derive(Default)]
struct Share {
    running: usize,
    waiting: usize,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let shares = Shares {
            most,
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
        let taken = running == 0 || is_first && shares.running < shares.most;
        if taken {
            shares.running = shares.running.saturating_add(1);
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
            shares.running = shares.running.saturating_sub(freed);
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
        let places = Places::new(3);
        let get = |plugin: &'static str| Box::pin(places.get(plugin));
        let mut held: Vec<_> = ["flood", "flood", "other"]
            .map(|plugin| poll(get(plugin).as_mut()).unwrap())
            .into();
        let (mut more, mut other) = (get("flood"), get("other"));
        assert!(poll(more.as_mut()).is_none());
        assert!(poll(other.as_mut()).is_none());
        drop(held.remove(0));
        held.push(poll(other.as_mut()).unwrap());
        assert!(poll(more.as_mut()).is_none());
        // One that has gone waits no more.
        let mut gone = get("flood");
        assert!(poll(gone.as_mut()).is_none());
        drop(gone);
        held.clear();
        drop(poll(more.as_mut()).unwrap());
        drop((more, other));
        let shares = places.shares();
        assert_eq!((shares.running, shares.plugins.len()), (0, 0));
    }

    #[test]
    fn the_first_job_of_a_plugin_waits_for_no_other_plugin_s() {
        let places = Places::new(2);
        let get = |plugin: &'static str| Box::pin(places.get(plugin));
        let two = ["flood", "flood"].map(|plugin| poll(get(plugin).as_mut()).unwrap());
        let first = poll(get("new").as_mut()).unwrap();
        let mut second = get("new");
        assert!(poll(second.as_mut()).is_none());
        // More than there are places run: one that ends leaves none.
        drop(first);
        let first = poll(second.as_mut()).unwrap();
        let mut third = get("new");
        assert!(poll(third.as_mut()).is_none());
        drop(two);
        drop(poll(third.as_mut()).unwrap());
        drop(first);
    }
}
