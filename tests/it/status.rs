//! The status that we exit with.

mod executions;
mod foreign;
mod hooks;

use std::time::Duration;

use crate::harness::{self, DEADLINE, Finished, Followed, Proxy, Scope, eventually, proc};

/// What happens at once does so at least once in so many times.
const TIMES: usize = 5;

/// Runs it until it has been done at once, and gives that run.
fn at_once(what: &str, run: impl Fn() -> Finished) -> Finished {
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let finished = run();
        if finished.elapsed < harness::at_once() {
            return finished;
        }
        best = best.min(finished.elapsed);
    }
    panic!("{what}: {best:?} at best")
}

/// The signals that end a process which does nothing about them.
fn fatal() -> Vec<i32> {
    let ignored = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    (1..=64).filter(|number| !ignored.contains(number) && !stopping.contains(number)).collect()
}

/// A run of the proxy, with its options, over a specimen daemon with these arguments.
fn daemon<'scope>(scope: &'scope Scope, options: &[&str], arguments: &[&str]) -> Proxy<'scope> {
    let pid_file = scope.path("pid");
    Proxy::new(scope)
        .options(options)
        .pid_file(&pid_file)
        .specimen(["daemon"])
        .command([format!("--pid-file={}", pid_file.display())])
        .command(arguments)
}

/// A run over a specimen in the foreground, which leaves no daemon behind.
fn launcher<'scope>(scope: &'scope Scope, options: &[&str], arguments: &[&str]) -> Proxy<'scope> {
    Proxy::new(scope).options(options).pid_file(scope.path("pid")).specimen(["program"]).command(arguments)
}

#[test]
fn every_exit_status_of_the_daemon_is_ours() {
    let scope = Scope::new();
    for code in 0..=255 {
        let finished = daemon(&scope, &[], &[&format!("--exit-after-ready={code}")]).run();
        assert_eq!(finished.expect_code(code).stderr, "");
    }
    assert_eq!(scope.left_over(), []);
}

#[test]
fn every_fatal_signal_of_the_daemon_is_told() {
    let scope = Scope::new();
    for number in fatal() {
        let finished = daemon(&scope, &[], &[&format!("--die-by={number}")]).run();
        assert_eq!(finished.expect_code(128 + number).stderr, "");
    }
    assert_eq!(scope.left_over(), []);
}

#[test]
fn a_daemon_that_is_killed_from_outside_is_told() {
    for number in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, 33, 64] {
        let scope = Scope::new();
        let run = Followed::start(&scope, Proxy::new(&scope), &["--default-dispositions"]);
        crate::harness::signals::send(run.daemon, number).expect("a living daemon");
        run.running.wait().expect_code(128 + number);
    }
}

#[test]
fn every_exit_status_of_a_launcher_that_fails_is_ours() {
    let scope = Scope::new();
    for code in 1..=255 {
        launcher(&scope, &[], &[&format!("--exit={code}")]).run().expect_code(code);
    }
}

#[test]
fn every_fatal_signal_of_a_launcher_is_told() {
    let scope = Scope::new();
    for number in fatal() {
        launcher(&scope, &[], &[&format!("--die-by={number}")]).run().expect_code(128 + number);
    }
}

#[test]
fn a_launcher_that_fails_is_told_at_once() {
    let scope = Scope::new();
    for (argument, code) in [("--exit=7", 7), ("--exit=255", 255), ("--die-by=KILL", 137), ("--die-by=TERM", 143)] {
        // A long wait for the pid file makes no difference, nor does an old one.
        at_once(argument, || launcher(&scope, &["-w", "1000"], &[argument]).run()).expect_code(code);
    }
    std::fs::write(scope.path("pid"), format!("{}\n", std::process::id())).expect("a stale pid file");
    at_once("with a stale pid file", || launcher(&scope, &[], &["--exit=7"]).run()).expect_code(7);
}

#[test]
fn a_launcher_that_leaves_nothing_behind_is_told_at_once() {
    let scope = Scope::new();
    let finished = at_once("no daemon", || launcher(&scope, &["-w", "1000"], &["--exit=0"]).run());
    finished.expect_failure(scope.path("pid"));
}

#[test]
fn a_launcher_that_fails_although_it_left_a_daemon_ends_us() {
    let scope = Scope::new();
    daemon(&scope, &[], &["--no-pid-file", "--launcher-exit=5"]).run().expect_code(5);
    daemon(&scope, &[], &["--no-pid-file", "--launcher-die-by=SEGV"]).run().expect_code(139);
}

#[test]
fn once_the_daemon_is_known_the_launcher_may_end_as_it_likes() {
    for ending in ["exit 9", "die KILL"] {
        let scope = Scope::new();
        let launcher_control = scope.control("launcher-control");
        let proxy = Proxy::new(&scope).options(["-v"]);
        let arguments = ["--launcher-stays", &launcher_control.launcher_option()];
        let mut run = Followed::start(&scope, proxy, &arguments);
        let following = format!("pidproxy: following: {}", run.daemon);
        run.running.expect_line(|line| line == following);
        let launcher = scope.reports().expect("launcher", "ready").pid();
        launcher_control.send(ending);
        eventually(DEADLINE, || proc::state(launcher).is_none().then_some(())).expect("it is reaped");
        run.running.signal(libc::SIGUSR1);
        assert_eq!(run.arrived_numbers(), [libc::SIGUSR1]);
        run.exit(3).expect_code(3);
    }
}

#[test]
fn statuses_can_be_declared_successes() {
    let cases: [(&[&str], &str, i32); 11] = [
        (&["-e3"], "--exit-after-ready=3", 0),
        (&["-e", "3"], "--exit-after-ready=3", 0),
        (&["-e", "3"], "--exit-after-ready=4", 4),
        (&["-e", "3", "-e4"], "--exit-after-ready=3", 0),
        (&["-e", "3", "-e4"], "--exit-after-ready=4", 0),
        (&["-ve255"], "--exit-after-ready=255", 0),
        (&["-e", "0"], "--exit-after-ready=0", 0),
        (&["-e", "143"], "--die-by=TERM", 0),
        (&["-e", "143", "-e", "137", "-e192"], "--die-by=64", 0),
        // A signal's number is not its status.
        (&["-e", "15"], "--die-by=TERM", 143),
        (&["-e", "143"], "--exit-after-ready=143", 0),
    ];
    for (options, ending, code) in cases {
        let scope = Scope::new();
        let finished = daemon(&scope, options, &[ending]).run();
        assert_eq!(finished.code(), Some(code), "{options:?} {ending}");
    }
}

#[test]
fn a_daemon_that_dies_early_still_has_its_status() {
    let scope = Scope::new();
    for round in 0..20 {
        for code in [0, 1, 42, 255] {
            let early = format!("--die-early={code}");
            for moment in ["--before-exit", "--after-exit=0", "--after-exit=1"] {
                let _ = std::fs::remove_file(scope.path("pid"));
                let finished = daemon(&scope, &[], &[&early, moment]).run();
                assert_eq!(finished.code(), Some(code), "{round} {moment}: {}", finished.stderr);
            }
        }
    }
}

#[test]
fn a_daemon_that_dies_without_a_pid_file_is_a_failure() {
    let scope = Scope::new();
    let finished = daemon(&scope, &["-w", "1"], &["--no-pid-file", "--exit-after-ready=9"]).run();
    finished.expect_failure(scope.path("pid"));
}

#[test]
fn a_daemon_that_dies_while_it_is_sought_is_a_failure_in_time() {
    let scope = Scope::new();
    let control = scope.control("control");
    // Its child lives on, so that there is somebody who could still write the file.
    let arguments = ["--no-pid-file", "--children=1", &control.option()];
    let running = daemon(&scope, &["-w", "1"], &arguments).spawn();
    scope.reports().expect("daemon", "ready");
    let launcher = scope.reports().expect("launcher", "started").pid();
    eventually(DEADLINE, || proc::state(launcher).is_none().then_some(())).expect("the launcher is reaped");
    control.send("exit 9");
    running.wait().expect_failure(scope.path("pid"));
}

#[test]
fn a_launcher_that_stays_is_the_target_when_the_time_is_over() {
    for (wait, ending, code) in [("0", "exit 7", 7), ("1", "exit 0", 0), ("1", "die KILL", 137), ("1", "exit 255", 255)]
    {
        let scope = Scope::new();
        let control = scope.control("control");
        let mut running = launcher(&scope, &["-v", "-w", wait], &[&control.option()]).spawn();
        let launcher = scope.reports().expect("program", "ready").pid();
        running.expect_line(|line| line == format!("pidproxy: following: {launcher}"));
        running.signal(libc::SIGHUP);
        scope.reports().expect("program", "signal");
        control.send(ending);
        running.wait().expect_code(code);
    }
}

#[test]
fn a_launcher_that_names_itself_is_the_target() {
    for ending in ["--exit-on=USR2:0", "--exit-on=USR2:6"] {
        let scope = Scope::new();
        let pid_file = scope.path("pid");
        let mut running = Proxy::new(&scope)
            .options(["-v"])
            .pid_file(&pid_file)
            .command(["sh", "-c", "echo $$ >\"$0\"; exec \"$@\""])
            .command([&pid_file])
            .specimen(["program", ending])
            .spawn();
        let launcher = scope.reports().expect("program", "ready").pid();
        running.expect_line(|line| line == format!("pidproxy: following: {launcher}"));
        running.signal(libc::SIGUSR2);
        let code = ending.rsplit_once(':').and_then(|(_, code)| code.parse().ok()).expect("a status");
        running.wait().expect_code(code);
    }
}
