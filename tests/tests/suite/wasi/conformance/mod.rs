//! Files as WASI's public test suite expects them. Each test has the name of its counterpart there.

mod contents;
mod descriptors;
mod directories;
#[cfg(unix)] // Symbolic links take a privilege on Windows.
mod links;
mod paths;

use super::{
    Guest,
    tree::{ALL, CREATE, DIRECTORY, EXCLUSIVE, READ, ROOT, Tree, WRITE},
};

/// Runs a test with a guest that has a directory of its own.
fn with(test: impl FnOnce(&mut Guest)) {
    let tree = Tree::new();
    let mut guest = tree.guest();
    test(&mut guest);
}

/// Opens a directory with all rights that it can have.
fn open_dir(guest: &mut Guest, path: &str) -> u64 {
    let rights = (ALL & !WRITE, ALL);
    let opened = guest.open_in((ROOT, 0), path, DIRECTORY, rights, 0);
    opened.expect("it is a directory")
}

fn make_file(guest: &mut Guest, path: &str) {
    let fd = guest.open(path, CREATE | EXCLUSIVE, READ | WRITE).unwrap();
    guest.close(fd);
}
