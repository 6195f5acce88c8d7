//! A container's init, and a switcher of users: what users of tini, dumb-init, catatonit and gosu expect, tried on these
//! too, so that a test which passes here is known to show something.

mod activation;
mod called_as_init;
mod engines;
mod images;
mod orphans;
mod parents;
mod pause;
mod peers;
mod switcher;
mod terminal;

use crate::harness::{Proxy, Scope};

/// The proxy in init mode, without its command.
fn init(scope: &Scope) -> Proxy<'_> {
    Proxy::new(scope).pid_file("-")
}

/// Panics with the table unless the README has it.
#[track_caller]
fn check_readme(table: &str) {
    let readme = include_str!("../../README.md");
    // As a formatted text may have it: without the blanks at the ends of cells that are empty.
    assert!(readme.contains(table), "the README does not have this table:\n{table}");
}
