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

use command_line::{FULL, NO_DESCRIPTOR, Options};
use failure::{MISSING, UNKNOWN};
use launch::fail;
use signal::SignalSet;
use supervise::Run;
use sys::{Arguments, Environment, Outcome, Start, Text, Words};

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
    if FULL && start.is_secure() {
        fail(Some(Text::new(c"set-uid")), Outcome::EPERM);
    }
    let launch = sys::in_register(&mut run.launch);
    let options = sys::in_register(&mut launch.options);
    options.arguments = start.arguments;
    let outcome = read_options(options, launch.environment, &mut run.words);
    take_pid_file(options, outcome);
    launch.numbers[launch::PID] = sys::getpid();
    launch.switch();
    let parent_death_signal = launch.options.parent_death_signal;
    if FULL && parent_death_signal != 0 {
        sys::set_parent_death_signal(parent_death_signal);
    }
    if launch.options.has::<b'x'>() {
        launch::run(launch);
    }
    if FULL && let Some(manager) = launch.environment.take_service_manager() {
        launch.manager = Some(manager);
    }
    run.default_action.set_for_sigchld();
    run.run()
}

/// Reads the options of the environment and of the command line. What comes next is the first operand, or what is wrong.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
fn read_options(options: &mut Options, environment: Environment, words: &mut Words) -> Outcome {
    if let Some(name) = options.arguments.take()
        && FULL
    {
        options.set_init(command_line::last_bytes(name) & 0xffff_ffff == command_line::INIT);
    }
    options.set_number::<b'w'>(10);
    if FULL {
        options.set_number::<b'k'>(10);
        options.set_number::<b'd'>(NO_DESCRIPTOR);
        environment.take_words(Text::new(c"PIDPROXY_OPTIONS="), words);
        let own = core::mem::replace(&mut options.arguments, Arguments::of(words));
        let outcome = options.read();
        if options.arguments.peek().is_some() {
            // There is more than options.
            return outcome.and(UNKNOWN);
        }
        options.arguments = own;
    }
    options.read()
}

/// Takes the pid file off the words that are left, where there has to be one: `-` stands for none, where that may be.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
fn take_pid_file(options: &mut Options, outcome: Outcome) {
    let file = options.arguments.peek();
    if outcome.is_failure() {
        fail(file, outcome);
    }
    if options.is_init() {
        return;
    }
    let Some(mut word) = file.filter(|word| !word.is_empty()) else { fail(file, MISSING) };
    if options.has::<b'x'>() {
        return;
    }
    options.arguments.take();
    if FULL && word.take() == b'-' && word.is_empty() {
        options.set_init(true);
    } else {
        options.file = file;
    }
}
