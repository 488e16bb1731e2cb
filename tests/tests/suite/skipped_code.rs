//! The fuel of code that exits skip: of made-up programs, which run here and in an evaluation in Rust that
//! counts operators.

use hostel::{Budget, Grants, Instance};
use hostel_tests::{Random, load_wat};
use std::fmt::Write as _;

/// The charge for each call of an export.
const BASE: u64 = 20;

/// A part of a program that works on one number, `x`.
enum Part {
    /// So many times `x = x * 3 + 1`.
    Work(u32),
    Block(Vec<Part>),
    /// A block with a result, which becomes `x`.
    Valued(Vec<Part>),
    /// By a bit of `x`.
    If(u32, Vec<Part>, Vec<Part>),
    /// At most three times, counted by the local of this number.
    Loop(usize, Vec<Part>),
    Branch(usize),
    /// If the bit of `x` is set.
    BranchIf(u32, usize),
    /// By `x` modulo 4.
    Table([usize; 4]),
    Return,
}

/// Makes up programs.
struct Author {
    random: Random,
    /// Parts that may still be made.
    left: usize,
    loops: usize,
    /// Whether each enclosing block can be branched to without a value.
    blocks: Vec<bool>,
}

impl Author {
    fn parts(&mut self, blocks: &[bool]) -> Vec<Part> {
        self.blocks.extend(blocks);
        let mut parts = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            parts.push(self.part());
            // What comes after is never reached. The interpreter charges it, but no compiler writes it.
            if !ways(&parts).0 {
                break;
            }
        }
        self.blocks.truncate(self.blocks.len() - blocks.len());
        parts
    }

    fn part(&mut self) -> Part {
        let bit = self.random.below(6) as u32;
        match self
            .random
            .below(if self.blocks.len() < 9 { 18 } else { 9 })
        {
            0..=3 => Part::Work(1 + self.random.below(6) as u32),
            4..=5 => Part::BranchIf(bit, self.depth()),
            6 => Part::Branch(self.depth()),
            7 => Part::Table([(); 4].map(|()| self.depth())),
            8 => Part::Return,
            9..=12 => Part::Block(self.parts(&[true])),
            13 => Part::Valued(self.parts(&[false])),
            14..=16 => Part::If(bit, self.parts(&[true]), self.parts(&[true])),
            _ => {
                self.loops += 1;
                Part::Loop(self.loops, self.parts(&[true, true]))
            }
        }
    }

    /// The depth of a block that can be branched to without a value. The outermost one can.
    fn depth(&mut self) -> usize {
        loop {
            let depth = self.random.below(self.blocks.len());
            if self.blocks[self.blocks.len() - 1 - depth] {
                return depth;
            }
        }
    }
}

/// Returns whether the end of these parts is reached, and the depths that they branch to, as bits.
fn ways(parts: &[Part]) -> (bool, u32) {
    let mut branches = 0;
    for part in parts {
        let (goes_on, outward) = match part {
            Part::Work(_) => (true, 0),
            Part::Block(parts) | Part::Valued(parts) => after(ways(parts)),
            Part::If(_, then, otherwise) => {
                let (then, otherwise) = (ways(then), ways(otherwise));
                after((then.0 || otherwise.0, then.1 | otherwise.1))
            }
            Part::Loop(_, parts) => (true, ways(parts).1 >> 2),
            Part::Branch(depth) => (false, 1 << depth),
            Part::BranchIf(_, depth) => (true, 1 << depth),
            Part::Table(depths) => (
                false,
                depths.iter().fold(0, |bits, depth| bits | 1 << depth),
            ),
            Part::Return => (false, 0),
        };
        branches |= outward;
        if !goes_on {
            return (false, branches);
        }
    }
    (true, branches)
}

/// Returns the ways out of a block with parts that have these.
fn after((goes_on, branches): (bool, u32)) -> (bool, u32) {
    (goes_on || branches & 1 == 1, branches >> 1)
}

/// Writes the parts as text.
fn write(parts: &[Part], text: &mut String) {
    let bit = |bit| format!("(i32.and (i32.shr_u (local.get 0) (i32.const {bit})) (i32.const 1))");
    for part in parts {
        match part {
            Part::Work(times) => text.push_str(&WORK.repeat(*times as usize)),
            Part::Block(parts) => {
                text.push_str("block ");
                write(parts, text);
                text.push_str("end ");
            }
            Part::Valued(parts) => {
                text.push_str("block (result i32) ");
                write(parts, text);
                text.push_str("local.get 0 end local.set 0 ");
            }
            Part::If(at, then, otherwise) => {
                write!(text, "{} if ", bit(*at)).unwrap();
                write(then, text);
                text.push_str("else ");
                write(otherwise, text);
                text.push_str("end ");
            }
            Part::Loop(count, parts) => {
                // The counter comes first, so that a branch back counts too.
                write!(
                    text,
                    "block loop (local.set {count} (i32.add (local.get {count}) (i32.const 1)))
                     (br_if 1 (i32.gt_u (local.get {count}) (i32.const 3))) "
                )
                .unwrap();
                write(parts, text);
                text.push_str("br 0 end end ");
            }
            Part::Branch(depth) => write!(text, "br {depth} ").unwrap(),
            Part::BranchIf(at, depth) => write!(text, "(br_if {depth} {}) ", bit(*at)).unwrap(),
            Part::Table([one, two, three, four]) => write!(
                text,
                "(br_table {one} {two} {three} {four} (i32.and (local.get 0) (i32.const 3))) "
            )
            .unwrap(),
            Part::Return => text.push_str("(return (local.get 0)) "),
        }
    }
}

const WORK: &str = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1))) ";

/// How a part ends.
#[derive(PartialEq)]
enum Flow {
    Next,
    Branch(usize),
    Return,
}

/// Evaluates programs.
#[derive(Default)]
struct Evaluation {
    x: u32,
    counters: Vec<u32>,
    /// The operators that ran, but for those that are no code.
    operators: u64,
}

impl Evaluation {
    fn work(&mut self) {
        self.x = self.x.wrapping_mul(3).wrapping_add(1);
        self.operators += 6;
    }

    fn bit(&mut self, bit: u32) -> bool {
        self.operators += 6;
        self.x >> bit & 1 == 1
    }

    fn run(&mut self, parts: &[Part]) -> Flow {
        for part in parts {
            let flow = self.part(part);
            if flow != Flow::Next {
                return flow;
            }
        }
        Flow::Next
    }

    fn part(&mut self, part: &Part) -> Flow {
        match part {
            Part::Work(times) => {
                (0..*times).for_each(|_| self.work());
                Flow::Next
            }
            Part::Block(parts) => left(self.run(parts)),
            Part::Valued(parts) => {
                let flow = self.run(parts);
                // It gets the result by its end alone.
                self.operators += if flow == Flow::Next { 2 } else { 0 };
                left(flow)
            }
            Part::If(bit, then, otherwise) => {
                let parts = if self.bit(*bit) { then } else { otherwise };
                left(self.run(parts))
            }
            Part::Loop(count, parts) => loop {
                self.operators += 8;
                self.counters[*count] += 1;
                if self.counters[*count] > 3 {
                    return Flow::Next;
                }
                let flow = self.run(parts);
                // The branch back.
                self.operators += u64::from(flow == Flow::Next);
                let flow = left(flow);
                if flow != Flow::Next {
                    return left(flow);
                }
            },
            Part::Branch(depth) => {
                self.operators += 1;
                Flow::Branch(*depth)
            }
            Part::BranchIf(bit, depth) => match self.bit(*bit) {
                true => Flow::Branch(*depth),
                false => Flow::Next,
            },
            Part::Table(depths) => {
                self.operators += 4;
                Flow::Branch(depths[self.x as usize % 4])
            }
            Part::Return => {
                self.operators += 1;
                Flow::Return
            }
        }
    }
}

/// What a block's end makes of a branch out of its parts.
fn left(flow: Flow) -> Flow {
    match flow {
        Flow::Branch(0) => Flow::Next,
        Flow::Branch(depth) => Flow::Branch(depth - 1),
        flow => flow,
    }
}

/// Makes an instance with all the fuel that it needs.
fn instance(text: &str) -> Instance {
    let mut budget = Budget::server();
    budget.fuel = 1 << 40;
    let plugin = load_wat(text, &Grants::new()).with_budget(budget);
    plugin.instantiate(()).unwrap()
}

/// Calls `f` with a number; returns its result and the guest's fuel.
fn called(instance: &mut Instance, x: u32) -> (u32, u64) {
    let result = instance.call::<_, u32>("f", x).unwrap();
    (result, instance.usage().fuel - BASE)
}

#[test]
fn made_up_programs_pay_for_what_runs() {
    let (mut fuel, mut operators) = (0, 0);
    for seed in 1..=600 {
        let mut author = Author {
            random: Random::new(seed * 0x9e37_79b9),
            left: 60,
            loops: 0,
            blocks: Vec::new(),
        };
        let parts = author.parts(&[true]);
        let mut text = String::from(r#"(module (func (export "f") (param i32) (result i32) "#);
        (0..author.loops).for_each(|_| text.push_str("(local i32) "));
        text.push_str("block ");
        write(&parts, &mut text);
        write!(text, "end {} local.get 0))", WORK.repeat(4)).unwrap();
        let mut instance = instance(&text);
        for x in [0, 1, 0b10_1010, 0xdead_beef, u32::MAX] {
            let mut evaluation = Evaluation {
                x,
                counters: vec![0; author.loops + 1],
                operators: 0,
            };
            if evaluation.run(&parts) != Flow::Return {
                (0..4).for_each(|_| evaluation.work());
                evaluation.operators += 1;
            }
            let (result, used) = called(&mut instance, x);
            assert_eq!(result, evaluation.x, "program {seed} of {x}: {text}");
            assert!(
                used > evaluation.operators,
                "program {seed} of {x}: {} operators for {used} of fuel: {text}",
                evaluation.operators
            );
            fuel += used;
            operators += evaluation.operators;
        }
    }
    assert!(
        fuel <= operators * 3 / 2,
        "{operators} operators took {fuel} units of fuel"
    );
}

/// Returns the fuel of a function with this body and an exit before `work`.
fn fuel_of(exit: &str, work: usize) -> u64 {
    let text = format!(
        r#"(module (func (export "f") (param i32) (result i32)
             block block {exit} {} end end local.get 0))"#,
        WORK.repeat(work)
    );
    called(&mut instance(&text), 1).1
}

#[test]
fn an_exit_does_not_pay_for_what_it_skips() {
    for exit in [
        "(br_if 0 (local.get 0))",
        "(br_if 1 (local.get 0))",
        "(if (local.get 0) (then (return (local.get 0))))",
        "(if (local.get 0) (then (br 2)))",
        "block (br_table 0 2 (local.get 0)) end",
    ] {
        let (little, much) = (fuel_of(exit, 4), fuel_of(exit, 4_000));
        assert_eq!(little, much, "{exit}");
    }
}

/// Returns the fuel of 1,000 rounds more of a loop, for each of them.
fn fuel_of_a_round(before: &str, after: &str) -> f64 {
    let text = format!(
        r#"(module (func (export "f") (param $n i32) (result i32) (local $x i32)
             block $done loop $again
               block $skip
                 {before} (local.set $n (i32.sub (local.get $n) (i32.const 1))) {after}
               end
               (br_if $again (local.get $n))
             end end (local.get $x)))"#
    );
    let mut instance = instance(&text);
    let [few, many] = [100, 1_100].map(|rounds| called(&mut instance, rounds).1);
    (many - few) as f64 / 1_000.0
}

#[test]
fn a_round_of_a_loop_pays_nothing_for_an_exit_that_leaves_the_loop() {
    // An instruction more than four, and at most 16.
    let work = "(local.set $x (i32.add (local.get $x) (i32.const 3)))".repeat(2);
    let without = fuel_of_a_round("", &work);
    for leaves in [
        "(br_if $done (i32.eqz (local.get $n)))",
        "(if (i32.eqz (local.get $n)) (then (return (i32.const 0))))",
    ] {
        let exit = fuel_of_a_round(leaves, "") - fuel_of_a_round("", "");
        assert_eq!(fuel_of_a_round(leaves, &work) - without, exit, "{leaves}");
    }
    // One that only skips the rest of the round is paid for: it may skip it each time.
    let skips = "(br_if $skip (i32.eqz (local.get $n)))";
    let exit = fuel_of_a_round(skips, "") - fuel_of_a_round("", "");
    assert_eq!(fuel_of_a_round(skips, &work) - without, exit + 1.0);
    let leaves = "(br_if $done (i32.eqz (local.get $n)))";
    // Both kinds together, in either order, also where they are in a block of their own: rounds that skip the
    // work don't pay for it.
    let skips = "(br_if $skip (local.get $n))";
    for both in [
        format!("{leaves} {skips}"),
        format!("{skips} {leaves}"),
        format!("block {leaves} {skips} end"),
        format!("block {skips} {leaves} end"),
    ] {
        let [little, much] =
            [3, 6].map(|times| fuel_of_a_round("", &format!("{both} {}", work.repeat(times))));
        assert_eq!(little, much, "{both}");
    }
}

#[test]
fn the_last_round_of_a_loop_pays_for_at_most_sixteen_skipped_instructions() {
    for (work, paid) in [(4, 16), (40, 4)] {
        let text = format!(
            r#"(module (func (export "f") (param $n i32) (result i32) (local $x i32)
                 block $done loop $again
                   (br_if $done (i32.eqz (local.get $n)))
                   {}
                   br $again
                 end end (local.get $x)))"#,
            "(local.set $x (i32.add (local.get $x) (i32.const 3)))".repeat(work)
        );
        let used = called(&mut instance(&text), 0).1;
        assert!(used <= 8 + paid, "{work}: {used}");
    }
}

#[test]
fn an_exit_outside_of_all_blocks_does_not_pay_for_what_it_skips() {
    for other in ["", "(func (param i64) (result i64) local.get 0)"] {
        let [little, much] = [4, 4_000].map(|work| {
            let text = format!(
                r#"(module {other} (func (export "f") (param i32) (result i32)
                     (if (local.get 0) (then (return (local.get 0)))) {} local.get 0))"#,
                WORK.repeat(work)
            );
            called(&mut instance(&text), 1).1
        });
        assert_eq!(little, much, "{other}");
    }
}

#[test]
fn an_exit_does_not_pay_for_what_it_skips_whatever_the_results() {
    // Each case: the results of a function and of a block, and a value for them. There is a memory whose long
    // copies become a function of a type that is added too.
    for (results, value) in [
        ("i64", "(i64.const 1)"),
        ("f32", "(f32.const 1)"),
        ("f64", "(f64.const 1)"),
        ("funcref", "(ref.null func)"),
        ("externref", "(ref.null extern)"),
        ("i32 i32", "(i32.const 1) (i32.const 2)"),
        (
            "i64 f64 funcref",
            "(i64.const 1) (f64.const 2) (ref.null func)",
        ),
    ] {
        let drops = "drop ".repeat(results.split(' ').count());
        let [little, much] = [4, 4_000].map(|work| {
            let work = WORK.repeat(work);
            let text = format!(
                r#"(module (memory 16)
                     (func $g (param i32) (result {results})
                       (if (local.get 0) (then (return {value}))) {work} {value})
                     (func $h (param i32) (result {results})
                       (if (local.get 0) (then (return {value}))) {work} {value})
                     (func (export "f") (param i32) (result i32)
                       (call $g (local.get 0)) {drops}
                       (call $h (local.get 0)) {drops}
                       block block (result {results})
                         {value} (br_if 0 (local.get 0)) {drops} {work} {value}
                       end {drops} end
                       (if (i32.eqz (local.get 0)) (then
                         (memory.fill (local.get 0) (local.get 0) (local.get 0))))
                       local.get 0))"#
            );
            let mut instance = instance(&text);
            // With 0, no exit is taken.
            called(&mut instance, 0);
            let (result, fuel) = called(&mut instance, 1);
            assert_eq!(result, 1, "{results}");
            fuel
        });
        assert_eq!(little, much, "{results}");
    }
}

#[test]
fn a_case_does_not_pay_for_the_others() {
    let cases = 200;
    let mut text =
        String::from(r#"(module (func (export "f") (param i32) (result i32) (local i32) "#);
    text.push_str(&"block ".repeat(cases + 1));
    text.push_str("(br_table ");
    (0..=cases).for_each(|case| write!(text, "{case} ").unwrap());
    text.push_str("(local.get 0)) end ");
    for case in 0..cases {
        let depth = cases - 1 - case;
        write!(text, "{} (br {depth}) end ", WORK.repeat(12)).unwrap();
    }
    text.push_str("local.get 0))");
    let mut instance = instance(&text);
    for case in [0, 1, 100, 199] {
        let (_, fuel) = called(&mut instance, case);
        // A case has 73 operators.
        assert!(fuel <= 100, "case {case} took {fuel} units of fuel");
    }
}
