//! Signals: which go on, how they arrive, and that none is lost.

mod beginnings;
mod full_queues;
mod groups;
mod rewrites;
mod surroundings;
mod terminals;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::followed::{go_on, stop};
use crate::harness::signals::{forwardable, payload, queue, real_time, send};
use crate::harness::{Followed, Proxy, Report, Scope, needs, needs::skip};

/// Of these and CONT a process can not have both pending: the one takes the other away.
const STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// So many of each real-time signal make a burst.
const OF_EACH_REAL_TIME: u64 = 5;

/// A burst of these signals, each with a payload of its own: the standard ones once, the real-time ones some times.
fn burst(numbers: impl IntoIterator<Item = i32>) -> Vec<(i32, u64)> {
    let mut burst = Vec::new();
    for number in numbers {
        let count = if number < 32 { 1 } else { OF_EACH_REAL_TIME };
        let value =
            |index| payload(u64::from(number.unsigned_abs()) << 32 | u64::from(number.unsigned_abs()) << 8 | index);
        burst.extend((0..count).map(|index| (number, value(index))));
    }
    burst
}

/// What is forwarded, but these.
fn forwardable_but(without: &[i32]) -> Vec<i32> {
    let mut numbers = forwardable();
    numbers.retain(|number| !without.contains(number));
    numbers
}

/// Numbers and payloads, in the order of the numbers; those of one number stay in the order of their arrival.
fn by_number(reports: &[Report]) -> Vec<(i32, u64)> {
    let mut signals: Vec<(i32, u64)> = reports.iter().map(|report| (number_of(report), report.value())).collect();
    signals.sort_by_key(|(number, _)| *number);
    signals
}

fn number_of(report: &Report) -> i32 {
    i32::try_from(report.number("number")).expect("the number of a signal")
}

fn own_pid() -> i64 {
    std::process::id().into()
}

fn own_uid() -> i64 {
    nix::unistd::getuid().as_raw().into()
}

/// Lets the run be another user's, if we may: pending signals are counted by user, and a flood would leave no room for
/// those of other tests. No other test, of this run or another, has that user.
fn as_another_user<'scope>(proxy: Proxy<'scope>, scope: &Scope) -> (Proxy<'scope>, std::path::PathBuf, u32) {
    static USERS: AtomicU32 = AtomicU32::new(0);
    if needs::root().is_err() {
        return (proxy, scope.path("pid"), nix::unistd::getuid().as_raw());
    }
    // Pids have 22 bits.
    let uid = 1 << 30 | std::process::id() << 8 | USERS.fetch_add(1, Ordering::Relaxed) & 0xff;
    let directory = scope.directory_for("theirs", uid, uid);
    (proxy.user(uid, uid, &[]), directory.join("pid"), uid)
}

#[test]
fn every_forwardable_signal_goes_on_by_itself() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    for number in forwardable() {
        run.running.signal(number);
        let arrived = run.arrived();
        let seen: Vec<_> =
            arrived.iter().map(|report| ["number", "code", "pid", "uid"].map(|key| report.number(key))).collect();
        // Only sigqueue's senders can be named in another process's stead.
        let proxy = [number.into(), libc::SI_USER.into(), run.running.pid().into(), own_uid()];
        assert_eq!(seen, [proxy], "signal {number}");
    }
    run.exit(0).expect_code(0);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn a_payload_goes_on_with_every_signal() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    let values = [0, 1, u64::MAX, 1 << 63, 1 << 31, 0x0123_4567_89ab_cdef];
    for number in forwardable() {
        for value in values.map(payload) {
            run.running.queue(number, value);
            let arrived = run.arrived();
            let senders: Vec<_> =
                arrived.iter().map(|report| ["code", "pid", "uid"].map(|key| report.number(key))).collect();
            assert_eq!(by_number(&arrived), [(number, value)]);
            assert_eq!(senders, [[libc::SI_QUEUE.into(), own_pid(), own_uid()]], "{number}");
        }
    }
    run.exit(0).expect_code(0);
}

#[test]
fn the_sender_of_a_payload_stays_who_it_was() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    // The proxy is another user than the sender, so that the one can not be taken for the other.
    let (proxy, pid_file, uid) = as_another_user(Proxy::new(&scope), &scope);
    let run = Followed::start_with(&scope, proxy, &pid_file, &[]);
    for number in [libc::SIGUSR1, real_time(0)] {
        run.running.queue(number, 7);
        let report = run.arrived().remove(0);
        assert_eq!(["number", "pid", "uid"].map(|key| report.number(key)), [number.into(), own_pid(), 0]);
        run.running.signal(number);
        let report = run.arrived().remove(0);
        assert_eq!(
            ["number", "pid", "uid"].map(|key| report.number(key)),
            [number.into(), run.running.pid().into(), uid.into()]
        );
    }
    run.exit(0).expect_code(0);
}

#[test]
fn a_signal_to_the_thread_goes_on() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    let pid = run.running.pid();
    for number in [libc::SIGHUP, libc::SIGUSR2, real_time(7)] {
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, number) }, 0);
        assert_eq!(run.arrived_numbers(), [number]);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn a_child_signal_from_a_process_is_not_forwarded() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    run.running.signal(libc::SIGCHLD);
    run.running.queue(libc::SIGCHLD, 1);
    run.running.signal(libc::SIGUSR1);
    assert_eq!(run.arrived_numbers(), [libc::SIGUSR1]);
    run.exit(3).expect_code(3);
}

#[test]
fn a_burst_of_all_signals_loses_none() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    let proxy = run.running.pid();
    let mut without = STOPS.to_vec();
    without.push(libc::SIGCONT);
    let burst = burst(forwardable_but(&without));
    for _ in 0..20 {
        // All are pending before the first is read.
        stop(proxy);
        for &(number, value) in &burst {
            run.running.queue(number, value);
        }
        go_on(proxy);
        let mut expected = burst.clone();
        // What lets the proxy go on is a signal like the others.
        expected.push((libc::SIGCONT, 0));
        expected.sort_by_key(|(number, _)| *number);
        assert_eq!(by_number(&run.arrived()), expected);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn bursts_in_full_run_lose_none() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    // In descending order too: a reader that trusts the order of the kernel's queue would be led astray.
    let mut burst = burst(forwardable_but(&[libc::SIGCONT]));
    for _ in 0..50 {
        for &(number, value) in &burst {
            run.running.queue(number, value);
        }
        let mut expected = burst.clone();
        expected.sort_by_key(|(number, _)| *number);
        assert_eq!(by_number(&run.arrived()), expected);
        burst.sort_by_key(|(number, _)| -number);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn a_hundred_thousand_real_time_signals_arrive_in_order() {
    let scope = Scope::new();
    let (proxy, pid_file, _) = as_another_user(Proxy::new(&scope), &scope);
    let run = Followed::start_with(&scope, proxy, &pid_file, &["--count", "--exit-on=64:5"]);
    for value in 0..100_000 {
        run.running.queue(real_time(3), value);
    }
    run.running.signal(64);
    let totals = scope.reports().expect("daemon", "totals");
    assert_eq!(["37", "all", "disorder"].map(|key| totals.number(key)), [100_000, 100_001, 0]);
    run.running.wait().expect_code(5);
}

#[test]
fn all_real_time_signals_at_once_keep_their_orders() {
    let scope = Scope::new();
    let (proxy, pid_file, _) = as_another_user(Proxy::new(&scope), &scope);
    let run = Followed::start_with(&scope, proxy, &pid_file, &["--count", "--exit-on=64:5"]);
    for value in 0..1000 {
        for number in 32..64 {
            run.running.queue(number, value);
        }
    }
    run.running.signal(64);
    let totals = scope.reports().expect("daemon", "totals");
    assert_eq!(totals.number("disorder"), 0);
    for number in 32..64 {
        assert_eq!(totals.number(&number.to_string()), 1000, "{number}");
    }
    run.running.wait().expect_code(5);
}

#[test]
fn an_attached_daemon_gets_every_signal() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    let program = Proxy::absent(&scope).specimen(["program", "--name=daemon"]).spawn();
    let daemon = scope.reports().expect("daemon", "ready").pid();
    std::fs::write(&pid_file, format!("{daemon}\n")).expect("a pid file");
    let mut running = Proxy::new(&scope).options(["-v"]).pid_file(&pid_file).spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {daemon}"));
    let burst = burst(forwardable_but(&[libc::SIGCONT]));
    for &(number, value) in &burst {
        running.queue(number, value);
    }
    assert_eq!(by_number(&scope.reports().expect_signals("daemon", burst.len())), burst);
    // The parent of a killed process may take its time to reap it; that is another test.
    drop(program);
    running.wait();
}

#[test]
fn the_first_process_of_a_container_forwards_what_comes_from_outside() {
    let needed = ["--pid", "--fork", "--mount-proc"];
    if let Err(reason) = needs::root().and_then(|()| needs::unshare(&needed)) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).prefix(["unshare"]).prefix(needed);
    let run = Followed::start(&scope, proxy, &[]);
    let burst = burst(forwardable_but(&[libc::SIGCONT]));
    for &(number, value) in &burst {
        run.running.queue(number, value);
    }
    let arrived = run.arrived();
    assert_eq!(by_number(&arrived), burst);
    // Our pid is none in there.
    assert!(arrived.iter().all(|report| report.pid() == 0), "{arrived:?}");
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        send(run.running.pid(), number).expect("the first process lives");
        assert_eq!(run.arrived_numbers(), [number]);
    }
    queue(run.running.pid(), real_time(0), 1).expect("the first process lives");
    assert_eq!(by_number(&run.arrived()), [(real_time(0), 1)]);
    run.exit(9).expect_code(9);
}
