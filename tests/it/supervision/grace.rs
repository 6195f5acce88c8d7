//! `-k`: what was told to end and does not is killed.

use std::time::{Duration, Instant};

use super::program;
use crate::harness::{DEADLINE, Proxy, Scope, eventually, signals};

const KILLED: i32 = 128 + libc::SIGKILL;

/// No shorter than what `-k 1` asks for, but for what a clock of whole ticks may round off.
const ALMOST_A_SECOND: Duration = Duration::from_millis(990);

#[test]
fn what_does_not_end_is_killed() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let scope = Scope::new();
        let running = program(&scope, &["-k", "1"], &[]).spawn();
        scope.reports().expect("program", "ready");
        let start = Instant::now();
        running.signal(signal);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), signal.into());
        running.wait().expect_code(KILLED);
        assert!(start.elapsed() >= ALMOST_A_SECOND, "{:?}", start.elapsed());
    }
}

#[test]
fn a_daemon_is_killed_too() {
    let scope = Scope::new();
    let path = scope.path("pid");
    let pid_file = format!("--pid-file={}", path.display());
    let running = Proxy::new(&scope).options(["-k1"]).pid_file(&path).specimen(["daemon", pid_file.as_str()]).spawn();
    scope.reports().expect("daemon", "ready");
    running.signal(libc::SIGTERM);
    scope.reports().expect("daemon", "signal");
    running.wait().expect_code(KILLED);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn what_ends_in_time_has_its_own_status() {
    let scope = Scope::new();
    let running = program(&scope, &["-k", "60"], &["--exit-on=TERM:7"]).spawn();
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

/// If each signal started the clock anew, it would never be over.
#[test]
fn a_second_signal_does_not_restart_the_clock() {
    let scope = Scope::new();
    let mut running = program(&scope, &["-k", "2"], &["--count"]).spawn();
    scope.reports().expect("program", "ready");
    let ended = eventually(DEADLINE, || {
        running.signal(libc::SIGTERM);
        running.has_ended().then_some(())
    });
    assert!(ended.is_some(), "{}", running.evidence());
    running.wait().expect_code(KILLED);
}

#[test]
fn the_clock_starts_with_what_is_sent() {
    let scope = Scope::new();
    let running = program(&scope, &["-k1", "-r", "HUP=TERM", "-r", "TERM=USR1"], &[]).spawn();
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGTERM);
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR1.into());
    // There is nothing to wait for: it must not be killed for that.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(libc::SIGHUP);
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGTERM.into());
    running.wait().expect_code(KILLED);
}

#[test]
fn the_group_is_killed_with_it() {
    for (options, left) in [(&["-k1"][..], 2), (&["-gk1"], 0)] {
        let scope = Scope::new();
        let running = program(&scope, options, &["--children=2"]).spawn();
        for name in ["child1", "child2", "program"] {
            scope.reports().expect(name, "ready");
        }
        running.signal(libc::SIGTERM);
        running.wait().expect_code(KILLED);
        let as_expected = || (scope.left_over().len() == left).then_some(());
        assert!(eventually(DEADLINE, as_expected).is_some(), "{options:?}: {:?}", scope.left_over());
    }
}

/// Only our own clock means death: SIGALRM of others goes on, before and after.
#[test]
fn an_alarm_of_others_is_forwarded() {
    let scope = Scope::new();
    let running = program(&scope, &["-k", "60"], &["--exit-on=USR1:5"]).spawn();
    scope.reports().expect("program", "ready");
    for signal in [libc::SIGALRM, libc::SIGTERM, libc::SIGALRM] {
        running.signal(signal);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), signal.into());
    }
    running.signal(libc::SIGUSR1);
    running.wait().expect_code(5);
}

/// An alarm that was set before our exec is the kernel's, and none of our clocks: it goes on as well.
#[test]
fn an_alarm_that_was_inherited_is_forwarded() {
    let scope = Scope::new();
    let alarm = ["perl", "-e", "alarm 1; exec @ARGV"];
    if let Err(reason) = crate::harness::needs::program("perl") {
        return crate::harness::needs::skip(&reason);
    }
    let running = program(&scope, &[], &["--exit-on=ALRM:5"]).prefix(alarm).spawn();
    running.wait().expect_code(5);
}

/// The clock of the target is not the hook's; the hook has one of its own.
#[test]
fn the_hook_is_not_killed_for_the_target() {
    let scope = Scope::new();
    let hook = scope.script(
        "hook",
        &format!("#!/bin/sh\nexec {} program --name=hook --exit-on=USR1:0\n", scope.specimen().display()),
    );
    let running = program(&scope, &["-k", "1", "-E", &hook.display().to_string()], &["--exit-on=TERM:7"]).spawn();
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGTERM);
    scope.reports().expect("hook", "ready");
    // As above.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(signals::real_time(1));
    scope.reports().expect("hook", "signal");
    running.signal(libc::SIGTERM);
    scope.reports().expect("hook", "signal");
    running.wait().expect_code(7);
    assert_eq!(scope.left_over(), []);
}
