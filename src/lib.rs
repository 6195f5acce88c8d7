//! pidproxy: runs a daemon as if it were a child.
#![cfg_attr(not(test), no_std)]

pub mod accounts;
pub mod command_line;
pub mod decimal;
pub mod failure;
pub mod launch;
pub mod pid_file;
pub mod signal;
pub mod supervise;
pub mod sys;
pub mod target;

/// For users of the library: a process to ask, to signal and to wait for, whatever becomes of its number.
#[doc(inline)]
pub use sys::pidfd;

use command_line::NO_DESCRIPTOR;
use failure::{MISSING, UNKNOWN};
use launch::fail;
use signal::SignalSet;
use supervise::Run;
use sys::{Arguments, Outcome, Start, Text};

/// A run from the first to the last instruction.
#[expect(clippy::needless_pass_by_value, reason = "what is on the stack is there once, and belongs to the run")]
#[cfg_attr(
    not(target_arch = "powerpc64"),
    inline(always),
    expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
)]
pub fn run(start: Start) -> ! {
    let mut run = Run::NONE;
    let run = sys::in_register(&mut run);
    // Nothing may arrive unseen from here on.
    let mask = sys::in_register(&mut run.launch.mask);
    *mask = SignalSet::RECEIVED;
    sys::sigprocmask(mask);
    run.launch.pending_limit.halve();
    run.launch.environment = start.environment;
    if start.is_secure {
        fail(Some(sys::SET_UID), Outcome::EPERM);
    }
    let launch = sys::in_register(&mut run.launch);
    let options = sys::in_register(&mut launch.options);
    options.arguments = start.arguments;
    options.is_init =
        options.arguments.take().is_some_and(|name| command_line::last_bytes(name) & 0xffff_ffff == command_line::INIT);
    options.set_number::<b'w'>(10);
    options.set_number::<b'k'>(10);
    options.set_number::<b'd'>(NO_DESCRIPTOR);
    launch.environment.take_words(Text::new(c"PIDPROXY_OPTIONS="), &mut run.words);
    let own = options.arguments;
    options.arguments = Arguments::of(&mut run.words);
    let mut outcome = options.read();
    if options.arguments.peek().is_none() {
        options.arguments = own;
        outcome = options.read();
    } else {
        // There is more than options.
        outcome = outcome.and(UNKNOWN);
    }
    let file = options.arguments.peek();
    if !options.is_init && file.is_none_or(Text::is_empty) {
        outcome = outcome.and(MISSING);
    }
    if outcome.is_failure() {
        fail(file, outcome);
    }
    if !options.is_init && !options.has::<b'x'>() {
        options.arguments.take();
        options.is_init = file.is_some_and(|mut file| file.take() == b'-' && file.is_empty());
    }
    if !options.is_init {
        options.file = file;
    }
    launch.numbers[launch::PID] = sys::getpid();
    launch.switch();
    let parent_death_signal = launch.options.parent_death_signal;
    if parent_death_signal != 0 {
        sys::set_parent_death_signal(parent_death_signal);
    }
    if launch.options.has::<b'x'>() {
        launch::run(launch);
    }
    if let Some(manager) = launch.environment.take_service_manager() {
        launch.manager = Some(manager);
    }
    run.default_action.set_for_sigchld();
    run.run()
}
