//! Reads pages of Markdown: their code, links and headings.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A block of code between fences.
pub(super) struct Block {
    /// The line of its first fence, from 1.
    pub(super) line: usize,
    pub(super) language: String,
    /// The words after the language, such as `file=plugin.c`.
    attributes: Vec<String>,
    pub(super) text: String,
}

impl Block {
    /// Returns the value of the attribute `name=value`.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|attribute| attribute.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A link to a file, a heading or an address.
pub(super) struct Link {
    pub(super) line: usize,
    pub(super) target: String,
}

/// A file of Markdown.
pub(super) struct Page {
    /// Relative to the root of the repository.
    pub(super) path: PathBuf,
    pub(super) blocks: Vec<Block>,
    pub(super) links: Vec<Link>,
    /// The names by which links lead to headings.
    pub(super) anchors: HashSet<String>,
}

impl Page {
    pub(super) fn read(root: &Path, path: PathBuf) -> Self {
        let text = fs::read_to_string(root.join(&path)).expect("a page is text");
        let mut page = Self {
            path,
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: HashSet::new(),
        };
        // The fence that ends the block, and its indentation.
        let mut open: Option<(String, usize)> = None;
        for (at, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if let Some((fence, indent)) = &open {
                if trimmed.trim_end() == fence {
                    open = None;
                } else if let Some(block) = page.blocks.last_mut() {
                    block.text += line.get(*indent..).unwrap_or_default();
                    block.text += "\n";
                }
                continue;
            }
            if trimmed.starts_with("```") {
                let name = trimmed.trim_start_matches('`');
                let fence = "`".repeat(trimmed.len() - name.len());
                open = Some((fence, line.len() - trimmed.len()));
                let mut words = name.split([' ', ',']).map(str::to_owned);
                page.blocks.push(Block {
                    line: at + 1,
                    language: words.next().unwrap_or_default(),
                    attributes: words.collect(),
                    text: String::new(),
                });
                continue;
            }
            if let Some(heading) = trimmed.strip_prefix('#') {
                page.add_anchor(heading.trim_start_matches('#').trim());
            }
            let targets = targets(line).into_iter();
            page.links.extend(targets.map(|target| Link {
                line: at + 1,
                target,
            }));
        }
        assert!(
            open.is_none(),
            "{}: a fence is not closed",
            page.path.display()
        );
        page
    }

    /// Adds the anchor of a heading, as GitHub and mdBook name it.
    fn add_anchor(&mut self, heading: &str) {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let name = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let mut unique = name.clone();
        let mut number = 0;
        while !self.anchors.insert(unique) {
            number += 1;
            unique = format!("{name}-{number}");
        }
    }
}

/// Returns the targets of the links and pictures in a line: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Code has brackets too.
    let prose = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let mut rest = prose.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let Some((target, after)) = after.split_once(')') else {
            break;
        };
        found.push(target.to_owned());
        rest = after;
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(target.to_owned());
    }
    found
}
