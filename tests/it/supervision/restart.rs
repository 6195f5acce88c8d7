//! `-R`: the command is launched again.
//!
//! A life of the target ends when the test says so, over its control FIFO, which the next one opens as well.

mod daemon;
mod failures;
mod first;
mod lives;
mod pause;

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{FOR_EVER, Kind, with_ready};
use crate::harness::signals::{self, real_time};
use crate::harness::{Control, DEADLINE, Proxy, Report, Running, Scope, eventually, numbers_behind, proc};

impl Kind {
    /// What there is to run, without the specimen and its arguments.
    fn proxy<'scope>(self, scope: &'scope Scope, options: &[&str]) -> Proxy<'scope> {
        let pid_file = if self == Self::Program { PathBuf::from("-") } else { scope.path("pid") };
        Proxy::new(scope).options(["-v"]).options(options).pid_file(pid_file)
    }

    /// The specimen's own arguments.
    fn words(self, scope: &Scope, control: &Control) -> Vec<String> {
        let mut words = vec![self.name().to_owned(), control.option()];
        if self == Self::Daemon {
            words.push(format!("--pid-file={}", scope.path("pid").display()));
        }
        words
    }
}

/// A run with many lives.
struct Lives<'scope> {
    scope: &'scope Scope,
    kind: Kind,
    control: Control,
    running: Running,
    /// The pid of this life.
    pid: Cell<i32>,
}

impl<'scope> Lives<'scope> {
    fn start(scope: &'scope Scope, kind: Kind, options: &[&str], arguments: &[&str]) -> Self {
        Self::start_by(scope, kind, kind.proxy(scope, options), arguments)
    }

    fn start_by(scope: &'scope Scope, kind: Kind, proxy: Proxy<'scope>, arguments: &[&str]) -> Self {
        let control = scope.control("control");
        let running = proxy.specimen(kind.words(scope, &control)).command(arguments).spawn();
        Self { scope, kind, control, running, pid: Cell::new(0) }
    }

    /// Waits for the next life, and gives its pid.
    #[track_caller]
    fn next(&self) -> i32 {
        self.pid.set(self.scope.reports().expect(self.kind.name(), "ready").pid());
        self.pid.get()
    }

    /// Ends this life.
    fn end(&self, ending: &str) {
        self.control.send(ending);
    }

    /// Ends this life, and waits until the proxy knows.
    fn end_and_see(&mut self, status: i32) {
        self.control.send(&format!("exit {status}"));
        self.expect_end(status);
    }

    fn expect_end(&mut self, status: i32) {
        // Before, the end of a launcher may be told.
        let following = format!("pidproxy: following: {}", self.pid.get());
        self.running.expect_line(|line| line == following);
        self.running.expect_line(|line| line == format!("pidproxy: ended: {status}"));
    }

    /// How many lives there were.
    fn count(&self) -> usize {
        self.kind.lives(self.scope)
    }

    /// The signals that lives have reported so far and nobody took, this one's included.
    #[track_caller]
    fn arrived(&self) -> Vec<Report> {
        self.control.send("here");
        self.scope.reports().expect(self.kind.name(), "here");
        let is_signal = |report: &Report| report.name == self.kind.name() && report.kind == "signal";
        std::iter::from_fn(|| self.scope.reports().take(Duration::ZERO, is_signal)).collect()
    }

    /// Waits until signals go to this target.
    #[track_caller]
    fn expect_followed(&self, pid: i32) {
        let is_followed =
            || numbers_behind(&self.running.stderr(), "pidproxy: following: ").contains(&pid).then_some(());
        assert!(eventually(DEADLINE, is_followed).is_some(), "{}", self.scope.evidence());
    }

    /// Ends the run by TERM, for which the target has this status, with nothing left.
    #[track_caller]
    fn stop(self, code: i32) {
        // Before, it would be the launcher that is told.
        self.expect_followed(self.pid.get());
        self.running.signal(libc::SIGTERM);
        self.expect_over(code);
    }

    #[track_caller]
    fn expect_over(self, code: i32) {
        self.running.wait().expect_code(code);
        expect_nothing_left(self.scope);
    }
}

#[track_caller]
fn expect_nothing_left(scope: &Scope) {
    let is_over = eventually(DEADLINE, || scope.left_over().is_empty().then_some(()));
    assert!(is_over.is_some(), "{}", scope.evidence());
}

/// A hook that adds a line for each time it runs: our status, the target's, and the signal that killed it.
fn hook(scope: &Scope) -> String {
    let text = "#!/bin/sh\n\
        exec >>\"${0%/*}/hooks\"\n\
        echo $PIDPROXY_EXIT_CODE $PIDPROXY_CHILD_EXIT_CODE $PIDPROXY_CHILD_KILL_SIGNAL $PIDPROXY_PID\n";
    format!("-E{}", scope.script("hook", text).display())
}

/// The lines that the hook has written, without our pid, which has to be this one.
fn hooks(scope: &Scope, pid: i32) -> Vec<String> {
    let text = fs::read_to_string(scope.path("hooks")).unwrap_or_default();
    let end = format!(" {pid}");
    text.lines().map(|line| line.strip_suffix(&end).unwrap_or_else(|| panic!("{line}: not {pid}")).to_owned()).collect()
}

/// The signals that the proxy takes now: the mask of its signalfd, in which TERM is in a pause and not in a search.
fn taken(pid: i32) -> Option<Vec<i32>> {
    proc::descriptors(pid).into_iter().find_map(|(number, _)| {
        let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("sigmask:")).map(signals::in_set)
    })
}

/// Waits until the search for a successor is over, and the pause has begun.
fn expect_pause(running: &Running) {
    let is_pausing = || taken(running.pid())?.contains(&libc::SIGTERM).then_some(());
    assert!(eventually(DEADLINE, is_pausing).is_some(), "{}", running.evidence());
}

#[test]
fn it_is_launched_again_however_it_ended() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let lives = Lives::start(&scope, kind, &["-R0"], &["--exit-on=TERM:5"]);
        let mut pids = vec![lives.next()];
        for ending in [
            "exit 0", "exit 7", "exit 0", "exit 125", "exit 126", "exit 127", "exit 255", "die KILL", "die TERM",
            "die SEGV", "die 64",
        ] {
            lives.end(ending);
            pids.push(lives.next());
        }
        let mut different = pids.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), pids.len(), "{kind:?}: {pids:?}");
        lives.running.signal(libc::SIGTERM);
        let finished = lives.running.wait().expect_code(5);
        expect_nothing_left(&scope);
        assert_eq!(numbers_behind(&finished.stderr, "pidproxy: following: "), pids, "{kind:?}");
    }
}

#[test]
fn what_is_told_to_end_is_not_launched_again() {
    let cases: [(&[&str], i32, &str, i32); 12] = [
        (&[], libc::SIGTERM, "--exit-on=TERM:5", 5),
        (&[], libc::SIGINT, "--exit-on=INT:0", 0),
        (&[], libc::SIGQUIT, "--exit-on=QUIT:7", 7),
        (&[], libc::SIGTERM, "--default-dispositions", 128 + libc::SIGTERM),
        (&[], libc::SIGINT, "--default-dispositions", 128 + libc::SIGINT),
        (&["-rUSR1=TERM"], libc::SIGUSR1, "--exit-on=TERM:5", 5),
        (&["-rHUP=INT"], libc::SIGHUP, "--exit-on=INT:5", 5),
        (&["-rRTMIN+1=QUIT"], real_time(1), "--exit-on=QUIT:5", 5),
        (&["-rTERM=INT"], libc::SIGTERM, "--exit-on=INT:5", 5),
        (&["-rTERM=QUIT", "-rQUIT=TERM"], libc::SIGTERM, "--exit-on=QUIT:5", 5),
        (&["-e5"], libc::SIGTERM, "--exit-on=TERM:5", 0),
        (&["-gH"], libc::SIGTERM, "--exit-on=TERM:5", 5),
    ];
    for kind in Kind::BOTH {
        for (options, signal, argument, code) in cases {
            let scope = Scope::new();
            let hook = hook(&scope);
            let mut lives = Lives::start(&scope, kind, &[options, &["-R0", &hook]].concat(), &[argument]);
            lives.next();
            lives.end_and_see(9);
            lives.next();
            let proxy = lives.running.pid();
            lives.running.signal(signal);
            lives.running.wait().expect_code(code);
            expect_nothing_left(&scope);
            assert_eq!(kind.lives(&scope), 2, "{kind:?} {options:?} {signal}");
            assert_eq!(hooks(&scope, proxy).len(), 1, "{kind:?} {options:?} {signal}");
        }
    }
}

/// The target does not end by the signal, but by itself later.
#[test]
fn what_was_told_to_end_may_take_its_time() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let lives = Lives::start(&scope, kind, &["-R0"], &[]);
        lives.next();
        lives.running.signal(libc::SIGTERM);
        scope.reports().expect(kind.name(), "signal");
        lives.end("exit 6");
        lives.expect_over(6);
        assert_eq!(kind.lives(&scope), 1);
    }
}

/// What is forwarded decides, not what is received; and the death by any other signal is an end like others.
#[test]
fn what_is_told_something_else_is_launched_again() {
    let cases: [(&[&str], i32, &str); 5] = [
        (&["-rTERM=HUP"], libc::SIGTERM, "--exit-on=HUP:5"),
        (&["-rINT=RTMIN+1"], libc::SIGINT, "--exit-on=35:5"),
        (&["-rQUIT=KILL"], libc::SIGQUIT, "--exit-on=USR2:5"),
        (&[], libc::SIGHUP, "--default-dispositions"),
        (&[], libc::SIGUSR1, "--exit-on=USR1:0"),
    ];
    for kind in Kind::BOTH {
        for (options, signal, argument) in cases {
            let scope = Scope::new();
            let lives = Lives::start(&scope, kind, &[options, &["-R0"]].concat(), &[argument]);
            for _ in 0..3 {
                lives.next();
                lives.running.signal(signal);
            }
            lives.next();
            assert_eq!(lives.count(), 4, "{kind:?} {options:?}");
        }
    }
}

#[test]
fn a_dropped_signal_does_not_end_it() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let lives = Lives::start(&scope, kind, &["-R0", "-rTERM=0"], &["--exit-on=INT:5"]);
        lives.next();
        lives.running.signal(libc::SIGTERM);
        assert_eq!(lives.arrived(), []);
        lives.end("exit 3");
        lives.next();
        lives.running.signal(libc::SIGINT);
        lives.expect_over(5);
    }
}

fn launches(scope: &Scope) -> usize {
    fs::read_to_string(scope.path("count")).unwrap_or_default().lines().count()
}

#[test]
fn a_status_that_counts_as_0_is_an_end_too() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let hook = hook(&scope);
        let lives = Lives::start(&scope, kind, &["-R0", "-e3", "-e137", &hook], &["--exit-on=TERM:3"]);
        let proxy = lives.running.pid();
        for ending in ["exit 3", "exit 4", "die KILL"] {
            lives.next();
            lives.end(ending);
        }
        lives.next();
        lives.stop(0);
        assert_eq!(hooks(&scope, proxy), ["0 3 -1"], "{kind:?}");
    }
}

#[test]
fn the_hook_runs_once_for_the_last_life() {
    for kind in Kind::BOTH {
        for (argument, code, told) in [("--exit-on=TERM:5", 5, "5 5 -1"), ("--default-dispositions", 143, "143 -1 15")]
        {
            let scope = Scope::new();
            let hook = hook(&scope);
            let lives = Lives::start(&scope, kind, &["-R0", &hook], &[argument]);
            let proxy = lives.running.pid();
            for ending in ["exit 1", "die KILL", "exit 0", "exit 8"] {
                lives.next();
                lives.end(ending);
            }
            lives.next();
            assert!(!scope.path("hooks").exists(), "{kind:?}: it ran before the end");
            lives.stop(code);
            assert_eq!(hooks(&scope, proxy), [told], "{kind:?}");
        }
    }
}

/// What is not there is no hook, and ends it all the same.
#[test]
fn without_its_hook_it_ends_too() {
    let scope = Scope::new();
    let mut lives = Lives::start(&scope, Kind::Program, &[FOR_EVER, "-E/nowhere/hook"], &[]);
    lives.next();
    lives.end_and_see(7);
    lives.stop(7);
}
