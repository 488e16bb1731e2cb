//! How many instances of a plugin run at once, who waits for a place, and the instances that wait
//! for the next call.

use crate::{
    base::{limits::Limits, platform::Platform},
    error::CallError,
    instance::{Idle, Image},
};
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use spin::{Mutex, Once};

/// Counts the instances in use, up to a limit, and keeps some for later calls.
///
/// Places go to those who wait in the order in which they came. No lock is held while a guest
/// runs, nor while one is made as new.
pub(crate) struct Pool<T: 'static> {
    limits: Limits,
    books: Mutex<Books<T>>,
    /// What a fresh instance holds, once one was made; nothing where used ones can't be made like
    /// it.
    fresh: Once<Option<Image>>,
}

struct Books<T: 'static> {
    figures: PoolFigures,
    idle: Vec<Idle<T>>,
    /// Those who wait; nobody does while a place is free.
    queue: VecDeque<Arc<QueueEntry>>,
}

/// What a plugin's pool of instances does, and has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Instances that calls run in now.
    pub in_use: usize,
    /// Instances that are kept for later calls, new or made as new.
    pub idle: usize,
    /// Calls that wait for a place now.
    pub waiting: usize,
    /// Calls that found no place at once.
    pub waits: u64,
    /// Instances that were used, made as new and kept.
    pub resets: u64,
    /// Instances that were used and given up: stopped, dropped in the middle of a call, not to be
    /// made as new, or too many.
    pub discards: u64,
}

impl<T> Pool<T> {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            books: Mutex::new(Books {
                figures: PoolFigures::default(),
                idle: Vec::new(),
                queue: VecDeque::new(),
            }),
            fresh: Once::new(),
        }
    }

    /// Takes a place, waiting for one as long as the platform can wait, at most until `until`.
    pub(crate) fn enter_blocking<'a>(
        &'a self,
        platform: &'a dyn Platform,
        until: Option<Duration>,
    ) -> Result<Place<'a, T>, CallError> {
        let place = self.ask(platform)?;
        if place.is_held() || platform.wait_until(&|| place.is_held(), until) {
            Ok(place)
        } else {
            Err(self.busy())
        }
    }

    /// The same, without holding up the thread. The time is looked at when it is polled.
    pub(crate) async fn enter<'a>(
        &'a self,
        platform: &'a dyn Platform,
        until: Option<Duration>,
    ) -> Result<Place<'a, T>, CallError> {
        let place = self.ask(platform)?;
        poll_fn(|context| {
            if place.poll_held(context) {
                return Poll::Ready(Ok(()));
            }
            match (platform.now(), until) {
                (Some(now), Some(until)) if now >= until => return Poll::Ready(Err(self.busy())),
                (Some(_), Some(_)) => platform.wake_at(until, context.waker()),
                _ => {}
            }
            Poll::Pending
        })
        .await?;
        Ok(place)
    }

    /// A free place, or one in the queue.
    fn ask<'a>(&'a self, platform: &'a dyn Platform) -> Result<Place<'a, T>, CallError> {
        let mut books = self.books.lock();
        let waiter = if books.figures.in_use < self.limits.instances {
            books.figures.in_use = books.figures.in_use.saturating_add(1);
            None
        } else if self.limits.instances > 0 && books.queue.len() < self.limits.waiting {
            books.figures.waits = books.figures.waits.saturating_add(1);
            let waiter = Arc::<QueueEntry>::default();
            books.queue.push_back(waiter.clone());
            Some(waiter)
        } else {
            return Err(self.busy());
        };
        Ok(Place {
            pool: self,
            platform,
            waiter,
            in_use: false,
        })
    }

    const fn busy(&self) -> CallError {
        CallError::Busy {
            limit: self.limits.instances,
        }
    }

    /// Hands a place on to who waits longest.
    fn leave(&self, platform: &dyn Platform) {
        let next = {
            let mut books = self.books.lock();
            let next = books.queue.pop_front();
            match &next {
                Some(waiter) => waiter.held.store(true, Ordering::Release),
                None => books.figures.in_use = books.figures.in_use.saturating_sub(1),
            }
            next
        };
        if let Some(waiter) = next {
            let waker = waiter.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
            platform.wake();
        }
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let books = self.books.lock();
        PoolFigures {
            idle: books.idle.len(),
            waiting: books.queue.len(),
            ..books.figures
        }
    }

    /// An instance that is kept, if there is one.
    pub(crate) fn idle(&self) -> Option<Idle<T>> {
        self.books.lock().idle.pop()
    }

    /// Notes what a fresh instance is, unless that is known.
    pub(crate) fn note(&self, fresh: impl FnOnce() -> Option<Image>) {
        if self.limits.idle > 0 {
            self.fresh.call_once(fresh);
        }
    }

    /// Keeps an instance that is new, or as new, if there is room.
    pub(crate) fn keep(&self, idle: Idle<T>) -> bool {
        let mut books = self.books.lock();
        let room = books.idle.len() < self.limits.idle;
        if room {
            books.idle.push(idle);
        }
        room
    }

    /// Whether fewer instances are kept than should be.
    pub(crate) fn needs_warm_up(&self) -> bool {
        let warm = self.limits.warm.min(self.limits.idle);
        warm > 0 && self.books.lock().idle.len() < warm
    }

    /// Gives up the instances that are kept.
    pub(crate) fn clear(&self) {
        let idle = core::mem::take(&mut self.books.lock().idle);
        drop(idle);
    }
}

/// Somebody who waits for a place.
#[derive(Default)]
struct QueueEntry {
    /// Whether it got one. Set under the books' lock.
    held: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A place in a [`Pool`], or in the queue for one; handed on when it goes.
pub(crate) struct Place<'a, T: 'static> {
    pool: &'a Pool<T>,
    platform: &'a dyn Platform,
    /// Where it was not free at once.
    waiter: Option<Arc<QueueEntry>>,
    /// Whether an instance is used in it, which was not given back.
    in_use: bool,
}

impl<T> Place<'_, T> {
    fn is_held(&self) -> bool {
        let waiter = self.waiter.as_ref();
        waiter.is_none_or(|waiter| waiter.held.load(Ordering::Acquire))
    }

    /// The same; if not yet, whoever polls is woken then.
    fn poll_held(&self, context: &Context<'_>) -> bool {
        if let Some(waiter) = &self.waiter {
            let waker = Some(context.waker().clone());
            let before = core::mem::replace(&mut *waiter.waker.lock(), waker);
            // Without the lock: a waker may hold whatever its executor put there.
            drop(before);
        }
        self.is_held()
    }
}

impl<T> Place<'_, T> {
    /// Notes that an instance is used in it from now on.
    pub(crate) const fn mark_in_use(&mut self) {
        self.in_use = true;
    }

    /// Makes the instance that was used as new, with `data`, and keeps it, if it can be and there
    /// is room. `None` is one that was stopped.
    pub(crate) fn give_back(&mut self, used: Option<Idle<T>>, data: T) {
        let pool = self.pool;
        let reset = used.and_then(|mut used| {
            let image = pool.fresh.get()?.as_ref()?;
            let room = pool.books.lock().idle.len() < pool.limits.idle;
            (room && used.sandbox.reset(image, data)).then_some(used)
        });
        if reset.is_some_and(|reset| pool.keep(reset)) {
            self.in_use = false;
            let figures = &mut pool.books.lock().figures;
            figures.resets = figures.resets.saturating_add(1);
        }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.in_use {
            let figures = &mut self.pool.books.lock().figures;
            figures.discards = figures.discards.saturating_add(1);
        }
        if let Some(waiter) = &self.waiter {
            let mut books = self.pool.books.lock();
            if !self.is_held() {
                books.queue.retain(|other| !Arc::ptr_eq(other, waiter));
                return;
            }
        }
        self.pool.leave(self.platform);
    }
}
