//! When the daemon comes, and when it does not.

use std::fs;
use std::time::{Duration, Instant};

use super::{LONG, Stage, Stranger, line, processor_ticks};
use crate::harness::{DEADLINE, Looks, Proxy, Scope, eventually, proc, signals};

/// It was found dead, and is waited for all the same: nobody but us could have reaped it.
#[test]
fn a_daemon_that_dies_at_once_has_its_status() {
    let ways: [&[&str]; 6] = [
        &[],
        &["--after-exit=0"],
        &["--after-exit=5"],
        &["--rename", "--after-exit=1"],
        &["--no-newline"],
        &["--single-fork"],
    ];
    for way in ways {
        for code in [0, 1, 77, 255] {
            let scope = Scope::new();
            let pid_file = scope.path("pid");
            eprintln!("{way:?} {code}");
            Proxy::new(&scope)
                .options(["-w", LONG])
                .pid_file(&pid_file)
                .specimen(["daemon", &format!("--pid-file={}", pid_file.display())])
                .command([format!("--die-early={code}")])
                .command(way)
                .run()
                .expect_code(code);
        }
        for number in [libc::SIGKILL, libc::SIGSEGV, libc::SIGTERM] {
            let scope = Scope::new();
            let pid_file = scope.path("pid");
            eprintln!("{way:?} signal {number}");
            Proxy::new(&scope)
                .options(["-w", LONG])
                .pid_file(&pid_file)
                .specimen(["daemon", &format!("--pid-file={}", pid_file.display())])
                .command([format!("--die-by={number}")])
                .command(way)
                .run()
                .expect_code(128 + number);
        }
    }
}

/// Takes ten seconds: it is about the wait of that length that there is without `-w`.
#[test]
fn a_daemon_may_be_nine_seconds_late() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    let running = Proxy::new(&scope)
        .pid_file(&pid_file)
        .specimen(["daemon", &format!("--pid-file={}", pid_file.display())])
        .command(["--after-exit=9000", "--exit-on=TERM:7"])
        .spawn();
    scope.reports().expect("daemon", "started");
    running.signal(libc::SIGUSR1);
    scope.reports().expect_within(2 * DEADLINE, "daemon", "ready");
    assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGUSR1.into());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

#[test]
fn a_daemon_that_never_writes_is_given_up_in_time() {
    for seconds in [1, 2] {
        let scope = Scope::new();
        let stage = Stage::new(&scope);
        let start = Instant::now();
        let proxy = stage.launch().options(["-w", &seconds.to_string()]).spawn();
        proxy.wait().expect_failure(&stage.pid_file);
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_secs(seconds), "{elapsed:?}");
        let daemon = scope.reports().expect("daemon", "ready").pid();
        assert_eq!(scope.left_over(), [daemon], "it is left alone");
    }
}

/// Whatever else wakes the proxy, the wait has an end. (The daemon, or whoever has its rights, may send it SIGCHLD.)
#[test]
fn a_rain_of_signals_does_not_prolong_the_wait() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let mut proxy = stage.seek(stage.launch().options(["-w", "1"]));
    let end = Instant::now() + DEADLINE;
    while !proxy.has_ended() {
        assert!(Instant::now() < end, "no end in {DEADLINE:?}\n{}", scope.evidence());
        for _ in 0..100 {
            let _ = signals::send(proxy.pid(), libc::SIGCHLD);
        }
    }
    proxy.wait().expect_failure(&stage.pid_file);
}

/// A descendant that dies while the daemon is sought is not reaped yet: that must neither keep the proxy busy nor make it
/// wait for ever.
#[test]
fn the_end_of_another_descendant_does_not_prolong_the_wait() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let (other, pid_file) = (scope.control("other"), format!("--pid-file={}", stage.pid_file.display()));
    stage.write("");
    let proxy = stage
        .attach()
        .options(["-w", "2"])
        .env("SPECIMEN", scope.specimen())
        .command(["sh", "-c", "\"$SPECIMEN\" program --name=other \"$0\" & exec \"$@\"", &other.option()])
        .specimen(["daemon", "--no-pid-file", &stage.control.option(), &pid_file]);
    let proxy = stage.seek(proxy);
    let pid = scope.reports().expect("other", "ready").pid();
    other.send("exit 0");
    eventually(DEADLINE, || (proc::state(pid) == Some('Z')).then_some(())).expect("a zombie");
    let before = processor_ticks(proxy.pid());
    Looks::at(&stage.pid_file).expect(5);
    let ticks = processor_ticks(proxy.pid()) - before;
    assert!(ticks < 10, "five looks took {ticks} hundredths of a second of the processor");
    proxy.wait().expect_failure(&stage.pid_file);
}

/// When nobody is left who could become the daemon, waiting is of no use.
#[test]
fn without_a_child_there_is_no_wait() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let stranger = Stranger::new(&scope);
    let run =
        |command: &[&str]| Proxy::new(&scope).options(["-w", LONG]).pid_file(&stage.pid_file).command(command).run();
    run(&["true"]).expect_failure(&stage.pid_file);
    for contents in [line(stranger.pid()), "abc\n".to_owned(), String::new()] {
        stage.write(contents);
        run(&["true"]).expect_failure(&stage.pid_file);
    }
    stranger.expect_untouched();
    // With `-a` somebody else may still write the file.
    fs::remove_file(&stage.pid_file).expect("our own file");
    let proxy = stage.attach().options(["-a"]).command(["true"]).spawn();
    proxy.signal(libc::SIGHUP);
    stage.write(line(stranger.pid()));
    assert_eq!(scope.reports().expect("stranger", "signal").number("number"), libc::SIGHUP.into());
}

/// On older kernels the time of a file moves only with the clock's ticks: what is written in place right after what was there
/// before the launch has its stamp then, if it has its length. It is the pid in it that tells them apart.
#[test]
fn a_pid_of_the_same_length_within_a_tick_is_believed() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    let at_that_time =
        |text: &str| format!("printf '%10d\\n' {text} >{0}; touch -d 2020-01-01 {0}", pid_file.display());
    let before = ["sh".to_owned(), "-c".to_owned(), at_that_time("2147483647")];
    Proxy::absent(&scope).command(before).run().expect_code(0);
    let launcher = format!("{} program --exit-on=TERM:7 & {}", scope.specimen().display(), at_that_time("$!"));
    let proxy = Proxy::new(&scope).options(["-v", "-w", LONG]).pid_file(&pid_file);
    let mut running = proxy.command(["sh", "-c", &launcher]).spawn();
    let program = scope.reports().expect("program", "ready").pid();
    running.expect_line(|line| line.starts_with("pidproxy: following: "));
    // Before, the launcher might take the status.
    let is_ours = || (proc::children(running.pid()) == [program]).then_some(());
    assert!(eventually(DEADLINE, is_ours).is_some(), "{}", scope.evidence());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}
