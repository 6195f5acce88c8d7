//! The pause before the next launch.

use std::time::{Duration, Instant};

use super::{FOR_EVER, Kind, Lives, expect_nothing_left, expect_pause, hook, hooks, taken};
use crate::harness::signals::{self, payload, real_time};
use crate::harness::{DEADLINE, Report, Scope, eventually, followed, proc};

/// From the end at least as long as was said: the end comes after the test has asked for it.
#[test]
fn the_pause_is_as_long_as_said() {
    for kind in Kind::BOTH {
        for (options, least) in
            [("-R0", Duration::ZERO), ("-R1", Duration::from_secs(1)), ("-R2", Duration::from_secs(2))]
        {
            let scope = Scope::new();
            let lives = Lives::start(&scope, kind, &[options], &["--exit-on=TERM:5"]);
            lives.next();
            for ending in ["exit 3", "die KILL"] {
                let start = Instant::now();
                lives.end(ending);
                lives.next();
                let pause = start.elapsed();
                assert!(pause >= least && pause < least + DEADLINE / 2, "{kind:?} {options} {ending}: {pause:?}");
            }
            lives.stop(5);
        }
    }
}

#[test]
fn the_pause_ends_at_once_when_it_is_told_to() {
    let cases: [(&[&str], i32, i32, &str); 6] = [
        (&[], libc::SIGTERM, 7, "7 7 -1"),
        (&[], libc::SIGINT, 7, "7 7 -1"),
        (&[], libc::SIGQUIT, 7, "7 7 -1"),
        (&["-rTERM=INT"], libc::SIGTERM, 7, "7 7 -1"),
        (&["-e7"], libc::SIGTERM, 0, "0 7 -1"),
        (&["-k1"], libc::SIGTERM, 7, "7 7 -1"),
    ];
    for kind in Kind::BOTH {
        for (options, signal, code, told) in cases {
            let scope = Scope::new();
            let hook = hook(&scope);
            let mut lives = Lives::start(&scope, kind, &[options, &[FOR_EVER, &hook]].concat(), &[]);
            lives.next();
            let proxy = lives.running.pid();
            lives.end_and_see(7);
            lives.running.signal(signal);
            lives.running.wait().expect_code(code);
            expect_nothing_left(&scope);
            assert_eq!(hooks(&scope, proxy), [told], "{kind:?} {options:?}");
            assert_eq!(scope.reports().all_of(kind.name(), "ready").len(), 1);
        }
    }
}

/// A target that a signal killed, and one that ended well.
#[test]
fn the_status_in_the_pause_is_that_of_the_last_life() {
    for kind in Kind::BOTH {
        for (ending, code, told) in [("die KILL", 137, "137 -1 9"), ("exit 0", 0, "0 0 -1")] {
            let scope = Scope::new();
            let hook = hook(&scope);
            let mut lives = Lives::start(&scope, kind, &["-R1", &hook], &[]);
            lives.next();
            let proxy = lives.running.pid();
            lives.end_and_see(9);
            lives.next();
            lives.end(ending);
            lives.expect_end(code);
            lives.stop(code);
            assert_eq!(hooks(&scope, proxy), [told], "{kind:?} {ending}");
        }
    }
}

/// The clock of -k does not run in the pause, and the hook is not killed by it.
#[test]
fn the_hook_in_the_pause_has_all_its_time() {
    let scope = Scope::new();
    let text = format!("#!/bin/sh\nexec {} program --name=hook --exit-on=USR1:0\n", scope.specimen().display());
    let hook = format!("-E{}", scope.script("hook", &text).display());
    let mut lives = Lives::start(&scope, Kind::Program, &["-k1", FOR_EVER, &hook], &[]);
    lives.next();
    lives.end_and_see(7);
    lives.running.signal(libc::SIGTERM);
    scope.reports().expect("hook", "ready");
    // There is nothing to wait for: it must not be killed.
    std::thread::sleep(Duration::from_millis(1500));
    lives.running.signal(libc::SIGUSR1);
    lives.expect_over(7);
}

/// Each once, the values of real-time signals included. They come before a program can have done anything about them:
/// it is started with them blocked.
#[test]
fn signals_in_the_pause_reach_the_next_target() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let proxy = kind.proxy(&scope, &["-R2"]).blocked(&[libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH, real_time(3)]);
        let mut lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=TERM:5"]);
        lives.next();
        lives.end_and_see(3);
        for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH] {
            lives.running.signal(signal);
        }
        for value in 1..=3 {
            lives.running.queue(real_time(3), payload(value));
        }
        lives.next();
        let number = |report: &Report| i32::try_from(report.number("number")).expect("a signal");
        let is_there = || {
            let all = scope.reports().all_of(kind.name(), "signal");
            (all.len() >= 6).then_some(())
        };
        assert!(eventually(DEADLINE, is_there).is_some(), "{kind:?}\n{}", scope.evidence());
        let arrived = lives.arrived();
        let mut numbers: Vec<i32> = arrived.iter().map(number).collect();
        numbers.sort_unstable();
        let sent = [libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH, real_time(3), real_time(3), real_time(3)];
        assert_eq!(numbers, sent, "{kind:?}");
        let values: Vec<u64> =
            arrived.iter().filter(|report| number(report) == real_time(3)).map(Report::value).collect();
        assert_eq!(values, [1, 2, 3].map(payload), "{kind:?}");
        // They were for this one.
        lives.end_and_see(3);
        lives.next();
        assert_eq!(lives.arrived(), [], "{kind:?}");
        lives.stop(5);
    }
}

#[test]
fn what_is_dropped_in_the_pause_does_nothing() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let hook = hook(&scope);
        let options = ["-R1", "-k1", "-rTERM=0", "-rUSR1=0", &hook];
        let mut lives = Lives::start(&scope, kind, &options, &["--exit-on=INT:5"]);
        lives.next();
        let proxy = lives.running.pid();
        for status in [3, 4] {
            lives.end_and_see(status);
            for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGTERM] {
                lives.running.signal(signal);
            }
            lives.next();
            assert_eq!(lives.arrived(), [], "{kind:?}");
        }
        lives.running.signal(libc::SIGINT);
        lives.expect_over(5);
        assert_eq!(hooks(&scope, proxy), ["5 5 -1"], "{kind:?}");
    }
}

/// An orphan whose end is told in the pause is reaped in the pause, and does not make it shorter or longer.
#[test]
fn orphans_are_reaped_in_the_pause() {
    let scope = Scope::new();
    let [control, orphan] = ["control", "orphan"].map(|name| scope.control(name));
    let script = r#""$0" program --name=orphan "$1" & exec "$0" program "$2""#;
    let proxy = Kind::Program.proxy(&scope, &[FOR_EVER]).command(["sh", "-c", script]).command([scope.specimen()]);
    let mut running = proxy.command([orphan.option(), control.option()]).spawn();
    let pid = scope.reports().expect("orphan", "ready").pid();
    scope.reports().expect("program", "ready");
    control.send("exit 3");
    running.expect_line(|line| line == "pidproxy: ended: 3");
    let is_adopted = || (proc::children(running.pid()) == [pid]).then_some(());
    assert!(eventually(DEADLINE, is_adopted).is_some(), "{}", scope.evidence());
    orphan.send("exit 99");
    let is_reaped = || proc::children(running.pid()).is_empty().then_some(());
    assert!(eventually(DEADLINE, is_reaped).is_some(), "{}", scope.evidence());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
}

/// What is reaped in the pause is not the target: the hook is told how that ended.
#[test]
fn the_end_of_an_orphan_in_the_pause_is_not_the_targets() {
    let scope = Scope::new();
    let hook = hook(&scope);
    let [control, orphan] = ["control", "orphan"].map(|name| scope.control(name));
    let script = r#""$0" program --name=orphan "$1" & exec "$0" program "$2""#;
    let proxy = Kind::Program.proxy(&scope, &[FOR_EVER, &hook]).command(["sh", "-c", script]);
    let mut running = proxy.command([scope.specimen()]).command([orphan.option(), control.option()]).spawn();
    let pid = running.pid();
    scope.reports().expect("orphan", "ready");
    scope.reports().expect("program", "ready");
    control.send("exit 7");
    running.expect_line(|line| line == "pidproxy: ended: 7");
    orphan.send("exit 99");
    let is_reaped = || proc::children(pid).is_empty().then_some(());
    assert!(eventually(DEADLINE, is_reaped).is_some(), "{}", scope.evidence());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
    assert_eq!(hooks(&scope, pid), ["7 7 -1"]);
}

/// Who asks for the end in the pause gets it, also where a target would have been sent something else.
#[test]
fn a_stop_that_means_something_else_to_a_target_ends_the_pause() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let mut lives = Lives::start_by(&scope, kind, kind.proxy(&scope, &[FOR_EVER, "-rTERM=HUP"]), &[]);
        lives.next();
        lives.end_and_see(3);
        lives.running.signal(libc::SIGTERM);
        lives.expect_over(3);
    }
}

/// And what only a target would be sent as a stop waits for it.
#[test]
fn what_becomes_a_stop_waits_for_the_next_target() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let proxy = kind.proxy(&scope, &["-R1", "-rUSR1=QUIT"]).blocked(&[libc::SIGQUIT]);
        let mut lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=QUIT:5"]);
        lives.next();
        lives.end_and_see(3);
        lives.running.signal(libc::SIGUSR1);
        lives.next();
        lives.expect_over(5);
    }
}

/// What the kernel tells of with one SIGCHLD, for we did not get our turn, is all seen.
#[test]
fn what_ended_together_with_the_target_is_reaped_in_the_pause() {
    let scope = Scope::new();
    let control = scope.control("control");
    let script = r#"("$0" program --name=orphan &) ; exec "$0" program "$1""#;
    let proxy = Kind::Program.proxy(&scope, &[FOR_EVER]).command(["sh", "-c", script]).command([scope.specimen()]);
    let mut running = proxy.command([control.option()]).spawn();
    let pids = ["orphan", "program"].map(|name| scope.reports().expect(name, "ready").pid());
    followed::settle(running.pid());
    followed::stop(running.pid());
    for pid in pids {
        signals::send(pid, libc::SIGKILL).expect("it lives");
    }
    let are_dead = || pids.iter().all(|&pid| proc::state(pid) == Some('Z')).then_some(());
    assert!(eventually(DEADLINE, are_dead).is_some(), "{}", scope.evidence());
    followed::go_on(running.pid());
    running.expect_line(|line| line == "pidproxy: ended: 137");
    let is_reaped = || proc::children(running.pid()).is_empty().then_some(());
    assert!(eventually(DEADLINE, is_reaped).is_some(), "{}", scope.evidence());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(137);
}

/// The news of an orphan's end is held for a while, in which nothing but what ends the pause is taken. The hook that
/// begins meanwhile gets all signals.
#[test]
fn a_hook_that_begins_while_an_orphans_end_is_held_gets_every_signal() {
    let scope = Scope::new();
    let text = format!("#!/bin/sh\nexec '{}' program --name=hook --exit-on=USR1:0\n", scope.specimen().display());
    let hook = format!("-E{}", scope.script("hook", &text).display());
    let mut lives = Lives::start(&scope, Kind::Program, &[FOR_EVER, &hook], &["--children=9"]);
    lives.next();
    let proxy = lives.running.pid();
    let orphans: Vec<i32> =
        (1..=9).map(|number| scope.reports().expect(&format!("child{number}"), "ready").pid()).collect();
    lives.end_and_see(7);
    expect_pause(&lives.running);
    let is_held = || taken(proxy).is_some_and(|taken| !taken.contains(&libc::SIGCHLD));
    // It is held until the next look, 128 ms apart at most: with a busy machine between, another one may be needed.
    let stopped_while_held = orphans.into_iter().any(|orphan| {
        signals::send(orphan, libc::SIGKILL).expect("it lives");
        eventually(DEADLINE, || (is_held() || proc::state(orphan).is_none()).then_some(())).expect("one of both");
        followed::stop(proxy);
        let stopped_while_held = is_held();
        if stopped_while_held {
            lives.running.signal(libc::SIGTERM);
        }
        followed::go_on(proxy);
        // Before the next one ends all has to be as before.
        let is_reaped = || proc::state(orphan).is_none().then_some(());
        assert!(stopped_while_held || eventually(DEADLINE, is_reaped).is_some(), "{}", scope.evidence());
        stopped_while_held
    });
    assert!(stopped_while_held, "{}", scope.evidence());
    scope.reports().expect("hook", "ready");
    lives.running.signal(libc::SIGUSR1);
    lives.running.wait().expect_code(7);
}
