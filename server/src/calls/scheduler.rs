//! Runs the slices of calls on threads of their own, in turns that are fair between plugins.
//!
//! Each plugin has a lane, and each lane counts the processor's time that its calls took. The next slice is of the
//! lane that took least. A plugin that loops or is flooded with calls so moves no other one's call by more than the
//! slices that run just then. A lane that comes back from idleness does not bring the time that it left unused.

use super::task::Task;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Time that each slice costs its lane at least: picking it takes some, too.
const LEAST: Duration = Duration::from_micros(1);

/// Threads that run slices.
#[derive(Clone)]
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

/// The calls of one plugin, in the order in which they can go on.
pub(crate) struct Lane {
    number: u64,
    shared: Arc<Shared>,
}

#[derive(Default)]
pub(super) struct Shared {
    ready: Mutex<Ready>,
    changed: Condvar,
    lanes: AtomicU64,
    /// Number of tasks that are queued or run.
    busy: AtomicUsize,
}

#[derive(Default)]
struct Ready {
    lanes: HashMap<u64, LaneState>,
    /// The lanes with a task that may run now, by the time that they took.
    order: BTreeSet<(Duration, u64)>,
    /// The time of the lane that ran last: where lanes begin that were idle.
    clock: Duration,
    /// Number of threads that wait.
    idle: usize,
    closed: bool,
}

struct LaneState {
    tasks: VecDeque<Arc<Task>>,
    took: Duration,
    /// Number of its slices that run now, and the most that may.
    running: usize,
    most: usize,
    /// Whether it is in the order.
    listed: bool,
}

impl Scheduler {
    /// Starts threads.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let it = Self {
            shared: shared.clone(),
        };
        for number in 0..threads.max(1) {
            let shared = shared.clone();
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            thread.spawn(move || shared.run())?;
        }
        Ok(it)
    }

    /// Adds a lane, of which at most `most` slices run at a time.
    pub(crate) fn lane(&self, most: usize) -> Lane {
        let number = self.shared.lanes.fetch_add(1, Ordering::Relaxed);
        let mut ready = self.shared.ready();
        let state = LaneState {
            tasks: VecDeque::new(),
            took: ready.clock,
            running: 0,
            most,
            listed: false,
        };
        ready.lanes.insert(number, state);
        Lane {
            number,
            shared: self.shared.clone(),
        }
    }

    /// Ends the threads, each after the slice that it runs, and drops all tasks.
    pub(crate) fn close(&self) {
        let mut ready = self.shared.ready();
        ready.closed = true;
        ready.order.clear();
        let lanes = ready.lanes.values_mut();
        let tasks: Vec<_> = lanes.flat_map(|lane| mem::take(&mut lane.tasks)).collect();
        drop(ready);
        self.shared.changed.notify_all();
        // Without the lock: the last handle of a task drops its lane, which takes it.
        drop(tasks);
    }
}

impl Lane {
    /// Returns whether no task of any lane is queued or runs.
    pub(super) fn is_quiet(&self) -> bool {
        self.shared.busy.load(Ordering::Relaxed) == 0
    }

    /// Counts time that a task of the lane took elsewhere.
    pub(super) fn charge(&self, took: Duration) {
        let mut ready = self.shared.ready();
        let clock = ready.clock;
        if let Some(lane) = ready.lanes.get_mut(&self.number)
            && !lane.listed
        {
            lane.took = lane.took.max(clock);
        }
        ready.spend(self.number, took);
    }

    /// Adds a task that can go on.
    pub(super) fn push(&self, task: Arc<Task>) {
        self.shared.busy.fetch_add(1, Ordering::Relaxed);
        let mut ready = self.shared.ready();
        if ready.closed {
            drop(ready);
            // Without the lock, as above.
            drop(task);
            return;
        }
        ready.push(self.number, task);
        let wakes = ready.idle > 0;
        drop(ready);
        if wakes {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A task holds its lane, so there are none.
        let mut ready = self.shared.ready();
        if let Some(state) = ready.lanes.remove(&self.number) {
            ready.order.remove(&(state.took, self.number));
        }
    }
}

impl Shared {
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs slices until the scheduler is closed.
    fn run(&self) {
        let mut ready = self.ready();
        while !ready.closed {
            let Some((number, task)) = ready.next() else {
                ready.idle += 1;
                let waited = self.changed.wait(ready);
                ready = waited.unwrap_or_else(PoisonError::into_inner);
                ready.idle -= 1;
                continue;
            };
            drop(ready);
            let began = Instant::now();
            let again = task.run();
            let took = began.elapsed().max(LEAST);
            ready = self.ready();
            ready.ended(number, took);
            if again && !ready.closed {
                ready.push(number, task);
            } else {
                self.busy.fetch_sub(1, Ordering::Relaxed);
                // Without the lock: the last handle of a task drops its lane, which takes it.
                drop(ready);
                drop(task);
                ready = self.ready();
            }
        }
    }
}

impl Ready {
    /// Adds a task to its lane.
    fn push(&mut self, number: u64, task: Arc<Task>) {
        let Some(lane) = self.lanes.get_mut(&number) else {
            return;
        };
        if lane.tasks.is_empty() && lane.running == 0 {
            lane.took = lane.took.max(self.clock);
        }
        lane.tasks.push_back(task);
        self.list(number);
    }

    /// Puts a lane into the order, if it has a task that may run.
    fn list(&mut self, number: u64) {
        if let Some(lane) = self.lanes.get_mut(&number)
            && !lane.listed
            && !lane.tasks.is_empty()
            && lane.running < lane.most
        {
            lane.listed = true;
            self.order.insert((lane.took, number));
        }
    }

    /// Takes the next task.
    fn next(&mut self) -> Option<(u64, Arc<Task>)> {
        let (took, number) = self.order.pop_first()?;
        self.clock = self.clock.max(took);
        let lane = self.lanes.get_mut(&number)?;
        lane.listed = false;
        let task = lane.tasks.pop_front()?;
        lane.running += 1;
        self.list(number);
        Some((number, task))
    }

    /// Notes that a slice of a lane has ended.
    fn ended(&mut self, number: u64, took: Duration) {
        let Some(lane) = self.lanes.get_mut(&number) else {
            return;
        };
        lane.running = lane.running.saturating_sub(1);
        self.spend(number, took);
    }

    /// Adds to the time that a lane took.
    fn spend(&mut self, number: u64, took: Duration) {
        let Some(lane) = self.lanes.get_mut(&number) else {
            return;
        };
        if mem::take(&mut lane.listed) {
            self.order.remove(&(lane.took, number));
        }
        lane.took = lane.took.saturating_add(took);
        self.list(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::task;
    use std::{future::poll_fn, task::Poll};

    /// A scheduler without threads: the test takes its turns.
    fn by_hand() -> Scheduler {
        let shared = Arc::new(Shared::default());
        Scheduler { shared }
    }

    fn never_ends(lane: &Arc<Lane>) -> task::Running<()> {
        task::spawn(lane.clone(), std::future::pending())
    }

    /// Gives each next task a turn that takes as long as its lane says. Returns how many turns each lane got.
    fn turns(scheduler: &Scheduler, turns: usize, took: &[Duration]) -> Vec<usize> {
        let mut counts = vec![0; took.len()];
        for _ in 0..turns {
            let mut ready = scheduler.shared.ready();
            let (number, task) = ready.next().expect("a task is ready");
            let lane = usize::try_from(number).expect("there are few lanes");
            counts[lane] += 1;
            ready.ended(number, took[lane]);
            ready.push(number, task);
        }
        counts
    }

    #[test]
    fn time_taken_elsewhere_counts_for_a_lane_whose_tasks_wait() {
        let scheduler = by_hand();
        let lanes = [0, 1].map(|_| Arc::new(scheduler.lane(1)));
        let _running = lanes.each_ref().map(never_ends);
        let turn = Duration::from_millis(1);
        lanes[0].charge(10 * turn);
        assert_eq!(turns(&scheduler, 10, &[turn; 2]), [0, 10]);
        assert_eq!(turns(&scheduler, 10, &[turn; 2]), [5, 5]);
    }

    #[test]
    fn a_flood_of_calls_takes_no_more_turns_than_one_call() {
        let scheduler = by_hand();
        let lanes = [(); 2].map(|()| Arc::new(scheduler.lane(1)));
        let flood: Vec<_> = (0..1_000).map(|_| never_ends(&lanes[0])).collect();
        let equal = [Duration::from_micros(50); 2];
        assert_eq!(turns(&scheduler, 500, &equal), [500, 0]);
        // The other one comes at once, and not for the time in which it had nothing to do.
        let one = never_ends(&lanes[1]);
        assert_eq!(turns(&scheduler, 2, &equal)[1], 1);
        assert_eq!(turns(&scheduler, 100, &equal), [50, 50]);
        drop((flood, one));
        scheduler.close();
    }

    #[test]
    fn a_lane_with_long_turns_gets_fewer() {
        let scheduler = by_hand();
        let lanes = [(); 3].map(|()| Arc::new(scheduler.lane(1)));
        let tasks = lanes.each_ref().map(never_ends);
        let took = [10, 20, 40].map(Duration::from_micros);
        let counts = turns(&scheduler, 700, &took);
        let mut pairs = counts.iter().zip([400_usize, 200, 100]);
        assert!(
            pairs.all(|(count, fair)| count.abs_diff(fair) <= 2),
            "{counts:?}"
        );
        drop(tasks);
        scheduler.close();
    }

    #[test]
    fn a_lane_takes_no_more_threads_than_it_may() {
        let scheduler = by_hand();
        let lane = Arc::new(scheduler.lane(2));
        let tasks = [(); 3].map(|()| never_ends(&lane));
        let mut ready = scheduler.shared.ready();
        let mut taken = Vec::new();
        taken.extend(ready.next());
        taken.extend(ready.next());
        assert_eq!(taken.len(), 2);
        assert!(ready.next().is_none());
        ready.ended(0, LEAST);
        taken.extend(ready.next());
        assert_eq!(taken.len(), 3);
        drop(ready);
        drop((tasks, taken));
        scheduler.close();
    }

    #[test]
    fn a_dropped_call_runs_no_more() {
        let scheduler = Scheduler::start("test", 1).unwrap();
        let lane = Arc::new(scheduler.lane(1));
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let endless = poll_fn(move |context| {
            counted.fetch_add(1, Ordering::Relaxed);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        drop(task::spawn(lane.clone(), endless));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        // Behind it in its lane: it has been dropped when this one ends.
        let next = || runtime.block_on(task::spawn(lane.clone(), async {}));
        next().unwrap();
        let before = polls.load(Ordering::Relaxed);
        next().unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), before);
        scheduler.close();
    }

    #[test]
    fn a_panic_ends_its_own_task() {
        let scheduler = Scheduler::start("test", 1).unwrap();
        let lane = Arc::new(scheduler.lane(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let panics = task::spawn(lane.clone(), async { panic!("a test") });
        assert_eq!(runtime.block_on(panics), Err::<(), _>(task::Lost));
        assert_eq!(runtime.block_on(task::spawn(lane, async { 5 })), Ok(5));
        scheduler.close();
    }

    #[test]
    fn a_short_call_changes_no_thread_if_no_guest_waits_for_one() {
        // Without threads: what ends has run here.
        let scheduler = by_hand();
        let lane = Arc::new(scheduler.lane(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let here = task::spawn_here(lane.clone(), async { 5 });
        assert_eq!(runtime.block_on(here), Ok(5));
        // One that does not end in its first slice goes on in the lane.
        let mut polls = 0;
        let long = task::spawn_here(
            lane.clone(),
            poll_fn(move |context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls < 3 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }),
        );
        assert_eq!(scheduler.shared.busy.load(Ordering::Relaxed), 1);
        // A guest waits now: a further call waits behind it.
        let behind = task::spawn_here(lane.clone(), async {});
        assert_eq!(scheduler.shared.busy.load(Ordering::Relaxed), 2);
        drop((long, behind));
        scheduler.close();
    }
}
