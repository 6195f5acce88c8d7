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
    // Nothing may arrive unseen from here on.
    run.launch.mask = SignalSet::RECEIVED;
    sys::sigprocmask(&mut run.launch.mask);
    run.launch.pending_limit.halve();
    run.launch.environment = start.environment;
    if start.is_secure {
        fail(Some(sys::SET_UID), Outcome::EPERM);
    }
    let mut arguments = start.arguments;
    let mut is_init =
        arguments.take().is_some_and(|name| command_line::last_bytes(name) & 0xffff_ffff == command_line::INIT);
    run.launch.options.set_number::<b'w'>(10);
    run.launch.options.set_number::<b'k'>(10);
    run.launch.options.set_number::<b'd'>(NO_DESCRIPTOR);
    run.launch.environment.take_words(Text::new(c"PIDPROXY_OPTIONS="), &mut run.words);
    let own = arguments;
    arguments = Arguments::of(&mut run.words);
    let mut outcome = run.launch.options.read(&mut arguments, is_init);
    if arguments.peek().is_none() {
        arguments = own;
        outcome = run.launch.options.read(&mut arguments, is_init);
    } else {
        // There is more than options.
        outcome = outcome.and(UNKNOWN);
    }
    let mut file = arguments.peek();
    if !is_init && file.is_none_or(Text::is_empty) {
        outcome = outcome.and(MISSING);
    }
    if outcome.is_failure() {
        fail(file, outcome);
    }
    if !is_init && !run.launch.options.has::<b'x'>() {
        arguments.take();
        is_init = file.is_some_and(|mut file| file.take() == b'-' && file.is_empty());
    }
    if is_init {
        file = None;
    }
    run.launch.is_init = is_init;
    run.search.file = file;
    run.launch.pid_file = file;
    run.launch.arguments = arguments;
    run.launch.pid = sys::getpid();
    if run.launch.options.has::<b'R'>() && arguments.peek().is_none() {
        fail(Some(Text::new(c"-R")), MISSING);
    }
    run.launch.switch();
    let parent_death_signal = run.launch.options.parent_death_signal;
    if parent_death_signal != 0 {
        sys::set_parent_death_signal(parent_death_signal);
    }
    if run.launch.options.has::<b'x'>() {
        launch::run(&run.launch);
    }
    run.default_action.set_for_sigchld();
    run.run()
}
