//! Differences between a plugin's contract and the world that a host wants.

use std::fmt;

/// One reason why a plugin does not fit a world.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Whether the plugin imports the thing or has to export it.
    pub side: Side,
    /// The kind of the difference.
    pub kind: Kind,
    /// The interface with its version, such as `wasi:cli/environment@0.2.6`. `None` for a function or type
    /// of the world itself.
    pub interface: Option<String>,
    /// The function or type, such as `area` or `[method]point.length`. `None` if the interface as a whole
    /// is meant.
    pub item: Option<String>,
    /// The place in the function or type, such as ``parameter `at`, field `x` ``.
    pub place: Option<String>,
    /// What the world has there, as WIT.
    pub expected: Option<String>,
    /// What the plugin has there, as WIT.
    pub found: Option<String>,
    /// What to change.
    pub remedy: String,
}

impl Difference {
    /// Returns the last of a list that is full.
    pub(crate) fn more() -> Self {
        Self {
            side: Side::Import,
            kind: Kind::More,
            interface: None,
            item: None,
            place: None,
            expected: None,
            found: None,
            remedy: "there are more differences: mend these, then check again".to_owned(),
        }
    }
}

/// The side of the plugin on which a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The world does not supply what the plugin imports.
    Import,
    /// The plugin does not export what the world wants.
    Export,
}

impl Side {
    /// Returns `import` or `export`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
        }
    }
}

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One side has the interface, and the other has none of this name.
    Interface,
    /// Both have an interface of this name, in versions that are incompatible.
    Version,
    /// One side has the function, and the other does not.
    Function,
    /// One side has the type, and the other does not.
    Type,
    /// Both have the function or type, and its types differ.
    Mismatch,
    /// There are more differences, which are not listed.
    More,
}

impl Kind {
    /// Returns the stable code of this kind.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Version => "version",
            Self::Function => "function",
            Self::Type => "type",
            Self::Mismatch => "mismatch",
            Self::More => "more",
        }
    }
}

impl fmt::Display for Difference {
    /// Writes the difference on one line, with what to change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::More {
            return f.write_str(&self.remedy);
        }
        f.write_str(self.side.name())?;
        if let Some(interface) = &self.interface {
            write!(f, " `{interface}`")?;
        }
        if let Some(item) = &self.item {
            let comma = if self.interface.is_some() { "," } else { "" };
            write!(f, "{comma} `{item}`")?;
        }
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => {
                write!(f, ": expected `{expected}`, found `{found}`")?;
            }
            (Some(expected), None) => write!(f, ": expected `{expected}`, found none")?,
            (None, Some(found)) => write!(f, ": found `{found}`, not in the world")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.remedy)
    }
}
