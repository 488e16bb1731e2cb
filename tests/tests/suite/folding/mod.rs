//! Two generators, each compared with an evaluation in Rust: short chains of operators before every
//! kind of choice, and programs by chance.
//!
//! wasmi folds comparisons, leaves out operators that change nothing, and joins the rest with the
//! choice that follows. Its own operators decide what is joined, not WebAssembly's, so a list of the
//! latter can't be checked by reading it. The chains are those of 44 operators of all number types,
//! on values in locals and in registers.
//!
//! `cargo test` runs all chains of at most two operators, longer ones by chance, and 500 programs,
//! the same at each run. `HOSTEL_CHAINS=4` runs all chains of at most four; `HOSTEL_PROGRAMS=500000`
//! runs as many programs.

mod chains;
mod encode;
mod programs;

use self::chains::{
    CHOICES, Choice, FUNCREF, I32, I64, INPUTS, Inputs, LOCALS, OPERATORS, Operator, PARAMS,
    SOURCES, Source,
};
use self::encode::encode;
use self::programs::Program;
use hostel::Grants;
use hostel_tests::{Random, load_wat};
use std::env;

/// Functions of one module.
const BATCH: usize = 4_000;

/// Number of chains by chance, and how many operators they have at most beyond those of the chains
/// that all run.
const BY_CHANCE: usize = 20_000;
const BEYOND: usize = 4;

#[derive(Clone)]
struct Chain {
    source: &'static Source,
    operators: Vec<&'static Operator>,
    choice: &'static Choice,
}

impl Chain {
    /// What the chain does, in the order of its text.
    fn texts(&self) -> impl Iterator<Item = &'static str> {
        let before = self.operators.iter().rev().map(|operator| operator.before);
        let after = self.operators.iter().map(|operator| operator.after);
        [self.choice.before]
            .into_iter()
            .chain(before)
            .chain([self.source.text])
            .chain(after)
            .chain([self.choice.after])
            .filter(|text| !text.is_empty())
    }

    /// What its function gives, by this evaluation.
    fn eval(&self, inputs: &Inputs) -> u64 {
        let mut value = (self.source.eval)(inputs);
        for operator in &self.operators {
            value = operator.eval.of(value, inputs);
        }
        (self.choice.eval)(value, inputs)
    }
}

/// Chains that were run, in modules of many.
#[derive(Default)]
struct Runs {
    batch: Vec<Chain>,
    code: Vec<u8>,
    chains: usize,
    evaluations: usize,
    wrong: Vec<String>,
}

impl Runs {
    fn push(&mut self, chain: Chain) {
        let mut body = Vec::with_capacity(64);
        body.push(u8::try_from(LOCALS.len()).unwrap());
        for ty in LOCALS {
            body.extend([1, ty]);
        }
        for text in chain.texts() {
            body.extend(encode(text));
        }
        body.push(0x0b);
        sized(&mut self.code, &body);
        self.batch.push(chain);
        if self.batch.len() == BATCH {
            self.run();
        }
    }

    /// Runs the chains that have come together.
    fn run(&mut self) {
        let wasm = module(self.batch.len(), &self.code);
        let plugin = hostel::engine()
            .load("chains", &wasm, &Grants::new())
            .unwrap_or_else(|error| panic!("{}: {error}", describe(&self.batch[0])));
        let mut instance = plugin.instantiate(()).unwrap();
        for (number, chain) in (0u32..).zip(&self.batch) {
            let mut wrong = None;
            for (at, inputs) in (0u32..).zip(&INPUTS) {
                let found = instance.call::<(u32, u32), u64>("run", (number, at));
                let expected = chain.eval(inputs);
                if found != Ok(expected) {
                    wrong.get_or_insert_with(|| {
                        format!("{inputs:?} give {found:?}, not {expected}")
                    });
                }
                if instance.is_stopped() {
                    instance = plugin.instantiate(()).unwrap();
                }
            }
            self.evaluations += INPUTS.len();
            if let Some(wrong) = wrong {
                self.wrong.push(format!("{}: {wrong}", describe(chain)));
            }
        }
        self.chains += self.batch.len();
        self.batch.clear();
        self.code.clear();
    }
}

fn describe(chain: &Chain) -> String {
    chain.texts().collect::<Vec<_>>().join(" ")
}

/// All chains of so many operators at most that begin with `chain`, whose value has type `ty`.
fn all(runs: &mut Runs, chain: &mut Chain, ty: u8, most: usize) {
    for choice in CHOICES.iter().filter(|choice| choice.of == ty) {
        chain.choice = choice;
        runs.push(chain.clone());
    }
    if chain.operators.len() < most {
        for operator in OPERATORS
            .iter()
            .filter(|operator| operator.eval.from() == ty)
        {
            chain.operators.push(operator);
            all(runs, chain, operator.eval.to(), most);
            chain.operators.pop();
        }
    }
}

/// A chain of so many operators.
fn any(random: &mut Random, length: usize) -> Chain {
    fn one<T>(random: &mut Random, of: impl Iterator<Item = T> + Clone) -> T {
        let count = of.clone().count();
        of.clone().nth(random.below(count)).unwrap()
    }
    let source = one(random, SOURCES.iter());
    let mut ty = source.ty();
    let mut operators = Vec::new();
    for _ in 0..length {
        let operator = one(random, OPERATORS.iter().filter(|one| one.eval.from() == ty));
        ty = operator.eval.to();
        operators.push(operator);
    }
    let choice = one(random, CHOICES.iter().filter(|choice| choice.of == ty));
    Chain {
        source,
        operators,
        choice,
    }
}

#[test]
fn chains_of_operators_choose_as_the_standard_says() {
    let most = from_environment("HOSTEL_CHAINS", 2);
    let mut runs = Runs::default();
    for source in SOURCES {
        let mut chain = Chain {
            source,
            operators: Vec::new(),
            choice: &CHOICES[0],
        };
        all(&mut runs, &mut chain, source.ty(), most);
    }
    let mut random = Random::new(0x5eed);
    for _ in 0..BY_CHANCE {
        let length = most + 1 + random.below(BEYOND);
        runs.push(any(&mut random, length));
    }
    runs.run();
    println!(
        "{} chains, {} evaluations, {} chains wrong",
        runs.chains,
        runs.evaluations,
        runs.wrong.len()
    );
    assert!(runs.chains > 20_000, "{}", runs.chains);
    runs.wrong.sort_by_key(String::len);
    let few = &runs.wrong[..runs.wrong.len().min(20)];
    assert!(few.is_empty(), "{}", few.join("\n"));
}

#[test]
fn programs_by_chance_give_what_the_standard_says() {
    let count = from_environment("HOSTEL_PROGRAMS", 500);
    let mut random = Random::new(0x5eed_5eed);
    let mut wrong = Vec::new();
    for number in 0..count {
        let program = Program::by_chance(&mut random);
        let text = program.text();
        let plugin = load_wat(&text, &Grants::new());
        for inputs in &INPUTS {
            let params = (inputs.a, inputs.c, inputs.e, inputs.f);
            let found = plugin.call::<(u32, u64, f32, f64), u64>("run", params);
            let bits = [
                inputs.a.into(),
                inputs.c,
                inputs.e.to_bits().into(),
                inputs.f.to_bits(),
            ];
            let expected = program.eval(bits);
            if found != Ok(expected) {
                wrong.push(format!(
                    "{number}: {inputs:?} give {found:?}, not {expected}\n{text}"
                ));
                break;
            }
        }
    }
    println!("{count} programs, {} wrong", wrong.len());
    wrong.sort_by_key(String::len);
    assert!(wrong.is_empty(), "{}", wrong[0]);
}

/// A number from the environment, or `otherwise`.
fn from_environment(name: &str, otherwise: usize) -> usize {
    env::var(name).map_or(otherwise, |number| {
        number
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {number}"))
    })
}

/// Appends what has its length before it.
fn sized(to: &mut Vec<u8>, bytes: &[u8]) {
    number(to, bytes.len());
    to.extend(bytes);
}

/// Appends a number as LEB128.
fn number(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// A module with `count` functions of these bodies, and `run`, which calls that of a number with
/// inputs of a number.
fn module(count: usize, bodies: &[u8]) -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, count: usize, entries: &[u8]| {
        let mut contents = Vec::with_capacity(entries.len() + 5);
        number(&mut contents, count);
        contents.extend(entries);
        wasm.push(id);
        sized(&mut wasm, &contents);
    };
    let mut types = vec![0x60, 6];
    types.extend(PARAMS);
    types.extend([1, I64]);
    types.extend([0x60, 2, I32, I32, 1, I64]);
    types.extend([0x60, 1, I32, 1, I32]);
    section(1, 3, &types);
    let mut functions = vec![2, 1];
    functions.resize(count + 2, 0);
    section(3, count + 2, &functions);
    // The first element is null.
    let mut table = vec![FUNCREF, 0];
    number(&mut table, count + 1);
    section(4, 1, &table);
    section(5, 1, &[0, 2]);
    section(6, 1, &[I32, 1, 0x41, 0, 0x0b]);
    section(7, 1, b"\x03run\0\x01");
    let mut elements = vec![0, 0x41, 1, 0x0b];
    number(&mut elements, count);
    for function in 0..count {
        number(&mut elements, function + 2);
    }
    section(9, 1, &elements);
    let mut code = Vec::with_capacity(bodies.len() + 100);
    sized(&mut code, &[0, 0x20, 0, 0x0b]);
    sized(&mut code, RUN);
    code.extend(bodies);
    section(10, count + 2, &code);
    // At 1024, as `RUN` has it.
    let mut data = vec![0, 0x41, 0x80, 0x08, 0x0b];
    let bytes: Vec<u8> = INPUTS.iter().flat_map(Inputs::bytes).collect();
    sized(&mut data, &bytes);
    section(11, 1, &data);
    wasm
}

/// The function `run`: calls that of the first parameter with the inputs of the second.
const RUN: &[u8] = &[
    0, // no locals
    0x20, 1, 0x41, 40, 0x6c, 0x22, 1, // local.get 1, i32.const 40, i32.mul, local.tee 1
    0x28, 2, 0x80, 0x08, // i32.load offset=1024
    0x20, 1, 0x28, 2, 0x84, 0x08, // local.get 1, i32.load offset=1028
    0x20, 1, 0x29, 3, 0x88, 0x08, // local.get 1, i64.load offset=1032
    0x20, 1, 0x29, 3, 0x90, 0x08, // local.get 1, i64.load offset=1040
    0x20, 1, 0x2a, 2, 0x98, 0x08, // local.get 1, f32.load offset=1048
    0x20, 1, 0x2b, 3, 0xa0, 0x08, // local.get 1, f64.load offset=1056
    0x20, 0, 0x41, 1, 0x6a, // local.get 0, i32.const 1, i32.add
    0x11, 0, 0, // call_indirect
    0x0b,
];
