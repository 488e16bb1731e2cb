//! The same guest code three ways: on bare wasmi without fuel, with fuel, and through hostel.

use crate::turns::best_of;
use hostel::{Budget, Grants, Instance};
use std::{hint::black_box, time::Duration};
use wasmi::{CompilationMode, Config, Engine, Linker, Module, OperatorCost, Store, TypedFunc};

const TURNS: usize = 40;

/// What one run took at best.
pub struct Times {
    pub unmetered: Duration,
    pub metered: Duration,
    pub hostel: Duration,
}

impl Times {
    /// What fuel costs.
    pub fn fuel(&self) -> f64 {
        self.metered.as_secs_f64() / self.unmetered.as_secs_f64()
    }

    /// What hostel costs where there is fuel: slices with a look at clock and cancellation, a
    /// call's begin and end, and what the door changed in the code.
    pub fn slices(&self) -> f64 {
        self.hostel.as_secs_f64() / self.metered.as_secs_f64()
    }
}

/// What hostel charges where it is not what wasmi does by default.
pub fn hostels_cost() -> OperatorCost {
    OperatorCost {
        memory_grow: u8::MAX,
        ..OperatorCost::default()
    }
}

/// hostel's configuration of the interpreter, but for what is asked.
pub fn config(fuel: bool, cost: OperatorCost) -> Config {
    let limits = hostel::Limits::server();
    let mut config = Config::default();
    config
        .consume_fuel(fuel)
        .operator_cost(cost)
        .compilation_mode(CompilationMode::Eager)
        .ignore_custom_sections(true)
        .allow_start_fn(false)
        .set_max_recursion_depth(limits.call_depth)
        .set_min_stack_height(1_000)
        .set_max_stack_height(limits.stack_bytes)
        .wasm_multi_memory(false)
        .wasm_tail_call(false);
    config
}

/// An instance on bare wasmi, and its export `run`.
struct Bare {
    store: Store<()>,
    run: TypedFunc<u32, u32>,
}

impl Bare {
    fn new(wasm: &[u8], config: &Config) -> Self {
        let engine = Engine::new(config);
        let module = Module::new(&engine, wasm).expect("wasmi takes the kernel");
        let mut store = Store::new(&engine, ());
        // Refused where fuel is off.
        let _ = store.set_fuel(u64::MAX);
        let instance = Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .expect("the kernel starts");
        let run = instance.get_typed_func(&store, "run");
        Self {
            run: run.expect("the kernel exports `run`"),
            store,
        }
    }

    fn run(&mut self, n: u32) -> u32 {
        self.run
            .call(&mut self.store, black_box(n))
            .expect("the kernel answers")
    }
}

/// The same through hostel, with a deadline, so that the clock is looked at.
fn in_hostel(wasm: &[u8]) -> Instance {
    let budget = Budget::server()
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_secs(3_600));
    hostel::engine()
        .load("kernel", wasm, &Grants::new())
        .expect("the kernel loads")
        .with_budget(budget)
        .instantiate(())
        .expect("the kernel starts")
}

/// Measures `run(n)` of the module, turn and turn about, where fuel is charged by `cost`.
///
/// Each turn has instances of its own, and so its own places of code, stack and fuel counter in
/// the machine's memory: by chance of these alone, the same loop takes up to twice as long.
pub fn measure(text: &str, n: u32, cost: OperatorCost) -> Times {
    let wasm = wat::parse_str(text).expect("the kernel is well-formed");
    let mut best = [Duration::MAX; 3];
    for turn in 0..TURNS {
        // Keeps what the next ones take from lying where the last turn's lay.
        let _elsewhere = vec![1u8; turn * 1_040];
        let mut unmetered = Bare::new(&wasm, &config(false, OperatorCost::default()));
        let mut metered = Bare::new(&wasm, &config(true, cost));
        let mut hostel = in_hostel(&wasm);
        let mut in_hostel = || {
            hostel
                .call::<_, u32>("run", black_box(n))
                .expect("the kernel answers")
        };

        let answer = unmetered.run(n);
        assert_eq!(metered.run(n), answer);
        assert_eq!(in_hostel(), answer);
        let times = best_of(
            3,
            1,
            [
                &mut || {
                    black_box(unmetered.run(n));
                },
                &mut || {
                    black_box(metered.run(n));
                },
                &mut || {
                    black_box(in_hostel());
                },
            ],
        );
        for (best, time) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
        }
    }
    let [unmetered, metered, hostel] = best;
    Times {
        unmetered,
        metered,
        hostel,
    }
}
