//! Real-time signals and the limit of those that may be pending (`RLIMIT_SIGPENDING`), which counts all of a user's
//! processes together. Who sends with sigqueue(3) is told when there is no room (EAGAIN), and tries again.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{as_another_user, by_number, number_of};
use crate::harness::followed::{go_on, settle, stop};
use crate::harness::signals::{queue, real_time};
use crate::harness::{DEADLINE, Followed, Proxy, Report, Running, Scope, eventually, needs, needs::skip, proc};

/// How many of the daemon's signals may be pending in [`with_small_queue`].
const DAEMON_LIMIT: u64 = 64;

/// Sends so many signals, while the target is stopped and continued, each time until the sender has got so far.
fn stop_and_continue(running: &Running, target: i32, count: u64, step: u64) {
    let sent = AtomicU64::new(0);
    std::thread::scope(|threads| {
        let sender = threads.spawn(|| {
            for value in 0..count {
                running.queue(real_time(3), value);
                sent.store(value + 1, Ordering::SeqCst);
            }
        });
        while !sender.is_finished() {
            stop(target);
            let goal = sent.load(Ordering::SeqCst) + step;
            let has_come = |goal| sent.load(Ordering::SeqCst) >= goal || sender.is_finished();
            eventually(DEADLINE, || (has_come(goal) || is_full(running.pid()) || is_full(target)).then_some(()));
            go_on(target);
            let goal = sent.load(Ordering::SeqCst) + step;
            eventually(DEADLINE, || has_come(goal).then_some(()));
        }
    });
}

/// Whether no more signals may be pending for this process.
fn is_full(pid: i32) -> bool {
    let field = proc::status_field(pid, "SigQ").unwrap_or_default();
    let numbers = field.split_once('/').map(|(queued, limit)| (queued.parse::<u64>(), limit.parse::<u64>()));
    matches!(numbers, Some((Ok(queued), Ok(limit))) if queued >= limit)
}

/// How many signals are pending for the user of this process.
fn pending(pid: i32) -> u64 {
    let field = proc::status_field(pid, "SigQ").expect("a living process");
    let (queued, _) = field.split_once('/').expect("SigQ: pending/limit");
    queued.parse().expect("a number")
}

/// Starts a daemon that counts, sends all signals, and looks whether all have come, in order.
fn count_all(limit: Option<u32>, count: u64, send: impl Fn(&Running, i32)) {
    let scope = Scope::new();
    let (mut proxy, pid_file, _) = as_another_user(Proxy::new(&scope), &scope);
    if let Some(limit) = limit {
        proxy = proxy.prefix(["prlimit".to_owned(), format!("--sigpending={limit}")]);
    }
    let run = Followed::start_with(&scope, proxy, &pid_file, &["--count", "--exit-on=64:5"]);
    send(&run.running, run.daemon);
    // `kill` needs no room in the queue.
    run.running.signal(64);
    let totals = scope.reports().expect("daemon", "totals");
    let count = i64::try_from(count).expect("a small number");
    assert_eq!((totals.number("37"), totals.number("disorder")), (count, 0));
    run.running.wait().expect_code(5);
}

#[test]
fn a_hundred_thousand_signals_to_a_target_that_is_stopped_and_continued() {
    count_all(None, 100_000, |running, daemon| {
        stop_and_continue(running, daemon, 100_000, 20_000);
    });
}

#[test]
fn signals_by_the_thousands_with_a_small_limit() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    for _ in 0..5 {
        count_all(Some(64), 5000, |running, _| {
            for value in 0..5000 {
                running.queue(real_time(3), value);
            }
        });
    }
}

#[test]
fn signals_by_the_thousands_with_the_smallest_limits() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    // One for the daemon, and with the second a next one can wait for the proxy meanwhile.
    for limit in [2, 3, 4] {
        count_all(Some(limit), 1000, |running, _| {
            for value in 0..1000 {
                running.queue(real_time(3), value);
            }
        });
    }
}

#[test]
fn a_small_limit_and_a_target_that_is_stopped_and_continued() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    count_all(Some(256), 10_000, |running, daemon| {
        stop_and_continue(running, daemon, 10_000, 1000);
    });
}

/// A daemon that may have few signals pending, under a proxy that may have many.
fn with_small_queue<'scope>(scope: &'scope Scope, options: &[&str]) -> (Followed<'scope>, u32) {
    let (proxy, pid_file, uid) = as_another_user(Proxy::new(scope), scope);
    let proxy = proxy.options(options).command(["prlimit".to_owned(), format!("--sigpending={DAEMON_LIMIT}")]);
    let run = Followed::start_with(scope, proxy, &pid_file, &[]);
    // Nothing else shall be pending, as the end of the launcher.
    run.arrived();
    settle(run.running.pid());
    (run, uid)
}

/// Sends so many real-time signals to the proxy, which can not go on, and waits until it has taken the first of them.
fn fill_the_proxy(run: &Followed<'_>, count: u64) {
    let before = pending(run.daemon);
    for value in 0..count {
        run.running.queue(real_time(9), value);
    }
    eventually(DEADLINE, || (pending(run.daemon) < before + count).then_some(()))
        .expect("the proxy has read one of them");
}

fn of_number(reports: &[Report], number: i32) -> Vec<u64> {
    let of_number = reports.iter().filter(|report| number_of(report) == number);
    of_number.map(Report::value).collect()
}

#[test]
fn a_stopped_target_with_a_full_queue_is_continued_through_the_proxy() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (run, _) = with_small_queue(&scope, &[]);
    run.stop_daemon();
    for value in 0..DAEMON_LIMIT {
        queue(run.daemon, real_time(8), value).expect("room in the queue");
    }
    queue(run.daemon, real_time(8), DAEMON_LIMIT).expect_err("the queue is full");
    fill_the_proxy(&run, 10);
    run.running.signal(libc::SIGUSR1);
    run.running.signal(libc::SIGCONT);
    let arrived = run.arrived();
    assert_eq!(of_number(&arrived, real_time(8)), (0..DAEMON_LIMIT).collect::<Vec<_>>());
    assert_eq!(of_number(&arrived, real_time(9)), (0..10).collect::<Vec<_>>());
    assert_eq!(of_number(&arrived, libc::SIGUSR1), [0]);
    assert_eq!(of_number(&arrived, libc::SIGCONT), [0]);
    run.exit(3).expect_code(3);
}

/// Another process of the same user, with so many signals pending that there is no room for one of the daemon's.
fn take_the_room(scope: &Scope, uid: u32) -> Running {
    let hog = Proxy::absent(scope).user(uid, uid, &[]).blocked(&[real_time(0)]).command(["sleep", "1000"]).spawn();
    for value in 0..DAEMON_LIMIT {
        queue(hog.pid(), real_time(0), value).expect("room in the queue");
    }
    hog
}

#[test]
fn standard_signals_overtake_what_finds_no_room() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (run, uid) = with_small_queue(&scope, &[]);
    let hog = take_the_room(&scope, uid);
    fill_the_proxy(&run, 10);
    for number in [libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH, libc::SIGTERM] {
        run.running.signal(number);
        assert_eq!(number_of(&scope.reports().expect("daemon", "signal")), number);
    }
    drop(hog);
    let expected: Vec<_> = (0..10).map(|value| (real_time(9), value)).collect();
    assert_eq!(by_number(&run.arrived()), expected);
    run.exit(3).expect_code(3);
}

#[test]
fn a_rewritten_signal_that_finds_no_room_either_takes_nothing_s_place() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    // With one that waits in the proxy already, and with several.
    for count in [1, 10] {
        let scope = Scope::new();
        // A standard signal that needs room, for it goes on as a real-time one.
        let (run, uid) = with_small_queue(&scope, &["-r", "USR1=RTMIN+5"]);
        let hog = take_the_room(&scope, uid);
        fill_the_proxy(&run, count);
        run.running.queue(libc::SIGUSR1, 99);
        // The higher number is read later: when it is there the lower one has been tried.
        run.running.signal(libc::SIGTERM);
        assert_eq!(number_of(&scope.reports().expect("daemon", "signal")), libc::SIGTERM);
        drop(hog);
        let mut expected: Vec<_> = (0..count).map(|value| (real_time(9), value)).collect();
        expected.insert(0, (real_time(5), 99));
        assert_eq!(by_number(&run.arrived()), expected);
        run.exit(3).expect_code(3);
    }
}

#[test]
fn the_end_of_a_target_with_a_full_queue_is_seen() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("prlimit")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (run, uid) = with_small_queue(&scope, &[]);
    let _hog = take_the_room(&scope, uid);
    fill_the_proxy(&run, 10);
    run.exit(3).expect_code(3);
}
