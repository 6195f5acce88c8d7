//! `-p SIGNAL`: what we are sent when our own parent dies.

use super::init;
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, proc, signals};

/// A shell that runs what follows as a child, and stays.
const PARENT: [&str; 4] = ["sh", "-c", "\"$@\"; exit $?", "sh"];

/// The proxy as a shell's child, and its program, which stands.
fn start(scope: &Scope, options: &[&str], arguments: &[&str]) -> (Running, i32) {
    let proxy = init(scope).prefix(PARENT).options(options).specimen(["program"]).command(arguments);
    let running = proxy.spawn();
    let program = scope.reports().expect("program", "ready").pid();
    assert_ne!(running.pid(), running.first_pid());
    (running, program)
}

fn kill_parent(running: &Running) {
    let proxy = running.pid();
    signals::send(running.first_pid(), libc::SIGKILL).expect("a living shell");
    // That it is gone is seen where its child is somebody else's.
    eventually(DEADLINE, || (proc::parent(proxy) != Some(running.first_pid())).then_some(())).expect("the shell dies");
}

#[test]
fn the_signal_comes_and_goes_on() {
    for (name, number) in
        [("USR1", libc::SIGUSR1), ("SIGHUP", libc::SIGHUP), ("RTMIN+2", signals::real_time(2)), ("15", 15)]
    {
        let scope = Scope::new();
        let (running, _) = start(&scope, &["-p", name], &["--exit-on=RTMIN+9:0"]);
        kill_parent(&running);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), number.into(), "{name}");
        // Once: the next is another.
        let last = signals::real_time(9);
        signals::send(running.pid(), last).expect("it lives on");
        assert_eq!(scope.reports().expect("program", "signal").number("number"), last.into(), "{name}");
        eventually(DEADLINE, || scope.left_over().is_empty().then_some(())).expect("both end");
    }
}

#[test]
fn kill_ends_us() {
    let scope = Scope::new();
    let (running, program) = start(&scope, &["-pKILL"], &[]);
    let proxy = running.pid();
    kill_parent(&running);
    eventually(DEADLINE, || (!proc::lives(proxy)).then_some(())).expect("the proxy dies");
    assert!(proc::lives(program), "nobody told the program");
}

#[test]
fn without_the_option_nothing_comes() {
    let scope = Scope::new();
    let (running, _) = start(&scope, &[], &[]);
    kill_parent(&running);
    signals::send(running.pid(), libc::SIGUSR2).expect("it lives on");
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR2.into());
}

/// The program has a parent of its own: us. What it is sent when we die is not our affair.
#[test]
fn the_program_does_not_inherit_it() {
    let scope = Scope::new();
    let (running, program) = start(&scope, &["-p", "USR1"], &[]);
    signals::send(running.pid(), libc::SIGKILL).expect("a living proxy");
    eventually(DEADLINE, || (proc::parent(program)? != running.pid()).then_some(())).expect("the proxy dies");
    signals::send(program, libc::SIGUSR2).expect("it lives on");
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR2.into());
}

/// A change of user makes the kernel forget the wish (`prctl(2)`): it has to be uttered after it.
#[test]
fn a_change_of_user_does_not_lose_it() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (running, _) = start(&scope, &["-U", "1234", "-p", "USR1"], &[]);
    kill_parent(&running);
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR1.into());
}

#[test]
fn a_pause_ends_with_its_parent() {
    let scope = Scope::new();
    let running = Proxy::new(&scope).prefix(PARENT).options(["-p", "TERM"]).pid_file("-").spawn();
    let proxy = running.pid();
    crate::harness::followed::settle(proxy);
    kill_parent(&running);
    eventually(DEADLINE, || (!proc::lives(proxy)).then_some(())).expect("it ends");
}

#[test]
fn what_is_no_signal_is_refused() {
    let scope = Scope::new();
    let started = scope.path("started");
    for word in ["0", "65", "NONSENSE", "-1", "15x"] {
        let finished = init(&scope).options(["-p", word]).command(["touch"]).command([&started]).run();
        finished.expect_failure(word);
        assert!(!started.exists());
    }
}
