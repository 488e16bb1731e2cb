//! Checks links between files, and to headings in them.

use super::page::Page;
use std::{collections::HashMap, path::Path};

/// Fails with all links that lead to no file or no heading. Addresses of other sites are not asked for.
pub(super) fn check(root: &Path, pages: &[Page]) {
    let canonical = |path: &Path| root.join(path).canonicalize().ok();
    let anchors = pages
        .iter()
        .filter_map(|page| Some((canonical(&page.path)?, &page.anchors)));
    let anchors = anchors.collect::<HashMap<_, _>>();
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in pages {
        for link in &page.links {
            if link.target.contains("://") || link.target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let file = match file {
                "" => page.path.clone(),
                file => page.path.parent().expect("a page has a folder").join(file),
            };
            let found = canonical(&file);
            let leads = found.as_ref().is_some_and(|found| {
                anchor.is_empty()
                    || anchors
                        .get(found)
                        .is_some_and(|names| names.contains(anchor))
            });
            if !leads {
                broken.push(format!(
                    "{}:{}: {}",
                    page.path.display(),
                    link.line,
                    link.target
                ));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "links that lead nowhere:\n{}",
        broken.join("\n")
    );
    assert!(checked > 100, "{checked}");
}
