//! Signals that come before there is somebody to have them: before our own first instruction, while launching, while
//! seeking.

use super::{STOPS, as_another_user, burst, by_number, forwardable_but, number_of};
use crate::harness::signals::real_time;
use crate::harness::{Control, DEADLINE, Followed, Proxy, Report, Running, Scope, eventually, proc};

const STOPPING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

fn all() -> Vec<i32> {
    (1..=64).collect()
}

/// A launcher that stays, and a daemon that has not written its pid file yet. The first control is the launcher's.
fn launching(scope: &Scope, proxy: Proxy<'_>, arguments: &[&str]) -> (Running, [Control; 2]) {
    let controls = [scope.control("launcher-control"), scope.control("daemon-control")];
    let running = proxy
        .pid_file(scope.path("pid"))
        .specimen(["daemon", "--launcher-stays", "--no-pid-file"])
        .command([
            controls[0].launcher_option(),
            controls[1].option(),
            format!("--pid-file={}", scope.path("pid").display()),
        ])
        .command(arguments)
        .spawn();
    scope.reports().expect("launcher", "ready");
    scope.reports().expect("daemon", "ready");
    (running, controls)
}

/// What reaches the daemon before the signal 64, which comes last.
fn until_the_last(scope: &Scope) -> Vec<Report> {
    let mut reports = Vec::new();
    loop {
        let report = scope.reports().expect("daemon", "signal");
        if number_of(&report) == 64 {
            return reports;
        }
        reports.push(report);
    }
}

/// What has reached this process and was not taken yet, when its control command `here` is answered.
fn taken_by(scope: &Scope, name: &str, control: &Control) -> Vec<(i32, u64)> {
    control.send("here");
    scope.reports().expect(name, "here");
    let mut signals = Vec::new();
    let is_signal = |report: &Report| report.name == name && report.kind == "signal";
    while let Some(report) = scope.reports().take(std::time::Duration::ZERO, is_signal) {
        signals.push((number_of(&report), report.value()));
    }
    signals
}

#[test]
fn what_is_pending_at_our_execution_reaches_the_daemon() {
    // CONT and the stops can not be pending together.
    for without in [&[libc::SIGCONT][..], &STOPS] {
        for _ in 0..5 {
            let scope = Scope::new();
            let burst = burst(forwardable_but(without));
            let proxy = Proxy::new(&scope).blocked(&all()).pending(&burst);
            let run = Followed::start(&scope, proxy, &[]);
            let arrived = by_number(&run.arrived());
            let numbers = |signals: &[(i32, u64)]| -> Vec<i32> { signals.iter().map(|(number, _)| *number).collect() };
            assert_eq!(numbers(&arrived), numbers(&burst));
            // What asks for the end went to the launcher first; all others are as they were sent.
            for (arrived, sent) in arrived.iter().zip(&burst) {
                assert!(arrived == sent || STOPPING.contains(&sent.0), "{arrived:?}, {sent:?}");
            }
            run.exit(0).expect_code(0);
        }
    }
}

#[test]
fn a_stream_from_the_first_moment_on_loses_nothing() {
    for round in 0..10 {
        let scope = Scope::new();
        // A busy machine takes its time to launch, and there is no end to the stream meanwhile.
        let (proxy, pid_file, _) = as_another_user(Proxy::new(&scope), &scope);
        // Nothing can be lost, or kill us, before our first instruction: all is blocked, as a careful parent has it.
        let running = proxy
            .blocked(&all())
            .pid_file(&pid_file)
            .specimen(["daemon", "--count", "--exit-on=64:5"])
            .command([format!("--pid-file={}", pid_file.display())])
            .spawn();
        let mut value = 0;
        let is_ready = |report: &Report| report.name == "daemon" && report.kind == "ready";
        while scope.reports().take(std::time::Duration::ZERO, is_ready).is_none() {
            running.queue(real_time(1), value);
            value += 1;
        }
        for _ in 0..1000 {
            running.queue(real_time(1), value);
            value += 1;
        }
        running.signal(64);
        let totals = scope.reports().expect("daemon", "totals");
        let count = i64::try_from(value).expect("a small number");
        assert_eq!((totals.number("35"), totals.number("disorder")), (count, 0), "{round}");
        running.wait().expect_code(5);
    }
}

#[test]
fn while_launching_all_but_the_stopping_ones_wait_for_the_daemon() {
    let scope = Scope::new();
    let (running, controls) = launching(&scope, Proxy::new(&scope), &["--exit-on=64:4"]);
    let waiting = {
        let mut without = STOPPING.to_vec();
        without.extend([libc::SIGCONT, 64]);
        burst(forwardable_but(&without))
    };
    for &(number, value) in &waiting {
        running.queue(number, value);
    }
    // The launcher has these at once, which come last and would otherwise be in the daemon's hands.
    for (number, value) in [(libc::SIGTERM, 1), (libc::SIGINT, 2), (libc::SIGQUIT, 3)] {
        running.queue(number, value);
        let report = scope.reports().expect("launcher", "signal");
        assert_eq!((number_of(&report), report.value()), (number, value));
    }
    assert_eq!(taken_by(&scope, "launcher", &controls[0]), []);
    assert_eq!(taken_by(&scope, "daemon", &controls[1]), []);
    controls[1].send("write-pid-file");
    running.signal(64);
    let mut arrived = until_the_last(&scope);
    arrived.retain(|report| !STOPPING.contains(&number_of(report)));
    assert_eq!(by_number(&arrived), waiting);
    assert_eq!(taken_by(&scope, "launcher", &controls[0]), []);
    running.wait().expect_code(4);
}

#[test]
fn what_would_kill_a_launcher_waits() {
    // Neither blocks nor handles anything: one of these signals would be its end.
    let scope = Scope::new();
    let running = Proxy::new(&scope).pid_file(scope.path("pid")).command(["sleep", "1000"]).spawn();
    // Before our own signals are blocked they would be our end.
    eventually(DEADLINE, || proc::children(running.pid()).pop()).expect("the launcher");
    for number in [libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM, real_time(0)] {
        running.signal(number);
    }
    running.signal(libc::SIGTERM);
    running.wait().expect_code(128 + libc::SIGTERM);
}

#[test]
fn what_asks_for_the_end_ends_a_launcher() {
    for number in STOPPING {
        let scope = Scope::new();
        let running = Proxy::new(&scope)
            .pid_file(scope.path("pid"))
            .command(["sh", "-c", "ulimit -c 0; exec sleep 1000"])
            .spawn();
        let is_there = || {
            let children = proc::children(running.pid());
            children.into_iter().find(|&pid| proc::command_line(pid).starts_with("sleep"))
        };
        eventually(DEADLINE, is_there).expect("the launcher");
        running.signal(number);
        running.wait().expect_code(128 + number);
        assert_eq!(scope.left_over(), []);
    }
}

#[test]
fn a_launcher_gets_what_the_rewrites_say() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-r", "TERM=USR1", "-rINT=0"]);
    let (running, controls) = launching(&scope, proxy, &[]);
    running.signal(libc::SIGINT);
    running.signal(libc::SIGTERM);
    assert_eq!(number_of(&scope.reports().expect("launcher", "signal")), libc::SIGUSR1);
    assert_eq!(taken_by(&scope, "launcher", &controls[0]), []);
}

#[test]
fn while_seeking_every_signal_waits_for_the_daemon() {
    for without in [&[libc::SIGCONT][..], &STOPS] {
        let scope = Scope::new();
        let (running, [launcher_control, control]) = launching(&scope, Proxy::new(&scope), &["--exit-on=64:4"]);
        let launcher = scope.reports().all_of("launcher", "ready").remove(0).pid();
        launcher_control.send("exit 0");
        // Once it is reaped, the search has begun.
        eventually(DEADLINE, || proc::state(launcher).is_none().then_some(())).expect("the launcher is reaped");
        let mut burst = burst(forwardable_but(without));
        burst.retain(|(number, _)| *number != 64);
        for &(number, value) in &burst {
            running.queue(number, value);
        }
        assert_eq!(taken_by(&scope, "daemon", &control), []);
        control.send("write-pid-file");
        running.signal(64);
        assert_eq!(by_number(&until_the_last(&scope)), burst);
        running.wait().expect_code(4);
    }
}

#[test]
fn the_request_that_a_launcher_ended_with_is_not_lost() {
    for number in STOPPING {
        let scope = Scope::new();
        let ending = format!("--launcher-exit-on={number}:0");
        let (running, [_, control]) = launching(&scope, Proxy::new(&scope), &[&ending, "--exit-on=64:0"]);
        running.signal(number);
        assert_eq!(number_of(&scope.reports().expect("launcher", "signal")), number);
        control.send("write-pid-file");
        running.signal(64);
        let arrived = until_the_last(&scope);
        assert_eq!(arrived.iter().map(number_of).collect::<Vec<_>>(), [number], "once, and before what came later");
        running.wait().expect_code(0);
    }
}

#[test]
fn a_request_for_the_end_ends_a_daemon_that_was_just_appearing() {
    let scope = Scope::new();
    let arguments = ["--launcher-exit-on=TERM:0", "--exit-on=TERM:6"];
    let (running, [_, control]) = launching(&scope, Proxy::new(&scope), &arguments);
    running.signal(libc::SIGTERM);
    scope.reports().expect("launcher", "signal");
    control.send("write-pid-file");
    running.wait().expect_code(6);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn a_launcher_that_is_the_target_gets_nothing_twice() {
    let scope = Scope::new();
    let control = scope.control("control");
    let mut running = Proxy::new(&scope)
        .options(["-v", "-w1"])
        .pid_file(scope.path("pid"))
        .specimen(["program", "--exit-on=64:7", &control.option()])
        .spawn();
    let launcher = scope.reports().expect("program", "ready").pid();
    for number in STOPPING {
        running.signal(number);
        assert_eq!(number_of(&scope.reports().expect("program", "signal")), number);
    }
    running.signal(libc::SIGHUP);
    running.queue(real_time(1), 5);
    running.expect_line(|line| line == format!("pidproxy: following: {launcher}"));
    // What waited for the target is the launcher's now.
    for expected in [(libc::SIGHUP, 0), (real_time(1), 5)] {
        let report = scope.reports().expect("program", "signal");
        assert_eq!((number_of(&report), report.value()), expected);
    }
    running.signal(libc::SIGUSR1);
    assert_eq!(number_of(&scope.reports().expect("program", "signal")), libc::SIGUSR1);
    running.signal(64);
    assert_eq!(number_of(&scope.reports().expect("program", "signal")), 64, "and nothing else before it");
    running.wait().expect_code(7);
}
