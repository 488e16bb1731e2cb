//! Sums up a plugin's fuel by the stacks of its functions.

use hostel_core::{Escaped, ProfileEvent, ProfileRecord};
use std::{collections::BTreeMap, fmt::Write as _};

/// The most stacks that are kept apart. Each takes about 100 bytes. The fuel of others is that of one stack,
/// [`OTHERS`].
const MOST_STACKS: usize = 250_000;

/// Most bytes of a name; a longer one is cut. Each stack has its own.
const NAME_BYTES: usize = 500;

/// Most bytes of the stacks in text. The fuel of others is that of [`OTHERS`] there, too.
const MOST_TEXT: usize = 64 << 20;

/// The fuel of each stack of functions.
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// The stack, the outermost first. The first node is the host.
    stack: Vec<usize>,
    /// Fuel that was left at the last event, all of it counted.
    left: u64,
    /// Fuel that was spent by now, without what the observation adds.
    spent: u64,
    /// What the observation added.
    added: u64,
    /// The node of all stacks that are not kept apart, if there are any.
    others: Option<usize>,
}

/// A function in one stack.
#[derive(Default)]
struct Node {
    function: Name,
    /// Its own fuel.
    fuel: u64,
    children: BTreeMap<u32, usize>,
}

/// The name of a node.
#[derive(Clone, Copy, Default)]
enum Name {
    #[default]
    Host,
    Function(u32),
    Others,
}

impl Tree {
    /// Begins a call that has `available` units of fuel.
    pub(crate) fn new(available: u64) -> Self {
        Self {
            nodes: vec![Node::default()],
            stack: vec![0],
            left: available,
            spent: 0,
            added: 0,
            others: None,
        }
    }

    /// Counts an event.
    pub(crate) fn count(&mut self, record: ProfileRecord) {
        let raw = self.left.saturating_sub(record.fuel_left);
        self.left = record.fuel_left;
        self.added = self.added.saturating_add(record.added.min(raw));
        let fuel = raw.saturating_sub(record.added);
        self.spent = self.spent.saturating_add(fuel);
        match record.event {
            ProfileEvent::Enter { function, cost } => {
                // What else was charged is the caller's: operations whose fuel depends on their length.
                let own = cost.min(fuel);
                self.charge(fuel - own);
                self.push(function);
                self.charge(own);
            }
            ProfileEvent::CallHost { function } => {
                self.charge(fuel);
                self.push(function);
            }
            ProfileEvent::Exit | ProfileEvent::HostReturned => {
                self.charge(fuel);
                // The host's own node stays.
                if self.stack.len() > 1 {
                    self.stack.pop();
                }
            }
            // `ProfileEvent::Charge`, and a position.
            _ => self.charge(fuel),
        }
    }

    fn top(&self) -> usize {
        self.stack.last().copied().unwrap_or(0)
    }

    fn charge(&mut self, fuel: u64) {
        let top = self.top();
        let node = &mut self.nodes[top];
        node.fuel = node.fuel.saturating_add(fuel);
    }

    fn push(&mut self, function: u32) {
        let (top, next) = (self.top(), self.nodes.len());
        let known = self.nodes[top].children.get(&function).copied();
        let at = match known.or(self.others.filter(|others| top == *others)) {
            Some(known) => known,
            None if next < MOST_STACKS => {
                self.nodes[top].children.insert(function, next);
                self.nodes.push(Node {
                    function: Name::Function(function),
                    ..Node::default()
                });
                next
            }
            None => *self.others.get_or_insert_with(|| {
                self.nodes.push(Node {
                    function: Name::Others,
                    ..Node::default()
                });
                next
            }),
        };
        self.stack.push(at);
    }

    /// Returns the nodes in a node.
    fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let others = self.others.filter(|_| at == 0);
        let children = self.nodes[at].children.values().copied();
        children.chain(others)
    }

    fn name(&self, at: usize, name: impl Fn(u32) -> String) -> String {
        match self.nodes[at].function {
            Name::Host => HOST.to_owned(),
            Name::Function(index) => cut(name(index)),
            Name::Others => OTHERS.to_owned(),
        }
    }

    /// Ends the call, of which `fuel` was used, what the observation added included.
    pub(crate) fn finish(&mut self, fuel: u64) {
        // The host's work before and after the guest's functions.
        let rest = fuel.saturating_sub(self.added).saturating_sub(self.spent);
        self.stack.truncate(1);
        self.charge(rest);
        self.spent = self.spent.saturating_add(rest);
    }

    /// Returns the fuel of the call so far.
    pub(crate) fn fuel(&self) -> u64 {
        self.spent
    }

    /// Returns the frames of a picture: each with its depth, its first unit of fuel, its
    /// fuel with that of the functions in it, and its name by `name`.
    pub(crate) fn frames(&self, name: impl Fn(u32) -> String) -> Vec<Frame> {
        let mut frames = Vec::new();
        // Without recursion: a guest's stack may be deeper than this thread's.
        let mut rest = vec![(0_usize, 0_u64, 0_u64)];
        let sums = self.sums();
        while let Some((at, depth, start)) = rest.pop() {
            let node = &self.nodes[at];
            frames.push(Frame {
                depth,
                start,
                fuel: sums[at],
                own: node.fuel,
                name: self.name(at, &name),
            });
            let mut start = start;
            for child in self.children(at) {
                rest.push((child, depth + 1, start));
                start += sums[child];
            }
        }
        frames
    }

    /// Returns the fuel of each node with that of the nodes in it.
    fn sums(&self) -> Vec<u64> {
        let mut sums: Vec<_> = self.nodes.iter().map(|node| node.fuel).collect();
        // A node comes after the one that it is in.
        for at in (0..self.nodes.len()).rev() {
            sums[at] += self.children(at).map(|child| sums[child]).sum::<u64>();
        }
        sums
    }

    /// Returns a line for each stack that has fuel of its own: the names, and the fuel.
    pub(crate) fn folded(&self, name: impl Fn(u32) -> String) -> String {
        let (mut lines, mut bytes) = (BTreeMap::new(), 0_usize);
        // Each node with the length of the text of the one that it is in.
        let mut rest = vec![(0, 0)];
        let mut stack = String::new();
        while let Some((at, before)) = rest.pop() {
            stack.truncate(before);
            if at > 0 {
                stack.push(';');
            }
            stack.push_str(&plain(&self.name(at, &name)));
            rest.extend(self.children(at).map(|child| (child, stack.len())));
            let fuel = self.nodes[at].fuel;
            if fuel == 0 {
                continue;
            }
            // Functions may have equal names.
            if let Some(known) = lines.get_mut(&stack) {
                *known += fuel;
                continue;
            }
            bytes = bytes.saturating_add(stack.len());
            let stack = match bytes <= MOST_TEXT {
                true => stack.clone(),
                false => format!("{HOST};{OTHERS}"),
            };
            *lines.entry(stack).or_insert(0) += fuel;
        }
        let mut text = String::new();
        for (stack, fuel) in lines {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{stack} {fuel}");
        }
        text
    }
}

/// The name of the host, which calls the plugin.
const HOST: &str = "host";

/// The name of what stands for all stacks above [`MOST_STACKS`], of whatever depth.
const OTHERS: &str = "other stacks";

/// Returns a name that is not too long.
fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES {
        let mut ends = (0..=NAME_BYTES).rev();
        let end = ends.find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
        name.push('…');
    }
    name
}

/// Returns a name without the characters that separate names and lines.
fn plain(name: &str) -> String {
    let visible = Escaped::new(name.as_bytes()).to_string();
    visible.replace(';', ",")
}

/// A function in a flame graph, of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The number of functions below it; 0 for the host.
    pub depth: u64,
    /// The units of fuel of the call to the left of it.
    pub start: u64,
    /// Its fuel, with that of the functions that it calls.
    pub fuel: u64,
    /// Its fuel without that of the functions that it calls.
    pub own: u64,
    /// Its name, which the plugin's author chose, or `function N`.
    pub name: String,
}
