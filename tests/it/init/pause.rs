//! `pidproxy -`: nothing to run, only to reap, until TERM or INT.

use crate::harness::followed::settle;
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, proc, signals};

fn pause(scope: &Scope) -> Proxy<'_> {
    Proxy::new(scope).pid_file("-")
}

/// Waits until it has done all that it will do for now.
fn at_rest(running: &Running) {
    settle(running.pid());
}

#[test]
fn term_and_int_end_it() {
    for number in [libc::SIGTERM, libc::SIGINT] {
        let scope = Scope::new();
        let running = pause(&scope).spawn();
        at_rest(&running);
        running.signal(number);
        let finished = running.wait().expect_code(0);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    }
}

/// There is no process to name.
#[test]
fn it_says_nothing_of_a_process() {
    let scope = Scope::new();
    let running = pause(&scope).options(["-v"]).spawn();
    at_rest(&running);
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait().expect_code(0).stderr, "pidproxy: signal: 15\n");
}

/// Also one that came before anything was ready for it.
#[test]
fn an_early_signal_ends_it() {
    for number in [libc::SIGTERM, libc::SIGINT] {
        let scope = Scope::new();
        pause(&scope).blocked(&[number]).pending(&[(number, 1)]).run().expect_code(0);
    }
}

#[test]
fn other_signals_do_not() {
    let scope = Scope::new();
    let running = pause(&scope).spawn();
    at_rest(&running);
    let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
    for number in signals::forwardable().into_iter().filter(|number| !ends.contains(number)) {
        running.signal(number);
        at_rest(&running);
    }
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
}

#[test]
fn process_1_ends_with_0() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for number in [libc::SIGTERM, libc::SIGINT] {
        let scope = Scope::new();
        let running = pause(&scope).process_1().spawn();
        at_rest(&running);
        running.signal(number);
        running.wait().expect_code(0);
    }
}

/// As of a pod's infrastructure container: the namespace's orphans come from processes that it did not start.
#[test]
fn process_1_reaps_the_orphans_of_others() {
    if let Err(reason) = needs::process_1().and_then(|()| needs::program("nsenter")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let running = pause(&scope).process_1().spawn();
    let pid = running.pid();
    at_rest(&running);
    let target = format!("--target={pid}");
    Proxy::absent(&scope)
        .prefix(["nsenter", &target, "--pid"])
        .specimen(["orphans", "--count=500", "--orphan-status=9", "--exit-after-ready=0"])
        .run()
        .expect_code(0);
    eventually(DEADLINE, || proc::children(pid).is_empty().then_some(())).expect("all are reaped");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
}

/// Children that it has from before its execution, and theirs: it becomes their subreaper. Their statuses are not its own.
#[test]
fn a_subreaper_reaps_what_it_inherits() {
    let scope = Scope::new();
    let control = scope.control("control");
    let script = r#""$SPECIMEN" orphans --count=300 --orphan-status=9 "$CONTROL" & exec "$@""#;
    let running = pause(&scope)
        .env("SPECIMEN", scope.specimen())
        .env("CONTROL", control.option())
        .prefix(["sh", "-c", script, "sh"])
        .spawn();
    let maker = scope.reports().expect("orphans", "ready").pid();
    let pid = running.pid();
    eventually(DEADLINE, || (proc::children(pid) == [maker]).then_some(())).expect("its orphans are reaped");
    control.send("exit 8");
    eventually(DEADLINE, || proc::children(pid).is_empty().then_some(())).expect("and itself");
    assert!(proc::lives(pid));
    running.signal(libc::SIGINT);
    running.wait().expect_code(0);
}

/// It has nothing to do with the others: they are the engine's.
#[test]
fn what_lives_on_is_not_signalled() {
    let scope = Scope::new();
    let script = r#""$SPECIMEN" program & exec "$@""#;
    let proxy = pause(&scope).env("SPECIMEN", scope.specimen()).prefix(["sh", "-c", script, "sh"]);
    let running = proxy.spawn();
    let program = scope.reports().expect("program", "ready").pid();
    at_rest(&running);
    running.signal(libc::SIGUSR1);
    at_rest(&running);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
    signals::send(program, libc::SIGUSR2).expect("it lives on");
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR2.into());
}

#[test]
fn it_costs_nothing() {
    let scope = Scope::new();
    let running = pause(&scope).spawn();
    at_rest(&running);
    println!("resident: {} KiB", running.rss_kib());
    // A page more or less is the environment's, and the memory of an emulator its own.
    assert!(running.rss_kib() <= 32 || needs::native().is_err(), "{} KiB", running.rss_kib());
    let directory = || std::fs::read_link(format!("/proc/{}/cwd", running.pid())).ok();
    eventually(DEADLINE, || (directory()? == *"/").then_some(())).expect("it is in /");
}

#[test]
fn an_init_without_a_command_is_one() {
    let scope = Scope::new();
    let running = Proxy::new(&scope).argument_zero("/init").spawn();
    at_rest(&running);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
}
