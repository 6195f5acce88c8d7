//! Targets that are no children of ours.

use std::fs;

use super::at_once;
use crate::harness::{Control, DEADLINE, Followed, Proxy, Refusal, Running, Scope, eventually, needs, proc};

/// A program that is our child, and the proxy, attached to it.
fn attach(scope: &Scope) -> (Running, Running, Control) {
    let control = scope.control("control");
    let program = Proxy::absent(scope).specimen(["program", &control.option()]).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    fs::write(scope.path("pid"), format!("{pid}\n")).expect("a pid file");
    let mut running = Proxy::new(scope).options(["-v"]).pid_file(scope.path("pid")).spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
    (program, running, control)
}

#[test]
fn the_status_of_a_foreign_target_is_ours_where_the_kernel_tells_it() {
    let endings = [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 77", 77),
        ("exit 255", 255),
        ("die TERM", 128 + 15),
        ("die KILL", 128 + 9),
        ("die SEGV", 128 + 11),
        ("die 64", 128 + 64),
    ];
    for (ending, code) in endings {
        let scope = Scope::new();
        let (program, running, control) = attach(&scope);
        control.send(ending);
        // Reaps it.
        program.wait();
        running.wait().expect_code(if needs::tells_foreign_status() { code } else { 0 });
    }
}

#[test]
fn a_foreign_target_that_nobody_reaps_ends_us_all_the_same() {
    // By its number alone a zombie looks as if it lived.
    if let Err(reason) = needs::calls(&[Refusal::PidfdOpen]) {
        return needs::skip(&reason);
    }
    let scope = Scope::new();
    let (program, running, control) = attach(&scope);
    control.send("exit 9");
    running.wait().expect_code(0);
    assert_eq!(proc::state(program.first_pid()), Some('Z'));
}

#[test]
fn without_pidfds_a_foreign_target_ends_us_with_success() {
    let scope = Scope::new();
    let control = scope.control("control");
    let program = Proxy::absent(&scope).specimen(["program", &control.option()]).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    fs::write(scope.path("pid"), format!("{pid}\n")).expect("a pid file");
    let mut running =
        Proxy::new(&scope).options(["-v"]).pid_file(scope.path("pid")).refuse(&Refusal::PIDFDS, libc::ENOSYS).spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
    running.signal(libc::SIGUSR1);
    scope.reports().expect("program", "signal");
    control.send("exit 9");
    program.wait();
    running.wait().expect_code(0);
}

#[test]
fn a_grandchild_that_is_adopted_later_has_its_status() {
    // While the launcher lives its child is none of ours. The kernel's answer for foreign processes is taken away.
    for refusals in [&[][..], &[Refusal::PidfdGetInfo], &Refusal::PIDFDS] {
        for ending in [("exit 7", 7), ("die TERM", 143)] {
            let scope = Scope::new();
            let launcher_control = scope.control("launcher-control");
            let proxy = Proxy::new(&scope).options(["-v"]).refuse(refusals, libc::ENOSYS);
            let arguments =
                ["--single-fork", "--launcher-stays", "--launcher-exit-on=TERM:0", &launcher_control.launcher_option()];
            let mut run = Followed::start(&scope, proxy, &arguments);
            let following = format!("pidproxy: following: {}", run.daemon);
            run.running.expect_line(|line| line == following);
            let launcher = scope.reports().expect("launcher", "ready").pid();
            assert_eq!(proc::parent(run.daemon), Some(launcher));
            launcher_control.send("exit 0");
            let adopted = || (proc::parent(run.daemon) == Some(run.running.pid())).then_some(());
            eventually(DEADLINE, adopted).expect("it is adopted");
            run.control.send(ending.0);
            run.running.wait().expect_code(ending.1);
        }
    }
}

#[test]
fn a_daemon_that_ends_before_its_parent_has_its_status() {
    // When it ends it is its parent's zombie, which becomes ours when the parent ends in its turn: the usual order is the
    // other one, but between two forks of a busy machine it is a matter of luck.
    for refusals in [&[][..], &[Refusal::PidfdGetInfo], &Refusal::PIDFDS] {
        let scope = Scope::new();
        let launcher_control = scope.control("launcher-control");
        let proxy = Proxy::new(&scope).options(["-v"]).refuse(refusals, libc::ENOSYS);
        let arguments = ["--single-fork", "--launcher-stays", &launcher_control.launcher_option()];
        let mut run = Followed::start(&scope, proxy, &arguments);
        let following = format!("pidproxy: following: {}", run.daemon);
        run.running.expect_line(|line| line == following);
        scope.reports().expect("launcher", "ready");
        run.control.send("exit 7");
        eventually(DEADLINE, || (!proc::lives(run.daemon)).then_some(())).expect("it ends");
        launcher_control.send("exit 0");
        run.running.wait().expect_code(7);
    }
}

#[test]
fn nobody_to_attach_to_is_a_failure() {
    let scope = Scope::new();
    let finished = Proxy::new(&scope).options(["-w", "0"]).pid_file(scope.path("pid")).run();
    finished.expect_failure(scope.path("pid"));
    let finished = at_once("no time to wait", || Proxy::new(&scope).options(["-w0"]).pid_file(scope.path("pid")).run());
    finished.expect_code(125);
}
