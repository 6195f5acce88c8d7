//! Orphans in great numbers: all are reaped, it costs a call each and no memory, and no status is taken for another.

use std::fs;
use std::time::Duration;

use super::init;
use crate::harness::needs::{self, skip};
use crate::harness::{Control, DEADLINE, Proxy, Running, Scope, eventually, proc};

const COUNT: usize = 100_000;

/// Forking is what takes the time.
const LONG: Duration = Duration::from_mins(2);

/// The program, the proxy's only child that stays, makes the orphans itself. Returns it with the means to end it.
fn start<'scope>(proxy: Proxy<'scope>, scope: &'scope Scope, count: usize) -> (Running, Control) {
    let control = scope.control("control");
    let count = format!("--count={count}");
    let running = proxy.specimen(["orphans", &count, "--orphan-status=99", &control.option()]).spawn();
    (running, control)
}

/// Waits until of the proxy's children only its program is left.
fn expect_all_reaped(running: &Running) {
    let pid = running.pid();
    let left = eventually(DEADLINE, || (proc::children(pid).len() == 1).then_some(()));
    assert_eq!(left, Some(()), "{} children are left\n{}", proc::children(pid).len(), running.evidence());
}

fn a_burst(proxy: Proxy<'_>, scope: &Scope) {
    let (running, control) = start(proxy, scope, COUNT);
    scope.reports().expect_within(LONG, "orphans", "half");
    let half = running.rss_kib();
    scope.reports().expect_within(LONG, "orphans", "ready");
    expect_all_reaped(&running);
    // That of an emulator is its own affair.
    if needs::native().is_ok() {
        assert_eq!(running.rss_kib(), half, "memory does not grow");
        assert!(half <= 32, "{half} KiB");
    }
    control.send("exit 7");
    running.wait().expect_code(7);
}

#[test]
fn process_1_reaps_a_hundred_thousand() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    a_burst(init(&scope).process_1(), &scope);
}

#[test]
fn a_subreaper_reaps_a_hundred_thousand() {
    let scope = Scope::new();
    a_burst(init(&scope), &scope);
}

/// The kernel itself counts, so the burst is as fast as it would be without. What comes alone costs more than a call: to learn
/// of it, to wait for others, to reap it, to learn that there are no more.
#[test]
fn a_burst_costs_a_call_an_orphan() {
    if let Err(reason) = needs::system_call_counter() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let counts = scope.path("counts");
    let counter = ["perf", "stat", "--no-inherit", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o"];
    let proxy = init(&scope).prefix(counter).prefix([&counts]).prefix(["--"]);
    let count = 20_000;
    let (running, control) = start(proxy, &scope, count);
    scope.reports().expect_within(LONG, "orphans", "ready");
    expect_all_reaped(&running);
    control.send("exit 7");
    running.wait().expect_code(7);
    let text = fs::read_to_string(counts).expect("what perf has counted");
    let calls = text.lines().find_map(|line| line.split_once(",,raw_syscalls")?.0.parse::<usize>().ok());
    let calls = calls.unwrap_or_else(|| panic!("no number: {text}"));
    println!("{calls} calls for {count} orphans");
    assert!(calls >= count, "{calls}: there is no cheaper way");
    assert!(calls <= count + count / 10, "{calls} calls for {count} orphans");
}

/// The program makes all its orphans while we are stopped, as on a machine where we do not get our turn.
#[test]
fn a_heap_of_orphans_costs_a_call_each() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    // Others look through all processes meanwhile.
    let count = 2000;
    let scope = Scope::new();
    let counts = scope.path("counts");
    let proxy = init(&scope).prefix(["strace", "-qq", "-c", "-U", "calls,name", "-o"]).prefix([&counts]);
    let control = scope.control("control");
    let script = r#"kill -STOP $PPID; exec "$0" orphans "$@""#;
    let options = [format!("--count={count}"), control.option()];
    let running = proxy.command(["sh", "-c", script]).command([scope.specimen()]).command(options).spawn();
    scope.reports().expect_within(LONG, "orphans", "ready");
    crate::harness::followed::go_on(running.pid());
    expect_all_reaped(&running);
    control.send("exit 7");
    running.wait().expect_code(7);
    let text = fs::read_to_string(counts).expect("what strace has counted");
    let total: usize = text
        .lines()
        .filter_map(|line| {
            line.split_once(" total").map_or_else(|| line.split_whitespace().next(), |_| None)?.parse::<usize>().ok()
        })
        .sum();
    assert!(total >= count && total <= count + count / 10, "{total} calls\n{text}");
}

/// The maker of the orphans goes on when the main process, of which it is a child, is gone.
fn ends_in_the_middle(proxy: Proxy<'_>, scope: &Scope) -> Running {
    let control = scope.control("control");
    let script = r#""$0" orphans --count=100000 --orphan-status=99 & exec "$0" program "$@""#;
    let running = proxy.command(["sh", "-c", script]).command([scope.specimen()]).command([control.option()]).spawn();
    scope.reports().expect("program", "ready");
    scope.reports().expect_within(LONG, "orphans", "half");
    control.send("exit 7");
    running
}

#[test]
fn the_end_of_the_main_process_ends_process_1_in_the_middle() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let running = ends_in_the_middle(init(&scope).process_1(), &scope);
    let finished = running.wait().expect_code(7);
    // In a namespace that ends the kernel refuses to fork before it kills.
    let mut others = finished.stderr.lines().filter(|line| !line.starts_with("specimen: cannot fork: "));
    assert_eq!(others.next(), None);
    // The kernel ends the others with the namespace.
    eventually(DEADLINE, || scope.left_over().is_empty().then_some(())).expect("all are gone");
    assert_eq!(scope.reports().all_of("orphans", "made").len(), 0, "it was the middle");
}

#[test]
fn the_end_of_the_main_process_ends_a_subreaper_in_the_middle() {
    let scope = Scope::new();
    let running = ends_in_the_middle(init(&scope), &scope);
    let finished = running.wait().expect_code(7);
    assert_eq!(finished.stderr, "");
    assert_eq!(scope.reports().all_of("orphans", "made").len(), 0, "it was the middle");
}

/// Orphans and the main process end in the same moment, in every order, all with statuses of their own.
#[test]
fn statuses_are_not_confused() {
    for round in 0..50 {
        let scope = Scope::new();
        let script =
            "for i in 1 2 3 4 5 6 7 8; do (sh -c 'exit 99' &); done; (kill -9 $(sh -c 'echo $PPID') &); exit $0";
        let status = (round * 5).to_string();
        init(&scope).command(["sh", "-c", script, &status]).run().expect_code(round * 5);
    }
}

/// Nothing is waited for: an orphan that lives is no reason to stay.
#[test]
fn a_living_orphan_does_not_hold_us_up() {
    let scope = Scope::new();
    let script = r#"("$0" program --name=orphan &); "$0" program --exit-after-ready=5"#;
    let finished = init(&scope).command(["sh", "-c", script]).command([scope.specimen()]).run().expect_code(5);
    assert_eq!(finished.stderr, "");
    scope.reports().expect("orphan", "ready");
}
