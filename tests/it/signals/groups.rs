//! `-g`: the target's whole process group.

use super::number_of;
use crate::harness::followed::settle;
use crate::harness::signals::{self, payload, real_time};
use crate::harness::{DEADLINE, Followed, Proxy, Refusal, Scope, eventually, needs, needs::skip, proc};

/// Who has got which signals so far, once each of these has answered: a process is known to have read what came to it
/// when the last real-time signal is reported, which a child is sent directly.
fn received(run: &Followed<'_>, scope: &Scope, children: &[(&str, i32)]) -> Vec<(String, i32)> {
    let mut received = Vec::new();
    // Without a payload, which not every kernel has for a group.
    run.running.signal(64);
    loop {
        match number_of(&scope.reports().expect("daemon", "signal")) {
            64 => break,
            number => received.push(("daemon".to_owned(), number)),
        }
    }
    // That went to the whole group, too.
    for &(name, pid) in children {
        signals::queue(pid, 64, 1).expect("a living child");
        loop {
            let report = scope.reports().expect(name, "signal");
            match (number_of(&report), report.value()) {
                (64, 1) => break,
                (64, _) => {}
                (number, _) => received.push((name.to_owned(), number)),
            }
        }
    }
    received
}

fn start<'scope>(scope: &'scope Scope, options: &[&str], arguments: &[&str]) -> (Followed<'scope>, [i32; 2]) {
    let arguments = [arguments, &["--children=2"]].concat();
    let run = Followed::start(scope, Proxy::new(scope).options(options), &arguments);
    let children = ["child1", "child2"].map(|name| scope.reports().expect(name, "ready").pid());
    (run, children)
}

fn names(children: [i32; 2]) -> [(&'static str, i32); 2] {
    [("child1", children[0]), ("child2", children[1])]
}

fn all_three(number: i32) -> Vec<(String, i32)> {
    ["daemon", "child1", "child2"].map(|name| (name.to_owned(), number)).to_vec()
}

fn daemon_alone(number: i32) -> Vec<(String, i32)> {
    vec![("daemon".to_owned(), number)]
}

#[test]
fn the_group_of_a_leader_is_signalled_whole() {
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-g"], &["--single-fork"]);
    let report = &scope.reports().all_of("daemon", "ready")[0];
    assert_eq!(report.number("pgid"), report.number("pid"), "a leader");
    for number in [libc::SIGHUP, libc::SIGTERM, libc::SIGUSR1, libc::SIGTSTP, real_time(2)] {
        run.running.signal(number);
        assert_eq!(received(&run, &scope, &names(children)), all_three(number), "once each");
    }
    run.exit(4).expect_code(4);
}

#[test]
fn without_the_option_the_leader_alone_is_signalled() {
    let scope = Scope::new();
    let (run, children) = start(&scope, &[], &["--single-fork"]);
    run.running.signal(libc::SIGUSR1);
    assert_eq!(received(&run, &scope, &names(children)), daemon_alone(libc::SIGUSR1));
    run.exit(4).expect_code(4);
}

#[test]
fn a_target_that_leads_no_group_is_signalled_alone() {
    // The leader of its group is gone: that was the process between the two forks.
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-g"], &[]);
    let report = &scope.reports().all_of("daemon", "ready")[0];
    let leader = i32::try_from(report.number("pgid")).expect("a pid");
    assert!(leader != run.daemon && !proc::lives(leader));
    for number in [libc::SIGUSR1, libc::SIGTERM, real_time(2)] {
        run.running.signal(number);
        assert_eq!(received(&run, &scope, &names(children)), daemon_alone(number), "once");
    }
    run.exit(4).expect_code(4);
}

#[test]
fn a_target_in_our_own_group_is_signalled_alone() {
    // Others are in that group as well: we, and who started us. A signal that does nothing where it is not expected.
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-g"], &["--no-setsid"]);
    let report = &scope.reports().all_of("daemon", "ready")[0];
    assert_eq!(report.number("pgid"), i64::from(nix::unistd::getpgrp().as_raw()), "ours, and the test's");
    for number in [libc::SIGURG, libc::SIGWINCH] {
        run.running.signal(number);
        assert_eq!(received(&run, &scope, &names(children)), daemon_alone(number), "once");
    }
    run.exit(4).expect_code(4);
}

/// Also where we attach to the leader of our own group: what we send comes to us as well, and goes no further.
#[test]
fn a_signal_to_our_own_group_goes_out_once() {
    let scope = Scope::new();
    let control = scope.control("control");
    let script = r#"echo $$ >"$0"; specimen=$1 control=$2; shift 2
        "$@" &
        exec "$specimen" program --name=leader --count "$control""#;
    let numbers = [libc::SIGUSR1, real_time(1)];
    let running = Proxy::new(&scope)
        .blocked(&numbers)
        // By a shell, as a booted kernel has setsid in its busybox only.
        .prefix(["sh", "-c", r#"exec setsid sh -c "$0" "$@""#, script])
        .prefix([scope.path("pid"), scope.specimen(), control.option().into()])
        .options(["-g"])
        .pid_file(scope.path("pid"))
        .spawn();
    let leader = scope.reports().expect("leader", "ready");
    assert_eq!(leader.number("pgid"), leader.number("pid"));
    for number in numbers {
        running.signal(number);
        settle(running.pid());
    }
    control.send("totals");
    let totals = scope.reports().expect("leader", "totals");
    let counts = ["all", "10", "35"].map(|key| totals.number(key));
    assert_eq!(counts, [2, 1, 1], "{totals}");
    control.send("exit 4");
    running.wait().expect_code(4);
    let is_over = eventually(DEADLINE, || scope.left_over().is_empty().then_some(()));
    assert!(is_over.is_some(), "{}", scope.evidence());
}

#[test]
fn a_launcher_is_signalled_alone() {
    let scope = Scope::new();
    let pid_file = format!("--pid-file={}", scope.path("pid").display());
    let running = Proxy::new(&scope)
        .options(["-g", "-rTERM=URG"])
        .pid_file(scope.path("pid"))
        .specimen(["daemon", "--launcher-stays", "--no-pid-file", &pid_file])
        .command(["--children=1", "--no-setsid"])
        .spawn();
    let child = scope.reports().expect("child1", "ready").pid();
    scope.reports().expect("launcher", "ready");
    running.signal(libc::SIGTERM);
    assert_eq!(number_of(&scope.reports().expect("launcher", "signal")), libc::SIGURG);
    signals::send(child, 64).expect("a living child");
    assert_eq!(number_of(&scope.reports().expect("child1", "signal")), 64, "nothing before it");
}

#[test]
fn a_payload_reaches_the_whole_group() {
    // Only through a pidfd can a whole group be sent one.
    let calls = [Refusal::PidfdOpen, Refusal::PidfdSendSignal, Refusal::PidfdSignalGroup];
    if let Err(reason) = needs::calls(&calls).and_then(|()| needs::linux(6, 9)) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (run, _) = start(&scope, &["-g"], &["--single-fork"]);
    for (number, value) in [(real_time(2), 7), (libc::SIGUSR2, payload(u64::MAX))] {
        run.running.queue(number, value);
        for name in ["daemon", "child1", "child2"] {
            let report = scope.reports().expect(name, "signal");
            assert_eq!((number_of(&report), report.value()), (number, value), "{name}");
            assert_eq!(report.number("code"), libc::SI_QUEUE.into());
            assert_eq!(report.number("pid"), super::own_pid());
        }
    }
    run.exit(4).expect_code(4);
}

#[test]
fn hang_ups_follow_for_the_whole_group() {
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-gH"], &["--single-fork"]);
    run.running.signal(libc::SIGTERM);
    let mut received = received(&run, &scope, &names(children));
    received.sort();
    let mut expected = [all_three(libc::SIGHUP), all_three(libc::SIGTERM)].concat();
    expected.sort();
    assert_eq!(received, expected);
    run.exit(4).expect_code(4);
}

#[test]
fn the_end_of_the_target_is_the_end_whoever_is_left_of_its_group() {
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-g"], &["--single-fork", "--exit-on=TERM:0"]);
    // The children end by the same signal, with the same status: without pids they would be taken for the daemon.
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(0);
    assert!(children.iter().all(|&child| child != run.daemon));
    let scope = Scope::new();
    let (run, children) = start(&scope, &["-g"], &["--single-fork"]);
    run.exit(8).expect_code(8);
    assert!(children.iter().all(|&child| proc::lives(child)), "-g kills nobody");
    for (name, pid) in names(children) {
        signals::send(pid, 64).expect("a living child");
        assert_eq!(number_of(&scope.reports().expect(name, "signal")), 64, "nothing before it");
    }
}
