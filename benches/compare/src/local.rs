//! Makes a host of a library: prepares a case with its plugins and instances, and measures in this process.

use crate::{
    cases::Work,
    guests::{Guest, expected, input, numbered},
    host::{Answer, Host, Instance, Library, Plugin, Runner, Sample},
    memory,
};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

impl<L: Library> Host for L {
    fn name(&self) -> &'static str {
        Library::name(self)
    }

    fn about(&self) -> String {
        Library::about(self)
    }

    fn prepare(&'static self, work: &Work) -> Answer<Option<Box<dyn Runner>>> {
        if !self.takes(work) {
            return Ok(None);
        }
        prepare(self, *work)
    }

    fn grow(&'static self, kind: &str, most: u32) -> Answer<()> {
        let Some(wasm) = Guest::RustStd.wasm(self.convention()) else {
            return Ok(());
        };
        if !self.takes(&Work::Held(Guest::RustStd, 11)) {
            return Ok(());
        }
        memory::grow(self, wasm, kind, most)
    }
}

/// Rounds in this process.
struct Local<F>(F);

impl<F: FnMut() -> Answer<()>> Runner for Local<F> {
    fn run(&mut self, rounds: u32) -> Answer<Sample> {
        let (processor, wall) = (processor_time(), Instant::now());
        for _ in 0..rounds {
            (self.0)()?;
        }
        Ok(Sample {
            wall: wall.elapsed().as_nanos() as f64,
            processor: processor_time() - processor,
        })
    }
}

/// Rounds on threads. Its times are those of one call.
struct Threads {
    plugin: Arc<dyn Plugin>,
    threads: u32,
}

impl Runner for Threads {
    fn run(&mut self, rounds: u32) -> Answer<Sample> {
        let (processor, wall) = (processor_time(), Instant::now());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut output = Vec::new();
                        for _ in 0..rounds {
                            as_new(&*self.plugin, b"hello world", &mut output)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("the thread ends"))
        })
        .map(|()| Sample {
            wall: wall.elapsed().as_nanos() as f64 / f64::from(self.threads),
            processor: (processor_time() - processor) / f64::from(self.threads),
        })
    }
}

/// Calls an instance that is as new: by the host's means, or else a new one.
pub fn as_new(plugin: &dyn Plugin, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
    if !plugin.process_reused(black_box(input), output)? {
        plugin.instance()?.process(black_box(input), output)?;
    }
    Ok(())
}

fn prepare(library: &'static dyn Library, work: Work) -> Answer<Option<Box<dyn Runner>>> {
    let guest = match work {
        Work::Held(guest, _)
        | Work::Reused(guest, _)
        | Work::New(guest, _)
        | Work::Load(guest)
        | Work::LoadAgain(guest)
        | Work::Threads(guest, _) => guest,
        Work::AddHeld | Work::AddReused => Guest::Add,
        Work::HostNumbers | Work::HostBytes => Guest::Caller,
        Work::Blocks => Guest::Blocks,
        Work::Kernel(index) => Guest::Kernel(index),
    };
    let Some(wasm) = guest.wasm(library.convention()) else {
        return Ok(None);
    };
    let plugin = library.load(guest, wasm)?;
    let mut output = Vec::new();
    Ok(Some(match work {
        Work::Held(_, size) => {
            let (mut instance, input) = (plugin.instance()?, input(size));
            check(&mut *instance, &input)?;
            Box::new(Local(move || {
                // The plugin lives as long as its instance, as in a server.
                let _ = &plugin;
                instance.process(black_box(&input), &mut output)
            }))
        }
        Work::Reused(_, size) => {
            let input = input(size);
            if !plugin.process_reused(&input, &mut output)? {
                return Ok(None);
            }
            compare(&output, &input)?;
            Box::new(Local(move || {
                plugin
                    .process_reused(black_box(&input), &mut output)
                    .map(drop)
            }))
        }
        Work::New(_, size) => {
            let input = input(size);
            check(&mut *plugin.instance()?, &input)?;
            Box::new(Local(move || {
                plugin.instance()?.process(black_box(&input), &mut output)
            }))
        }
        Work::AddHeld => {
            let mut instance = plugin.instance()?;
            Box::new(Local(move || {
                let _ = &plugin;
                is_thirty(instance.add(black_box(10), black_box(20))?)
            }))
        }
        Work::AddReused => {
            if plugin.add_reused(10, 20)?.is_none() {
                return Ok(None);
            }
            Box::new(Local(move || {
                let sum = plugin.add_reused(black_box(10), black_box(20))?;
                is_thirty(sum.unwrap_or_default())
            }))
        }
        Work::HostNumbers | Work::HostBytes | Work::Blocks | Work::Kernel(_) => {
            let export = match work {
                Work::HostNumbers => "numbers",
                Work::HostBytes => "bytes",
                _ => "run",
            };
            let mut instance = plugin.instance()?;
            Box::new(Local(move || {
                let _ = &plugin;
                instance.run(export)
            }))
        }
        Work::Load(_) => {
            drop(plugin);
            // Modules are numbered in all of the process: no host may know one from an earlier case.
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            Box::new(Local(move || {
                let wasm = numbered(wasm, NUMBER.fetch_add(1, Ordering::Relaxed));
                first_answer(library, guest, &wasm)
            }))
        }
        Work::LoadAgain(_) => Box::new(Local(move || {
            let _ = &plugin;
            first_answer(library, guest, wasm)
        })),
        Work::Threads(_, threads) => {
            as_new(&*plugin, b"hello world", &mut output)?;
            Box::new(Threads {
                plugin: plugin.into(),
                threads,
            })
        }
    }))
}

fn first_answer(library: &dyn Library, guest: Guest, wasm: &[u8]) -> Answer<()> {
    let plugin = library.load(guest, black_box(wasm))?;
    check(&mut *plugin.instance()?, b"hello world")
}

/// Calls the example, and compares its answer.
pub fn check(instance: &mut dyn Instance, input: &[u8]) -> Answer<()> {
    let mut output = Vec::new();
    instance.process(input, &mut output)?;
    compare(&output, input)
}

fn compare(output: &[u8], input: &[u8]) -> Answer<()> {
    if output == expected(input) {
        return Ok(());
    }
    let start = String::from_utf8_lossy(&output[..output.len().min(80)]);
    Err(format!("wrong answer: {start:?}").into())
}

fn is_thirty(sum: u32) -> Answer<()> {
    match sum {
        30 => Ok(()),
        sum => Err(format!("10 + 20 is not {sum}").into()),
    }
}

/// Nanoseconds that this process's threads have spent on processors.
pub fn processor_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
