//! Signals that the driver of a terminal raises, here a real one.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{STOPS, number_of};
use crate::harness::followed::settle;
use crate::harness::{DEADLINE, Followed, Input, Proxy, Running, Scope, proc};

/// Types a control character. The driver raises its signal before it echoes the character, and that is waited for.
fn type_control(running: &Running, character: u8) {
    let mut terminal = running.terminal();
    terminal.write_all(&[character & 0x1f]).expect("a terminal takes input");
    let end = Instant::now() + DEADLINE;
    let mut echo = Vec::new();
    while !echo.ends_with(&[b'^', character]) {
        let left = PollTimeout::try_from(end.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], left);
        assert_eq!(ready, Ok(1), "no echo of ^{}, but {echo:?}", char::from(character));
        let mut buffer = [0; 64];
        let count = terminal.read(&mut buffer).expect("the terminal is open");
        echo.extend_from_slice(&buffer[..count]);
    }
}

/// Changes the size of the terminal, which raises SIGWINCH before the call returns.
fn resize(running: &Running, columns: u16) {
    let size = libc::winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a whole `winsize`.
    let result = unsafe { libc::ioctl(running.terminal().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(result, 0);
}

fn start<'scope>(scope: &'scope Scope, options: &[&str]) -> Followed<'scope> {
    Followed::start(scope, Proxy::new(scope).stdin(Input::Terminal).options(options), &[])
}

#[test]
fn stops_and_resizes_of_the_terminal_are_noise() {
    let scope = Scope::new();
    let run = start(&scope, &[]);
    for columns in 80..90 {
        type_control(&run.running, b'Z');
        resize(&run.running, columns);
        assert_eq!(run.arrived_numbers(), []);
    }
    assert_ne!(proc::state(run.running.pid()), Some('T'), "nor do they stop the proxy");
    run.running.signal(libc::SIGHUP);
    assert_eq!(run.arrived_numbers(), [libc::SIGHUP]);
    run.exit(0).expect_code(0);
}

#[test]
fn the_same_signals_from_a_process_go_on() {
    let scope = Scope::new();
    let run = start(&scope, &[]);
    for number in STOPS.into_iter().chain([libc::SIGWINCH]) {
        type_control(&run.running, b'Z');
        resize(&run.running, 100 + u16::try_from(number).expect("a small number"));
        // Of two pending ones of a kind the second is lost: the terminal's must have been read before.
        settle(run.running.pid());
        run.running.signal(number);
        assert_eq!(run.arrived_numbers(), [number]);
        run.running.queue(number, 3);
        assert_eq!(run.arrived_numbers(), [number]);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn interrupt_and_quit_of_the_terminal_go_on_once() {
    let scope = Scope::new();
    let run = start(&scope, &[]);
    for (character, number) in [(b'C', libc::SIGINT), (b'\\', libc::SIGQUIT), (b'C', libc::SIGINT)] {
        type_control(&run.running, character);
        let arrived = run.arrived();
        assert_eq!(arrived.iter().map(number_of).collect::<Vec<_>>(), [number]);
        assert_eq!(arrived[0].pid(), run.running.pid());
    }
    run.exit(0).expect_code(0);
}

#[test]
fn a_terminal_that_hangs_up_goes_on_once() {
    let scope = Scope::new();
    let mut run = start(&scope, &[]);
    run.running.hang_up();
    let arrived = run.arrived_numbers();
    // CONT comes along, for what may be stopped.
    let hang_ups = arrived.iter().filter(|number| **number == libc::SIGHUP).count();
    assert_eq!(hang_ups, 1, "{arrived:?}");
    run.running.signal(libc::SIGUSR1);
    assert_eq!(run.arrived_numbers(), [libc::SIGUSR1], "and is not the end of us");
    run.exit(0).expect_code(0);
}

#[test]
fn rewrites_hold_for_the_terminal_too() {
    let scope = Scope::new();
    let run = start(&scope, &["-r", "INT=TERM", "-r", "QUIT=0", "-r", "WINCH=USR1", "-r", "TSTP=USR2"]);
    type_control(&run.running, b'\\');
    type_control(&run.running, b'C');
    assert_eq!(run.arrived_numbers(), [libc::SIGTERM]);
    type_control(&run.running, b'Z');
    resize(&run.running, 100);
    assert_eq!(run.arrived_numbers(), [], "what is noise is not rewritten");
    run.exit(0).expect_code(0);
}
