//! The pool of a plugin's instances: it limits how many run at once, queues further calls, and keeps
//! reset instances for reuse.

use crate::{
    base::{limits::Limits, platform::Platform},
    call::{Shared, alarm::Alarm, pace::Pace},
    error::CallError,
    instance::{IdleInstance, Image},
};
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use spin::{Mutex, Once};

/// Counts the instances in use, up to [`Limits::instances`], and keeps up to [`Limits::idle`] for
/// later calls.
///
/// Waiting calls get their permit in the order of their arrival. No lock is held while a guest runs
/// or an instance is reset.
pub(crate) struct Pool<T: 'static> {
    limits: Limits,
    state: Mutex<PoolState<T>>,
    /// The state of a new instance, recorded from the first one. `None` inside if used instances
    /// can't be reset to it.
    image: Once<Option<Image>>,
}

/// The part of a pool that its lock guards.
struct PoolState<T: 'static> {
    figures: PoolFigures,
    idle: Vec<IdleInstance<T>>,
    /// Whether no further instance is kept.
    closed: bool,
    /// Waiting calls, the oldest first. Empty while a permit is free.
    queue: VecDeque<Arc<QueueEntry>>,
}

/// Figures of a plugin's pool of instances: its state now, and totals since loading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Instances in use now, at most [`Limits::instances`].
    pub in_use: usize,
    /// Instances kept for later calls now, new or reset; at most [`Limits::idle`].
    pub idle: usize,
    /// Compiled copies of the plugin's code now, at most [`Limits::copies`].
    pub copies: usize,
    /// Calls that wait for an instance now, at most [`Limits::waiting`].
    pub waiting: usize,
    /// Total of the calls that had to wait for an instance.
    pub waits: u64,
    /// Total of the instances that were reset after use and kept.
    pub resets: u64,
    /// Total of the instances that were dropped after use: stopped by a trap, dropped during a call,
    /// not resettable, above [`Limits::idle`], or to make room for one of another copy of the code.
    pub discards: u64,
    /// Total of the stepped and awaited calls that were dropped after they had begun and before they
    /// ended, also while they waited for an instance: their client gave up.
    pub abandoned: u64,
    /// Total of the fuel that abandoned calls had used.
    pub abandoned_fuel: u64,
}

impl<T> Pool<T> {
    /// Creates an empty pool.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            state: Mutex::new(PoolState {
                figures: PoolFigures::default(),
                idle: Vec::new(),
                closed: false,
                queue: VecDeque::new(),
            }),
            image: Once::new(),
        }
    }

    /// Takes a permit. Waits for one on this thread, until `until` at the latest, if the platform
    /// can wait.
    pub(crate) fn acquire_blocking<'a>(
        &'a self,
        shared: &'a Shared,
        until: Option<Duration>,
    ) -> Result<Permit<'a, T>, CallError> {
        let permit = self.acquire_or_queue(shared, until)?;
        if permit.is_held() {
            return Ok(permit);
        }
        let platform = &*shared.platform;
        if let Some(waker) = platform.thread_waker() {
            permit.set_waker(waker);
        }
        if platform.wait_until(&|| permit.is_held(), until) {
            Ok(permit)
        } else {
            Err(self.busy())
        }
    }

    /// Takes a permit without blocking the thread. Waits until `until` at the latest.
    pub(crate) async fn acquire<'a>(
        &'a self,
        shared: &'a Shared,
        until: Option<Duration>,
    ) -> Result<Permit<'a, T>, CallError> {
        let permit = self.acquire_or_queue(shared, until)?;
        let platform = &shared.platform;
        let alarm = until.map(|until| Alarm::new(platform, until));
        poll_fn(|context| {
            if permit.poll_held(context) {
                return Poll::Ready(Ok(()));
            }
            if let (Some(until), Some(now)) = (until, platform.now())
                && now >= until
            {
                return Poll::Ready(Err(self.busy()));
            }
            if let Some(alarm) = &alarm {
                alarm.set(context);
            }
            Poll::Pending
        })
        .await?;
        Ok(permit)
    }

    /// Takes a free permit, or joins the queue for one. Returns [`CallError::Busy`] if the queue is
    /// full, and [`CallError::NestedWait`] if the call must not wait.
    fn acquire_or_queue<'a>(
        &'a self,
        shared: &'a Shared,
        until: Option<Duration>,
    ) -> Result<Permit<'a, T>, CallError> {
        let mut state = self.state.lock();
        let mut idle = None;
        let queue_entry = if state.figures.in_use < self.limits.instances {
            state.figures.in_use = state.figures.in_use.saturating_add(1);
            // Now, since the lock is held: short calls on several processors wait for it.
            idle = state.idle.pop();
            None
        } else if self.limits.instances > 0
            && let Err(refused) = shared.may_wait(until, self.limits.instances)
        {
            return Err(refused);
        } else if self.limits.instances > 0 && state.queue.len() < self.limits.waiting {
            state.figures.waits = state.figures.waits.saturating_add(1);
            let queue_entry = Arc::<QueueEntry>::default();
            state.queue.push_back(queue_entry.clone());
            Some(queue_entry)
        } else {
            return Err(self.busy());
        };
        Ok(Permit {
            pool: self,
            platform: &*shared.platform,
            queue_entry,
            idle,
            reused: false,
            in_use: false,
            reset: None,
        })
    }

    /// The error for a call that got no permit.
    const fn busy(&self) -> CallError {
        CallError::Busy {
            limit: self.limits.instances,
        }
    }

    /// Hands a permit on to the call that waits longest, or frees it. Keeps the idle instances that come
    /// with it, as far as there is room.
    fn release(&self, permit: &mut Permit<'_, T>) {
        let (in_use, reset) = (permit.in_use, permit.reset.take());
        let mut surplus = permit.idle.take();
        let next = {
            let mut state = self.state.lock();
            if self.has_room(&state) {
                state.idle.extend(surplus.take());
            }
            if reset.is_some() && self.has_room(&state) {
                state.idle.extend(reset);
                state.figures.resets = state.figures.resets.saturating_add(1);
            } else {
                if in_use {
                    state.figures.discards = state.figures.discards.saturating_add(1);
                }
                surplus = surplus.or(reset);
            }
            let next = state.queue.pop_front();
            match &next {
                Some(queue_entry) => queue_entry.held.store(true, Ordering::Release),
                None => state.figures.in_use = state.figures.in_use.saturating_sub(1),
            }
            next
        };
        // Woken after the pool's lock is released: a waker runs code of its executor.
        if let Some(queue_entry) = next {
            let waker = queue_entry.waker.lock().take();
            match waker {
                Some(waker) => waker.wake(),
                // A thread waits, and the platform can only wake all of them.
                None => permit.platform.wake(),
            }
        }
        // Without the lock: an instance's data may run the embedder's code when it is dropped.
        drop(surplus);
    }

    /// Returns the figures as they are now.
    pub(crate) fn figures(&self) -> PoolFigures {
        let state = self.state.lock();
        PoolFigures {
            idle: state.idle.len(),
            waiting: state.queue.len(),
            ..state.figures
        }
    }

    /// Records the state of a new instance, once. Later calls do nothing, and so does a pool that
    /// keeps no instances.
    pub(crate) fn record_image(&self, image: impl FnOnce() -> Option<Image>) {
        if self.limits.idle > 0 {
            self.image.call_once(image);
        }
    }

    /// Returns the state of a new instance, if it is recorded and can be written to another one.
    pub(crate) fn image(&self) -> Option<&Image> {
        self.image.get()?.as_ref()
    }

    /// Keeps a new or reset instance if there is room. Returns whether it did.
    pub(crate) fn keep(&self, idle: IdleInstance<T>) -> bool {
        let mut state = self.state.lock();
        let room = self.has_room(&state);
        if room {
            state.idle.push(idle);
        }
        room
    }

    /// Returns whether one more idle instance is kept.
    const fn has_room(&self, state: &PoolState<T>) -> bool {
        !state.closed && state.idle.len() < self.limits.idle
    }

    /// Returns whether fewer instances are idle than [`Limits::warm`] asks for.
    pub(crate) fn needs_warm_up(&self) -> bool {
        let warm = self.limits.warm.min(self.limits.idle);
        warm > 0 && self.state.lock().idle.len() < warm
    }

    /// Counts a call that runs at the pace `pace` as abandoned, if the returned value is dropped before
    /// the call has ended.
    pub(crate) fn count_if_dropped(&self, pace: &Arc<Pace>) -> Unfinished<'_, T> {
        Unfinished {
            pool: self,
            pace: pace.clone(),
            ended: false,
        }
    }

    /// Drops all idle instances, and keeps none from now on.
    pub(crate) fn close(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.closed = true;
            core::mem::take(&mut state.idle)
        };
        // Without the lock: an instance's data may run the embedder's code when it is dropped.
        drop(idle);
    }
}

/// A call that waits for a permit.
#[derive(Default)]
struct QueueEntry {
    /// Whether it got one. Set while the pool's state is locked.
    held: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A stepped or awaited call that has begun.
pub(crate) struct Unfinished<'a, T: 'static> {
    pool: &'a Pool<T>,
    pace: Arc<Pace>,
    ended: bool,
}

impl<T> Unfinished<'_, T> {
    /// Ends the call.
    pub(crate) const fn end(&mut self) {
        self.ended = true;
    }
}

impl<T> Drop for Unfinished<'_, T> {
    fn drop(&mut self) {
        if !self.ended {
            let fuel = self.pace.noted().fuel;
            let figures = &mut self.pool.state.lock().figures;
            figures.abandoned = figures.abandoned.saturating_add(1);
            figures.abandoned_fuel = figures.abandoned_fuel.saturating_add(fuel);
        }
    }
}

/// The right to use one instance of a [`Pool`], or a position in the queue for it. Dropping it hands
/// it on to the next call, or leaves the queue.
pub(crate) struct Permit<'a, T: 'static> {
    pool: &'a Pool<T>,
    platform: &'a dyn Platform,
    /// The position in the queue; `None` if a permit was free at once.
    queue_entry: Option<Arc<QueueEntry>>,
    /// An idle instance that was free with it.
    idle: Option<IdleInstance<T>>,
    /// Whether the instance in use came out of the pool.
    reused: bool,
    /// Whether an instance was used under this permit.
    in_use: bool,
    /// That instance, once it is reset.
    reset: Option<IdleInstance<T>>,
}

impl<T> Permit<'_, T> {
    /// Returns whether this is a permit by now, and no longer a position in the queue.
    fn is_held(&self) -> bool {
        let queue_entry = self.queue_entry.as_ref();
        queue_entry.is_none_or(|queue_entry| queue_entry.held.load(Ordering::Acquire))
    }

    /// As [`is_held`](Self::is_held); if not yet, wakes `context` when the permit comes.
    fn poll_held(&self, context: &Context<'_>) -> bool {
        self.set_waker(context.waker().clone());
        // Checked after the waker is stored: a permit that comes in between is not missed.
        self.is_held()
    }

    /// Sets the waker that is woken when the permit comes.
    fn set_waker(&self, waker: Waker) {
        if let Some(queue_entry) = &self.queue_entry {
            let before = queue_entry.waker.lock().replace(waker);
            // Without the lock: dropping a waker may run its executor's code.
            drop(before);
        }
    }
}

impl<T> Permit<'_, T> {
    /// Records that an instance is used under this permit from now on.
    pub(crate) const fn mark_in_use(&mut self) {
        self.in_use = true;
    }

    /// Takes an idle instance out of the pool, if there is one.
    pub(crate) fn take_idle(&mut self) -> Option<IdleInstance<T>> {
        let idle = self.idle.take();
        let idle = idle.or_else(|| self.pool.state.lock().idle.pop());
        self.reused = idle.is_some();
        idle
    }

    /// Leaves all idle instances to other calls.
    pub(crate) fn leave_idle(&mut self) {
        if let Some(idle) = self.idle.take() {
            self.pool.keep(idle);
        }
    }

    /// Resets the used instance, with `data`, and returns it and the permit to the pool, if the instance can
    /// be reset and there is room. `None` stands for an instance that was stopped.
    pub(crate) fn return_instance(mut self, used: Option<IdleInstance<T>>, data: T) {
        let pool = self.pool;
        self.reset = used.and_then(|mut used| {
            let image = pool.image()?;
            // One that came out of the pool mostly has room there: not worth the lock. A reset in vain is
            // dropped when it is released.
            let room = self.reused || pool.has_room(&pool.state.lock());
            let kept = room && !used.sandbox.code.is_crowded();
            (kept && used.sandbox.reset(&used.loaded, image, data)).then_some(used)
        });
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if let Some(queue_entry) = &self.queue_entry {
            // Under the lock: else the permit could come after the check, and would be lost.
            let mut state = self.pool.state.lock();
            if !self.is_held() {
                state.queue.retain(|other| !Arc::ptr_eq(other, queue_entry));
                return;
            }
        }
        self.pool.release(self);
    }
}
