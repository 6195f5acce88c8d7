//! What is not forwarding but must not harm it: our own standard error, idleness; and the mask and the dispositions that
//! the command gets.

use std::time::{Duration, Instant};

use super::{STOPS, burst, by_number, forwardable_but};
use crate::harness::followed::{rest, settle};
use crate::harness::signals::{in_set, real_time, send};
use crate::harness::{Followed, Input, Output, Proxy, Scope, needs, needs::skip, proc};

#[test]
fn our_own_broken_pipe_is_not_forwarded() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-v"]).stderr(Output::Broken);
    let run = Followed::start(&scope, proxy, &["--exit-on=USR2:4"]);
    // For each of these the proxy writes a line.
    for number in [libc::SIGHUP, libc::SIGUSR1, libc::SIGHUP] {
        run.running.signal(number);
        assert_eq!(run.arrived_numbers(), [number]);
    }
    // One that a process sends is another matter, as long as it does not meet with our own in the queue.
    settle(run.running.pid());
    run.running.signal(libc::SIGPIPE);
    assert_eq!(run.arrived_numbers(), [libc::SIGPIPE]);
    run.running.signal(libc::SIGUSR2);
    run.running.wait().expect_code(4);
}

#[test]
fn no_standard_error_stops_the_forwarding() {
    for errors in [Output::Closed, Output::Broken, Output::Full, Output::Stuck] {
        eprintln!("standard error is {errors:?}");
        let scope = Scope::new();
        let proxy = Proxy::new(&scope).options(["-v"]).stderr(errors);
        let run = Followed::start(&scope, proxy, &[]);
        let mut without = STOPS.to_vec();
        // Our own SIGPIPE, pending, takes the place of the sender's.
        without.push(libc::SIGPIPE);
        let burst = burst(forwardable_but(&without));
        for &(number, value) in &burst {
            run.running.queue(number, value);
        }
        assert_eq!(by_number(&run.arrived()), burst, "{errors:?}");
        run.exit(5).expect_code(5);
    }
}

#[test]
fn no_descriptor_is_needed() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-v"]).stdin(Input::Closed).stdout(Output::Closed).stderr(Output::Closed);
    let run = Followed::start(&scope, proxy, &[]);
    let burst = burst(forwardable_but(&STOPS));
    for &(number, value) in &burst {
        run.running.queue(number, value);
    }
    assert_eq!(by_number(&run.arrived()), burst);
    run.exit(5).expect_code(5);
}

#[test]
fn nothing_wakes_the_idle_proxy() {
    // Longer than the second after which a proxy that polls would wake up.
    const A_WHILE: Duration = Duration::from_millis(2500);
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &["--count"]);
    // Once it answers, it watches.
    run.running.signal(libc::SIGHUP);
    let totals = || {
        run.control.send("totals");
        scope.reports().expect("daemon", "totals")
    };
    while totals().get("1").is_none() {}
    let switches =
        || ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|field| run.running.status_field(field));
    rest(run.running.pid());
    let before = switches();
    let end = Instant::now() + A_WHILE;
    let mut rounds = 0;
    // The daemon is busy meanwhile, with signals, with forks, and with its pid file.
    while Instant::now() < end {
        send(run.daemon, libc::SIGUSR1).expect("a living daemon");
        totals();
        if rounds % 100 == 0 {
            run.control.send("write-pid-file");
            scope.reports().expect("daemon", "wrote");
        }
        rounds += 1;
    }
    assert_eq!(switches(), before);
    run.running.signal(libc::SIGHUP);
    while totals().number("1") != 2 {}
    assert_ne!(switches(), before, "a signal does wake it");
    run.exit(0).expect_code(0);
}

#[test]
fn waking_up_for_a_signal_costs_no_more_than_the_signal() {
    // After the last signal nothing is left to do: the proxy goes back to sleep, once.
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    run.arrived();
    let switches = || -> u64 {
        let field = run.running.status_field("voluntary_ctxt_switches");
        field.parse().expect("a number")
    };
    rest(run.running.pid());
    let before = switches();
    for _ in 0..100 {
        run.running.signal(libc::SIGHUP);
        scope.reports().expect("daemon", "signal");
        settle(run.running.pid());
    }
    let wake_ups = switches() - before;
    assert!(wake_ups <= 100, "{wake_ups} for 100 signals");
    run.exit(0).expect_code(0);
}

#[test]
fn the_command_gets_the_mask_that_we_were_given() {
    let everything: Vec<i32> = (1..=64).collect();
    let can_be_blocked: Vec<i32> = (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)).collect();
    let masks: [(&[i32], &[i32]); 4] = [
        (&[], &[]),
        (&[libc::SIGCHLD], &[libc::SIGCHLD]),
        (&[libc::SIGHUP, libc::SIGUSR1, 33, 64], &[libc::SIGHUP, libc::SIGUSR1, 33, 64]),
        (&everything, &can_be_blocked),
    ];
    for (blocked, expected) in masks {
        let scope = Scope::new();
        // It makes no daemon, so the proxy fails afterwards: that is no matter here.
        Proxy::new(&scope).pid_file(scope.path("pid")).specimen(["facts"]).blocked(blocked).run().expect_code(125);
        let facts = scope.reports().expect("facts", "facts");
        assert_eq!(in_set(&facts.text("blocked")), expected);
        assert_eq!(in_set(&facts.text("ignored")), []);
        assert_eq!(in_set(&facts.text("handled")), []);
    }
}

#[test]
fn the_command_can_wait_for_its_children_whatever_we_were_given() {
    let scope = Scope::new();
    let run = |ignored: &[i32]| {
        Proxy::new(&scope).pid_file(scope.path("pid")).specimen(["facts"]).ignored(ignored).run().expect_code(125);
        in_set(&scope.reports().expect("facts", "facts").text("ignored"))
    };
    assert_eq!(run(&[libc::SIGCHLD]), []);
    // What nohup(1) and its like ignore stays ignored: that is their purpose.
    assert_eq!(run(&[libc::SIGHUP]), [libc::SIGHUP]);
    let others = [libc::SIGHUP, libc::SIGCHLD, libc::SIGPIPE, real_time(0), 64];
    assert_eq!(run(&others), [libc::SIGHUP, libc::SIGPIPE, real_time(0), 64]);
}

#[test]
fn ignored_and_blocked_signals_are_forwarded_all_the_same() {
    let scope = Scope::new();
    let all: Vec<i32> = (1..=64).collect();
    for (blocked, ignored) in [(&[][..], &all[..]), (&all, &[]), (&all, &all)] {
        let proxy_scope = Scope::new();
        let proxy = Proxy::new(&proxy_scope).blocked(blocked).ignored(ignored);
        let run = Followed::start(&proxy_scope, proxy, &[]);
        let burst = burst(forwardable_but(&[libc::SIGCONT]));
        for &(number, value) in &burst {
            run.running.queue(number, value);
        }
        assert_eq!(by_number(&run.arrived()), burst);
        // Also the end of a child: with CHLD ignored the kernel would reap it for us, and keep its status.
        run.exit(6).expect_code(6);
    }
    assert_eq!(scope.left_over(), []);
}

#[test]
fn the_daemon_inherits_the_mask_and_the_dispositions() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).blocked(&[libc::SIGUSR2]).ignored(&[libc::SIGCHLD, libc::SIGQUIT]);
    let run = Followed::start(&scope, proxy, &["--default-dispositions"]);
    run.control.send("facts");
    // A specimen that reads no signals looks at its FIFO only.
    let facts = scope.reports().expect("daemon", "facts");
    assert_eq!(in_set(&facts.text("blocked")), [libc::SIGUSR2]);
    assert_eq!(in_set(&facts.text("ignored")), [libc::SIGQUIT]);
    run.running.signal(libc::SIGUSR1);
    run.running.wait().expect_code(128 + libc::SIGUSR1);
}

#[test]
fn an_idle_proxy_makes_no_system_call() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let calls = scope.path("calls");
    let proxy = Proxy::new(&scope).prefix(["strace", "-qq", "-o"]).prefix([&calls]);
    let run = Followed::start(&scope, proxy, &["--children=1"]);
    run.running.signal(libc::SIGHUP);
    assert_eq!(run.arrived_numbers(), [libc::SIGHUP]);
    settle_traced(&calls);
    let before = std::fs::read_to_string(&calls).expect("strace writes it");
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        send(run.daemon, libc::SIGUSR1).expect("a living daemon");
        scope.reports().expect("daemon", "signal");
    }
    let after = std::fs::read_to_string(&calls).expect("strace writes it");
    assert_eq!(after.strip_prefix(&before), Some(""));
    assert!(proc::lives(run.running.pid()));
    run.exit(0).expect_code(0);
}

/// Waits until the last line is that of a call which waits and has not returned: strace leaves it unfinished. `ppoll` would
/// be a wait with an end.
fn settle_traced(calls: &std::path::Path) {
    let is_waiting = || {
        let text = std::fs::read_to_string(calls).ok()?;
        let is_waiting = text.lines().last().is_some_and(|line| line.starts_with("read("));
        (is_waiting && !text.ends_with('\n')).then_some(())
    };
    crate::harness::eventually(crate::harness::DEADLINE, is_waiting)
        .unwrap_or_else(|| panic!("it does not wait: {:?}", std::fs::read_to_string(calls)));
}
