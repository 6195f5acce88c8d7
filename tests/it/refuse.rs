//! Executes a command in its own place, with everything under it refused the calls that `REFUSED_CALLS` names:
//!
//! `REFUSED_CALLS=all:ENOSYS refuse COMMAND [ARGUMENT...]`
//!
//! As the first program of a machine (`tests/boot`) it makes a kernel without pidfds of any kernel.
#![expect(clippy::expect_used, clippy::panic, reason = "who calls it wrongly is to read why it failed")]

#[path = "harness/refusal.rs"]
#[allow(dead_code, reason = "the tests refuse more than can be named in the environment")]
mod refusal;

use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().expect("the command to execute");
    let refusals = refusal::imposed();
    assert!(!refusals.is_empty(), "REFUSED_CALLS names no call");
    refusal::install(&refusal::program(&refusals)).expect("the right to filter our own calls");
    let error = Command::new(&command).args(words).exec();
    panic!("cannot execute {}: {error}", command.display());
}
