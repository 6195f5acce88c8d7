//! Daemons and their pid files.

use std::fs;

use super::{Kind, Lives, expect_pause};
use crate::harness::needs;
use crate::harness::signals;
use crate::harness::{Proxy, Running, Scope, numbers_behind};

/// A pid file that goes with the daemon, one that is renamed into its place, one that -f removes, and one that names
/// the launcher first.
#[test]
fn however_the_pid_file_is_written_the_next_daemon_is_found() {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["-R0"], &["--remove-pid-file"]),
        (&["-R0"], &["--rename"]),
        (&["-R0"], &["--no-newline"]),
        (&["-fR0"], &[]),
        (&["-aR0"], &["--remove-pid-file"]),
        (&["-R0"], &["--launcher-pid-first"]),
        (&["-R0"], &["--after-exit=50"]),
    ];
    for (options, arguments) in cases {
        let scope = Scope::new();
        let lives = Lives::start(&scope, Kind::Daemon, options, &[arguments, &["--exit-on=TERM:5"]].concat());
        for ending in ["exit 0", "exit 3", "die KILL"] {
            let pid = lives.next();
            lives.expect_followed(pid);
            lives.end(ending);
        }
        lives.next();
        lives.stop(5);
    }
}

/// A pid file that did not change since the launch is not believed, in no life: what it names may be anybody by now,
/// even a descendant of ours.
#[test]
fn what_an_earlier_life_has_left_in_the_pid_file_is_stale() {
    for options in [&["-R1"][..], &["-R1", "-f"]] {
        let scope = Scope::new();
        let arguments = ["--no-pid-file", "--children=1", "--exit-on=TERM:5"];
        let mut lives = Lives::start(&scope, Kind::Daemon, &[options, &["-w600"]].concat(), &arguments);
        let first = lives.next();
        let child = scope.reports().expect("child1", "ready").pid();
        lives.control.send("write-pid-file");
        lives.end_and_see(3);
        expect_pause(&lives.running);
        fs::write(scope.path("pid"), format!("{child}\n")).expect("our own file");
        let second = lives.next();
        assert_eq!(scope.path("pid").exists(), !options.contains(&"-f"), "{options:?}");
        lives.control.send("write-pid-file");
        lives.running.expect_line(|line| line == format!("pidproxy: following: {second}"));
        assert_eq!(numbers_behind(&lives.running.stderr(), "pidproxy: following: "), [first, second], "{options:?}");
        lives.running.signal(libc::SIGTERM);
        lives.running.wait().expect_code(5);
    }
}

/// A successor is no end: nothing is launched beside it.
#[test]
fn a_daemon_that_replaces_itself_is_not_launched_again() {
    let scope = Scope::new();
    let lives = Lives::start(&scope, Kind::Daemon, &["-R0"], &["--replace-on=USR2", "--exit-on=TERM:5"]);
    for life in 1..=2 {
        lives.next();
        lives.running.signal(libc::SIGUSR2);
        let replacement = scope.reports().expect("replacement", "ready").pid();
        lives.expect_followed(replacement);
        assert_eq!(lives.count(), life);
        // The end of the replacement is one.
        signals::send(replacement, libc::SIGKILL).expect("it lives");
    }
    lives.next();
    lives.stop(5);
}

/// The end of a daemon that is no descendant of ours is known in another way, and is an end all the same.
#[test]
fn a_foreign_daemon_is_launched_again() {
    let scope = Scope::new();
    let start = |name: &str| {
        let name = format!("--name={name}");
        let running = Proxy::absent(&scope).specimen(["program", &name, "--exit-on=TERM:5"]).spawn();
        scope.reports().expect(&name["--name=".len()..], "ready");
        running
    };
    let [first, second] = ["first", "second"].map(start);
    let pid = |program: &Running| format!("{}\n", program.pid());
    let next = scope.path("next");
    fs::write(&next, pid(&first)).expect("a new file");
    let mut running =
        Kind::Daemon.proxy(&scope, &["-R0"]).command(["cp"]).command([next.clone(), scope.path("pid")]).spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {}", first.pid()));
    fs::write(&next, pid(&second)).expect("our own file");
    signals::send(first.pid(), libc::SIGKILL).expect("it lives");
    first.wait();
    running.expect_line(|line| line == format!("pidproxy: following: {}", second.pid()));
    running.signal(libc::SIGTERM);
    second.wait().expect_code(5);
    let finished = running.wait().expect_code(if needs::tells_foreign_status() { 5 } else { 0 });
    let ends = finished.stderr.lines().filter(|line| line.starts_with("pidproxy: ended: ")).count();
    // Of a launcher whose file was there before its end nothing is told.
    assert!((2..=4).contains(&ends), "two launchers, two daemons: {}", finished.stderr);
}
