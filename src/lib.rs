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

use command_line::{Options, Request};
use failure::{PROXY_FAILED, Reason};
use launch::{Launch, Names, Own, fail};
use signal::{Signal, SignalSet};
use supervise::Run;
use sys::{SignalFd, Start, Text};
use target::Search;

/// A run from the first to the last instruction: gives the status to exit with.
pub fn run(start: Start) -> u8 {
    // Nothing may arrive unseen from here on.
    let mask = sys::sigprocmask(SignalSet::RECEIVED);
    sys::reset_sigchld();

    let mut options = Options::DEFAULT;
    let mut arguments = start.arguments;
    arguments.next();
    match options.read(&mut arguments) {
        Ok(Request::Run) => {}
        Ok(Request::Print(text)) => {
            sys::write(sys::STANDARD_OUTPUT, text.as_bytes());
            return 0;
        }
        Err((word, reason)) => fail(Text::new(c"use"), word, reason),
    }
    let Some(pid_file) = arguments.next() else {
        fail(Text::new(c"use"), Text::new(c"the command line"), Reason::MISSING)
    };
    let is_attached = arguments.peek().is_none();

    let names = Names {
        user: options.user,
        group: options.group,
    };
    let mut own = None;
    if let Some(name) = names.first() {
        if sys::is_terminal(sys::STANDARD_INPUT) && !options.has(b't') && sys::geteuid() == 0 {
            fail(Text::new(c"switch to"), name, Reason::TERMINAL);
        }
        own = Own::lay_down(names);
    }

    let signals = match SignalFd::new(SignalSet::STOPPING.with(Signal::CHLD)) {
        Ok(signals) => signals,
        Err(errno) => fail(Text::new(c"read"), Text::new(c"signals"), errno.into()),
    };
    let is_init = sys::getpid() == 1;
    let is_reaper = is_init || sys::become_subreaper().is_ok();
    let mut search = Search::new(pid_file, options.has(b'a'));
    if !is_attached {
        if is_init || options.has(b'f') {
            target::remove_left_over(pid_file);
        }
        search.distrust_present();
    }
    let launch = Launch {
        arguments,
        environment: start.environment,
        mask,
        names,
        own: own.as_ref(),
        ended: None,
    };
    let expects_foreign = is_attached || options.has(b'a') || !is_reaper;
    match Run::start(&options, launch, search, signals, expects_foreign) {
        Ok(mut run) => run.run(),
        Err(errno) => {
            failure::report(Text::new(c"start"), pid_file, errno.into());
            PROXY_FAILED
        }
    }
}
