//! Measures a case: all hosts in turn, many short turns each.

use crate::{
    cases::{Case, Work},
    host::{Failure, Host, Runner},
};

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Turns of each host.
    pub turns: usize,
    /// Nanoseconds that a turn should take. A turn has one round at least.
    pub turn: f64,
    /// Nanoseconds for all turns of a host: if one round is long, it has fewer turns.
    pub most: f64,
    /// But so many turns at least.
    pub least_turns: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        turns: 21,
        turn: 2e6,
        most: 400e6,
        least_turns: 5,
    };
    pub const QUICK: Self = Self {
        turns: 7,
        turn: 0.7e6,
        most: 60e6,
        least_turns: 2,
    };
}

/// Nanoseconds of one call, over the turns of a host.
#[derive(Clone, Copy)]
pub struct Figures {
    /// The median of processor time.
    pub median: f64,
    /// The least processor time.
    pub least: f64,
    /// The median of time by the clock.
    pub wall: f64,
    /// Number of rounds measured.
    pub rounds: u32,
}

/// What a host has for a case.
pub enum Cell {
    Measured(Figures),
    /// It has no such thing.
    Blank,
    Failed(String),
}

struct Contender {
    runner: Box<dyn Runner>,
    rounds: u32,
    turns: usize,
    processor: Vec<f64>,
    wall: Vec<f64>,
}

/// Measures `case` on all hosts; the cells are in their order.
pub fn measure(case: &Case, hosts: &[&'static dyn Host], effort: Effort) -> Vec<Cell> {
    let mut contenders: Vec<Result<Option<Contender>, String>> = hosts
        .iter()
        .map(|host| contender(*host, case, effort))
        .collect();
    for turn in 0..effort.turns {
        for contender in &mut contenders {
            let failure = match contender {
                Ok(Some(contender)) if turn < contender.turns => contender.turn().err(),
                _ => None,
            };
            if let Some(failure) = failure {
                *contender = Err(failure);
            }
        }
    }
    contenders
        .into_iter()
        .map(|contender| match contender {
            Ok(Some(contender)) => Cell::Measured(contender.figures(case.parts)),
            Ok(None) => Cell::Blank,
            Err(failure) => Cell::Failed(failure),
        })
        .collect()
}

/// Prepares the work, warms it up, and decides how many rounds a turn has.
fn contender(
    host: &'static dyn Host,
    case: &Case,
    effort: Effort,
) -> Result<Option<Contender>, String> {
    let text = |error: Failure| one_line(&error.to_string());
    let Some(mut runner) = host.prepare(&case.work).map_err(text)? else {
        return Ok(None);
    };
    // Threads take long to start: many calls each, so that this is no part of a call's time.
    let length = match case.work {
        Work::Threads(..) => effort.turn * 10.0,
        _ => effort.turn,
    };
    let mut rounds = 1;
    let round = loop {
        let mut time = f64::MAX;
        // The first can be slow by what is done once, another one by the machine's other work.
        for _ in 0..3 {
            let sample = runner.run(rounds).map_err(text)?;
            time = time.min(sample.wall.max(sample.processor));
            if time < length / 2.0 || time > length * 8.0 {
                break;
            }
        }
        if time > length / 2.0 || rounds > 1 << 24 {
            break time / f64::from(rounds);
        }
        rounds *= 2;
    };
    let rounds = (length / round).clamp(1.0, 1e8) as u32;
    let fitting = (effort.most / (round * f64::from(rounds))) as usize;
    Ok(Some(Contender {
        runner,
        rounds,
        turns: effort.turns.min(fitting.max(effort.least_turns)),
        processor: Vec::new(),
        wall: Vec::new(),
    }))
}

impl Contender {
    fn turn(&mut self) -> Result<(), String> {
        let sample = self
            .runner
            .run(self.rounds)
            .map_err(|error| one_line(&error.to_string()))?;
        let rounds = f64::from(self.rounds);
        self.processor.push(sample.processor / rounds);
        self.wall.push(sample.wall / rounds);
        Ok(())
    }

    fn figures(mut self, parts: u32) -> Figures {
        self.processor.sort_by(f64::total_cmp);
        self.wall.sort_by(f64::total_cmp);
        let parts = f64::from(parts);
        Figures {
            median: self.processor[self.processor.len() / 2] / parts,
            least: self.processor[0] / parts,
            wall: self.wall[self.wall.len() / 2] / parts,
            rounds: self.rounds * self.processor.len() as u32,
        }
    }
}

/// The start of a message, without line breaks: a backtrace has dozens.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(120).collect()
}
