//! Records what an observed plugin tells.

use super::code::Lines;
use hostel::{ProfileEvent, ProfileRecord, Trap};
use hostel_profile::Profile;
use std::collections::BTreeMap;

/// What an observed plugin told.
pub(super) struct Recorder {
    pub(super) profile: Profile,
    /// The functions that run, the outermost first.
    pub(super) frames: Vec<Frame>,
    /// How many times each function began, in all calls.
    pub(super) entered: BTreeMap<u32, u64>,
    pub(super) lines: Lines,
    /// How many times each of them began, in all calls.
    pub(super) counts: Vec<u64>,
}

/// A function that runs.
pub(super) struct Frame {
    pub(super) function: u32,
    /// The position that it reached last.
    pub(super) position: Option<u32>,
}

impl Recorder {
    pub(super) fn new(profile: Profile, lines: Lines) -> Self {
        Self {
            profile,
            frames: Vec::new(),
            entered: BTreeMap::new(),
            counts: vec![0; lines.all.len()],
            lines,
        }
    }

    /// Begins a call.
    pub(super) fn begin(&mut self) {
        self.profile.begin();
        self.frames.clear();
    }

    /// Counts an event.
    ///
    /// # Errors
    ///
    /// If the call has used up its budget.
    pub(super) fn count(&mut self, record: ProfileRecord) -> Result<(), Trap> {
        let counted = self.profile.count(record);
        match record.event {
            ProfileEvent::Enter { function, .. } => {
                *self.entered.entry(function).or_default() += 1;
                self.enter(function);
            }
            ProfileEvent::CallHost { function } => self.enter(function),
            ProfileEvent::Exit | ProfileEvent::HostReturned => drop(self.frames.pop()),
            ProfileEvent::Position { number } => self.reach(number),
            _ => {}
        }
        counted
    }

    fn enter(&mut self, function: u32) {
        self.frames.push(Frame {
            function,
            position: None,
        });
    }

    /// Counts the lines that begin at a position: those that the function was not at before.
    fn reach(&mut self, number: u32) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let before = frame.position.replace(number);
        let chain = |number| {
            usize::try_from(number)
                .ok()
                .and_then(|at| self.lines.chains.get(at))
        };
        let (Some(now), before) = (chain(number), before.and_then(chain)) else {
            return;
        };
        let before = before.map_or(&[][..], |before| before);
        let shared = now
            .iter()
            .zip(before)
            .take_while(|(now, before)| now == before);
        for line in &now[shared.count()..] {
            self.counts[*line as usize] += 1;
        }
    }
}
